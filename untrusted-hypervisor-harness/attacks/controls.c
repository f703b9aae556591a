/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What else the host can say in a vmcs12: MSR lists, bitmaps, masks and shadows of control registers, the clock's
 * offset. For a protected VM none of it counts.
 */
#include "untrusted-hypervisor-harness/attacks/attack.h"

struct list_entry {
    uint32_t msr, reserved;
    uint64_t value;
};

static struct list_entry *list(enum vmx_page page)
{
    clear_pages(vmx_page(page), 1);
    return physical_pointer(vmx_page(page));
}

/* The guest's rounds with controls that were changed behind its back. */
static enum attack_result rounds(struct victim *vm)
{
    uint32_t code = victim_run(vm);

    if (code == REPORT_OK)
        code = victim_run(vm);
    return attack_outcome(vm, code);
}

static enum attack_result entry_list(struct victim *vm)
{
    struct list_entry *e = list(VMX_PAGE_MSR_ENTRY_LOAD);

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    e[0] = (struct list_entry){ MSR_LSTAR, 0, 0x1000 };
    e[1] = (struct list_entry){ MSR_KERNEL_GS, 0, 0x2000 };
    e[2] = (struct list_entry){ MSR_SYSENTER_EIP, 0, 0x3000 };
    vmx_write(VMCS_VM_ENTRY_MSR_LOAD_COUNT, 3);
    return rounds(vm);
}

/* Stored are the host's own values. */
static enum attack_result exit_list(struct victim *vm)
{
    static const uint32_t msrs[] = {
        MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_KERNEL_GS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP
    };
    struct list_entry *e = list(VMX_PAGE_MSR_EXIT_STORE);
    enum attack_result result;
    bool seen = false;

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    for (unsigned i = 0; i < ARRAY_COUNT(msrs); i++)
        e[i].msr = msrs[i];
    vmx_write(VMCS_VM_EXIT_MSR_STORE_COUNT, ARRAY_COUNT(msrs));
    result = rounds(vm);
    for (unsigned i = 0; i < ARRAY_COUNT(msrs); i++)
        seen = seen || victim_is_secret(vm, e[i].value);
    return seen ? ATTACK_SUCCEEDS : result;
}

/* Accesses of the x2APIC go to the processor's own. */
static enum attack_result open_msrs(struct victim *vm)
{
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    clear_pages(vmx_page(VMX_PAGE_MSR_BITMAP), 1);
    return rounds(vm);
}

/* Ports are the processor's own. */
static enum attack_result open_ports(struct victim *vm)
{
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    clear_pages(vmx_page(VMX_PAGE_IO_BITMAP_A), 1);
    clear_pages(vmx_page(VMX_PAGE_IO_BITMAP_B), 1);
    vmx_write(VMCS_PROCESSOR_BASED_CONTROLS, vcpu_get(FIELD_PROCESSOR_BASED_CONTROLS) | PROC_IO_BITMAPS);
    return rounds(vm);
}

static enum attack_result shadow_cr(struct victim *vm)
{
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    vmx_write(VMCS_CR0_GUEST_HOST_MASK, UINT64_MAX);
    vmx_write(VMCS_CR0_READ_SHADOW, CR0_PE);
    vmx_write(VMCS_CR4_GUEST_HOST_MASK, UINT64_MAX);
    vmx_write(VMCS_CR4_READ_SHADOW, 0);
    return rounds(vm);
}

/* All exceptions to the host, with what they tell: here the #GP that its own answer raises. */
static bool exceptions_only(struct victim *vm, uint32_t reason)
{
    vm->note[0] += reason == EXIT_EXCEPTION_OR_NMI;
    return reason != EXIT_EXCEPTION_OR_NMI && reason != EXIT_WRMSR;
}

static enum attack_result all_exceptions(struct victim *vm)
{
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    vm->before_answer = exceptions_only;
    if (victim_run(vm) != RUN_OTHER)
        return ATTACK_BROKEN;
    vmx_write(VMCS_EXCEPTION_BITMAP, UINT32_MAX);
    if (vm->protected) {
        vmx_write(VMCS_VM_ENTRY_INTERRUPTION_INFO, UINT32_C(0x80000b0d));
        vmx_write(VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE, 0);
    } else {
        clear_pages(vmx_page(VMX_PAGE_MSR_BITMAP), 1); /* an injected one would not exit; the x2APIC's own does */
    }
    return attack_go_on(vm, vm->note[0] != 0) == ATTACK_NOTHING && vm->note[0] == 0 ? ATTACK_NOTHING : ATTACK_SUCCEEDS;
}

static enum attack_result tsc_offset(struct victim *vm)
{
    if (!victim_start(vm) || victim_run(vm) != REPORT_OK)
        return ATTACK_BROKEN;
    vmx_write(VMCS_TSC_OFFSET, vcpu_get(FIELD_TSC_OFFSET) - (UINT64_C(1) << 28));
    return attack_go_on(vm, false);
}

#define NOTHING(label, function, of)                                                                                   \
    {                                                                                                                  \
        .name = (label), .run = (function), .program = PROGRAM_##of, .expected = ATTACK_NOTHING                        \
    }

static const struct attack attacks[] = {
    NOTHING("control.entry-msr-list", entry_list, STATE), NOTHING("control.exit-msr-list", exit_list, STATE),
    NOTHING("control.msr-bitmap", open_msrs, STATE),      NOTHING("control.io-bitmaps", open_ports, STATE),
    NOTHING("control.cr-shadows", shadow_cr, STATE),      NOTHING("control.exceptions-to-host", all_exceptions, FAULT),
    NOTHING("control.tsc-offset", tsc_offset, CLOCK),
};

void attacks_controls(void)
{
    attack_run_all(attacks, ARRAY_COUNT(attacks));
}
