/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory of protected VMs against a host that offers, takes, swaps, replays and aliases frames as it likes. After
 * every step records, frame states, the VMs' EPTs, the host's EPT and the EPT02s of plain VMs must agree.
 */
#include "vm_tests.h"
#include "cloudvisor/flush.h"

#define PAGE  UINT64_C(0x300000)
#define OTHER UINT64_C(0x301000)
#define LARGE UINT64_C(0x400000)

/* ---- Claims. ---- */

static void an_empty_page_is_zeroed_and_the_vms_alone(void **state)
{
    uint64_t frame = host_frame();

    (void)state;
    host_touches(frame, true);
    assert_true(host_maps(frame));
    assert_page(&a, PAGE, FAKE_EMPTY, 0);
    assert_int_equal(touch_with(&a, PAGE + 0x123, frame), VM_PAGE_MAPPED);
    assert_page(&a, PAGE, FAKE_IN, frame);
    assert_int_equal(frame_state(hpa(frame)), FRAME_VM);
    assert_true(zeroed(frame));
    assert_false(host_maps(frame));
    assert_ptr_equal(mapped(&a, PAGE + 0x128), phys_to_virt(hpa(frame + 0x128)));
    assert_int_equal(a.vm->claimed, 1);
    assert_int_equal(a.vm->frames_in, 1);
    assert_int_equal(b.vm->frames_in, 0);
    assert_int_equal(a.vm->paged_out + a.vm->paged_in, 0);
}

static void a_page_that_is_in_stays_whatever_the_host_maps(void **state)
{
    uint64_t frame = take(&a, PAGE), other = host_frame();

    (void)state;
    *mapped(&a, PAGE) = 42;
    assert_int_equal(touch_with(&a, PAGE, other), VM_PAGE_MAPPED);
    phys_write64(fake_ept12_entry(&a.ept12, PAGE, LEVEL_4K), 0);
    assert_int_equal(touch(&a, PAGE), VM_PAGE_MAPPED);
    phys_write64(hpa(a.ept12.root), 0);
    assert_int_equal(touch(&a, PAGE), VM_PAGE_MAPPED);
    assert_page(&a, PAGE, FAKE_IN, frame);
    assert_int_equal(*mapped(&a, PAGE), 42);
    assert_true(filled(other, JUNK));
    assert_int_equal(a.vm->claimed, 1);
}

static void assert_absent(uint64_t leaf, uint64_t expected_permissions)
{
    uint64_t permissions = 99, frame = leaf & EPT_ADDRESS;

    fake_ept12_map(&a.ept12, PAGE, LEVEL_4K, leaf);
    assert_int_equal(vm_pages_touch(a.vm, a.eptp, PAGE, false, &permissions), VM_PAGE_ABSENT);
    assert_int_equal(permissions, expected_permissions);
    check_world();
    assert_page(&a, PAGE, FAKE_EMPTY, 0);
    assert_int_equal(frame_state(hpa(frame)), FRAME_HOST);
    assert_true(filled(frame, JUNK));
    assert_int_equal(a.vm->claimed, 0);
}

static void only_a_writable_leaf_is_claimed(void **state)
{
    uint64_t frame = host_frame();

    (void)state;
    assert_absent(frame | EPT_READ, EPT_READ);
    assert_absent(frame | EPT_READ | EPT_EXECUTE, EPT_READ | EPT_EXECUTE);
    assert_absent(frame | EPT_EXECUTE, EPT_EXECUTE);
    assert_absent(frame, 0);
    assert_absent(frame | EPT_WRITE, 0);              /* misconfigured */
    assert_absent(frame | EPT_RWX | EPT_TYPE(7), 0);  /* likewise */
    assert_absent((frame | EPT_RWX) & ~EPT_WRITE, 5); /* and nothing of it is remembered */
}

