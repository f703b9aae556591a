/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The life of protected VMs: launch in slices with the digest computed a second time from plain buffers, the exit
 * window, vCPUs bound to frames of the host's, and the end, after which everything is as it was before.
 */
#include "vm_tests.h"
#include "cloudvisor/flush.h"
#include "cloudvisor/hypercall.h"
#include "cloudvisor/vm_window.h"

enum { STEPS_MAX = 200 };

/* ---- The host's side of a launch. ---- */

static struct bundle_descriptor descriptor;
static unsigned absent_steps;

/* What the host loaded at a guest page: the descriptor, or words that tell the address. */
static void load_page(uint64_t gpa, uint64_t frame)
{
    if (gpa == BUNDLE_DESCRIPTOR)
        memcpy(phys_to_virt(hpa(frame)), &descriptor, sizeof(descriptor));
    else
        fill(frame, gpa);
}

static void bring(const struct guest *g, uint64_t gpa)
{
    uint64_t frame = host_frame();

    load_page(gpa, frame);
    offer(g, gpa, frame);
}

static void bring_all(const struct guest *g)
{
    for (unsigned i = 0; i < descriptor.range_count; i++)
        for (unsigned n = 0; n < descriptor.ranges[i].page_count; n++)
            bring(g, descriptor.ranges[i].gpa + n * UINT64_C(0x1000));
    for (unsigned i = 0; i < BUNDLE_EXIT_WINDOW_PAGES; i++)
        bring(g, BUNDLE_WINDOW + i * PAGE_SIZE);
}

static enum vm_page_answer step(const struct guest *g, uint64_t *gpa)
{
    uint64_t permissions = 99;
    enum vm_page_answer answer = vm_launch_step(g->vm, g->eptp, gpa, &permissions);

    check_world();
    if (answer == VM_PAGE_ABSENT)
        assert_true(permissions == 0 || permissions == EPT_READ);
    return answer;
}

/* Goes on until the launch is done or the VM is stopped; the host brings what it is asked for if `brings`. */
static enum vm_page_answer launch(const struct guest *g, bool brings)
{
    enum vm_page_answer answer = VM_PAGE_ABSENT;

    absent_steps = 0;
    for (unsigned i = 0; i < STEPS_MAX && answer == VM_PAGE_ABSENT; i++) {
        uint64_t gpa = 0;

        answer = step(g, &gpa);
        absent_steps += answer == VM_PAGE_ABSENT;
        if (answer == VM_PAGE_ABSENT && brings)
            bring(g, gpa);
    }
    return answer;
}

static void create(struct guest *g)
{
    g->vm = vm_create(&descriptor);
    assert_non_null(g->vm);
    check_world();
}

static int start_host(void **state)
{
    (void)state;
    assert_true(start_with(POOL));
    fake_descriptor(&descriptor);
    create(&a);
    return 0;
}

/* ---- The digest. ---- */

static void hash_words(mbedtls_sha256_context *hash, uint64_t gpa)
{
    uint64_t words[PAGE_SIZE / 8];

    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        words[i] = gpa + 8 * i;
    if (gpa == BUNDLE_DESCRIPTOR)
        memcpy(words, &descriptor, sizeof(words));
    mbedtls_sha256_update_ret(hash, (const uint8_t *)words, sizeof(words));
}

/* docs/bundle.md: the header, then each measured range's address, count and pages. */
static void expected_digest(uint8_t digest[BUNDLE_DIGEST_BYTES])
{
    const uint64_t header[] = { UINT64_C(0x48434e55414c5643), 1 | UINT64_C(2) << 32, BUNDLE_DESCRIPTOR,
                                4 + BUNDLE_LONG_PAGES };
    const uint64_t ranges[][2] = { { BUNDLE_RAM_START, 4 }, { BUNDLE_LONG_RANGE, BUNDLE_LONG_PAGES } };
    mbedtls_sha256_context hash;

    mbedtls_sha256_init(&hash);
    mbedtls_sha256_starts_ret(&hash, 0);
    mbedtls_sha256_update_ret(&hash, (const uint8_t *)header, sizeof(header));
    for (size_t i = 0; i < COUNT_OF(ranges); i++) {
        mbedtls_sha256_update_ret(&hash, (const uint8_t *)ranges[i], sizeof(ranges[i]));
        for (uint64_t n = 0; n < ranges[i][1]; n++)
            hash_words(&hash, ranges[i][0] + n * PAGE_SIZE);
    }
    mbedtls_sha256_finish_ret(&hash, digest);
    mbedtls_sha256_free(&hash);
}

static void assert_launched(const struct guest *g)
{
    uint8_t digest[BUNDLE_DIGEST_BYTES];

    expected_digest(digest);
    assert_int_equal(g->vm->state, VM_RUNNING);
    assert_memory_equal(g->vm->digest, digest, sizeof(digest));
}

