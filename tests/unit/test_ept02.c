/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * EPT02: filled from an EPT12 that the host changes at will, re-synchronised after INVEPT, shared and dropped under
 * memory pressure. After every step each of its leaves must be allowed by the state of every frame below it, and
 * after a synchronisation by what EPT12 says at that moment.
 */
#include "unit.h"
#include "fake_layer.h"
#include "ept_walk.h"
#include "processors.h"
#include "cloudvisor/pool.h"
#include "ept-guard/frames.h"
#include "ept-guard/host_ept.h"
#include "ept-guard/ept02.c" /* NOLINT: each test starts without trees, which are the file's own */

#define RAM_BYTES (UINT64_C(1) << 30)
#define APIC      UINT64_C(0xfee00000)
#define EPTP      (UINT64_C(0x100000) | EPTP_WB_WALK_4)
#define EPTP_AD   (EPTP | EPTP_ACCESSED_DIRTY)
#define GUEST     UINT64_C(0x40000000)
enum { PHYSICAL_BITS = 40 };

static struct ept02 *tree;

/* ---- The host's side: an EPT12 at 100000h, its tables taken one after the other. ---- */

static uint64_t host_next;

static uint64_t host_table(void)
{
    host_next += 4096;
    return host_next;
}

/* Where the entry of `level` for `address` lies; makes tables that allow everything on the way. */
static hpa_t host_entry(uint64_t address, unsigned level)
{
    uint64_t table = EPTP & EPT_ADDRESS;

    for (unsigned at = LEVEL_ROOT; at > level; at--) {
        hpa_t where = hpa(table + 8 * ept_index(address, at));
        uint64_t entry = phys_read64(where);

        if ((entry & EPT_RWX) == 0 || ept_is_leaf(entry, at) || frame_state(hpa(entry & EPT_ADDRESS)) != FRAME_HOST) {
            entry = host_table() | EPT_RWX;
            phys_write64(where, entry);
        }
        table = entry & EPT_ADDRESS;
    }
    return hpa(table + 8 * ept_index(address, level));
}

static void host_maps(uint64_t address, unsigned level, uint64_t leaf)
{
    phys_write64(host_entry(address, level), leaf | (level > LEVEL_4K ? EPT_LARGE : 0));
}

/* ---- Set-up and the invariant. ---- */

static void start_with(size_t pool, uint64_t eptp12)
{
    struct mtrrs m = { .cap = 0x508, .default_type = 0x806, .address_mask = ((UINT64_C(1) << PHYSICAL_BITS) - 4096) };
    struct vmx_caps hw = processor_broadwell(), offer;
    struct ept12_format f;

    ept_reap();
    memset(trees, 0, sizeof(trees));
    fake_layer_start(RAM_BYTES, pool);
    host_next = EPTP & EPT_ADDRESS;
    vmx_caps_offer(&hw, &offer);
    f = ept12_format(&offer, PHYSICAL_BITS);
    ept02_init(&f);
    assert_true(host_ept_init(&m, PHYSICAL_BITS, true, true));
    tree = ept02_get(eptp12);
    assert_non_null(tree);
}

static int start(void **state)
{
    (void)state;
    start_with(512, EPTP);
    fake_forbid(hpa(0)); /* an absent entry must not be followed */
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ept_reap();
    return 0;
}

static void check_leaf(uint64_t address, uint64_t leaf, unsigned level, void *context)
{
    uint64_t page = leaf & EPT_ADDRESS & ~(ept_page_bytes(level) - 1);

    (void)context;
    for (uint64_t pa = page; pa < page + ept_page_bytes(level); pa += 4096) {
        enum frame_state s = frame_state(hpa(pa));

        if (s == FRAME_LAYER || s == FRAME_VM || s == FRAME_BOUND)
            fail_msg("guest %#llx reaches %#llx, which is not the host's", (unsigned long long)address,
                     (unsigned long long)pa);
        if ((leaf & EPT_WRITE) != 0 && (s == FRAME_WATCHED || pa == APIC))
            fail_msg("guest %#llx can write %#llx", (unsigned long long)address, (unsigned long long)pa);
    }
}

