/* SPDX-License-Identifier: GPL-2.0-only */
/* SDM "VMX Controls", "Host-State Area": what root mode and the host need, and nothing else is intercepted. */
#include <string.h>
#include "cloudvisor/intercepts.h"
#include "cloudvisor/vmcs01.h"
#include "ept-guard/host_ept.h"
#include "nested-vmx/vmcs_fields.h"

#define CR4_PKE   UINT64_C(0x400000)
#define CR4_CET   UINT64_C(0x800000)
#define CR4_PKS   UINT64_C(0x1000000)
#define PAT_RESET UINT64_C(0x0007040600070406)

struct vmx_caps caps_hw, caps_offer;
unsigned physical_bits;

void vmexit_entry(void);

uint32_t control_value(struct vmx_control_cap cap, uint32_t wanted)
{
    return (wanted | cap.must_be_1) & cap.may_be_1;
}

void cpu_write_host_state(struct cpu *cpu)
{
    hw_vmwrite(VMCS_HOST_CR0, (hw_read_cr0() | CR0_WP) & ~(CR0_CD | CR0_NW | CR0_TS | CR0_EM));
    hw_vmwrite(VMCS_HOST_CR3, boot->root_cr3);
    hw_vmwrite(VMCS_HOST_CR4, (hw_read_cr4() | CR4_OSFXSR | CR4_OSXSAVE) & ~(CR4_CET | CR4_PKS | CR4_PKE | CR4_SMXE));
    for (enum segment i = ES; i <= GS; i++)
        hw_vmwrite(VMCS_HOST_ES_SELECTOR + 2 * i, i == CS ? SEL_CODE : i == SS ? SEL_DATA : 0);
    hw_vmwrite(VMCS_HOST_TR_SELECTOR, SEL_TSS);
    hw_vmwrite(VMCS_HOST_FS_BASE, (uint64_t)&cpu->crypto);
    hw_vmwrite(VMCS_HOST_GS_BASE, (uint64_t)cpu);
    hw_vmwrite(VMCS_HOST_TR_BASE, (uint64_t)&cpu->tss);
    hw_vmwrite(VMCS_HOST_GDTR_BASE, (uint64_t)cpu->gdt);
    hw_vmwrite(VMCS_HOST_IDTR_BASE, (uint64_t)cpu_idt);
    hw_vmwrite(VMCS_HOST_IA32_SYSENTER_CS, 0);
    hw_vmwrite(VMCS_HOST_IA32_SYSENTER_ESP, 0);
    hw_vmwrite(VMCS_HOST_IA32_SYSENTER_EIP, 0);
    hw_vmwrite(VMCS_HOST_IA32_EFER, EFER_LME | EFER_LMA | UINT64_C(0x801));
    hw_vmwrite(VMCS_HOST_IA32_PAT, PAT_RESET);
    hw_vmwrite(VMCS_HOST_RSP, (uint64_t)(cpu->gpr + GPR_COUNT));
    hw_vmwrite(VMCS_HOST_RIP, (uint64_t)vmexit_entry);
}

static void write_controls(struct cpu *cpu)
{
    uint32_t secondary = SEC_EPT | SEC_UNRESTRICTED_GUEST | SEC_VPID | SEC_RDTSCP | SEC_INVPCID | SEC_XSAVES |
                         SEC_USER_WAIT_PAUSE;

    cpu->vmcs01_secondary = control_value(caps_hw.secondary, secondary);
    hw_vmwrite(VMCS_PIN_BASED_CONTROLS, control_value(caps_hw.pin, PIN_NMI_EXITING | PIN_VIRTUAL_NMIS));
    hw_vmwrite(VMCS_PROCESSOR_BASED_CONTROLS,
               control_value(caps_hw.proc, PROC_MSR_BITMAPS | PROC_IO_BITMAPS | PROC_SECONDARY_CONTROLS));
    hw_vmwrite(VMCS_SECONDARY_CONTROLS, cpu->vmcs01_secondary);
    hw_vmwrite(VMCS_VM_EXIT_CONTROLS,
               control_value(caps_hw.exit, EXIT_HOST_64BIT | EXIT_SAVE_EFER | EXIT_LOAD_EFER | EXIT_SAVE_PAT |
                                               EXIT_LOAD_PAT | EXIT_SAVE_DEBUG_CONTROLS));
    hw_vmwrite(VMCS_VM_ENTRY_CONTROLS,
               control_value(caps_hw.entry, ENTRY_LOAD_EFER | ENTRY_LOAD_PAT | ENTRY_LOAD_DEBUG_CONTROLS));
}

