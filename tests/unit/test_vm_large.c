/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory of protected VMs in large pages, what plain VMs had mapped of it, and random moves of a host against a
 * model of what the VMs wrote. See test_vm_pages.c.
 */
#include "vm_tests.h"

#define PAGE  UINT64_C(0x300000)
#define LARGE UINT64_C(0x400000)

/* ---- What plain VMs had mapped. ---- */

static void a_plain_vms_large_page_loses_each_frame(void **state)
{
    const uint64_t frames = 0x4000000, gpa = 0x40000000;

    (void)state;
    fake_ept12_map(&plain.ept12, gpa, LEVEL_2M, frames | EPT_RWX);
    assert_int_equal(plain_touches(gpa, EPT_WRITE), EPT02_FILLED);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(touch_with(&a, PAGE + i * PAGE_SIZE, frames + i * UINT64_C(0x1000)), VM_PAGE_MAPPED);
        assert_false(plain_maps(gpa + i * PAGE_SIZE));
        assert_int_equal(plain_touches(gpa + 0x100000, EPT_READ), EPT02_FILLED);
    }
}

/* A large page that only reads, of which a part becomes writable on its own: what is left of it must be known, too. */
static void what_remains_of_a_split_page_loses_each_frame(void **state)
{
    const uint64_t frames = 0x4000000, gpa = 0x40000000, bitmap = frames + 0x5000;

    (void)state;
    fake_ept12_map(&plain.ept12, gpa, LEVEL_2M, frames | EPT_READ | EPT_ACCESSED | EPT_DIRTY);
    assert_int_equal(plain_touches(gpa, EPT_READ), EPT02_FILLED);
    assert_true(host_ept_watch(hpa(bitmap)));
    ept02_revoke(hpa(bitmap), EPT_WRITE);
    fake_ept12_map(&plain.ept12, gpa, LEVEL_2M, frames | EPT_RWX);
    assert_int_equal(plain_touches(gpa + 0x9000, EPT_WRITE), EPT02_FILLED);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(touch_with(&a, PAGE + i * PAGE_SIZE, frames + i * UINT64_C(0x1000)), VM_PAGE_MAPPED);
}

/* ---- Large pages. ---- */

static void assert_large(const struct guest *g, uint64_t gpa, uint64_t frames)
{
    unsigned level = 0;

    assert_int_equal(ept_find(&g->vm->ept, gpa, &level) & EPT_ADDRESS, frames);
    assert_int_equal(level, LEVEL_2M);
    for (unsigned i = 0; i < LARGE_PAGES; i++) {
        assert_page(g, gpa + i * PAGE_SIZE, FAKE_IN, frames + i * UINT64_C(0x1000));
        assert_true(zeroed(frames + i * UINT64_C(0x1000)));
        assert_false(host_maps(frames + i * UINT64_C(0x1000)));
    }
}

static void a_fresh_large_page_is_claimed_at_once(void **state)
{
    (void)state;
    offer_large(&a, LARGE, 0x4000000);
    host_touches(0x4000000, true);
    fake_flushes = 0;
    assert_int_equal(touch(&a, LARGE + 0x12345), VM_PAGE_MAPPED);
    assert_large(&a, LARGE, 0x4000000);
    assert_int_equal(a.vm->frames_in, LARGE_PAGES);
    assert_int_equal(a.vm->claimed, LARGE_PAGES);
    assert_int_equal(fake_flushes, 1);
}

static void a_part_of_a_gigabyte_is_the_right_one(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < LARGE_BYTES; i += PAGE_SIZE)
        fill(LARGE + i, JUNK);
    fake_ept12_map(&a.ept12, 0, LEVEL_1G, EPT_RWX | EPT_TYPE(TYPE_WB)); /* the identity: tables lie there, too */
    a.eptp &= ~EPTP_ACCESSED_DIRTY;
    for (uint64_t pa = TABLES; pa < TABLES + LARGE_BYTES; pa += PAGE_SIZE)
        if (pa >= next_table + PAGE_SIZE)
            fill(pa, JUNK);
    assert_int_equal(touch(&a, LARGE + LARGE_BYTES + 0x1abc), VM_PAGE_MAPPED);
    assert_large(&a, LARGE + LARGE_BYTES, LARGE + LARGE_BYTES);
}

