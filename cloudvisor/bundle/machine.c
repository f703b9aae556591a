/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The machine types. The first megabyte counts as RAM only up to A0000h: above it lie VGA memory and ROMs, which the
 * host can't back with writable memory.
 */
#include <string.h>
#include "cloudvisor/bundle/machine.h"

#define GIB (1ull << 30)

static const struct machine machines[] = {
    { .id = BUNDLE_MICROVM,
      .name = "microvm",
      .low_max = 0xc0000000,
      .low_if_more = 0xc0000000,
      .ioapic_count = 2,
      .hardware_reduced = true,
      .mmio = { { MICROVM_GED_GPA, 1 },
                { MICROVM_VIRTIO_GPA, MICROVM_VIRTIO_COUNT *MICROVM_VIRTIO_STRIDE / BUNDLE_PAGE_SIZE },
                { IOAPIC_GPA, 1 },
                { MICROVM_IOAPIC2_GPA, 1 } } },
    { .id = BUNDLE_PC,
      .name = "pc",
      .low_max = 0xe0000000 - BUNDLE_PAGE_SIZE,
      .low_if_more = 0xc0000000,
      .ioapic_count = 1,
      .pci = true,
      .mmio = { { 0xe0000000, 0x1ec00 }, { IOAPIC_GPA, 1 } },
      .ports = { { POWER_MANAGEMENT_PORT, POWER_MANAGEMENT_PORT + 0x3f }, { 0xcf8, 0xcff }, { 0xc000, 0xffff } } },
    { .id = BUNDLE_Q35,
      .name = "q35",
      .low_max = 0xb0000000 - BUNDLE_PAGE_SIZE,
      .low_if_more = 0x80000000,
      .ioapic_count = 1,
      .pci = true,
      .mmio = { { 0xc0000000, 0x3ec00 }, { IOAPIC_GPA, 1 } },
      .ports = { { POWER_MANAGEMENT_PORT, POWER_MANAGEMENT_PORT + 0x7f }, { 0xcf8, 0xcff }, { 0xc000, 0xffff } } },
};

enum { MACHINE_COUNT = sizeof(machines) / sizeof(machines[0]) };

const struct machine *machine_find(const char *name)
{
    for (uint32_t i = 0; i < MACHINE_COUNT; i++)
        if (!strcmp(machines[i].name, name))
            return &machines[i];
    return NULL;
}

const struct machine *machine_by_id(uint32_t id)
{
    for (uint32_t i = 0; i < MACHINE_COUNT; i++)
        if (machines[i].id == id)
            return &machines[i];
    return NULL;
}

uint32_t machine_ram(const struct machine *machine, uint64_t memory, struct bundle_window *ram)
{
    const uint64_t hole = 0xa0000, low_end = 0x100000;
    uint64_t low = memory <= machine->low_max ? memory : machine->low_if_more;

    ram[0] = (struct bundle_window){ 0, hole / BUNDLE_PAGE_SIZE };
    ram[1] = (struct bundle_window){ low_end, (low - low_end) / BUNDLE_PAGE_SIZE };
    if (low == memory)
        return 2;
    ram[2] = (struct bundle_window){ 4 * GIB, (memory - low) / BUNDLE_PAGE_SIZE };
    return 3;
}
