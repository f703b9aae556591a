/* SPDX-License-Identifier: GPL-2.0-only */
/* cvctl stats: counters and exits since boot, or how fast they grow. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "cloudvisor/cvctl/commands.h"
#include "cloudvisor/cvctl/exit_names.h"
#include "cloudvisor/hypercall.h"

enum exit_level { LEVEL_HOST, LEVEL_VM, LEVEL_COUNT };

static const struct {
    const char *name, *meaning;
} stats[] = {
#define STAT(name, meaning) { #name, meaning },
#include "cloudvisor/stats.def"
#undef STAT
};

static const char *const level_keys[LEVEL_COUNT] = { "host", "vm" };
static const char *const level_titles[LEVEL_COUNT] = { "the host", "its VMs" };

/* Everything at one moment. */
struct sample {
    struct timespec when;
    uint64_t counters[STAT_COUNT];
    uint64_t exits[LEVEL_COUNT][EXIT_REASON_COUNT];
};

uint64_t stat_value(unsigned index)
{
    struct answer answer = layer_ask(HYPERCALL_STAT, index, 0);

    return answer.ok ? answer.rbx : 0;
}

static uint64_t exit_count(unsigned reason, enum exit_level level)
{
    struct answer answer = layer_ask(HYPERCALL_EXITS, reason, level + 1);

    return answer.ok ? answer.rbx : 0;
}

static const char *exit_name(unsigned reason, char buffer[16])
{
    if (exit_names[reason])
        return exit_names[reason];
    snprintf(buffer, 16, "reason_%u", reason);
    return buffer;
}

static void take_sample(struct sample *sample)
{
    clock_gettime(CLOCK_MONOTONIC, &sample->when);
    for (unsigned i = 0; i < STAT_COUNT; i++)
        sample->counters[i] = stat_value(i);
    for (unsigned reason = 0; reason < EXIT_REASON_COUNT; reason++)
        for (enum exit_level level = LEVEL_HOST; level < LEVEL_COUNT; level++)
            sample->exits[level][reason] = exit_count(reason, level);
}

/* ---- Once ---- */

static void print_exits(const struct sample *sample, enum exit_level level)
{
    char buffer[16];

    printf("\nexits of %s\n", level_titles[level]);
    for (unsigned reason = 0; reason < EXIT_REASON_COUNT; reason++) {
        if (sample->exits[level][reason])
            printf("  %-28s %14" PRIu64 "\n", exit_name(reason, buffer), sample->exits[level][reason]);
    }
}

static void print_text(const struct sample *sample)
{
    printf("counters\n");
    for (unsigned i = 0; i < STAT_COUNT; i++)
        printf("  %-16s %20" PRIu64 "  %s\n", stats[i].name, sample->counters[i], stats[i].meaning);
    print_exits(sample, LEVEL_HOST);
    print_exits(sample, LEVEL_VM);
}

static void print_exits_json(const struct sample *sample, enum exit_level level)
{
    const char *separator = "";
    char buffer[16];

    printf("%s\"%s\":{", level ? "," : "", level_keys[level]);
    for (unsigned reason = 0; reason < EXIT_REASON_COUNT; reason++) {
        if (!sample->exits[level][reason])
            continue;
        printf("%s\"%s\":%" PRIu64, separator, exit_name(reason, buffer), sample->exits[level][reason]);
        separator = ",";
    }
    printf("}");
}

/* Without the closing brace. */
static void print_json(const struct sample *sample, uint32_t version)
{
    print_version("{\"version\":\"", version, "\",\"counters\":{");
    for (unsigned i = 0; i < STAT_COUNT; i++)
        printf("%s\"%s\":%" PRIu64, i ? "," : "", stats[i].name, sample->counters[i]);
    printf("},\"exits\":{");
    print_exits_json(sample, LEVEL_HOST);
    print_exits_json(sample, LEVEL_VM);
    printf("}");
}

/* ---- Again and again ---- */

/* What is a quantity, not a count of events. */
static bool is_quantity(unsigned index)
{
    return index == STAT_cpus_demoted || index == STAT_layer_bytes || index == STAT_ept_bytes ||
           index == STAT_vmcs_shadowing;
}

