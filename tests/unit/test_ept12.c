/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The walk of an EPT12 that the host writes: permissions of all levels, reserved bits one by one, memory types, large
 * pages, loops, tables outside the host's RAM, accessed and dirty flags, and an entry that changes under the walk.
 */
#include "unit.h"
#include "fake_layer.h"
#include "processors.h"
#include "ept-guard/ept12.h"
#include "ept-guard/frames.h"

#define RAM_BYTES (UINT64_C(1) << 30)
#define EPTP      (UINT64_C(0x1000) | EPTP_WB_WALK_4)
#define ADDRESS   UINT64_C(0x00008040201000) /* index 1 on every level */
#define TARGET    UINT64_C(0x7000000)        /* what a 4 KiB leaf maps */
enum { PHYSICAL_BITS = 39 };

/* The tables of levels 4 to 1 lie at 1000h, 2000h, 3000h and 4000h; entry 1 of each leads to the next. */
static uint64_t table_of(unsigned level)
{
    return (5 - level) * UINT64_C(0x1000);
}

static hpa_t where(unsigned level)
{
    return hpa(table_of(level) + 8);
}

static struct ept12_format format;

static void build(uint64_t rwx4, uint64_t rwx3, uint64_t rwx2, uint64_t rwx1)
{
    phys_write64(where(4), table_of(3) | rwx4);
    phys_write64(where(3), table_of(2) | rwx3);
    phys_write64(where(2), table_of(1) | rwx2);
    phys_write64(where(1), TARGET | EPT_TYPE(TYPE_WB) | rwx1);
}

static int start(void **state)
{
    struct vmx_caps hw = processor_broadwell(), offer;

    (void)state;
    fake_layer_start(RAM_BYTES, 16);
    vmx_caps_offer(&hw, &offer);
    format = ept12_format(&offer, PHYSICAL_BITS);
    build(EPT_RWX, EPT_RWX, EPT_RWX, EPT_RWX);
    return 0;
}

static enum ept12_result walk(uint64_t access, struct ept12_leaf *leaf)
{
    *leaf = (struct ept12_leaf){ 0 };
    return ept12_walk(&format, EPTP, l2gpa(ADDRESS), access, leaf);
}

static enum ept12_result walk_for(uint64_t access)
{
    struct ept12_leaf leaf;

    return walk(access, &leaf);
}

static void finds_a_4k_page(void **state)
{
    struct ept12_leaf leaf;

    (void)state;
    fake_counts.reads = fake_counts.writes = 0;
    assert_int_equal(walk(EPT_READ, &leaf), EPT12_OK);
    assert_int_equal(leaf.entry, TARGET | EPT_TYPE(TYPE_WB) | EPT_RWX);
    assert_int_equal(leaf.level, LEVEL_4K);
    assert_int_equal(leaf.permissions, EPT_RWX);
    assert_true(leaf.dirty);
    assert_int_equal(fake_counts.reads, 4);
    assert_int_equal(fake_counts.writes, 0);
}

static void finds_large_pages(void **state)
{
    struct ept12_leaf leaf;

    (void)state;
    phys_write64(where(2), UINT64_C(0x40200000) | EPT_LARGE | EPT_TYPE(TYPE_WB) | EPT_READ);
    assert_int_equal(walk(EPT_READ, &leaf), EPT12_OK);
    assert_int_equal(leaf.level, LEVEL_2M);
    assert_int_equal(leaf.permissions, EPT_READ);
    assert_int_equal(leaf.entry & EPT_ADDRESS, 0x40200000);
    phys_write64(where(3), UINT64_C(0x80000000) | EPT_LARGE | EPT_EXECUTE | EPT_READ);
    assert_int_equal(walk(EPT_EXECUTE, &leaf), EPT12_OK);
    assert_int_equal(leaf.level, LEVEL_1G);
    assert_int_equal(leaf.permissions, EPT_READ | EPT_EXECUTE);
}

