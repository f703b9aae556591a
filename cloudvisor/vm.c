/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The life of protected VMs: from the launch call, through claiming and hashing of the bundle, to the last scrubbed
 * frame. Knows nothing of VMCSs.
 */
#include <mbedtls/platform_util.h>
#include <string.h>
#include "cloudvisor/flush.h"
#include "cloudvisor/hypercall.h"
#include "cloudvisor/log.h"
#include "cloudvisor/pool.h"
#include "cloudvisor/vm_window.h"
#include "crypto/random.h"
#include "ept-guard/ept02.h"
#include "ept-guard/frames.h"
#include "ept-guard/host_ept.h"
#include "ept-guard/vm_pages.h"

enum { LAUNCH_SLICE = 16, REAP_SLICE = 64 };

/* Entries of the exit window's page tables: present, writable, accessed; dirty and 2 MiB for leaves. */
enum { WINDOW_TABLE = 0x23, WINDOW_LEAF = 0xe3 };

struct vm vms[VM_MAX];
static uint64_t launches;
static volatile uint32_t dying; /* VMs that still have frames or bound vCPUs */

static const char *const stop_text[VM_STOP_COUNT] = {
    [VM_STOP_NONE] = "",
#define VM_STOP(name, text) [VM_STOP_##name] = (text),
#include "cloudvisor/vm_stops.def"
#undef VM_STOP
};

static bool in_windows(const struct bundle_window *windows, uint32_t count, uint64_t gpa, unsigned bytes)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t offset = gpa - windows[i].gpa, size = windows[i].page_count * PAGE_SIZE;

        if (gpa >= windows[i].gpa && offset < size && bytes <= size - offset)
            return true;
    }
    return false;
}

bool vm_is_ram(const struct vm *vm, uint64_t gpa)
{
    return in_windows(vm->descriptor->ram, vm->descriptor->ram_count, gpa, 1);
}

bool vm_has_mmio(const struct vm *vm, uint64_t gpa, unsigned bytes)
{
    return in_windows(vm->descriptor->mmio, vm->descriptor->mmio_count, gpa, bytes);
}

bool vm_has_ports(const struct vm *vm, uint16_t port, unsigned bytes)
{
    for (uint32_t i = 0; i < vm->descriptor->port_count; i++) {
        if (port >= vm->descriptor->ports[i].first && port + bytes - 1 <= vm->descriptor->ports[i].last)
            return true;
    }
    return false;
}

bool vm_has_vector(const struct vm *vm, uint8_t vector)
{
    return (vm->descriptor->vectors[vector / 64] >> (vector % 64) & 1) != 0;
}

/* Frees what a VM has besides its frames. */
static void release(struct vm *vm)
{
    vm_pages_destroy(vm);
    for (unsigned i = 0; i < BUNDLE_VCPU_MAX; i++) {
        if (vm->vcpus[i] == NULL)
            continue;
        if (vm->vcpus[i]->vmcs.raw != 0)
            pool_free(vm->vcpus[i]->vmcs);
        memset(vm->vcpus[i], 0, PAGE_SIZE);
        pool_free(hpa((uint64_t)vm->vcpus[i] - DIRECT_MAP_VA));
        vm->vcpus[i] = NULL;
    }
    if (vm->descriptor != NULL)
        pool_free(hpa((uint64_t)vm->descriptor - DIRECT_MAP_VA));
    vm->descriptor = NULL;
    vm->state = VM_FREE;
}

static void *page_or_null(void)
{
    hpa_t page = pool_alloc();

    return page.raw != 0 ? phys_to_virt(page) : NULL;
}

static bool create_vcpus(struct vm *vm)
{
    for (unsigned i = 0; i < vm->descriptor->vcpu_count; i++) {
        struct vcpu *vcpu = vm->vcpus[i] = page_or_null();

        if (vcpu == NULL)
            return false;
        vcpu->vm = vm;
        vcpu->index = i;
        vcpu->vmcs = pool_alloc();
        vcpu->regs.xstate = vcpu->xstate;
        if (vcpu->vmcs.raw == 0)
            return false;
    }
    return true;
}

static bool create_key(struct vm *vm)
{
    uint8_t key[PAGE_CRYPT_KEY_BYTES];
    bool ok;

    crypto_begin(&this_cpu()->crypto.interrupted);
    page_crypt_init(&vm->crypt);
    ok = random_bytes(key, sizeof(key)) && page_crypt_setkey(&vm->crypt, key, vm->id) == PAGE_CRYPT_OK;
    mbedtls_platform_zeroize(key, sizeof(key));
    crypto_end(&this_cpu()->crypto.interrupted);
    return ok;
}

