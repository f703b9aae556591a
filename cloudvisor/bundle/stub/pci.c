/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PCI by configuration mechanism 1, on pc and q35. Bridges keep what the firmware set; every other device loses the
 * bus. Numbers of QEMU's chipsets: PIIX3 and PIIX4 in slot 1, ICH9 in slot 31.
 */
#include "cloudvisor/bundle/machine.h"
#include "cloudvisor/bundle/stub/stub.h"

#define ADDRESS_PORT   0xcf8
#define DATA_PORT      0xcfc
#define VENDOR_VIRTIO  0x1af4u
#define CLASS_BRIDGE   6u
#define COMMAND_MASTER (1u << 2)

enum {
    REG_ID = 0,
    REG_COMMAND = 4,
    REG_CLASS = 8,
    REG_HEADER = 0xc,
    REG_BAR = 0x10,
    REG_BUSES = 0x18,
    REG_CAPABILITIES = 0x34
};
enum { HEADER_BRIDGE = 1, HEADER_MULTI_FUNCTION = 0x80 };
enum { CAPABILITY_VENDOR = 9, VIRTIO_COMMON_CONFIG = 1, COMMON_STATUS = 0x14, LEGACY_STATUS = 0x12 };

static uint32_t address(uint32_t bdf, uint32_t reg)
{
    return 0x80000000u | bdf << 8 | (reg & 0xfc);
}

static uint32_t config_read(uint32_t bdf, uint32_t reg)
{
    outl(ADDRESS_PORT, address(bdf, reg));
    return inl(DATA_PORT);
}

static void config_write(uint32_t bdf, uint32_t reg, uint32_t value)
{
    outl(ADDRESS_PORT, address(bdf, reg));
    outl(DATA_PORT, value);
}

static void config_write_byte(uint32_t bdf, uint32_t reg, uint8_t value)
{
    outl(ADDRESS_PORT, address(bdf, reg));
    outb((uint16_t)(DATA_PORT + (reg & 3)), value);
}

/* Writes 0 to the device status of a virtio device, which resets it. BARs above 4 GiB are not mapped: left to the bus. */
static void reset_common_config(uint32_t bdf, uint32_t capability)
{
    uint32_t bar = config_read(bdf, capability + 4) & 0xff;
    uint32_t offset = config_read(bdf, capability + 8), low, high = 0;

    if (bar > 5)
        return;
    low = config_read(bdf, REG_BAR + 4 * bar);
    if ((low & 7) == 4 && bar < 5)
        high = config_read(bdf, REG_BAR + 4 * bar + 4);
    if (!(low & 1) && (low & ~15u) >= 0x80000000u && !high)
        *(volatile uint8_t *)(uint64_t)((low & ~15u) + offset + COMMON_STATUS) = 0;
}

static void reset_virtio(uint32_t bdf)
{
    uint32_t bar0 = config_read(bdf, REG_BAR);
    uint32_t at = config_read(bdf, REG_CAPABILITIES) & 0xfc;

    if ((bar0 & 1) && (bar0 & 0xfffcu))
        outb((uint16_t)((bar0 & 0xfffcu) + LEGACY_STATUS), 0);
    for (int i = 0; i < 48 && at; i++) {
        uint32_t head = config_read(bdf, at);

        if ((head & 0xff) == CAPABILITY_VENDOR && head >> 24 == VIRTIO_COMMON_CONFIG)
            reset_common_config(bdf, at);
        at = (head >> 8) & 0xfc;
    }
}

/* Interrupt line n of the chipset to an ISA interrupt; 80h: to none, for the I/O APIC only. */
static void route(uint32_t bdf, uint32_t reg, const uint8_t *irqs)
{
    for (uint32_t i = 0; i < 4; i++)
        config_write_byte(bdf, reg + i, irqs[i]);
}

static void set_chipset(uint32_t machine)
{
    static const uint8_t pc_irqs[4] = { 10, 10, 11, 11 }, no_irqs[4] = { 0x80, 0x80, 0x80, 0x80 };
    const uint32_t piix3 = 1 << 3, piix4_power = 1 << 3 | 3, ich9 = 31 << 3;

    if (machine == BUNDLE_PC) {
        route(piix3, 0x60, pc_irqs);
        config_write(piix4_power, 0x40, POWER_MANAGEMENT_PORT | 1);
        config_write_byte(piix4_power, 0x80, 1);
    } else {
        route(ich9, 0x60, no_irqs);
        route(ich9, 0x68, no_irqs);
        config_write(ich9, 0x40, POWER_MANAGEMENT_PORT | 1);
        config_write_byte(ich9, 0x44, 0x80);
    }
    outw(POWER_MANAGEMENT_PORT + 2, 0);  /* no power management events */
    outw(POWER_MANAGEMENT_PORT, 0xffff); /* none pending */
    outw(POWER_MANAGEMENT_PORT + 4, 1);  /* ACPI mode, as SMI_CMD = 0 promises */
}

static void quiet_function(uint32_t bdf, uint32_t id)
{
    uint32_t command = config_read(bdf, REG_COMMAND);

    if ((id & 0xffff) == VENDOR_VIRTIO)
        reset_virtio(bdf);
    config_write(bdf, REG_COMMAND, command & 0xffff & ~COMMAND_MASTER);
}

/* Walks the buses behind bus 0 that the firmware numbered; a bus is reached only through a bridge on a lower one. */
void pci_quiet(uint32_t machine)
{
    static bool present[256];

    present[0] = true;
    for (uint32_t bdf = 0, functions = 1; bdf < 0x10000; bdf++) {
        uint32_t id, header;

        if (bdf % 8 == 0)
            functions = 1;
        if (!present[bdf >> 8] || bdf % 8 >= functions)
            continue;
        id = config_read(bdf, REG_ID);
        if (id == ~0u)
            continue;
        header = config_read(bdf, REG_HEADER) >> 16;
        if (bdf % 8 == 0 && (header & HEADER_MULTI_FUNCTION))
            functions = 8;
        if ((header & 0x7f) == HEADER_BRIDGE)
            present[(config_read(bdf, REG_BUSES) >> 8) & 0xff] = true;
        else if (config_read(bdf, REG_CLASS) >> 24 != CLASS_BRIDGE)
            quiet_function(bdf, id);
    }
    set_chipset(machine);
}
