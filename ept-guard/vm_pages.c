/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records lie in pages of 256, found through two levels of 512 pointers: 256 GiB of guest addresses. They are struct
 * page_seal; the two bits that its version leaves free hold the state, and the tag holds the frame while IN.
 * The order of every change of hands: break the mapping, flush and wait, scrub or encrypt, make the new mapping.
 */
#include <string.h>
#include "cloudvisor/flush.h"
#include "cloudvisor/log.h"
#include "cloudvisor/pool.h"
#include "ept-guard/ept02.h"
#include "ept-guard/frames.h"
#include "ept-guard/host_ept.h"
#include "ept-guard/vm_pages.h"

enum { RECORDS_PER_PAGE = 256, PAGES_PER_LARGE = 512 };
enum page_state { PAGE_EMPTY, PAGE_IN, PAGE_OUT, PAGE_SHARED };
#define STATE_SHIFT 30
#define GFN(gpa)    ((gpa) >> 12)
#define PAGE_LIMIT  (UINT64_C(512) * 512 * RECORDS_PER_PAGE)

static hpa_t ones; /* stands for memory that is not there, read-only */

static enum page_state state_of(const struct page_seal *record)
{
    return (enum page_state)(record->version >> STATE_SHIFT);
}

static void set_state(struct page_seal *record, enum page_state state)
{
    record->version = (record->version & PAGE_VERSION_MAX) | (uint32_t)state << STATE_SHIFT;
}

static hpa_t frame_of(const struct page_seal *record)
{
    hpa_t frame;

    memcpy(&frame.raw, record->tag, sizeof(frame.raw));
    return frame;
}

/* The record of a guest frame number, or NULL where the VM has no RAM. */
static struct page_seal *record_of(const struct vm *vm, uint64_t gfn)
{
    const uint64_t *top = phys_to_virt(vm->records);
    const uint64_t *middle;
    uint64_t page;

    if (vm->records.raw == 0 || gfn >= PAGE_LIMIT || top[gfn / RECORDS_PER_PAGE / 512] == 0)
        return NULL;
    middle = phys_to_virt(hpa(top[gfn / RECORDS_PER_PAGE / 512]));
    page = middle[gfn / RECORDS_PER_PAGE % 512];
    if (page == 0 || !vm_is_ram(vm, gfn << 12))
        return NULL;
    return (struct page_seal *)phys_to_virt(hpa(page)) + gfn % RECORDS_PER_PAGE;
}

/* Allocates what entry `index` of the table points to, if nothing yet. */
static bool ensure(hpa_t table, uint64_t index, hpa_t *page)
{
    uint64_t *entry = (uint64_t *)phys_to_virt(table) + index;

    if (*entry == 0)
        *entry = pool_alloc().raw;
    *page = hpa(*entry);
    return *entry != 0;
}

static bool create_records(struct vm *vm, const struct bundle_window *ram)
{
    uint64_t last = GFN(ram->gpa) + ram->page_count - 1;

    for (uint64_t i = GFN(ram->gpa) / RECORDS_PER_PAGE; i <= last / RECORDS_PER_PAGE; i++) {
        hpa_t middle, page;

        if (i >= PAGE_LIMIT / RECORDS_PER_PAGE || !ensure(vm->records, i / 512, &middle) ||
            !ensure(middle, i % 512, &page))
            return false;
    }
    return true;
}

bool vm_pages_create(struct vm *vm)
{
    vm->records = pool_alloc();
    if (ones.raw == 0) {
        ones = pool_alloc();
        if (ones.raw == 0)
            return false;
        memset(phys_to_virt(ones), 0xff, PAGE_SIZE);
    }
    if (vm->records.raw == 0 || !ept_create(&vm->ept))
        return false;
    for (unsigned i = 0; i < vm->descriptor->ram_count; i++) {
        if (!create_records(vm, &vm->descriptor->ram[i]))
            return false;
    }
    return true;
}

