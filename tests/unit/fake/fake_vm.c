/* SPDX-License-Identifier: GPL-2.0-only */
/* See fake_vm.h. The files are included, so that each start begins without what they remember. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <mbedtls/aesni.h>
#include <mbedtls/gcm.h>
#include "fake_vm.h"

unsigned fake_randoms_left, fake_seals_left;

static int fake_crypt_and_tag(mbedtls_gcm_context *ctx, int mode, size_t length, const uint8_t *iv, size_t iv_size,
                              const uint8_t *add, size_t add_size, const uint8_t *input, uint8_t *output,
                              size_t tag_size, uint8_t *tag)
{
    if (fake_seals_left == 0)
        return MBEDTLS_ERR_GCM_HW_ACCEL_FAILED;
    fake_seals_left--;
    return mbedtls_gcm_crypt_and_tag(ctx, mode, length, iv, iv_size, add, add_size, input, output, tag_size, tag);
}

#define mbedtls_aesni_has_support(what) 1 /* whatever runs the tests */
#define mbedtls_gcm_crypt_and_tag       fake_crypt_and_tag
#include "crypto/page_crypt.c"
#undef mbedtls_gcm_crypt_and_tag
#include "ept-guard/vm_pages.c"
#include "cloudvisor/vm.c"

_Static_assert((int)FAKE_EMPTY == PAGE_EMPTY && (int)FAKE_IN == PAGE_IN && (int)FAKE_OUT == PAGE_OUT &&
                   (int)FAKE_SHARED == PAGE_SHARED,
               "the records' own states");

bool random_bytes(void *to, size_t size)
{
    memset(to, 0, size);
    if (fake_randoms_left == 0)
        return false;
    fake_randoms_left--;
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)to)[i] = (uint8_t)(launches * 37 + i * 11);
    return true;
}

/* Those that are over have freed what they had; if not, the leak shows at the end. */
void fake_vm_forget(void)
{
    for (struct vm *vm = vms; vm < vms + VM_MAX; vm++) {
        if (vm->state == VM_LAUNCHING || vm->state == VM_RUNNING)
            page_crypt_free(&vm->crypt);
    }
    memset(vms, 0, sizeof(vms));
    launches = 0;
    dying = 0;
    ones = hpa(0);
    fake_randoms_left = fake_seals_left = UINT_MAX;
}

enum fake_page fake_page(const struct vm *vm, uint64_t gpa, hpa_t *frame)
{
    const struct page_seal *record = record_of(vm, GFN(gpa));

    if (record == NULL)
        return FAKE_NONE;
    if (frame != NULL)
        *frame = state_of(record) == PAGE_IN ? frame_of(record) : hpa(0);
    return (enum fake_page)state_of(record);
}

uint32_t fake_page_version(const struct vm *vm, uint64_t gpa)
{
    return record_of(vm, GFN(gpa))->version & PAGE_VERSION_MAX;
}

void fake_page_set_version(const struct vm *vm, uint64_t gpa, uint32_t version)
{
    struct page_seal *record = record_of(vm, GFN(gpa));

    record->version = (record->version & ~PAGE_VERSION_MAX) | version;
}

/* ---- All parties. ---- */

static struct {
    char text[160];
    uint64_t ram_bytes;
    uint8_t *seen; /* per frame: a record has it */
    const struct vm *vm;
} world;

#define WRONG(...)                                                                                                     \
    do {                                                                                                               \
        if (world.text[0] == 0)                                                                                        \
            snprintf(world.text, sizeof(world.text), __VA_ARGS__);                                                     \
    } while (0)

static void check_record(struct vm *vm, uint64_t gpa, uint64_t *in)
{
    uint64_t owner_gfn = 0;
    hpa_t frame;

    if (fake_page(vm, gpa, &frame) != FAKE_IN)
        return;
    ++*in;
    if (frame.raw >= world.ram_bytes || frame_state(frame) != FRAME_VM) {
        WRONG("VM %u has %#lx in frame %#lx, which is not a VM's", vm->index, gpa, frame.raw);
        return;
    }
    if (frame_owner(frame, &owner_gfn) != vm->index || owner_gfn != GFN(gpa))
        WRONG("VM %u has %#lx in frame %#lx, whose owner is another", vm->index, gpa, frame.raw);
    if (world.seen[frame.raw >> 12]++ != 0)
        WRONG("frame %#lx holds two pages", frame.raw);
}

