/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guests of the benchmarks of protected VMs. They run at GA_PROGRAM, report that they are ready, and then repeat
 * one operation, or walk through pages.
 */
#include "untrusted-hypervisor-harness/attacks/guest_layout.h"

    .text

.macro PROGRAM name
    .balign 16
    .globl bench_guest_\name
bench_guest_\name:
    movl $GA_STACK_TOP, %esp
    movl $REPORT_READY, %eax
    movl $PORT_REPORT, %edx
    outl %eax, %dx
.endm
.macro PROGRAM_END name
    .globl bench_guest_\name\()_end
bench_guest_\name\()_end:
.endm

/* ---- One exit after the other ---- */

PROGRAM out
    movl $PORT_DEVICE, %edx
1:  outl %eax, %dx
    jmp 1b
PROGRAM_END out

PROGRAM hlt
1:  hlt
    jmp 1b
PROGRAM_END hlt

PROGRAM wrmsr
    movl $0x808, %ecx /* x2APIC: task priority */
    xorl %eax, %eax
    xorl %edx, %edx
1:  wrmsr
    jmp 1b
PROGRAM_END wrmsr

PROGRAM mmio
    movl $GA_MMIO + 0x10, %edi
1:  movl %eax, (%rdi)
    jmp 1b
PROGRAM_END mmio

/* 256 times CPUID, whoever answers it, and HLT. */
PROGRAM cpuid
1:  movl $256, %ebp
2:  xorl %eax, %eax
    cpuid
    decl %ebp
    jnz 2b
    hlt
    jmp 1b
PROGRAM_END cpuid

/* ---- A page is written, then HLT; the pages lie in parameters[1] steps, from parameters[2] on, parameters[3] times;
        after the last one it begins anew ---- */

PROGRAM walk
1:  movq GA_PARAMETERS + 16, %rdi
    movl GA_PARAMETERS + 24, %ebp
2:  movb $1, (%rdi)
    hlt
    addq GA_PARAMETERS + 8, %rdi
    decl %ebp
    jnz 2b
    jmp 1b
PROGRAM_END walk

    .section .note.GNU-stack, "", @progbits
