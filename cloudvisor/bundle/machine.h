/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's machine types as a bundle sees them: where RAM lies, which windows a guest needs, what its ACPI tables say.
 * Facts of QEMU 7.2, read off running machines (info mtree, their own tables).
 */
#ifndef BUNDLE_MACHINE_H
#define BUNDLE_MACHINE_H

#include <stdbool.h>
#include "cloudvisor/bundle/bundle_format.h"

/* virtio-mmio transports of microvm, and the event device that powers it off. Also used by the stub. */
#define MICROVM_VIRTIO_GPA    0xfeb00000u
#define MICROVM_VIRTIO_STRIDE 512u
#define MICROVM_VIRTIO_COUNT  24u
#define MICROVM_GED_GPA       0xfea00000u

#define IOAPIC_GPA            0xfec00000u
#define MICROVM_IOAPIC2_GPA   0xfec10000u
#define HPET_GPA              0xfed00000u
#define POWER_MANAGEMENT_PORT 0x600u /* pc and q35; the stub puts it there */

enum { MACHINE_MMIO_MAX = 4, MACHINE_PORT_MAX = 8 };

struct machine {
    enum bundle_machine id;
    const char *name;
    uint64_t low_max;     /* all RAM is below 4 GiB while it is at most this large ... */
    uint64_t low_if_more; /* ... else this much of it */
    uint32_t ioapic_count;
    bool hardware_reduced; /* as ACPI means it */
    bool pci;
    struct bundle_window mmio[MACHINE_MMIO_MAX]; /* what the policy gets if it names no windows */
    struct bundle_ports ports[MACHINE_PORT_MAX];
};

/* NULL if there is none. */
const struct machine *machine_find(const char *name);
const struct machine *machine_by_id(uint32_t id);

/* Fills `ram` (BUNDLE_RAM_MAX entries) for `memory` bytes, a multiple of the page size; returns how many. */
uint32_t machine_ram(const struct machine *machine, uint64_t memory, struct bundle_window *ram);

#endif