/* SDM "EPT Misconfigurations": permissions that no entry may have. */
static bool permissions_bad(uint64_t rwx, bool execute_only)
{
    return rwx == 2 || rwx == 6 || (rwx == 4 && !execute_only);
}

static enum ept12_result expected_walk(const uint64_t rwx[4], uint64_t access, uint64_t *permissions)
{
    *permissions = EPT_RWX;
    for (int i = 0; i < 4; i++) {
        if (permissions_bad(rwx[i], format.execute_only))
            return EPT12_MISCONFIGURATION;
        *permissions &= rwx[i];
        if (rwx[i] == 0)
            return EPT12_VIOLATION;
    }
    return (*permissions & access) == access ? EPT12_OK : EPT12_VIOLATION;
}

static void all_permissions_of_all_levels(void **state)
{
    static const uint64_t accesses[] = { EPT_READ, EPT_WRITE, EPT_EXECUTE, EPT_READ | EPT_WRITE };

    format.execute_only = *state != NULL;
    for (unsigned code = 0; code < 8 * 8 * 8 * 8; code++) {
        const uint64_t rwx[4] = { code & 7, code >> 3 & 7, code >> 6 & 7, code >> 9 & 7 };

        build(rwx[0], rwx[1], rwx[2], rwx[3]);
        for (size_t i = 0; i < COUNT_OF(accesses); i++) {
            uint64_t permissions;
            enum ept12_result expect = expected_walk(rwx, accesses[i], &permissions);
            struct ept12_leaf leaf;

            if (walk(accesses[i], &leaf) != expect)
                fail_msg("levels 4 to 1 allow %o, access %u", code, (unsigned)accesses[i]);
            if (expect != EPT12_MISCONFIGURATION)
                assert_int_equal(leaf.permissions, permissions);
        }
    }
}

/* A bit that must be 0 in an entry of `level`: SDM "EPT Paging-Structure Entries", formats of each. */
static bool bit_reserved(unsigned bit, unsigned level, bool leaf)
{
    if (bit >= PHYSICAL_BITS && bit < 52)
        return true;
    if (!leaf)
        return (bit >= 3 && bit <= 6) || (bit == 7 && level == LEVEL_ROOT);
    return level > LEVEL_4K && bit >= 12 && bit < ept_shift(level);
}

/* Entries of each level, as a table and as a page, with one more bit set. Bit 7 makes a page of a table. */
static void reserved_bit(void **state)
{
    unsigned bit = (unsigned)(uintptr_t)*state;

    for (unsigned level = LEVEL_4K; level <= LEVEL_ROOT; level++) {
        uint64_t table = table_of(level - 1) | EPT_RWX, page = UINT64_C(0x40000000) | EPT_LARGE | EPT_RWX;

        if (level > LEVEL_4K && !(bit == 7 && level < LEVEL_ROOT) && bit > 2)
            assert_int_equal(ept12_misconfigured(&format, table | UINT64_C(1) << bit, level),
                             bit_reserved(bit, level, false));
        if (level < LEVEL_ROOT && bit > 5) /* not the memory type */
            assert_int_equal(ept12_misconfigured(&format, page | UINT64_C(1) << bit, level),
                             bit_reserved(bit, level, true));
    }
    build(EPT_RWX, EPT_RWX, EPT_RWX, EPT_RWX);
    if (bit_reserved(bit, LEVEL_4K, true)) {
        phys_write64(where(1), TARGET | EPT_RWX | UINT64_C(1) << bit);
        assert_int_equal(walk_for(EPT_READ), EPT12_MISCONFIGURATION);
    }
    if (bit_reserved(bit, LEVEL_ROOT, false)) {
        phys_write64(where(4), table_of(3) | EPT_RWX | UINT64_C(1) << bit);
        assert_int_equal(walk_for(EPT_READ), EPT12_MISCONFIGURATION);
    }
}

