/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A layer for the tests of cvctl: answers come from the file that the variable CVCTL_ANSWERS names, one per line, all
 * numbers decimal:
 *   version VALUE
 *   answer FUNCTION RBX RCX VALUE STEP    VALUE grows by STEP with each question
 *   log LOST TEXT                         the log, whose first LOST bytes were overwritten; \n in TEXT is a new line
 * What is not listed is refused, as by the layer. Without the variable there is no layer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cloudvisor/cvctl/layer.h"
#include "cloudvisor/hypercall.h"

enum { LINES_MAX = 512, LOG_MAX = 4096 };

static struct {
    uint64_t function, rbx, rcx, value, step;
} answers[LINES_MAX];
static unsigned answer_count;
static char log_text[LOG_MAX + 8];
static uint64_t log_lost, log_total;

static void read_log(const char *line)
{
    int at = 0;

    sscanf(line, "%lu %n", &log_lost, &at);
    for (line += at; *line != 0 && *line != '\n' && log_total < LOG_MAX; line++) {
        bool escaped = line[0] == '\\' && line[1] == 'n';

        log_text[log_total++] = escaped ? '\n' : *line;
        line += escaped;
    }
}

bool layer_find(uint32_t *version)
{
    const char *name = getenv("CVCTL_ANSWERS");
    FILE *file = name != NULL ? fopen(name, "r") : NULL;
    char line[LOG_MAX];
    bool found = false;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL && answer_count < LINES_MAX) {
        if (sscanf(line, "version %u", version) == 1)
            found = true;
        else if (strncmp(line, "log ", 4) == 0)
            read_log(line + 4);
        else if (sscanf(line, "answer %lu %lu %lu %lu %lu", &answers[answer_count].function, &answers[answer_count].rbx,
                        &answers[answer_count].rcx, &answers[answer_count].value, &answers[answer_count].step) == 5)
            answer_count++;
    }
    if (file != NULL)
        fclose(file);
    return found;
}

static struct answer log_answer(uint64_t offset)
{
    struct answer answer = { .ok = offset >= log_lost && offset < log_total, .rcx = log_total };

    if (answer.ok)
        memcpy(&answer.rbx, log_text + offset, sizeof(answer.rbx));
    return answer;
}

struct answer layer_ask(uint32_t function, uint64_t rbx, uint64_t rcx)
{
    if (function == HYPERCALL_LOG)
        return log_answer(rbx);
    for (unsigned i = 0; i < answer_count; i++) {
        uint64_t value = answers[i].value;

        if (answers[i].function != function || answers[i].rbx != rbx || answers[i].rcx != rcx)
            continue;
        answers[i].value += answers[i].step;
        return (struct answer){ .ok = true, .rbx = value, .rcx = rcx };
    }
    return (struct answer){ .ok = false, .rbx = rbx, .rcx = rcx };
}
