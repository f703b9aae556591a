/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table of needed processor features. Invariant: a feature that the layer uses without asking has a row here.
 */
#include "cloudvisor/loader/suitability.h"
#include <stddef.h>

#define CR4_LA57            (UINT64_C(1) << 12)
#define BASIC_TRUE_CONTROLS (UINT64_C(1) << 55)
#define BASIC_MEMTYPE       (UINT64_C(15) << 50)
#define BASIC_MEMTYPE_WB    (UINT64_C(6) << 50)
#define INVVPID_TYPES       (UINT64_C(7) << 40) /* individual address, single context, all contexts */

struct need {
    enum capability source;
    uint64_t mask;
    uint64_t value; /* wanted under the mask */
    const char *name;
};

#define NEED(source, bits, name)                                                                                       \
    {                                                                                                                  \
        source, bits, bits, name                                                                                       \
    }

static const struct need needs[] = {
    NEED(CAP_CPUID80000001_EDX, CPUID80000001_EDX_LM, "64-bit mode (CPUID 80000001h EDX.LM)"),
    NEED(CAP_CPUID80000001_EDX, CPUID80000001_EDX_NX, "execute-disable pages (CPUID 80000001h EDX.NX)"),
    NEED(CAP_CPUID1_EDX, CPUID1_EDX_FXSR, "FXSAVE (CPUID 1 EDX.FXSR)"),
    NEED(CAP_CPUID1_EDX, CPUID1_EDX_SSE2, "SSE2 (CPUID 1 EDX.SSE2)"),
    NEED(CAP_CPUID1_ECX, CPUID1_ECX_XSAVE, "XSAVE (CPUID 1 ECX.XSAVE)"),
    NEED(CAP_CPUID1_ECX, CPUID1_ECX_AES, "AES-NI (CPUID 1 ECX.AESNI); it may be switched off in the firmware set-up"),
    NEED(CAP_CPUID1_ECX, CPUID1_ECX_PCLMULQDQ, "carry-less multiplication (CPUID 1 ECX.PCLMULQDQ)"),
    NEED(CAP_CPUID1_ECX, CPUID1_ECX_RDRAND, "random numbers (CPUID 1 ECX.RDRAND)"),
    { CAP_CR4, CR4_LA57, 0, "4-level paging in the firmware (CR4.LA57 is set)" },
    NEED(CAP_CPUID1_ECX, CPUID1_ECX_VMX, "VMX (CPUID 1 ECX.VMX); it may be switched off in the firmware set-up"),
    NEED(CAP_FEATURE_CONTROL, FEATURE_CONTROL_VMX_OUTSIDE,
         "VMX in IA32_FEATURE_CONTROL: the firmware locked it off; switch it on in the firmware set-up"),
    NEED(CAP_VMX_BASIC, BASIC_TRUE_CONTROLS, "true VMX control capability MSRs (IA32_VMX_BASIC bit 55)"),
    { CAP_VMX_BASIC, BASIC_MEMTYPE, BASIC_MEMTYPE_WB, "write-back VMCS memory (IA32_VMX_BASIC bits 53:50)" },
    NEED(CAP_PIN, PIN_NMI_EXITING, "NMI exiting"),
    NEED(CAP_PIN, PIN_VIRTUAL_NMIS, "virtual NMIs"),
    NEED(CAP_PIN, PIN_PREEMPTION_TIMER, "VMX-preemption timer"),
    NEED(CAP_PROC, PROC_MSR_BITMAPS, "MSR bitmaps"),
    NEED(CAP_PROC, PROC_IO_BITMAPS, "I/O bitmaps"),
    NEED(CAP_PROC, PROC_SECONDARY_CONTROLS, "secondary processor-based controls"),
    NEED(CAP_SECONDARY, SEC_EPT, "extended page tables (EPT)"),
    NEED(CAP_SECONDARY, SEC_VPID, "virtual-processor identifiers (VPID)"),
    NEED(CAP_SECONDARY, SEC_UNRESTRICTED_GUEST, "unrestricted guest"),
    NEED(CAP_EXIT, EXIT_HOST_64BIT, "64-bit host (VM-exit control 9)"),
    NEED(CAP_EXIT, EXIT_SAVE_EFER, "VM-exit control: save IA32_EFER"),
    NEED(CAP_EXIT, EXIT_LOAD_EFER, "VM-exit control: load IA32_EFER"),
    NEED(CAP_EXIT, EXIT_SAVE_PAT, "VM-exit control: save IA32_PAT"),
    NEED(CAP_EXIT, EXIT_LOAD_PAT, "VM-exit control: load IA32_PAT"),
    NEED(CAP_ENTRY, ENTRY_IA32E_GUEST, "64-bit guest (VM-entry control 9)"),
    NEED(CAP_ENTRY, ENTRY_LOAD_EFER, "VM-entry control: load IA32_EFER"),
    NEED(CAP_ENTRY, ENTRY_LOAD_PAT, "VM-entry control: load IA32_PAT"),
    NEED(CAP_EPT_VPID, EPT_CAP_WALK_4, "EPT page walk of length 4"),
    NEED(CAP_EPT_VPID, EPT_CAP_UC, "EPT memory type uncacheable"),
    NEED(CAP_EPT_VPID, EPT_CAP_WB, "EPT memory type write-back"),
    NEED(CAP_EPT_VPID, EPT_CAP_2M, "EPT 2 MiB pages"),
    NEED(CAP_EPT_VPID, EPT_CAP_INVEPT, "INVEPT"),
    NEED(CAP_EPT_VPID, EPT_CAP_INVEPT_SINGLE, "INVEPT single-context"),
    NEED(CAP_EPT_VPID, EPT_CAP_INVEPT_ALL, "INVEPT all-context"),
    NEED(CAP_EPT_VPID, EPT_CAP_INVVPID, "INVVPID"),
    NEED(CAP_EPT_VPID, INVVPID_TYPES, "INVVPID individual-address, single-context and all-context"),
};

enum { NEED_COUNT = sizeof(needs) / sizeof(needs[0]) };

void capabilities_take_vmx(struct cpu_capabilities *cpu, const struct vmx_caps *caps)
{
    cpu->word[CAP_VMX_BASIC] = caps->basic;
    cpu->word[CAP_PIN] = caps->pin.may_be_1;
    cpu->word[CAP_PROC] = caps->proc.may_be_1;
    cpu->word[CAP_SECONDARY] = caps->secondary.may_be_1;
    cpu->word[CAP_EXIT] = caps->exit.may_be_1;
    cpu->word[CAP_ENTRY] = caps->entry.may_be_1;
    cpu->word[CAP_EPT_VPID] = caps->ept_vpid;
}

static bool is_met(const struct need *need, const struct cpu_capabilities *cpu)
{
    bool has_vmx = (cpu->word[CAP_CPUID1_ECX] & CPUID1_ECX_VMX) != 0;

    if (need->source >= CAP_FEATURE_CONTROL && !has_vmx)
        return true;
    if (need->source == CAP_FEATURE_CONTROL && !(cpu->word[CAP_FEATURE_CONTROL] & FEATURE_CONTROL_LOCKED))
        return true;
    return (cpu->word[need->source] & need->mask) == need->value;
}

const char *suitability_next_missing(const struct cpu_capabilities *cpu, unsigned *position)
{
    while (*position < NEED_COUNT) {
        const struct need *need = &needs[(*position)++];

        if (!is_met(need, cpu))
            return need->name;
    }
    return NULL;
}
