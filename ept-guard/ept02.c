/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * EPT02 trees. An entry of EPT02 holds EPT12's address and type, at most EPT12's permissions, and no write permission
 * while EPT12's dirty flag is clear or the frame is watched.
 */
#include <stddef.h>
#include "cloudvisor/cpu.h"
#include "cloudvisor/flush.h"
#include "cloudvisor/pool.h"
#include "ept-guard/ept02.h"
#include "ept-guard/frames.h"
#include "ept-guard/host_ept.h"
#include "ept-guard/vm_pages.h"

#define LEAF_BITS (EPT_ADDRESS | EPT_TYPE_MASK | EPT_IGNORE_PAT)

static struct ept12_format format;
static struct ept02 trees[EPT02_MAX];
static uint64_t uses;

void ept02_init(const struct ept12_format *f)
{
    format = *f;
}

const struct ept12_format *ept02_format(void)
{
    return &format;
}

uint64_t ept02_pointer(const struct ept02 *ept02)
{
    return ept02->tree.root.raw | EPTP_WB_WALK_4 | (ept02->eptp12 & EPTP_ACCESSED_DIRTY);
}

static void drop(struct ept02 *ept02)
{
    ept_clear(&ept02->tree);
    cpu_count_stat(this_cpu(), STAT_ept02_drops);
}

void ept02_clear_all(void)
{
    for (struct ept02 *t = trees; t < trees + EPT02_MAX; t++) {
        if (t->eptp12 != 0)
            drop(t);
    }
}

void ept02_make_room(void)
{
    ept02_clear_all();
    host_ept_rebuild();
    flush_all_cpus(this_cpu());
}

/* The tree of `eptp12`, or else the slot used least recently, if at all, of those that no active vmcs12 has; or NULL. */
static struct ept02 *find(uint64_t eptp12)
{
    struct ept02 *oldest = NULL;

    for (struct ept02 *t = trees; t < trees + EPT02_MAX; t++) {
        if (t->eptp12 == eptp12)
            return t;
        if (t->users == 0 && (oldest == NULL || t->last_use < oldest->last_use))
            oldest = t;
    }
    return oldest;
}

/* Gives a slot, that of another tree perhaps, to `eptp12`; false when the pool is empty. */
static bool assign(struct ept02 *t, uint64_t eptp12)
{
    if (t->eptp12 != 0) {
        drop(t);
        t->eptp12 = 0;
        flush_all_cpus(this_cpu());
    } else if (t->tree.root.raw == 0 && !ept_create(&t->tree)) {
        ept02_make_room();
        if (!ept_create(&t->tree))
            return false;
    }
    t->eptp12 = eptp12;
    t->stale = false;
    return true;
}

struct ept02 *ept02_get(uint64_t eptp12)
{
    struct ept02 *t = find(eptp12);

    if (t == NULL || (t->eptp12 != eptp12 && !assign(t, eptp12)))
        return NULL;
    t->users++;
    t->last_use = ++uses;
    return t;
}

void ept02_put(struct ept02 *ept02)
{
    ept02->users--;
}

static bool mapping_restricted(hpa_t page, uint64_t bytes)
{
    return !frames_unrestricted(page, bytes) || host_ept_has_trapped(page, bytes);
}

/* What the frame's state leaves of `permissions`; 0 if it must not be mapped at all. */
static uint64_t allowed_by_frame(hpa_t page, uint64_t permissions)
{
    enum frame_state state = frame_state(page);

    if (state == FRAME_LAYER)
        return 0;
    if (state == FRAME_WATCHED || host_ept_has_trapped(page, 4096))
        return permissions & ~EPT_WRITE;
    return permissions;
}

/* The page of `level` around `offset` bytes into a larger EPT12 leaf. */
static uint64_t part_of_leaf(const struct ept12_leaf *leaf, uint64_t address, unsigned level)
{
    uint64_t offset = address & (ept_page_bytes(leaf->level) - 1) & ~(ept_page_bytes(level) - 1);

    return (leaf->entry & LEAF_BITS) + offset;
}

static enum ept02_answer map_leaf(struct ept02 *ept02, uint64_t address, const struct ept12_leaf *leaf, uint64_t access)
{
    unsigned level = leaf->level;
    uint64_t permissions = leaf->dirty ? leaf->permissions : leaf->permissions & ~EPT_WRITE;
    uint64_t part = part_of_leaf(leaf, address, level);
    unsigned old;

