/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * EPT paging structures that the harness builds for its guests, out of ARENA_EPT_PAGES. Nothing is checked: tests
 * make wrong ones on purpose.
 */
#ifndef HARNESS_EPT_H
#define HARNESS_EPT_H

#include <stdint.h>

enum ept_level { EPT_LEVEL_4K = 1, EPT_LEVEL_2M = 2, EPT_LEVEL_1G = 3, EPT_LEVEL_PML4 = 4 };

#define EPT_READ     UINT64_C(1)
#define EPT_WRITE    UINT64_C(2)
#define EPT_EXECUTE  UINT64_C(4)
#define EPT_ALL      (EPT_READ | EPT_WRITE | EPT_EXECUTE)
#define EPT_TYPE(t)  ((uint64_t)(t) << 3)
#define EPT_WB       EPT_TYPE(6)
#define EPT_LARGE    UINT64_C(0x80)
#define EPT_ACCESSED UINT64_C(0x100)
#define EPT_DIRTY    UINT64_C(0x200)
#define EPT_ADDRESS  UINT64_C(0x000ffffffffff000)

#define EPTP_WB     UINT64_C(6)
#define EPTP_WALK_4 (UINT64_C(3) << 3)
#define EPTP_AD     UINT64_C(0x40)

struct ept {
    uint64_t root;
    unsigned next_page, last_page; /* of ARENA_EPT_PAGES */
};

/* Starts an empty EPT in `count` pages from `first`. */
void ept_init(struct ept *ept, unsigned first, unsigned count);

/* The entry for `gpa` at `level`; missing tables above it are made, with every right. */
uint64_t *ept_entry(struct ept *ept, uint64_t gpa, enum ept_level level);

/* Maps one page of the level's size; `flags` = rights, memory type, ignored bits. */
void ept_map(struct ept *ept, uint64_t gpa, uint64_t hpa, enum ept_level level, uint64_t flags);
void ept_map_range(struct ept *ept, uint64_t gpa, uint64_t hpa, uint64_t size, enum ept_level level, uint64_t flags);

/* INVEPT, all contexts. In VMX operation. */
void ept_invalidate(void);

uint64_t ept_level_size(enum ept_level level);

static inline uint64_t ept_pointer(const struct ept *ept)
{
    return ept->root | EPTP_WALK_4 | EPTP_WB;
}

#endif
