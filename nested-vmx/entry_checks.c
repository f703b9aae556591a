/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VM-entry checks on a private vmcs12. Rules that recur (addresses, lists, canonical fields, selectors) are tables.
 * Controls that vmx_caps_offer never announces are refused by the capability pairs, and their fields don't exist.
 */
#include "nested-vmx/entry_checks.h"
#include "cloudvisor/vmcs01.h"
#include "ept-guard/ept.h"

#define CR4_CET           BIT64(23)
#define PAGE_OFFSET_MASK  UINT64_C(0xfff)
#define EPTP_WALK_4       UINT64_C(0x18)
#define EPTP_MUST_BE_WALK UINT64_C(0xfb8) /* walk length and reserved bits */

enum { MSR_LIST_ENTRY_BYTES = 16 };

static bool physical_ok(uint64_t address, const struct entry_limits *lim)
{
    return address >> lim->physical_width == 0;
}

bool entry_canonical(uint64_t address, const struct entry_limits *lim)
{
    uint64_t sign_bits = ~UINT64_C(0) << (lim->linear_width - 1u);

    return (address & sign_bits) == 0 || (address & sign_bits) == sign_bits;
}

/* The bits that must be 1 (`fixed0`) and that must be 0 (clear in `fixed1`), SDM "Restrictions on VMX Operation". */
static bool fixed_bits_ok(uint64_t value, uint64_t fixed0, uint64_t fixed1)
{
    return (fixed0 & ~value) == 0 && (value & ~fixed1) == 0;
}

bool entry_eptp_valid(uint64_t eptp, const struct vmx_caps *offer, const struct entry_limits *lim)
{
    uint64_t type_cap = (eptp & 7) == TYPE_WB ? EPT_CAP_WB : (eptp & 7) == TYPE_UC ? EPT_CAP_UC : 0;
    uint64_t needed = EPT_CAP_WALK_4 | ((eptp & EPTP_ACCESSED_DIRTY) != 0 ? EPT_CAP_ACCESSED_DIRTY : 0);

    return (offer->ept_vpid & type_cap) != 0 && (offer->ept_vpid & needed) == needed &&
           (eptp & EPTP_MUST_BE_WALK) == EPTP_WALK_4 && physical_ok(eptp, lim);
}

/* A page that the processor uses if primary control `control` is 1. */
static bool page_ok(const uint64_t *f, uint32_t control, uint64_t address, const struct entry_limits *lim)
{
    return (f[FIELD_PROCESSOR_BASED_CONTROLS] & control) == 0 ||
           ((address & PAGE_OFFSET_MASK) == 0 && physical_ok(address, lim));
}

static bool pages_ok(const uint64_t *f, const struct entry_limits *lim)
{
    return page_ok(f, PROC_IO_BITMAPS, f[FIELD_IO_BITMAP_A], lim) &&
           page_ok(f, PROC_IO_BITMAPS, f[FIELD_IO_BITMAP_B], lim) &&
           page_ok(f, PROC_MSR_BITMAPS, f[FIELD_MSR_BITMAP], lim);
}

static bool secondary_ok(const uint64_t *f, const struct vmx_caps *offer, const struct entry_limits *lim)
{
    uint32_t secondary = entry_secondary_controls(f);

    if ((f[FIELD_PROCESSOR_BASED_CONTROLS] & PROC_SECONDARY_CONTROLS) == 0)
        return true;
    return vmx_control_valid(offer->secondary, secondary) && ((secondary & SEC_VPID) == 0 || f[FIELD_VPID] != 0) &&
           ((secondary & SEC_EPT) == 0 || entry_eptp_valid(f[FIELD_EPT_POINTER], offer, lim)) &&
           ((secondary & SEC_UNRESTRICTED_GUEST) == 0 || (secondary & SEC_EPT) != 0) &&
           ((secondary & SEC_TSC_SCALING) == 0 || f[FIELD_TSC_MULTIPLIER] != 0);
}

/* SDM "VM-Execution Control Fields" in "Checks on VMX Controls". */
static bool execution_controls_ok(const uint64_t *f, const struct vmx_caps *offer, const struct entry_limits *lim)
{
    uint32_t pin = (uint32_t)f[FIELD_PIN_BASED_CONTROLS];
    uint32_t proc = (uint32_t)f[FIELD_PROCESSOR_BASED_CONTROLS];

    return vmx_control_valid(offer->pin, pin) && vmx_control_valid(offer->proc, proc) &&
           f[FIELD_CR3_TARGET_COUNT] <= MISC_CR3_TARGETS(offer->misc) &&
           ((pin & PIN_VIRTUAL_NMIS) == 0 || (pin & PIN_NMI_EXITING) != 0) &&
           ((proc & PROC_NMI_WINDOW_EXITING) == 0 || (pin & PIN_VIRTUAL_NMIS) != 0) && pages_ok(f, lim) &&
           secondary_ok(f, offer, lim);
}

/* A list that is not empty is 16-byte aligned, lies within the physical width and is no longer than announced. */
static bool msr_list_ok(uint64_t count, uint64_t address, const struct entry_limits *lim)
{
    uint64_t last = address + count * MSR_LIST_ENTRY_BYTES - 1;

    return count == 0 || (count <= MSR_LIST_MAX && address % MSR_LIST_ENTRY_BYTES == 0 && physical_ok(address, lim) &&
                          physical_ok(last, lim));
}