static void the_digest_is_that_of_the_measured_ranges(void **state)
{
    (void)state;
    bring_all(&a);
    assert_int_equal(launch(&a, false), VM_PAGE_MAPPED);
    assert_launched(&a);
    assert_int_equal(a.vm->frames_in, 4 + 2 + BUNDLE_LONG_PAGES);
}

static void pages_that_are_absent_are_asked_for_one_by_one(void **state)
{
    (void)state;
    assert_int_equal(launch(&a, true), VM_PAGE_MAPPED);
    assert_launched(&a);
    assert_true(absent_steps >= 4 + 2 + BUNDLE_LONG_PAGES + BUNDLE_EXIT_WINDOW_PAGES);
}

static void a_step_claims_no_more_than_a_slice(void **state)
{
    uint64_t before = 0, gpa = 0;

    (void)state;
    bring_all(&a);
    for (unsigned i = 0; step(&a, &gpa) == VM_PAGE_ABSENT; i++) {
        assert_in_range(a.vm->frames_in - before, 1, 16);
        assert_int_equal(fake_page(a.vm, gpa, NULL), FAKE_EMPTY);
        before = a.vm->frames_in;
        assert_true(i < 10);
    }
    assert_launched(&a);
}

static void a_read_only_page_is_asked_for_as_writable(void **state)
{
    uint64_t gpa = 0;

    (void)state;
    bring_all(&a);
    fake_ept12_map(&a.ept12, BUNDLE_ENTRY, LEVEL_4K, host_frame() | EPT_READ);
    assert_int_equal(step(&a, &gpa), VM_PAGE_ABSENT);
    assert_int_equal(gpa, BUNDLE_RAM_START);
    assert_int_equal(a.vm->frames_in, 0);
}

static void contents_of_every_range(void **state)
{
    (void)state;
    bring_all(&a);
    assert_int_equal(launch(&a, false), VM_PAGE_MAPPED);
    assert_memory_equal(mapped(&a, BUNDLE_DESCRIPTOR), &descriptor, sizeof(descriptor));
    assert_int_equal(*mapped(&a, BUNDLE_RAM_START), BUNDLE_RAM_START);
    assert_int_equal(*mapped(&a, BUNDLE_INPUT_PAGE + 0x1008), BUNDLE_INPUT_PAGE + 0x1008);
    assert_page(&a, BUNDLE_ZERO_PAGE, FAKE_EMPTY, 0);
    assert_int_equal(touch(&a, BUNDLE_ZERO_PAGE), VM_PAGE_MAPPED);
    assert_int_equal(*mapped(&a, BUNDLE_ZERO_PAGE), 0);
    assert_page(&a, BUNDLE_FREE, FAKE_EMPTY, 0);
}

static void input_is_not_measured(void **state)
{
    unsigned level;

    (void)state;
    bring_all(&a);
    fill(phys_read64(fake_ept12_entry(&a.ept12, BUNDLE_INPUT_PAGE, LEVEL_4K)) & EPT_ADDRESS, 42);
    assert_int_equal(launch(&a, false), VM_PAGE_MAPPED);
    assert_launched(&a);
    assert_int_equal(*mapped(&a, BUNDLE_INPUT_PAGE), 42);
    assert_int_not_equal(ept_find(&a.vm->ept, BUNDLE_INPUT_PAGE, &level), 0);
}

static void a_changed_bit_changes_the_digest(void **state)
{
    uint8_t digest[BUNDLE_DIGEST_BYTES];
    uint64_t frame;

    (void)state;
    bring_all(&a);
    frame = phys_read64(fake_ept12_entry(&a.ept12, BUNDLE_LONG_RANGE + 0x13000, LEVEL_4K)) & EPT_ADDRESS;
    *(uint8_t *)phys_to_virt(hpa(frame + PAGE_SIZE - 1)) ^= 0x80;
    assert_int_equal(launch(&a, false), VM_PAGE_MAPPED);
    expected_digest(digest);
    assert_memory_not_equal(a.vm->digest, digest, sizeof(digest));
}

/* One frame for two measured pages: the first is sealed, so that the second hashes as something else. */
static void an_aliased_launch_has_another_digest(void **state)
{
    uint8_t digest[BUNDLE_DIGEST_BYTES];

    (void)state;
    bring_all(&a);
    fake_ept12_map(&a.ept12, BUNDLE_RAM_START + 0x3000, LEVEL_4K,
                   phys_read64(fake_ept12_entry(&a.ept12, BUNDLE_RAM_START, LEVEL_4K)));
    assert_int_equal(launch(&a, false), VM_PAGE_MAPPED);
    expected_digest(digest);
    assert_memory_not_equal(a.vm->digest, digest, sizeof(digest));
    assert_page(&a, BUNDLE_RAM_START, FAKE_OUT, 0);
}