static void permissions_of_upper_levels_count(void **state)
{
    uint64_t frame = host_frame(), permissions = 99;
    hpa_t upper;

    (void)state;
    offer(&a, PAGE, frame);
    upper = fake_ept12_entry(&a.ept12, PAGE, LEVEL_2M);
    phys_write64(upper, phys_read64(upper) & ~EPT_WRITE);
    assert_int_equal(vm_pages_touch(a.vm, a.eptp, PAGE, false, &permissions), VM_PAGE_ABSENT);
    assert_int_equal(permissions, EPT_READ | EPT_EXECUTE);
    phys_write64(upper, 0);
    assert_int_equal(vm_pages_touch(a.vm, a.eptp, PAGE, false, &permissions), VM_PAGE_ABSENT);
    assert_int_equal(permissions, 0);
    assert_page(&a, PAGE, FAKE_EMPTY, 0);
}

static hpa_t raced;

static void host_changes_its_mind(hpa_t where)
{
    if (where.raw == raced.raw)
        phys_write64(where, phys_read64(where) & ~EPT_WRITE);
}

static void an_entry_that_changes_underway_is_walked_again(void **state)
{
    uint64_t frame = host_frame();

    (void)state;
    offer(&a, PAGE, frame);
    raced = fake_ept12_entry(&a.ept12, PAGE, LEVEL_4K);
    fake_on_cmpxchg = host_changes_its_mind;
    assert_int_equal(touch(&a, PAGE), VM_PAGE_MAPPED);
    fake_on_cmpxchg = NULL;
    assert_page(&a, PAGE, FAKE_EMPTY, 0);
    assert_int_equal(touch(&a, PAGE), VM_PAGE_ABSENT);
    assert_int_equal(frame_state(hpa(frame)), FRAME_HOST);
}

static void ram_ends_where_the_descriptor_says(void **state)
{
    static const uint64_t inside[] = { 0,           BUNDLE_LOW_END - 1, BUNDLE_RAM_START, BUNDLE_RAM_END - 1,
                                       BUNDLE_HIGH, BUNDLE_HIGH_END - 1 };
    static const uint64_t outside[] = { BUNDLE_LOW_END,
                                        BUNDLE_RAM_START - 1,
                                        BUNDLE_RAM_END,
                                        BUNDLE_HIGH - 1,
                                        BUNDLE_HIGH_END,
                                        UINT64_C(1) << 38,
                                        (UINT64_C(1) << 38) + BUNDLE_RAM_START,
                                        UINT64_C(1) << 47,
                                        UINT64_MAX };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(outside); i++) {
        offer(&a, outside[i], host_frame());
        assert_int_equal(touch(&a, outside[i]), VM_PAGE_OUTSIDE);
        assert_null(vm_pages_view(a.vm, outside[i]));
        assert_int_equal(fake_page(a.vm, outside[i], NULL), FAKE_NONE);
    }
    for (size_t i = 0; i < COUNT_OF(inside); i++) {
        uint64_t frame = take(&a, inside[i]);

        assert_page(&a, inside[i], FAKE_IN, frame);
        assert_ptr_equal(vm_pages_view(a.vm, inside[i]), phys_to_virt(hpa(frame)));
    }
    assert_int_equal(a.vm->frames_in, COUNT_OF(inside));
}

static void shared_pages_are_never_the_vms(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= BUNDLE_EXIT_WINDOW_PAGES; i++) {
        uint64_t gpa = i == BUNDLE_EXIT_WINDOW_PAGES ? BUNDLE_AP_PAGE : BUNDLE_WINDOW + i * PAGE_SIZE;
        uint64_t frame = host_frame();

        assert_int_equal(touch_with(&a, gpa, frame), VM_PAGE_OUTSIDE);
        assert_int_equal(fake_page(a.vm, gpa, NULL), FAKE_SHARED);
        assert_int_equal(frame_state(hpa(frame)), FRAME_HOST);
        assert_null(vm_pages_view(a.vm, gpa));
        assert_null(mapped(&a, gpa));
    }
}

