/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DSDT for QEMU's q35: a PCI Express root without memory-mapped configuration space (the policy would have to open
 * 256 MiB for it). Slots 0 to 24 use lines E to H, I/O APIC pins 20 to 23; slots 25 to 31 lines A to D, pins 16 to 19,
 * but for slot 30, whose pins are lines E to H in order.
 */
#include "pci.asi"
#define GSI0 20
#define GSI1 21
#define GSI2 22
#define GSI3 23
#define MEMORY_FIRST 0xC0000000
#define MEMORY_LAST  0xFEBFFFFF
#define MEMORY_SIZE  0x3EC00000

DefinitionBlock ("", "DSDT", 2, "CLDVSR", "CVQ35", 1)
{
    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EISAID ("PNP0A08"))
            Name (_CID, EISAID ("PNP0A03"))
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                PCI_WINDOWS
            })
            Name (_PRT, Package ()
            {
                SLOT0 (0000), SLOT1 (0001), SLOT2 (0002), SLOT3 (0003), SLOT0 (0004), SLOT1 (0005), SLOT2 (0006),
                SLOT3 (0007), SLOT0 (0008), SLOT1 (0009), SLOT2 (000A), SLOT3 (000B), SLOT0 (000C), SLOT1 (000D),
                SLOT2 (000E), SLOT3 (000F), SLOT0 (0010), SLOT1 (0011), SLOT2 (0012), SLOT3 (0013), SLOT0 (0014),
                SLOT1 (0015), SLOT2 (0016), SLOT3 (0017), SLOT0 (0018), SLOT (0019, 16, 17, 18, 19),
                SLOT (001A, 16, 17, 18, 19), SLOT (001B, 16, 17, 18, 19), SLOT (001C, 16, 17, 18, 19),
                SLOT (001D, 16, 17, 18, 19), SLOT0 (001E), SLOT (001F, 16, 17, 18, 19)
            })
        }
#include "common.asi"
    }
    Name (\_S5, Package () { 0, 0, 0, 0 })
}
