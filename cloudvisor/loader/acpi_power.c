/* SPDX-License-Identifier: GPL-2.0-only */
/* ACPI specification: "Root System Description Pointer", "Fixed ACPI Description Table", "\\_Sx (System States)". */
#include "cloudvisor/loader/acpi_power.h"

enum { RSDP_REVISION = 15, RSDP_RSDT = 16, RSDP_XSDT = 24, HEADER_LENGTH = 4, HEADER_SIZE = 36 };
enum { FACP = 0x50434146, FADT_DSDT = 40, FADT_PM1A_EVENT = 56, FADT_PM1A_CONTROL = 64, FADT_PM1B_CONTROL = 68 };
enum { FADT_RESET_SPACE = 116, FADT_RESET_ADDRESS = 120, SPACE_IO = 1 };
enum { NAME_S5 = 0x5f35535f, OP_PACKAGE = 0x12, OP_BYTE = 0x0a };

typedef uint64_t (*read_fn)(uint64_t address, unsigned bytes);

/* The table with `signature` that the RSDP's root table lists, or 0. */
static uint64_t find_table(uint64_t rsdp, uint32_t signature, read_fn read)
{
    bool extended = read(rsdp + RSDP_REVISION, 1) >= 2;
    uint64_t root = extended ? read(rsdp + RSDP_XSDT, 8) : read(rsdp + RSDP_RSDT, 4);
    unsigned size = extended ? 8 : 4, length = root != 0 ? (unsigned)read(root + HEADER_LENGTH, 4) : 0;

    for (unsigned at = HEADER_SIZE; at + size <= length; at += size) {
        uint64_t table = read(root + at, size);

        if (table != 0 && read(table, 4) == signature)
            return table;
    }
    return 0;
}

/* SLP_TYP of S5: the first element of the package behind the name _S5_ (08 "_S5_" 12 length count [0A] value). */
static unsigned find_s5_type(uint64_t dsdt, read_fn read)
{
    unsigned length = dsdt != 0 ? (unsigned)read(dsdt + HEADER_LENGTH, 4) : 0;

    for (unsigned at = HEADER_SIZE; at + 12 < length; at++) {
        uint64_t value = dsdt + at + 4;

        if (read(dsdt + at, 4) != NAME_S5 || read(value, 1) != OP_PACKAGE)
            continue;
        value += 2 + (read(value + 1, 1) >> 6) + 1;
        if (read(value, 1) == OP_BYTE)
            value++;
        return (unsigned)read(value, 1) & 7;
    }
    return 0;
}

bool acpi_power_read(uint64_t rsdp, read_fn read, struct boot_power *power)
{
    uint64_t fadt = rsdp != 0 ? find_table(rsdp, FACP, read) : 0;

    if (fadt == 0)
        return false;
    power->event = (uint16_t)read(fadt + FADT_PM1A_EVENT, 4);
    power->control[0] = (uint16_t)read(fadt + FADT_PM1A_CONTROL, 4);
    power->control[1] = (uint16_t)read(fadt + FADT_PM1B_CONTROL, 4);
    power->type_s5 = find_s5_type(read(fadt + FADT_DSDT, 4), read);
    if (read(fadt + FADT_RESET_SPACE, 1) == SPACE_IO)
        power->reset = (uint16_t)read(fadt + FADT_RESET_ADDRESS, 8);
    return true;
}