static void check_vm_leaf(uint64_t gpa, uint64_t leaf, unsigned level, void *context)
{
    (void)context;
    if ((leaf & EPT_ADDRESS) == ones.raw) {
        if (level != LEVEL_4K || (leaf & EPT_RWX) != EPT_READ ||
            (fake_page(world.vm, gpa, NULL) != FAKE_NONE && fake_page(world.vm, gpa, NULL) != FAKE_SHARED))
            WRONG("VM %u: the page of ones is wrongly mapped at %#lx", world.vm->index, gpa);
        return;
    }
    if ((leaf & EPT_RWX) != EPT_RWX || (leaf & EPT_TYPE_MASK) != EPT_TYPE(TYPE_WB) || (leaf & EPT_IGNORE_PAT) != 0)
        WRONG("VM %u: leaf %#lx at %#lx", world.vm->index, leaf, gpa);
    for (uint64_t i = 0; i < ept_page_bytes(level); i += PAGE_SIZE) {
        hpa_t frame;

        if (fake_page(world.vm, gpa + i, &frame) != FAKE_IN || frame.raw != (leaf & EPT_ADDRESS) + i)
            WRONG("VM %u: %#lx is mapped, but its record says no", world.vm->index, gpa + i);
    }
}

static void check_vm(struct vm *vm)
{
    uint64_t in = 0;

    if (vm->state == VM_FREE) {
        if (vm->frames_in != 0 || vm->records.raw != 0 || vm->ept.root.raw != 0 || vm->crypt.has_key)
            WRONG("VM %u is over and has something", vm->index);
        return;
    }
    for (unsigned i = 0; i < vm->descriptor->ram_count; i++) {
        for (uint64_t n = 0; n < vm->descriptor->ram[i].page_count; n++)
            check_record(vm, vm->descriptor->ram[i].gpa + n * PAGE_SIZE, &in);
    }
    if (in != vm->frames_in)
        WRONG("VM %u has %lu frames and counts %lu", vm->index, in, vm->frames_in);
    if (vm->crypt.has_key != (vm->state != VM_DEAD) || (vm->stop == VM_STOP_NONE) != (vm->state != VM_DEAD))
        WRONG("VM %u: key, state and reason don't go together", vm->index);
    world.vm = vm;
    ept_visit(vm->ept.root, LEVEL_ROOT, 0, check_vm_leaf, NULL);
}

/* Host and plain VMs: nothing of the layer's or a protected VM's; bitmaps that were copied are read-only. */
static void check_open_leaf(uint64_t address, uint64_t leaf, unsigned level, void *context)
{
    uint64_t page = leaf & EPT_ADDRESS & ~(ept_page_bytes(level) - 1);

    for (uint64_t pa = page; pa < page + ept_page_bytes(level) && pa < world.ram_bytes; pa += PAGE_SIZE) {
        enum frame_state state = frame_state(hpa(pa));

        if (state == FRAME_LAYER || state == FRAME_VM || state == FRAME_BOUND)
            WRONG("%s reaches frame %#lx, in state %d, at %#lx", (const char *)context, pa, state, address);
        if (state == FRAME_WATCHED && (leaf & EPT_WRITE) != 0)
            WRONG("%s can write the watched frame %#lx", (const char *)context, pa);
    }
}

/* The host's EPT is the identity, but for a page of ones that it reads in place of what is hidden. */
static void check_host_leaf(uint64_t address, uint64_t leaf, unsigned level, void *context)
{
    enum frame_state state = frame_state(hpa(address));

    if ((leaf & EPT_ADDRESS & ~(ept_page_bytes(level) - 1)) == address) {
        check_open_leaf(address, leaf, level, context);
        return;
    }
    if ((state != FRAME_LAYER && state != FRAME_BOUND) || level != LEVEL_4K || (leaf & EPT_WRITE) != 0 ||
        phys_read64(hpa(leaf & EPT_ADDRESS)) != UINT64_MAX)
        WRONG("the host finds another frame than its own at %#lx, in state %d", address, state);
}

static void check_frame(hpa_t frame)
{
    enum frame_state state = frame_state(frame);
    uint64_t index;
    unsigned vm;

    if (state == FRAME_VM && world.seen[frame.raw >> 12] == 0)
        WRONG("frame %#lx is a VM's, but no record has it", frame.raw);
    if (state != FRAME_BOUND)
        return;
    vm = frame_owner(frame, &index);
    if (vm >= VM_MAX || index >= BUNDLE_VCPU_MAX || vms[vm].vcpus[index] == NULL ||
        vms[vm].vcpus[index]->region != frame.raw)
        WRONG("frame %#lx is bound to nobody", frame.raw);
}

