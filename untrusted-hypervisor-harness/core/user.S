/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Code that leaves 64-bit ring 0 for one instruction. It is meant to fault: try_run() brings the CPU back.
 */
#include "untrusted-hypervisor-harness/core/layout.h"

    .text
/* void run_in_user(uint64_t code, uint64_t stack_top, uint64_t rax) */
    .globl run_in_user
run_in_user:
    movq %rdx, %rax
    pushq $SELECTOR_USER_DATA
    pushq %rsi
    pushq $0x2
    pushq $SELECTOR_USER_CODE
    pushq %rdi
    iretq

/* void run_in_compatibility_mode(uint64_t code): code below 4 GiB, ring 0, on the caller's stack */
    .globl run_in_compatibility_mode
run_in_compatibility_mode:
    pushq $SELECTOR_CODE32
    pushq %rdi
    lretq

    .section .note.GNU-stack, "", @progbits