static void what_the_host_touches_meanwhile_was_hashed_before(void **state)
{
    uint64_t gpa = 0, frame;

    (void)state;
    bring_all(&a);
    assert_int_equal(step(&a, &gpa), VM_PAGE_ABSENT);
    frame = phys_read64(fake_ept12_entry(&a.ept12, BUNDLE_DESCRIPTOR, LEVEL_4K)) & EPT_ADDRESS;
    host_touches(frame, true);
    assert_page(&a, BUNDLE_DESCRIPTOR, FAKE_OUT, 0);
    assert_int_equal(launch(&a, false), VM_PAGE_MAPPED);
    assert_launched(&a);
    assert_int_equal(touch(&a, BUNDLE_DESCRIPTOR), VM_PAGE_MAPPED);
    assert_memory_equal(mapped(&a, BUNDLE_DESCRIPTOR), &descriptor, sizeof(descriptor));
}

static void a_descriptor_that_changed_stops_the_launch(void **state)
{
    uint64_t frame;

    (void)state;
    bring_all(&a);
    frame = phys_read64(fake_ept12_entry(&a.ept12, BUNDLE_DESCRIPTOR, LEVEL_4K)) & EPT_ADDRESS;
    ((struct bundle_descriptor *)phys_to_virt(hpa(frame)))->padding[2327] = 1;
    assert_int_equal(launch(&a, false), VM_PAGE_STOPPED);
    assert_stopped(&a, VM_STOP_LAUNCH_CHANGED, BUNDLE_DESCRIPTOR);
}

static void a_bad_frame_stops_the_launch(void **state)
{
    (void)state;
    bring_all(&a);
    offer(&a, BUNDLE_LONG_RANGE, FAKE_POOL_BASE);
    assert_int_equal(launch(&a, false), VM_PAGE_STOPPED);
    assert_stopped(&a, VM_STOP_BAD_FRAME, BUNDLE_LONG_RANGE / PAGE_SIZE);
}

static hpa_t raced_entry;

static void host_races(hpa_t where)
{
    if (where.raw == raced_entry.raw)
        phys_write64(where, phys_read64(where) ^ EPT_IGNORE_PAT);
}

static void an_entry_that_changes_underway_is_asked_for(void **state)
{
    uint64_t gpa = 0;

    (void)state;
    bring_all(&a);
    raced_entry = fake_ept12_entry(&a.ept12, BUNDLE_RAM_START, LEVEL_4K);
    fake_on_cmpxchg = host_races;
    assert_int_equal(step(&a, &gpa), VM_PAGE_ABSENT);
    assert_int_equal(gpa, BUNDLE_RAM_START);
    fake_on_cmpxchg = NULL;
    assert_int_equal(launch(&a, false), VM_PAGE_MAPPED);
    assert_launched(&a);
}

/* ---- The exit window. ---- */

static uint64_t window_frame(unsigned i)
{
    return phys_read64(fake_ept12_entry(&a.ept12, BUNDLE_WINDOW + i * UINT64_C(0x1000), LEVEL_4K)) & EPT_ADDRESS;
}

static void the_window_maps_a_gigabyte_and_holds_code(void **state)
{
    const uint64_t *page;

    (void)state;
    bring_all(&a);
    assert_int_equal(launch(&a, false), VM_PAGE_MAPPED);
    for (unsigned i = 0; i < 2; i++) {
        page = phys_to_virt(hpa(window_frame(i)));
        assert_int_equal(page[0], (BUNDLE_WINDOW + (i + 1) * PAGE_SIZE) | 0x23);
        for (unsigned n = 1; n < 512; n++)
            assert_int_equal(page[n], 0);
    }
    page = phys_to_virt(hpa(window_frame(2)));
    for (unsigned n = 0; n < 512; n++)
        assert_int_equal(page[n], (uint64_t)n * LARGE_BYTES | 0xe3);
    page = phys_to_virt(hpa(window_frame(3)));
    assert_memory_equal(page, vm_window_code, sizeof(vm_window_code));
    for (unsigned n = sizeof(vm_window_code); n < PAGE_SIZE; n++)
        assert_int_equal(((const uint8_t *)page)[n], 0x90);
    for (unsigned i = 0; i < BUNDLE_EXIT_WINDOW_PAGES; i++)
        assert_int_equal(frame_state(hpa(window_frame(i))), FRAME_HOST);
}

