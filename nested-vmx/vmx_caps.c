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

/* MSR `msr` exists by what the MSRs before it say. */
static bool exists(const struct vmx_caps *caps, uint32_t msr)
{
    if (msr == MSR_VMX_SECONDARY)
        return (caps->default_proc.may_be_1 & PROC_SECONDARY_CONTROLS) != 0;
    if (msr == MSR_VMX_EPT_VPID)
        return (caps->secondary.may_be_1 & (SEC_EPT | SEC_VPID)) != 0;
    if (msr >= MSR_VMX_TRUE_PIN && msr <= MSR_VMX_TRUE_ENTRY)
        return (caps->basic & BASIC_TRUE_CONTROLS) != 0;
    return msr >= MSR_VMX_BASIC && msr < MSR_VMX_TRUE_PIN;
}

void vmx_caps_read(struct vmx_caps *caps, uint64_t (*read_msr)(uint32_t msr))
{
    *caps = (struct vmx_caps){ 0 };
    for (uint32_t i = 0; i < VMX_CAP_COUNT; i++) {
        if (exists(caps, MSR_VMX_BASIC + i))
            caps->msr[i] = read_msr(MSR_VMX_BASIC + i);
        else if (i >= MSR_VMX_TRUE_PIN - MSR_VMX_BASIC)
            caps->msr[i] = caps->msr[i - (MSR_VMX_TRUE_PIN - MSR_VMX_PIN)];
    }
}

static void reduce(struct vmx_control_cap *cap, struct vmx_control_cap *without_true, uint32_t offer)
{
    cap->may_be_1 &= offer | cap->must_be_1;
    without_true->may_be_1 &= offer | without_true->must_be_1;
}

void vmx_caps_offer(const struct vmx_caps *hw, struct vmx_caps *offer)
{
    *offer = *hw;
    offer->basic = VMCS12_REVISION | VMCS_REGION_SIZE << 32 | BASIC_MEMTYPE_WB |
                   (hw->basic & (BASIC_TRUE_CONTROLS | BASIC_INS_OUTS));
    reduce(&offer->pin, &offer->default_pin, OFFER_PIN);
    reduce(&offer->proc, &offer->default_proc, OFFER_PROC);
    reduce(&offer->secondary, &offer->secondary, OFFER_SEC);
    reduce(&offer->exit, &offer->default_exit, OFFER_EXIT);
    reduce(&offer->entry, &offer->default_entry, OFFER_ENTRY);
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
    if (!exists(caps, msr))
        return false;
    *value = caps->msr[msr - MSR_VMX_BASIC];
    return true;
}

bool vmx_caps_offers(const struct vmx_caps *caps, enum vmcs_offer what)
{
    switch (what) {
    case OFFER_PLE: return (caps->secondary.may_be_1 & SEC_PAUSE_LOOP_EXITING) != 0;
    case OFFER_XSAVES: return (caps->secondary.may_be_1 & SEC_XSAVES) != 0;
    case OFFER_TSC_SCALING: return (caps->secondary.may_be_1 & SEC_TSC_SCALING) != 0;
    case OFFER_PREEMPTION_TIMER: return (caps->pin.may_be_1 & PIN_PREEMPTION_TIMER) != 0;
    case OFFER_CR3_TARGETS: return MISC_CR3_TARGETS(caps->misc) > 0;
    default: return true;
    }
}
