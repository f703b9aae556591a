/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One record per processor: the demoted host's general registers, the layer's own GDT, TSS and stacks, the state of
 * nested VMX, and what other CPUs ask of this one. In root mode %gs:0 is the running CPU's record.
 *
 * Fields are touched by their own CPU only, but for the `attention` word, its request fields and `in_guest`.
 * Lock order: layer_lock is the only lock; it is never held across a VM entry.
 */
#ifndef CLOUDVISOR_CPU_H
#define CLOUDVISOR_CPU_H

#include <stdbool.h>
#include <stdint.h>
#include "crypto/vector_state.h"
#include "hw.h"
#include "nested-vmx/vmx_bits.h"

enum { PAGE_SIZE = 4096, STACK_SIZE = 16384, IST_STACK_SIZE = 4096 };

/* General registers by their encoding; RSP's slot is unused, since the VMCS holds it. */
enum gpr { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, GPR_COUNT };

/* The layer's own selectors. */
enum { SEL_CODE = 0x08, SEL_DATA = 0x10, SEL_TSS = 0x18 };

struct tss {
    uint32_t unused0[9];
    uint64_t ist[7];
    uint16_t unused1[5];
    uint16_t iomap_base;
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 104, "64-bit TSS");

/* Counters of stats.def, kept per CPU. */
enum stat {
#define STAT(name, text) STAT_##name,
#include "cloudvisor/stats.def"
#undef STAT
    STAT_COUNT,
};

enum exit_level { LEVEL_HOST, LEVEL_VM, LEVEL_COUNT };

struct vmcs12; /* nested-vmx/vmcs12.h */
struct vcpu;   /* cloudvisor/vm.h */

struct cpu {
    struct cpu *self;        /* %gs:0 */
    uint64_t gpr[GPR_COUNT]; /* the host's or its VM's registers while in root mode */
    uint64_t stack_top;
    volatile uint32_t attention; /* nonzero: look at the requests below before entering non-root mode */
    uint32_t launch;             /* the next entry is a VMLAUNCH, since the VMCS is clear */
    uint64_t exit_tsc;
    uint64_t tsc_adjust; /* IA32_TSC_ADJUST as the firmware left it; 0 where there is none */

    uint32_t index;
    uint32_t apic_id;
    volatile uint32_t in_guest;
    volatile uint32_t kick_pending; /* an NMI sent by another CPU is under way */
    volatile uint32_t host_nmi;     /* an NMI for the host arrived */
    volatile uint32_t init_request; /* the host sent INIT to this CPU */
    volatile uint32_t sipi_request; /* 100h + vector: the host sent SIPI */
    volatile uint32_t waits_for_sipi;
    volatile uint64_t flushed; /* generation of EPTs that this CPU has no older translations of */

    hpa_t vmxon;
    hpa_t vmcs01;
    bool vmcs01_launched;
    uint32_t vmcs01_secondary;
    uint32_t apic_ldr, apic_dfr; /* the host's logical destination, as written through the trap */

    /* Nested VMX: the host's view of VMX on this CPU. */
    bool vmx_on;
    bool in_l2;             /* the VMCS loaded in the processor is current->vmcs02 */
    uint64_t vmxon_pointer; /* the host's VMXON region */
    struct vmcs12 *current; /* the host's current VMCS, or NULL */
    struct vmcs12 *slots;   /* this CPU's active VMCSs */
    struct vcpu *vcpu;      /* the protected vCPU whose VMCS is loaded, or NULL */
    uint64_t slot_uses;

    uint64_t stats[STAT_COUNT];
    uint64_t exits[LEVEL_COUNT][EXIT_REASON_COUNT];

    struct crypto_cpu crypto; /* FS base points here in root mode */
    struct tss tss;
    uint64_t gdt[5] __attribute__((aligned(16)));
    uint8_t ist_stack[IST_STACK_SIZE] __attribute__((aligned(16)));
    uint8_t stack[STACK_SIZE] __attribute__((aligned(16)));
};

extern struct cpu *cpus[BOOT_CPU_MAX];
extern struct boot_info *boot;

static inline struct cpu *this_cpu(void)
{
    return hw_this_cpu();
}

static inline void cpu_count_stat(struct cpu *cpu, enum stat stat)
{
    cpu->stats[stat]++;
}

/*
 * Demotes the calling CPU; does not return on success, else an enum demote_error. Called by entry.S on the boot stack,
 * so by one CPU at a time. `caller_frame` is the RSP below which entry.S pushed the caller's registers.
 */
uint64_t cpu_demote(uint64_t boot_info_pa, uint64_t index, uint64_t caller_frame, uint64_t caller_cr3);

/* The layer's one IDT. */
void cpu_init_idt(void);
extern uint64_t cpu_idt[256][2];

/* Sets the host-state area of the loaded VMCS for this CPU: how root mode starts on every VM exit. */
void cpu_write_host_state(struct cpu *cpu);

/* Loads a VMCS of the layer's; what comes next must never go into another one. */
void vmcs_load(hpa_t vmcs);

/* Called by entry.S before an entry while `attention` is set: serves flushes, NMIs, INIT and SIPI. */
void cpu_serve_requests(struct cpu *cpu);

/* Sends an NMI to `target` so that it leaves non-root mode and serves its requests. */
void cpu_kick(struct cpu *cpu, struct cpu *target);

/* Executes the IRET that lets NMIs in again after an NMI exit (entry.S). */
void cpu_unblock_nmis(void);

/* Halts until an NMI, unless `attention` is set already (entry.S). */
void cpu_park(struct cpu *cpu);

/* The one lock for everything that CPUs share. */
void layer_lock(void);
void layer_unlock(void);

#endif