/* Controls that must be 0; a VMCS region's initial contents mean nothing. */
static const uint16_t zeroed[] = {
    VMCS_EXCEPTION_BITMAP,        VMCS_PAGE_FAULT_ERROR_CODE_MASK, VMCS_PAGE_FAULT_ERROR_CODE_MATCH,
    VMCS_CR3_TARGET_COUNT,        VMCS_VM_EXIT_MSR_STORE_COUNT,    VMCS_VM_EXIT_MSR_LOAD_COUNT,
    VMCS_VM_ENTRY_MSR_LOAD_COUNT, VMCS_VM_ENTRY_INTERRUPTION_INFO,
};

void vmcs_zero_controls(void)
{
    for (unsigned i = 0; i < sizeof(zeroed) / sizeof(zeroed[0]); i++)
        hw_vmwrite(zeroed[i], 0);
    hw_vmwrite(VMCS_VMCS_LINK_POINTER, UINT64_MAX);
}

void vmcs01_init(struct cpu *cpu)
{
    write_controls(cpu);
    cpu_write_host_state(cpu);
    hw_vmwrite(VMCS_EPT_POINTER, host_ept_pointer());
    hw_vmwrite(VMCS_VPID, VPID_HOST);
    hw_vmwrite(VMCS_MSR_BITMAP, intercepts_msr_bitmap().raw);
    hw_vmwrite(VMCS_IO_BITMAP_A, intercepts_io_bitmap(0).raw);
    hw_vmwrite(VMCS_IO_BITMAP_B, intercepts_io_bitmap(1).raw);
    vmcs_zero_controls();
    if (cpu->vmcs01_secondary & SEC_XSAVES)
        hw_vmwrite(VMCS_XSS_EXITING_BITMAP, 0);
    hw_vmwrite(VMCS_CR0_GUEST_HOST_MASK, CR0_NE);
    hw_vmwrite(VMCS_CR4_GUEST_HOST_MASK, CR4_VMXE | CR4_SMXE);
}

void host_set_segment(enum segment index, uint64_t selector, uint64_t base, uint32_t limit, uint32_t rights)
{
    hw_vmwrite(VMCS_GUEST_ES_SELECTOR + 2 * index, selector);
    hw_vmwrite(VMCS_GUEST_ES_BASE + 2 * index, base);
    hw_vmwrite(VMCS_GUEST_ES_LIMIT + 2 * index, limit);
    hw_vmwrite(VMCS_GUEST_ES_ACCESS_RIGHTS + 2 * index, rights);
}

void vmcs01_set_start_state(struct cpu *cpu, uint8_t vector)
{
    uint32_t entry = (uint32_t)hw_vmread(VMCS_VM_ENTRY_CONTROLS);
    uint64_t cr0 = hw_vmread(VMCS_GUEST_CR0) & (CR0_CD | CR0_NW);

    for (enum segment i = ES; i <= GS; i++)
        host_set_segment(i, 0, 0, 0xffff, 0x93);
    host_set_segment(CS, (uint16_t)(vector << 8), (uint64_t)vector << 12, 0xffff, 0x9b);
    host_set_segment(LDTR, 0, 0, 0xffff, 0x82);
    host_set_segment(TR, 0, 0, 0xffff, 0x8b);
    hw_vmwrite(VMCS_GUEST_GDTR_BASE, 0);
    hw_vmwrite(VMCS_GUEST_GDTR_LIMIT, 0xffff);
    hw_vmwrite(VMCS_GUEST_IDTR_BASE, 0);
    hw_vmwrite(VMCS_GUEST_IDTR_LIMIT, 0xffff);
    hw_vmwrite(VMCS_GUEST_CR0, cr0 | 0x10 | CR0_NE);
    hw_vmwrite(VMCS_CR0_READ_SHADOW, cr0 | 0x10);
    hw_vmwrite(VMCS_GUEST_CR3, 0);
    hw_vmwrite(VMCS_GUEST_CR4, CR4_VMXE);
    hw_vmwrite(VMCS_CR4_READ_SHADOW, 0);
    hw_vmwrite(VMCS_GUEST_IA32_EFER, 0);
    hw_vmwrite(VMCS_VM_ENTRY_CONTROLS, entry & ~ENTRY_IA32E_GUEST);
    hw_vmwrite(VMCS_VM_ENTRY_INTERRUPTION_INFO, 0);
    hw_vmwrite(VMCS_GUEST_RFLAGS, RFLAGS_FIXED);
    hw_vmwrite(VMCS_GUEST_RIP, 0);
    hw_vmwrite(VMCS_GUEST_RSP, 0);
    hw_vmwrite(VMCS_GUEST_DR7, 0x400);
    hw_vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
    hw_vmwrite(VMCS_GUEST_ACTIVITY_STATE, 0);
    hw_vmwrite(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS, 0);
    memset(cpu->gpr, 0, sizeof(cpu->gpr));
    cpu->gpr[RDX] = hw_cpuid(1, 0).eax;
}

