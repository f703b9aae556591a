/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VM entry, and the way back from VM exits. See vcpu.h.
 */
#include "untrusted-hypervisor-harness/core/layout.h"

#define RAX 0
#define RCX 8
#define RDX 16
#define RBX 24
#define RBP 40
#define RSI 48
#define RDI 56
#define R8  64

    .text

/* bool vcpu_enter(struct vcpu *v, bool resume): true after a VM exit, false if the entry failed without one. */
    .globl vcpu_enter
vcpu_enter:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdi
    movq %rsp, VCPU_HOST_RSP(%rdi)
    movq VCPU_EXIT_SLOT(%rdi), %rax
    movq %rdi, (%rax)
    testl %esi, %esi
    movq RAX(%rdi), %rax
    movq RCX(%rdi), %rcx
    movq RDX(%rdi), %rdx
    movq RBX(%rdi), %rbx
    movq RBP(%rdi), %rbp
    movq RSI(%rdi), %rsi
    movq R8(%rdi), %r8
    movq R8+8(%rdi), %r9
    movq R8+16(%rdi), %r10
    movq R8+24(%rdi), %r11
    movq R8+32(%rdi), %r12
    movq R8+40(%rdi), %r13
    movq R8+48(%rdi), %r14
    movq R8+56(%rdi), %r15
    movq RDI(%rdi), %rdi
    jnz 1f
    vmlaunch
    jmp 2f
1:  vmresume
2:  pushfq
    movq 8(%rsp), %rdi
    popq VCPU_RFLAGS(%rdi)
    xorl %eax, %eax
    jmp vcpu_leave

/* HOST_RIP. The word at HOST_RSP is the vcpu. */
    .globl vcpu_exit
vcpu_exit:
    xchgq %rdi, (%rsp)
    movq %rax, RAX(%rdi)
    movq %rcx, RCX(%rdi)
    movq %rdx, RDX(%rdi)
    movq %rbx, RBX(%rdi)
    movq %rbp, RBP(%rdi)
    movq %rsi, RSI(%rdi)
    movq %r8, R8(%rdi)
    movq %r9, R8+8(%rdi)
    movq %r10, R8+16(%rdi)
    movq %r11, R8+24(%rdi)
    movq %r12, R8+32(%rdi)
    movq %r13, R8+40(%rdi)
    movq %r14, R8+48(%rdi)
    movq %r15, R8+56(%rdi)
    movq (%rsp), %rax
    movq %rax, RDI(%rdi)
    movq VCPU_HOST_RSP(%rdi), %rsp
    movl $1, %eax
vcpu_leave:
    popq %rdi
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

    .section .note.GNU-stack, "", @progbits