static void hash(struct vm *vm, const void *bytes, size_t size)
{
    crypto_begin(&this_cpu()->crypto.interrupted);
    cv_assert(mbedtls_sha256_update_ret(&vm->hash, bytes, size) == 0);
    crypto_end(&this_cpu()->crypto.interrupted);
}

static void start_hash(struct vm *vm)
{
    const struct bundle_descriptor *d = vm->descriptor;
    struct bundle_digest_header header = { .magic = BUNDLE_DIGEST_MAGIC,
                                           .version = BUNDLE_VERSION,
                                           .descriptor_gpa = d->gpa };

    for (uint32_t i = 0; i < d->range_count; i++) {
        if (d->ranges[i].kind == BUNDLE_MEASURED) {
            header.measured_count++;
            header.page_count += d->ranges[i].page_count;
        }
    }
    crypto_begin(&this_cpu()->crypto.interrupted);
    mbedtls_sha256_init(&vm->hash);
    cv_assert(mbedtls_sha256_starts_ret(&vm->hash, 0) == 0);
    crypto_end(&this_cpu()->crypto.interrupted);
    hash(vm, &header, sizeof(header));
}

/* The free slot whose last VM is the oldest. */
static struct vm *free_slot(void)
{
    struct vm *slot = NULL;

    for (struct vm *vm = vms; vm < vms + VM_MAX; vm++) {
        if (vm->state == VM_FREE && (slot == NULL || vm->id < slot->id))
            slot = vm;
    }
    return slot;
}

struct vm *vm_create(const struct bundle_descriptor *descriptor)
{
    struct vm *vm = free_slot();

    if (vm == NULL)
        return NULL;
    memset(vm, 0, sizeof(*vm));
    vm->index = (uint32_t)(vm - vms);
    vm->id = ++launches;
    vm->vcpu_count = descriptor->vcpu_count;
    vm->descriptor = page_or_null();
    if (vm->descriptor == NULL)
        return NULL;
    memcpy(vm->descriptor, descriptor, sizeof(*descriptor));
    if (!create_vcpus(vm) || !vm_pages_create(vm) || !create_key(vm)) {
        release(vm);
        return NULL;
    }
    vm_pages_share(vm, descriptor->ap_start_gpa);
    for (unsigned i = 0; i < BUNDLE_EXIT_WINDOW_PAGES; i++)
        vm_pages_share(vm, descriptor->exit_window_gpa + i * PAGE_SIZE);
    start_hash(vm);
    vm->state = VM_LAUNCHING;
    vm->vcpus[0]->state = VCPU_LAUNCHES;
    return vm;
}

/* Claims one page of the bundle with its contents, and hashes it if it is measured. */
static enum vm_page_answer launch_page(struct vm *vm, const struct bundle_range *range, uint64_t eptp12, uint64_t gpa,
                                       uint64_t *permissions)
{
    enum vm_page_answer answer = vm_pages_touch(vm, eptp12, gpa, true, permissions);
    const void *page = vm_pages_view(vm, gpa);

    if (answer != VM_PAGE_MAPPED || page == NULL)
        return answer == VM_PAGE_MAPPED ? VM_PAGE_ABSENT : answer;
    if (gpa == vm->descriptor->gpa && memcmp(page, vm->descriptor, PAGE_SIZE) != 0) {
        vm_stop(vm, VM_STOP_LAUNCH_CHANGED, gpa);
        return VM_PAGE_STOPPED;
    }
    if (range->kind == BUNDLE_MEASURED) {
        struct bundle_digest_range record = { range->gpa, range->page_count };

        if (vm->launch_page == 0)
            hash(vm, &record, sizeof(record));
        hash(vm, page, PAGE_SIZE);
    }
    return VM_PAGE_MAPPED;
}

/* Page `index` of the exit window: PML4, PDPT, directory of the first 1 GiB, code. */
static void make_window_page(uint64_t window, unsigned index, uint64_t page[PAGE_SIZE / 8])
{
    memset(page, index == WINDOW_CODE_PAGE ? 0x90 : 0, PAGE_SIZE);
    if (index == WINDOW_CODE_PAGE)
        memcpy(page, vm_window_code, sizeof(vm_window_code));
    else if (index < WINDOW_CODE_PAGE - 1)
        page[0] = (window + (index + 1) * PAGE_SIZE) | WINDOW_TABLE;
    else
        for (unsigned i = 0; i < 512; i++)
            page[i] = ept_page_bytes(LEVEL_2M) * i | WINDOW_LEAF;
}