static void absent_pages_read_as_ones(void **state)
{
    uint64_t *word;
    unsigned level;

    (void)state;
    assert_true(vm_pages_map_absent(a.vm, BUNDLE_LOW_END));
    assert_true(vm_pages_map_absent(a.vm, BUNDLE_AP_PAGE + 0x10));
    assert_true(vm_pages_map_absent(b.vm, BUNDLE_LOW_END));
    check_world();
    word = mapped(&a, BUNDLE_LOW_END);
    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        assert_int_equal(word[i], UINT64_MAX);
    assert_int_equal(ept_find(&a.vm->ept, BUNDLE_LOW_END, &level) & EPT_RWX, EPT_READ);
    assert_int_equal(ept_find(&b.vm->ept, BUNDLE_LOW_END, &level) & EPT_RWX, EPT_READ);
}

/* ---- The host touches. ---- */

static void the_hosts_touch_gets_a_sealed_page(void **state)
{
    uint64_t frame = take(&a, PAGE), first[2];

    (void)state;
    fill(frame, 7);
    for (unsigned i = 0; i < 2; i++) {
        host_touches(frame + 0x800, i == 1);
        assert_page(&a, PAGE, FAKE_OUT, 0);
        assert_int_equal(frame_state(hpa(frame)), FRAME_HOST);
        assert_true(host_maps(frame));
        assert_null(mapped(&a, PAGE));
        assert_int_equal(a.vm->frames_in, 0);
        assert_int_equal(a.vm->paged_out, i + 1);
        first[i] = phys_read64(hpa(frame));
        for (unsigned j = 0; j < PAGE_SIZE; j += 8)
            assert_int_not_equal(phys_read64(hpa(frame + j)), 7 + j);
        assert_int_equal(touch(&a, PAGE), VM_PAGE_MAPPED);
        assert_true(filled(frame, 7));
        assert_int_equal(a.vm->paged_in, i + 1);
        assert_false(host_maps(frame));
    }
    assert_int_not_equal(first[0], first[1]);
}

static void a_plain_vms_touch_gets_a_sealed_page(void **state)
{
    uint64_t frame = take(&a, PAGE);

    (void)state;
    fill(frame, 7);
    offer(&plain, 0x5000, frame);
    assert_int_equal(plain_touches(0x5000, EPT_READ), EPT02_FILLED);
    assert_page(&a, PAGE, FAKE_OUT, 0);
    assert_int_not_equal(phys_read64(hpa(frame)), 7);
    assert_true(plain_maps(0x5000));
    assert_int_equal(touch(&a, PAGE), VM_PAGE_MAPPED);
    assert_true(filled(frame, 7));
    assert_false(plain_maps(0x5000));
}

static void a_sealed_page_comes_back_in_any_frame(void **state)
{
    uint64_t frame = take(&a, PAGE), other = host_frame();

    (void)state;
    fill(frame, 7);
    host_touches(frame, false);
    memcpy(phys_to_virt(hpa(other)), phys_to_virt(hpa(frame)), PAGE_SIZE); /* swapped out and in */
    fill(frame, JUNK);
    assert_int_equal(touch_with(&a, PAGE, other), VM_PAGE_MAPPED);
    assert_page(&a, PAGE, FAKE_IN, other);
    assert_true(filled(other, 7));
    assert_int_equal(frame_state(hpa(frame)), FRAME_HOST);
}

static void touches_of_what_is_not_a_vms_change_nothing(void **state)
{
    uint64_t frame = host_frame();

    (void)state;
    vm_frame_touched(hpa(frame));
    vm_frame_touched(hpa(FAKE_POOL_BASE));
    vm_frame_touched(hpa(RAM_BYTES));
    vm_frame_touched(hpa(UINT64_MAX));
    assert_true(filled(frame, JUNK));
    assert_int_equal(frame_state(hpa(FAKE_POOL_BASE)), FRAME_LAYER);
    check_world();
}

/* ---- The order: mappings are gone everywhere before contents change. ---- */

static uint64_t watched_frame;
static unsigned flushes_seen;

/* At the flush of a page-out: unmapped from the VM, not yet the host's, still as it was. */
static void flushing_out(void)
{
    if (flushes_seen++ > 0)
        return;
    assert_null(mapped(&a, PAGE));
    assert_int_equal(frame_state(hpa(watched_frame)), FRAME_VM);
    assert_true(filled(watched_frame, 7));
    assert_false(host_maps(watched_frame));
}

