/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the layer answers a protected VM alone: CPUID, MSRs, XSETBV, debug registers, and the exchange of the registers
 * that no VMCS switches. The host has no part in it, but for the timer and the x2APIC. Operands are the guest's and
 * untrusted: a wrong one gets the processor's answer (#GP, #UD), never an assertion.
 *
 * Functions that take a vCPU are called on the CPU that has it, without a lock. Those marked (in) need it in the
 * processor: its VMCS loaded, and between vm_registers_load and vm_registers_save.
 */
#ifndef CLOUDVISOR_VM_ANSWERS_H
#define CLOUDVISOR_VM_ANSWERS_H

#include "cloudvisor/vm.h"

/* Once at start; false when the pool is empty, or a vector state that is not XSAVE's as we know it. */
bool vm_answers_init(void);

/* The MSR bitmap of every protected VM: accesses that exit are vm_msr_access's. */
hpa_t vm_msr_bitmap(void);

/* (in) CPUID: what the allow-list passes on of the processor, and constants; unknown leaves are 0. */
struct hw_cpuid vm_cpuid(const struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf, uint64_t guest_cr4);

/* True if a VM with this (checked) descriptor would find all the features that it requires. */
bool vm_cpuid_satisfies(const struct bundle_descriptor *descriptor);

enum vm_msr_answer {
    VM_MSR_DONE,
    VM_MSR_FAULT, /* the guest gets #GP(0) */
    VM_MSR_HOST,  /* x2APIC and TSC deadline: the host's to answer */
};

/* (in) RDMSR or WRMSR. */
enum vm_msr_answer vm_msr_access(const struct vcpu *vcpu, uint32_t msr, bool write, uint64_t *value);

/* The components of XCR0 that protected VMs have, and the bytes of XSAVE's standard format for all of them. */
extern uint32_t vm_xcr0_offer, vm_xsave_bytes;

/* Finds out what this processor has to exchange; false if XSTATE_BYTES are too few. Part of vm_answers_init. */
bool vm_registers_init(void);

/* The state at launch and after INIT, general registers too. Not while the vCPU is in the processor. */
void vm_registers_reset(struct vcpu *vcpu);

/* Puts the guest's registers in the processor and remembers the host's; general registers are the caller's. */
void vm_registers_load(struct vcpu *vcpu);

/*
 * (in) The reverse, whenever the host gets the CPU. Nothing of the guest is left in CR2, DR0 to DR3, DR6, XCR0, the
 * MSRs of enum vm_msr, and the x87, SSE, AVX and AVX-512 registers: the host finds its own values, but the vector
 * registers in their initial state. Whatever else a guest can change is switched by its VMCS.
 */
void vm_registers_save(struct vcpu *vcpu);

/* (in) XSETBV; false for #GP(0). */
bool vm_xsetbv(uint32_t index, uint64_t value);

#endif
