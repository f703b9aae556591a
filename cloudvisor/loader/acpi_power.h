/* SPDX-License-Identifier: GPL-2.0-only */
/* What the firmware's ACPI tables say about power management. The firmware is trusted until the next stage starts. */
#ifndef LOADER_ACPI_POWER_H
#define LOADER_ACPI_POWER_H

#include <stdbool.h>
#include "cloudvisor/boot_info.h"

/*
 * Reads the FADT behind the RSDP at `rsdp` (0: none), with `read` for little-endian numbers in physical memory. False:
 * there is no FADT.
 */
bool acpi_power_read(uint64_t rsdp, uint64_t (*read)(uint64_t address, unsigned bytes), struct boot_power *power);

#endif
