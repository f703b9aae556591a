/* SPDX-License-Identifier: GPL-2.0-only */
/* The host's writes to CR0 and CR4 that touch what VMX root mode insists on: CR0.NE and CR4.VMXE. */
#ifndef CLOUDVISOR_HOST_CR_H
#define CLOUDVISOR_HOST_CR_H

#include "cloudvisor/cpu.h"

void host_cr_access(struct cpu *cpu);

#endif