/* At the flush of a claim: unmapped from host and plain VM, not yet scrubbed or opened, not yet the VM's to use. */
static void flushing_in(void)
{
    if (flushes_seen++ > 0)
        return;
    assert_false(host_maps(watched_frame));
    assert_false(plain_maps(0x5000));
    assert_int_equal(frame_state(hpa(watched_frame)), FRAME_VM);
    assert_null(mapped(&a, PAGE));
    assert_false(zeroed(watched_frame));
    assert_false(filled(watched_frame, 7));
}

static void everybody_is_flushed_before_contents_change(void **state)
{
    (void)state;
    watched_frame = host_frame();
    offer(&plain, 0x5000, watched_frame);
    assert_int_equal(plain_touches(0x5000, EPT_WRITE), EPT02_FILLED);
    host_touches(watched_frame, true);
    for (unsigned round = 0; round < 2; round++) { /* EMPTY, OUT */
        flushes_seen = 0;
        fake_on_flush = flushing_in;
        assert_int_equal(touch_with(&a, PAGE, watched_frame), VM_PAGE_MAPPED);
        assert_int_equal(flushes_seen, 1);
        fake_on_flush = NULL;
        fill(watched_frame, 7);
        flushes_seen = 0;
        fake_on_flush = flushing_out;
        vm_frame_touched(hpa(watched_frame));
        assert_int_equal(flushes_seen, 1);
        fake_on_flush = NULL;
        host_touches(watched_frame, true);
        assert_int_equal(plain_touches(0x5000, EPT_WRITE), EPT02_FILLED);
    }
}

/* ---- Forgeries. ---- */

static uint8_t sealed[PAGE_SIZE];

static void seal_page(uint64_t gpa, uint64_t frame, uint64_t word)
{
    fill(frame, word);
    host_touches(frame, false);
    assert_page(&a, gpa, FAKE_OUT, 0);
}

/* The VM touches a page that is OUT and finds `frame`: it stops, and nothing of what was opened is left. */
static void assert_forged(uint64_t gpa, uint64_t frame)
{
    assert_int_equal(touch_with(&a, gpa, frame), VM_PAGE_STOPPED);
    assert_stopped(&a, VM_STOP_FORGED_PAGE, gpa / PAGE_SIZE);
    assert_int_equal(frame_state(hpa(frame)), FRAME_HOST);
    assert_true(zeroed(frame));
    assert_int_equal(b.vm->state, VM_RUNNING);
}

static void an_old_page_is_refused(void **state)
{
    uint64_t frame = take(&a, PAGE);

    (void)state;
    seal_page(PAGE, frame, 7);
    memcpy(sealed, phys_to_virt(hpa(frame)), PAGE_SIZE);
    assert_int_equal(touch(&a, PAGE), VM_PAGE_MAPPED);
    seal_page(PAGE, frame, 7); /* the same contents once more */
    memcpy(phys_to_virt(hpa(frame)), sealed, PAGE_SIZE);
    assert_forged(PAGE, frame);
}

static void swapped_pages_are_refused(void **state)
{
    uint64_t frame = take(&a, PAGE), other = take(&a, OTHER);

    (void)state;
    seal_page(PAGE, frame, 7);
    seal_page(OTHER, other, 8);
    assert_forged(PAGE, other);
}

static void another_vms_page_is_refused(void **state)
{
    uint64_t mine = take(&a, PAGE), theirs = take(&b, PAGE);

    (void)state;
    seal_page(PAGE, mine, 7);
    fill(theirs, 7);
    host_touches(theirs, false);
    assert_forged(PAGE, theirs);
}

static void flipped_bits_are_refused(void **state)
{
    static const unsigned bits[] = { 0, 7, 12345, PAGE_SIZE * 8 - 1 };

    for (size_t i = 0; i < COUNT_OF(bits); i++) {
        uint64_t frame;

        start(state);
        frame = take(&a, PAGE);
        seal_page(PAGE, frame, 7);
        *(uint8_t *)phys_to_virt(hpa(frame + bits[i] / 8)) ^= (uint8_t)(1 << bits[i] % 8);
        assert_forged(PAGE, frame);
        stop(state);
    }
}

