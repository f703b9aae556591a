/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * EPT paging structures of the layer's own: map, find, remove. Knows nothing of who owns what. A table is complete
 * before it is published. Tables come from the pool; those taken out of a tree are kept aside until every CPU has
 * flushed (ept_reap). Callers hold layer_lock.
 */
#ifndef EPT_GUARD_EPT_H
#define EPT_GUARD_EPT_H

#include <stdbool.h>
#include "hw.h"

/*
 * An entry (SDM "EPT Paging-Structure Entries"):
 *   63      52 51          12 11 10 9 8   7    6   5   3 2 1 0
 *  | ignored  |   address    | ign |D|A|large|IPAT| type |X|W|R|
 */
#define EPT_READ       UINT64_C(1)
#define EPT_WRITE      UINT64_C(2)
#define EPT_EXECUTE    UINT64_C(4)
#define EPT_RWX        UINT64_C(7)
#define EPT_TYPE(t)    ((uint64_t)(t) << 3)
#define EPT_TYPE_MASK  (UINT64_C(7) << 3)
#define EPT_IGNORE_PAT (UINT64_C(1) << 6)
#define EPT_LARGE      (UINT64_C(1) << 7)
#define EPT_ACCESSED   (UINT64_C(1) << 8)
#define EPT_DIRTY      (UINT64_C(1) << 9)
#define EPT_ADDRESS    UINT64_C(0x000ffffffffff000)

enum { TYPE_UC = 0, TYPE_WC = 1, TYPE_WT = 4, TYPE_WP = 5, TYPE_WB = 6 };

/* True for a memory type of MTRRs and EPT. */
static inline bool memory_type_valid(uint64_t type)
{
    return type <= TYPE_WB && type != 2 && type != 3;
}

/* EPTP bits: write-back, 4-level walk, accessed and dirty flags. */
#define EPTP_WB_WALK_4      UINT64_C(0x1e)
#define EPTP_ACCESSED_DIRTY (UINT64_C(1) << 6)

/* Levels as the SDM's tables: 1 = page table, 2 = directory (2 MiB), 3 = pointer table (1 GiB), 4 = the root. */
enum { LEVEL_4K = 1, LEVEL_2M = 2, LEVEL_1G = 3, LEVEL_ROOT = 4 };

static inline unsigned ept_shift(unsigned level)
{
    return 12 + 9 * (level - 1);
}

static inline uint64_t ept_page_bytes(unsigned level)
{
    return UINT64_C(1) << ept_shift(level);
}

static inline unsigned ept_index(uint64_t address, unsigned level)
{
    return (unsigned)(address >> ept_shift(level)) & 511u;
}

static inline bool ept_is_leaf(uint64_t entry, unsigned level)
{
    return level == LEVEL_4K || (entry & EPT_LARGE) != 0;
}

struct ept {
    hpa_t root;
};

/* False when the pool is empty. */
bool ept_create(struct ept *ept);

/*
 * Maps the page of `level` around `address` with `leaf`, an entry without EPT_LARGE. A larger page there is split
 * (its other parts stay mapped), smaller ones are replaced. False when the pool is empty; nothing is changed then.
 */
bool ept_map(struct ept *ept, uint64_t address, unsigned level, uint64_t leaf);

/* The leaf that maps `address` and its level; 0 if none. */
uint64_t ept_find(const struct ept *ept, uint64_t address, unsigned *level);

/* Removes what maps the page of `level` around `address`, splitting a larger page. False when the pool is empty. */
bool ept_unmap(struct ept *ept, uint64_t address, unsigned level);

/* Writes an entry of `level`; the tables below the old one are out of use and await ept_reap. */
void ept_replace(hpa_t where, unsigned level, uint64_t entry);

/* Empties the tree but for its root; and gives the root of an empty tree back. */
void ept_clear(struct ept *ept);
void ept_free_root(struct ept *ept);

/* True if tables await freeing; they may be freed when all CPUs have flushed. */
bool ept_has_released(void);
void ept_reap(void);

/* Tables in use by all trees. */
uint64_t ept_table_count(void);

/* The address of entry `index` of the table at `table`. */
static inline hpa_t ept_entry_address(hpa_t table, unsigned index)
{
    return hpa(table.raw + 8u * index);
}

#endif
