/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The layer's own walk of an EPT12, a tree in memory that the host can change at any time: each entry is read once,
 * the copy is checked and used. Frames that are not the host's RAM read as all-ones.
 */
#ifndef EPT_GUARD_EPT12_H
#define EPT_GUARD_EPT12_H

#include "ept-guard/ept.h"
#include "nested-vmx/vmx_caps.h"

enum ept12_result { EPT12_OK, EPT12_VIOLATION, EPT12_MISCONFIGURATION, EPT12_RETRY };

struct ept12_format {
    uint64_t reserved; /* address bits beyond the physical width */
    bool execute_only, large_2m, large_1g;
};

struct ept12_leaf {
    uint64_t entry; /* the leaf as read: address and type */
    unsigned level;
    uint64_t permissions; /* EPT_READ | EPT_WRITE | EPT_EXECUTE that all levels allow */
    bool dirty;           /* the leaf's dirty flag is set, or the tree keeps none */
};

struct ept12_format ept12_format(const struct vmx_caps *offer, unsigned physical_bits);

/* The entry of an EPT12 table, or all-ones where the table is not in the host's RAM. */
uint64_t ept12_read(hpa_t where);

/* True if `entry` of `level` is present and malformed (SDM "EPT Misconfigurations"). */
bool ept12_misconfigured(const struct ept12_format *format, uint64_t entry, unsigned level);

/*
 * Walks `eptp12` for an access with `access` (EPT_* permissions) to `address`, setting accessed and dirty flags if the
 * tree keeps them. On a violation `leaf->permissions` holds what the SDM's exit qualification bits 5:3 report.
 * EPT12_RETRY: the host changed an entry meanwhile; let the guest access again.
 */
enum ept12_result ept12_walk(const struct ept12_format *format, uint64_t eptp12, l2gpa_t address, uint64_t access,
                             struct ept12_leaf *leaf);

#endif