static void plaintext_and_zeros_are_refused(void **state)
{
    for (unsigned i = 0; i < 2; i++) {
        uint64_t frame;

        start(state);
        frame = take(&a, PAGE);
        seal_page(PAGE, frame, 7);
        if (i == 0)
            fill(frame, 7);
        else
            memset(phys_to_virt(hpa(frame)), 0, PAGE_SIZE);
        assert_forged(PAGE, frame);
        stop(state);
    }
}

/* The VM's other frames stay its own until they are scrubbed: at a touch, or in slices. */
static void a_stopped_vms_frames_go_back_scrubbed(void **state)
{
    uint64_t frame = take(&a, PAGE), touched = take(&a, OTHER), rest = take(&a, BUNDLE_HIGH);

    (void)state;
    fill(touched, 8);
    fill(rest, 9);
    seal_page(PAGE, frame, 7);
    fill(frame, JUNK);
    assert_forged(PAGE, frame);
    assert_int_equal(frame_state(hpa(touched)), FRAME_VM);
    host_touches(touched, false);
    assert_true(zeroed(touched));
    assert_int_equal(a.vm->frames_in, 1);
    assert_int_equal(a.vm->paged_out, 1);
    while (!vm_pages_reap(a.vm, 1000000))
        continue;
    check_world();
    assert_int_equal(frame_state(hpa(rest)), FRAME_HOST);
    assert_true(zeroed(rest));
}

static void a_page_without_versions_left_stops_the_vm(void **state)
{
    uint64_t frame = take(&a, PAGE);

    (void)state;
    fill(frame, 7);
    fake_page_set_version(a.vm, PAGE, PAGE_VERSION_MAX);
    host_touches(frame, false);
    assert_true(zeroed(frame));
    assert_stopped(&a, VM_STOP_NO_MEMORY, PAGE / PAGE_SIZE);
}

static void versions_up_to_the_last_work(void **state)
{
    uint64_t frame = take(&a, PAGE);

    (void)state;
    fill(frame, 7);
    fake_page_set_version(a.vm, PAGE, PAGE_VERSION_MAX - 1);
    assert_page(&a, PAGE, FAKE_IN, frame);
    host_touches(frame, false);
    assert_page(&a, PAGE, FAKE_OUT, 0);
    assert_int_equal(fake_page_version(a.vm, PAGE), PAGE_VERSION_MAX);
    assert_int_equal(touch(&a, PAGE), VM_PAGE_MAPPED);
    assert_true(filled(frame, 7));
}

static void a_cipher_that_fails_leaves_no_plaintext(void **state)
{
    uint64_t frame = take(&a, PAGE);

    (void)state;
    fill(frame, 7);
    fake_seals_left = 0;
    host_touches(frame, false);
    assert_true(zeroed(frame));
    assert_stopped(&a, VM_STOP_NO_MEMORY, PAGE / PAGE_SIZE);
}

/* ---- Frames that the host should not offer. ---- */

static void assert_bad_frame(uint64_t frame)
{
    enum frame_state before = frame_state(hpa(frame));

    assert_int_equal(touch_with(&a, PAGE, frame), VM_PAGE_STOPPED);
    assert_stopped(&a, VM_STOP_BAD_FRAME, PAGE / PAGE_SIZE);
    assert_int_equal(frame_state(hpa(frame)), before);
    assert_page(&a, PAGE, FAKE_EMPTY, 0);
}

static void the_layers_frames_are_refused(void **state)
{
    (void)state;
    fake_forbid(hpa(FAKE_POOL_BASE + (POOL - 1) * UINT64_C(4096)));
    assert_bad_frame(FAKE_POOL_BASE + (POOL - 1) * UINT64_C(4096));
}

static void its_own_ept_is_refused(void **state)
{
    (void)state;
    assert_bad_frame(a.vm->ept.root.raw);
}

static void devices_are_refused(void **state)
{
    static const uint64_t devices[] = { RAM_BYTES, UINT64_C(0xfee00000), UINT64_C(1) << 39 };

    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        start(state);
        assert_bad_frame(devices[i]);
        stop(state);
    }
}