static bool msr_lists_ok(const uint64_t *f, const struct entry_limits *lim)
{
    return msr_list_ok(f[FIELD_VM_EXIT_MSR_STORE_COUNT], f[FIELD_VM_EXIT_MSR_STORE_ADDR], lim) &&
           msr_list_ok(f[FIELD_VM_EXIT_MSR_LOAD_COUNT], f[FIELD_VM_EXIT_MSR_LOAD_ADDR], lim) &&
           msr_list_ok(f[FIELD_VM_ENTRY_MSR_LOAD_COUNT], f[FIELD_VM_ENTRY_MSR_LOAD_ADDR], lim);
}

/* SDM "VM-Exit Control Fields" in "Checks on VMX Controls"; the lists are checked by msr_lists_ok. */
static bool exit_controls_ok(const uint64_t *f, const struct vmx_caps *offer)
{
    uint32_t controls = (uint32_t)f[FIELD_VM_EXIT_CONTROLS];
    bool timer = (f[FIELD_PIN_BASED_CONTROLS] & PIN_PREEMPTION_TIMER) != 0;

    return vmx_control_valid(offer->exit, controls) && (timer || (controls & EXIT_SAVE_PREEMPTION_TIMER) == 0);
}

/* The event is checked by the processor, with the guest's mode; a pending monitor trap, which is not offered, is not. */
static bool event_offered(const uint64_t *f)
{
    uint32_t info = (uint32_t)f[FIELD_VM_ENTRY_INTERRUPTION_INFO];

    return (info & INTR_VALID) == 0 || INTR_TYPE(info) != INTR_TYPE_OTHER;
}

enum vm_instruction_error entry_check_controls(const uint64_t *f, const struct vmx_caps *offer,
                                               const struct entry_limits *lim)
{
    bool ok = execution_controls_ok(f, offer, lim) && exit_controls_ok(f, offer) &&
              vmx_control_valid(offer->entry, (uint32_t)f[FIELD_VM_ENTRY_CONTROLS]) && msr_lists_ok(f, lim) &&
              event_offered(f);

    return ok ? VMERR_NONE : VMERR_ENTRY_CONTROLS;
}

/* Every byte of IA32_PAT is UC, WC, WT, WP, WB or UC-. */
bool entry_pat_valid(uint64_t pat)
{
    for (unsigned shift = 0; shift < 64; shift += 8) {
        uint64_t type = pat >> shift & 0xff;

        if (!memory_type_valid(type) && type != 7)
            return false;
    }
    return true;
}

bool entry_efer_valid(uint64_t efer, const struct entry_limits *lim)
{
    return (efer & ~lim->efer_valid) == 0 && (efer & EFER_LMA) != 0 && (efer & EFER_LME) != 0;
}

/* SDM "Checks on Host Control Registers, MSRs, and SSP", "Checks Related to Address-Space Size". */
static bool host_registers_ok(const uint64_t *f, const struct vmx_caps *offer, const struct entry_limits *lim)
{
    uint64_t controls = f[FIELD_VM_EXIT_CONTROLS];
    uint64_t cr0 = f[FIELD_HOST_CR0];
    uint64_t cr4 = f[FIELD_HOST_CR4];

    return fixed_bits_ok(cr0, offer->cr0_fixed0, offer->cr0_fixed1) &&
           fixed_bits_ok(cr4, offer->cr4_fixed0, offer->cr4_fixed1) && physical_ok(f[FIELD_HOST_CR3], lim) &&
           (cr4 & CR4_PAE) != 0 && ((cr4 & CR4_CET) == 0 || (cr0 & CR0_WP) != 0) &&
           ((controls & EXIT_LOAD_PAT) == 0 || entry_pat_valid(f[FIELD_HOST_IA32_PAT])) &&
           ((controls & EXIT_LOAD_EFER) == 0 || entry_efer_valid(f[FIELD_HOST_IA32_EFER], lim));
}

/* SDM "Checks on Host Segment and Descriptor-Table Registers"; canonical are SYSENTER's addresses and RIP, too. */
static bool host_segments_ok(const uint64_t *f, const struct entry_limits *lim)
{
    for (unsigned i = FIELD_HOST_FS_BASE; i <= FIELD_HOST_IA32_SYSENTER_EIP; i++)
        if (!entry_canonical(f[i], lim))
            return false;
    for (unsigned i = FIELD_HOST_ES_SELECTOR; i <= FIELD_HOST_TR_SELECTOR; i++)
        if ((f[i] & 7) != 0) /* RPL and TI */
            return false;
    return entry_canonical(f[FIELD_HOST_RIP], lim) && f[FIELD_HOST_CS_SELECTOR] != 0 && f[FIELD_HOST_TR_SELECTOR] != 0;
}

enum vm_instruction_error entry_check_host_state(const uint64_t *f, const struct vmx_caps *offer,
                                                 const struct entry_limits *lim)
{
    bool ok = host_registers_ok(f, offer, lim) && host_segments_ok(f, lim);

    return ok ? VMERR_NONE : VMERR_ENTRY_HOST_STATE;
}
