/* SPDX-License-Identifier: GPL-2.0-only */
/* Demoting every CPU and proving it. */
#ifndef LOADER_DEMOTE_H
#define LOADER_DEMOTE_H

#include "cloudvisor/loader/cpus.h"
#include "cloudvisor/loader/layer_place.h"

struct demotion {
    uint32_t done_count; /* CPUs demoted; they cannot be set free again */
    uint64_t reason;     /* enum demote_error of the CPU that failed, DEMOTE_OK if the firmware failed */
};

/* Demotes CPU 0, then the others, then asks the layer how many it has. On an error a message was shown. */
EFI_STATUS demote_all(const struct cpu_list *cpus, const struct layer *layer, struct demotion *result);

#endif
