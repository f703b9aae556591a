/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The demoted host's EPT: what each access maps in each state of a frame, page sizes and memory types, the trapped
 * local APIC, all-ones in place of the layer, watches. After every step the whole tree is searched for a mapping that must not be there.
 */
#include "unit.h"
#include "fake_layer.h"
#include "ept_walk.h"
#include "cloudvisor/pool.h"
#include "ept-guard/frames.h"
#include "ept-guard/host_ept.h"

#define RAM_BYTES (UINT64_C(4) << 30)
#define APIC      UINT64_C(0xfee00000)
#define MMIO      UINT64_C(0x200000000)
enum { PHYSICAL_BITS = 40 };

/* All write-back but for the legacy hole and [3 GiB, 4 GiB). */
static struct mtrrs typical_mtrrs(void)
{
    struct mtrrs m = { .cap = 0x508, .default_type = 0xc06, .address_mask = ((UINT64_C(1) << PHYSICAL_BITS) - 4096) };

    for (int i = 0; i < MTRR_FIXED_COUNT; i++)
        m.fixed[i] = UINT64_C(0x0606060606060606);
    m.fixed[2] = 0;
    m.base[0] = UINT64_C(0xc0000000);
    m.mask[0] = (m.address_mask & ~UINT64_C(0x3fffffff)) | 0x800;
    return m;
}

static void start_with(size_t pool, bool page_1g, bool trap_apic)
{
    struct mtrrs m = typical_mtrrs();

    fake_layer_start(RAM_BYTES, pool);
    assert_true(host_ept_init(&m, PHYSICAL_BITS, page_1g, trap_apic));
}

static int start(void **state)
{
    (void)state;
    start_with(512, true, true);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ept_reap();
    return 0;
}

static hpa_t root(void)
{
    return hpa(host_ept_pointer() & EPT_ADDRESS);
}

static uint64_t mapping(uint64_t address, unsigned *level)
{
    struct ept ept = { .root = root() };

    *level = 0;
    return ept_find(&ept, address, level);
}

static bool all_ones(hpa_t page)
{
    for (unsigned i = 0; i < 4096; i += 8)
        if (phys_read64(hpa(page.raw + i)) != UINT64_MAX)
            return false;
    return true;
}

/*
 * No mapping of a frame that is not the host's, no write to a watched frame or the trapped APIC, identity only; but for
 * the page of all-ones that is read in place of the layer's and of bound frames.
 */
static void check_leaf(uint64_t address, uint64_t leaf, unsigned level, void *context)
{
    bool trap = *(const bool *)context;

    if (frame_state(hpa(address)) == FRAME_LAYER || frame_state(hpa(address)) == FRAME_BOUND) {
        if (level != LEVEL_4K || (leaf & EPT_WRITE) != 0 || !all_ones(hpa(leaf & EPT_ADDRESS)))
            fail_msg("%#llx is not hidden", (unsigned long long)address);
        return;
    }
    if ((leaf & EPT_ADDRESS & ~(ept_page_bytes(level) - 1)) != address)
        fail_msg("%#llx is not mapped to itself", (unsigned long long)address);
    for (uint64_t pa = address; pa < address + ept_page_bytes(level); pa += 4096) {
        enum frame_state s = frame_state(hpa(pa));

        if (s == FRAME_LAYER || s == FRAME_VM || s == FRAME_BOUND)
            fail_msg("%#llx is mapped, but not the host's", (unsigned long long)pa);
        if ((leaf & EPT_WRITE) != 0 && (s == FRAME_WATCHED || (trap && pa == APIC)))
            fail_msg("%#llx is writable", (unsigned long long)pa);
    }
}

static void check_tree(bool trap)
{
    ept_visit(root(), LEVEL_ROOT, 0, check_leaf, &trap);
}

static void expect(uint64_t address, unsigned level, unsigned type, uint64_t permissions)
{
    unsigned found;
    uint64_t leaf = mapping(address, &found);

    assert_int_equal(found, level);
    assert_int_equal((leaf & EPT_TYPE_MASK) >> 3, type);
    assert_int_equal(leaf & EPT_RWX, permissions);
    assert_int_equal(leaf & EPT_ADDRESS, address & ~(ept_page_bytes(level) - 1));
    assert_int_equal(leaf & EPT_IGNORE_PAT, 0);
}

