/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Family list: the MSR lists of VM entry and VM exit. What entry loads, which entry a failure names, what exit stores
 * and loads. Lists that would end in a VMX abort are left out: they stop the processor.
 */
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/exit_info.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/vmx.h"
#include "untrusted-hypervisor-harness/suites/check.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

struct msr_entry {
    uint64_t index; /* and the reserved upper half */
    uint64_t value;
};

static struct vcpu vcpu;

#define NON_CANONICAL UINT64_C(0x0000800000000000)

static const struct {
    const char *name;
    struct msr_entry entry;
} load_cases[] = {
    { "star", { MSR_STAR, UINT64_C(0x123456789abcdef0) } },
    { "lstar", { MSR_LSTAR, UINT64_C(0xffff800012345678) } },
    { "lstar.non-canonical", { MSR_LSTAR, NON_CANONICAL } },
    { "cstar", { MSR_CSTAR, 0x1234 } },
    { "fmask", { MSR_FMASK, 0x200 } },
    { "kernel-gs", { MSR_KERNEL_GS, 0x5678 } },
    { "kernel-gs.non-canonical", { MSR_KERNEL_GS, NON_CANONICAL } },
    { "tsc-aux", { MSR_TSC_AUX, 7 } },
    { "sysenter-cs", { MSR_SYSENTER_CS, 0x10 } },
    { "sysenter-eip.non-canonical", { MSR_SYSENTER_EIP, NON_CANONICAL } },
    { "pat", { MSR_PAT, MACHINE_PAT } },
    { "pat.bad", { MSR_PAT, 2 } },
    { "fs-base", { MSR_FS_BASE, 0 } },
    { "gs-base", { MSR_GS_BASE, 0 } },
    { "x2apic-id", { 0x802, 0 } },
    { "x2apic-eoi", { 0x80b, 0 } },
    { "x2apic-last", { 0x8ff, 0 } },
    { "reserved-bit-32", { MSR_STAR | BIT64(32), 0 } },
    { "reserved-bit-63", { MSR_STAR | BIT64(63), 0 } },
    { "unknown-msr", { 0x12345, 0 } },
    { "unknown-msr.high", { 0xc0001ffe, 0 } },
    { "capability", { MSR_VMX_BASIC, 0 } },
    { "feature-control", { MSR_FEATURE_CONTROL, 5 } },
    { "smm-monitor-control", { 0x9b, 0 } },
    { "efer.reserved", { MSR_EFER, BIT64(20) } },
    { "debugctl", { MSR_DEBUGCTL, 0 } },
};

static struct msr_entry *list(enum vmx_page page)
{
    return physical_pointer(vmx_page(page));
}

static void run_line(void)
{
    run_result(&vcpu, vcpu_run(&vcpu));
    vcpu_revert(&vcpu);
}

static void load_at_entry(void)
{
    struct msr_entry *entry = list(VMX_PAGE_MSR_ENTRY_LOAD);

    for (unsigned i = 0; i < ARRAY_COUNT(load_cases); i++) {
        entry[0] = load_cases[i].entry;
        vcpu_set(&vcpu, FIELD_VM_ENTRY_MSR_LOAD_COUNT, 1);
        print("list.entry.%s ", load_cases[i].name);
        run_line();
    }
}

/* The qualification names the entry that failed; earlier ones stay loaded. */
static void failing_position(void)
{
    struct msr_entry *entry = list(VMX_PAGE_MSR_ENTRY_LOAD);

    for (unsigned bad = 0; bad < 5; bad++) {
        for (unsigned i = 0; i < 4; i++)
            entry[i] = (struct msr_entry){ MSR_KERNEL_GS, 0x1000 + i };
        if (bad < 4)
            entry[bad].index |= BIT64(32);
        cpu_write_msr(MSR_KERNEL_GS, 0xaaaa);
        vcpu_set(&vcpu, FIELD_VM_ENTRY_MSR_LOAD_COUNT, 4);
        print("list.entry.bad-position-%u ", bad);
        run_print(&vcpu, vcpu_run(&vcpu));
        vcpu_revert(&vcpu);
        print(" kernel-gs=%lx", cpu_read_msr(MSR_KERNEL_GS));
        print_end_of_result();
    }
    cpu_write_msr(MSR_KERNEL_GS, 0);
}

/* A state error hides a list error; a list error comes after the guest state was loaded. */
static void order_of_errors(void)
{
    list(VMX_PAGE_MSR_ENTRY_LOAD)[0] = (struct msr_entry){ MSR_KERNEL_GS | BIT64(32), 0 };
    vcpu_set(&vcpu, FIELD_VM_ENTRY_MSR_LOAD_COUNT, 1);
    vcpu_set(&vcpu, FIELD_GUEST_RFLAGS, 0);
    print("list.entry.with-bad-rflags ");
    run_line();
    vcpu_set(&vcpu, FIELD_VM_ENTRY_MSR_LOAD_COUNT, 1);
    vcpu_set(&vcpu, FIELD_VM_ENTRY_INTERRUPTION_INFO, INTR_VALID | 0x306);
    print("list.entry.with-event ");
    run_print(&vcpu, vcpu_run(&vcpu));
    print(" entry-event=%lx", vcpu_get(FIELD_VM_ENTRY_INTERRUPTION_INFO));
    print_end_of_result();
    vcpu_revert(&vcpu);
}

