/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tables by the ACPI specification, 6.4 ('ACPI Software Programming Model'). Processors have APIC IDs 0 to n - 1, as
 * QEMU numbers them for -smp n without further topology; IDs below 255 take the same MADT entry in xAPIC and x2APIC
 * mode. SMI_CMD is 0: there is no mode switch through SMM.
 */
#include <string.h>
#include "cloudvisor/bundle/acpi_tables.h"
#include "cloudvisor/bundle/bytes.h"

enum { HEADER_BYTES = 36, RSDP_BYTES = 36, FACS_BYTES = 64, FADT_BYTES = 268, HPET_BYTES = 56 };
enum { FADT_WBINVD = 1 << 0, FADT_C1 = 1 << 2, FADT_NO_SLEEP_BUTTON = 1 << 5, FADT_NO_FIXED_RTC = 1 << 6 };
enum { FADT_RESET_REGISTER = 1 << 10, FADT_HARDWARE_REDUCED = 1 << 20 };
enum { BOOT_LEGACY_DEVICES = 1 << 0, BOOT_NO_VGA = 1 << 2, BOOT_NO_ASPM = 1 << 4, BOOT_NO_RTC = 1 << 5 };
enum { SPACE_MEMORY = 0, SPACE_IO = 1 };
enum { SCI_IRQ = 9, RESET_PORT = 0xcf9, RESET_PORT_VALUE = 0x06 };
/* Registers of QEMU's generic event device. */
enum { GED_REGISTERS = 0x200, GED_SLEEP_CONTROL = 0, GED_SLEEP_STATUS = 1, GED_RESET = 2, GED_RESET_VALUE = 0x42 };

struct cursor {
    const struct acpi_inputs *inputs;
    uint8_t *buffer;
    uint64_t gpa;
    size_t used;
};

static uint8_t checksum(const uint8_t *table, size_t size)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + table[i]);
    return (uint8_t)-sum;
}

/* The next table's place, 64-byte aligned, as a FACS needs. */
static uint8_t *begin(struct cursor *cursor)
{
    cursor->used = (cursor->used + 63) & ~(size_t)63;
    return cursor->buffer + cursor->used;
}

static uint64_t address_of(const struct cursor *cursor, const uint8_t *table)
{
    return cursor->gpa + (uint64_t)(table - cursor->buffer);
}

static uint8_t *begin_table(struct cursor *cursor, const char *signature, uint8_t revision)
{
    uint8_t *table = begin(cursor);

    put_text(table, 4, signature);
    table[8] = revision;
    put_text(table + 10, 6, "CLDVSR");
    put_text(table + 16, 8, "CVBUNDLE");
    put_le(table + 24, 4, 1);
    put_text(table + 28, 4, "CVBN");
    put_le(table + 32, 4, 1);
    return table;
}

/* Closes a table of `size` bytes; returns its guest-physical address. */
static uint64_t end_table(struct cursor *cursor, uint8_t *table, size_t size)
{
    put_le(table + 4, 4, size);
    table[9] = 0;
    table[9] = checksum(table, size);
    cursor->used += size;
    return address_of(cursor, table);
}

static void put_address(uint8_t *at, unsigned space, unsigned bits, uint64_t address)
{
    at[0] = (uint8_t)space;
    at[1] = (uint8_t)bits;
    put_le(at + 4, 8, address);
}

static uint64_t add_dsdt(struct cursor *cursor)
{
    uint8_t *table = begin(cursor);

    memcpy(table, cursor->inputs->dsdt, cursor->inputs->dsdt_bytes);
    return end_table(cursor, table, cursor->inputs->dsdt_bytes);
}

static uint64_t add_facs(struct cursor *cursor)
{
    uint8_t *table = begin(cursor);

    put_text(table, 4, "FACS");
    put_le(table + 4, 4, FACS_BYTES);
    table[32] = 2;
    cursor->used += FACS_BYTES;
    return address_of(cursor, table);
}

static void fadt_hardware_reduced(uint8_t *table)
{
    uint64_t registers = MICROVM_GED_GPA + GED_REGISTERS;

    put_address(table + 116, SPACE_MEMORY, 8, registers + GED_RESET);
    table[128] = GED_RESET_VALUE;
    put_address(table + 244, SPACE_MEMORY, 8, registers + GED_SLEEP_CONTROL);
    put_address(table + 256, SPACE_MEMORY, 8, registers + GED_SLEEP_STATUS);
}

static void fadt_fixed_hardware(uint8_t *table, uint64_t facs)
{
    put_le(table + 36, 4, facs);
    put_le(table + 46, 2, SCI_IRQ);
    put_le(table + 56, 4, POWER_MANAGEMENT_PORT);
    put_le(table + 64, 4, POWER_MANAGEMENT_PORT + 4);
    put_le(table + 76, 4, POWER_MANAGEMENT_PORT + 8);
    table[88] = 4; /* PM1 event, control, PM2, timer block lengths */
    table[89] = 2;
    table[91] = 4;
    put_le(table + 96, 2, 0xfff); /* no C2, no C3 */
    put_le(table + 98, 2, 0xfff);
    put_address(table + 116, SPACE_IO, 8, RESET_PORT);
    table[128] = RESET_PORT_VALUE;
    put_address(table + 148, SPACE_IO, 32, POWER_MANAGEMENT_PORT);
    put_address(table + 172, SPACE_IO, 16, POWER_MANAGEMENT_PORT + 4);
    put_address(table + 208, SPACE_IO, 32, POWER_MANAGEMENT_PORT + 8);
}

