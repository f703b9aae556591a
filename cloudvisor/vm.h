/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Protected VMs: their records and their life. A VM is made by the launch call of its first vCPU; each of its vCPUs is
 * bound to the region of one vmcs12, which the host runs as before and which shows it nothing. The host is hostile:
 * it may stop a VM at any time, and nothing else.
 *
 * Everything here is in the layer's memory. Callers hold layer_lock, but for the registers of a vCPU and what it shows,
 * which belong to the CPU that has its vmcs12 active.
 */
#ifndef CLOUDVISOR_VM_H
#define CLOUDVISOR_VM_H

#include <mbedtls/sha256.h>
#include "cloudvisor/bundle/bundle_check.h"
#include "cloudvisor/cpu.h"
#include "cloudvisor/decode.h"
#include "crypto/page_crypt.h"
#include "ept-guard/ept.h"

enum { VM_MAX = 16, XSTATE_BYTES = 2816 };

/* MSRs of a guest that no VMCS switches: exchanged with the host's whenever the host gets the CPU. */
enum vm_msr { VM_STAR, VM_LSTAR, VM_CSTAR, VM_FMASK, VM_KERNEL_GS_BASE, VM_TSC_AUX, VM_SPEC_CTRL, VM_MSR_COUNT };

/* Registers that the processor does not switch between a protected VM and its host. */
struct switched_registers {
    uint64_t cr2, dr6, dr[4], xcr0, msr[VM_MSR_COUNT];
};

struct vcpu_registers {
    uint64_t gpr[GPR_COUNT];
    struct switched_registers guest; /* while the vCPU is not in the processor */
    struct switched_registers host;  /* while it is */
    void *xstate;                    /* XSTATE_BYTES, XSAVE's standard format, aligned to 64 bytes */
};

enum vcpu_state {
    VCPU_ABSENT,   /* not started yet, or gone */
    VCPU_WAITS,    /* the guest sent INIT and SIPI; the host has not brought it yet */
    VCPU_LAUNCHES, /* the first one, while the layer claims and hashes the bundle */
    VCPU_RUNS,
};

/* What the host may answer to an exit besides a retry. */
enum vcpu_accept {
    ACCEPT_SKIP = 1,    /* the instruction is done */
    ACCEPT_RAX = 2,     /* ... and RAX, `answer_bytes` wide */
    ACCEPT_EDX_EAX = 4, /* ... and EDX:EAX */
    ACCEPT_LOAD = 8,    /* ... and RAX is what `mmio` loads */
    ACCEPT_GP = 16,     /* #GP(0) */
    ACCEPT_STRING = 32, /* ... and one element of INS or OUTS is done */
};

struct vm;

struct vcpu {
    struct vm *vm;
    uint32_t index; /* and APIC ID */
    enum vcpu_state state;
    uint8_t start_vector;
    uint64_t region;       /* of its vmcs12; 0: bound to none */
    struct cpu *active_on; /* the CPU that has its vmcs12 active, or NULL */
    hpa_t vmcs;            /* what the processor runs */
    bool vmcs_launched;
    struct cpu *host_state_of; /* whose host-state area `vmcs` has */
    struct vcpu_registers regs;

    /* The last exit, as the host saw it. */
    uint32_t accept; /* enum vcpu_accept */
    unsigned shown_length, real_length, answer_bytes;
    uint64_t shown_rip;
    struct decoded mmio;
    uint64_t string, string_gpa; /* exit qualification and memory operand of INS or OUTS */
    uint64_t refill_gpa;         /* touched before the next entry, if refill is set */
    bool refill;

    uint8_t xstate[XSTATE_BYTES] __attribute__((aligned(64)));
};
_Static_assert(sizeof(struct vcpu) <= PAGE_SIZE, "a vCPU has one page");

enum vm_state { VM_FREE, VM_LAUNCHING, VM_RUNNING, VM_DEAD };

/* Why a VM ended; vm_stops.def has the sentences. */
enum vm_stop {
    VM_STOP_NONE,
#define VM_STOP(name, text) VM_STOP_##name,
#include "cloudvisor/vm_stops.def"
#undef VM_STOP
    VM_STOP_COUNT,
};

struct vm {
    enum vm_state state; /* FREE: what follows tells of the slot's last VM */
    enum vm_stop stop;
    uint64_t stop_detail;
    uint64_t id;    /* counts launches since boot */
    uint32_t index; /* in vms[] */
    uint32_t vcpu_count;
    uint8_t digest[BUNDLE_DIGEST_BYTES];
    uint64_t claimed, paged_out, paged_in;
    uint64_t frames_in; /* frames that the VM has */

    struct bundle_descriptor *descriptor; /* the layer's copy, a page */
    struct vcpu *vcpus[BUNDLE_VCPU_MAX];
    uint64_t tsc_offset; /* from a counter that the host never turned */

    struct page_crypt crypt; /* memory: ept-guard/vm_pages.c */
    struct ept ept;
    hpa_t records;
    uint64_t reap_next;

    mbedtls_sha256_context hash; /* the launch, in steps */
    uint32_t launch_range;
    uint64_t launch_page;
};

extern struct vm vms[VM_MAX];

/* Policy: whether the guest-physical address is RAM, the bytes are in an MMIO window, the ports in a port window. */
bool vm_is_ram(const struct vm *vm, uint64_t gpa);
bool vm_has_mmio(const struct vm *vm, uint64_t gpa, unsigned bytes);
bool vm_has_ports(const struct vm *vm, uint16_t port, unsigned bytes);
bool vm_has_vector(const struct vm *vm, uint8_t vector);

/* A VM as the checked descriptor says; NULL: no memory. The descriptor is copied. */
struct vm *vm_create(const struct bundle_descriptor *descriptor);

/*
 * Goes on with the launch: claims and hashes pages of the bundle, then fills the exit window. VM_PAGE_MAPPED: done;
 * VM_PAGE_ABSENT: the host is to bring `*gpa` (or has had to wait long enough); else the VM was stopped.
 */
enum vm_page_answer vm_launch_step(struct vm *vm, uint64_t eptp12, uint64_t *gpa, uint64_t *permissions);

/* Binds the vCPU to the vmcs12 whose region is this frame of the host's; false if it is not the host's. */
bool vm_bind(struct vcpu *vcpu, uint64_t region);
void vm_unbind(struct vcpu *vcpu);

/* The vCPU bound to `region`, or NULL. */
struct vcpu *vm_bound(uint64_t region);

/* The vCPU that waits to be brought by a vmcs12 with this EPT12, which must have memory of its VM; NULL if none. */
struct vcpu *vm_awaited(uint64_t eptp12);

/* The host took the region of the vCPU's vmcs12 back. */
void vm_vcpu_gone(struct vcpu *vcpu);

/* Ends the VM: no vCPU runs any more, its keys are wiped. */
void vm_stop(struct vm *vm, enum vm_stop why, uint64_t detail);

/* Scrubs some frames of dead VMs. Takes layer_lock. */
void vm_reap(void);

/* Stops every VM; `scrub`: with all their frames at once, before a reset. Takes layer_lock. */
void vm_end_all(enum vm_stop why, bool scrub);

/* True if a VM is launching or running. */
bool vm_any(void);

/* What cvctl shows: word `index` of a slot (hypercall.h). False: no such word. */
bool vm_word(uint64_t slot, uint64_t index, uint64_t *value);

#endif
