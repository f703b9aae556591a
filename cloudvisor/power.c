/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ACPI "PM1 Control Registers": SLP_EN starts the transition to the state that SLP_TYP names. Only the type of S5, as
 * the DSDT's _S5 package gives it, is let through. After a refusal WAK_STS reads as 1, so that the host goes on as
 * after a short sleep.
 */
#include <string.h>
#include "cloudvisor/intercepts.h"
#include "cloudvisor/log.h"
#include "cloudvisor/power.h"
#include "cloudvisor/vm.h"

enum { PORT_KEYBOARD = 0x64, COMMAND_RESET = 0xfe, PORT_RESET_CONTROL = 0xcf9, RESET_CPU = 0x04 };
enum { PCI_ADDRESS = 0xcf8, PCI_DATA = 0xcfc, PIIX4_PM = 0x80000b00, PIIX4_ID = 0x71138086, PIIX4_PMBA = 0x40 };
enum { FADT_DSDT = 40, FADT_PM1A_EVENT = 56, FADT_PM1A_CONTROL = 64, FADT_PM1B_CONTROL = 68 };
enum { FADT_RESET_SPACE = 116, FADT_RESET_ADDRESS = 120, SPACE_IO = 1 };
#define SLEEP_ENABLE(high) (((high)&0x20) != 0) /* of the control register's second byte */
#define SLEEP_TYPE(high)   ((high) >> 2 & 7u)
#define WAKE_STATUS_BYTE   UINT32_C(0x80)

static struct {
    uint16_t event, control[2], reset;
    unsigned type_s5;
    bool refused;
} power;

/* Reads a little-endian number out of a firmware table; tables beyond the RAM that we know read as 0. */
static uint64_t table_read(uint64_t table, unsigned offset, unsigned bytes)
{
    uint64_t value = 0;

    if (table != 0 && table + offset + bytes <= boot->ram_top)
        memcpy(&value, phys_to_virt(hpa(table + offset)), bytes);
    return value;
}

/* The ACPI table with `signature` that the RSDP's root table lists, or 0. */
static uint64_t find_table(uint64_t rsdp, uint32_t signature)
{
    enum { RSDP_REVISION = 15, RSDP_RSDT = 16, RSDP_XSDT = 24, HEADER_LENGTH = 4, HEADER_SIZE = 36 };
    bool extended = table_read(rsdp, RSDP_REVISION, 1) >= 2;
    uint64_t root = extended ? table_read(rsdp, RSDP_XSDT, 8) : table_read(rsdp, RSDP_RSDT, 4);
    unsigned size = extended ? 8 : 4, length = (unsigned)table_read(root, HEADER_LENGTH, 4);

    for (unsigned at = HEADER_SIZE; at + size <= length; at += size) {
        uint64_t table = table_read(root, at, size);

        if (table_read(table, 0, 4) == signature)
            return table;
    }
    return 0;
}

/* SLP_TYP of S5: the first element of the package behind the name _S5_ (08 "_S5_" 12 length count [0A] value). */
static unsigned find_s5_type(uint64_t dsdt)
{
    enum { NAME_S5 = 0x5f35535f, OP_PACKAGE = 0x12, OP_BYTE = 0x0a, OP_ONE = 1 };
    unsigned length = (unsigned)table_read(dsdt, 4, 4);

    for (unsigned at = 36; at + 12 < length; at++) {
        unsigned value = at + 4;

        if (table_read(dsdt, at, 4) != NAME_S5 || table_read(dsdt, value, 1) != OP_PACKAGE)
            continue;
        value += 2 + (unsigned)(table_read(dsdt, value + 1, 1) >> 6) + 1;
        if (table_read(dsdt, value, 1) == OP_BYTE)
            value++;
        return (unsigned)table_read(dsdt, value, 1) & 7;
    }
    return 0;
}

static uint32_t pci_read(unsigned offset)
{
    hw_out(PCI_ADDRESS, 4, PIIX4_PM | offset);
    return hw_in(PCI_DATA, 4);
}

static void find_ports(void)
{
    enum { FACP = 0x50434146, PM1_CONTROL = 4 };
    uint64_t fadt = find_table(boot->acpi_rsdp, FACP);

    if (fadt != 0) {
        power.event = (uint16_t)table_read(fadt, FADT_PM1A_EVENT, 4);
        power.control[0] = (uint16_t)table_read(fadt, FADT_PM1A_CONTROL, 4);
        power.control[1] = (uint16_t)table_read(fadt, FADT_PM1B_CONTROL, 4);
        power.type_s5 = find_s5_type(table_read(fadt, FADT_DSDT, 4));
        if (table_read(fadt, FADT_RESET_SPACE, 1) == SPACE_IO)
            power.reset = (uint16_t)table_read(fadt, FADT_RESET_ADDRESS, 8);
    } else if (pci_read(0) == PIIX4_ID) {
        power.event = (uint16_t)(pci_read(PIIX4_PMBA) & 0xffc0);
        power.control[0] = power.event != 0 ? power.event + PM1_CONTROL : 0;
    }
}

static void intercept_register(uint16_t port)
{
    if (port == 0)
        return;
    intercepts_add_port(port);
    intercepts_add_port(port + 1);
}

void power_init(void)
{
    find_ports();
    intercept_register(power.control[0]);
    intercept_register(power.control[1]);
    cv_log(LOG_DEBUG, "power: PM1 control %x and %x, S5 type %u, reset %x", power.control[0], power.control[1],
           power.type_s5, power.reset);
}

void power_guard_resets(void)
{
    intercepts_add_port(PORT_KEYBOARD);
    intercepts_add_port(PORT_RESET_CONTROL);
    if (power.reset != 0)
        intercepts_add_port(power.reset);
}

/* True if the write starts a sleep state, of `*type`. */
static bool starts_sleep(uint16_t port, unsigned bytes, uint32_t value, unsigned *type)
{
    for (unsigned i = 0; i < 2; i++) {
        unsigned offset = (unsigned)power.control[i] + 1 - port;

        if (power.control[i] == 0 || offset >= bytes || !SLEEP_ENABLE(value >> (8 * offset)))
            continue;
        *type = SLEEP_TYPE(value >> (8 * offset));
        return true;
    }
    return false;
}

bool power_host_out(uint16_t port, unsigned bytes, uint32_t value)
{
    unsigned type;

    if ((port == PORT_KEYBOARD && (value & 0xff) == COMMAND_RESET) ||
        (port == PORT_RESET_CONTROL && (value & RESET_CPU) != 0) || (port != 0 && port == power.reset)) {
        cv_log(LOG_INFO, "the host resets the machine through port %x", port);
        vm_end_all(VM_STOP_HOST_RESET, true);
    }
    if (!starts_sleep(port, bytes, value, &type))
        return true;
    if (type == power.type_s5) {
        cv_log(LOG_INFO, "the host switches the machine off");
        vm_end_all(VM_STOP_HOST_RESET, true);
        return true;
    }
    cv_log_limited(LOG_INFO, "the host asks for sleep type %u: refused; only power-off and suspend-to-idle are served",
                   type);
    power.refused = true;
    intercept_register(power.event);
    return false;
}

uint32_t power_host_in(uint16_t port, unsigned bytes, uint32_t value)
{
    unsigned offset = (unsigned)power.event + 1 - port; /* WAK_STS is the top bit of the register's second byte */

    if (!power.refused || offset >= bytes)
        return value;
    power.refused = false;
    return value | WAKE_STATUS_BYTE << (8 * offset);
}
