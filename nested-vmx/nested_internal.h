/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of nested VMX share among themselves. */
#ifndef NESTED_VMX_NESTED_INTERNAL_H
#define NESTED_VMX_NESTED_INTERNAL_H

#include "nested-vmx/entry_checks.h"
#include "nested-vmx/nested.h"
#include "nested-vmx/vmcs12.h"

/*
 * What a VMX instruction comes to: VMERR_NONE for VMsucceed, an error number for VMfail (SDM "Conventions"), or nothing,
 * when a fault was injected or a VM is entered.
 */
enum { VMX_NO_RESULT = -1 };

/* Gives the host that result and moves it behind the instruction. vmcs01 is loaded. */
void vmx_finish(struct cpu *cpu, int result);

/* Limits of this CPU and mode for the entry checks. vmcs01 is loaded. */
struct entry_limits nested_limits(void);

/* VMLAUNCH and VMRESUME. */
int nested_enter(struct cpu *cpu, bool launch);

/* Makes v->ept02 the tree of the EPT12 that `v` names; false if no memory is left. vmcs01 is loaded. */
bool merge_take_ept(struct vmcs12 *v);

/* Merges what is dirty into vmcs02, which is loaded. */
void merge_dirty(struct cpu *cpu, struct vmcs12 *v);

/* Copies the bitmaps of `v` anew, watching the frames they come from. */
void merge_bitmaps(struct cpu *cpu, struct vmcs12 *v);

/* An entry that failed while loading guest state or MSRs. vmcs01 is loaded. */
void exit_entry_failure(struct cpu *cpu, struct vmcs12 *v, uint32_t reason, uint64_t qualification);

static inline uint32_t pin_controls(const struct vmcs12 *v)
{
    return (uint32_t)v->field[FIELD_PIN_BASED_CONTROLS];
}

static inline uint32_t proc_controls(const struct vmcs12 *v)
{
    return (uint32_t)v->field[FIELD_PROCESSOR_BASED_CONTROLS];
}

static inline uint32_t secondary_controls(const struct vmcs12 *v)
{
    return entry_secondary_controls(v->field);
}

static inline uint32_t exit_controls(const struct vmcs12 *v)
{
    return (uint32_t)v->field[FIELD_VM_EXIT_CONTROLS];
}

static inline uint32_t entry_controls(const struct vmcs12 *v)
{
    return (uint32_t)v->field[FIELD_VM_ENTRY_CONTROLS];
}

#endif
