/* SPDX-License-Identifier: GPL-2.0-only */
/* The ACPI tables of a bundle: RSDP, XSDT, FADT, MADT, DSDT, and FACS and HPET where the machine has them. */
#ifndef BUNDLE_ACPI_TABLES_H
#define BUNDLE_ACPI_TABLES_H

#include "cloudvisor/bundle/machine.h"

enum { ACPI_TABLES_MAX = 12 * 4096 };

struct acpi_inputs {
    const struct machine *machine;
    uint32_t vcpu_count;
    bool hpet;
    bool rtc;
    const uint8_t *dsdt; /* a whole table, as iasl writes it */
    size_t dsdt_bytes;
};

/*
 * Writes the tables for guest-physical address `gpa`, page-aligned, into `buffer` (ACPI_TABLES_MAX bytes, zeroed).
 * The RSDP comes first. Returns the bytes used, 0 if they don't fit.
 */
size_t acpi_tables_build(const struct acpi_inputs *inputs, uint64_t gpa, uint8_t *buffer);

#endif
