/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of protected VMs have in common: a host with 128 MiB (its tables from 4 MiB on, the layer's pool at
 * 16 MiB, frames for guests from 32 MiB on), two protected VMs and a plain one, and the look at all parties after each
 * step.
 */
#ifndef TESTS_UNIT_VM_TESTS_H
#define TESTS_UNIT_VM_TESTS_H

#include "unit.h"
#include "fake_vm.h"
#include "processors.h"
#include "cloudvisor/pool.h"
#include "ept-guard/ept02.h"
#include "ept-guard/frames.h"
#include "ept-guard/host_ept.h"

#define RAM_BYTES    (UINT64_C(128) << 20)
#define TABLES       UINT64_C(0x400000)
#define FRAMES_FIRST UINT64_C(0x2000000)
#define JUNK         UINT64_C(0xa5a5a5a5a5a5a5a5)
enum { PHYSICAL_BITS = 40, POOL = 3000, LARGE_BYTES = 0x200000, LARGE_PAGES = 512 };

struct guest {
    struct vm *vm;
    struct fake_ept12 ept12;
    uint64_t eptp;
};

static struct guest a, b, plain;
static struct ept02 *plain_tree;
static uint64_t next_table, next_frame;

static inline void check_world(void)
{
    const char *wrong = fake_world(RAM_BYTES);

    if (wrong != NULL)
        fail_msg("%s", wrong);
}

static inline void make_guest(struct guest *g)
{
    next_table += PAGE_SIZE;
    *g = (struct guest){ .ept12 = { next_table, &next_table },
                         .eptp = next_table | EPTP_WB_WALK_4 | EPTP_ACCESSED_DIRTY };
}

/* The layer with a pool of this size, no VM yet. False: it can't start. */
static inline bool start_with(size_t pool)
{
    struct mtrrs m = { .cap = 0x508, .default_type = 0x806, .address_mask = ((UINT64_C(1) << PHYSICAL_BITS) - 4096) };
    struct vmx_caps hw = processor_broadwell(), offer;
    struct ept12_format f;

    fake_ept02_forget();
    fake_vm_forget();
    fake_layer_start(RAM_BYTES, pool);
    vmx_caps_offer(&hw, &offer);
    f = ept12_format(&offer, PHYSICAL_BITS);
    ept02_init(&f);
    next_table = TABLES;
    next_frame = FRAMES_FIRST;
    make_guest(&a);
    make_guest(&b);
    make_guest(&plain);
    if (!host_ept_init(&m, PHYSICAL_BITS, true, true))
        return false;
    plain_tree = ept02_get(plain.eptp);
    return plain_tree != NULL;
}

static inline void fill(uint64_t frame, uint64_t word)
{
    for (unsigned i = 0; i < PAGE_SIZE; i += 8)
        *(uint64_t *)phys_to_virt(hpa(frame + i)) = word + i;
}

static inline bool filled(uint64_t frame, uint64_t word)
{
    for (unsigned i = 0; i < PAGE_SIZE; i += 8)
        if (*(uint64_t *)phys_to_virt(hpa(frame + i)) != word + i)
            return false;
    return true;
}

static inline bool zeroed(uint64_t frame)
{
    const uint8_t *bytes = phys_to_virt(hpa(frame));

    return bytes[0] == 0 && memcmp(bytes, bytes + 1, PAGE_SIZE - 1) == 0;
}

/* A frame of the host's that it has never used before, with old data in it. */
static inline uint64_t host_frame(void)
{
    uint64_t frame = next_frame;

    next_frame += PAGE_SIZE;
    fill(frame, JUNK);
    return frame;
}

static inline void offer(const struct guest *g, uint64_t gpa, uint64_t frame)
{
    fake_ept12_map(&g->ept12, gpa, LEVEL_4K, frame | EPT_RWX | EPT_TYPE(TYPE_WB));
}

static inline void offer_large(const struct guest *g, uint64_t gpa, uint64_t frames)
{
    for (uint64_t i = 0; i < LARGE_BYTES; i += PAGE_SIZE)
        fill(frames + i, JUNK);
    fake_ept12_map(&g->ept12, gpa, LEVEL_2M, frames | EPT_RWX | EPT_TYPE(TYPE_WB));
}

