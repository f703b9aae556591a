/* SPDX-License-Identifier: GPL-2.0-only */
/* Trees of EPT tables. Released tables are linked through their first word, which then maps nothing (bits 2:0 = 0). */
#include "cloudvisor/pool.h"
#include "ept-guard/ept.h"

static uint64_t released;
static uint64_t tables;

static hpa_t table_alloc(void)
{
    hpa_t table = pool_alloc();

    if (table.raw != 0)
        tables++;
    return table;
}

bool ept_create(struct ept *ept)
{
    ept->root = table_alloc();
    return ept->root.raw != 0;
}

/* Fills a new table with the parts of the large page `leaf` of `level`; returns the entry that points to it, or 0. */
static uint64_t split(uint64_t leaf, unsigned level)
{
    hpa_t table = table_alloc();
    uint64_t part = leaf;

    if (table.raw == 0)
        return 0;
    if (level - 1 == LEVEL_4K)
        part &= ~EPT_LARGE;
    for (unsigned i = 0; i < 512; i++)
        phys_write64(ept_entry_address(table, i), part + i * ept_page_bytes(level - 1));
    return table.raw | EPT_RWX;
}

/* The address of the entry of `level` for `address`, making tables on the way; raw = 0 when the pool is empty. */
static hpa_t entry_for(struct ept *ept, uint64_t address, unsigned level)
{
    hpa_t table = ept->root;
    unsigned at = LEVEL_ROOT;

    for (;;) {
        hpa_t where = ept_entry_address(table, ept_index(address, at));
        uint64_t entry;

        if (at == level)
            return where;
        entry = phys_read64(where);
        if ((entry & EPT_RWX) == 0) {
            hpa_t fresh = table_alloc();
            if (fresh.raw == 0)
                return hpa(0);
            entry = fresh.raw | EPT_RWX;
            phys_write64(where, entry);
        } else if (ept_is_leaf(entry, at)) {
            entry = split(entry, at);
            if (entry == 0)
                return hpa(0);
            phys_write64(where, entry);
        }
        table = hpa(entry & EPT_ADDRESS);
        at--;
    }
}

bool ept_map(struct ept *ept, uint64_t address, unsigned level, uint64_t leaf)
{
    hpa_t where = entry_for(ept, address, level);
    uint64_t old;

    if (where.raw == 0)
        return false;
    old = phys_read64(where);
    phys_write64(where, level > LEVEL_4K ? leaf | EPT_LARGE : leaf);
    ept_release(old, level);
    return true;
}

uint64_t ept_find(const struct ept *ept, uint64_t address, unsigned *level)
{
    hpa_t table = ept->root;

    for (unsigned at = LEVEL_ROOT; at >= LEVEL_4K; at--) {
        uint64_t entry = phys_read64(ept_entry_address(table, ept_index(address, at)));

        if ((entry & EPT_RWX) == 0)
            return 0;
        if (ept_is_leaf(entry, at)) {
            *level = at;
            return entry;
        }
        table = hpa(entry & EPT_ADDRESS);
    }
    return 0;
}

/* True if a table or leaf of `level` or above is there for `address`. */
static bool reaches(const struct ept *ept, uint64_t address, unsigned level)
{
    hpa_t table = ept->root;

    for (unsigned at = LEVEL_ROOT;; at--) {
        uint64_t entry = phys_read64(ept_entry_address(table, ept_index(address, at)));

        if ((entry & EPT_RWX) == 0)
            return false;
        if (at == level || ept_is_leaf(entry, at))
            return true;
        table = hpa(entry & EPT_ADDRESS);
    }
}

bool ept_unmap(struct ept *ept, uint64_t address, unsigned level)
{
    uint64_t old;
    hpa_t where;

    if (!reaches(ept, address, level))
        return true;
    where = entry_for(ept, address, level);
    if (where.raw == 0)
        return false;
    old = phys_read64(where);
    phys_write64(where, 0);
    ept_release(old, level);
    return true;
}

void ept_release(uint64_t entry, unsigned level)
{
    hpa_t table = hpa(entry & EPT_ADDRESS);

    if ((entry & EPT_RWX) == 0 || ept_is_leaf(entry, level))
        return;
    for (unsigned i = 0; i < 512; i++) {
        hpa_t where = ept_entry_address(table, i);
        uint64_t below = phys_read64(where);

        phys_write64(where, 0);
        ept_release(below, level - 1);
    }
    phys_write64(table, released);
    released = table.raw;
}

void ept_clear(struct ept *ept)
{
    for (unsigned i = 0; i < 512; i++) {
        hpa_t where = ept_entry_address(ept->root, i);
        uint64_t entry = phys_read64(where);

        phys_write64(where, 0);
        ept_release(entry, LEVEL_ROOT);
    }
}

void ept_free_root(struct ept *ept)
{
    pool_free(ept->root);
    tables--;
    ept->root = hpa(0);
}

bool ept_has_released(void)
{
    return released != 0;
}

void ept_reap(void)
{
    while (released != 0) {
        hpa_t table = hpa(released);

        released = phys_read64(table);
        pool_free(table);
        tables--;
    }
}

uint64_t ept_table_count(void)
{
    return tables;
}
