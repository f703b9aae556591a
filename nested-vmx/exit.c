/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exits of the host's VMs: what the layer handles alone, and how the rest reaches the host. vmcs02 is loaded when an
 * exit arrives; when the host has been given it, vmcs01 is.
 */
#include <string.h>
#include "cloudvisor/host_exits.h"
#include "cloudvisor/host_memory.h"
#include "cloudvisor/intercepts.h"
#include "cloudvisor/log.h"
#include "cloudvisor/vmcs01.h"
#include "nested-vmx/protected.h"

#define DR7_RESET 0x400u
enum { MSR_SYSENTER_CS = 0x174, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_DEBUGCTL = 0x1d9, MSR_PAT = 0x277 };
enum msr { MSR_EFER = 0xc0000080, MSR_FS_BASE = 0xc0000100, MSR_GS_BASE };

/* MSRs that live in a VMCS while the host or its VM runs: the field of vmcs01 or vmcs02, or 0. */
static uint32_t msr_field(uint32_t msr)
{
    switch (msr) {
    case MSR_EFER: return VMCS_GUEST_IA32_EFER;
    case MSR_PAT: return VMCS_GUEST_IA32_PAT;
    case MSR_DEBUGCTL: return VMCS_GUEST_IA32_DEBUGCTL;
    case MSR_SYSENTER_CS: return VMCS_GUEST_IA32_SYSENTER_CS;
    case MSR_SYSENTER_ESP: return VMCS_GUEST_IA32_SYSENTER_ESP;
    case MSR_SYSENTER_EIP: return VMCS_GUEST_IA32_SYSENTER_EIP;
    case MSR_FS_BASE: return VMCS_GUEST_FS_BASE;
    case MSR_GS_BASE: return VMCS_GUEST_GS_BASE;
    default: return 0;
    }
}

/* A VMX abort shuts the CPU down; only the host's own lists can cause one. */
static _Noreturn void vmx_abort(struct cpu *cpu, uint32_t indicator)
{
    cv_log(LOG_ERROR, "CPU %u: the host's MSR list causes VMX abort %u; this CPU stops", cpu->index, indicator);
    cpu->in_guest = 0;
    for (;;)
        cpu_park(cpu);
}

/* What the processor would refuse in an MSR that the layer puts into vmcs01: a bad value would fail its next entry. */
static bool bad_list_value(uint32_t msr, uint64_t value)
{
    enum { DEBUGCTL_LBR_AND_BTF = 3 };
    struct entry_limits limits = nested_limits();

    switch (msr) {
    case MSR_FS_BASE:
    case MSR_GS_BASE: return true;
    case MSR_EFER: return !entry_efer_valid(value, &limits);
    case MSR_PAT: return !entry_pat_valid(value);
    case MSR_DEBUGCTL: return (value & ~(uint64_t)DEBUGCTL_LBR_AND_BTF) != 0;
    case MSR_SYSENTER_CS: return value > UINT32_MAX;
    case MSR_SYSENTER_ESP:
    case MSR_SYSENTER_EIP: return !entry_canonical(value, &limits);
    default: return false;
    }
}

/* Loads the MSR of an entry from it, or stores it there; false where the SDM has a VMX abort. */
static bool serve_entry(struct msr_entry *entry, bool load)
{
    uint32_t field = msr_field(entry->msr);

    if (entry->reserved != 0 || (entry->msr >= 0x800 && entry->msr <= 0x8ff) ||
        intercepts_known_msr(entry->msr, load) || (load && bad_list_value(entry->msr, entry->value)))
        return false;
    if (field == 0)
        return load ? hw_wrmsr_safe(entry->msr, entry->value) : hw_rdmsr_safe(entry->msr, &entry->value);
    if (load)
        hw_vmwrite(field, entry->value);
    else
        entry->value = hw_vmread(field);
    return true;
}

/* The VM-exit MSR-store list while vmcs02 is loaded, and the VM-exit MSR-load list while vmcs01 is. */
static void serve_list(struct cpu *cpu, uint64_t at, uint64_t count, bool load)
{
    struct msr_entry entry;

    for (uint64_t i = 0; i < count; i++, at += sizeof(entry)) {
        host_frame_read(hpa(at), &entry, sizeof(entry));
        if (!serve_entry(&entry, load))
            vmx_abort(cpu, load ? 4 : 1);
        if (!load)
            host_frame_write(hpa(at + 8), &entry.value, sizeof(entry.value));
    }
}

