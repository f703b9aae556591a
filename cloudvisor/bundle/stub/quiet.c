/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stops interrupt sources and devices that the firmware used: 8259s, I/O APICs, PIT, RTC, HPET, virtio. Ports and
 * addresses without a device swallow the writes.
 */
#include "cloudvisor/bundle/machine.h"
#include "cloudvisor/bundle/stub/stub.h"

#define PIC1        0x20
#define PIC2        0xa0
#define PIT_CONTROL 0x43
#define SPEAKER     0x61
#define CMOS_INDEX  0x70
#define CMOS_DATA   0x71
#define CMOS_B      0x0b
#define CMOS_C      0x0c

#define VIRTIO_MAGIC 0x74726976u

/* Initialised anew, which empties their request and service registers, at vectors 20h and 28h; then all masked. */
static void quiet_pics(void)
{
    outb(PIC1, 0x11);
    outb(PIC2, 0x11);
    outb(PIC1 + 1, 0x20);
    outb(PIC2 + 1, 0x28);
    outb(PIC1 + 1, 4);
    outb(PIC2 + 1, 2);
    outb(PIC1 + 1, 1);
    outb(PIC2 + 1, 1);
    outb(PIC1 + 1, 0xff);
    outb(PIC2 + 1, 0xff);
}

static void quiet_ioapic(uint64_t gpa)
{
    uint32_t last;

    mmio_write(gpa, 1);
    last = (mmio_read(gpa + 0x10) >> 16) & 0xff;
    for (uint32_t pin = 0; pin <= last && pin < 120; pin++) {
        mmio_write(gpa, 0x10 + 2 * pin);
        mmio_write(gpa + 0x10, 1u << 16);
    }
}

static void quiet_timers(void)
{
    outb(PIT_CONTROL, 0x30); /* channels wait for a count that never comes */
    outb(PIT_CONTROL, 0xb0);
    outb(SPEAKER, inb(SPEAKER) & 0xfc);
    outb(CMOS_INDEX, CMOS_B);
    outb(CMOS_DATA, 0x02); /* 24 hours, no interrupts */
    outb(CMOS_INDEX, CMOS_C);
    inb(CMOS_DATA);
}

static void quiet_hpet(void)
{
    uint32_t id = mmio_read(HPET_GPA);

    if (id && id != ~0u)
        mmio_write(HPET_GPA + 0x10, 0);
}

static void quiet_virtio_mmio(void)
{
    for (uint64_t i = 0; i < MICROVM_VIRTIO_COUNT; i++) {
        uint64_t gpa = MICROVM_VIRTIO_GPA + i * MICROVM_VIRTIO_STRIDE;

        if (mmio_read(gpa) == VIRTIO_MAGIC)
            mmio_write(gpa + 0x70, 0); /* status */
    }
}

void quiet_devices(uint32_t machine)
{
    quiet_pics();
    quiet_timers();
    if (machine == BUNDLE_MICROVM) {
        quiet_virtio_mmio();
        quiet_ioapic(MICROVM_IOAPIC2_GPA);
    } else {
        quiet_hpet();
        pci_quiet(machine);
    }
    quiet_ioapic(IOAPIC_GPA);
}
