/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers that C and assembly share. C checks each of them against its structures with static asserts.
 */
#ifndef HARNESS_LAYOUT_H
#define HARNESS_LAYOUT_H

/*
 * One block of CPU_BLOCK_SIZE bytes per processor, aligned to its size, so that any stack pointer in it leads to its
 * start:   struct cpu | stack for exceptions (IST1) | stack for VM exits | main stack
 */
#define CPU_BLOCK_SIZE     0x10000
#define CPU_TRAP_STACK_TOP 0x4000
#define CPU_EXIT_STACK_TOP 0x5000 /* HOST_RSP; the word there points to the struct vcpu that runs */
#define CPU_MAIN_STACK_TOP 0x10000

#define CPU_TRY_RSP_OFFSET 8 /* struct cpu */

#define SELECTOR_CODE64     0x08
#define SELECTOR_DATA       0x10
#define SELECTOR_CODE32     0x18
#define SELECTOR_USER_DATA  0x23
#define SELECTOR_USER_CODE  0x2b
#define SELECTOR_TSS        0x30
#define SELECTOR_CODE64_ALT 0x48 /* the same as CODE64 and DATA: other legal values for host selectors */
#define SELECTOR_DATA_ALT   0x50

/* struct vcpu: RAX, RCX, RDX, RBX, (RSP unused), RBP, RSI, RDI, R8 to R15, then these. */
#define VCPU_HOST_RSP  128
#define VCPU_EXIT_SLOT 136
#define VCPU_RFLAGS    144

#endif