static void load_data_segment(enum segment index, uint64_t selector, uint64_t base)
{
    host_set_segment(index, selector, base, UINT32_MAX, selector != 0 ? RIGHTS_DATA : RIGHTS_UNUSABLE);
}

/* SDM "Loading Host Segment and Descriptor-Table Registers". */
static void load_host_segments(const uint64_t *f)
{
    load_data_segment(ES, f[FIELD_HOST_ES_SELECTOR], 0);
    host_set_segment(CS, f[FIELD_HOST_CS_SELECTOR], 0, UINT32_MAX, RIGHTS_CODE_64);
    load_data_segment(SS, f[FIELD_HOST_SS_SELECTOR], 0);
    load_data_segment(DS, f[FIELD_HOST_DS_SELECTOR], 0);
    load_data_segment(FS, f[FIELD_HOST_FS_SELECTOR], f[FIELD_HOST_FS_BASE]);
    load_data_segment(GS, f[FIELD_HOST_GS_SELECTOR], f[FIELD_HOST_GS_BASE]);
    host_set_segment(LDTR, 0, 0, 0, RIGHTS_UNUSABLE);
    host_set_segment(TR, f[FIELD_HOST_TR_SELECTOR], f[FIELD_HOST_TR_BASE], 0x67, RIGHTS_TSS);
    hw_vmwrite(VMCS_GUEST_GDTR_BASE, f[FIELD_HOST_GDTR_BASE]);
    hw_vmwrite(VMCS_GUEST_GDTR_LIMIT, 0xffff);
    hw_vmwrite(VMCS_GUEST_IDTR_BASE, f[FIELD_HOST_IDTR_BASE]);
    hw_vmwrite(VMCS_GUEST_IDTR_LIMIT, 0xffff);
}

/* SDM "Loading Host Control Registers, Debug Registers, MSRs": `guest` is what the VM had at the exit. */
static void load_host_registers(const struct vmcs12 *v, uint64_t guest_cr0)
{
    const uint64_t *f = v->field;
    uint64_t cr0 = (f[FIELD_HOST_CR0] & ~(CR0_CD | CR0_NW)) | (guest_cr0 & (CR0_CD | CR0_NW)) | UINT64_C(0x10);
    uint64_t efer = v->switched[SWITCHED_EFER] | EFER_LMA | EFER_LME, pat = v->switched[SWITCHED_PAT];

    if ((exit_controls(v) & EXIT_LOAD_EFER) != 0)
        efer = f[FIELD_HOST_IA32_EFER];
    if ((exit_controls(v) & EXIT_LOAD_PAT) != 0)
        pat = f[FIELD_HOST_IA32_PAT];
    hw_vmwrite(VMCS_GUEST_CR0, cr0);
    hw_vmwrite(VMCS_CR0_READ_SHADOW, cr0);
    hw_vmwrite(VMCS_GUEST_CR3, f[FIELD_HOST_CR3]);
    hw_vmwrite(VMCS_GUEST_CR4, f[FIELD_HOST_CR4]);
    hw_vmwrite(VMCS_CR4_READ_SHADOW, f[FIELD_HOST_CR4]);
    hw_vmwrite(VMCS_GUEST_IA32_EFER, efer);
    hw_vmwrite(VMCS_GUEST_IA32_PAT, pat);
    hw_vmwrite(VMCS_GUEST_IA32_SYSENTER_CS, f[FIELD_HOST_IA32_SYSENTER_CS]);
    hw_vmwrite(VMCS_GUEST_IA32_SYSENTER_ESP, f[FIELD_HOST_IA32_SYSENTER_ESP]);
    hw_vmwrite(VMCS_GUEST_IA32_SYSENTER_EIP, f[FIELD_HOST_IA32_SYSENTER_EIP]);
    hw_vmwrite(VMCS_GUEST_DR7, DR7_RESET);
    hw_vmwrite(VMCS_GUEST_IA32_DEBUGCTL, 0);
    hw_vmwrite(VMCS_GUEST_RSP, f[FIELD_HOST_RSP]);
    hw_vmwrite(VMCS_GUEST_RIP, f[FIELD_HOST_RIP]);
    hw_vmwrite(VMCS_GUEST_RFLAGS, RFLAGS_FIXED);
    hw_vmwrite(VMCS_GUEST_ACTIVITY_STATE, 0);
    hw_vmwrite(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS, 0);
}