static void check_tree(void)
{
    ept_visit(tree->tree.root, LEVEL_ROOT, 0, check_leaf, NULL);
}

static enum ept02_answer access_by_guest(uint64_t address, uint64_t access)
{
    uint64_t permissions = 99;
    enum ept02_answer answer = ept02_fill(tree, l2gpa(address), access, &permissions);

    check_tree();
    return answer;
}

static uint64_t mapping(uint64_t address, unsigned *level)
{
    *level = 0;
    return ept_find(&tree->tree, address, level);
}

static void expect(uint64_t address, unsigned level, uint64_t leaf)
{
    unsigned found;
    uint64_t entry = mapping(address, &found);

    assert_int_equal(entry, leaf | (level > LEVEL_4K && leaf != 0 ? EPT_LARGE : 0));
    if (leaf != 0)
        assert_int_equal(found, level);
}

/* ---- Tests. ---- */

static void fills_on_demand(void **state)
{
    (void)state;
    expect(GUEST, 0, 0);
    host_maps(GUEST, LEVEL_4K, 0x5000 | EPT_TYPE(TYPE_WB) | EPT_RWX);
    host_maps(GUEST + 4096, LEVEL_4K, 0x6000 | EPT_TYPE(TYPE_UC) | EPT_IGNORE_PAT | EPT_READ);
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_FILLED);
    expect(GUEST, LEVEL_4K, 0x5000 | EPT_TYPE(TYPE_WB) | EPT_RWX);
    expect(GUEST + 4096, 0, 0);
    assert_int_equal(access_by_guest(GUEST + 4096, EPT_READ), EPT02_FILLED);
    expect(GUEST + 4096, LEVEL_4K, 0x6000 | EPT_IGNORE_PAT | EPT_READ);
}

static void keeps_large_pages(void **state)
{
    (void)state;
    host_maps(GUEST, LEVEL_2M, 0x20000000 | EPT_TYPE(TYPE_WB) | EPT_RWX);
    assert_int_equal(access_by_guest(GUEST + 0x12345, EPT_WRITE), EPT02_FILLED);
    expect(GUEST, LEVEL_2M, 0x20000000 | EPT_TYPE(TYPE_WB) | EPT_RWX);
    host_maps(UINT64_C(1) << 39, LEVEL_1G, (UINT64_C(1) << 38) | EPT_READ);
    assert_int_equal(access_by_guest((UINT64_C(1) << 39) + 0x2345678, EPT_READ), EPT02_FILLED);
    expect(UINT64_C(1) << 39, LEVEL_1G, (UINT64_C(1) << 38) | EPT_READ);
}

static void permissions_of_all_levels_count(void **state)
{
    uint64_t permissions = 99;

    (void)state;
    host_maps(GUEST, LEVEL_4K, 0x5000 | EPT_RWX);
    phys_write64(host_entry(GUEST, LEVEL_2M), (phys_read64(host_entry(GUEST, LEVEL_2M)) & ~EPT_RWX) | EPT_READ);
    assert_int_equal(ept02_fill(tree, l2gpa(GUEST), EPT_WRITE, &permissions), EPT02_VIOLATION);
    assert_int_equal(permissions, EPT_READ);
    assert_int_equal(ept02_fill(tree, l2gpa(GUEST + 0x5000), EPT_WRITE, &permissions), EPT02_VIOLATION);
    assert_int_equal(permissions, 0);
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_FILLED);
    expect(GUEST, LEVEL_4K, 0x5000 | EPT_READ);
}

static void misconfigurations_are_the_hosts(void **state)
{
    (void)state;
    host_maps(GUEST, LEVEL_4K, 0x5000 | EPT_WRITE);
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_MISCONFIGURATION);
    host_maps(GUEST, LEVEL_4K, 0x5000 | EPT_TYPE(7) | EPT_RWX);
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_MISCONFIGURATION);
    expect(GUEST, 0, 0);
}

