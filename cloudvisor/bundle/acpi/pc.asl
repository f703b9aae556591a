/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DSDT for QEMU's pc: a PCI root whose interrupt lines A to D the stub routes to ISA interrupts 10, 10, 11, 11; slot 1
 * has line A at its first pin, slot 0 line D. Power-off by PM1.
 */
#include "pci.asi"
#define GSI0 11
#define GSI1 10
#define GSI2 10
#define GSI3 11
#define MEMORY_FIRST 0xE0000000
#define MEMORY_LAST  0xFEBFFFFF
#define MEMORY_SIZE  0x1EC00000

DefinitionBlock ("", "DSDT", 2, "CLDVSR", "CVPC", 1)
{
    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EISAID ("PNP0A03"))
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
                SLOT1 (0015), SLOT2 (0016), SLOT3 (0017), SLOT0 (0018), SLOT1 (0019), SLOT2 (001A), SLOT3 (001B),
                SLOT0 (001C), SLOT1 (001D), SLOT2 (001E), SLOT3 (001F)
            })
        }
#include "common.asi"
    }
    Name (\_S5, Package () { 0, 0, 0, 0 })
}
