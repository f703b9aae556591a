/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMLAUNCH and VMRESUME: check what changed, merge it into vmcs02, let the processor do the rest. Guest state is the
 * processor's to check; its verdict is handed to the host as it is.
 */
#include "cloudvisor/host_memory.h"
#include "cloudvisor/intercepts.h"
#include "cloudvisor/log.h"
#include "cloudvisor/vmcs01.h"
#include "ept-guard/host_ept.h"
#include "nested-vmx/protected.h"

static const struct {
    uint16_t encoding, field;
    uint32_t load;
} switched_rules[SWITCHED_COUNT] = {
    [SWITCHED_EFER] = { VMCS_GUEST_IA32_EFER, FIELD_GUEST_IA32_EFER, ENTRY_LOAD_EFER },
    [SWITCHED_PAT] = { VMCS_GUEST_IA32_PAT, FIELD_GUEST_IA32_PAT, ENTRY_LOAD_PAT },
    [SWITCHED_DR7] = { VMCS_GUEST_DR7, FIELD_GUEST_DR7, ENTRY_LOAD_DEBUG_CONTROLS },
    [SWITCHED_DEBUGCTL] = { VMCS_GUEST_IA32_DEBUGCTL, FIELD_GUEST_IA32_DEBUGCTL, ENTRY_LOAD_DEBUG_CONTROLS },
};

/* What dirty groups, or a mode that is not checked yet, have to be checked. */
static enum vm_instruction_error check(const struct vmcs12 *v)
{
    struct entry_limits limits = nested_limits();
    enum vm_instruction_error error = entry_check_controls(v->field, &caps_offer, &limits);

    return error != VMERR_NONE ? error : entry_check_host_state(v->field, &caps_offer, &limits);
}

/* Copies the entry list; the index of the first MSR that the layer keeps from the host, counted from 1, or 0. */
static unsigned copy_entry_list(struct vmcs12 *v)
{
    unsigned count = (unsigned)v->field[FIELD_VM_ENTRY_MSR_LOAD_COUNT];
    uint64_t from = v->field[FIELD_VM_ENTRY_MSR_LOAD_ADDR];

    for (unsigned i = 0; i < count; i++) {
        host_frame_read(hpa(from + i * sizeof(struct msr_entry)), &v->entry_list[i], sizeof(struct msr_entry));
        if (intercepts_known_msr(v->entry_list[i].msr, true))
            return i + 1;
    }
    return 0;
}

/*
 * The PDPTEs of a PAE guest without EPT are memory's; the processor, which runs it with EPT, takes them from vmcs02
 * and finds bad ones itself, in its own order of checks.
 */
static void load_pdptes(struct vmcs12 *v, uint64_t cr0, uint64_t cr3, uint64_t cr4)
{
    uint64_t pdpte[4];

    if (v->ept02 != NULL || (cr0 & CR0_PG) == 0 || (cr4 & CR4_PAE) == 0 || (entry_controls(v) & ENTRY_IA32E_GUEST) != 0)
        return;
    host_frame_read(hpa(cr3 & UINT64_C(0xffffffe0)), pdpte, sizeof(pdpte));
    for (unsigned i = 0; i < 4; i++)
        hw_vmwrite(VMCS_GUEST_PDPTE0 + 2 * i, pdpte[i]);
}

/* What stands for the host's link pointer in vmcs02: none, or one that the processor refuses as it should. */
static uint64_t link_pointer(const struct vmcs12 *v)
{
    enum { MISALIGNED = 1 };
    uint64_t link = v->field[FIELD_VMCS_LINK_POINTER];
    uint32_t revision;

    if (link == NO_VMCS)
        return NO_VMCS;
    if ((link & (PAGE_SIZE - 1)) != 0 || link >> physical_bits != 0 || link == v->region)
        return MISALIGNED;
    host_frame_read(hpa(link), &revision, sizeof(revision));
    return revision == VMCS12_REVISION ? NO_VMCS : MISALIGNED;
}

/* IA32_EFER for an entry that does not load it: LMA follows the control, and with paging LME, too. */
static uint64_t efer_unloaded(const struct vmcs12 *v, uint64_t efer, uint64_t guest_cr0)
{
    bool long_mode = (entry_controls(v) & ENTRY_IA32E_GUEST) != 0;

    efer = long_mode ? efer | EFER_LMA : efer & ~EFER_LMA;
    if ((guest_cr0 & CR0_PG) != 0)
        efer = long_mode ? efer | EFER_LME : efer & ~EFER_LME;
    return efer;
}

/* The host's own values, for state that the entry does not load. vmcs01 is loaded. */
static void read_unloaded(const struct vmcs12 *v, uint64_t value[SWITCHED_COUNT])
{
    for (unsigned i = 0; i < SWITCHED_COUNT; i++) {
        bool load = (entry_controls(v) & switched_rules[i].load) != 0;

        value[i] = load ? v->field[switched_rules[i].field] : hw_vmread(switched_rules[i].encoding);
    }
}

static void write_switched(struct vmcs12 *v, uint64_t value[SWITCHED_COUNT])
{
    if ((entry_controls(v) & ENTRY_LOAD_EFER) == 0)
        value[SWITCHED_EFER] = efer_unloaded(v, value[SWITCHED_EFER], hw_vmread(VMCS_GUEST_CR0));
    for (unsigned i = 0; i < SWITCHED_COUNT; i++) {
        if (!v->switched_known || v->switched[i] != value[i]) {
            hw_vmwrite(switched_rules[i].encoding, value[i]);
            v->switched[i] = value[i];
        }
    }
    v->switched_known = true;
    if ((pin_controls(v) & PIN_PREEMPTION_TIMER) != 0)
        hw_vmwrite(VMCS_PREEMPTION_TIMER_VALUE, v->field[FIELD_PREEMPTION_TIMER_VALUE]);
}