static void the_window_may_lie_in_a_large_page(void **state)
{
    (void)state;
    fake_ept12_map(&a.ept12, 0, LEVEL_2M, 0x4000000 | EPT_RWX);
    for (uint64_t gpa = BUNDLE_RAM_START; gpa < LARGE_BYTES; gpa += PAGE_SIZE)
        load_page(gpa, 0x4000000 + gpa);
    assert_int_equal(launch(&a, false), VM_PAGE_MAPPED);
    assert_launched(&a);
    assert_memory_equal(phys_to_virt(hpa(0x4000000 + BUNDLE_WINDOW + 3 * PAGE_SIZE)), vm_window_code,
                        sizeof(vm_window_code));
}

static void the_window_is_asked_for_as_writable(void **state)
{
    uint64_t gpa = 0, frame;

    (void)state;
    bring_all(&a);
    frame = window_frame(2);
    fake_ept12_map(&a.ept12, BUNDLE_WINDOW + 0x2000, LEVEL_4K, frame | EPT_READ);
    assert_int_equal(step(&a, &gpa), VM_PAGE_ABSENT);
    while (gpa != BUNDLE_WINDOW + 0x2000)
        assert_int_equal(step(&a, &gpa), VM_PAGE_ABSENT);
    assert_true(filled(frame, BUNDLE_WINDOW + 0x2000));
    offer(&a, BUNDLE_WINDOW + 0x2000, frame);
    assert_int_equal(launch(&a, false), VM_PAGE_MAPPED);
    assert_launched(&a);
}

/* The layer writes the window for the host: only where the host itself could. */
static void the_window_overwrites_nothing_of_others(void **state)
{
    uint64_t theirs;

    (void)state;
    create(&b);
    b.vm->state = VM_RUNNING;
    theirs = take(&b, BUNDLE_FREE);
    fill(theirs, 7);
    bring_all(&a);
    offer(&a, BUNDLE_WINDOW, theirs);
    offer(&a, BUNDLE_WINDOW + 0x1000, FAKE_POOL_BASE + (POOL - 1) * UINT64_C(4096));
    fake_forbid(hpa(FAKE_POOL_BASE + (POOL - 1) * UINT64_C(4096)));
    offer(&a, BUNDLE_WINDOW + 0x2000, UINT64_C(0xfee00000));
    fake_forbid(hpa(UINT64_C(0xfee00000)));
    assert_int_equal(launch(&a, false), VM_PAGE_MAPPED);
    assert_page(&b, BUNDLE_FREE, FAKE_OUT, 0);
    assert_int_equal(b.vm->state, VM_RUNNING);
    b.vm->state = VM_LAUNCHING;
}

/* A window in a page of the bundle: that page was sealed, and comes back as forged. */
static void a_window_over_the_bundle_fails_closed(void **state)
{
    (void)state;
    bring_all(&a);
    offer(&a, BUNDLE_WINDOW, phys_read64(fake_ept12_entry(&a.ept12, BUNDLE_RAM_START, LEVEL_4K)) & EPT_ADDRESS);
    assert_int_equal(launch(&a, false), VM_PAGE_MAPPED);
    assert_launched(&a);
    assert_page(&a, BUNDLE_RAM_START, FAKE_OUT, 0);
    assert_int_equal(touch(&a, BUNDLE_RAM_START), VM_PAGE_STOPPED);
    assert_stopped(&a, VM_STOP_FORGED_PAGE, BUNDLE_RAM_START / PAGE_SIZE);
}

/* ---- vCPUs and regions. ---- */

static uint64_t bind_vcpu(struct vcpu *vcpu)
{
    uint64_t region = host_frame();

    assert_true(vm_bind(vcpu, region));
    vcpu->state = vcpu->state == VCPU_ABSENT ? VCPU_RUNS : vcpu->state;
    check_world();
    return region;
}

static void a_bound_region_is_nobodys_to_touch(void **state)
{
    uint64_t region = host_frame(), index = 99;

    (void)state;
    host_touches(region, true);
    offer(&plain, 0x5000, region);
    assert_int_equal(plain_touches(0x5000, EPT_WRITE), EPT02_FILLED);
    fake_flushes = 0;
    assert_true(vm_bind(a.vm->vcpus[1], region));
    check_world();
    assert_int_equal(fake_flushes, 1);
    assert_int_equal(frame_state(hpa(region)), FRAME_BOUND);
    assert_int_equal(frame_owner(hpa(region), &index), a.vm->index);
    assert_int_equal(index, 1);
    assert_false(host_maps(region) || plain_maps(0x5000));
    assert_ptr_equal(vm_bound(region), a.vm->vcpus[1]);
    assert_ptr_equal(a.vm->vcpus[1]->active_on, fake_cpu);
    assert_true(filled(region, JUNK));
    host_touches(region, false);
    vm_unbind(a.vm->vcpus[1]);
    check_world();
    assert_false(host_maps(region)); /* the ones are gone, too */
    assert_null(vm_bound(region));
    assert_int_equal(frame_state(hpa(region)), FRAME_HOST);
    vm_unbind(a.vm->vcpus[1]);
}