static void maps_the_largest_page(void **state)
{
    unsigned level;

    (void)state;
    assert_int_equal(mapping(0x40000000, &level), 0);
    assert_int_equal(host_ept_violation(hpa(0x7fffffff), false), HOST_EPT_MAPPED);
    expect(0x40000000, LEVEL_1G, TYPE_WB, EPT_RWX);
    assert_int_equal(host_ept_violation(hpa(0x100000), true), HOST_EPT_MAPPED);
    expect(0x100000, LEVEL_4K, TYPE_WB, EPT_RWX);
    assert_int_equal(host_ept_violation(hpa(0xa0000), true), HOST_EPT_MAPPED);
    expect(0xa0000, LEVEL_4K, TYPE_UC, EPT_RWX);
    assert_int_equal(host_ept_violation(hpa(0x200000), true), HOST_EPT_MAPPED);
    expect(0x200000, LEVEL_2M, TYPE_WB, EPT_RWX);
    assert_int_equal(host_ept_violation(hpa(0xc0000000), true), HOST_EPT_MAPPED);
    expect(0xc0000000, LEVEL_2M, TYPE_UC, EPT_RWX); /* the trapped APIC lies in the same gigabyte */
    assert_int_equal(host_ept_violation(hpa(MMIO), true), HOST_EPT_MAPPED);
    expect(MMIO, LEVEL_1G, TYPE_WB, EPT_RWX);
    check_tree(true);
}

static void without_1g_pages(void **state)
{
    (void)state;
    start_with(512, false, false);
    assert_int_equal(host_ept_violation(hpa(0x40000000), false), HOST_EPT_MAPPED);
    expect(0x40000000, LEVEL_2M, TYPE_WB, EPT_RWX);
    assert_int_equal(host_ept_violation(hpa(APIC), true), HOST_EPT_MAPPED);
    expect(APIC, LEVEL_2M, TYPE_UC, EPT_RWX);
    check_tree(false);
}

static void the_layers_frames_are_left_out(void **state)
{
    (void)state;
    fake_forbid(hpa(FAKE_POOL_BASE + 100 * 4096));
    assert_int_equal(host_ept_violation(hpa(FAKE_POOL_BASE + 100 * 4096 + 8), false), HOST_EPT_MAPPED);
    assert_int_equal(host_ept_violation(hpa(FAKE_POOL_BASE + 100 * 4096 + 8), true), HOST_EPT_LAYER);
    assert_int_equal(host_ept_violation(hpa(FAKE_POOL_BASE + 512 * 4096), true), HOST_EPT_MAPPED);
    expect(FAKE_POOL_BASE + 512 * 4096, LEVEL_2M, TYPE_WB, EPT_RWX);
    assert_int_equal(host_ept_violation(hpa(0), true), HOST_EPT_MAPPED);
    check_tree(true);
}

static void beyond_the_physical_width(void **state)
{
    (void)state;
    assert_int_equal(host_ept_violation(hpa(UINT64_C(1) << PHYSICAL_BITS), false), HOST_EPT_OUTSIDE);
    assert_int_equal(host_ept_violation(hpa(UINT64_C(1) << 51), true), HOST_EPT_OUTSIDE);
    assert_int_equal(host_ept_violation(hpa((UINT64_C(1) << PHYSICAL_BITS) - 1), true), HOST_EPT_MAPPED);
    check_tree(true);
}

static void the_apic_is_read_only(void **state)
{
    (void)state;
    assert_true(host_ept_has_trapped(hpa(APIC), 4096));
    assert_true(host_ept_has_trapped(hpa(APIC), 0x200000));
    assert_true(host_ept_has_trapped(hpa(0xc0000000), 0x40000000));
    assert_false(host_ept_has_trapped(hpa(APIC + 4096), 4096));
    assert_false(host_ept_has_trapped(hpa(APIC - 4096), 4096));
    assert_int_equal(host_ept_violation(hpa(APIC + 0x300), true), HOST_EPT_TRAPPED);
    assert_int_equal(host_ept_violation(hpa(APIC + 0x20), false), HOST_EPT_MAPPED);
    expect(APIC, LEVEL_4K, TYPE_UC, EPT_READ);
    assert_int_equal(host_ept_violation(hpa(APIC + 0x300), true), HOST_EPT_TRAPPED);
    assert_int_equal(host_ept_violation(hpa(APIC + 0x1000), true), HOST_EPT_MAPPED);
    expect(APIC + 0x1000, LEVEL_4K, TYPE_UC, EPT_RWX);
    check_tree(true);
    start_with(512, true, false);
    assert_false(host_ept_has_trapped(hpa(APIC), 4096));
    assert_int_equal(host_ept_violation(hpa(APIC), true), HOST_EPT_MAPPED);
}