    while (level > LEVEL_4K && mapping_restricted(hpa(part & EPT_ADDRESS), ept_page_bytes(level)))
        part = part_of_leaf(leaf, address, --level);
    if (level == LEVEL_4K) {
        hpa_t page = hpa(part & EPT_ADDRESS);

        vm_frame_touched(page);
        if ((access & EPT_WRITE) != 0 && frame_state(page) == FRAME_WATCHED)
            host_ept_violation(page, true);
        permissions = allowed_by_frame(page, permissions);
        if ((permissions & access) != access)
            return EPT02_VIOLATION;
    }
    if (ept_find(&ept02->tree, address, &old) != 0 && old > level) /* not split: its parts have no notes of their own */
        ept_unmap(&ept02->tree, address, old);
    if (!ept_map(&ept02->tree, address, level, part | permissions)) {
        ept02_make_room();
        if (!ept_map(&ept02->tree, address, level, part | permissions))
            return EPT02_FULL;
    }
    frames_note_mapped(hpa(part & EPT_ADDRESS), ept_page_bytes(level));
    cpu_count_stat(this_cpu(), STAT_ept02_fills);
    if (ept_has_released())
        flush_all_cpus(this_cpu());
    return EPT02_FILLED;
}

enum ept02_answer ept02_fill(struct ept02 *ept02, l2gpa_t address, uint64_t access, uint64_t *permissions)
{
    struct ept12_leaf leaf;

    switch (ept12_walk(&format, ept02->eptp12, address, access, &leaf)) {
    case EPT12_OK: *permissions = leaf.permissions; return map_leaf(ept02, address.raw, &leaf, access);
    case EPT12_RETRY: return EPT02_FILLED;
    case EPT12_MISCONFIGURATION: return EPT02_MISCONFIGURATION;
    case EPT12_VIOLATION: break;
    }
    *permissions = leaf.permissions;
    return EPT02_VIOLATION;
}

/* True if the EPT02 leaf `mine` still says no more than EPT12's `theirs` below tables that allow `permissions`. */
static bool leaf_in_sync(uint64_t mine, uint64_t theirs, unsigned level, uint64_t permissions, bool flags)
{
    if (!ept_is_leaf(theirs, level) || ((mine ^ theirs) & LEAF_BITS) != 0)
        return false;
    if (flags && (theirs & EPT_DIRTY) == 0)
        permissions &= ~EPT_WRITE;
    return (mine & EPT_RWX & ~(permissions & theirs)) == 0;
}

static void sync_table(hpa_t mine, hpa_t theirs, unsigned level, uint64_t permissions, bool flags)
{
    for (unsigned i = 0; i < 512; i++) {
        hpa_t where = ept_entry_address(mine, i);
        uint64_t entry = phys_read64(where), entry12;

        if ((entry & EPT_RWX) == 0)
            continue;
        entry12 = ept12_read(ept_entry_address(theirs, i));
        if ((entry12 & EPT_RWX) == 0 || ept12_misconfigured(&format, entry12, level) ||
            (flags && (entry12 & EPT_ACCESSED) == 0) || ept_is_leaf(entry, level) != ept_is_leaf(entry12, level) ||
            (ept_is_leaf(entry, level) && !leaf_in_sync(entry, entry12, level, permissions, flags))) {
            ept_replace(where, level, 0);
        } else if (!ept_is_leaf(entry, level)) {
            sync_table(hpa(entry & EPT_ADDRESS), hpa(entry12 & EPT_ADDRESS), level - 1, permissions & entry12, flags);
        }
    }
}

void ept02_sync(struct ept02 *ept02)
{
    cpu_count_stat(this_cpu(), STAT_ept02_syncs);
    sync_table(ept02->tree.root, hpa(ept02->eptp12 & EPT_ADDRESS), LEVEL_ROOT, EPT_RWX,
               (ept02->eptp12 & EPTP_ACCESSED_DIRTY) != 0);
    ept02->stale = false; /* only now: another CPU that looks without the lock must not go ahead before */
    if (ept_has_released())
        flush_all_cpus(this_cpu());
}

void ept02_mark_stale(uint64_t eptp12)
{
    for (struct ept02 *t = trees; t < trees + EPT02_MAX; t++) {
        if (t->eptp12 != 0 && (eptp12 == 0 || ((t->eptp12 ^ eptp12) & EPT_ADDRESS) == 0))
            t->stale = true;
    }
}

static void revoke_in_table(hpa_t table, unsigned level, hpa_t frame, uint64_t permissions)
{
    for (unsigned i = 0; i < 512; i++) {
        hpa_t where = ept_entry_address(table, i);
        uint64_t entry = phys_read64(where);

        if ((entry & EPT_RWX) == 0)
            continue;
        if (!ept_is_leaf(entry, level))
            revoke_in_table(hpa(entry & EPT_ADDRESS), level - 1, frame, permissions);
        else if ((entry & permissions) != 0 && ((entry ^ frame.raw) & EPT_ADDRESS & ~(ept_page_bytes(level) - 1)) == 0)
            phys_write64(where, 0);
    }
}

void ept02_revoke(hpa_t frame, uint64_t permissions)
{
    for (struct ept02 *t = trees; t < trees + EPT02_MAX; t++) {
        if (t->eptp12 != 0)
            revoke_in_table(t->tree.root, LEVEL_ROOT, frame, permissions);
    }
}