/* Nothing of an entry that is not present is looked at. */
static void absent_entries_are_never_malformed(void **state)
{
    (void)state;
    for (unsigned level = LEVEL_4K; level <= LEVEL_ROOT; level++) {
        assert_false(ept12_misconfigured(&format, ~EPT_RWX, level));
        assert_false(ept12_misconfigured(&format, 0, level));
        build(EPT_RWX, EPT_RWX, EPT_RWX, EPT_RWX);
        phys_write64(where(level), ~EPT_RWX);
        assert_int_equal(walk_for(EPT_READ), EPT12_VIOLATION);
    }
}

static void memory_types(void **state)
{
    (void)state;
    for (uint64_t type = 0; type < 8; type++) {
        bool good = type == 0 || type == 1 || type == 4 || type == 5 || type == 6;

        for (unsigned level = LEVEL_4K; level <= LEVEL_1G; level++) {
            uint64_t page = UINT64_C(0x40000000) | EPT_LARGE | EPT_RWX | EPT_TYPE(type);

            assert_int_equal(ept12_misconfigured(&format, page, level), !good);
            assert_int_equal(ept12_misconfigured(&format, page | EPT_IGNORE_PAT, level), !good);
        }
        phys_write64(where(1), TARGET | EPT_TYPE(type) | EPT_RWX);
        assert_int_equal(walk_for(EPT_READ), good ? EPT12_OK : EPT12_MISCONFIGURATION);
    }
}

static void large_pages_that_are_not_offered(void **state)
{
    (void)state;
    format.large_2m = false;
    phys_write64(where(2), UINT64_C(0x40200000) | EPT_LARGE | EPT_RWX);
    assert_int_equal(walk_for(EPT_READ), EPT12_MISCONFIGURATION);
    format.large_2m = true;
    format.large_1g = false;
    assert_int_equal(walk_for(EPT_READ), EPT12_OK);
    phys_write64(where(3), UINT64_C(0x40000000) | EPT_LARGE | EPT_RWX);
    assert_int_equal(walk_for(EPT_READ), EPT12_MISCONFIGURATION);
}

static void the_offer_gives_the_format(void **state)
{
    struct vmx_caps hw = processor_broadwell(), offer;

    (void)state;
    vmx_caps_offer(&hw, &offer);
    assert_true(ept12_format(&offer, 39).execute_only);
    assert_true(ept12_format(&offer, 39).large_2m);
    assert_true(ept12_format(&offer, 39).large_1g);
    assert_int_equal(ept12_format(&offer, 39).reserved, UINT64_C(0x000fff8000000000));
    assert_int_equal(ept12_format(&offer, 52).reserved, 0);
    offer.ept_vpid &= ~(EPT_CAP_EXECUTE_ONLY | EPT_CAP_2M | EPT_CAP_1G);
    assert_false(ept12_format(&offer, 39).execute_only);
    assert_false(ept12_format(&offer, 39).large_2m);
    assert_false(ept12_format(&offer, 39).large_1g);
}

static void loops_end(void **state)
{
    struct ept12_leaf leaf;

    (void)state;
    phys_write64(where(4), table_of(4) | EPT_RWX);
    assert_int_equal(walk(EPT_READ, &leaf), EPT12_OK);
    assert_int_equal(leaf.level, LEVEL_4K);
    assert_int_equal(leaf.entry, table_of(4) | EPT_RWX);
    build(EPT_RWX, EPT_RWX, EPT_RWX, EPT_RWX);
    phys_write64(where(2), table_of(3) | EPT_RWX);
    assert_int_equal(walk(EPT_READ, &leaf), EPT12_OK);
    assert_int_equal(leaf.entry, table_of(2) | EPT_RWX);
}

