/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The checks of a VM entry that the layer makes itself, on a private vmcs12 (an array indexed by FIELD_*).
 * Every value is the hypervisor's and untrusted; nothing here reads memory or hardware. The checks follow what
 * `offer` announces (vmx_caps_offer), so they may be stricter than the processor's. Guest state and
 * the event to inject are left to the processor, which gets them unchanged. Callers check controls, then host state.
 *
 * The hypervisor is in 64-bit mode, and stays there. Whether addresses are RAM is the caller's to see.
 */
#ifndef NESTED_VMX_ENTRY_CHECKS_H
#define NESTED_VMX_ENTRY_CHECKS_H

#include <stdbool.h>
#include <stdint.h>
#include "nested-vmx/vmcs_fields.h"
#include "nested-vmx/vmx_bits.h"
#include "nested-vmx/vmx_caps.h"

enum { MSR_LIST_MAX = 512 }; /* what IA32_VMX_MISC announces */

struct entry_limits {
    uint64_t efer_valid;    /* bits of IA32_EFER that the CPU supports */
    uint8_t physical_width; /* MAXPHYADDR, at most 52 */
    uint8_t linear_width;   /* 48 or 57 */
};

/* The secondary controls in force: all 0 while the primary controls do not activate them. */
static inline uint32_t entry_secondary_controls(const uint64_t *f)
{
    return f[FIELD_PROCESSOR_BASED_CONTROLS] & PROC_SECONDARY_CONTROLS ? (uint32_t)f[FIELD_SECONDARY_CONTROLS] : 0;
}

/* True if `eptp` keeps the rules of SDM "VM-Execution Control Fields" for an EPT pointer (INVEPT checks it, too). */
bool entry_eptp_valid(uint64_t eptp, const struct vmx_caps *offer, const struct entry_limits *lim);

/* Values that the processor accepts: an address, IA32_PAT, and IA32_EFER for 64-bit code. */
bool entry_canonical(uint64_t address, const struct entry_limits *lim);
bool entry_pat_valid(uint64_t pat);
bool entry_efer_valid(uint64_t efer, const struct entry_limits *lim);

/* SDM "Checks on VMX Controls": VMERR_NONE or VMERR_ENTRY_CONTROLS. */
enum vm_instruction_error entry_check_controls(const uint64_t *f, const struct vmx_caps *offer,
                                               const struct entry_limits *lim);

/*
 * SDM "Checks on Host Control Registers, MSRs, and SSP", "Checks on Host Segment and Descriptor-Table Registers" and
 * "Checks Related to Address-Space Size": VMERR_NONE or VMERR_ENTRY_HOST_STATE.
 */
enum vm_instruction_error entry_check_host_state(const uint64_t *f, const struct vmx_caps *offer,
                                                 const struct entry_limits *lim);

#endif
