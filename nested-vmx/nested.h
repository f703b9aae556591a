/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Nested VMX as the rest of the layer sees it: the demoted host executes VMX instructions and runs VMs; each of its
 * VMCSs (vmcs12) is backed by one of the layer's (vmcs02), which is what the processor runs.
 */
#ifndef NESTED_VMX_NESTED_H
#define NESTED_VMX_NESTED_H

#include "cloudvisor/cpu.h"

/* Once, what all CPUs share; and for each CPU at its demotion, its slots and all their pages. False: pool empty. */
bool nested_init(void);
bool nested_init_cpu(struct cpu *cpu);

/* A VMX instruction of the host's, named by its exit reason. vmcs01 is loaded. */
void nested_instruction(struct cpu *cpu, uint32_t reason);

/* An exit from the current vmcs02: handled here or handed to the host, whose vmcs01 is then loaded. */
void nested_exit(struct cpu *cpu, uint32_t reason);

/* VMLAUNCH or VMRESUME of the current vmcs02 failed early. */
void nested_entry_refused(struct cpu *cpu);

/* An NMI for the host: to its VM, to itself, or as an exit. */
void nested_deliver_nmi(struct cpu *cpu);

/* The host wrote to a frame that was watched: bitmaps copied from it are out of date. Holds layer_lock. */
void nested_frame_written(hpa_t address);

/* True if hardware VMCS shadowing serves the host. */
bool nested_shadowing(void);

#endif