static void only_frames_of_the_host_can_be_bound(void **state)
{
    uint64_t bound = bind_vcpu(a.vm->vcpus[0]), watched = host_frame();
    const uint64_t refused[] = { bound, watched, FAKE_POOL_BASE, RAM_BYTES, UINT64_C(1) << 39 };

    (void)state;
    assert_true(host_ept_watch(hpa(watched)));
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        assert_false(vm_bind(a.vm->vcpus[1], refused[i]));
        assert_int_equal(a.vm->vcpus[1]->region, 0);
        check_world();
    }
    assert_null(vm_bound(watched));
    assert_null(vm_bound(RAM_BYTES));
}

static void the_hosts_touch_ends_a_vcpu_and_the_last_one_the_vm(void **state)
{
    uint64_t first = bind_vcpu(a.vm->vcpus[0]), second = bind_vcpu(a.vm->vcpus[1]);

    (void)state;
    host_touches(first, false); /* reads as ones: a dump of all memory ends nothing */
    assert_ptr_equal(vm_bound(first), a.vm->vcpus[0]);
    host_touches(first, true);
    assert_int_equal(a.vm->vcpus[0]->state, VCPU_ABSENT);
    assert_int_equal(a.vm->vcpus[0]->region, 0);
    assert_null(vm_bound(first));
    assert_int_equal(a.vm->state, VM_LAUNCHING);
    assert_ptr_equal(vm_bound(second), a.vm->vcpus[1]);
    offer(&plain, 0x5000, second);
    assert_int_equal(plain_touches(0x5000, EPT_READ), EPT02_FILLED);
    assert_stopped(&a, VM_STOP_HOST_GONE, 1);
}

/* Whoever gives the frame back, the host finds its own contents there again. */
static void a_region_that_was_read_as_ones_reads_as_itself_again(void **state)
{
    uint64_t region = bind_vcpu(a.vm->vcpus[1]);

    (void)state;
    bind_vcpu(a.vm->vcpus[0]);
    host_touches(region, false);
    assert_true(host_maps(region));
    offer(&plain, 0x5000, region);
    assert_int_equal(plain_touches(0x5000, EPT_READ), EPT02_FILLED);
    assert_int_equal(frame_state(hpa(region)), FRAME_HOST);
    host_touches(region, false);
}

/* A vCPU that only waits to be brought keeps nothing alive. */
static void a_waiting_vcpu_is_no_vcpu(void **state)
{
    uint64_t region = bind_vcpu(a.vm->vcpus[0]);

    (void)state;
    a.vm->vcpus[1]->state = VCPU_WAITS;
    host_touches(region, true);
    assert_stopped(&a, VM_STOP_HOST_GONE, 0);
}

static void a_bound_region_as_memory_of_another_vm(void **state)
{
    uint64_t region = bind_vcpu(a.vm->vcpus[0]);

    (void)state;
    create(&b);
    assert_int_equal(touch_with(&b, BUNDLE_FREE, region), VM_PAGE_MAPPED);
    assert_stopped(&a, VM_STOP_HOST_GONE, 0);
    assert_page(&b, BUNDLE_FREE, FAKE_IN, region);
    assert_true(zeroed(region));
}

static void a_vms_last_region_as_its_own_memory(void **state)
{
    uint64_t region = bind_vcpu(a.vm->vcpus[0]);

    (void)state;
    assert_int_equal(touch_with(&a, BUNDLE_FREE, region), VM_PAGE_STOPPED);
    assert_stopped(&a, VM_STOP_HOST_GONE, 0);
    assert_int_equal(frame_state(hpa(region)), FRAME_HOST);
    assert_page(&a, BUNDLE_FREE, FAKE_EMPTY, 0);
}

static void a_vms_last_region_as_its_exit_window(void **state)
{
    uint64_t region = bind_vcpu(a.vm->vcpus[0]);

    (void)state;
    bring_all(&a);
    offer(&a, BUNDLE_WINDOW + 0x1000, region);
    assert_int_equal(launch(&a, false), VM_PAGE_STOPPED);
    assert_stopped(&a, VM_STOP_HOST_GONE, 0);
}

/* ---- Which waiting vCPU a new vmcs12 is for. ---- */

static void wait_for_second(void)
{
    bring_all(&a);
    assert_int_equal(launch(&a, false), VM_PAGE_MAPPED);
    a.vm->vcpus[0]->state = VCPU_RUNS;
    assert_null(vm_awaited(a.eptp));
    a.vm->vcpus[1]->state = VCPU_WAITS;
}

