/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Capability MSRs: read, reduce, answer. The OFFER_* masks below are the whole policy; what they leave out is
 * hidden because the processor would write to a page of the hypervisor's on our behalf (APIC virtualization,
 * posted interrupts, PML), or because it is not delivered whole.
 */
#include "nested-vmx/vmx_caps.h"

#define OFFER_PIN (PIN_EXTERNAL_INTERRUPT_EXITING | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS | PIN_PREEMPTION_TIMER)

#define OFFER_PROC                                                                                                     \
    (PROC_INTERRUPT_WINDOW_EXITING | PROC_TSC_OFFSETTING | PROC_HLT_EXITING | PROC_INVLPG_EXITING |                    \
     PROC_MWAIT_EXITING | PROC_RDPMC_EXITING | PROC_RDTSC_EXITING | PROC_CR3_LOAD_EXITING | PROC_CR3_STORE_EXITING |   \
     PROC_CR8_LOAD_EXITING | PROC_CR8_STORE_EXITING | PROC_NMI_WINDOW_EXITING | PROC_MOV_DR_EXITING |                  \
     PROC_UNCONDITIONAL_IO_EXITING | PROC_IO_BITMAPS | PROC_MSR_BITMAPS | PROC_MONITOR_EXITING | PROC_PAUSE_EXITING |  \
     PROC_SECONDARY_CONTROLS)

#define OFFER_SEC                                                                                                      \
    (SEC_EPT | SEC_DESCRIPTOR_EXITING | SEC_RDTSCP | SEC_VPID | SEC_WBINVD_EXITING | SEC_UNRESTRICTED_GUEST |          \
     SEC_PAUSE_LOOP_EXITING | SEC_RDRAND_EXITING | SEC_INVPCID | SEC_RDSEED_EXITING | SEC_XSAVES | SEC_TSC_SCALING)

#define OFFER_EXIT                                                                                                     \
    (EXIT_SAVE_DEBUG_CONTROLS | EXIT_HOST_64BIT | EXIT_ACK_INTERRUPT | EXIT_SAVE_PAT | EXIT_LOAD_PAT |                 \
     EXIT_SAVE_EFER | EXIT_LOAD_EFER | EXIT_SAVE_PREEMPTION_TIMER)

#define OFFER_ENTRY (ENTRY_LOAD_DEBUG_CONTROLS | ENTRY_IA32E_GUEST | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER)

#define OFFER_EPT_VPID                                                                                                 \
    (EPT_CAP_EXECUTE_ONLY | EPT_CAP_WALK_4 | EPT_CAP_UC | EPT_CAP_WB | EPT_CAP_2M | EPT_CAP_1G | EPT_CAP_INVEPT |      \
     EPT_CAP_ACCESSED_DIRTY | EPT_CAP_INVEPT_SINGLE | EPT_CAP_INVEPT_ALL | EPT_CAP_INVVPID |                           \
     EPT_CAP_INVVPID_ALL_TYPES)

#define BASIC_TRUE_CONTROLS BIT64(55)
#define BASIC_INS_OUTS      BIT64(54)
#define BASIC_MEMTYPE_WB    (UINT64_C(6) << 50)
#define VMCS_REGION_SIZE    UINT64_C(4096)

static struct vmx_control_cap control_cap(uint64_t msr)
{
    return (struct vmx_control_cap){ .must_be_1 = (uint32_t)msr, .may_be_1 = (uint32_t)(msr >> 32) };
}

static uint64_t control_msr(struct vmx_control_cap cap)
{
    return (uint64_t)cap.may_be_1 << 32 | cap.must_be_1;
}

void vmx_caps_read(struct vmx_caps *caps, uint64_t (*read_msr)(uint32_t msr))
{
    bool true_controls;

    *caps = (struct vmx_caps){ .basic = read_msr(MSR_VMX_BASIC) };
    true_controls = (caps->basic & BASIC_TRUE_CONTROLS) != 0;
    caps->default_pin = control_cap(read_msr(MSR_VMX_PIN));
    caps->default_proc = control_cap(read_msr(MSR_VMX_PROC));
    caps->default_exit = control_cap(read_msr(MSR_VMX_EXIT));
    caps->default_entry = control_cap(read_msr(MSR_VMX_ENTRY));
    caps->pin = true_controls ? control_cap(read_msr(MSR_VMX_TRUE_PIN)) : caps->default_pin;
    caps->proc = true_controls ? control_cap(read_msr(MSR_VMX_TRUE_PROC)) : caps->default_proc;
    caps->exit = true_controls ? control_cap(read_msr(MSR_VMX_TRUE_EXIT)) : caps->default_exit;
    caps->entry = true_controls ? control_cap(read_msr(MSR_VMX_TRUE_ENTRY)) : caps->default_entry;
    caps->misc = read_msr(MSR_VMX_MISC);
    caps->cr0_fixed0 = read_msr(MSR_VMX_CR0_FIXED0);
    caps->cr0_fixed1 = read_msr(MSR_VMX_CR0_FIXED1);
    caps->cr4_fixed0 = read_msr(MSR_VMX_CR4_FIXED0);
    caps->cr4_fixed1 = read_msr(MSR_VMX_CR4_FIXED1);
    caps->vmcs_enum = read_msr(MSR_VMX_VMCS_ENUM);
    if (caps->proc.may_be_1 & PROC_SECONDARY_CONTROLS)
        caps->secondary = control_cap(read_msr(MSR_VMX_SECONDARY));
    if (caps->secondary.may_be_1 & (SEC_EPT | SEC_VPID))
        caps->ept_vpid = read_msr(MSR_VMX_EPT_VPID);
}