/* Two guest addresses, one frame: whoever touches takes, and what the other one had is not taken for its own again. */
static void an_alias_fails_closed(void **state)
{
    uint64_t frame = take(&a, PAGE);

    (void)state;
    fill(frame, 7);
    assert_int_equal(touch_with(&a, OTHER, frame), VM_PAGE_MAPPED);
    assert_page(&a, PAGE, FAKE_OUT, 0);
    assert_page(&a, OTHER, FAKE_IN, frame);
    assert_true(zeroed(frame));
    assert_null(mapped(&a, PAGE));
    fill(frame, 8);
    assert_forged(PAGE, frame);
    assert_page(&a, OTHER, FAKE_OUT, 0);
}

static uint64_t live_frame;

static void no_live_page_is_zeroed(void)
{
    assert_true(filled(live_frame, 7) || frame_state(hpa(live_frame)) != FRAME_VM || fake_page(a.vm, PAGE, NULL) == 2);
}

static void an_alias_is_sealed_before_it_is_taken(void **state)
{
    (void)state;
    live_frame = take(&a, PAGE);
    fill(live_frame, 7);
    fake_on_flush = no_live_page_is_zeroed;
    assert_int_equal(touch_with(&a, OTHER, live_frame), VM_PAGE_MAPPED);
    assert_int_equal(a.vm->paged_out, 1);
    assert_int_equal(a.vm->frames_in, 1);
}

static void a_frame_of_another_vm_is_sealed_first(void **state)
{
    uint64_t frame = take(&b, OTHER);

    (void)state;
    fill(frame, 7);
    assert_int_equal(touch_with(&a, PAGE, frame), VM_PAGE_MAPPED);
    assert_page(&b, OTHER, FAKE_OUT, 0);
    assert_page(&a, PAGE, FAKE_IN, frame);
    assert_true(zeroed(frame));
    assert_int_equal(b.vm->paged_out, 1);
    assert_int_equal(b.vm->state, VM_RUNNING);
    assert_int_equal(touch_with(&b, OTHER, host_frame()), VM_PAGE_STOPPED);
    assert_int_equal(b.vm->stop, VM_STOP_FORGED_PAGE);
    assert_int_equal(a.vm->state, VM_RUNNING);
}

static void a_frame_of_a_dead_vm_is_scrubbed_first(void **state)
{
    uint64_t frame = take(&b, OTHER);

    (void)state;
    fill(frame, 7);
    vm_stop(b.vm, VM_STOP_GUEST_RESET, 0);
    assert_int_equal(touch_with(&a, PAGE, frame), VM_PAGE_MAPPED);
    assert_page(&a, PAGE, FAKE_IN, frame);
    assert_true(zeroed(frame));
    assert_int_equal(b.vm->frames_in, 0);
}

static void a_watched_frame_is_watched_no_longer(void **state)
{
    uint64_t frame = host_frame();

    (void)state;
    offer(&plain, 0x5000, frame);
    assert_int_equal(plain_touches(0x5000, EPT_READ), EPT02_FILLED);
    assert_true(host_ept_watch(hpa(frame)));
    ept02_revoke(hpa(frame), EPT_WRITE);
    check_world();
    assert_int_equal(touch_with(&a, PAGE, frame), VM_PAGE_MAPPED);
    assert_int_equal(fake_frame_written, frame);
    assert_page(&a, PAGE, FAKE_IN, frame);
    assert_false(host_maps(frame));
    assert_false(plain_maps(0x5000));
}

static void the_tables_of_ept12_itself_can_be_offered(void **state)
{
    (void)state;
    assert_int_equal(touch_with(&a, PAGE, a.ept12.root), VM_PAGE_MAPPED);
    assert_page(&a, PAGE, FAKE_IN, a.ept12.root);
    assert_int_equal(touch(&a, OTHER), VM_PAGE_ABSENT);
    assert_int_equal(a.vm->state, VM_RUNNING);
}

/* ---- The VM's EPT is derived from its records: what is dropped of it comes back. ---- */