static double seconds_between(const struct sample *old, const struct sample *new)
{
    return (double)(new->when.tv_sec - old->when.tv_sec) + 1e-9 * (double)(new->when.tv_nsec - old->when.tv_nsec);
}

static double rate(uint64_t old, uint64_t new, double seconds)
{
    return new > old &&seconds > 0 ? (double)(new - old) / seconds : 0;
}

static void print_exit_rates(const struct sample *old, const struct sample *new, enum exit_level level, double seconds)
{
    char buffer[16];

    printf("\nexits of %s\n", level_titles[level]);
    for (unsigned reason = 0; reason < EXIT_REASON_COUNT; reason++) {
        uint64_t count = new->exits[level][reason];

        if (count > old->exits[level][reason])
            printf("  %-28s %16.1f %20" PRIu64 "\n", exit_name(reason, buffer),
                   rate(old->exits[level][reason], count, seconds), count);
    }
}

/* Counters that are 0 and exits that did not occur between the two are left out. */
static void print_rates(const struct sample *old, const struct sample *new)
{
    double seconds = seconds_between(old, new);

    printf("  %-28s %16s %20s\n", "counter", "per second", "since boot");
    for (unsigned i = 0; i < STAT_COUNT; i++) {
        if (new->counters[i] == 0)
            continue;
        if (is_quantity(i))
            printf("  %-28s %16s %20" PRIu64 "\n", stats[i].name, "", new->counters[i]);
        else
            printf("  %-28s %16.1f %20" PRIu64 "\n", stats[i].name, rate(old->counters[i], new->counters[i], seconds),
                   new->counters[i]);
    }
    print_exit_rates(old, new, LEVEL_HOST, seconds);
    print_exit_rates(old, new, LEVEL_VM, seconds);
}

static void print_rates_json(const struct sample *old, const struct sample *new)
{
    double seconds = seconds_between(old, new);
    const char *separator = "";

    printf(",\"seconds\":%.3f,\"per_second\":{", seconds);
    for (unsigned i = 0; i < STAT_COUNT; i++) {
        if (is_quantity(i))
            continue;
        printf("%s\"%s\":%.1f", separator, stats[i].name, rate(old->counters[i], new->counters[i], seconds));
        separator = ",";
    }
    printf("}");
}

/* Sleeps; false if the user ends the program meanwhile. `ends` are the signals for that, which are blocked. */
static bool wait_for(double seconds, const sigset_t *ends)
{
    struct timespec time = { .tv_sec = (time_t)seconds };

    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
    return sigtimedwait(ends, NULL, &time) < 0;
}

static void show(const struct sample *old, const struct sample *new, uint32_t version, const struct options *options)
{
    if (options->json) {
        print_json(new, version);
        print_rates_json(old, new);
        printf("}\n");
        return;
    }
    if (isatty(STDOUT_FILENO))
        printf("\033[H\033[J");
    print_version("CloudVisor ", version, "");
    printf(", every %g s; Ctrl-C ends\n\n", options->watch);
    print_rates(old, new);
    if (!isatty(STDOUT_FILENO))
        printf("\n");
}

static int watch(uint32_t version, const struct options *options)
{
    struct sample samples[2];
    unsigned turn = 0;
    sigset_t ends;

    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    take_sample(&samples[turn]);
    if (!options->json && isatty(STDOUT_FILENO))
        printf("The first rates come in %g s; Ctrl-C ends\n", options->watch);
    while (fflush(stdout) == 0 && wait_for(options->watch, &ends)) {
        turn ^= 1;
        take_sample(&samples[turn]);
        show(&samples[turn ^ 1], &samples[turn], version, options);
    }
    return CVCTL_OK;
}

int command_stats(const struct options *options)
{
    uint32_t version = require_layer();
    struct sample sample;

    if (options->watch > 0)
        return watch(version, options);
    take_sample(&sample);
    if (options->json) {
        print_json(&sample, version);
        printf("}\n");
    } else {
        print_text(&sample);
    }
    return CVCTL_OK;
}
