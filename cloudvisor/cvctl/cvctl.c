/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cvctl: asks the layer about itself, from the demoted host's user land and without privilege. VMCALL with operands
 * in registers is the whole interface; without the layer it faults, or another hypervisor refuses it.
 * The layer's answers are trusted only to be numbers; log text is printed with control characters replaced.
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cloudvisor/cvctl/exit_names.h"
#include "cloudvisor/hypercall.h"

enum cvctl_exit { CVCTL_OK = 0, CVCTL_FAILED = 1, CVCTL_USAGE = 2, CVCTL_NO_LAYER = 3 };
enum exit_level { LEVEL_HOST = 1, LEVEL_VM = 2 };

struct answer {
    bool ok;
    uint64_t rbx;
    uint64_t rcx;
};

struct stat_text {
    const char *name;
    const char *meaning;
};

static const struct stat_text stats[] = {
#define STAT(name, meaning) { #name, meaning },
#include "cloudvisor/stats.def"
#undef STAT
};

enum stat_index {
#define STAT(name, meaning) STAT_##name,
#include "cloudvisor/stats.def"
#undef STAT
    STAT_COUNT
};

static sigjmp_buf no_layer;

static void on_fault(int signal_number)
{
    siglongjmp(no_layer, signal_number);
}

/* Without the layer VMCALL is #UD, which is SIGILL; some hypervisors answer with #GP, which is SIGSEGV. */
static struct answer ask(uint32_t function, uint64_t rbx, uint64_t rcx)
{
    uint64_t rax = HYPERCALL_MAGIC | function;

    __asm__ volatile("vmcall" : "+a"(rax), "+b"(rbx), "+c"(rcx) : : "memory", "cc");
    return (struct answer){ .ok = rax == 0, .rbx = rbx, .rcx = rcx };
}

/* True if VMCALL reaches the layer; `version` is then its version. */
static bool find_layer(uint32_t *version)
{
    struct answer answer;

    if (sigsetjmp(no_layer, 1) != 0)
        return false;
    answer = ask(HYPERCALL_VERSION, 0, 0);
    *version = (uint32_t)answer.rbx;
    return answer.ok;
}