static void a_dropped_ept_is_made_again(void **state)
{
    uint64_t frame = take(&a, PAGE);

    (void)state;
    fill(frame, 7);
    ept_clear(&a.vm->ept);
    check_world();
    assert_int_equal(touch(&a, PAGE + 8), VM_PAGE_MAPPED);
    assert_ptr_equal(mapped(&a, PAGE), phys_to_virt(hpa(frame)));
    assert_true(filled(frame, 7));
    assert_int_equal(a.vm->claimed, 1);
}

static void no_memory_for_a_page_that_is_in_stops_the_vm(void **state)
{
    uint64_t frame = take(&a, PAGE);

    (void)state;
    fill(frame, 7);
    ept_clear(&a.vm->ept);
    flush_all_cpus(fake_cpu);
    ept02_clear_all();
    host_ept_rebuild();
    flush_all_cpus(fake_cpu);
    while (pool_alloc().raw != 0)
        continue;
    assert_int_equal(touch(&a, PAGE), VM_PAGE_STOPPED);
    assert_stopped(&a, VM_STOP_NO_MEMORY, PAGE / PAGE_SIZE);
    assert_true(filled(frame, 7)); /* still the VM's */
    assert_int_equal(frame_state(hpa(frame)), FRAME_VM);
}

static void flushing_stop(void)
{
    flushes_seen++;
    assert_null(mapped(&a, PAGE));
    assert_int_equal(frame_state(hpa(watched_frame)), FRAME_VM);
    assert_true(filled(watched_frame, 7));
}

/* No CPU runs on in a VM that is over, and its frames are not scrubbed before. */
static void the_end_is_flushed_to_everybody(void **state)
{
    (void)state;
    watched_frame = take(&a, PAGE);
    fill(watched_frame, 7);
    flushes_seen = 0;
    fake_on_flush = flushing_stop;
    vm_stop(a.vm, VM_STOP_GUEST_RESET, 0);
    assert_int_equal(flushes_seen, 1);
}

/* ---- Dead VMs. ---- */

static void a_dead_vm_takes_nothing(void **state)
{
    uint64_t frame = take(&a, PAGE), fresh = host_frame();

    (void)state;
    vm_stop(a.vm, VM_STOP_GUEST_RESET, 0);
    check_world();
    assert_int_equal(touch_with(&a, OTHER, fresh), VM_PAGE_STOPPED);
    assert_int_equal(frame_state(hpa(fresh)), FRAME_HOST);
    assert_int_equal(touch(&a, PAGE), VM_PAGE_STOPPED);
    assert_null(mapped(&a, PAGE));
    offer_large(&a, LARGE, 0x4000000);
    assert_int_equal(touch(&a, LARGE), VM_PAGE_STOPPED);
    assert_int_equal(a.vm->frames_in, 1);
    assert_int_equal(frame_state(hpa(0x4000000)), FRAME_HOST);
    assert_page(&a, PAGE, FAKE_IN, frame);
}

static void frames_are_reaped_in_slices(void **state)
{
    enum { PAGES = 10 };
    uint64_t frames[PAGES];
    unsigned slices = 1;

    (void)state;
    for (unsigned i = 0; i < PAGES; i++) {
        frames[i] = take(&a, BUNDLE_RAM_START + i * PAGE_SIZE);
        fill(frames[i], i);
    }
    vm_stop(a.vm, VM_STOP_GUEST_RESET, 0);
    for (; !vm_pages_reap(a.vm, 16); slices++)
        check_world();
    assert_int_equal(slices, (BUNDLE_RAM_START / PAGE_SIZE + PAGES + 15) / 16);
    for (unsigned i = 0; i < PAGES; i++) {
        assert_true(zeroed(frames[i]));
        assert_int_equal(frame_state(hpa(frames[i])), FRAME_HOST);
    }
}

/* ---- No memory: a life of all kinds of steps with a pool of each size. ---- */