static enum vm_page_answer write_window(struct vm *vm, uint64_t eptp12, uint64_t *gpa, uint64_t *permissions)
{
    static uint64_t page[PAGE_SIZE / 8];
    struct ept12_leaf leaf;

    for (unsigned i = 0; i < BUNDLE_EXIT_WINDOW_PAGES; i++) {
        hpa_t frame;

        *gpa = vm->descriptor->exit_window_gpa + i * PAGE_SIZE;
        *permissions = 0;
        if (ept12_walk(ept02_format(), eptp12, l2gpa(*gpa), EPT_WRITE | EPT_READ, &leaf) != EPT12_OK)
            return VM_PAGE_ABSENT;
        frame = hpa(((leaf.entry & EPT_ADDRESS) + (*gpa & (ept_page_bytes(leaf.level) - 1))) & EPT_ADDRESS);
        make_window_page(vm->descriptor->exit_window_gpa, i, page);
        vm_frame_touched(frame);
        if (vm->state != VM_LAUNCHING) /* the frame held the region of its last vCPU */
            return VM_PAGE_STOPPED;
        if (frame_state(frame) == FRAME_HOST)
            memcpy(phys_to_virt(frame), page, PAGE_SIZE);
    }
    return VM_PAGE_MAPPED;
}

static void launched(struct vm *vm)
{
    crypto_begin(&this_cpu()->crypto.interrupted);
    cv_assert(mbedtls_sha256_finish_ret(&vm->hash, vm->digest) == 0);
    mbedtls_sha256_free(&vm->hash);
    crypto_end(&this_cpu()->crypto.interrupted);
    vm->state = VM_RUNNING;
    vm->vcpus[0]->state = VCPU_RUNS;
    cv_log(LOG_INFO, "VM %lu is protected: launch digest %02x%02x%02x%02x...", vm->id, vm->digest[0], vm->digest[1],
           vm->digest[2], vm->digest[3]);
}

enum vm_page_answer vm_launch_step(struct vm *vm, uint64_t eptp12, uint64_t *gpa, uint64_t *permissions)
{
    const struct bundle_descriptor *d = vm->descriptor;
    enum vm_page_answer answer;
    unsigned pages = 0;

    while (vm->launch_range < d->range_count) {
        const struct bundle_range *range = &d->ranges[vm->launch_range];

        if (range->kind == BUNDLE_ZERO || vm->launch_page == range->page_count) {
            vm->launch_range++;
            vm->launch_page = 0;
            continue;
        }
        *gpa = range->gpa + vm->launch_page * PAGE_SIZE;
        *permissions = 0;
        answer = pages++ < LAUNCH_SLICE ? launch_page(vm, range, eptp12, *gpa, permissions) : VM_PAGE_ABSENT;
        if (answer != VM_PAGE_MAPPED)
            return answer;
        vm->launch_page++;
    }
    answer = write_window(vm, eptp12, gpa, permissions);
    if (answer == VM_PAGE_MAPPED)
        launched(vm);
    return answer;
}

bool vm_bind(struct vcpu *vcpu, uint64_t region)
{
    hpa_t frame = hpa(region);

    if (!frame_event(frame, FRAME_VM_BIND))
        return false;
    frame_set_owner(frame, vcpu->vm->index, vcpu->index);
    host_ept_remove(frame, LEVEL_4K);
    if (frames_take_mapped(frame))
        ept02_revoke(frame, EPT_RWX);
    flush_all_cpus(this_cpu());
    vcpu->region = region;
    vcpu->active_on = this_cpu();
    return true;
}

void vm_unbind(struct vcpu *vcpu)
{
    if (vcpu->region != 0) {
        host_ept_remove(hpa(vcpu->region), LEVEL_4K); /* the host may have read ones there */
        flush_all_cpus(this_cpu());
        cv_assert(frame_event(hpa(vcpu->region), FRAME_VM_RETURN));
    }
    vcpu->region = 0;
    vcpu->state = VCPU_ABSENT;
}

struct vcpu *vm_bound(uint64_t region)
{
    uint64_t index;
    unsigned vm;

    if (frame_state(hpa(region)) != FRAME_BOUND)
        return NULL;
    vm = frame_owner(hpa(region), &index);
    return vms[vm].vcpus[index];
}