static void check_vcpus(const struct vm *vm)
{
    for (unsigned i = 0; vm->state != VM_FREE && i < BUNDLE_VCPU_MAX && vm->vcpus[i] != NULL; i++) {
        uint64_t region = vm->vcpus[i]->region;

        if (region != 0 && (frame_state(hpa(region)) != FRAME_BOUND || vm_bound(region) != vm->vcpus[i]))
            WRONG("VM %u: the region of vCPU %u is not bound to it", vm->index, i);
    }
}

const char *fake_world(uint64_t ram_bytes)
{
    world.text[0] = 0;
    world.ram_bytes = ram_bytes;
    world.seen = calloc(1, ram_bytes >> 12);
    for (struct vm *vm = vms; vm < vms + VM_MAX; vm++) {
        check_vm(vm);
        check_vcpus(vm);
    }
    for (uint64_t pa = 0; pa < ram_bytes; pa += PAGE_SIZE)
        check_frame(hpa(pa));
    ept_visit(hpa(host_ept_pointer() & EPT_ADDRESS), LEVEL_ROOT, 0, check_host_leaf, (void *)(uintptr_t) "the host");
    fake_ept02_visit(check_open_leaf, (void *)(uintptr_t) "a plain VM");
    free(world.seen);
    return world.text[0] != 0 ? world.text : NULL;
}

/* ---- What the host brings. ---- */

void fake_descriptor(struct bundle_descriptor *d)
{
    *d = (struct bundle_descriptor){
        .magic = BUNDLE_MAGIC,
        .version = BUNDLE_VERSION,
        .size = sizeof(*d),
        .gpa = BUNDLE_DESCRIPTOR,
        .machine = BUNDLE_Q35,
        .vcpu_count = 2,
        .range_count = 4,
        .ram_count = 3,
        .mmio_count = 2,
        .port_count = 2,
        .entry_rip = BUNDLE_ENTRY,
        .entry_rsi = 0x102000,
        .cr3 = 0x103000,
        .gdt_gpa = 0x100800,
        .gdt_limit = 0x1f,
        .ap_start_gpa = BUNDLE_AP_PAGE,
        .exit_window_gpa = BUNDLE_WINDOW,
        .vectors = { UINT64_C(0xffffffff00000000), UINT64_MAX, ~UINT64_C(1), UINT64_MAX },
        .ranges = { { 0x100000, 4, BUNDLE_MEASURED },
                    { BUNDLE_ZERO_PAGE, 2, BUNDLE_ZERO },
                    { BUNDLE_INPUT_PAGE, 2, BUNDLE_INPUT },
                    { BUNDLE_LONG_RANGE, BUNDLE_LONG_PAGES, BUNDLE_MEASURED } },
        .ram = { { 0, BUNDLE_LOW_END / PAGE_SIZE },
                 { BUNDLE_RAM_START, (BUNDLE_RAM_END - BUNDLE_RAM_START) / PAGE_SIZE },
                 { BUNDLE_HIGH, (BUNDLE_HIGH_END - BUNDLE_HIGH) / PAGE_SIZE } },
        .mmio = { { BUNDLE_DEVICE, 1 }, { UINT64_C(0xfec00000), 1 } },
        .ports = { { 0x70, 0x71 }, { 0x3f8, 0x3ff } },
    };
}

static uint64_t next_table(const struct fake_ept12 *ept12)
{
    *ept12->next += PAGE_SIZE;
    return *ept12->next;
}

hpa_t fake_ept12_entry(const struct fake_ept12 *ept12, uint64_t gpa, unsigned level)
{
    uint64_t table = ept12->root;

    for (unsigned at = LEVEL_ROOT; at > level; at--) {
        hpa_t where = hpa(table + 8 * ept_index(gpa, at));
        uint64_t entry = phys_read64(where);

        if ((entry & EPT_RWX) == 0 || ept_is_leaf(entry, at) || frame_state(hpa(entry & EPT_ADDRESS)) != FRAME_HOST) {
            entry = next_table(ept12) | EPT_RWX;
            phys_write64(where, entry);
        }
        table = entry & EPT_ADDRESS;
    }
    return hpa(table + 8 * ept_index(gpa, level));
}

void fake_ept12_map(const struct fake_ept12 *ept12, uint64_t gpa, unsigned level, uint64_t leaf)
{
    phys_write64(fake_ept12_entry(ept12, gpa, level), leaf | (level > LEVEL_4K ? EPT_LARGE : 0));
}
