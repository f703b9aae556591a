/* SPDX-License-Identifier: GPL-2.0-only */
/* Basic exit reasons that the layer hands on without naming them (SDM "VMX Basic Exit Reasons"). */
#ifndef CVCTL_EXIT_REASONS_H
#define CVCTL_EXIT_REASONS_H

#include "nested-vmx/vmx_bits.h"

enum other_exit_reason {
    EXIT_INVLPG = 14,
    EXIT_RDTSC = 16,
    EXIT_RSM = 17,
    EXIT_MONITOR_TRAP = 37,
    EXIT_ENTRY_MACHINE_CHECK = 41,
    EXIT_TPR = 43,
    EXIT_APIC_ACCESS = 44,
    EXIT_VIRTUAL_EOI = 45,
    EXIT_GDTR_IDTR = 46,
    EXIT_LDTR_TR = 47,
    EXIT_RDTSCP = 51,
    EXIT_APIC_WRITE = 56,
    EXIT_RDRAND = 57,
    EXIT_INVPCID = 58,
    EXIT_VMFUNC = 59,
    EXIT_ENCLS = 60,
    EXIT_RDSEED = 61,
    EXIT_PML_FULL = 62,
    EXIT_XSAVES = 63,
    EXIT_XRSTORS = 64,
    EXIT_UMWAIT = 67,
    EXIT_TPAUSE = 68,
};

#endif