static void a_hosts_touch_splits_a_large_page(void **state)
{
    const uint64_t touched = 7;

    (void)state;
    offer_large(&a, LARGE, 0x4000000);
    assert_int_equal(touch(&a, LARGE), VM_PAGE_MAPPED);
    for (unsigned i = 0; i < LARGE_PAGES; i++)
        fill(0x4000000 + i * UINT64_C(0x1000), i);
    host_touches(0x4000000 + touched * PAGE_SIZE, false);
    assert_page(&a, LARGE + touched * PAGE_SIZE, FAKE_OUT, 0);
    assert_int_equal(a.vm->frames_in, LARGE_PAGES - 1);
    for (unsigned i = 0; i < LARGE_PAGES; i++) {
        uint64_t gpa = LARGE + i * PAGE_SIZE;

        if (i == touched)
            assert_null(mapped(&a, gpa));
        else
            assert_int_equal(*mapped(&a, gpa), i);
    }
    assert_int_equal(touch(&a, LARGE + touched * PAGE_SIZE), VM_PAGE_MAPPED);
    assert_int_equal(*mapped(&a, LARGE + touched * PAGE_SIZE), touched);
}

/* One page of the 2 MiB is not EMPTY, or one frame not the host's alone: only what is touched is claimed. */
static void assert_claimed_small(uint64_t gpa, uint64_t frame, uint64_t already)
{
    unsigned level = 0;

    assert_int_equal(touch(&a, gpa), VM_PAGE_MAPPED);
    assert_page(&a, gpa, FAKE_IN, frame);
    assert_int_equal(a.vm->frames_in, already + 1);
    ept_find(&a.vm->ept, gpa, &level);
    assert_int_equal(level, LEVEL_4K);
}

static void a_page_that_is_in_prevents_a_large_claim(void **state)
{
    uint64_t frame = take(&a, LARGE + 0x1ff000);

    (void)state;
    fill(frame, 7);
    offer_large(&a, LARGE, 0x4000000);
    assert_claimed_small(LARGE + 0x3000, 0x4003000, 1);
    assert_true(filled(frame, 7));
}

static void a_page_that_is_out_prevents_a_large_claim(void **state)
{
    uint64_t frame = take(&a, LARGE);

    (void)state;
    fill(frame, 7);
    host_touches(frame, false);
    offer_large(&a, LARGE, 0x4000000);
    assert_claimed_small(LARGE + 0x3000, 0x4003000, 0);
    memcpy(phys_to_virt(hpa(0x4000000)), phys_to_virt(hpa(frame)), PAGE_SIZE);
    assert_int_equal(touch(&a, LARGE), VM_PAGE_MAPPED);
    assert_true(filled(0x4000000, 7));
}

static void a_shared_page_prevents_a_large_claim(void **state)
{
    (void)state;
    offer_large(&a, 0, 0x4000000);
    assert_claimed_small(0x3000, 0x4003000, 0);
    assert_int_equal(fake_page(a.vm, BUNDLE_AP_PAGE, NULL), FAKE_SHARED);
}

static void the_end_of_ram_prevents_a_large_claim(void **state)
{
    (void)state;
    offer_large(&a, BUNDLE_HIGH, 0x4000000);
    assert_claimed_small(BUNDLE_HIGH + 0x2000, 0x4002000, 0);
    assert_int_equal(touch(&a, BUNDLE_HIGH + 0x3000), VM_PAGE_OUTSIDE);
}

static void a_frame_that_is_not_the_hosts_prevents_a_large_claim(void **state)
{
    static const enum frame_event events[] = { FRAME_WATCH, FRAME_LAYER_TAKE };

    for (size_t i = 0; i < COUNT_OF(events); i++) {
        start(state);
        offer_large(&a, LARGE, 0x4000000);
        assert_true(frame_event(hpa(0x41ff000), events[i]));
        assert_claimed_small(LARGE + 0x3000, 0x4003000, 0);
        assert_int_equal(frame_state(hpa(0x41ff000)), i == 0 ? FRAME_WATCHED : FRAME_LAYER);
        stop(state);
    }
}

