/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SDM "MOV—Move to/from Control Registers". Only writes that change a masked bit exit, and then the layer does the
 * whole write: checks, long-mode activation and the flush. PAE paging outside long mode, whose PDPTEs would have to be
 * loaded, is refused.
 */
#include "cloudvisor/host_cr.h"
#include "cloudvisor/host_memory.h"
#include "cloudvisor/vmcs01.h"
#include "nested-vmx/vmcs_fields.h"

#define CR0_VALID UINT64_C(0xe005003f)
#define CR0_ET    UINT64_C(0x10)
#define CR4_CET   UINT64_C(0x800000)
enum { TSS_64_BUSY = 11 };
/* Turns long mode on or off as PG changes; false for #GP. */
static bool switch_paging(uint64_t old, uint64_t value)
{
    uint64_t efer = hw_vmread(VMCS_GUEST_IA32_EFER), cr4 = hw_vmread(VMCS_GUEST_CR4);
    uint64_t entry = hw_vmread(VMCS_VM_ENTRY_CONTROLS);
    bool cs_long = (hw_vmread(VMCS_GUEST_CS_ACCESS_RIGHTS) & BIT32(13)) != 0;

    if (((old ^ value) & CR0_PG) == 0)
        return true;
    if ((value & CR0_PG) == 0) {
        if ((cr4 & CR4_PCIDE) != 0 || ((efer & EFER_LMA) != 0 && cs_long))
            return false;
        hw_vmwrite(VMCS_GUEST_IA32_EFER, efer & ~EFER_LMA);
        hw_vmwrite(VMCS_VM_ENTRY_CONTROLS, entry & ~(uint64_t)ENTRY_IA32E_GUEST);
        return true;
    }
    if ((efer & EFER_LME) != 0) {
        if ((cr4 & CR4_PAE) == 0 || cs_long || (hw_vmread(VMCS_GUEST_TR_ACCESS_RIGHTS) & 15) != TSS_64_BUSY)
            return false;
        hw_vmwrite(VMCS_GUEST_IA32_EFER, efer | EFER_LMA);
        hw_vmwrite(VMCS_VM_ENTRY_CONTROLS, entry | ENTRY_IA32E_GUEST);
        return true;
    }
    return (cr4 & CR4_PAE) == 0;
}

static bool write_cr0(const struct cpu *cpu, uint64_t value)
{
    uint64_t old = hw_vmread(VMCS_GUEST_CR0);

    value = (value & CR0_VALID) | CR0_ET | (value & ~UINT64_C(0xffffffff));
    if ((value & CR0_WP) == 0 && (hw_vmread(VMCS_GUEST_CR4) & CR4_CET) != 0)
        return false;
    if (cpu->vmx_on && cpu->vcpu == NULL && (caps_offer.cr0_fixed0 & ~value) != 0)
        return false;
    if (value >> 32 != 0 || (value & (CR0_PG | CR0_PE)) == CR0_PG || (value & (CR0_NW | CR0_CD)) == CR0_NW ||
        !switch_paging(old, value))
        return false;
    hw_vmwrite(VMCS_GUEST_CR0, value | CR0_NE);
    hw_vmwrite(VMCS_CR0_READ_SHADOW, value);
    if (((old ^ value) & (CR0_PG | CR0_WP)) != 0)
        hw_invvpid(HW_INVVPID_SINGLE, (uint16_t)hw_vmread(VMCS_VPID), 0);
    return true;
}

static bool write_cr4(struct cpu *cpu, uint64_t value)
{
    uint64_t old = hw_vmread(VMCS_GUEST_CR4), efer = hw_vmread(VMCS_GUEST_IA32_EFER);
    bool long_mode = (efer & EFER_LMA) != 0;
    bool pae_paging = !long_mode && (hw_vmread(VMCS_GUEST_CR0) & CR0_PG) != 0 && (value & CR4_PAE) != 0;

    if ((value & ~caps_hw.cr4_fixed1) != 0 || (value & CR4_SMXE) != 0 ||
        (cpu->vcpu != NULL && (value & ~CR4_PROTECTED) != 0))
        return false;
    if (long_mode && ((value & CR4_PAE) == 0 || ((old ^ value) & CR4_LA57) != 0))
        return false;
    if ((value & CR4_PCIDE) != 0 && (old & CR4_PCIDE) == 0 && (!long_mode || (hw_vmread(VMCS_GUEST_CR3) & 0xfff) != 0))
        return false;
    if ((value & CR4_CET) != 0 && (hw_vmread(VMCS_GUEST_CR0) & CR0_WP) == 0)
        return false;
    if ((value & CR4_VMXE) == 0 && cpu->vmx_on && cpu->vcpu == NULL)
        return false;
    if (pae_paging && ((old ^ value) & ~(CR4_VMXE | CR4_SMXE)) != 0)
        return false;
    hw_vmwrite(VMCS_GUEST_CR4, value | CR4_VMXE);
    hw_vmwrite(VMCS_CR4_READ_SHADOW, value);
    hw_invvpid(HW_INVVPID_SINGLE, (uint16_t)hw_vmread(VMCS_VPID), 0);
    return true;
}

void host_cr_access(struct cpu *cpu)
{
    uint64_t qualification = hw_vmread(VMCS_EXIT_QUALIFICATION);
    unsigned cr = (unsigned)qualification & 15, type = (unsigned)(qualification >> 4) & 3;
    unsigned reg = (unsigned)(qualification >> 8) & 15;
    uint64_t value = reg == RSP ? hw_vmread(VMCS_GUEST_RSP) : cpu->gpr[reg];

    if (cr == 8 && cpu->vcpu != NULL) { /* Linux uses the x2APIC's register instead */
        if (type == 1)
            cpu->gpr[reg] = 0;
        host_skip_instruction();
        return;
    }
    if ((hw_vmread(VMCS_GUEST_CS_ACCESS_RIGHTS) & BIT32(13)) == 0)
        value = (uint32_t)value;
    host_finish_instruction(type == 0 && (cr == 0 ? write_cr0(cpu, value) : cr == 4 && write_cr4(cpu, value)));
}