static void the_layers_frames_are_never_mapped(void **state)
{
    (void)state;
    host_maps(GUEST, LEVEL_4K, (FAKE_POOL_BASE + 0x5000) | EPT_RWX);
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_VIOLATION);
    expect(GUEST, 0, 0);
    host_maps(GUEST, LEVEL_2M, FAKE_POOL_BASE | EPT_RWX); /* 512 pages of the pool: all the layer's */
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_VIOLATION);
    host_maps(0, LEVEL_1G, EPT_RWX);
    assert_int_equal(access_by_guest(FAKE_POOL_BASE, EPT_READ), EPT02_VIOLATION);
    assert_int_equal(access_by_guest(FAKE_POOL_BASE + 0x200000, EPT_WRITE), EPT02_FILLED);
    expect(FAKE_POOL_BASE + 0x200000, LEVEL_2M, (FAKE_POOL_BASE + 0x200000) | EPT_RWX);
    expect(FAKE_POOL_BASE, 0, 0);
}

/* The touch of a neighbour maps around the frame; its own touch takes it from the protected VM before it is mapped. */
static void protected_frames_are_mapped_only_after_they_changed_hands(void **state)
{
    static const enum frame_event into[] = { FRAME_VM_CLAIM, FRAME_VM_BIND };

    (void)state;
    host_maps(0, LEVEL_1G, EPT_RWX);
    for (unsigned i = 0; i < COUNT_OF(into); i++) {
        uint64_t page = 0x6000000 + i * 0x400000;

        assert_true(frame_event(hpa(page), into[i]));
        assert_int_equal(access_by_guest(page + 0x1000, EPT_READ), EPT02_FILLED);
        expect(page + 0x1000, LEVEL_4K, (page + 0x1000) | EPT_RWX);
        expect(page, 0, 0);
        assert_int_equal(access_by_guest(page, EPT_READ), EPT02_FILLED);
        assert_int_equal(frame_state(hpa(page)), FRAME_HOST);
        expect(page, LEVEL_4K, page | EPT_RWX);
    }
}

static void the_trapped_apic_is_never_writable(void **state)
{
    (void)state;
    host_maps(GUEST, LEVEL_4K, APIC | EPT_RWX);
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_FILLED);
    expect(GUEST, LEVEL_4K, APIC | EPT_READ | EPT_EXECUTE);
    assert_int_equal(access_by_guest(GUEST, EPT_WRITE), EPT02_VIOLATION);
    host_maps(GUEST, LEVEL_2M, APIC | EPT_RWX);
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_FILLED);
    expect(GUEST, LEVEL_4K, APIC | EPT_READ | EPT_EXECUTE);
}

static void watched_frames_are_read_only(void **state)
{
    (void)state;
    host_maps(GUEST, LEVEL_2M, 0x20000000 | EPT_RWX);
    assert_true(host_ept_watch(hpa(0x20003000)));
    assert_int_equal(access_by_guest(GUEST + 0x3000, EPT_READ), EPT02_FILLED);
    expect(GUEST + 0x3000, LEVEL_4K, 0x20003000 | EPT_READ | EPT_EXECUTE);
    assert_int_equal(access_by_guest(GUEST + 0x4000, EPT_WRITE), EPT02_FILLED);
    expect(GUEST + 0x4000, LEVEL_4K, 0x20004000 | EPT_RWX);
    assert_int_equal(access_by_guest(GUEST + 0x3000, EPT_WRITE), EPT02_FILLED);
    assert_int_equal(frame_state(hpa(0x20003000)), FRAME_HOST);
    assert_int_equal(fake_frame_written, 0x20003000);
}

/* A watch that begins after the VM mapped the frame: no tree keeps a writable mapping of it. */
static void revoking_finds_every_mapping(void **state)
{
    unsigned level;

    (void)state;
    host_maps(GUEST, LEVEL_2M, 0x20000000 | EPT_RWX);
    host_maps(GUEST + 0x200000, LEVEL_4K, 0x20003000 | EPT_RWX);
    host_maps(GUEST + 0x201000, LEVEL_4K, 0x20003000 | EPT_READ);
    host_maps(GUEST + 0x202000, LEVEL_4K, 0x20004000 | EPT_RWX);
    for (uint64_t at = 0; at < 3; at++)
        assert_int_equal(access_by_guest(GUEST + 0x200000 + at * 4096, EPT_READ), EPT02_FILLED);
    assert_int_equal(access_by_guest(GUEST, EPT_WRITE), EPT02_FILLED);
    assert_true(host_ept_watch(hpa(0x20003000)));
    ept02_revoke(hpa(0x20003000), EPT_WRITE);
    check_tree();
    expect(GUEST + 0x200000, 0, 0);
    expect(GUEST + 0x201000, LEVEL_4K, 0x20003000 | EPT_READ);
    assert_int_equal(mapping(GUEST + 0x202000, &level), 0x20004000 | EPT_RWX);
    expect(GUEST, 0, 0);
}