/* The layer's version, or the end of the program. Every command starts here; later calls can't fault. */
static uint32_t require_layer(void)
{
    struct sigaction action = { .sa_handler = on_fault };
    uint32_t version;

    sigaction(SIGILL, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    if (!find_layer(&version)) {
        fprintf(stderr, "cvctl: no CloudVisor layer on this machine\n");
        exit(CVCTL_NO_LAYER);
    }
    signal(SIGILL, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
    return version;
}

static void print_version(const char *before, uint32_t version, const char *after)
{
    printf("%s%u.%u.%u%s", before, version >> 16, version >> 8 & 0xffu, version & 0xffu, after);
}

static uint64_t stat_value(unsigned index)
{
    struct answer answer = ask(HYPERCALL_STAT, index, 0);

    return answer.ok ? answer.rbx : 0;
}

static uint64_t exit_count(unsigned reason, enum exit_level level)
{
    struct answer answer = ask(HYPERCALL_EXITS, reason, level);

    return answer.ok ? answer.rbx : 0;
}

static const char *exit_name(unsigned reason, char buffer[16])
{
    if (exit_names[reason])
        return exit_names[reason];
    snprintf(buffer, 16, "reason_%u", reason);
    return buffer;
}

static int command_status(bool json)
{
    uint32_t version = require_layer();

    (void)json;
    print_version("CloudVisor ", version, "\n");
    printf("CPUs demoted:     %" PRIu64 "\n", stat_value(STAT_cpus_demoted));
    printf("layer's memory:   %" PRIu64 " KiB\n", stat_value(STAT_layer_bytes) >> 10);
    printf("VMCS shadowing:   %s\n", stat_value(STAT_vmcs_shadowing) ? "hardware" : "emulated");
    printf("entries:          %" PRIu64 "\n", stat_value(STAT_entries));
    return CVCTL_OK;
}

static void print_exits(const char *title, enum exit_level level)
{
    char buffer[16];

    printf("\nexits of %s\n", title);
    for (unsigned reason = 0; reason < EXIT_REASON_COUNT; reason++) {
        uint64_t count = exit_count(reason, level);

        if (count)
            printf("  %-28s %14" PRIu64 "\n", exit_name(reason, buffer), count);
    }
}

static void print_exits_json(const char *key, enum exit_level level)
{
    const char *separator = "";
    char buffer[16];

    printf("\"%s\":{", key);
    for (unsigned reason = 0; reason < EXIT_REASON_COUNT; reason++) {
        uint64_t count = exit_count(reason, level);

        if (!count)
            continue;
        printf("%s\"%s\":%" PRIu64, separator, exit_name(reason, buffer), count);
        separator = ",";
    }
    printf("}");
}

static int print_stats_json(uint32_t version)
{
    print_version("{\"version\":\"", version, "\",\"counters\":{");
    for (unsigned i = 0; i < STAT_COUNT; i++)
        printf("%s\"%s\":%" PRIu64, i ? "," : "", stats[i].name, stat_value(i));
    printf("},\"exits\":{");
    print_exits_json("host", LEVEL_HOST);
    printf(",");
    print_exits_json("vm", LEVEL_VM);
    printf("}}\n");
    return CVCTL_OK;
}

static int command_stats(bool json)
{
    uint32_t version = require_layer();

    if (json)
        return print_stats_json(version);
    printf("counters\n");
    for (unsigned i = 0; i < STAT_COUNT; i++)
        printf("  %-16s %20" PRIu64 "  %s\n", stats[i].name, stat_value(i), stats[i].meaning);
    print_exits("the host", LEVEL_HOST);
    print_exits("its VMs", LEVEL_VM);
    return CVCTL_OK;
}

/* First offset below `total` that the layer still has; `total` if none. What it has is a tail of the log. */
static uint64_t oldest_offset(uint64_t total)
{
    uint64_t low = 0, high = total;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (ask(HYPERCALL_LOG, middle, 0).ok)
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
        struct answer answer = ask(HYPERCALL_LOG, offset, 0);
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

static int command_log(bool json)
{
    uint32_t version = require_layer();
    uint64_t total = ask(HYPERCALL_LOG, 0, 0).rcx;
    uint64_t start = oldest_offset(total);
    bool whole;

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
    "usage: cvctl COMMAND [--json]\n"
    "Asks the CloudVisor layer under this system about itself. Needs no privilege.\n"
    "\n"
    "  status          version, demoted CPUs, memory\n"
    "  stats [--json]  every counter, and VM exits by reason for the host and for its VMs\n"
    "  log [--json]    what the layer logged since boot, as far as its ring still holds it\n"
    "  --help          this text\n"
    "  --version       the version of this program\n"
    "\n"
    "Exit codes: 0 done, 1 output failed, 2 wrong usage, 3 no CloudVisor layer on this machine.\n";

struct command {
    const char *name;
    int (*run)(bool json);
    bool takes_json;
};

static const struct command commands[] = {
    { "status", command_status, false },
    { "stats", command_stats, true },
    { "log", command_log, true },
};

static int usage(const char *problem, const char *word)
{
    fprintf(stderr, "cvctl: %s%s\nTry: cvctl --help\n", problem, word);
    return CVCTL_USAGE;
}

static int run_command(int argc, char **argv)
{
    bool json = argc > 2 && strcmp(argv[2], "--json") == 0;

    if (argc < 2)
        return usage("no command given", "");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        if (argc > (json && commands[i].takes_json ? 3 : 2))
            return usage("unknown argument ", argv[json && commands[i].takes_json ? 3 : 2]);
        return commands[i].run(json);
    }
    return usage("unknown command ", argv[1]);
}

int main(int argc, char **argv)
{
    int code = CVCTL_OK;

    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        fputs(help, stdout);
    else if (argc == 2 && strcmp(argv[1], "--version") == 0)
        print_version("cvctl ", LAYER_VERSION, "\n");
    else
        code = run_command(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("cvctl: output");
        return CVCTL_FAILED;
    }
    return code;
}
