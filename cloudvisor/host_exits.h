/* SPDX-License-Identifier: GPL-2.0-only */
/* The exits of the demoted host, and of its VMs where the layer itself has to do what the host would. */
#ifndef CLOUDVISOR_HOST_EXITS_H
#define CLOUDVISOR_HOST_EXITS_H

#include "cloudvisor/cpu.h"

/* Handles an exit from vmcs01. */
void host_exit(struct cpu *cpu, uint32_t reason);

/* RDMSR or WRMSR of an intercepted MSR, for the host or a VM; false for #GP(0). */
bool host_msr_access(struct cpu *cpu, uint32_t msr, bool write);

/* IN or OUT at an intercepted port with this exit qualification; false for #GP(0). */
bool host_io_access(struct cpu *cpu, uint64_t qualification);

/* An access that the host's EPT does not allow, by the host or by a VM that runs on the host's EPT. */
void host_ept_access(struct cpu *cpu);

/* An NMI exit: a kick of the layer's, or an NMI for the host that is noted. */
void host_nmi_exit(struct cpu *cpu);

/* The host's NMI, put off until now, can be delivered. */
void host_nmi_window_exit(struct cpu *cpu);

/* Arranges that the event whose delivery the exit interrupted is delivered again. */
void exit_reinject(void);

#endif
