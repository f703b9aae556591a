/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Building EPTs. See ept.h.
 */
#include "untrusted-hypervisor-harness/core/ept.h"
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/vmx.h"

static uint64_t new_table(struct ept *ept)
{
    uint64_t page = arena_page(ARENA_EPT_PAGES, ept->next_page);

    if (ept->next_page++ >= ept->last_page)
        harness_abort("out of EPT pages");
    clear_pages(page, 1);
    return page;
}

void ept_init(struct ept *ept, unsigned first, unsigned count)
{
    ept->next_page = first;
    ept->last_page = first + count;
    ept->root = new_table(ept);
}

uint64_t ept_level_size(enum ept_level level)
{
    return PAGE_SIZE << (9 * (level - 1));
}

uint64_t *ept_entry(struct ept *ept, uint64_t gpa, enum ept_level level)
{
    uint64_t *table = physical_pointer(ept->root);

    for (unsigned l = EPT_LEVEL_PML4;; l--) {
        uint64_t *entry = &table[gpa >> (12 + 9 * (l - 1)) & 0x1ff];

        if (l == level)
            return entry;
        if ((*entry & EPT_ALL) == 0)
            *entry = new_table(ept) | EPT_ALL;
        table = physical_pointer(*entry & EPT_ADDRESS);
    }
}

void ept_map(struct ept *ept, uint64_t gpa, uint64_t hpa, enum ept_level level, uint64_t flags)
{
    *ept_entry(ept, gpa, level) = hpa | flags | (level == EPT_LEVEL_4K ? 0 : EPT_LARGE);
}

void ept_map_range(struct ept *ept, uint64_t gpa, uint64_t hpa, uint64_t size, enum ept_level level, uint64_t flags)
{
    for (uint64_t done = 0; done < size; done += ept_level_size(level))
        ept_map(ept, gpa + done, hpa + done, level, flags);
}

void ept_invalidate(void)
{
    uint64_t descriptor[2] = { 0, 0 };
    struct outcome o = try_invept(2, descriptor);

    if (o.kind != OUTCOME_SUCCEED)
        harness_abort("INVEPT failed");
}