void host_inject_exception(unsigned vector, bool has_error, uint32_t error)
{
    has_error = has_error && (hw_vmread(VMCS_GUEST_CR0) & CR0_PE) != 0; /* real mode pushes none */
    hw_vmwrite(VMCS_VM_ENTRY_INTERRUPTION_INFO,
               INTR_VALID | INTR_TYPE_HARDWARE << 8 | vector | (has_error ? INTR_ERROR_VALID : 0));
    if (has_error)
        hw_vmwrite(VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE, error);
    hw_vmwrite(VMCS_GUEST_RFLAGS, hw_vmread(VMCS_GUEST_RFLAGS) | RFLAGS_RF);
}

void host_inject_gp(void)
{
    host_inject_exception(13, true, 0);
}

void host_inject_ud(void)
{
    host_inject_exception(6, false, 0);
}

void host_finish_instruction(bool done)
{
    if (done)
        host_skip_instruction();
    else
        host_inject_gp();
}

void host_set_nmi_window(bool on)
{
    uint64_t proc = hw_vmread(VMCS_PROCESSOR_BASED_CONTROLS) & ~(uint64_t)PROC_NMI_WINDOW_EXITING;

    hw_vmwrite(VMCS_PROCESSOR_BASED_CONTROLS, proc | (on ? PROC_NMI_WINDOW_EXITING : 0));
}

void host_inject_nmi(struct cpu *cpu)
{
    uint32_t blocking = (uint32_t)hw_vmread(VMCS_GUEST_INTERRUPTIBILITY);

    if ((hw_vmread(VMCS_VM_ENTRY_INTERRUPTION_INFO) & INTR_VALID) != 0 ||
        (blocking & (BLOCKING_BY_NMI | BLOCKING_BY_STI | BLOCKING_BY_MOV_SS)) != 0) {
        cpu->host_nmi = 1; /* posted again when the window opens */
        host_set_nmi_window(true);
        return;
    }
    hw_vmwrite(VMCS_GUEST_ACTIVITY_STATE, 0);
    hw_vmwrite(VMCS_VM_ENTRY_INTERRUPTION_INFO, INTR_VALID | INTR_TYPE_NMI << 8 | 2);
}

void host_skip_instruction(void)
{
    host_skip_bytes(hw_vmread(VMCS_VM_EXIT_INSTRUCTION_LENGTH));
}

/* Outside 64-bit code RIP has 32 bits, and an entry refuses more. */
void host_skip_bytes(uint64_t length)
{
    enum { DEBUGCTL_BTF = 2, PENDING_SINGLE_STEP = 1 << 14 };
    uint64_t interruptibility = hw_vmread(VMCS_GUEST_INTERRUPTIBILITY);
    uint64_t rip = hw_vmread(VMCS_GUEST_RIP) + length;

    if ((hw_vmread(VMCS_GUEST_CS_ACCESS_RIGHTS) & BIT32(13)) == 0)
        rip = (uint32_t)rip;
    hw_vmwrite(VMCS_GUEST_RIP, rip);
    if ((interruptibility & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS)) != 0)
        hw_vmwrite(VMCS_GUEST_INTERRUPTIBILITY, interruptibility & ~(uint64_t)(BLOCKING_BY_STI | BLOCKING_BY_MOV_SS));
    if ((hw_vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF) != 0 && (hw_vmread(VMCS_GUEST_IA32_DEBUGCTL) & DEBUGCTL_BTF) == 0)
        hw_vmwrite(VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS, PENDING_SINGLE_STEP);
}
