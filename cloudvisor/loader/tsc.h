/* SPDX-License-Identifier: GPL-2.0-only */
/* The rate of the time-stamp counter, from what the processor says or from a measurement. Pure. */
#ifndef LOADER_TSC_H
#define LOADER_TSC_H

#include <stddef.h>
#include <stdint.h>

/*
 * The rate in kHz by CPUID 15h: EBX / EAX ticks for each of the crystal's ECX per second (SDM "Time Stamp Counter and
 * Nominal Core Crystal Clock Information Leaf"). 0 where the leaf is not complete, or says what can't be.
 */
uint32_t tsc_khz_by_crystal(uint32_t eax, uint32_t ebx, uint32_t ecx);

/*
 * The rate in kHz by the ticks that went by in `count` waits of `microseconds` each. A wait may last longer than it
 * should, never shorter, so the smallest counts. 0 where that gives no rate.
 */
uint32_t tsc_khz_by_waits(const uint64_t *ticks, size_t count, uint32_t microseconds);

#endif
