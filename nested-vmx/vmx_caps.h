/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the layer promises of VMX: the processor's capability MSRs reduced to what nested VMX delivers whole.
 * Pure functions; the layer, the harness (which restricts its bare run to the same promises) and the tests use them.
 */
#ifndef NESTED_VMX_VMX_CAPS_H
#define NESTED_VMX_VMX_CAPS_H

#include <stdbool.h>
#include <stdint.h>
#include "nested-vmx/vmx_bits.h"

#define VMCS12_REVISION 0x00435631u /* "CV1": the layer's own vmcs12 format */

/* One pair of a control MSR: low half = bits that must be 1, high half = bits that may be 1 (SDM, A.3 to A.5). */
struct vmx_control_cap {
    uint32_t must_be_1;
    uint32_t may_be_1;
};

enum { VMX_CAP_COUNT = 17 };

struct vmx_caps {
    union {
        uint64_t msr[VMX_CAP_COUNT]; /* from IA32_VMX_BASIC on; their names: */
        struct {
            uint64_t basic;
            struct vmx_control_cap default_pin, default_proc, default_exit, default_entry;
            uint64_t misc, cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1, vmcs_enum;
            struct vmx_control_cap secondary;
            uint64_t ept_vpid;
            struct vmx_control_cap pin, proc, exit, entry; /* the TRUE variants, or those above where there are none */
        };
    };
};
_Static_assert(sizeof(struct vmx_caps) == VMX_CAP_COUNT * sizeof(uint64_t), "one capability MSR after the other");

/*
 * Conditions under which a VMCS field exists (the 'offered' column of vmcs_fields.def); ALWAYS includes those that the
 * loader demands of the processor.
 */
enum vmcs_offer {
    OFFER_ALWAYS,
    OFFER_PLE,
    OFFER_XSAVES,
    OFFER_TSC_SCALING,
    OFFER_PREEMPTION_TIMER,
    OFFER_CR3_TARGETS,
};

/* Fills `caps` through `read_msr(msr)`; MSRs that the CPU lacks by its own announcements are not read. */
void vmx_caps_read(struct vmx_caps *caps, uint64_t (*read_msr)(uint32_t msr));

/* Reduces `hw` to what the layer offers. Idempotent: offering an offer changes nothing. */
void vmx_caps_offer(const struct vmx_caps *hw, struct vmx_caps *offer);

/* The value of capability MSR `msr` (480h to 491h) under `caps`; false where the MSR does not exist. */
bool vmx_caps_msr(const struct vmx_caps *caps, uint32_t msr, uint64_t *value);

/* True if `value` keeps the must-be-1 and may-be-1 rules. */
static inline bool vmx_control_valid(struct vmx_control_cap cap, uint32_t value)
{
    return (cap.must_be_1 & ~value) == 0 && (value & ~cap.may_be_1) == 0;
}

bool vmx_caps_offers(const struct vmx_caps *caps, enum vmcs_offer what);

#endif
