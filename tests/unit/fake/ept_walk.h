/* SPDX-License-Identifier: GPL-2.0-only */
/* Visits every leaf of an EPT in fake RAM: the tests' own walk, for checking what the layer's trees really allow. */
#ifndef TESTS_UNIT_EPT_WALK_H
#define TESTS_UNIT_EPT_WALK_H

#include "ept-guard/ept.h"

typedef void (*ept_visitor)(uint64_t address, uint64_t leaf, unsigned level, void *context);

static inline void ept_visit(hpa_t table, unsigned level, uint64_t address, ept_visitor visit, void *context)
{
    for (unsigned i = 0; i < 512; i++) {
        uint64_t entry = *(const uint64_t *)phys_to_virt(hpa(table.raw + 8 * i));
        uint64_t at = address + i * ept_page_bytes(level);

        if ((entry & EPT_RWX) == 0)
            continue;
        if (ept_is_leaf(entry, level))
            visit(at, entry, level, context);
        else
            ept_visit(hpa(entry & EPT_ADDRESS), level - 1, at, visit, context);
    }
}

#endif