/* Puts the host where its VMCS says an exit goes. vmcs01 is loaded. */
static void load_host_state(struct cpu *cpu, struct vmcs12 *v, uint64_t guest_cr0, bool nmi_blocked)
{
    load_host_registers(v, guest_cr0);
    hw_vmwrite(VMCS_GUEST_INTERRUPTIBILITY, nmi_blocked ? BLOCKING_BY_NMI : 0);
    load_host_segments(v->field);
    if (v->field[FIELD_VM_EXIT_MSR_LOAD_COUNT] != 0)
        serve_list(cpu, v->field[FIELD_VM_EXIT_MSR_LOAD_ADDR], v->field[FIELD_VM_EXIT_MSR_LOAD_COUNT], true);
    if ((secondary_controls(v) & SEC_VPID) == 0)
        hw_invvpid(HW_INVVPID_SINGLE, VPID_HOST, 0);
    cpu->in_l2 = false;
    cpu->launch = 0;
}

/* SDM "Saving Guest State": what vmcs02 always saves goes into the fields that the host asked to have saved. */
static void save_switched(struct vmcs12 *v)
{
    v->switched[SWITCHED_EFER] = hw_vmread(VMCS_GUEST_IA32_EFER);
    v->switched[SWITCHED_PAT] = hw_vmread(VMCS_GUEST_IA32_PAT);
    v->switched[SWITCHED_DR7] = hw_vmread(VMCS_GUEST_DR7);
    v->switched[SWITCHED_DEBUGCTL] = hw_vmread(VMCS_GUEST_IA32_DEBUGCTL);
    if ((exit_controls(v) & EXIT_SAVE_EFER) != 0)
        v->field[FIELD_GUEST_IA32_EFER] = v->switched[SWITCHED_EFER];
    if ((exit_controls(v) & EXIT_SAVE_PAT) != 0)
        v->field[FIELD_GUEST_IA32_PAT] = v->switched[SWITCHED_PAT];
    if ((exit_controls(v) & EXIT_SAVE_DEBUG_CONTROLS) != 0) {
        v->field[FIELD_GUEST_DR7] = v->switched[SWITCHED_DR7];
        v->field[FIELD_GUEST_IA32_DEBUGCTL] = v->switched[SWITCHED_DEBUGCTL];
    }
    if ((exit_controls(v) & EXIT_SAVE_PREEMPTION_TIMER) != 0)
        v->field[FIELD_PREEMPTION_TIMER_VALUE] = hw_vmread(VMCS_PREEMPTION_TIMER_VALUE);
    if ((caps_offer.misc & MISC_STORE_LMA) != 0)
        v->field[FIELD_VM_ENTRY_CONTROLS] = (v->field[FIELD_VM_ENTRY_CONTROLS] & ~(uint64_t)ENTRY_IA32E_GUEST) |
                                            (hw_vmread(VMCS_VM_ENTRY_CONTROLS) & ENTRY_IA32E_GUEST);
}

/* An NMI blocks further ones in the host until IRET; so does the VM's own blocking where its NMIs are real ones. */
static bool leaves_nmi_blocked(const struct vmcs12 *v, uint32_t reason)
{
    if ((pin_controls(v) & PIN_NMI_EXITING) == 0)
        return (hw_vmread(VMCS_GUEST_INTERRUPTIBILITY) & BLOCKING_BY_NMI) != 0;
    return reason == EXIT_EXCEPTION_OR_NMI &&
           INTR_TYPE((uint32_t)v->field[FIELD_VM_EXIT_INTERRUPTION_INFO]) == INTR_TYPE_NMI;
}