static void free_tables(uint64_t table, unsigned depth)
{
    const uint64_t *entries = phys_to_virt(hpa(table));

    if (table == 0)
        return;
    for (unsigned i = 0; depth > 0 && i < 512; i++)
        free_tables(entries[i], depth - 1);
    pool_free(hpa(table));
}

void vm_pages_destroy(struct vm *vm)
{
    free_tables(vm->records.raw, 2);
    vm->records = hpa(0);
    if (vm->ept.root.raw != 0) {
        ept_clear(&vm->ept);
        flush_all_cpus(this_cpu());
        ept_free_root(&vm->ept);
    }
}

void vm_pages_share(struct vm *vm, uint64_t gpa)
{
    set_state(record_of(vm, GFN(gpa)), PAGE_SHARED);
}

void *vm_pages_view(struct vm *vm, uint64_t gpa)
{
    const struct page_seal *record = record_of(vm, GFN(gpa));

    return record != NULL && state_of(record) == PAGE_IN ? phys_to_virt(frame_of(record)) : NULL;
}

/* Derived from the records, so that dropping it all is always possible. */
static void unmap(struct vm *vm, uint64_t gfn)
{
    if (!ept_unmap(&vm->ept, gfn << 12, LEVEL_4K))
        ept_clear(&vm->ept);
}

static bool map_leaf(struct vm *vm, uint64_t gfn, unsigned level, uint64_t leaf)
{
    if (!ept_map(&vm->ept, gfn << 12, level, leaf | EPT_TYPE(TYPE_WB))) {
        ept_clear(&vm->ept);
        ept02_clear_all();
        host_ept_rebuild();
        flush_all_cpus(this_cpu());
        return ept_map(&vm->ept, gfn << 12, level, leaf | EPT_TYPE(TYPE_WB));
    }
    if (ept_has_released())
        flush_all_cpus(this_cpu());
    return true;
}

static bool map(struct vm *vm, uint64_t gfn, hpa_t frame, unsigned level)
{
    return map_leaf(vm, gfn, level, frame.raw | EPT_RWX);
}

bool vm_pages_map_absent(struct vm *vm, uint64_t gpa)
{
    return map_leaf(vm, GFN(gpa), LEVEL_4K, ones.raw | EPT_READ);
}

/* The EPT was dropped, or another vCPU was here first. */
static enum vm_page_answer map_again(struct vm *vm, uint64_t gpa, hpa_t frame)
{
    unsigned level;

    if (ept_find(&vm->ept, gpa, &level) == 0 && !map(vm, GFN(gpa), frame, LEVEL_4K)) {
        vm_stop(vm, VM_STOP_NO_MEMORY, GFN(gpa));
        return VM_PAGE_STOPPED;
    }
    return VM_PAGE_MAPPED;
}

/* The frame is the VM's alone and unmapped; it leaves it encrypted, or scrubbed if the VM is dead. */
static void page_out(struct vm *vm, uint64_t gfn, struct page_seal *record, hpa_t frame)
{
    struct page_seal seal = { .version = record->version & PAGE_VERSION_MAX };
    enum page_crypt_result result = PAGE_CRYPT_FAILED;

    if (vm->state != VM_DEAD) {
        crypto_begin(&this_cpu()->crypto.interrupted);
        result = page_crypt_seal(&vm->crypt, gfn, phys_to_virt(frame), &seal);
        crypto_end(&this_cpu()->crypto.interrupted);
        vm->paged_out++;
        cpu_count_stat(this_cpu(), STAT_pages_out);
    } else {
        memset(phys_to_virt(frame), 0, PAGE_SIZE);
    }
    *record = seal;
    set_state(record, PAGE_OUT);
    vm->frames_in--;
    cv_assert(frame_event(frame, FRAME_VM_RETURN));
    if (result != PAGE_CRYPT_OK && vm->state != VM_DEAD)
        vm_stop(vm, VM_STOP_NO_MEMORY, gfn);
}

