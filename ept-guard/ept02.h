/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * EPT02: what the processor really walks for a VM of the host. One tree per EPT12 root, built on demand by the layer's
 * own walk, re-synchronised (not dropped) after INVEPT. A frame that is not the host's is never mapped.
 * Callers hold layer_lock.
 */
#ifndef EPT_GUARD_EPT02_H
#define EPT_GUARD_EPT02_H

#include "ept-guard/ept12.h"

enum { EPT02_MAX = 136 }; /* more than eight CPUs can have active at once */

struct ept02 {
    uint64_t eptp12; /* 0: free */
    struct ept tree;
    uint64_t last_use;
    uint32_t users;      /* vmcs12s that have this tree loaded in their vmcs02 */
    volatile bool stale; /* the host executed INVEPT: compare with EPT12 before the next entry */
};

enum ept02_answer {
    EPT02_FILLED,           /* the access can be repeated */
    EPT02_VIOLATION,        /* EPT12 does not allow it: the host's business, with these permissions */
    EPT02_MISCONFIGURATION, /* likewise */
    EPT02_FULL,             /* the pool is empty although every tree was dropped */
};

void ept02_init(const struct ept12_format *format);

/* The tree for `eptp12`, made if needed; NULL when none can be had. Takes a use; give it back with ept02_put. */
struct ept02 *ept02_get(uint64_t eptp12);
void ept02_put(struct ept02 *ept02);

/* What goes into vmcs02's EPTP field. */
uint64_t ept02_pointer(const struct ept02 *ept02);

/* Serves an access with `access` (EPT_*) to `address` that EPT02 did not allow. */
enum ept02_answer ept02_fill(struct ept02 *ept02, l2gpa_t address, uint64_t access, uint64_t *permissions);

/* Compares every entry with EPT12 and removes what EPT12 no longer says. The caller flushes its own CPU. */
void ept02_sync(struct ept02 *ept02);

/* Marks the tree of `eptp12`, or all if 0, as stale. */
void ept02_mark_stale(uint64_t eptp12);

/* Drops what all trees map, to be made again on demand. The caller flushes all CPUs. */
void ept02_clear_all(void);

/* The pool is empty: drops what all trees and the host's EPT map, and flushes all CPUs. */
void ept02_make_room(void);

/* Removes mappings of `frame` that have any of `permissions` (EPT_*) from all trees. The caller flushes all CPUs. */
void ept02_revoke(hpa_t frame, uint64_t permissions);

/* What EPT12 entries may look like. */
const struct ept12_format *ept02_format(void);

#endif
