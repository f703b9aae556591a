/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entry stubs of the IDT and the non-local return of try_run(). See traps.h.
 */
#include "untrusted-hypervisor-harness/core/layout.h"

    .text
    .balign 16
    .globl trap_stubs
trap_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    /* Vectors 8, 10 to 14, 17, 21, 29 and 30 push an error code themselves. */
    .if !((0x60227d00 >> (vector & 31)) & 1) || (vector > 31)
    pushq $0
    .endif
    pushq $vector
    jmp trap_common
    .set vector, vector + 1
    .endr
    .balign 16

/* Stack: vector, error code, RIP, CS, RFLAGS, RSP, SS. */
trap_common:
    cld
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, %rdi
    movq %rsp, %rsi
    andq $-CPU_BLOCK_SIZE, %rsi
    movq %rsp, %rbx
    andq $-16, %rsp
    call trap_entry
    movq %rbx, %rsp
    testq %rax, %rax
    jnz trap_unwind
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq

/* RAX = stack pointer of the try_run() to return from. */
trap_unwind:
    movl $SELECTOR_DATA, %ecx
    movl %ecx, %ss
    movl %ecx, %ds
    movl %ecx, %es
    movq %rax, %rsp
    xorl %eax, %eax
    jmp try_leave

/* bool try_begin(struct cpu *cpu, void (*body)(void *), void *argument) */
    .globl try_begin
try_begin:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdi
    movq %rsp, CPU_TRY_RSP_OFFSET(%rdi)
    movq %rdx, %rdi
    call *%rsi
    movl $1, %eax
try_leave:
    popq %rdi
    movq $0, CPU_TRY_RSP_OFFSET(%rdi)
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

/* void run_on_stack(uint64_t stack_top, void (*body)(void *), void *argument) */
    .globl run_on_stack
run_on_stack:
    pushq %rbp
    movq %rsp, %rbp
    movq %rdi, %rsp
    movq %rdx, %rdi
    call *%rsi
    movq %rbp, %rsp
    popq %rbp
    ret

    .section .note.GNU-stack, "", @progbits
