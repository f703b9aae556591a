/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Slots of active vmcs12s. A region in memory looks like this, little-endian:
 *   0 revision   4 abort indicator   8 launch state (1: launched)   64 field[0], field[1], ... of 8 bytes each
 * It is the host's memory: what comes from there is cut to each field's width, and everything is checked at entry.
 */
#include <string.h>
#include "cloudvisor/host_memory.h"
#include "cloudvisor/pool.h"
#include "cloudvisor/vmcs01.h"
#include "nested-vmx/protected.h"

enum { VMREAD_BITMAP = 0x2026, VMWRITE_BITMAP = 0x2028, REGION_LAUNCH_STATE = 8, REGION_FIELDS = 64 };
#define SHADOW_INDICATOR UINT32_C(0x80000000)

_Static_assert(REGION_FIELDS + 8 * VMCS_FIELD_COUNT <= PAGE_SIZE, "a vmcs12 must fit its region");

static bool shadowing;
static bool offered[VMCS_FIELD_COUNT];
static uint8_t read_write_list[VMCS_FIELD_COUNT], shadow_list[VMCS_FIELD_COUNT], exit_list[VMCS_FIELD_COUNT];
static uint8_t copied_list[VMCS_FIELD_COUNT];
static unsigned read_write_count, shadow_count, exit_count, copied_count;
static uint8_t *vmread_bitmap, *vmwrite_bitmap;

bool nested_shadowing(void)
{
    return shadowing;
}

bool vmcs12_offers(int index)
{
    return offered[index];
}

static void clear_bit(uint8_t *bitmap, unsigned bit)
{
    bitmap[bit / 8] &= (uint8_t) ~(1u << (bit % 8));
}

static void list_shadowed(uint8_t index)
{
    const struct vmcs_field *f = &vmcs_fields[index];

    if (!shadowing || f->shadow == SHADOW_NO || !offered[index])
        return;
    shadow_list[shadow_count++] = index;
    clear_bit(vmread_bitmap, f->encoding);
    if (f->shadow == SHADOW_RW) {
        read_write_list[read_write_count++] = index;
        clear_bit(vmwrite_bitmap, f->encoding);
    }
}

/* What an exit changes: all exit information but what the layer writes itself, and the shadowed guest state. */
static void list_read_at_exit(uint8_t index)
{
    const struct vmcs_field *f = &vmcs_fields[index];
    bool exit_information = f->home == HOME_EXIT && index != FIELD_VM_INSTRUCTION_ERROR && index != FIELD_EXIT_REASON &&
                            (f->encoding < VMCS_IO_RCX || f->encoding > VMCS_IO_RIP);

    if (offered[index] && (exit_information || (shadowing && f->home == HOME_GUEST && f->shadow != SHADOW_NO)))
        exit_list[exit_count++] = index;
}

bool nested_init(void)
{
    vmread_bitmap = pool_alloc_bytes(PAGE_SIZE);
    vmwrite_bitmap = pool_alloc_bytes(PAGE_SIZE);
    if (vmread_bitmap == NULL || vmwrite_bitmap == NULL)
        return false;
    memset(vmread_bitmap, 0xff, PAGE_SIZE);
    memset(vmwrite_bitmap, 0xff, PAGE_SIZE);
    shadowing = boot->shadowing != 0 && (caps_hw.secondary.may_be_1 & SEC_VMCS_SHADOWING) != 0;
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        offered[i] = vmx_caps_offers(&caps_offer, (enum vmcs_offer)vmcs_fields[i].offered);
        list_shadowed((uint8_t)i);
        list_read_at_exit((uint8_t)i);
        if (vmcs_fields[i].home == HOME_COPIED && offered[i])
            copied_list[copied_count++] = (uint8_t)i;
    }
    return true;
}

static bool allocate_pages(struct vmcs12 *v)
{
    uint32_t revision = (uint32_t)caps_hw.basic & INT32_MAX;
    hpa_t *const pages[] = { &v->vmcs02, &v->shadow, &v->msr_bitmap, &v->io_bitmap[0], &v->io_bitmap[1] };

    v->entry_list = pool_alloc_bytes(MSR_LIST_MAX * sizeof(struct msr_entry));
    if (v->entry_list == NULL)
        return false;
    for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        *pages[i] = pool_alloc();
        if (pages[i]->raw == 0)
            return false;
    }
    *(uint32_t *)phys_to_virt(v->vmcs02) = revision;
    *(uint32_t *)phys_to_virt(v->shadow) = revision | (shadowing ? SHADOW_INDICATOR : 0);
    return true;
}

