/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DSDT for QEMU's microvm: 24 virtio-mmio transports on the second I/O APIC's pins, whether or not a device is
 * behind them, and the event device's power button. Hardware-reduced ACPI.
 */
#define TRANSPORT(name, uid, offset, gsi) \
    Device (name) \
    { \
        Name (_HID, "LNRO0005") \
        Name (_UID, uid) \
        Name (_CCA, 1) \
        Name (_CRS, ResourceTemplate () \
        { \
            Memory32Fixed (ReadWrite, 0xFEB0##offset, 0x200) \
            Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive) { gsi } \
        }) \
    }

DefinitionBlock ("", "DSDT", 2, "CLDVSR", "CVMICRO", 1)
{
    Scope (\_SB)
    {
        TRANSPORT (VR00, 0, 0000, 24)
        TRANSPORT (VR01, 1, 0200, 25)
        TRANSPORT (VR02, 2, 0400, 26)
        TRANSPORT (VR03, 3, 0600, 27)
        TRANSPORT (VR04, 4, 0800, 28)
        TRANSPORT (VR05, 5, 0A00, 29)
        TRANSPORT (VR06, 6, 0C00, 30)
        TRANSPORT (VR07, 7, 0E00, 31)
        TRANSPORT (VR08, 8, 1000, 32)
        TRANSPORT (VR09, 9, 1200, 33)
        TRANSPORT (VR10, 10, 1400, 34)
        TRANSPORT (VR11, 11, 1600, 35)
        TRANSPORT (VR12, 12, 1800, 36)
        TRANSPORT (VR13, 13, 1A00, 37)
        TRANSPORT (VR14, 14, 1C00, 38)
        TRANSPORT (VR15, 15, 1E00, 39)
        TRANSPORT (VR16, 16, 2000, 40)
        TRANSPORT (VR17, 17, 2200, 41)
        TRANSPORT (VR18, 18, 2400, 42)
        TRANSPORT (VR19, 19, 2600, 43)
        TRANSPORT (VR20, 20, 2800, 44)
        TRANSPORT (VR21, 21, 2A00, 45)
        TRANSPORT (VR22, 22, 2C00, 46)
        TRANSPORT (VR23, 23, 2E00, 47)
        Device (PWRB)
        {
            Name (_HID, "PNP0C0C")
            Name (_UID, 0)
        }
        Device (GED)
        {
            Name (_HID, "ACPI0013")
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 9 }
            })
            OperationRegion (EVNT, SystemMemory, 0xFEA00000, 4)
            Field (EVNT, DWordAcc, NoLock, Preserve)
            {
                SLCT, 32
            }
            Method (_EVT, 1, Serialized)
            {
                Local0 = SLCT
                If (Local0 & 2)
                {
                    Notify (PWRB, 0x80)
                }
            }
        }
#include "common.asi"
    }
    Name (\_S5, Package () { 5, 0, 0, 0 })
}