/* Tables where the host has no RAM read as all-ones; the layer's own memory is not touched. */
static void tables_outside_the_hosts_ram(void **state)
{
    static const uint64_t places[] = { FAKE_POOL_BASE, RAM_BYTES, UINT64_C(0xfee00000), UINT64_C(1) << 38 };

    (void)state;
    fake_forbid(hpa(FAKE_POOL_BASE));
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        struct ept12_leaf leaf;

        assert_int_equal(ept12_read(hpa(places[i])), UINT64_MAX);
        assert_int_equal(ept12_walk(&format, places[i] | EPTP_WB_WALK_4, l2gpa(ADDRESS), EPT_READ, &leaf),
                         EPT12_MISCONFIGURATION);
        for (unsigned level = LEVEL_2M; level <= LEVEL_ROOT; level++) {
            build(EPT_RWX, EPT_RWX, EPT_RWX, EPT_RWX);
            phys_write64(where(level), places[i] | EPT_RWX);
            assert_int_equal(walk_for(EPT_READ), EPT12_MISCONFIGURATION);
        }
    }
    format.reserved = 0; /* all-ones stays malformed on a CPU with 52 address bits */
    for (unsigned level = LEVEL_4K; level <= LEVEL_ROOT; level++)
        assert_true(ept12_misconfigured(&format, UINT64_MAX, level));
}

static void tables_in_watched_and_vm_frames(void **state)
{
    (void)state;
    assert_true(frame_event(hpa(table_of(2)), FRAME_WATCH));
    assert_int_equal(walk_for(EPT_READ), EPT12_OK);
    assert_true(frame_event(hpa(table_of(1)), FRAME_VM_CLAIM));
    fake_forbid(hpa(table_of(1)));
    assert_int_equal(walk_for(EPT_READ), EPT12_MISCONFIGURATION);
}

static enum ept12_result walk_with_flags(uint64_t access, struct ept12_leaf *leaf)
{
    *leaf = (struct ept12_leaf){ 0 };
    return ept12_walk(&format, EPTP | EPTP_ACCESSED_DIRTY, l2gpa(ADDRESS), access, leaf);
}

static uint64_t flags_of(unsigned level)
{
    return phys_read64(where(level)) & (EPT_ACCESSED | EPT_DIRTY);
}

static void sets_accessed_and_dirty_flags(void **state)
{
    struct ept12_leaf leaf;

    (void)state;
    assert_int_equal(walk_with_flags(EPT_READ, &leaf), EPT12_OK);
    assert_false(leaf.dirty);
    for (unsigned level = LEVEL_4K; level <= LEVEL_ROOT; level++)
        assert_int_equal(flags_of(level), EPT_ACCESSED);
    assert_int_equal(walk_with_flags(EPT_READ | EPT_WRITE, &leaf), EPT12_OK);
    assert_true(leaf.dirty);
    assert_int_equal(flags_of(1), EPT_ACCESSED | EPT_DIRTY);
    for (unsigned level = LEVEL_2M; level <= LEVEL_ROOT; level++)
        assert_int_equal(flags_of(level), EPT_ACCESSED);
    fake_counts.writes = 0;
    assert_int_equal(walk_with_flags(EPT_READ, &leaf), EPT12_OK);
    assert_true(leaf.dirty);
    assert_int_equal(fake_counts.writes, 0);
}

static void sets_the_dirty_flag_of_large_pages(void **state)
{
    struct ept12_leaf leaf;

    (void)state;
    phys_write64(where(2), UINT64_C(0x40200000) | EPT_LARGE | EPT_RWX);
    assert_int_equal(walk_with_flags(EPT_WRITE, &leaf), EPT12_OK);
    assert_int_equal(flags_of(2), EPT_ACCESSED | EPT_DIRTY);
    assert_int_equal(flags_of(1), 0);
}

