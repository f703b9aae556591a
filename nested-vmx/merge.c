/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From vmcs12 to vmcs02: controls, bitmaps, EPT. vmcs02 intercepts what the host wants and what the layer needs;
 * bitmaps and lists that the processor reads are private copies.
 */
#include "ept-guard/frames.h"
#include "cloudvisor/flush.h"
#include "cloudvisor/host_memory.h"
#include "cloudvisor/intercepts.h"
#include "cloudvisor/log.h"
#include "cloudvisor/vmcs01.h"
#include "ept-guard/host_ept.h"
#include "nested-vmx/nested_internal.h"

static uint32_t merged_proc(const struct vmcs12 *v)
{
    uint32_t proc = proc_controls(v) | PROC_SECONDARY_CONTROLS;

    if ((proc & PROC_IO_BITMAPS) != 0 || (proc & PROC_UNCONDITIONAL_IO_EXITING) == 0)
        proc = (proc | PROC_IO_BITMAPS) & ~PROC_UNCONDITIONAL_IO_EXITING;
    return control_value(caps_hw.proc, proc);
}

/* The layer's kicks are NMIs: they must exit, and the VM's own blocking, a virtual one, must not hold them back. */
static uint32_t merged_pin(const struct vmcs12 *v)
{
    return control_value(caps_hw.pin, pin_controls(v) | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
}

bool merge_take_ept(struct vmcs12 *v)
{
    uint64_t eptp12 = (secondary_controls(v) & SEC_EPT) != 0 ? v->field[FIELD_EPT_POINTER] : 0;

    if ((v->ept02 != NULL ? v->ept02->eptp12 : 0) == eptp12)
        return true;
    layer_lock();
    if (v->ept02 != NULL)
        ept02_put(v->ept02);
    v->ept02 = eptp12 != 0 ? ept02_get(eptp12) : NULL;
    layer_unlock();
    return eptp12 == 0 || v->ept02 != NULL;
}

/* The timer is always saved, so that it runs on over exits that the layer keeps; the host's copy stays its own. */
static uint32_t merged_exit(const struct vmcs12 *v)
{
    uint32_t wanted = EXIT_HOST_64BIT | EXIT_SAVE_EFER | EXIT_LOAD_EFER | EXIT_SAVE_PAT | EXIT_LOAD_PAT |
                      EXIT_SAVE_DEBUG_CONTROLS;

    if ((pin_controls(v) & PIN_PREEMPTION_TIMER) != 0)
        wanted |= EXIT_SAVE_PREEMPTION_TIMER;
    return control_value(caps_hw.exit, wanted | (exit_controls(v) & EXIT_ACK_INTERRUPT));
}

static void merge_controls(struct vmcs12 *v)
{
    uint16_t vpid = (uint16_t)v->field[FIELD_VPID];
    bool tagged = (secondary_controls(v) & SEC_VPID) != 0 && vpid < VPID_LAYER;

    hw_vmwrite(VMCS_PIN_BASED_CONTROLS, merged_pin(v));
    hw_vmwrite(VMCS_PROCESSOR_BASED_CONTROLS, merged_proc(v));
    hw_vmwrite(VMCS_SECONDARY_CONTROLS, control_value(caps_hw.secondary, secondary_controls(v) | SEC_EPT | SEC_VPID));
    hw_vmwrite(VMCS_VM_EXIT_CONTROLS, merged_exit(v));
    hw_vmwrite(VMCS_VM_ENTRY_CONTROLS,
               control_value(caps_hw.entry, (entry_controls(v) & ENTRY_IA32E_GUEST) | ENTRY_LOAD_EFER | ENTRY_LOAD_PAT |
                                                ENTRY_LOAD_DEBUG_CONTROLS));
    vmcs12_write_copied(v);
    hw_vmwrite(VMCS_VPID, tagged ? vpid : VPID_UNTAGGED);
    hw_vmwrite(VMCS_VM_ENTRY_MSR_LOAD_ADDR, (uint64_t)v->entry_list - DIRECT_MAP_VA);
    hw_vmwrite(VMCS_MSR_BITMAP, v->msr_bitmap.raw);
    hw_vmwrite(VMCS_IO_BITMAP_A, v->io_bitmap[0].raw);
    hw_vmwrite(VMCS_IO_BITMAP_B, v->io_bitmap[1].raw);
    hw_vmwrite(VMCS_EPT_POINTER, v->ept02 != NULL ? ept02_pointer(v->ept02) : host_ept_pointer());
}

/* A private page that holds the host's page at `from`, or nothing if `wanted` is false, and all of the layer's bits. */
static void merge_page(hpa_t to, bool wanted, uint64_t from, hpa_t layers)
{
    uint64_t *page = phys_to_virt(to);
    const uint64_t *bits = phys_to_virt(layers);

    if (wanted)
        host_frame_read(hpa(from), page, PAGE_SIZE);
    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        page[i] = (wanted ? page[i] : 0) | bits[i];
}

void merge_bitmaps(struct cpu *cpu, struct vmcs12 *v)
{
    bool msr = (proc_controls(v) & PROC_MSR_BITMAPS) != 0, io = (proc_controls(v) & PROC_IO_BITMAPS) != 0;
    uint64_t frames[WATCH_COUNT] = { msr ? v->field[FIELD_MSR_BITMAP] : 0, io ? v->field[FIELD_IO_BITMAP_A] : 0,
                                     io ? v->field[FIELD_IO_BITMAP_B] : 0 };
    bool flush = false;

    layer_lock();
    v->bitmaps_stale = false;
    for (unsigned i = 0; i < WATCH_COUNT; i++) {
        v->watched[i] = frames[i];
        if (frames[i] != 0 && frame_state(hpa(frames[i])) == FRAME_HOST && host_ept_watch(hpa(frames[i]))) {
            ept02_revoke(hpa(frames[i]), EPT_WRITE);
            flush = true;
        }
    }
    if (flush)
        flush_all_cpus(cpu);
    layer_unlock();
    merge_page(v->msr_bitmap, msr, frames[0], intercepts_msr_bitmap());
    merge_page(v->io_bitmap[0], io, frames[1], intercepts_io_bitmap(0));
    merge_page(v->io_bitmap[1], io, frames[2], intercepts_io_bitmap(1));
    cpu_count_stat(cpu, STAT_bitmap_merges);
}

static void mark_if_watched(struct vmcs12 *v, uint64_t frame)
{
    for (unsigned i = 0; v->region != NO_VMCS && i < WATCH_COUNT; i++) {
        if (v->watched[i] == frame)
            v->bitmaps_stale = true;
    }
}

void nested_frame_written(hpa_t address)
{
    uint64_t frame = address.raw & ~(uint64_t)(PAGE_SIZE - 1);

    for (unsigned c = 0; c < boot->cpu_count; c++) {
        for (unsigned i = 0; cpus[c] != NULL && i < VMCS12_PER_CPU; i++)
            mark_if_watched(&cpus[c]->slots[i], frame);
    }
}

void merge_dirty(struct cpu *cpu, struct vmcs12 *v)
{
    if (!v->host_state_set) {
        cpu_write_host_state(cpu);
        v->host_state_set = true;
    }
    if ((v->dirty & DIRTY_CONTROLS) != 0)
        merge_controls(v);
    if ((v->dirty & DIRTY_EVENT) != 0) {
        hw_vmwrite(VMCS_VM_ENTRY_INTERRUPTION_INFO, v->field[FIELD_VM_ENTRY_INTERRUPTION_INFO]);
        hw_vmwrite(VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE, v->field[FIELD_VM_ENTRY_EXCEPTION_ERROR_CODE]);
        hw_vmwrite(VMCS_VM_ENTRY_INSTRUCTION_LENGTH, v->field[FIELD_VM_ENTRY_INSTRUCTION_LENGTH]);
    }
    v->dirty = 0;
}