static void frames_of_another_vm_prevent_a_large_claim(void **state)
{
    (void)state;
    offer_large(&a, LARGE, 0x4000000);
    assert_int_equal(touch_with(&b, PAGE, 0x4004000), VM_PAGE_MAPPED);
    assert_claimed_small(LARGE + 0x3000, 0x4003000, 0);
    assert_page(&b, PAGE, FAKE_IN, 0x4004000);
}

/* A read-only 2 MiB page is as absent as a small one. */
static void a_large_page_must_be_writable(void **state)
{
    (void)state;
    fake_ept12_map(&a.ept12, LARGE, LEVEL_2M, 0x4000000 | EPT_READ | EPT_EXECUTE);
    assert_int_equal(touch(&a, LARGE), VM_PAGE_ABSENT);
    assert_int_equal(a.vm->frames_in, 0);
}

static void a_launch_claims_small_and_keeps_contents(void **state)
{
    uint64_t permissions;

    (void)state;
    offer_large(&a, LARGE, 0x4000000);
    assert_int_equal(vm_pages_touch(a.vm, a.eptp, LARGE + 0x3000, true, &permissions), VM_PAGE_MAPPED);
    check_world();
    assert_int_equal(a.vm->frames_in, 1);
    assert_true(filled(0x4003000, JUNK));
    assert_true(filled(0x4002000, JUNK));
}

static void a_page_over_smaller_ones_leaves_none_behind(void **state)
{
    uint64_t tables = ept_table_count();

    (void)state;
    offer_large(&a, LARGE, 0x4000000);
    assert_int_equal(touch(&a, LARGE), VM_PAGE_MAPPED);
    host_touches(0x4000000, false);
    assert_true(ept_table_count() > tables);
    vm_stop(a.vm, VM_STOP_GUEST_RESET, 0);
    check_world();
    while (!vm_pages_reap(a.vm, 1))
        check_world();
    assert_true(zeroed(0x4001000));
}

/* ---- Random moves of a host, against a model of what the VMs wrote. ---- */

enum { MODEL_PAGES = 12, MODEL_FRAMES = 24, MOVES = 6000 };
#define MODEL_FRAME(i) (UINT64_C(0x4000000) + (uint64_t)(i)*0x1000)

static uint64_t model[2][MODEL_PAGES], model_id[2], model_writes;
static uint8_t stolen[4][PAGE_SIZE];

static uint64_t model_gpa(unsigned i)
{
    return i < 8    ? LARGE + i * UINT64_C(0x1000)
           : i < 10 ? BUNDLE_HIGH + (i - 8) * UINT64_C(0x1000)
                    : BUNDLE_LOW_END - (i - 9) * UINT64_C(0x1000);
}

/* The VM accesses one of its pages: what it reads is what it wrote, or it is stopped. */
static void vm_moves(struct guest *g, unsigned which)
{
    unsigned page = (unsigned)rand() % MODEL_PAGES;
    uint64_t *word = mapped(g, model_gpa(page));

    if (word == NULL && touch(g, model_gpa(page)) != VM_PAGE_MAPPED)
        return;
    word = mapped(g, model_gpa(page));
    if (word == NULL)
        return;
    assert_int_equal(word[0], model[which][page]);
    assert_int_equal(word[511], model[which][page]);
    if (rand() % 2)
        word[0] = word[511] = model[which][page] = ++model_writes;
}

