/* SPDX-License-Identifier: GPL-2.0-only
 *
 * Runs QEMU with a test guest that measures itself (guest/bench.c), copies the
 * guest's console to its own output, and measures start and end by the host's
 * TSC and the layer's counters. Prints "BENCHRAW <prefix>_<id> <value>" lines.
 * Usage: guest_bench PREFIX yes|no SECONDS COMMAND... ; yes: the guest must run
 * as a protected VM, no: it must not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include "hypercall.h"

#define LINE_BYTES 1024

struct moment {
    uint64_t tsc, entries, root_ticks;
};

static const char *prefix;
static pid_t child;
static int unprotected, done;
static struct moment begun, up, finished;

static uint64_t counter(const char *name)
{
    int index = hypercall_stat_index(name);

    return index < 0 ? 0 : hypercall(HYPERCALL_STAT, (uint64_t)index, 0).value;
}

static struct moment now(void)
{
    return (struct moment){ __rdtsc(), counter("entries"), counter("root_ticks") };
}

/* What the layer counted since the last call, for whoever looks for causes in the log. */
static void print_causes(const char *after)
{
    static const char *const names[] = { "entries",     "root_ticks",    "vm_exits",      "vm_exits_kept",
                                         "ept02_fills", "pages_claimed", "large_claimed", "pages_in" };
    static uint64_t stats[sizeof(names) / sizeof(names[0])], exits[65];

    printf("# %s:", after);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        uint64_t value = counter(names[i]);

        printf(" %s=%" PRIu64, names[i], value - stats[i]);
        stats[i] = value;
    }
    printf("; exits by reason");
    for (uint64_t reason = 0; reason < sizeof(exits) / sizeof(exits[0]); reason++) {
        uint64_t value = hypercall(HYPERCALL_EXITS, reason, 2).value;

        if (value != exits[reason])
            printf(" %" PRIu64 ":%" PRIu64, reason, value - exits[reason]);
        exits[reason] = value;
    }
    printf("\n");
}

static void end_child(int number)
{
    (void)number;
    kill(child, SIGKILL);
}

static int start(char **command)
{
    int ends[2];

    if (pipe(ends) < 0)
        return -1;
    child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        execvp(command[0], command);
        _exit(127);
    }
    close(ends[1]);
    return child < 0 ? -1 : ends[0];
}

static void take_line(const char *line)
{
    char name[64], value[64];

    if (!strncmp(line, "CVG up", 6))
        up = now();
    if (!strncmp(line, "CVG done", 8)) {
        finished = now();
        done = 1;
    }
    unprotected |= !strncmp(line, "cloudvisor bundle: not launched", 31);
    if (!strncmp(line, "cloudvisor bundle: ", 19) && strstr(line, "halted"))
        end_child(0);
    printf("%s", line);
    if (!strncmp(line, "CVG up", 6))
        print_causes("start");
    if (sscanf(line, "CVG bench %63s %63s", name, value) != 2)
        return;
    printf("BENCHRAW %s_%s %s\n", prefix, name, value);
    print_causes(name);
}

static void report(const char *what, const struct moment *from, const struct moment *to)
{
    printf("BENCHRAW %s_%s_ticks %" PRIu64 "\n", prefix, what, to->tsc - from->tsc);
    printf("BENCHRAW %s_%s_entries %" PRIu64 "\n", prefix, what, to->entries - from->entries);
    printf("BENCHRAW %s_%s_root_ticks %" PRIu64 "\n", prefix, what, to->root_ticks - from->root_ticks);
}

int main(int argc, char **argv)
{
    char line[LINE_BYTES];
    struct moment ended;
    int status, fd;
    FILE *output;

    if (argc < 5)
        return 2;
    prefix = argv[1];
    setvbuf(stdout, NULL, _IOLBF, 0);
    print_causes("before");
    begun = now();
    fd = start(&argv[4]);
    output = fd < 0 ? NULL : fdopen(fd, "r");
    if (!output) {
        fprintf(stderr, "guest_bench: %s\n", strerror(errno));
        return 1;
    }
    signal(SIGALRM, end_child);
    alarm((unsigned int)atoi(argv[3]));
    while (fgets(line, sizeof(line), output))
        take_line(line);
    if (waitpid(child, &status, 0) != child || status != 0 || !done || unprotected != !strcmp(argv[2], "no")) {
        fprintf(stderr, "guest_bench: status %x, %s, %s\n", (unsigned int)status, done ? "done" : "not done",
                unprotected ? "unprotected" : "protected");
        return 1;
    }
    ended = now();
    print_causes("end");
    report("start", &begun, &up);
    report("teardown", &finished, &ended);
    return 0;
}
