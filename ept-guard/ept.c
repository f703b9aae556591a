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

/*
 * Walks to the entry of `level` for `address`, or to the one above where the way ends: absent, or a large page. Returns
 * where it is, and its level in `*at`.
 */
static hpa_t descend(const struct ept *ept, uint64_t address, unsigned level, unsigned *at)
{
    hpa_t table = ept->root;

    for (*at = LEVEL_ROOT;; (*at)--) {
        hpa_t where = ept_entry_address(table, ept_index(address, *at));
        uint64_t entry = phys_read64(where);

        if (*at == level || (entry & EPT_RWX) == 0 || ept_is_leaf(entry, *at))
            return where;
        table = hpa(entry & EPT_ADDRESS);
    }
}

/* Puts a table in the place of the entry of `level`: empty, or with the parts of the large page that was there. */
static bool add_table(hpa_t where, unsigned level)
{
    uint64_t part = phys_read64(where);
    hpa_t table = table_alloc();

    if (table.raw == 0)
        return false;
    if (level - 1 == LEVEL_4K)
        part &= ~EPT_LARGE;
    for (unsigned i = 0; i < 512 && (part & EPT_RWX) != 0; i++)
        phys_write64(ept_entry_address(table, i), part + i * ept_page_bytes(level - 1));
    phys_write64(where, table.raw | EPT_RWX);
    return true;
}

/* The address of the entry of `level` for `address`, making tables on the way; raw = 0 when the pool is empty. */
static hpa_t entry_for(struct ept *ept, uint64_t address, unsigned level)
{
    unsigned at;

    for (;;) {
        hpa_t where = descend(ept, address, level, &at);

        if (at == level)
            return where;
        if (!add_table(where, at))
            return hpa(0);
    }
}

static void empty(hpa_t table, unsigned level);

void ept_replace(hpa_t where, unsigned level, uint64_t entry)
{
    uint64_t old = phys_read64(where);
    hpa_t table = hpa(old & EPT_ADDRESS);

    phys_write64(where, entry);
    if ((old & EPT_RWX) == 0 || ept_is_leaf(old, level))
        return;
    empty(table, level - 1);
    phys_write64(table, released);
    released = table.raw;
}

/* Empties a table whose entries are of `level`. */
static void empty(hpa_t table, unsigned level)
{
    for (unsigned i = 0; i < 512; i++)
        ept_replace(ept_entry_address(table, i), level, 0);
}

bool ept_map(struct ept *ept, uint64_t address, unsigned level, uint64_t leaf)
{
    hpa_t where = entry_for(ept, address, level);

    if (where.raw == 0)
        return false;
    ept_replace(where, level, level > LEVEL_4K ? leaf | EPT_LARGE : leaf);
    return true;
}

uint64_t ept_find(const struct ept *ept, uint64_t address, unsigned *level)
{
    uint64_t entry = phys_read64(descend(ept, address, LEVEL_4K, level));

    return (entry & EPT_RWX) != 0 ? entry : 0;
}

bool ept_unmap(struct ept *ept, uint64_t address, unsigned level)
{
    unsigned at;
    hpa_t where = descend(ept, address, level, &at);

    if ((phys_read64(where) & EPT_RWX) == 0)
        return true;
    where = entry_for(ept, address, level);
    if (where.raw == 0)
        return false;
    ept_replace(where, level, 0);
    return true;
}

void ept_clear(struct ept *ept)
{
    empty(ept->root, LEVEL_ROOT);
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