/* ---- Accessed and dirty flags. ---- */

static int start_with_flags(void **state)
{
    (void)state;
    start_with(512, EPTP_AD);
    return 0;
}

static void no_write_before_the_dirty_flag(void **state)
{
    const uint64_t flags = EPT_ACCESSED | EPT_DIRTY;

    (void)state;
    host_maps(GUEST, LEVEL_4K, 0x5000 | EPT_RWX);
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_FILLED);
    expect(GUEST, LEVEL_4K, 0x5000 | EPT_READ | EPT_EXECUTE);
    assert_int_equal(phys_read64(host_entry(GUEST, LEVEL_4K)) & flags, EPT_ACCESSED);
    assert_int_equal(access_by_guest(GUEST, EPT_WRITE), EPT02_FILLED);
    expect(GUEST, LEVEL_4K, 0x5000 | EPT_RWX);
    assert_int_equal(phys_read64(host_entry(GUEST, LEVEL_4K)) & flags, flags);
}

static void cleared_flags_are_noticed_at_a_sync(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 2; i++) {
        host_maps(GUEST + i * 4096, LEVEL_4K, (0x5000 + i * 4096) | EPT_RWX);
        assert_int_equal(access_by_guest(GUEST + i * 4096, EPT_WRITE), EPT02_FILLED);
    }
    host_maps(GUEST, LEVEL_4K, 0x5000 | EPT_RWX | EPT_ACCESSED);     /* dirty cleared */
    host_maps(GUEST + 4096, LEVEL_4K, 0x6000 | EPT_RWX | EPT_DIRTY); /* accessed cleared */
    ept02_sync(tree);
    expect(GUEST, 0, 0);
    expect(GUEST + 4096, 0, 0);
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_FILLED);
    expect(GUEST, LEVEL_4K, 0x5000 | EPT_READ | EPT_EXECUTE);
}

/* A page that was only read, and one that was written: both stay as they are while the host leaves the flags alone. */
static void unchanged_flags_keep_the_pages(void **state)
{
    (void)state;
    host_maps(GUEST, LEVEL_4K, 0x5000 | EPT_RWX);
    host_maps(GUEST + 4096, LEVEL_4K, 0x6000 | EPT_RWX);
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_FILLED);
    assert_int_equal(access_by_guest(GUEST + 4096, EPT_WRITE), EPT02_FILLED);
    ept02_sync(tree);
    expect(GUEST, LEVEL_4K, 0x5000 | EPT_READ | EPT_EXECUTE);
    expect(GUEST + 4096, LEVEL_4K, 0x6000 | EPT_RWX);
}

static void accessed_flags_of_tables_are_noticed_at_a_sync(void **state)
{
    hpa_t where;

    (void)state;
    host_maps(GUEST, LEVEL_4K, 0x5000 | EPT_RWX);
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_FILLED);
    where = host_entry(GUEST, LEVEL_2M);
    phys_write64(where, phys_read64(where) & ~EPT_ACCESSED);
    ept02_sync(tree);
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_FILLED);
    assert_int_equal(phys_read64(where) & EPT_ACCESSED, EPT_ACCESSED);
    where = host_entry(GUEST, LEVEL_2M);
    phys_write64(where, phys_read64(where) & ~EPT_ACCESSED);
    ept02_sync(tree);
    expect(GUEST, 0, 0);
}

