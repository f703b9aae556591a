/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Capability MSRs of processors that the tests pretend to have.
 */
#ifndef TESTS_UNIT_PROCESSORS_H
#define TESTS_UNIT_PROCESSORS_H

#include "nested-vmx/vmx_caps.h"

/* A 5th-generation Core (broadwell_ult of the emulator). */
static inline struct vmx_caps processor_broadwell(void)
{
    return (struct vmx_caps){
        .basic = UINT64_C(0x00d810000000002b),
        .pin = { 0x00000016, 0x0000007f },
        .proc = { 0x04006172, 0xf7f9fffe },
        .secondary = { 0x00000000, 0x00057fff },
        .exit = { 0x00036dfb, 0x007fffff },
        .entry = { 0x000011fb, 0x0000ffff },
        .default_pin = { 0x00000016, 0x0000007f },
        .default_proc = { 0x0401e172, 0xf7f9fffe },
        .default_exit = { 0x00036dff, 0x007fffff },
        .default_entry = { 0x000011ff, 0x0000ffff },
        .misc = 0x200401e0,
        .cr0_fixed0 = 0x80000021,
        .cr0_fixed1 = 0xffffffff,
        .cr4_fixed0 = 0x00002000,
        .cr4_fixed1 = 0x003767ff,
        .vmcs_enum = 0x2e,
        .ept_vpid = UINT64_C(0x00000f0106334141),
    };
}

/* Everything that any processor may have, and more: all optional bits set. */
static inline struct vmx_caps processor_everything(void)
{
    struct vmx_caps caps = processor_broadwell();

    caps.basic |= UINT64_C(0x01ff) << 48;
    caps.pin.may_be_1 = caps.default_pin.may_be_1 = UINT32_MAX;
    caps.proc.may_be_1 = caps.default_proc.may_be_1 = UINT32_MAX;
    caps.secondary.may_be_1 = UINT32_MAX;
    caps.exit.may_be_1 = caps.default_exit.may_be_1 = UINT32_MAX;
    caps.entry.may_be_1 = caps.default_entry.may_be_1 = UINT32_MAX;
    caps.misc = UINT64_MAX & ~(UINT64_C(0x1ff) << 16);
    caps.misc |= UINT64_C(4) << 16;
    caps.cr4_fixed1 = 0x01ff7fff;
    caps.vmcs_enum = 0x3fe;
    caps.ept_vpid = UINT64_MAX;
    return caps;
}

#endif