void exit_give_to_host(struct cpu *cpu, struct vmcs12 *v, uint32_t reason, uint64_t qualification)
{
    uint64_t guest_cr0 = hw_vmread(VMCS_GUEST_CR0);
    bool nmi_blocked = leaves_nmi_blocked(v, reason);

    v->launched = true;
    v->field[FIELD_EXIT_REASON] = reason;
    v->field[FIELD_EXIT_QUALIFICATION] = qualification;
    v->field[FIELD_VM_ENTRY_INTERRUPTION_INFO] &= ~(uint64_t)INTR_VALID;
    save_switched(v);
    if (v->field[FIELD_VM_EXIT_MSR_STORE_COUNT] != 0)
        serve_list(cpu, v->field[FIELD_VM_EXIT_MSR_STORE_ADDR], v->field[FIELD_VM_EXIT_MSR_STORE_COUNT], false);
    if (nested_shadowing())
        vmcs12_push_shadow(v);
    vmcs_load(cpu->vmcs01);
    if (cpu->host_nmi) /* one that waited for a window in the VM */
        cpu->attention = 1;
    load_host_state(cpu, v, guest_cr0, nmi_blocked);
    cpu_count_stat(cpu, STAT_vm_exits);
}

void exit_entry_failure(struct cpu *cpu, struct vmcs12 *v, uint32_t reason, uint64_t qualification)
{
    v->field[FIELD_EXIT_REASON] = reason | EXIT_ENTRY_FAILURE;
    v->field[FIELD_EXIT_QUALIFICATION] = qualification;
    if (nested_shadowing())
        vmcs12_push_shadow(v);
    vmcs_load(cpu->vmcs01);
    v->switched[SWITCHED_EFER] = hw_vmread(VMCS_GUEST_IA32_EFER);
    v->switched[SWITCHED_PAT] = hw_vmread(VMCS_GUEST_IA32_PAT);
    load_host_state(cpu, v, hw_vmread(VMCS_GUEST_CR0), false);
    v->switched_known = false;
}

/* An NMI exit that no instruction caused: its information is made up, with the event that it displaced. */
static void reflect_nmi(struct cpu *cpu)
{
    struct vmcs12 *v = cpu->current;
    uint32_t pending = (uint32_t)hw_vmread(VMCS_VM_ENTRY_INTERRUPTION_INFO);

    vmcs12_read_exit(v);
    v->field[FIELD_VM_EXIT_INTERRUPTION_INFO] = INTR_VALID | INTR_TYPE_NMI << 8 | 2;
    v->field[FIELD_VM_EXIT_INTERRUPTION_ERROR_CODE] = 0;
    v->field[FIELD_IDT_VECTORING_INFO] = (pending & INTR_VALID) != 0 ? pending : 0;
    v->field[FIELD_IDT_VECTORING_ERROR_CODE] = hw_vmread(VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE);
    v->field[FIELD_VM_EXIT_INSTRUCTION_LENGTH] = hw_vmread(VMCS_VM_ENTRY_INSTRUCTION_LENGTH);
    hw_vmwrite(VMCS_VM_ENTRY_INTERRUPTION_INFO, 0);
    exit_give_to_host(cpu, v, EXIT_EXCEPTION_OR_NMI, 0);
}

void nested_deliver_nmi(struct cpu *cpu)
{
    if (cpu->vcpu != NULL)
        protected_nmi(cpu, cpu->current);
    else if (cpu->in_l2 && (pin_controls(cpu->current) & PIN_NMI_EXITING) != 0)
        reflect_nmi(cpu);
    else
        host_inject_nmi(cpu);
}

/* ---- What the layer may handle alone: these return false if the exit is the host's. ---- */

static bool nmi_exit(struct cpu *cpu)
{
    if (INTR_TYPE((uint32_t)hw_vmread(VMCS_VM_EXIT_INTERRUPTION_INFO)) != INTR_TYPE_NMI)
        return false;
    exit_reinject();
    host_nmi_exit(cpu);
    return true;
}

static bool nmi_window_exit(struct cpu *cpu)
{
    if ((proc_controls(cpu->current) & PROC_NMI_WINDOW_EXITING) != 0)
        return false;
    host_nmi_window_exit(cpu);
    return true;
}

/* For the host, `*reason` and `*qualification` are what EPT12 gives. */
static bool ept_violation(struct cpu *cpu, uint32_t *reason, uint64_t *qualification)
{
    uint64_t address = hw_vmread(VMCS_GUEST_PHYSICAL_ADDRESS), access = *qualification & EPT_RWX, permissions = 0;
    struct vmcs12 *v = cpu->current;
    enum ept02_answer answer;

    if (v->ept02 == NULL) {
        host_ept_access(cpu);
        return true;
    }
    layer_lock();
    answer = ept02_fill(v->ept02, l2gpa(address), access, &permissions);
    layer_unlock();
    if (answer == EPT02_FILLED) {
        exit_reinject();
    } else if (answer == EPT02_MISCONFIGURATION) {
        *reason = EXIT_EPT_MISCONFIGURATION;
        *qualification = 0;
    } else {
        v->refill = true;
        v->refill_address = address;
        v->refill_access = access;
        *qualification = (*qualification & ~UINT64_C(0x38)) | permissions << 3;
    }
    return answer == EPT02_FILLED;
}