static void the_pointer_keeps_the_flag(void **state)
{
    (void)state;
    assert_int_equal(ept02_pointer(tree), tree->tree.root.raw | EPTP_WB_WALK_4 | EPTP_ACCESSED_DIRTY);
    start_with(512, EPTP);
    assert_int_equal(ept02_pointer(tree), tree->tree.root.raw | EPTP_WB_WALK_4);
}

/* ---- Synchronisation. ---- */

/* Each change of EPT12 that takes something away must be gone after the sync, and what did not change must stay. */
static void changes_take_effect_at_a_sync(void **state)
{
    static const struct {
        uint64_t before, after;
        bool stays;
    } changes[] = {
        { 0x5000 | EPT_RWX, 0x5000 | EPT_RWX, true },
        { 0x5000 | EPT_RWX, 0, false },
        { 0x5000 | EPT_RWX, 0x6000 | EPT_RWX, false },
        { 0x5000 | EPT_RWX, 0x5000 | EPT_READ, false },
        { 0x5000 | EPT_RWX, 0x5000 | EPT_READ | EPT_WRITE, false },
        { 0x5000 | EPT_RWX, 0x5000 | EPT_RWX | EPT_TYPE(TYPE_WB), false },
        { 0x5000 | EPT_RWX, 0x5000 | EPT_RWX | EPT_IGNORE_PAT, false },
        { 0x5000 | EPT_RWX, 0x5000 | EPT_RWX | EPT_TYPE(7), false },
        { 0x5000 | EPT_RWX, 0x5000 | EPT_RWX | (UINT64_C(1) << 41), false },
        { 0x5000 | EPT_RWX, 0x5000 | EPT_WRITE, false },
        { 0x5000 | EPT_READ, 0x5000 | EPT_RWX, true },
        { 0x5000 | EPT_RWX, 0x5000 | EPT_RWX | (UINT64_C(0xfff) << 52) | 0xf00, true }, /* ignored bits */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        unsigned level;

        start_with(512, EPTP);
        host_maps(GUEST, LEVEL_4K, changes[i].before);
        host_maps(GUEST + 4096, LEVEL_4K, 0x9000 | EPT_RWX);
        assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_FILLED);
        assert_int_equal(access_by_guest(GUEST + 4096, EPT_READ), EPT02_FILLED);
        host_maps(GUEST, LEVEL_4K, changes[i].after);
        ept02_sync(tree);
        if ((mapping(GUEST, &level) != 0) != changes[i].stays)
            fail_msg("change %u", (unsigned)i);
        expect(GUEST + 4096, LEVEL_4K, 0x9000 | EPT_RWX);
        stop(NULL);
    }
}

static void tables_that_change_take_their_pages_along(void **state)
{
    hpa_t where;

    (void)state;
    host_maps(GUEST, LEVEL_4K, 0x5000 | EPT_RWX);
    host_maps(GUEST + 0x200000, LEVEL_2M, 0x400000 | EPT_RWX);
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_FILLED);
    assert_int_equal(access_by_guest(GUEST + 0x200000, EPT_READ), EPT02_FILLED);
    where = host_entry(GUEST, LEVEL_2M);
    phys_write64(where, (phys_read64(where) & ~EPT_RWX) | EPT_READ); /* the table becomes read-only */
    ept02_sync(tree);
    expect(GUEST, 0, 0);
    expect(GUEST + 0x200000, LEVEL_2M, 0x400000 | EPT_RWX);
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_FILLED);
    expect(GUEST, LEVEL_4K, 0x5000 | EPT_READ);
    host_maps(GUEST, LEVEL_2M, 0x600000 | EPT_RWX); /* a table becomes a page */
    ept02_sync(tree);
    expect(GUEST, 0, 0);
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_FILLED);
    phys_write64(host_entry(GUEST, LEVEL_2M), host_table() | EPT_RWX); /* and a page a table */
    phys_write64(host_entry(GUEST + 0x200000, LEVEL_2M), 0);
    ept02_sync(tree);
    expect(GUEST, 0, 0);
    expect(GUEST + 0x200000, 0, 0);
    phys_write64(hpa(EPTP & EPT_ADDRESS), 0);
    ept02_sync(tree);
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_VIOLATION);
}