static void a_waiting_vcpu_is_for_those_who_have_its_memory(void **state)
{
    uint64_t frame;

    (void)state;
    wait_for_second();
    assert_ptr_equal(vm_awaited(a.eptp), a.vm->vcpus[1]);
    assert_null(vm_awaited(b.eptp));
    assert_null(vm_awaited(plain.eptp));
    frame = phys_read64(fake_ept12_entry(&a.ept12, BUNDLE_DESCRIPTOR, LEVEL_4K)) & EPT_ADDRESS;
    fake_ept12_map(&b.ept12, BUNDLE_DESCRIPTOR, LEVEL_4K, frame | EPT_READ);
    assert_ptr_equal(vm_awaited(b.eptp), a.vm->vcpus[1]);
    fake_ept12_map(&b.ept12, BUNDLE_DESCRIPTOR, LEVEL_4K, (frame + 0x1000) | EPT_READ); /* the VM's, but another page */
    assert_null(vm_awaited(b.eptp));
    fake_ept12_map(&b.ept12, BUNDLE_DESCRIPTOR, LEVEL_4K, RAM_BYTES | EPT_READ);
    assert_null(vm_awaited(b.eptp));
}

static void a_descriptor_that_is_out_proves_nothing(void **state)
{
    (void)state;
    wait_for_second();
    host_touches(phys_read64(fake_ept12_entry(&a.ept12, BUNDLE_DESCRIPTOR, LEVEL_4K)) & EPT_ADDRESS, false);
    assert_null(vm_awaited(a.eptp));
    assert_int_equal(touch(&a, BUNDLE_DESCRIPTOR), VM_PAGE_MAPPED);
    assert_ptr_equal(vm_awaited(a.eptp), a.vm->vcpus[1]);
    vm_stop(a.vm, VM_STOP_GUEST_RESET, 0);
    assert_null(vm_awaited(a.eptp));
}

static void another_vms_copy_of_the_descriptor_proves_nothing(void **state)
{
    (void)state;
    wait_for_second();
    create(&b);
    bring_all(&b);
    assert_int_equal(launch(&b, false), VM_PAGE_MAPPED);
    assert_null(vm_awaited(b.eptp));
    assert_ptr_equal(vm_awaited(a.eptp), a.vm->vcpus[1]);
}

/* Whoever has it already, bound and not yet started or gone and still active elsewhere, has it alone. */
static void a_vcpu_is_given_away_once(void **state)
{
    uint64_t region = host_frame();

    (void)state;
    wait_for_second();
    assert_true(vm_bind(a.vm->vcpus[1], region));
    assert_null(vm_awaited(a.eptp));
    host_touches(region, true);
    a.vm->vcpus[1]->state = VCPU_WAITS; /* the guest starts it once more */
    assert_null(vm_awaited(a.eptp));
    a.vm->vcpus[1]->active_on = NULL; /* the host clears the old vmcs12 */
    assert_ptr_equal(vm_awaited(a.eptp), a.vm->vcpus[1]);
}

/* ---- Creation and end. ---- */

static void slots_are_taken_from_the_oldest_on(void **state)
{
    struct vm *made[VM_MAX];

    (void)state;
    descriptor.vcpu_count = 1;
    made[0] = a.vm;
    for (unsigned i = 1; i < VM_MAX; i++) {
        made[i] = vm_create(&descriptor);
        assert_non_null(made[i]);
        assert_int_equal(made[i]->id, i + 1);
    }
    assert_null(vm_create(&descriptor));
    vm_stop(made[5], VM_STOP_GUEST_RESET, 5);
    vm_stop(made[3], VM_STOP_GUEST_RESET, 3);
    assert_null(vm_create(&descriptor));
    vm_reap();
    check_world();
    assert_int_equal(made[5]->stop_detail, 5); /* it can still be asked why */
    assert_ptr_equal(vm_create(&descriptor), made[3]);
    assert_int_equal(made[3]->id, VM_MAX + 1);
    assert_int_equal(made[3]->stop, VM_STOP_NONE);
    assert_ptr_equal(vm_create(&descriptor), made[5]);
}

static void a_vm_that_cant_be_made_leaves_nothing_behind(void **state)
{
    size_t used;

    (void)state;
    used = fake_pool_used();
    fake_randoms_left = 0;
    assert_null(vm_create(&descriptor));
    assert_int_equal(fake_pool_used(), used);
    fake_randoms_left = 1;
    descriptor.ram[2].gpa = UINT64_C(1) << 38; /* beyond what there are records for */
    assert_null(vm_create(&descriptor));
    assert_int_equal(fake_pool_used(), used);
    descriptor.ram[2].gpa = (UINT64_C(1) << 38) - 0x2000; /* the last of the three pages is */
    assert_null(vm_create(&descriptor));
    assert_int_equal(fake_pool_used(), used);
    descriptor.ram[2].gpa = (UINT64_C(1) << 38) - 0x3000;
    create(&b);
    assert_int_equal(touch_with(&b, (UINT64_C(1) << 38) - 1, host_frame()), VM_PAGE_MAPPED);
    assert_int_equal(touch(&b, UINT64_C(1) << 38), VM_PAGE_OUTSIDE);
}

