/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cvctl: asks the layer about itself, from the demoted host's user land and without privilege. VMCALL with operands
 * in registers is the whole interface; without the layer it faults, or another hypervisor refuses it.
 * The layer's answers are trusted only to be numbers; log text is printed with control characters replaced.
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cloudvisor/cvctl/commands.h"
#include "cloudvisor/hypercall.h"

uint32_t require_layer(void)
{
    uint32_t version;

    if (!layer_find(&version)) {
        fprintf(stderr, "cvctl: no CloudVisor layer on this machine\n");
        exit(CVCTL_NO_LAYER);
    }
    return version;
}

void print_version(const char *before, uint32_t version, const char *after)
{
    printf("%s%u.%u.%u%s", before, version >> 16, version >> 8 & 0xffu, version & 0xffu, after);
}

int command_status(const struct options *options)
{
    uint32_t version = require_layer();
    unsigned vms;

    (void)options;
    print_version("CloudVisor ", version, "\n");
    printf("CPUs demoted:     %" PRIu64 "\n", stat_value(STAT_cpus_demoted));
    printf("layer's memory:   %" PRIu64 " KiB\n", stat_value(STAT_layer_bytes) >> 10);
    printf("VMCS shadowing:   %s\n", stat_value(STAT_vmcs_shadowing) ? "hardware" : "emulated");
    if (vms_alive(&vms))
        printf("protected VMs:    %u\n", vms);
    printf("entries:          %" PRIu64 "\n", stat_value(STAT_entries));
    return CVCTL_OK;
}

/* First offset below `total` that the layer still has; `total` if none. What it has is a tail of the log. */
static uint64_t oldest_offset(uint64_t total)
{
    uint64_t low = 0, high = total;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (layer_ask(HYPERCALL_LOG, middle, 0).ok)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void put_text(char letter)
{
    bool plain = letter == '\n' || letter == '\t' || (letter >= ' ' && letter <= '~');

    if (letter != '\r')
        putchar(plain ? letter : '?');
}

/* One character of a JSON array of lines. `open` says whether a line has begun, `first` that none was written. */
static void put_json(char letter, bool *open, bool *first)
{
    if (letter == '\r' || (letter == '\n' && !*open))
        return;
    if (!*open) {
        fputs(*first ? "\"" : ",\"", stdout);
        *open = true;
        *first = false;
    }
    if (letter == '\n') {
        fputs("\"", stdout);
        *open = false;
    } else if (letter == '"' || letter == '\\') {
        printf("\\%c", letter);
    } else {
        putchar(letter >= ' ' && letter <= '~' ? letter : '?');
    }
}

/* Prints the log from `offset` to `total`. False if the layer overwrote it meanwhile. */
static bool print_log(uint64_t offset, uint64_t total, bool json)
{
    bool open = false, first = true;

    while (offset < total) {
        struct answer answer = layer_ask(HYPERCALL_LOG, offset, 0);
        uint64_t here = total - offset < 8 ? total - offset : 8;

        if (!answer.ok)
            break;
        for (uint64_t i = 0; i < here; i++) {
            char letter = (char)(answer.rbx >> 8 * i & 0xff);

            if (json)
                put_json(letter, &open, &first);
            else
                put_text(letter);
        }
        offset += here;
    }
    if (json && open)
        fputs("\"", stdout);
    return offset == total;
}

int command_log(const struct options *options)
{
    uint32_t version = require_layer();
    uint64_t total = layer_ask(HYPERCALL_LOG, 0, 0).rcx;
    uint64_t start = oldest_offset(total);
    bool whole, json = options->json;

    if (json) {
        print_version("{\"version\":\"", version, "\",");
        printf("\"total_bytes\":%" PRIu64 ",\"lost_bytes\":%" PRIu64 ",\"lines\":[", total, start);
    } else if (start) {
        printf("[%" PRIu64 " older bytes were overwritten]\n", start);
    }
    whole = print_log(start, total, json);
    if (json)
        printf("],\"complete\":%s}\n", whole ? "true" : "false");
    else if (!whole)
        printf("\n[the rest was overwritten while reading; try again]\n");
    return CVCTL_OK;
}

static const char help[] =
    "usage: cvctl COMMAND [OPTION...]\n"
    "Asks the CloudVisor layer under this system about itself. Needs no privilege.\n"
    "\n"
    "  status                  version, demoted CPUs, memory, number of protected VMs\n"
    "  vms                     protected VMs, and ended ones that the layer remembers\n"
    "      --wide              the whole launch digest\n"
    "  stats                   every counter, and VM exits by reason for the host and for its VMs\n"
    "      --watch [SECONDS]   how fast they grow, again and again (2 seconds) until Ctrl-C\n"
    "  log                     what the layer logged since boot, as far as its ring still holds it\n"
    "      --json              one JSON object instead of text (vms, stats, log); one per look with --watch\n"
    "  --help                  this text\n"
    "  --version               the version of this program\n"
    "\n"
    "Exit codes: 0 done, 1 output failed or the layer does not know the question, 2 wrong usage,\n"
    "3 no CloudVisor layer on this machine.\n";

enum { TAKES_JSON = 1, TAKES_WIDE = 2, TAKES_WATCH = 4 };

struct command {
    const char *name;
    int (*run)(const struct options *options);
    unsigned takes;
};

static const struct command commands[] = {
    { "status", command_status, 0 },
    { "vms", command_vms, TAKES_JSON | TAKES_WIDE },
    { "stats", command_stats, TAKES_JSON | TAKES_WATCH },
    { "log", command_log, TAKES_JSON },
};

static int usage(const char *problem, const char *word)
{
    fprintf(stderr, "cvctl: %s%s\nTry: cvctl --help\n", problem, word);
    return CVCTL_USAGE;
}

/* 0.1 to 86400 seconds. */
static bool parse_seconds(const char *word, double *seconds)
{
    char *end;

    *seconds = strtod(word, &end);
    return end != word && *end == 0 && *seconds >= 0.1 && *seconds <= 86400;
}

/* The options behind the command; NULL, or the word that is wrong. */
static const char *parse_options(char **words, unsigned takes, struct options *options)
{
    const double often = 2;

    for (; *words != NULL; words++) {
        if (strcmp(*words, "--json") == 0 && (takes & TAKES_JSON) != 0) {
            options->json = true;
        } else if (strcmp(*words, "--wide") == 0 && (takes & TAKES_WIDE) != 0) {
            options->wide = true;
        } else if (strcmp(*words, "--watch") == 0 && (takes & TAKES_WATCH) != 0) {
            options->watch = often;
            if (words[1] != NULL && words[1][0] != '-' && !parse_seconds(*++words, &options->watch))
                return *words;
        } else {
            return *words;
        }
    }
    return NULL;
}

static int run_command(char **words)
{
    struct options options = { 0 };

    if (words[0] == NULL)
        return usage("no command given", "");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        const char *wrong;

        if (strcmp(words[0], commands[i].name) != 0)
            continue;
        wrong = parse_options(words + 1, commands[i].takes, &options);
        return wrong != NULL ? usage("wrong argument ", wrong) : commands[i].run(&options);
    }
    return usage("unknown command ", words[0]);
}

int main(int argc, char **argv)
{
    int code = CVCTL_OK;

    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        fputs(help, stdout);
    else if (argc == 2 && strcmp(argv[1], "--version") == 0)
        print_version("cvctl ", LAYER_VERSION, "\n");
    else
        code = run_command(argc > 0 ? argv + 1 : argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("cvctl: output");
        return CVCTL_FAILED;
    }
    return code;
}