static inline enum vm_page_answer touch(const struct guest *g, uint64_t gpa)
{
    uint64_t permissions;
    enum vm_page_answer answer = vm_pages_touch(g->vm, g->eptp, gpa, false, &permissions);

    check_world();
    assert_int_equal(answer == VM_PAGE_STOPPED, g->vm->state == VM_DEAD);
    return answer;
}

/* The VM touches a page for which the host offers this frame, or a fresh one. */
static inline enum vm_page_answer touch_with(const struct guest *g, uint64_t gpa, uint64_t frame)
{
    offer(g, gpa, frame);
    return touch(g, gpa);
}

static inline uint64_t take(const struct guest *g, uint64_t gpa)
{
    uint64_t frame = host_frame();

    assert_int_equal(touch_with(g, gpa, frame), VM_PAGE_MAPPED);
    return frame;
}

static inline void host_touches(uint64_t frame, bool write)
{
    assert_int_equal(host_ept_violation(hpa(frame), write), HOST_EPT_MAPPED);
    check_world();
}

static inline enum ept02_answer plain_touches(uint64_t gpa, uint64_t access)
{
    uint64_t permissions;
    enum ept02_answer answer = ept02_fill(plain_tree, l2gpa(gpa), access, &permissions);

    check_world();
    return answer;
}

static inline void assert_page(const struct guest *g, uint64_t gpa, enum fake_page expected, uint64_t expected_frame)
{
    hpa_t frame = hpa(0);

    assert_int_equal(fake_page(g->vm, gpa, &frame), expected);
    assert_int_equal(frame.raw, expected_frame);
}

/* Where the VM's accesses to the page end up, or NULL for an EPT violation. */
static inline uint64_t *mapped(const struct guest *g, uint64_t gpa)
{
    unsigned level = 0;
    uint64_t leaf = ept_find(&g->vm->ept, gpa, &level);

    return leaf == 0 ? NULL : phys_to_virt(hpa((leaf & EPT_ADDRESS) + (gpa & (ept_page_bytes(level) - 1))));
}

static inline bool host_maps(uint64_t frame)
{
    struct ept ept = { .root = hpa(host_ept_pointer() & EPT_ADDRESS) };
    unsigned level;

    return ept_find(&ept, frame, &level) != 0;
}

static inline bool plain_maps(uint64_t gpa)
{
    unsigned level;

    return ept_find(&plain_tree->tree, gpa, &level) != 0;
}

/* A VM that needs no more of its bundle. */
static inline void make_vm(struct guest *g)
{
    struct bundle_descriptor d;

    fake_descriptor(&d);
    g->vm = vm_create(&d);
    assert_non_null(g->vm);
    g->vm->state = VM_RUNNING;
    g->vm->vcpus[0]->state = VCPU_RUNS;
    mbedtls_sha256_free(&g->vm->hash);
    check_world();
}

static inline void assert_stopped(const struct guest *g, enum vm_stop why, uint64_t detail)
{
    static const struct page_crypt wiped;

    assert_int_equal(g->vm->state, VM_DEAD);
    assert_int_equal(g->vm->stop, why);
    assert_int_equal(g->vm->stop_detail, detail);
    assert_memory_equal(&g->vm->crypt, &wiped, sizeof(wiped));
    for (uint64_t gpa = BUNDLE_RAM_START; gpa < BUNDLE_RAM_END; gpa += PAGE_SIZE)
        assert_null(mapped(g, gpa));
}

static inline int start(void **state)
{
    (void)state;
    assert_true(start_with(POOL));
    make_vm(&a);
    make_vm(&b);
    return 0;
}

/* Every frame goes back scrubbed, every page of the pool comes back. */
static inline int stop(void **state)
{
    (void)state;
    fake_on_flush = NULL;
    vm_end_all(VM_STOP_HOST_RESET, true);
    for (unsigned i = 0; i < VM_MAX; i++)
        for (unsigned j = 0; vms[i].state != VM_FREE && vms[i].vcpus[j] != NULL; j++)
            vms[i].vcpus[j]->active_on = NULL;
    vm_reap();
    check_world();
    for (unsigned i = 0; i < VM_MAX; i++)
        assert_int_equal(vms[i].state, VM_FREE);
    for (uint64_t pa = 0; pa < RAM_BYTES; pa += PAGE_SIZE)
        assert_true(frame_state(hpa(pa)) != FRAME_VM && frame_state(hpa(pa)) != FRAME_BOUND);
    return 0;
}

#endif
