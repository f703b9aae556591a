/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The commands of cvctl. Each finds the layer or ends the program, prints to standard output, and returns the exit code;
 * main sees to output that can't be written.
 */
#ifndef CVCTL_COMMANDS_H
#define CVCTL_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>
#include "cloudvisor/cvctl/layer.h"

enum cvctl_exit { CVCTL_OK = 0, CVCTL_FAILED = 1, CVCTL_USAGE = 2, CVCTL_NO_LAYER = 3 };

enum stat_index {
#define STAT(name, meaning) STAT_##name,
#include "cloudvisor/stats.def"
#undef STAT
    STAT_COUNT
};

struct options {
    bool json;
    bool wide;
    double watch; /* seconds between two looks; 0: once */
};

int command_status(const struct options *options);
int command_stats(const struct options *options);
int command_vms(const struct options *options);
int command_log(const struct options *options);

/* The layer's version, or the end of the program. Every command starts here. */
uint32_t require_layer(void);

void print_version(const char *before, uint32_t version, const char *after);

uint64_t stat_value(unsigned index);

/* Protected VMs that launch or run; false: the layer does not tell. */
bool vms_alive(unsigned *count);

#endif