static uint64_t add_fadt(struct cursor *cursor, uint64_t dsdt, uint64_t facs)
{
    uint8_t *table = begin_table(cursor, "FACP", 5);
    uint32_t flags = FADT_WBINVD | FADT_C1 | FADT_NO_SLEEP_BUTTON | FADT_NO_FIXED_RTC | FADT_RESET_REGISTER;
    uint32_t boot = BOOT_LEGACY_DEVICES | BOOT_NO_VGA | BOOT_NO_ASPM;

    put_le(table + 40, 4, dsdt);
    put_le(table + 140, 8, dsdt);
    if (cursor->inputs->machine->hardware_reduced) {
        flags |= FADT_HARDWARE_REDUCED;
        fadt_hardware_reduced(table);
    } else {
        fadt_fixed_hardware(table, facs);
    }
    if (!cursor->inputs->rtc)
        boot |= BOOT_NO_RTC;
    put_le(table + 109, 2, boot);
    put_le(table + 112, 4, flags);
    return end_table(cursor, table, FADT_BYTES);
}

static uint8_t *put_override(uint8_t *at, unsigned irq, unsigned gsi, unsigned flags)
{
    at[0] = 2;
    at[1] = 10;
    at[3] = (uint8_t)irq;
    put_le(at + 4, 4, gsi);
    put_le(at + 8, 2, flags);
    return at + 10;
}

static uint8_t *put_ioapic(uint8_t *at, unsigned id, uint64_t gpa, unsigned first_gsi)
{
    at[0] = 1;
    at[1] = 12;
    at[2] = (uint8_t)id;
    put_le(at + 4, 4, gpa);
    put_le(at + 8, 4, first_gsi);
    return at + 12;
}

/* pc and q35: the timer is on pin 2; the interrupts that PCI may use are level-triggered, active high. */
static uint8_t *put_legacy_overrides(uint8_t *at)
{
    static const uint8_t level_irqs[] = { 5, 9, 10, 11 };

    at = put_override(at, 0, 2, 0);
    for (size_t i = 0; i < sizeof(level_irqs); i++)
        at = put_override(at, level_irqs[i], level_irqs[i], 0x0d);
    return at;
}

static uint64_t add_madt(struct cursor *cursor)
{
    const struct machine *machine = cursor->inputs->machine;
    uint8_t *table = begin_table(cursor, "APIC", 5);
    uint8_t *at = table + 44;

    put_le(table + 36, 4, 0xfee00000);
    put_le(table + 40, 4, machine->hardware_reduced ? 0 : 1); /* 8259s are there */
    for (uint32_t i = 0; i < cursor->inputs->vcpu_count; i++, at += 8) {
        at[1] = 8;
        at[2] = at[3] = (uint8_t)i;
        at[4] = 1;
    }
    at = put_ioapic(at, 0, IOAPIC_GPA, 0);
    if (machine->ioapic_count == 2)
        at = put_ioapic(at, 1, MICROVM_IOAPIC2_GPA, 24);
    if (!machine->hardware_reduced)
        at = put_legacy_overrides(at);
    at[0] = 4; /* NMI at LINT1 of all processors */
    at[1] = 6;
    at[2] = 0xff;
    at[5] = 1;
    return end_table(cursor, table, (size_t)(at + 6 - table));
}

static uint64_t add_hpet(struct cursor *cursor)
{
    uint8_t *table = begin_table(cursor, "HPET", 1);

    put_le(table + 36, 4, 0x8086a201);
    put_address(table + 40, SPACE_MEMORY, 0, HPET_GPA);
    return end_table(cursor, table, HPET_BYTES);
}

static void put_rsdp(struct cursor *cursor, uint64_t xsdt)
{
    uint8_t *rsdp = cursor->buffer;

    put_text(rsdp, 8, "RSD PTR ");
    put_text(rsdp + 9, 6, "CLDVSR");
    rsdp[15] = 2;
    put_le(rsdp + 20, 4, RSDP_BYTES);
    put_le(rsdp + 24, 8, xsdt);
    rsdp[8] = checksum(rsdp, 20);
    rsdp[32] = checksum(rsdp, RSDP_BYTES);
}

size_t acpi_tables_build(const struct acpi_inputs *inputs, uint64_t gpa, uint8_t *buffer)
{
    struct cursor cursor = { inputs, buffer, gpa, RSDP_BYTES };
    uint64_t tables[3], dsdt, facs = 0;
    unsigned count = 0;
    uint8_t *xsdt;

    if (inputs->dsdt_bytes < HEADER_BYTES || inputs->dsdt_bytes > ACPI_TABLES_MAX - 2 * BUNDLE_PAGE_SIZE ||
        inputs->vcpu_count > BUNDLE_VCPU_MAX)
        return 0;
    dsdt = add_dsdt(&cursor);
    if (!inputs->machine->hardware_reduced)
        facs = add_facs(&cursor);
    tables[count++] = add_fadt(&cursor, dsdt, facs);
    tables[count++] = add_madt(&cursor);
    if (inputs->hpet)
        tables[count++] = add_hpet(&cursor);
    xsdt = begin_table(&cursor, "XSDT", 1);
    for (unsigned i = 0; i < count; i++)
        put_le(xsdt + HEADER_BYTES + 8 * i, 8, tables[i]);
    put_rsdp(&cursor, end_table(&cursor, xsdt, HEADER_BYTES + 8 * count));
    return cursor.used;
}
