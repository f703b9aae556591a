#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
#
# Writes the MADT of a Bochs machine with a given number of CPUs in iasl's data
# table language. Usage: acpi.py CPUS >madt.asl

import sys

HEADER = '''
[0004]                          Signature : "APIC"
[0004]                       Table Length : 00000000
[0001]                           Revision : 01
[0001]                           Checksum : 00
[0006]                             Oem ID : "CVTEST"
[0008]                       Oem Table ID : "CVBOCHS "
[0004]                       Oem Revision : 00000001
[0004]                    Asl Compiler ID : "INTL"
[0004]              Asl Compiler Revision : 00000001
[0004]                 Local Apic Address : FEE00000
[0004]              Flags (decoded below) : 00000001
                      PC-AT Compatibility : 1
'''

LOCAL_APIC = '''
[0001]                      Subtable Type : 00
[0001]                             Length : 08
[0001]                       Processor ID : {0:02X}
[0001]                      Local Apic ID : {0:02X}
[0004]              Flags (decoded below) : 00000001
                        Processor Enabled : 1
                   Runtime Online Capable : 0
'''

IO_APIC = '''
[0001]                      Subtable Type : 01
[0001]                             Length : 0C
[0001]                        I/O Apic ID : {0:02X}
[0001]                           Reserved : 00
[0004]                            Address : FEC00000
[0004]                          Interrupt : 00000000
'''

SOURCE_OVERRIDE = '''
[0001]                      Subtable Type : 02
[0001]                             Length : 0A
[0001]                                Bus : 00
[0001]                             Source : {0:02X}
[0004]                          Interrupt : {1:08X}
[0002]              Flags (decoded below) : {2:04X}
                                 Polarity : {3}
                             Trigger Mode : {4}
'''

ACTIVE_HIGH = 1
LEVEL = 3


def madt(cpu_count):
    """The table's source: CPUs, the I/O APIC, timer on pin 2, SCI by level."""
    parts = [HEADER]
    parts += [LOCAL_APIC.format(cpu) for cpu in range(cpu_count)]
    parts.append(IO_APIC.format(cpu_count))
    parts.append(SOURCE_OVERRIDE.format(0, 2, 0, 0, 0))
    parts.append(SOURCE_OVERRIDE.format(9, 9, 0xd, ACTIVE_HIGH, LEVEL))
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(madt(int(sys.argv[1])))
