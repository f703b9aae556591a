/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ways out of this boot: reset ports and ACPI's power management. The layer sees each before it takes effect;
 * sleep states that would hand memory to whoever wakes the machine are refused.
 */
#ifndef CLOUDVISOR_POWER_H
#define CLOUDVISOR_POWER_H

#include "cloudvisor/cpu.h"

/* Finds the ports in the firmware's ACPI tables, or of the PIIX4 that emulators have, and intercepts them. */
void power_init(void);

/*
 * Intercepts the ports that reset the machine: the keyboard controller's, CF9h and the FADT's. Called when the host
 * enters VMX operation. Before that no VM can exist that a reset would endanger, while firmware and boot loaders access
 * the keyboard controller and CF8h, whose doubleword covers CF9h, tens of thousands of times.
 */
void power_guard_resets(void);

/* The host's OUT of `value` to an intercepted port; false if it must not reach the hardware. */
bool power_host_out(uint16_t port, unsigned bytes, uint32_t value);

/* What the host's IN of `value` from an intercepted port returns. */
uint32_t power_host_in(uint16_t port, unsigned bytes, uint32_t value);

#endif
