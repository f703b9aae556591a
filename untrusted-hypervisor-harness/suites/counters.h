/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The TSC and the layer's counters, read together. Without the layer the counters are 0.
 */
#ifndef HARNESS_COUNTERS_H
#define HARNESS_COUNTERS_H

#include <stdint.h>

struct counters {
    uint64_t ticks, entries, root_ticks;
};

struct counters counters_read(void);

/* What happened from one reading to another. Each reading costs entries itself, which are in it. */
struct counters counters_difference(const struct counters *from, const struct counters *to);

/* What happened since `before`, less what a reading costs. */
struct counters counters_since(const struct counters *before);

#endif