void vm_frame_touched(hpa_t pa)
{
    hpa_t frame = hpa(pa.raw & ~(uint64_t)(PAGE_SIZE - 1));
    enum frame_state state = frame_state(frame);
    struct vm *vm;
    uint64_t gfn;

    if (state != FRAME_VM && state != FRAME_BOUND)
        return;
    vm = &vms[frame_owner(frame, &gfn)];
    if (state == FRAME_BOUND) {
        vm_unbind(vm->vcpus[gfn]);
        vm_vcpu_gone(vm->vcpus[gfn]);
        return;
    }
    unmap(vm, gfn);
    flush_all_cpus(this_cpu());
    page_out(vm, gfn, record_of(vm, gfn), frame);
}

/* Takes the frame from whoever has it: afterwards nobody maps it and no CPU can reach it. The caller flushes. */
static bool take_frame(hpa_t frame)
{
    vm_frame_touched(frame);
    if (frame_state(frame) == FRAME_WATCHED)
        host_ept_violation(frame, true);
    if (!frame_event(frame, FRAME_VM_CLAIM))
        return false;
    if (frames_take_mapped(frame))
        ept02_revoke(frame, EPT_RWX);
    return true;
}

static void set_in(struct vm *vm, uint64_t gfn, struct page_seal *record, hpa_t frame)
{
    frame_set_owner(frame, vm->index, gfn);
    memcpy(record->tag, &frame.raw, sizeof(frame.raw));
    set_state(record, PAGE_IN);
    vm->frames_in++;
    vm->claimed++;
}

/* Verifies and decrypts what the host brought for a page that is OUT. */
static bool open_page(struct vm *vm, uint64_t gfn, const struct page_seal *record, hpa_t frame)
{
    struct page_seal seal = *record;
    enum page_crypt_result result;

    seal.version &= PAGE_VERSION_MAX;
    crypto_begin(&this_cpu()->crypto.interrupted);
    result = page_crypt_open(&vm->crypt, gfn, phys_to_virt(frame), &seal);
    crypto_end(&this_cpu()->crypto.interrupted);
    vm->paged_in++;
    cpu_count_stat(this_cpu(), STAT_pages_in);
    return result == PAGE_CRYPT_OK;
}

static enum vm_page_answer claim(struct vm *vm, uint64_t gfn, struct page_seal *record, hpa_t frame, bool keep)
{
    if (!take_frame(frame)) {
        vm_stop(vm, VM_STOP_BAD_FRAME, gfn);
        return VM_PAGE_STOPPED;
    }
    if (vm->state == VM_DEAD) { /* the frame held the region of its last vCPU */
        cv_assert(frame_event(frame, FRAME_VM_RETURN));
        return VM_PAGE_STOPPED;
    }
    host_ept_remove(frame, LEVEL_4K);
    flush_all_cpus(this_cpu());
    if (state_of(record) == PAGE_OUT && !open_page(vm, gfn, record, frame)) {
        cv_assert(frame_event(frame, FRAME_VM_RETURN));
        vm_stop(vm, VM_STOP_FORGED_PAGE, gfn);
        return VM_PAGE_STOPPED;
    }
    if (state_of(record) == PAGE_EMPTY && !keep)
        memset(phys_to_virt(frame), 0, PAGE_SIZE);
    set_in(vm, gfn, record, frame);
    cpu_count_stat(this_cpu(), STAT_pages_claimed);
    if (!map(vm, gfn, frame, LEVEL_4K)) {
        vm_stop(vm, VM_STOP_NO_MEMORY, gfn);
        return VM_PAGE_STOPPED;
    }
    return VM_PAGE_MAPPED;
}