static void an_empty_pool_makes_no_vm(void **state)
{
    unsigned made = 0;

    (void)state;
    for (size_t pool = 4; pool < 30; pool++) {
        size_t used;

        if (!start_with(pool))
            continue;
        used = fake_pool_used();
        a.vm = vm_create(&descriptor);
        check_world();
        if (a.vm == NULL)
            assert_in_range(fake_pool_used(), used, used + 1); /* the page of ones stays */
        made += a.vm != NULL;
    }
    assert_true(made > 0 && made < 20);
    assert_true(start_with(POOL));
}

static void keys_differ_and_are_wiped(void **state)
{
    static const struct page_crypt wiped;

    (void)state;
    create(&b);
    assert_true(a.vm->crypt.has_key && b.vm->crypt.has_key);
    assert_int_not_equal(a.vm->crypt.vm_id, b.vm->crypt.vm_id);
    vm_stop(a.vm, VM_STOP_GUEST_RESET, 1);
    vm_stop(a.vm, VM_STOP_BAD_EVENT, 2); /* the first reason stays */
    assert_stopped(&a, VM_STOP_GUEST_RESET, 1);
    assert_memory_equal(&a.vm->crypt, &wiped, sizeof(wiped));
    assert_true(b.vm->crypt.has_key);
}

static void a_vm_lasts_as_long_as_one_vcpu_is_active(void **state)
{
    uint64_t active = bind_vcpu(a.vm->vcpus[0]), idle = bind_vcpu(a.vm->vcpus[1]);

    (void)state;
    a.vm->vcpus[1]->active_on = NULL;
    take(&a, BUNDLE_FREE);
    vm_stop(a.vm, VM_STOP_GUEST_RESET, 0);
    for (unsigned i = 0; i < 100; i++)
        vm_reap();
    check_world();
    assert_int_equal(a.vm->state, VM_DEAD);
    assert_int_equal(a.vm->frames_in, 0);
    assert_int_equal(frame_state(hpa(active)), FRAME_BOUND);
    assert_int_equal(frame_state(hpa(idle)), FRAME_HOST);
    a.vm->vcpus[0]->active_on = NULL;
    vm_reap();
    assert_int_equal(a.vm->state, VM_FREE);
    assert_int_equal(frame_state(hpa(active)), FRAME_HOST);
}

static void the_end_gives_every_page_back(void **state)
{
    size_t used;

    (void)state;
    vm_stop(a.vm, VM_STOP_GUEST_RESET, 0);
    vm_reap();
    used = fake_pool_used();
    create(&a);
    bring_all(&a);
    assert_int_equal(launch(&a, false), VM_PAGE_MAPPED);
    offer_large(&a, 0x400000, 0x4000000);
    assert_int_equal(touch(&a, 0x400000), VM_PAGE_MAPPED);
    host_touches(0x4005000, true);
    bind_vcpu(a.vm->vcpus[0]);
    a.vm->vcpus[0]->active_on = NULL;
    vm_end_all(VM_STOP_HOST_RESET, true);
    check_world();
    assert_int_equal(a.vm->frames_in, 0);
    vm_reap();
    ept02_clear_all();
    host_ept_rebuild();
    flush_all_cpus(fake_cpu);
    assert_int_equal(fake_pool_used(), used);
}

static void resets_scrub_every_vm(void **state)
{
    uint64_t mine, theirs;

    (void)state;
    create(&b);
    mine = take(&a, BUNDLE_FREE);
    theirs = take(&b, BUNDLE_HIGH);
    fill(mine, 7);
    fill(theirs, 7);
    vm_stop(b.vm, VM_STOP_GUEST_RESET, 0);
    assert_true(vm_any());
    vm_end_all(VM_STOP_HOST_RESET, true);
    check_world();
    assert_false(vm_any());
    assert_true(zeroed(mine) && zeroed(theirs));
    assert_int_equal(a.vm->stop, VM_STOP_HOST_RESET);
    assert_int_equal(b.vm->stop, VM_STOP_GUEST_RESET);
    assert_false(fake_locked());
}

/* ---- Policy, and what cvctl shows. ---- */