static void a_sync_flushes_before_tables_are_reused(void **state)
{
    unsigned before;

    (void)state;
    host_maps(GUEST, LEVEL_4K, 0x5000 | EPT_RWX);
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_FILLED);
    before = fake_flushes;
    ept02_sync(tree);
    assert_int_equal(fake_flushes, before);
    phys_write64(host_entry(GUEST, LEVEL_2M), 0);
    ept02_sync(tree);
    assert_int_equal(fake_flushes, before + 1);
    assert_false(ept_has_released());
}

/* The host made a large page of many small ones and left the INVEPT for later. */
static void a_fill_that_replaces_a_table_flushes(void **state)
{
    unsigned before;

    (void)state;
    host_maps(GUEST, LEVEL_4K, 0x5000 | EPT_RWX);
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_FILLED);
    before = fake_flushes;
    host_maps(GUEST, LEVEL_2M, 0x20000000 | EPT_RWX);
    assert_int_equal(access_by_guest(GUEST + 0x1000, EPT_READ), EPT02_FILLED);
    expect(GUEST, LEVEL_2M, 0x20000000 | EPT_RWX);
    assert_int_equal(fake_flushes, before + 1);
    assert_false(ept_has_released());
}

static void counters_count(void **state)
{
    const uint64_t *stats = fake_cpu->stats;

    (void)state;
    host_maps(GUEST, LEVEL_4K, 0x5000 | EPT_RWX);
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_FILLED);
    assert_int_equal(access_by_guest(GUEST + 4096, EPT_READ), EPT02_VIOLATION);
    assert_int_equal(stats[STAT_ept02_fills], 1);
    ept02_sync(tree);
    assert_int_equal(stats[STAT_ept02_syncs], 1);
    assert_int_equal(stats[STAT_ept02_drops], 0);
    ept02_put(tree);
    for (uint64_t i = 0; i < EPT02_MAX; i++)
        ept02_put(ept02_get(0x8000000 + i * 4096 + EPTP_WB_WALK_4));
    assert_int_equal(stats[STAT_ept02_drops], 1);
}

static void marking_follows_the_root(void **state)
{
    struct ept02 *other = ept02_get(UINT64_C(0x300000) | EPTP_WB_WALK_4);

    (void)state;
    assert_non_null(other);
    tree->stale = other->stale = false;
    ept02_mark_stale(EPTP_AD); /* the same root, other bits */
    assert_true(tree->stale);
    assert_false(other->stale);
    tree->stale = false;
    ept02_mark_stale(0);
    assert_true(tree->stale);
    assert_true(other->stale);
    ept02_sync(tree);
    assert_false(tree->stale);
    assert_true(other->stale);
    ept02_put(other);
}

static void one_tree_per_pointer(void **state)
{
    struct ept02 *again = ept02_get(EPTP), *other = ept02_get(EPTP_AD);

    (void)state;
    assert_ptr_equal(again, tree);
    assert_ptr_not_equal(other, tree);
    assert_int_equal(tree->users, 2);
    ept02_put(again);
    ept02_put(other);
    assert_int_equal(tree->users, 1);
    assert_int_equal(other->users, 0);
}

/* ---- Running out of trees and of pages. ---- */

static uint64_t eptp_number(uint64_t i)
{
    return (UINT64_C(0x8000000) + i * 4096) | EPTP_WB_WALK_4;
}

static void trees_run_out_only_while_all_are_used(void **state)
{
    struct ept02 *got[EPT02_MAX];

    (void)state;
    for (uint64_t i = 0; i < EPT02_MAX - 1; i++) {
        got[i] = ept02_get(eptp_number(i));
        assert_non_null(got[i]);
    }
    assert_null(ept02_get(eptp_number(EPT02_MAX)));
    ept02_put(got[7]);
    ept02_put(ept02_get(eptp_number(7))); /* used later than number 9 now */
    got[9]->stale = true;
    ept02_put(got[9]);
    assert_ptr_equal(ept02_get(eptp_number(EPT02_MAX + 1)), got[9]); /* the one used least recently */
    assert_int_equal(got[9]->eptp12, eptp_number(EPT02_MAX + 1));
    assert_false(got[9]->stale);
    assert_ptr_equal(ept02_get(eptp_number(7)), got[7]); /* still there */
    assert_null(ept02_get(eptp_number(EPT02_MAX + 2)));
    for (uint64_t i = 0; i < EPT02_MAX - 1; i++)
        ept02_put(got[i]);
}

