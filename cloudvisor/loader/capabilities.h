/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading the capabilities of the CPU that this runs on. */
#ifndef LOADER_CAPABILITIES_H
#define LOADER_CAPABILITIES_H

#include "cloudvisor/boot_info.h"
#include "cloudvisor/loader/suitability.h"

/* Fills `cpu` (struct cpu_capabilities) for the calling CPU. Signature for cpus_run(); changes no state. */
void capabilities_read(void *cpu);

/* Ticks of the time-stamp counter per millisecond, as CPUID says or else measured, which takes 0.15 s; 0: unknown. */
uint32_t capabilities_tsc_khz(void);

/* Power management by the firmware's ACPI tables or, where there are none, by QEMU's and Bochs' PIIX4. */
void capabilities_power(struct boot_power *power);

#endif
