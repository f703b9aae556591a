/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The part of a DSDT that Linux needs on Bochs' i440fx: the PCI root with its
 * interrupt routing, the serial ports and the sleep states. OVMF publishes no
 * tables there (no fw_cfg), so GRUB hands these over with its acpi command.
 */
DefinitionBlock ("dsdt.aml", "DSDT", 2, "CVTEST", "CVBOCHS ", 1)
{
    /* PM1 control: SLP_TYP 0 is soft-off and 1 is suspend-to-RAM in Bochs' PIIX4 */
    Name (\_S0, Package () { 5, 5, 0, 0 })
    Name (\_S3, Package () { 1, 1, 0, 0 })
    Name (\_S5, Package () { 0, 0, 0, 0 })

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, 0)
            Name (_BBN, 0)
            Name (_CRS, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
                    0, 0, 0xff, 0, 0x100)
                IO (Decode16, 0xcf8, 0xcf8, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0, 0, 0xcf7, 0, 0xcf8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0, 0xd00, 0xffff, 0, 0xf300)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable,
                    ReadWrite, 0, 0xa0000, 0xbffff, 0, 0x20000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable,
                    ReadWrite, 0, 0x80000000, 0xfebfffff, 0, 0x7ec00000)
            })

            /* PIRQ A to D are I/O APIC pins 16 to 19; slots rotate by one */
            Method (_PRT, 0, NotSerialized)
            {
                Return (Package ()
                {
                    Package () { 0x0001ffff, 0, 0, 16 },
                    Package () { 0x0001ffff, 1, 0, 17 },
                    Package () { 0x0001ffff, 2, 0, 18 },
                    Package () { 0x0001ffff, 3, 0, 19 },
                    Package () { 0x0002ffff, 0, 0, 17 },
                    Package () { 0x0002ffff, 1, 0, 18 },
                    Package () { 0x0002ffff, 2, 0, 19 },
                    Package () { 0x0002ffff, 3, 0, 16 },
                    Package () { 0x0003ffff, 0, 0, 18 },
                    Package () { 0x0003ffff, 1, 0, 19 },
                    Package () { 0x0003ffff, 2, 0, 16 },
                    Package () { 0x0003ffff, 3, 0, 17 },
                    Package () { 0x0004ffff, 0, 0, 19 },
                    Package () { 0x0004ffff, 1, 0, 16 },
                    Package () { 0x0004ffff, 2, 0, 17 },
                    Package () { 0x0004ffff, 3, 0, 18 },
                    Package () { 0x0005ffff, 0, 0, 16 },
                    Package () { 0x0005ffff, 1, 0, 17 },
                    Package () { 0x0005ffff, 2, 0, 18 },
                    Package () { 0x0005ffff, 3, 0, 19 },
                })
            }

            Device (ISA)
            {
                Name (_ADR, 0x00010000)

                Device (COM1)
                {
                    Name (_HID, EisaId ("PNP0501"))
                    Name (_UID, 1)
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x3f8, 0x3f8, 0, 8)
                        IRQNoFlags () { 4 }
                    })
                }
            }
        }
    }
}