static void policy_at_its_edges(void **state)
{
    (void)state;
    assert_true(vm_has_mmio(a.vm, BUNDLE_DEVICE, 8) && vm_has_mmio(a.vm, BUNDLE_DEVICE + 0xff8, 8));
    assert_false(vm_has_mmio(a.vm, BUNDLE_DEVICE + 0xff9, 8) || vm_has_mmio(a.vm, BUNDLE_DEVICE - 1, 1));
    assert_false(vm_has_mmio(a.vm, UINT64_MAX, 8) || vm_has_mmio(a.vm, BUNDLE_RAM_START, 1));
    assert_true(vm_has_ports(a.vm, 0x3f8, 4) && vm_has_ports(a.vm, 0x3fc, 4) && vm_has_ports(a.vm, 0x71, 1));
    assert_false(vm_has_ports(a.vm, 0x3fd, 4) || vm_has_ports(a.vm, 0x3f7, 2) || vm_has_ports(a.vm, 0x71, 2));
    assert_false(vm_has_ports(a.vm, 0xffff, 4));
    for (unsigned vector = 0; vector < 256; vector++)
        assert_int_equal(vm_has_vector(a.vm, (uint8_t)vector), vector >= 0x20 && vector != 0x80);
    assert_true(vm_is_ram(a.vm, 0) && vm_is_ram(a.vm, BUNDLE_HIGH_END - 1));
    assert_false(vm_is_ram(a.vm, BUNDLE_LOW_END) || vm_is_ram(a.vm, UINT64_MAX));
}

static void words_tell_of_vms_alive_and_over(void **state)
{
    uint64_t value = 99, digest[4];

    (void)state;
    bring_all(&a);
    assert_int_equal(launch(&a, false), VM_PAGE_MAPPED);
    for (unsigned i = 0; i < 4; i++)
        assert_true(vm_word(a.vm->index, VM_WORD_DIGEST + i, &digest[i]));
    assert_memory_equal(digest, a.vm->digest, sizeof(digest));
    assert_true(vm_word(a.vm->index, VM_WORD_VCPUS, &value));
    assert_int_equal(value, 2);
    assert_true(vm_word(a.vm->index, VM_WORD_FRAMES, &value));
    assert_int_equal(value, a.vm->frames_in);
    assert_false(vm_word(a.vm->index, VM_WORD_COUNT, &value));
    assert_false(vm_word(VM_MAX, 0, &value));
    assert_false(vm_word(UINT64_MAX, UINT64_MAX, &value));
}

int main(void)
{
    struct group g = { 0 };

#define TEST(function) group_add(&g, function, NULL, "%s", #function)
    TEST(the_digest_is_that_of_the_measured_ranges);
    TEST(pages_that_are_absent_are_asked_for_one_by_one);
    TEST(a_step_claims_no_more_than_a_slice);
    TEST(a_read_only_page_is_asked_for_as_writable);
    TEST(contents_of_every_range);
    TEST(input_is_not_measured);
    TEST(a_changed_bit_changes_the_digest);
    TEST(an_aliased_launch_has_another_digest);
    TEST(what_the_host_touches_meanwhile_was_hashed_before);
    TEST(a_descriptor_that_changed_stops_the_launch);
    TEST(a_bad_frame_stops_the_launch);
    TEST(an_entry_that_changes_underway_is_asked_for);
    TEST(the_window_maps_a_gigabyte_and_holds_code);
    TEST(the_window_may_lie_in_a_large_page);
    TEST(the_window_is_asked_for_as_writable);
    TEST(the_window_overwrites_nothing_of_others);
    TEST(a_window_over_the_bundle_fails_closed);
    TEST(a_bound_region_is_nobodys_to_touch);
    TEST(only_frames_of_the_host_can_be_bound);
    TEST(the_hosts_touch_ends_a_vcpu_and_the_last_one_the_vm);
    TEST(a_region_that_was_read_as_ones_reads_as_itself_again);
    TEST(a_waiting_vcpu_is_no_vcpu);
    TEST(a_bound_region_as_memory_of_another_vm);
    TEST(a_vms_last_region_as_its_own_memory);
    TEST(a_vms_last_region_as_its_exit_window);
    TEST(a_waiting_vcpu_is_for_those_who_have_its_memory);
    TEST(a_descriptor_that_is_out_proves_nothing);
    TEST(another_vms_copy_of_the_descriptor_proves_nothing);
    TEST(a_vcpu_is_given_away_once);
    TEST(slots_are_taken_from_the_oldest_on);
    TEST(a_vm_that_cant_be_made_leaves_nothing_behind);
    TEST(an_empty_pool_makes_no_vm);
    TEST(keys_differ_and_are_wiped);
    TEST(a_vm_lasts_as_long_as_one_vcpu_is_active);
    TEST(the_end_gives_every_page_back);
    TEST(resets_scrub_every_vm);
    TEST(policy_at_its_edges);
    TEST(words_tell_of_vms_alive_and_over);
#undef TEST
    for (size_t i = 0; i < g.count; i++) {
        g.tests[i].setup_func = start_host;
        g.tests[i].teardown_func = stop;
    }
    return group_run(&g, "vm");
}
