/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The layer's counters, for benchmarks. See counters.h.
 */
#include "untrusted-hypervisor-harness/suites/counters.h"
#include "cloudvisor/hypercall.h"
#include "untrusted-hypervisor-harness/core/vmx.h"

enum stat {
#define STAT(name, meaning) STAT_##name,
#include "cloudvisor/stats.def"
#undef STAT
};

/* Without the layer nothing is asked: Bochs 2.7 stops on VMCALL in root mode. */
static uint64_t stat(enum stat index)
{
    uint64_t value = 0;

    if (vmx_under_layer)
        vmx_hypercall(HYPERCALL_STAT, index, 0, &value);
    return value;
}

struct counters counters_read(void)
{
    struct counters c = { .entries = stat(STAT_entries), .root_ticks = stat(STAT_root_ticks) };

    c.ticks = cpu_read_tsc();
    return c;
}

struct counters counters_difference(const struct counters *from, const struct counters *to)
{
    return (struct counters){ to->ticks - from->ticks, to->entries - from->entries, to->root_ticks - from->root_ticks };
}

struct counters counters_since(const struct counters *before)
{
    struct counters now = counters_read(), next = counters_read();
    struct counters all = counters_difference(before, &now), reading = counters_difference(&now, &next);

    return counters_difference(&reading, &all);
}
