/* SPDX-License-Identifier: GPL-2.0-only */
/* Offsets that entry.S needs, turned into a header by the build. */
#include <stddef.h>
#include "cloudvisor/cpu.h"

#define OFFSET(name, member) __asm__("#define " #name " %c0" : : "i"(offsetof(struct cpu, member)))

void asm_offsets(void);
void asm_offsets(void)
{
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