static void prepare_ept(struct vmcs12 *v)
{
    uint64_t permissions;

    if (v->ept02->stale) {
        layer_lock();
        if (v->ept02->stale)
            ept02_sync(v->ept02);
        layer_unlock();
        hw_invept(HW_INVEPT_SINGLE, ept02_pointer(v->ept02));
    }
    if (v->refill) {
        v->refill = false;
        layer_lock();
        ept02_fill(v->ept02, l2gpa(v->refill_address), v->refill_access, &permissions);
        layer_unlock();
    }
}

/* Loads and completes vmcs02; false, with vmcs01 loaded, for the activity state in which no kick would be seen. */
static bool load_vmcs02(struct cpu *cpu, struct vmcs12 *v, uint64_t switched[SWITCHED_COUNT])
{
    vmcs_load(v->vmcs02);
    if (v->dirty != 0 || !v->host_state_set)
        merge_dirty(cpu, v);
    vmcs12_write_changed(v);
    write_switched(v, switched);
    if (hw_vmread(VMCS_GUEST_ACTIVITY_STATE) == ACTIVITY_WAIT_FOR_SIPI) {
        vmcs_load(cpu->vmcs01);
        return false;
    }
    hw_vmwrite(VMCS_VM_ENTRY_MSR_LOAD_COUNT, v->field[FIELD_VM_ENTRY_MSR_LOAD_COUNT]);
    hw_vmwrite(VMCS_VMCS_LINK_POINTER, link_pointer(v));
    if (v->ept02 == NULL)
        load_pdptes(v, hw_vmread(VMCS_GUEST_CR0), hw_vmread(VMCS_GUEST_CR3), hw_vmread(VMCS_GUEST_CR4));
    if (v->ept02 != NULL && (v->ept02->stale || v->refill))
        prepare_ept(v);
    if ((secondary_controls(v) & SEC_VPID) == 0 || v->field[FIELD_VPID] >= VPID_LAYER)
        hw_invvpid(HW_INVVPID_SINGLE, VPID_UNTAGGED, 0);
    return true;
}

static uint32_t bitmap_controls(const struct vmcs12 *v)
{
    return proc_controls(v) & (PROC_MSR_BITMAPS | PROC_IO_BITMAPS);
}

static void enter(struct cpu *cpu, struct vmcs12 *v)
{
    uint64_t switched[SWITCHED_COUNT];
    unsigned bad_msr = 0;

    if (v->field[FIELD_VM_ENTRY_MSR_LOAD_COUNT] != 0)
        bad_msr = copy_entry_list(v);
    if (bad_msr != 0) {
        exit_entry_failure(cpu, v, EXIT_ENTRY_MSR_LOADING, bad_msr);
        return;
    }
    if ((v->dirty & DIRTY_BITMAPS) != 0 || v->bitmaps_stale || bitmap_controls(v) != v->bitmap_controls)
        merge_bitmaps(cpu, v);
    v->bitmap_controls = bitmap_controls(v);
    read_unloaded(v, switched);
    if (!load_vmcs02(cpu, v, switched)) {
        exit_entry_failure(cpu, v, EXIT_ENTRY_GUEST_STATE, 0);
        return;
    }
    cpu->in_l2 = true;
    cpu->launch = !v->launched02;
    cpu_count_stat(cpu, STAT_vm_entries);
}

int nested_enter(struct cpu *cpu, bool launch)
{
    struct vmcs12 *v = cpu->current;
    enum vm_instruction_error error;

    if (v == NULL || (hw_vmread(VMCS_GUEST_INTERRUPTIBILITY) & BLOCKING_BY_MOV_SS) != 0)
        return VMERR_ENTRY_MOV_SS;
    if (launch == v->launched)
        return launch ? VMERR_VMLAUNCH_NOT_CLEAR : VMERR_VMRESUME_NOT_LAUNCHED;
    if (nested_shadowing()) {
        vmcs12_pull_shadow(v);
        vmcs_load(cpu->vmcs01);
    }
    if (v->dirty != 0 && (error = check(v)) != VMERR_NONE)
        return (int)error;
    if (v->vcpu != NULL) {
        protected_enter(cpu, v);
    } else if (merge_take_ept(v)) {
        enter(cpu, v);
    } else {
        cv_log_limited(LOG_ERROR, "no memory for the EPT of %lx: its entry is refused", v->region);
        return VMERR_ENTRY_CONTROLS;
    }
    return VMX_NO_RESULT;
}

void nested_entry_refused(struct cpu *cpu)
{
    struct vmcs12 *v = cpu->current;
    uint64_t error = hw_vmread(VMCS_VM_INSTRUCTION_ERROR);

    if (v->vcpu != NULL) {
        protected_entry_refused(cpu, v);
        return;
    }

    vmcs_load(cpu->vmcs01);
    cpu->in_l2 = false;
    cpu->launch = 0;
    v->dirty = DIRTY_ALL;
    cv_log_limited(LOG_INFO, "the processor refuses to enter %lx: error %lu", v->region, error);
    vmx_finish(cpu, (int)error);
}
