/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The demoted host's EPT: identity over all physical addresses, filled on demand with the largest pages that have one
 * memory type, with all-ones in place of the layer's frames. Derived from the frame database and the host's MTRRs.
 * Callers hold layer_lock.
 */
#ifndef EPT_GUARD_HOST_EPT_H
#define EPT_GUARD_HOST_EPT_H

#include "ept-guard/ept.h"
#include "ept-guard/mtrr.h"

enum host_ept_answer {
    HOST_EPT_MAPPED,  /* the access can be repeated */
    HOST_EPT_LAYER,   /* a write to the layer's memory, which never happens */
    HOST_EPT_TRAPPED, /* a write to the local APIC's page, to be carried out by the layer */
    HOST_EPT_OUTSIDE, /* beyond the physical address width */
    HOST_EPT_FULL,    /* the pool is empty */
};

/* `trap_apic`: keep the local APIC's page read-only. `page_1g`: the CPU maps 1 GiB in EPT. False: pool empty. */
bool host_ept_init(const struct mtrrs *mtrrs, unsigned physical_bits, bool page_1g, bool trap_apic);

uint64_t host_ept_pointer(void);

/*
 * Serves a violation at `address`, mapping what may be mapped; where the layer's memory is, a page of all-ones to read.
 * A write to a WATCHED frame ends the watch.
 */
enum host_ept_answer host_ept_violation(hpa_t address, bool write);

/* Makes a frame read-only until the host writes to it. The caller flushes all CPUs. False: not the host's RAM. */
bool host_ept_watch(hpa_t frame);

/* Unmaps the page of `level` from the host. The caller flushes all CPUs. */
void host_ept_remove(hpa_t page, unsigned level);

/* The host's MTRRs, and the rebuild after they changed. The caller flushes all CPUs. */
struct mtrrs *host_ept_mtrrs(void);
void host_ept_rebuild(void);

/* True if the naturally aligned page holds the trapped local APIC. */
bool host_ept_has_trapped(hpa_t page, uint64_t bytes);

#endif