static void a_watch_lasts_until_a_write(void **state)
{
    const uint64_t frame = 0x40123000;

    (void)state;
    assert_int_equal(host_ept_violation(hpa(frame), true), HOST_EPT_MAPPED);
    assert_true(host_ept_watch(hpa(frame)));
    expect(frame, LEVEL_4K, TYPE_WB, EPT_READ | EPT_EXECUTE);
    expect(frame + 4096, LEVEL_4K, TYPE_WB, EPT_RWX);
    expect(frame + 0x200000, LEVEL_2M, TYPE_WB, EPT_RWX);
    check_tree(true);
    assert_int_equal(host_ept_violation(hpa(frame), false), HOST_EPT_MAPPED);
    assert_int_equal(frame_state(hpa(frame)), FRAME_WATCHED);
    check_tree(true);
    assert_true(host_ept_watch(hpa(frame)));
    assert_int_equal(fake_frame_written, 0);
    assert_int_equal(host_ept_violation(hpa(frame + 4), true), HOST_EPT_MAPPED);
    assert_int_equal(fake_frame_written, frame);
    assert_int_equal(frame_state(hpa(frame)), FRAME_HOST);
    expect(frame, LEVEL_1G, TYPE_WB, EPT_RWX);
    check_tree(true);
}

static void what_cannot_be_watched(void **state)
{
    (void)state;
    assert_false(host_ept_watch(hpa(MMIO)));
    assert_false(host_ept_watch(hpa(FAKE_POOL_BASE)));
    assert_true(frame_event(hpa(0x5000), FRAME_VM_CLAIM));
    assert_false(host_ept_watch(hpa(0x5000)));
    assert_int_equal(frame_state(hpa(0x5000)), FRAME_VM);
}

/* One read-only page for all of the layer's memory; a write is never mapped, whether the page was read before or not. */
static void the_layers_memory_reads_as_all_ones(void **state)
{
    const uint64_t page = FAKE_POOL_BASE + 300 * 4096;
    unsigned level;
    uint64_t leaf;

    (void)state;
    assert_int_equal(host_ept_violation(hpa(page + 16), true), HOST_EPT_LAYER);
    assert_int_equal(mapping(page, &level), 0);
    assert_int_equal(host_ept_violation(hpa(page + 16), false), HOST_EPT_MAPPED);
    assert_int_equal(host_ept_violation(hpa(page - 4096), false), HOST_EPT_MAPPED);
    assert_int_equal(host_ept_violation(hpa(page + 16), true), HOST_EPT_LAYER);
    leaf = mapping(page, &level);
    assert_int_equal(level, LEVEL_4K);
    assert_int_equal(leaf & EPT_RWX, EPT_READ | EPT_EXECUTE);
    assert_int_equal((leaf & EPT_TYPE_MASK) >> 3, TYPE_WB);
    assert_int_equal(leaf, mapping(page - 4096, &level));
    assert_true(all_ones(hpa(leaf & EPT_ADDRESS)));
    assert_int_equal(mapping(page + 4096, &level), 0);
    check_tree(true);
}

static void new_mtrrs_take_effect_after_a_rebuild(void **state)
{
    unsigned level;

    (void)state;
    assert_int_equal(host_ept_violation(hpa(0x40000000), true), HOST_EPT_MAPPED);
    *mtrr_register(host_ept_mtrrs(), 0x202) = 0x40000000 | TYPE_WT;
    *mtrr_register(host_ept_mtrrs(), 0x203) = (host_ept_mtrrs()->address_mask & ~UINT64_C(0xffff)) | 0x800;
    host_ept_rebuild();
    assert_int_equal(mapping(0x40000000, &level), 0);
    assert_int_equal(host_ept_violation(hpa(0x40000000), true), HOST_EPT_MAPPED);
    expect(0x40000000, LEVEL_4K, TYPE_WT, EPT_RWX);
    assert_int_equal(host_ept_violation(hpa(0x40010000), true), HOST_EPT_MAPPED);
    expect(0x40010000, LEVEL_4K, TYPE_WB, EPT_RWX);
    assert_int_equal(host_ept_violation(hpa(0x40200000), true), HOST_EPT_MAPPED);
    expect(0x40200000, LEVEL_2M, TYPE_WB, EPT_RWX);
    check_tree(true);
}

