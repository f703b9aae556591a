/* SPDX-License-Identifier: GPL-2.0-only */
/* Which MSRs and ports of the host (and of its VMs) the layer wants to see: one list, made into bitmaps once. */
#ifndef CLOUDVISOR_INTERCEPTS_H
#define CLOUDVISOR_INTERCEPTS_H

#include "cloudvisor/cpu.h"

/* Builds the bitmaps. `trap_icr`: INIT and SIPI are found by trapping writes of the local APIC's ICR. */
bool intercepts_init(bool trap_icr);

hpa_t intercepts_msr_bitmap(void);
hpa_t intercepts_io_bitmap(unsigned which);

bool intercepts_msr(uint32_t msr, bool write);
/* True for an MSR that the layer keeps from the host, not for one that merely has no bit in a bitmap. */
bool intercepts_known_msr(uint32_t msr, bool write);
bool intercepts_port(uint16_t port, unsigned bytes);

/* Adds a port, also later on: the bitmap is the one that the processor reads for the host. */
void intercepts_add_port(uint16_t port);

/* The byte of an MSR bitmap that holds the bit of `msr`; false for MSRs that have none and always exit. */
bool msr_bitmap_byte(uint32_t msr, bool write, unsigned *byte);

#endif