/* True if the host asked for this MSR access of its VM: what the layer does not intercept only exits for the host. */
static bool host_wants_msr(const struct vmcs12 *v, uint32_t msr, bool write)
{
    uint8_t byte;
    unsigned offset;

    if ((proc_controls(v) & PROC_MSR_BITMAPS) == 0 || !intercepts_msr(msr, write))
        return true;
    if (!msr_bitmap_byte(msr, write, &offset))
        return true;
    host_frame_read(hpa(v->field[FIELD_MSR_BITMAP] + offset), &byte, sizeof(byte));
    return (byte >> (msr & 7) & 1) != 0;
}

static bool host_wants_port(const struct vmcs12 *v, uint16_t port, unsigned bytes)
{
    if ((proc_controls(v) & PROC_IO_BITMAPS) == 0)
        return (proc_controls(v) & PROC_UNCONDITIONAL_IO_EXITING) != 0;
    for (unsigned i = 0; i < bytes; i++) {
        uint32_t p = (uint32_t)port + i;
        uint64_t bitmap = v->field[(p & 0x8000) != 0 ? FIELD_IO_BITMAP_B : FIELD_IO_BITMAP_A];
        uint8_t byte;

        if (p > UINT16_MAX)
            return true;
        host_frame_read(hpa(bitmap + (p & 0x7fff) / 8), &byte, sizeof(byte));
        if ((byte >> (p & 7) & 1) != 0)
            return true;
    }
    return false;
}

static bool msr_exit(struct cpu *cpu, bool write)
{
    uint32_t msr = (uint32_t)cpu->gpr[RCX];

    if (host_wants_msr(cpu->current, msr, write))
        return false;
    host_finish_instruction(host_msr_access(cpu, msr, write));
    return true;
}

static bool io_exit(struct cpu *cpu, uint64_t qualification)
{
    uint16_t port = (uint16_t)(qualification >> 16);
    unsigned bytes = ((unsigned)qualification & 7) + 1;

    if (!intercepts_port(port, bytes) || host_wants_port(cpu->current, port, bytes))
        return false;
    host_finish_instruction(host_io_access(cpu, qualification));
    return true;
}

void nested_exit(struct cpu *cpu, uint32_t reason)
{
    struct vmcs12 *v = cpu->current;
    uint64_t qualification;
    bool kept = false;

    if (v->vcpu != NULL) {
        protected_exit(cpu, v, reason);
        return;
    }
    qualification = hw_vmread(VMCS_EXIT_QUALIFICATION);
    if ((reason & EXIT_ENTRY_FAILURE) != 0) {
        exit_entry_failure(cpu, v, reason & ~EXIT_ENTRY_FAILURE, qualification);
        return;
    }
    v->launched02 = true;
    switch (reason) {
    case EXIT_EXCEPTION_OR_NMI: kept = nmi_exit(cpu); break;
    case EXIT_NMI_WINDOW: kept = nmi_window_exit(cpu); break;
    case EXIT_EPT_VIOLATION: kept = ept_violation(cpu, &reason, &qualification); break;
    case EXIT_RDMSR:
    case EXIT_WRMSR: kept = msr_exit(cpu, reason == EXIT_WRMSR); break;
    case EXIT_IO: kept = io_exit(cpu, qualification); break;
    case EXIT_VMCALL: kept = protected_call(cpu, v); break;
    case EXIT_EPT_MISCONFIGURATION:
        cv_panic("EPT02 is malformed at %lx", hw_vmread(VMCS_GUEST_PHYSICAL_ADDRESS));
        break;
    default: break;
    }
    if (kept) {
        cpu_count_stat(cpu, STAT_vm_exits_kept);
        return;
    }
    vmcs12_read_exit(v);
    exit_give_to_host(cpu, v, reason, qualification);
}