static void host_moves(const struct guest *g)
{
    uint64_t frame = MODEL_FRAME(rand() % MODEL_FRAMES), gpa = model_gpa((unsigned)rand() % MODEL_PAGES);
    uint8_t *bytes = phys_to_virt(hpa(frame)), *store = stolen[rand() % 4];

    switch (rand() % 12) {
    case 0: fake_ept12_map(&g->ept12, LARGE, LEVEL_2M, MODEL_FRAME(0) | EPT_RWX); break;
    case 1: phys_write64(fake_ept12_entry(&g->ept12, gpa, LEVEL_4K), 0); break;
    case 2: fake_ept12_map(&g->ept12, gpa, LEVEL_4K, frame | EPT_READ | EPT_EXECUTE); break;
    case 3: /* any page as a writable one: swaps and aliases */
    case 4:
        if (rand() % 16 == 0)
            fake_ept12_map(&g->ept12, gpa, LEVEL_4K, frame | EPT_RWX);
        break;
    case 5: host_ept_violation(hpa(frame), rand() % 2); break;
    case 6:
        if (frame_state(hpa(frame)) == FRAME_HOST && host_ept_watch(hpa(frame)))
            ept02_revoke(hpa(frame), EPT_WRITE); /* as those who copy bitmaps do */
        break;
    case 7:
        if (host_ept_violation(hpa(frame), true) == HOST_EPT_MAPPED && rand() % 64 == 0)
            memcpy(bytes, store, PAGE_SIZE);
        break;
    case 8:
        if (host_ept_violation(hpa(frame), false) == HOST_EPT_MAPPED)
            memcpy(store, bytes, PAGE_SIZE);
        break;
    case 9: fake_ept12_map(&plain.ept12, gpa, LEVEL_4K, frame | EPT_RWX); break;
    case 10: plain_touches(gpa, rand() % 2 ? EPT_READ : EPT_WRITE); break;
    default: host_ept_rebuild(); break;
    }
    check_world();
}

static void begin_model(struct guest *g, unsigned which)
{
    make_vm(g);
    memset(model[which], 0, sizeof(model[which]));
    model_id[which] = g->vm->id;
    for (unsigned i = 0; i < MODEL_PAGES; i++)
        offer(g, model_gpa(i), MODEL_FRAME(which * MODEL_PAGES + i));
}

static void random_moves(void **state)
{
    struct guest *const guests[] = { &a, &b };
    unsigned ends = 0;

    srand((unsigned)(uintptr_t)*state);
    begin_model(&a, 0);
    begin_model(&b, 1);
    for (unsigned i = 0; i < MOVES; i++) {
        unsigned which = (unsigned)rand() % 2;
        struct guest *g = guests[which];

        if (g->vm->id != model_id[which] || g->vm->state != VM_RUNNING) {
            vm_reap();
            begin_model(g, which);
            ends++;
        }
        if (rand() % 2)
            vm_moves(g, which);
        else
            host_moves(g);
    }
    assert_in_range(ends, 4, 200); /* it was neither peace nor slaughter */
    assert_true(fake_cpu->stats[STAT_pages_in] > 100);
}

static int start_empty(void **state)
{
    (void)state;
    assert_true(start_with(POOL));
    return 0;
}

int main(void)
{
    struct group g = { 0 };
    size_t fixed;

#define TEST(function) group_add(&g, function, NULL, "%s", #function)
    TEST(a_plain_vms_large_page_loses_each_frame);
    TEST(what_remains_of_a_split_page_loses_each_frame);
    TEST(a_fresh_large_page_is_claimed_at_once);
    TEST(a_part_of_a_gigabyte_is_the_right_one);
    TEST(a_hosts_touch_splits_a_large_page);
    TEST(a_page_that_is_in_prevents_a_large_claim);
    TEST(a_page_that_is_out_prevents_a_large_claim);
    TEST(a_shared_page_prevents_a_large_claim);
    TEST(the_end_of_ram_prevents_a_large_claim);
    TEST(a_frame_that_is_not_the_hosts_prevents_a_large_claim);
    TEST(frames_of_another_vm_prevent_a_large_claim);
    TEST(a_large_page_must_be_writable);
    TEST(a_launch_claims_small_and_keeps_contents);
    TEST(a_page_over_smaller_ones_leaves_none_behind);
#undef TEST
    fixed = g.count;
    for (uintptr_t seed = 1; seed <= 4; seed++)
        group_add(&g, random_moves, (const void *)seed, "random moves, seed %lu", (unsigned long)seed);
    for (size_t i = 0; i < g.count; i++) {
        g.tests[i].setup_func = i < fixed ? start : start_empty;
        g.tests[i].teardown_func = stop;
    }
    return group_run(&g, "vm_large");
}