/* A reused tree starts empty: nothing of the VM before shines through. */
static void reused_trees_are_empty(void **state)
{
    (void)state;
    host_maps(GUEST, LEVEL_4K, 0x5000 | EPT_RWX);
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_FILLED);
    ept02_put(tree);
    for (uint64_t i = 0; i < EPT02_MAX; i++) {
        struct ept02 *t = ept02_get(eptp_number(i));
        unsigned level;

        assert_non_null(t);
        assert_int_equal(ept_find(&t->tree, GUEST, &level), 0);
        ept02_put(t);
    }
    tree = ept02_get(eptp_number(0));
    ept02_put(tree);
}

static void pages_run_out_gracefully(void **state)
{
    struct ept02 *other;
    unsigned level;

    (void)state;
    start_with(40, EPTP);
    other = ept02_get(eptp_number(0));
    assert_non_null(other);
    phys_write64(hpa((eptp_number(0) & EPT_ADDRESS)), (EPTP & EPT_ADDRESS) | EPT_RWX);
    for (uint64_t i = 0; i < 100; i++) {
        host_maps(GUEST + (i << 30), LEVEL_4K, 0x5000 | EPT_RWX);
        assert_int_equal(access_by_guest(GUEST + (i << 30), EPT_READ), EPT02_FILLED);
        assert_int_not_equal(ept_find(&tree->tree, GUEST + (i << 30), &level), 0);
    }
    assert_int_equal(other->eptp12, eptp_number(0)); /* both are in use: they lose mappings, not their slots */
    assert_int_equal(access_by_guest(GUEST, EPT_READ), EPT02_FILLED);
    ept02_put(other);
    assert_int_equal(access_by_guest(GUEST + (UINT64_C(150) << 30), EPT_READ), EPT02_VIOLATION);
    ept_clear(&tree->tree);
    ept_reap();
}

static void other_trees_make_room(void **state)
{
    struct ept02 *first;
    unsigned level;

    (void)state;
    start_with(24, EPTP);
    first = tree;
    for (uint64_t i = 0; i < 8; i++) {
        host_maps(GUEST + (i << 30), LEVEL_4K, 0x5000 | EPT_RWX);
        assert_int_equal(access_by_guest(GUEST + (i << 30), EPT_READ), EPT02_FILLED);
    }
    ept02_put(first);
    tree = ept02_get(EPTP_AD); /* the same tables of the host's, another tree of ours */
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(access_by_guest(GUEST + (i << 30), EPT_READ), EPT02_FILLED);
    assert_int_equal(ept_find(&first->tree, GUEST, &level), 0);
    assert_int_equal(ept02_get(EPTP)->users, 1);
}

/* ---- A hostile host for a while. ---- */

/* What a leaf may be at most, straight from EPT12 as it is now. */
static void check_against_ept12(uint64_t address, uint64_t leaf, unsigned level, void *context)
{
    struct ept12_leaf now;

    (void)context;
    if (ept12_walk(&format, tree->eptp12 & ~EPTP_ACCESSED_DIRTY, l2gpa(address), leaf & EPT_RWX, &now) != EPT12_OK)
        fail_msg("guest %#llx: more than EPT12 allows", (unsigned long long)address);
    if (((now.entry & EPT_ADDRESS) + (address & (ept_page_bytes(now.level) - 1))) !=
        (leaf & EPT_ADDRESS & ~(ept_page_bytes(level) - 1)))
        fail_msg("guest %#llx: another frame than EPT12 says", (unsigned long long)address);
}

static uint64_t random_page(unsigned level)
{
    static const uint64_t places[] = { 0,         0x100000,   FAKE_POOL_BASE,    0x20000000,
                                       RAM_BYTES, 0xfee00000, UINT64_C(1) << 39, UINT64_C(1) << 40 };

    return (places[rand() % 8] + (uint64_t)(rand() % 8) * 4096) & ~(ept_page_bytes(level) - 1);
}

