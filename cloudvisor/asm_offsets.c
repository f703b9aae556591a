/* SPDX-License-Identifier: GPL-2.0-only */
/* Offsets that entry.S needs, turned into a header by the build. */
#include <stddef.h>
#include "cloudvisor/cpu.h"

#define VALUE(name, value)   __asm__("#define " #name " %c0" : : "i"(value))
#define OFFSET(name, member) VALUE(name, offsetof(struct cpu, member))

_Static_assert(offsetof(struct cpu, self) == 0, "%gs:0");
_Static_assert(offsetof(struct cpu, stack_top) == offsetof(struct cpu, gpr) + 8 * GPR_COUNT, "RSP at a VM exit");

void asm_offsets(void);
void asm_offsets(void)
{
    VALUE(BOOT_REGION_BASE, offsetof(struct boot_info, region_base));
    VALUE(BOOT_ROOT_CR3, offsetof(struct boot_info, root_cr3));
    OFFSET(CPU_GPR, gpr);
    OFFSET(CPU_STACK_TOP, stack_top);
    OFFSET(CPU_ATTENTION, attention);
    OFFSET(CPU_LAUNCH, launch);
    OFFSET(CPU_EXIT_TSC, exit_tsc);
    OFFSET(CPU_IN_GUEST, in_guest);
    OFFSET(CPU_KICK_PENDING, kick_pending);
    OFFSET(CPU_HOST_NMI, host_nmi);
    OFFSET(CPU_ROOT_TICKS, stats[STAT_root_ticks]);
    OFFSET(CPU_ENTRIES, stats[STAT_entries]);
}
