/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The local APIC: NMIs between the layer's CPUs, and the host's INIT, SIPI and NMI, which the layer carries out itself
 * where writes to the ICR are trapped.
 */
#ifndef CLOUDVISOR_APIC_H
#define CLOUDVISOR_APIC_H

#include "cloudvisor/cpu.h"

enum { MSR_APIC_BASE = 0x1b, MSR_X2APIC_ICR = 0x830 };
#define APIC_PAGE        UINT64_C(0xfee00000)
#define APIC_BASE_X2APIC UINT64_C(0x400)

/* Notes the logical destination that this CPU's xAPIC has at demotion. */
void apic_read_logical_id(struct cpu *cpu);

/* Sends an NMI to one CPU; the host's ICR destination is preserved. */
void apic_send_nmi(uint32_t apic_id);

/* The host's write of `value` to the register at `offset` of its xAPIC page. */
void apic_host_write(struct cpu *cpu, uint32_t offset, uint32_t value);

/* The host's WRMSR to the x2APIC's ICR; false if the processor refuses it. */
bool apic_host_x2apic_icr(struct cpu *cpu, uint64_t value);

#endif