bool nested_init_cpu(struct cpu *cpu)
{
    cpu->slots = pool_alloc_bytes(VMCS12_PER_CPU * sizeof(struct vmcs12));
    for (unsigned i = 0; cpu->slots != NULL && i < VMCS12_PER_CPU; i++) {
        cpu->slots[i].region = NO_VMCS;
        if (!allocate_pages(&cpu->slots[i]))
            return false;
    }
    return cpu->slots != NULL;
}

static struct vmcs12 *find(struct cpu *cpu, uint64_t region)
{
    for (struct vmcs12 *v = cpu->slots; v < cpu->slots + VMCS12_PER_CPU; v++) {
        if (v->region == region)
            return v;
    }
    return NULL;
}

/* Guest state goes from the loaded vmcs02 into the private copy, or back. */
static void move_guest_state(struct vmcs12 *v, bool to_vmcs02)
{
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        if (vmcs_fields[i].home != HOME_GUEST)
            continue;
        if (to_vmcs02)
            hw_vmwrite(vmcs_fields[i].encoding, v->field[i]);
        else
            v->field[i] = hw_vmread(vmcs_fields[i].encoding);
    }
}

/* Writes the private copy back to the host's memory and frees the slot. vmcs01 is loaded before and after. */
static void save(struct cpu *cpu, struct vmcs12 *v)
{
    uint32_t head[REGION_FIELDS / 4] = { VMCS12_REVISION, 0, v->launched };

    if (cpu->current == v)
        vmcs12_set_current(cpu, NULL);
    vmcs_load(v->vmcs02);
    move_guest_state(v, false);
    hw_vmclear(v->vmcs02);
    vmcs_load(cpu->vmcs01);
    host_frame_write(hpa(v->region), head, sizeof(head));
    host_frame_write(hpa(v->region + REGION_FIELDS), v->field, sizeof(v->field));
    protected_deactivate(v);
    layer_lock();
    if (v->ept02 != NULL)
        ept02_put(v->ept02);
    v->ept02 = NULL;
    v->region = NO_VMCS;
    v->last_use = 0;
    layer_unlock();
}

/* The slot used least recently, which a free one is: what is in it is written back. */
static struct vmcs12 *slot_for_new(struct cpu *cpu)
{
    struct vmcs12 *oldest = cpu->slots + (cpu->current == cpu->slots);

    for (struct vmcs12 *v = cpu->slots; v < cpu->slots + VMCS12_PER_CPU; v++) {
        if (v != cpu->current && v->last_use < oldest->last_use)
            oldest = v;
    }
    if (oldest->region != NO_VMCS)
        save(cpu, oldest);
    return oldest;
}

static void load(struct cpu *cpu, struct vmcs12 *v)
{
    uint32_t head[REGION_FIELDS / 4];

    host_frame_read(hpa(v->region), head, sizeof(head));
    host_frame_read(hpa(v->region + REGION_FIELDS), v->field, sizeof(v->field));
    v->launched = head[REGION_LAUNCH_STATE / 4] == 1;
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        v->field[i] = vmcs_field_merge(vmcs_fields[i].encoding, 0, v->field[i]);
    hw_vmclear(v->vmcs02);
    vmcs_load(v->vmcs02);
    move_guest_state(v, true);
    hw_vmwrite(VMCS_VMCS_LINK_POINTER, UINT64_MAX);
    hw_vmwrite(VMCS_VM_EXIT_MSR_STORE_COUNT, 0);
    hw_vmwrite(VMCS_VM_EXIT_MSR_LOAD_COUNT, 0);
    vmcs_load(cpu->vmcs01);
    v->launched02 = false;
    v->host_state_set = false;
    v->bitmaps_stale = false;
    v->refill = false;
    v->guest_changed = 0;
    v->dirty = DIRTY_ALL;
    v->switched_known = false;
    memset(v->watched, 0, sizeof(v->watched));
}

struct vmcs12 *vmcs12_activate(struct cpu *cpu, uint64_t region)
{
    struct vmcs12 *v = find(cpu, region);

    if (v == NULL) {
        v = slot_for_new(cpu);
        v->region = region;
        if (!protected_activate(cpu, v)) {
            v->region = NO_VMCS;
            return NULL;
        }
        load(cpu, v);
    }
    v->last_use = ++cpu->slot_uses;
    return v;
}

void vmcs12_clear(struct cpu *cpu, uint64_t region)
{
    struct vmcs12 *v = find(cpu, region);
    uint32_t clear = 0;

    if (v == NULL) {
        host_frame_write(hpa(region + REGION_LAUNCH_STATE), &clear, sizeof(clear));
        return;
    }
    v->launched = false;
    save(cpu, v);
}

void vmcs12_release_all(struct cpu *cpu)
{
    for (struct vmcs12 *v = cpu->slots; v < cpu->slots + VMCS12_PER_CPU; v++) {
        if (v->region != NO_VMCS)
            save(cpu, v);
    }
}