static void refused_accesses_leave_the_leaf_clean(void **state)
{
    struct ept12_leaf leaf;

    (void)state;
    build(EPT_RWX, EPT_RWX, EPT_RWX, EPT_READ);
    assert_int_equal(walk_with_flags(EPT_WRITE, &leaf), EPT12_VIOLATION);
    assert_int_equal(flags_of(1), 0);
    build(EPT_RWX, EPT_READ, EPT_RWX, EPT_RWX);
    assert_int_equal(walk_with_flags(EPT_WRITE, &leaf), EPT12_VIOLATION);
    assert_int_equal(flags_of(1), 0);
}

/* Another CPU of the host's plays here: it writes `racing_value` to the entry of `racing_level`. */
static unsigned racing_level;
static uint64_t racing_value;

static void race(hpa_t pa)
{
    if (pa.raw == where(racing_level).raw) {
        fake_on_cmpxchg = NULL;
        phys_write64(pa, racing_value);
    }
}

static void an_entry_that_changes_means_retry(void **state)
{
    struct ept12_leaf leaf;

    (void)state;
    for (racing_level = LEVEL_4K; racing_level <= LEVEL_ROOT; racing_level++) {
        build(EPT_RWX, EPT_RWX, EPT_RWX, EPT_RWX);
        racing_value = 0x5a5000;
        fake_on_cmpxchg = race;
        assert_int_equal(walk_with_flags(EPT_WRITE, &leaf), EPT12_RETRY);
        assert_int_equal(phys_read64(where(racing_level)), 0x5a5000);
    }
}

/* After an entry was read, its contents in memory are of no interest. */
static void poison_upper_levels(hpa_t pa)
{
    for (unsigned level = LEVEL_2M; level <= LEVEL_ROOT; level++)
        if (pa.raw == where(level - 1).raw)
            phys_write64(where(level), UINT64_MAX);
}

static void each_entry_is_read_once(void **state)
{
    struct ept12_leaf leaf;

    (void)state;
    fake_on_read = poison_upper_levels;
    fake_counts.reads = 0;
    assert_int_equal(walk(EPT_WRITE, &leaf), EPT12_OK);
    assert_int_equal(fake_counts.reads, 4);
    assert_int_equal(leaf.entry, TARGET | EPT_TYPE(TYPE_WB) | EPT_RWX);
}

int main(void)
{
    struct group g = { 0 };

    group_add(&g, finds_a_4k_page, NULL, "finds a 4 KiB page");
    group_add(&g, finds_large_pages, NULL, "finds large pages");
    group_add(&g, all_permissions_of_all_levels, NULL, "all permissions of all levels");
    group_add(&g, all_permissions_of_all_levels, &format, "all permissions of all levels, execute-only offered");
    for (uintptr_t bit = 0; bit < 64; bit++)
        group_add(&g, reserved_bit, (const void *)bit, "reserved bit %u", (unsigned)bit);
    group_add(&g, absent_entries_are_never_malformed, NULL, "absent entries are never malformed");
    group_add(&g, memory_types, NULL, "memory types");
    group_add(&g, large_pages_that_are_not_offered, NULL, "large pages that are not offered");
    group_add(&g, the_offer_gives_the_format, NULL, "the offer gives the format");
    group_add(&g, loops_end, NULL, "loops end");
    group_add(&g, tables_outside_the_hosts_ram, NULL, "tables outside the host's RAM");
    group_add(&g, tables_in_watched_and_vm_frames, NULL, "tables in watched and VM frames");
    group_add(&g, sets_accessed_and_dirty_flags, NULL, "sets accessed and dirty flags");
    group_add(&g, sets_the_dirty_flag_of_large_pages, NULL, "sets the dirty flag of large pages");
    group_add(&g, refused_accesses_leave_the_leaf_clean, NULL, "refused accesses leave the leaf clean");
    group_add(&g, an_entry_that_changes_means_retry, NULL, "an entry that changes means retry");
    group_add(&g, each_entry_is_read_once, NULL, "each entry is read once");
    for (size_t i = 0; i < g.count; i++)
        g.tests[i].setup_func = start;
    return group_run(&g, "ept12");
}