static void long_list(unsigned count)
{
    struct msr_entry *entry = list(VMX_PAGE_MSR_ENTRY_LOAD);

    for (unsigned i = 0; i < count; i++)
        entry[i] = (struct msr_entry){ MSR_KERNEL_GS, i };
    vcpu_set(&vcpu, FIELD_VM_ENTRY_MSR_LOAD_COUNT, count);
    print("list.entry.count-%u ", count);
    run_print(&vcpu, vcpu_run(&vcpu));
    print(" kernel-gs=%lx", cpu_read_msr(MSR_KERNEL_GS));
    print_end_of_result();
    vcpu_revert(&vcpu);
    cpu_write_msr(MSR_KERNEL_GS, 0);
}

/* The guest sees what entry loaded; exit stores what the guest left and loads the host's. */
static void store_and_load_at_exit(void)
{
    struct msr_entry *load = list(VMX_PAGE_MSR_ENTRY_LOAD), *store = list(VMX_PAGE_MSR_EXIT_STORE);
    struct msr_entry *host = list(VMX_PAGE_MSR_EXIT_LOAD);
    static const uint32_t msrs[] = { MSR_KERNEL_GS, MSR_STAR, MSR_LSTAR, MSR_FMASK };

    for (unsigned i = 0; i < ARRAY_COUNT(msrs); i++) {
        load[i] = (struct msr_entry){ msrs[i], 0x1100 + i };
        store[i] = (struct msr_entry){ msrs[i], 0 };
        host[i] = (struct msr_entry){ msrs[i], 0x3300 + i };
    }
    clear_pages(vmx_page(VMX_PAGE_MSR_BITMAP), 1);
    vcpu_set(&vcpu, FIELD_PROCESSOR_BASED_CONTROLS, vcpu.field[FIELD_PROCESSOR_BASED_CONTROLS] | PROC_MSR_BITMAPS);
    vcpu_set(&vcpu, FIELD_VM_ENTRY_MSR_LOAD_COUNT, ARRAY_COUNT(msrs));
    vcpu_set(&vcpu, FIELD_VM_EXIT_MSR_STORE_COUNT, ARRAY_COUNT(msrs));
    vcpu_set(&vcpu, FIELD_VM_EXIT_MSR_LOAD_COUNT, ARRAY_COUNT(msrs));
    /* mov ecx, LSTAR; rdmsr; add eax, 22h; wrmsr */
    vcpu_set_code(&vcpu, "b9 82 00 00 c0 0f 32 83 c0 22 0f 30");
    print("list.exit ");
    run_print(&vcpu, vcpu_run(&vcpu));
    for (unsigned i = 0; i < ARRAY_COUNT(msrs); i++)
        print(" %x:%lx/%lx", msrs[i], store[i].value, cpu_read_msr(msrs[i]));
    print_end_of_result();
    vcpu_revert(&vcpu);
    vcpu_set_code(&vcpu, "");
    for (unsigned i = 0; i < ARRAY_COUNT(msrs); i++)
        cpu_write_msr(msrs[i], 0);
}

/* MSRs of the lists that are also VMCS fields: the list comes later at entry, and at exit, too. */
static void lists_against_fields(void)
{
    struct msr_entry *load = list(VMX_PAGE_MSR_ENTRY_LOAD), *store = list(VMX_PAGE_MSR_EXIT_STORE);
    struct msr_entry *host = list(VMX_PAGE_MSR_EXIT_LOAD);

    load[0] = (struct msr_entry){ MSR_SYSENTER_EIP, 0x1111 };
    store[0] = (struct msr_entry){ MSR_SYSENTER_EIP, 0 };
    host[0] = (struct msr_entry){ MSR_SYSENTER_EIP, 0x3333 };
    vcpu_set(&vcpu, FIELD_GUEST_IA32_SYSENTER_EIP, 0x4444);
    vcpu_set(&vcpu, FIELD_HOST_IA32_SYSENTER_EIP, 0x5555);
    vcpu_set(&vcpu, FIELD_VM_ENTRY_MSR_LOAD_COUNT, 1);
    vcpu_set(&vcpu, FIELD_VM_EXIT_MSR_STORE_COUNT, 1);
    vcpu_set(&vcpu, FIELD_VM_EXIT_MSR_LOAD_COUNT, 1);
    print("list.against-fields ");
    run_print(&vcpu, vcpu_run(&vcpu));
    print(" stored=%lx field=%lx now=%lx", store[0].value, vcpu_get(FIELD_GUEST_IA32_SYSENTER_EIP),
          cpu_read_msr(MSR_SYSENTER_EIP));
    print_end_of_result();
    vcpu_revert(&vcpu);
    cpu_write_msr(MSR_SYSENTER_EIP, 0);
}

void conformance_lists(void)
{
    vmx_enable();
    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_DIRECT);
    load_at_entry();
    failing_position();
    order_of_errors();
    long_list(16);
    long_list(256);
    store_and_load_at_exit();
    lists_against_fields();
    vmx_disable();
    for (unsigned i = 0; i < ARRAY_COUNT(load_cases); i++)
        if (load_cases[i].entry.index >= MSR_STAR && load_cases[i].entry.index <= MSR_TSC_AUX)
            cpu_write_msr((uint32_t)load_cases[i].entry.index, 0);
}