/* True if `eptp12` maps the VM's descriptor to the frame that the VM has it in. */
static bool has_memory_of(struct vm *vm, uint64_t eptp12)
{
    uint64_t gpa = vm->descriptor->gpa, gfn;
    struct ept12_leaf leaf;
    hpa_t frame;

    if (ept12_walk(ept02_format(), eptp12, l2gpa(gpa), EPT_READ, &leaf) != EPT12_OK)
        return false;
    frame = hpa((leaf.entry & EPT_ADDRESS) + (gpa & (ept_page_bytes(leaf.level) - 1)));
    return frame_state(frame) == FRAME_VM && frame_owner(frame, &gfn) == vm->index && gfn == gpa / PAGE_SIZE;
}

struct vcpu *vm_awaited(uint64_t eptp12)
{
    for (struct vm *vm = vms; vm < vms + VM_MAX; vm++) {
        for (unsigned i = 0; vm->state == VM_RUNNING && i < vm->descriptor->vcpu_count; i++) {
            struct vcpu *vcpu = vm->vcpus[i];

            if (vcpu->state == VCPU_WAITS && vcpu->active_on == NULL && has_memory_of(vm, eptp12))
                return vcpu;
        }
    }
    return NULL;
}

void vm_vcpu_gone(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;

    vcpu->region = 0;
    vcpu->state = VCPU_ABSENT;
    for (unsigned i = 0; i < vm->descriptor->vcpu_count; i++) {
        if (vm->vcpus[i]->state >= VCPU_LAUNCHES)
            return;
    }
    vm_stop(vm, VM_STOP_HOST_GONE, vcpu->index);
}

void vm_stop(struct vm *vm, enum vm_stop why, uint64_t detail)
{
    if (vm->state != VM_LAUNCHING && vm->state != VM_RUNNING)
        return;
    vm->state = VM_DEAD;
    vm->stop = why;
    vm->stop_detail = detail;
    crypto_begin(&this_cpu()->crypto.interrupted);
    page_crypt_free(&vm->crypt);
    mbedtls_sha256_free(&vm->hash);
    crypto_end(&this_cpu()->crypto.interrupted);
    vm_pages_unmap_all(vm);
    vm->reap_next = 0;
    dying++;
    cv_log_limited(LOG_INFO, "VM %lu ends: %s (%lx)", vm->id, stop_text[why], detail);
}

/* True if nothing of a dead VM is left that the host or a CPU could still come across. */
static bool reaped(struct vm *vm)
{
    bool bound = false;

    for (unsigned i = 0; i < vm->descriptor->vcpu_count; i++) {
        struct vcpu *vcpu = vm->vcpus[i];

        if (vcpu->active_on == NULL)
            vm_unbind(vcpu);
        bound = bound || vcpu->active_on != NULL;
    }
    return vm_pages_reap(vm, REAP_SLICE) && !bound;
}

void vm_reap(void)
{
    if (dying == 0)
        return;
    layer_lock();
    for (struct vm *vm = vms; vm < vms + VM_MAX; vm++) {
        if (vm->state == VM_DEAD && reaped(vm)) {
            release(vm);
            dying--;
        }
    }
    layer_unlock();
}

void vm_end_all(enum vm_stop why, bool scrub)
{
    layer_lock();
    for (struct vm *vm = vms; vm < vms + VM_MAX; vm++) {
        vm_stop(vm, why, 0);
        while (scrub && vm->state == VM_DEAD && !vm_pages_reap(vm, REAP_SLICE))
            continue;
    }
    layer_unlock();
}

bool vm_any(void)
{
    for (const struct vm *vm = vms; vm < vms + VM_MAX; vm++) {
        if (vm->state == VM_LAUNCHING || vm->state == VM_RUNNING)
            return true;
    }
    return false;
}

bool vm_word(uint64_t slot, uint64_t index, uint64_t *value)
{
    const struct vm *vm = &vms[slot < VM_MAX ? slot : 0];
    uint64_t words[VM_WORD_COUNT] = {
        [VM_WORD_STATE] = vm->state,       [VM_WORD_ID] = vm->id,
        [VM_WORD_STOP] = vm->stop,         [VM_WORD_STOP_DETAIL] = vm->stop_detail,
        [VM_WORD_CLAIMED] = vm->claimed,   [VM_WORD_PAGED_OUT] = vm->paged_out,
        [VM_WORD_PAGED_IN] = vm->paged_in, [VM_WORD_FRAMES] = vm->frames_in,
        [VM_WORD_VCPUS] = vm->vcpu_count,
    };

    if (slot >= VM_MAX || index >= VM_WORD_COUNT)
        return false;
    memcpy(&words[VM_WORD_DIGEST], vm->digest, sizeof(vm->digest));
    *value = words[index];
    return true;
}