static bool short_life(void)
{
    struct bundle_descriptor d;
    uint64_t frame, permissions;

    fake_descriptor(&d);
    a.vm = vm_create(&d);
    check_world();
    if (a.vm == NULL)
        return false;
    a.vm->state = VM_RUNNING;
    a.vm->vcpus[0]->state = VCPU_RUNS;
    touch_with(&a, PAGE, frame = host_frame());
    touch_with(&a, BUNDLE_HIGH, host_frame());
    fake_ept12_map(&a.ept12, LARGE, LEVEL_2M, 0x4000000 | EPT_RWX);
    touch(&a, LARGE);
    vm_pages_map_absent(a.vm, BUNDLE_LOW_END);
    check_world();
    host_ept_violation(hpa(0x4007000), false);
    check_world();
    offer(&plain, 0x7000, frame);
    ept02_fill(plain_tree, l2gpa(0x7000), EPT_WRITE, &permissions);
    check_world();
    touch(&a, PAGE);
    touch(&a, LARGE + 0x7000);
    touch(&a, LARGE + 0x8000);
    return a.vm->state == VM_RUNNING;
}

static void an_empty_pool_is_survived_everywhere(void **state)
{
    unsigned lived = 0, made = 0;

    for (size_t pool = 2; pool < 80; pool++) {
        size_t before;

        if (!start_with(pool))
            continue;
        before = fake_pool_used();
        lived += short_life();
        made += a.vm != NULL;
        vm_end_all(VM_STOP_HOST_RESET, true);
        vm_reap();
        check_world();
        ept02_clear_all();
        host_ept_rebuild();
        flush_all_cpus(fake_cpu);
        assert_in_range(fake_pool_used(), before, before + 1); /* the page of ones stays */
    }
    assert_true(lived > 0 && lived < made && made < 70);
    start(state);
}

int main(void)
{
    struct group g = { 0 };

#define TEST(function) group_add(&g, function, NULL, "%s", #function)
    TEST(an_empty_page_is_zeroed_and_the_vms_alone);
    TEST(a_page_that_is_in_stays_whatever_the_host_maps);
    TEST(only_a_writable_leaf_is_claimed);
    TEST(permissions_of_upper_levels_count);
    TEST(an_entry_that_changes_underway_is_walked_again);
    TEST(ram_ends_where_the_descriptor_says);
    TEST(shared_pages_are_never_the_vms);
    TEST(absent_pages_read_as_ones);
    TEST(the_hosts_touch_gets_a_sealed_page);
    TEST(a_plain_vms_touch_gets_a_sealed_page);
    TEST(a_sealed_page_comes_back_in_any_frame);
    TEST(touches_of_what_is_not_a_vms_change_nothing);
    TEST(everybody_is_flushed_before_contents_change);
    TEST(an_old_page_is_refused);
    TEST(swapped_pages_are_refused);
    TEST(another_vms_page_is_refused);
    TEST(flipped_bits_are_refused);
    TEST(plaintext_and_zeros_are_refused);
    TEST(a_stopped_vms_frames_go_back_scrubbed);
    TEST(a_page_without_versions_left_stops_the_vm);
    TEST(versions_up_to_the_last_work);
    TEST(a_cipher_that_fails_leaves_no_plaintext);
    TEST(the_layers_frames_are_refused);
    TEST(its_own_ept_is_refused);
    TEST(devices_are_refused);
    TEST(an_alias_fails_closed);
    TEST(an_alias_is_sealed_before_it_is_taken);
    TEST(a_frame_of_another_vm_is_sealed_first);
    TEST(a_frame_of_a_dead_vm_is_scrubbed_first);
    TEST(a_watched_frame_is_watched_no_longer);
    TEST(the_tables_of_ept12_itself_can_be_offered);
    TEST(a_dropped_ept_is_made_again);
    TEST(no_memory_for_a_page_that_is_in_stops_the_vm);
    TEST(the_end_is_flushed_to_everybody);
    TEST(a_dead_vm_takes_nothing);
    TEST(frames_are_reaped_in_slices);
    TEST(an_empty_pool_is_survived_everywhere);
#undef TEST
    for (size_t i = 0; i < g.count; i++) {
        g.tests[i].setup_func = start;
        g.tests[i].teardown_func = stop;
    }
    return group_run(&g, "vm_pages");
}