static struct vmx_control_cap reduce(struct vmx_control_cap hw, uint32_t offer)
{
    hw.may_be_1 &= offer | hw.must_be_1;
    return hw;
}

void vmx_caps_offer(const struct vmx_caps *hw, struct vmx_caps *offer)
{
    *offer = *hw;
    offer->basic = VMCS12_REVISION | VMCS_REGION_SIZE << 32 | BASIC_MEMTYPE_WB |
                   (hw->basic & (BASIC_TRUE_CONTROLS | BASIC_INS_OUTS));
    offer->pin = reduce(hw->pin, OFFER_PIN);
    offer->proc = reduce(hw->proc, OFFER_PROC);
    offer->secondary = reduce(hw->secondary, OFFER_SEC);
    offer->exit = reduce(hw->exit, OFFER_EXIT);
    offer->entry = reduce(hw->entry, OFFER_ENTRY);
    offer->default_pin = reduce(hw->default_pin, OFFER_PIN);
    offer->default_proc = reduce(hw->default_proc, OFFER_PROC);
    offer->default_exit = reduce(hw->default_exit, OFFER_EXIT);
    offer->default_entry = reduce(hw->default_entry, OFFER_ENTRY);
    /* Hypervisors run in 64-bit mode: the host address-space size control is always 1. */
    offer->exit.must_be_1 |= EXIT_HOST_64BIT;
    offer->default_exit.must_be_1 |= EXIT_HOST_64BIT;
    /* At most 512 MSRs in a list, and no claim about SMM or processor trace. */
    offer->misc = hw->misc & (MISC_PREEMPTION_SHIFT_MASK | MISC_STORE_LMA | MISC_ACTIVITY_OFFERED |
                              (UINT64_C(0x1ff) << 16) | MISC_VMWRITE_ANY | MISC_INJECT_LENGTH_0);
    offer->ept_vpid = hw->ept_vpid & OFFER_EPT_VPID;
    offer->vmcs_enum = (hw->vmcs_enum & 0x3fe) < 0x32 ? 0x32 : hw->vmcs_enum & 0x3fe;
}

bool vmx_caps_msr(const struct vmx_caps *caps, uint32_t msr, uint64_t *value)
{
    bool true_controls = (caps->basic & BASIC_TRUE_CONTROLS) != 0;

    switch (msr) {
    case MSR_VMX_BASIC: *value = caps->basic; return true;
    case MSR_VMX_PIN: *value = control_msr(caps->default_pin); return true;
    case MSR_VMX_PROC: *value = control_msr(caps->default_proc); return true;
    case MSR_VMX_EXIT: *value = control_msr(caps->default_exit); return true;
    case MSR_VMX_ENTRY: *value = control_msr(caps->default_entry); return true;
    case MSR_VMX_MISC: *value = caps->misc; return true;
    case MSR_VMX_CR0_FIXED0: *value = caps->cr0_fixed0; return true;
    case MSR_VMX_CR0_FIXED1: *value = caps->cr0_fixed1; return true;
    case MSR_VMX_CR4_FIXED0: *value = caps->cr4_fixed0; return true;
    case MSR_VMX_CR4_FIXED1: *value = caps->cr4_fixed1; return true;
    case MSR_VMX_VMCS_ENUM: *value = caps->vmcs_enum; return true;
    case MSR_VMX_SECONDARY:
        *value = control_msr(caps->secondary);
        return (caps->proc.may_be_1 & PROC_SECONDARY_CONTROLS) != 0;
    case MSR_VMX_EPT_VPID: *value = caps->ept_vpid; return (caps->secondary.may_be_1 & (SEC_EPT | SEC_VPID)) != 0;
    case MSR_VMX_TRUE_PIN: *value = control_msr(caps->pin); return true_controls;
    case MSR_VMX_TRUE_PROC: *value = control_msr(caps->proc); return true_controls;
    case MSR_VMX_TRUE_EXIT: *value = control_msr(caps->exit); return true_controls;
    case MSR_VMX_TRUE_ENTRY: *value = control_msr(caps->entry); return true_controls;
    default: return false;
    }
}

bool vmx_caps_offers(const struct vmx_caps *caps, enum vmcs_offer what)
{
    switch (what) {
    case OFFER_ALWAYS: return true;
    case OFFER_SECONDARY: return (caps->proc.may_be_1 & PROC_SECONDARY_CONTROLS) != 0;
    case OFFER_EPT: return (caps->secondary.may_be_1 & SEC_EPT) != 0;
    case OFFER_VPID: return (caps->secondary.may_be_1 & SEC_VPID) != 0;
    case OFFER_PLE: return (caps->secondary.may_be_1 & SEC_PAUSE_LOOP_EXITING) != 0;
    case OFFER_XSAVES: return (caps->secondary.may_be_1 & SEC_XSAVES) != 0;
    case OFFER_TSC_SCALING: return (caps->secondary.may_be_1 & SEC_TSC_SCALING) != 0;
    case OFFER_PREEMPTION_TIMER: return (caps->pin.may_be_1 & PIN_PREEMPTION_TIMER) != 0;
    case OFFER_PAT: return (caps->entry.may_be_1 & ENTRY_LOAD_PAT) != 0 || (caps->exit.may_be_1 & EXIT_SAVE_PAT) != 0;
    case OFFER_EFER:
        return (caps->entry.may_be_1 & ENTRY_LOAD_EFER) != 0 || (caps->exit.may_be_1 & EXIT_SAVE_EFER) != 0;
    case OFFER_CR3_TARGETS: return MISC_CR3_TARGETS(caps->misc) > 0;
    }
    return false;
}