/* True if all of the 2 MiB around `gfn` are EMPTY and all of the frames from `frame` on are the host's alone. */
static bool fresh_large(const struct vm *vm, uint64_t gfn, hpa_t frame)
{
    for (unsigned i = 0; i < PAGES_PER_LARGE; i++) {
        const struct page_seal *record = record_of(vm, gfn + i);

        if (record == NULL || state_of(record) != PAGE_EMPTY ||
            frame_state(hpa(frame.raw + i * PAGE_SIZE)) != FRAME_HOST)
            return false;
    }
    return true;
}

static enum vm_page_answer claim_large(struct vm *vm, uint64_t gfn, hpa_t frame)
{
    for (unsigned i = 0; i < PAGES_PER_LARGE; i++)
        cv_assert(take_frame(hpa(frame.raw + i * PAGE_SIZE)));
    host_ept_remove(frame, LEVEL_2M);
    flush_all_cpus(this_cpu());
    memset(phys_to_virt(frame), 0, PAGES_PER_LARGE * PAGE_SIZE);
    for (unsigned i = 0; i < PAGES_PER_LARGE; i++)
        set_in(vm, gfn + i, record_of(vm, gfn + i), hpa(frame.raw + i * PAGE_SIZE));
    cpu_count_stat(this_cpu(), STAT_large_claimed);
    if (!map(vm, gfn, frame, LEVEL_2M)) {
        vm_stop(vm, VM_STOP_NO_MEMORY, gfn);
        return VM_PAGE_STOPPED;
    }
    return VM_PAGE_MAPPED;
}

enum vm_page_answer vm_pages_touch(struct vm *vm, uint64_t eptp12, uint64_t gpa, bool keep, uint64_t *permissions)
{
    struct page_seal *record = record_of(vm, GFN(gpa));
    struct ept12_leaf leaf;
    uint64_t offset, large;

    if (vm->state == VM_DEAD) /* its EPT stays empty */
        return VM_PAGE_STOPPED;
    if (record == NULL || state_of(record) == PAGE_SHARED)
        return VM_PAGE_OUTSIDE;
    if (state_of(record) == PAGE_IN)
        return map_again(vm, gpa, frame_of(record));
    *permissions = 0;
    switch (ept12_walk(ept02_format(), eptp12, l2gpa(gpa), EPT_WRITE | EPT_READ, &leaf)) {
    case EPT12_OK: break;
    case EPT12_RETRY: return VM_PAGE_MAPPED;
    case EPT12_VIOLATION: *permissions = leaf.permissions; return VM_PAGE_ABSENT;
    case EPT12_MISCONFIGURATION: return VM_PAGE_ABSENT;
    }
    offset = gpa & (ept_page_bytes(leaf.level) - 1);
    large = (leaf.entry & EPT_ADDRESS) + (offset & ~(ept_page_bytes(LEVEL_2M) - 1));
    gpa &= ~(uint64_t)(PAGE_SIZE - 1);
    if (leaf.level >= LEVEL_2M && !keep && fresh_large(vm, GFN(gpa) & ~(uint64_t)(PAGES_PER_LARGE - 1), hpa(large)))
        return claim_large(vm, GFN(gpa) & ~(uint64_t)(PAGES_PER_LARGE - 1), hpa(large));
    return claim(vm, GFN(gpa), record, hpa(((leaf.entry & EPT_ADDRESS) + offset) & ~(uint64_t)(PAGE_SIZE - 1)), keep);
}

void vm_pages_unmap_all(struct vm *vm)
{
    ept_clear(&vm->ept);
    flush_all_cpus(this_cpu());
}

bool vm_pages_reap(struct vm *vm, unsigned budget)
{
    for (; vm->frames_in > 0 && budget > 0; budget--) {
        struct page_seal *record = record_of(vm, vm->reap_next);

        if (record != NULL && state_of(record) == PAGE_IN)
            page_out(vm, vm->reap_next, record, frame_of(record));
        vm->reap_next++;
    }
    return vm->frames_in == 0;
}