/* Reads the shadowed guest state out of vmcs02, which is loaded. */
static void read_shadowed_guest(struct vmcs12 *v)
{
    for (unsigned i = 0; i < shadow_count; i++) {
        unsigned index = shadow_list[i];

        if (vmcs_fields[index].home == HOME_GUEST)
            v->field[index] = hw_vmread(vmcs_fields[index].encoding);
    }
}

void vmcs12_set_current(struct cpu *cpu, struct vmcs12 *v)
{
    struct vmcs12 *old = cpu->current;

    cpu->current = v;
    if (!shadowing || old == v)
        return;
    if (old != NULL) {
        vmcs12_pull_shadow(old);
        hw_vmclear(old->shadow);
        vmcs_load(old->vmcs02);
        vmcs12_write_changed(old);
        vmcs_load(cpu->vmcs01);
    }
    if (v != NULL) {
        vmcs_load(v->vmcs02);
        read_shadowed_guest(v);
        hw_vmclear(v->shadow);
        vmcs12_push_shadow(v);
        vmcs_load(cpu->vmcs01);
    }
    hw_vmwrite(VMCS_VMCS_LINK_POINTER, v != NULL ? v->shadow.raw : UINT64_MAX);
    hw_vmwrite(VMCS_SECONDARY_CONTROLS, cpu->vmcs01_secondary | (v != NULL ? SEC_VMCS_SHADOWING : 0));
    hw_vmwrite(VMREAD_BITMAP, (uint64_t)vmread_bitmap - DIRECT_MAP_VA);
    hw_vmwrite(VMWRITE_BITMAP, (uint64_t)vmwrite_bitmap - DIRECT_MAP_VA);
}

static bool is_shadowed(const struct cpu *cpu, const struct vmcs12 *v, int index)
{
    return shadowing && cpu->current == v && vmcs_fields[index].shadow != SHADOW_NO;
}

uint64_t vmcs12_read(struct cpu *cpu, struct vmcs12 *v, int index)
{
    bool shadowed = is_shadowed(cpu, v, index);
    uint64_t value;

    if (!shadowed && vmcs_fields[index].home != HOME_GUEST)
        return v->field[index];
    vmcs_load(shadowed ? v->shadow : v->vmcs02);
    value = hw_vmread(vmcs_fields[index].encoding);
    vmcs_load(cpu->vmcs01);
    return value;
}

void vmcs12_write(struct cpu *cpu, struct vmcs12 *v, int index, uint64_t value)
{
    uint32_t encoding = vmcs_fields[index].encoding;

    v->field[index] = value;
    v->dirty |= vmcs_fields[index].dirty;
    if (vmcs_fields[index].home == HOME_GUEST) {
        vmcs_load(v->vmcs02);
        hw_vmwrite(encoding, value);
    }
    if (is_shadowed(cpu, v, index)) {
        vmcs_load(v->shadow);
        hw_vmwrite(encoding, value);
    }
    vmcs_load(cpu->vmcs01);
}

void vmcs12_pull_shadow(struct vmcs12 *v)
{
    vmcs_load(v->shadow);
    for (unsigned i = 0; i < read_write_count; i++) {
        unsigned index = read_write_list[i];
        uint64_t value = hw_vmread(vmcs_fields[index].encoding);

        if (value == v->field[index])
            continue;
        v->field[index] = value;
        v->dirty |= vmcs_fields[index].dirty;
        if (vmcs_fields[index].home == HOME_GUEST)
            v->guest_changed |= BIT64(i);
    }
}

void vmcs12_push_shadow(struct vmcs12 *v)
{
    vmcs_load(v->shadow);
    for (unsigned i = 0; i < shadow_count; i++)
        hw_vmwrite(vmcs_fields[shadow_list[i]].encoding, v->field[shadow_list[i]]);
}

void vmcs12_write_changed(struct vmcs12 *v)
{
    while (v->guest_changed != 0) {
        unsigned index = read_write_list[__builtin_ctzll(v->guest_changed)];

        v->guest_changed &= v->guest_changed - 1;
        hw_vmwrite(vmcs_fields[index].encoding, v->field[index]);
    }
}

void vmcs12_write_copied(const struct vmcs12 *v)
{
    for (unsigned i = 0; i < copied_count; i++)
        hw_vmwrite(vmcs_fields[copied_list[i]].encoding, v->field[copied_list[i]]);
}

void vmcs12_read_exit(struct vmcs12 *v)
{
    for (unsigned i = 0; i < exit_count; i++)
        v->field[exit_list[i]] = hw_vmread(vmcs_fields[exit_list[i]].encoding);
}