static void a_hostile_host(void **state)
{
    (void)state;
    srand(5);
    for (int round = 0; round < 40; round++) {
        start_with(FAKE_POOL_MAX, round % 2 ? EPTP : EPTP_AD);
        for (int i = 0; i < 300; i++) {
            uint64_t address = GUEST + (uint64_t)(rand() % 4) * 0x1fe000 + (uint64_t)(rand() % 4) * 4096;
            unsigned level = 1 + (unsigned)rand() % 3;
            uint64_t permissions;

            switch (rand() % 12) {
            case 0:
                host_ept_watch(hpa(0x20000000 + (uint64_t)(rand() % 8) * 4096));
                for (uint64_t frame = 0x20000000; frame < 0x20008000; frame += 4096)
                    if (frame_state(hpa(frame)) == FRAME_WATCHED)
                        ept02_revoke(hpa(frame), EPT_WRITE);
                break;
            case 1: /* any 64 bits anywhere in a table */
                phys_write64(hpa((EPTP & EPT_ADDRESS) + (uint64_t)(rand() % 6) * 4096 + (uint64_t)(rand() % 512) * 8),
                             (uint64_t)rand() << 33 ^ (uint64_t)rand() << 12 ^ (uint64_t)(rand() % 4096));
                break;
            case 2: /* a table as its own child */
                phys_write64(host_entry(address, level + 1), (EPTP & EPT_ADDRESS) | EPT_RWX);
                break;
            case 3:
            case 4:
            case 5:
                host_next = EPTP & EPT_ADDRESS;
                phys_write64(hpa(EPTP & EPT_ADDRESS), 0);
                host_maps(address, level, random_page(level) | (unsigned)rand() % 0x100);
                break;
            case 6:
                ept02_sync(tree);
                ept_visit(tree->tree.root, LEVEL_ROOT, 0, check_against_ept12, NULL);
                break;
            default:
                assert_int_not_equal(ept02_fill(tree, l2gpa(address), 1u << (rand() % 3), &permissions), EPT02_FULL);
            }
            check_tree();
        }
        stop(NULL);
    }
}

#define WITH_TREE(test)  cmocka_unit_test_setup_teardown(test, start, stop)
#define WITH_FLAGS(test) cmocka_unit_test_setup_teardown(test, start_with_flags, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TREE(fills_on_demand),
        WITH_TREE(keeps_large_pages),
        WITH_TREE(permissions_of_all_levels_count),
        WITH_TREE(misconfigurations_are_the_hosts),
        WITH_TREE(the_layers_frames_are_never_mapped),
        WITH_TREE(protected_frames_are_mapped_only_after_they_changed_hands),
        WITH_TREE(the_trapped_apic_is_never_writable),
        WITH_TREE(watched_frames_are_read_only),
        WITH_TREE(revoking_finds_every_mapping),
        WITH_FLAGS(no_write_before_the_dirty_flag),
        WITH_FLAGS(cleared_flags_are_noticed_at_a_sync),
        WITH_FLAGS(unchanged_flags_keep_the_pages),
        WITH_FLAGS(accessed_flags_of_tables_are_noticed_at_a_sync),
        WITH_FLAGS(the_pointer_keeps_the_flag),
        WITH_TREE(changes_take_effect_at_a_sync),
        WITH_TREE(tables_that_change_take_their_pages_along),
        WITH_TREE(a_sync_flushes_before_tables_are_reused),
        WITH_TREE(a_fill_that_replaces_a_table_flushes),
        WITH_TREE(counters_count),
        WITH_TREE(marking_follows_the_root),
        WITH_TREE(one_tree_per_pointer),
        WITH_TREE(trees_run_out_only_while_all_are_used),
        WITH_TREE(reused_trees_are_empty),
        WITH_TREE(pages_run_out_gracefully),
        WITH_TREE(other_trees_make_room),
        WITH_TREE(a_hostile_host),
    };

    return cmocka_run_group_tests_name("ept02", tests, NULL, NULL);
}
