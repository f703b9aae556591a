/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A protected vCPU in the place of a vmcs12: the processor runs the vCPU's own VMCS; the host sees a frozen context,
 * kept in the slot's vmcs02, which is never entered meanwhile. The host's answers are checked and nothing else of what
 * it writes is used.
 */
#ifndef NESTED_VMX_PROTECTED_H
#define NESTED_VMX_PROTECTED_H

#include "cloudvisor/vm.h"
#include "nested-vmx/nested_internal.h"

enum { SHOW_RAX = 1, SHOW_RCX = 2, SHOW_RDX = 4, SHOW_RDI = 8 };

/* What the host sees of an exit; registers that exits.def does not list for the reason are dropped. */
struct shown {
    uint32_t reason, interruption_info;
    unsigned length; /* of the instruction, 0: there is none */
    uint64_t qualification, gpa;
    uint64_t rip_slot; /* of the exit window */
    uint64_t rax, rcx, rdx, rdi;
};

/* What exits.def says about a reason. */
struct exit_rule {
    uint8_t shows, accepts;
    bool listed;
};
extern const struct exit_rule exit_rules[EXIT_REASON_COUNT];

/* Calls from plain VMs: launch and AP start. True if EAX is one of them; vmcs02 is loaded. */
bool protected_call(struct cpu *cpu, struct vmcs12 *v);

/* VMRESUME of a bound vmcs12; vmcs01 or another VMCS but the vCPU's is loaded before. */
void protected_enter(struct cpu *cpu, struct vmcs12 *v);

/* An exit from the vCPU's VMCS; an NMI for the host while it is loaded; a failed entry. */
void protected_exit(struct cpu *cpu, struct vmcs12 *v, uint32_t reason);
void protected_nmi(struct cpu *cpu, struct vmcs12 *v);
void protected_entry_refused(struct cpu *cpu, struct vmcs12 *v);

/* The vmcs12 becomes active, and inactive, on this CPU: finds the vCPU bound to it. False: another CPU has it. */
bool protected_activate(struct cpu *cpu, struct vmcs12 *v);
void protected_deactivate(struct vmcs12 *v);

/* Hands the exit to the host; the vCPU's VMCS is loaded and its registers are in the processor. */
void protected_show(struct cpu *cpu, struct vmcs12 *v, const struct shown *shown);

/* Asks the host for writable memory at a guest-physical address. Likewise. */
void protected_ask(struct cpu *cpu, struct vmcs12 *v, uint64_t gpa, uint64_t permissions);

/* Stops the VM and shows the host a shutdown. Likewise. */
void protected_stop(struct cpu *cpu, struct vmcs12 *v, enum vm_stop why, uint64_t detail);

/* True if the loaded VMCS's code is 64-bit and at CPL 0. */
bool protected_in_kernel_64(void);

/* One element of INS or OUTS is done, `value` was read: changes the registers; true if the instruction is, too. */
bool protected_string_done(struct vcpu *vcpu, uint64_t gpr[GPR_COUNT], uint64_t value);

/* Handlers' dispatch (protected_exits.c). */
void protected_dispatch(struct cpu *cpu, struct vmcs12 *v, uint32_t reason);

/* Gives the host an exit whose information stands in v->field; v->vmcs02 is loaded (exit.c). */
void exit_give_to_host(struct cpu *cpu, struct vmcs12 *v, uint32_t reason, uint64_t qualification);

#endif
