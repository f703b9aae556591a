/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VMCS of the host's while it is active: a private copy that the layer alone changes, the vmcs02 that the processor
 * runs, and the shadow VMCS that serves the host's VMREAD and VMWRITE where the CPU can. The region in the host's
 * memory is read at VMPTRLD and written at VMCLEAR, and otherwise ignored.
 *
 * Each CPU has slots of its own and alone touches them, but for bitmaps_stale. A VMCS that a host uses on two CPUs at
 * once, against the rules, is two copies that know nothing of each other.
 */
#ifndef NESTED_VMX_VMCS12_H
#define NESTED_VMX_VMCS12_H

#include "cloudvisor/cpu.h"
#include "ept-guard/ept02.h"
#include "nested-vmx/vmcs_fields.h"

enum { VMCS12_PER_CPU = 16, WATCH_COUNT = 3 };
#define NO_VMCS UINT64_MAX

struct msr_entry {
    uint32_t msr, reserved;
    uint64_t value;
};

/* State that a VMCS switches only if its controls say so; vmcs02 always loads and saves it. */
enum switched { SWITCHED_EFER, SWITCHED_PAT, SWITCHED_DR7, SWITCHED_DEBUGCTL, SWITCHED_COUNT };

struct vmcs12 {
    uint64_t region; /* NO_VMCS: this slot is free */
    bool launched;   /* the launch state that the host sees */
    bool launched02;
    bool host_state_set;
    volatile bool bitmaps_stale;
    uint32_t dirty;           /* DIRTY_* groups to check and merge before the next entry */
    uint64_t guest_changed;   /* bit n: the n-th shadowed read-write field was changed and goes to vmcs02 */
    uint32_t bitmap_controls; /* which bitmaps the merged copies are made of */
    uint64_t last_use;
    struct vcpu *vcpu; /* the protected vCPU that is bound to this VMCS; then vmcs02 is only what the host sees */

    hpa_t vmcs02, shadow, msr_bitmap, io_bitmap[2];
    struct msr_entry *entry_list;      /* private copy of the VM-entry MSR-load list */
    struct ept02 *ept02;               /* NULL: the VM runs on the host's EPT */
    uint64_t watched[WATCH_COUNT];     /* frames that the bitmaps were copied from */
    uint64_t switched[SWITCHED_COUNT]; /* what vmcs02 holds, if switched_known */
    bool switched_known;

    bool refill; /* the host was given an EPT violation at... */
    uint64_t refill_address, refill_access;

    uint64_t field[VMCS_FIELD_COUNT];
};

/* True if the host is offered field `index`. */
bool vmcs12_offers(int index);

/*
 * Makes `region` active on this CPU, in place of the one used least recently if all slots are taken. NULL: a protected
 * vCPU is bound to it that another CPU has.
 */
struct vmcs12 *vmcs12_activate(struct cpu *cpu, uint64_t region);

/* VMCLEAR: writes an active vmcs12 back and frees its slot; else marks the region in memory as clear. */
void vmcs12_clear(struct cpu *cpu, uint64_t region);

/* Writes back everything that is active on this CPU (VMXOFF). */
void vmcs12_release_all(struct cpu *cpu);

/* Makes `v` (or NULL) this CPU's current VMCS and directs VMCS shadowing at it. vmcs01 is loaded before and after. */
void vmcs12_set_current(struct cpu *cpu, struct vmcs12 *v);

/* The value that the host sees; vmcs01 is loaded before and after. */
uint64_t vmcs12_read(struct cpu *cpu, struct vmcs12 *v, int index);
void vmcs12_write(struct cpu *cpu, struct vmcs12 *v, int index, uint64_t value);

/* Takes over what the host wrote through VMCS shadowing. Leaves the shadow VMCS loaded. */
void vmcs12_pull_shadow(struct vmcs12 *v);

/* Gives the host the state after an exit through VMCS shadowing. Leaves the shadow VMCS loaded. */
void vmcs12_push_shadow(struct vmcs12 *v);

/* Writes the fields that vmcs12_pull_shadow found changed into vmcs02, which is loaded. */
void vmcs12_write_changed(struct vmcs12 *v);

/* Writes the controls that are copied as they are into vmcs02, which is loaded. */
void vmcs12_write_copied(const struct vmcs12 *v);

/* Reads what the host will see of an exit from vmcs02, which is loaded, into `field`. */
void vmcs12_read_exit(struct vmcs12 *v);

#endif