static void an_empty_pool_is_reported(void **state)
{
    struct mtrrs m = typical_mtrrs();
    bool full = false;

    (void)state;
    fake_layer_start(RAM_BYTES, 0);
    assert_false(host_ept_init(&m, PHYSICAL_BITS, true, true));
    fake_layer_start(RAM_BYTES, 1);
    assert_false(host_ept_init(&m, PHYSICAL_BITS, true, true));
    start_with(6, true, true);
    for (uint64_t pa = 0; pa < RAM_BYTES && !full; pa += 0x200000) {
        enum host_ept_answer answer = host_ept_violation(hpa(pa + 0x1000), true);

        full = answer == HOST_EPT_FULL;
        assert_true(full || answer == HOST_EPT_MAPPED || frame_state(hpa(pa + 0x1000)) == FRAME_LAYER);
        if (pa == 0)
            assert_true(host_ept_watch(hpa(0x3000)));
    }
    assert_true(full);
    check_tree(true);
}

/*
 * Every event of the host's side in every state of a frame, with the frame mapped large before: the answer, and the
 * tree afterwards.
 */
static void events_in_states(void **state)
{
    static const enum frame_event into[FRAME_STATE_COUNT] = { [FRAME_WATCHED] = FRAME_WATCH,
                                                              [FRAME_LAYER] = FRAME_LAYER_TAKE,
                                                              [FRAME_VM] = FRAME_VM_CLAIM,
                                                              [FRAME_BOUND] = FRAME_VM_BIND };

    (void)state;
    for (unsigned from = 0; from < FRAME_STATE_COUNT; from++)
        for (unsigned what = 0; what < 3; what++) { /* read, write, watch */
            uint64_t frame = from == FRAME_DEVICE ? MMIO + 0x5000 : UINT64_C(0x60005000);

            start_with(512, true, true);
            if (from >= FRAME_WATCHED)
                assert_true(frame_event(hpa(frame), into[from]));
            if (what == 2)
                assert_int_equal(host_ept_watch(hpa(frame)), from == FRAME_HOST || from == FRAME_WATCHED);
            else
                assert_int_equal(host_ept_violation(hpa(frame), what == 1),
                                 from == FRAME_LAYER && what == 1 ? HOST_EPT_LAYER : HOST_EPT_MAPPED);
            check_tree(true);
            ept_reap();
        }
}

/* A long random life of the host's, with the whole tree checked now and then. */
static void random_life(void **state)
{
    (void)state;
    start_with(FAKE_POOL_MAX, true, true);
    srand(4);
    for (int i = 0; i < 4000; i++) {
        uint64_t base = (uint64_t)rand() % 6 * 0x30000000; /* the last ones are beyond RAM */
        hpa_t pa = hpa(base + (uint64_t)(rand() % 4) * 0x200000 + (uint64_t)rand() % 0x6000);

        switch (rand() % 8) {
        case 0: host_ept_watch(pa); break;
        case 1: host_ept_rebuild(); break;
        case 2: host_ept_remove(pa, LEVEL_4K); break;
        case 3: ept_reap(); break;
        default: assert_int_not_equal(host_ept_violation(pa, rand() % 2), HOST_EPT_FULL);
        }
        if (i % 100 == 0)
            check_tree(true);
    }
    check_tree(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(maps_the_largest_page, start, stop),
        cmocka_unit_test_setup_teardown(without_1g_pages, start, stop),
        cmocka_unit_test_setup_teardown(the_layers_frames_are_left_out, start, stop),
        cmocka_unit_test_setup_teardown(beyond_the_physical_width, start, stop),
        cmocka_unit_test_setup_teardown(the_apic_is_read_only, start, stop),
        cmocka_unit_test_setup_teardown(a_watch_lasts_until_a_write, start, stop),
        cmocka_unit_test_setup_teardown(what_cannot_be_watched, start, stop),
        cmocka_unit_test_setup_teardown(the_layers_memory_reads_as_all_ones, start, stop),
        cmocka_unit_test_setup_teardown(new_mtrrs_take_effect_after_a_rebuild, start, stop),
        cmocka_unit_test_setup_teardown(an_empty_pool_is_reported, start, stop),
        cmocka_unit_test_setup_teardown(events_in_states, start, stop),
        cmocka_unit_test_setup_teardown(random_life, start, stop),
    };

    return cmocka_run_group_tests_name("host_ept", tests, NULL, NULL);
}
