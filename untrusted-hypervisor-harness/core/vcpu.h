/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One virtual CPU of the harness: a VMCS whose every field is known (the base), changes to it that are taken back
 * after each case, entry, and the exit's information.
 */
#ifndef HARNESS_VCPU_H
#define HARNESS_VCPU_H

#include <stdbool.h>
#include <stdint.h>
#include "nested-vmx/vmcs_fields.h"
#include "untrusted-hypervisor-harness/core/ept.h"
#include "untrusted-hypervisor-harness/core/guest.h"
#include "untrusted-hypervisor-harness/core/outcome.h"

/* Where the guest's memory lies. The guest's RAM is at guest-physical 0 with the OFFSET kinds, else identity. */
enum guest_memory {
    MEMORY_DIRECT, /* no EPT */
    MEMORY_IDENTITY_4K,
    MEMORY_IDENTITY_2M,
    MEMORY_IDENTITY_1G,
    MEMORY_OFFSET_4K,
    MEMORY_OFFSET_2M,
    MEMORY_COUNT,
};
extern const char *const guest_memory_names[MEMORY_COUNT];

extern const char *const vmcs_field_names[VMCS_FIELD_COUNT];

enum vcpu_register {
    REG_RAX,
    REG_RCX,
    REG_RDX,
    REG_RBX,
    REG_UNUSED,
    REG_RBP,
    REG_RSI,
    REG_RDI,
    REG_R8,
    REG_R15 = 15,
    REG_COUNT
};

enum { VCPU_CHANGES_MAX = 16 };

struct vcpu {
    uint64_t reg[REG_COUNT];
    uint64_t host_rsp;
    uint64_t *exit_slot;
    uint64_t rflags; /* after a VM entry that failed without a VM exit */
    uint64_t region;
    uint64_t memory; /* host-physical address of the guest's RAM */
    uint64_t base;   /* guest-physical address of it */
    enum guest_mode mode;
    enum guest_memory kind;
    struct ept ept;
    bool launched;
    bool has_run;      /* guest state in the VMCS differs from the base */
    bool virtual_nmis; /* a change since the last revert turned them on */
    unsigned change_count;
    uint8_t changed[VCPU_CHANGES_MAX]; /* enum vmcs_index */
    uint64_t field[VMCS_FIELD_COUNT];  /* the base */
};

/* True if the offered capabilities suffice for guests of this kind. */
bool vcpu_supported(enum guest_mode mode, enum guest_memory kind);

/*
 * A VMCS in `region`, current on this CPU, whose guest of that mode would execute VMCALL at once, and whose exits
 * lead back to vcpu_run(). The preemption timer ends guests that hang.
 */
void vcpu_init(struct vcpu *v, uint64_t region, enum guest_mode mode, enum guest_memory kind);

/* The same with the guest's RAM at `memory`, for a second guest that runs at the same time. */
void vcpu_init_at(struct vcpu *v, uint64_t region, enum guest_mode mode, enum guest_memory kind, uint64_t memory);

/* Makes a vcpu whose VMCS is clear current on this CPU: its exits lead back here from now on. */
void vcpu_take(struct vcpu *v);

/* Bytes from text like "0f a2 f4"; returns where they end. */
uint8_t *assemble(uint8_t *to, const char *hex);

/* Gives the guest code from such text; VMCALL follows it. Registers get fixed values. */
void vcpu_set_code(struct vcpu *v, const char *hex);

/* Changes a field for one case. */
void vcpu_set(struct vcpu *v, enum vmcs_index field, uint64_t value);
/* Changes a field for good: the base. */
void vcpu_set_base(struct vcpu *v, enum vmcs_index field, uint64_t value);
uint64_t vcpu_get(enum vmcs_index field);
static inline bool vcpu_has(enum vmcs_index field)
{
    extern struct vmx_caps vmx_offer;
    return vmx_caps_offers(&vmx_offer, vmcs_fields[field].offered);
}

/* VMLAUNCH the first time, then VMRESUME. OUTCOME_EXIT: the VMCS tells more. */
struct outcome vcpu_run(struct vcpu *v);

/* VMRESUME without any provision for failure: for measurements. */
void vcpu_enter_again(struct vcpu *v);

/* Takes back all changes and what the guest did to its state. */
void vcpu_revert(struct vcpu *v);

#endif
