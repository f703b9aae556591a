/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The victims: small programs that keep secrets, watch them, and tell what they saw. They run at GA_PROGRAM, as plain
 * VMs and as protected ones, and know nothing of which they are. R8 holds the first secret in most of them.
 */
#include "untrusted-hypervisor-harness/attacks/guest_layout.h"

    .text

.macro PROGRAM name
    .balign 16
    .globl program_\name
program_\name:
.endm
.macro PROGRAM_END name
    .globl program_\name\()_end
program_\name\()_end:
.endm

.macro BEGIN
    movl $GA_STACK_TOP, %esp
    lidt GA_IDT_POINTER
    movabsq $SECRET_KEY, %rax
    movq GA_PARAMETERS, %r8
    xorq %rax, %r8
.endm

/* Clobbers RAX and RDX. */
.macro REPORT code
    movl $\code, %eax
    movl $PORT_REPORT, %edx
    outl %eax, %dx
.endm

/* ---- At GA_COMMON ---- */

PROGRAM common
    movl $0x43560100, %eax
    movl $GA_DESCRIPTOR, %ebx
    movl $4096, %ecx
    vmcall
    movl $PORT_LAUNCH_ERROR, %edx
    outl %eax, %dx
1:  hlt
    jmp 1b

    .org program_common + COMMON_HANDLER
    pushq %rax
    pushq %rbx
    movq 16(%rsp), %rax
    lock incq GA_VARIABLES(,%rax,8)
    cmpl $32, %eax
    jae 2f
    cmpl $13, %eax
    jne 3f
    movq GA_FIXUP, %rbx
    testq %rbx, %rbx
    jz 3f
    movq 32(%rsp), %rax
    movq %rax, GA_FAULT_RIP
    movq %rbx, 32(%rsp)
2:  popq %rbx
    popq %rax
    addq $16, %rsp
    iretq
3:  shll $8, %eax
    orl $REPORT_EXCEPTION, %eax
    movl $PORT_REPORT, %edx
    outl %eax, %dx
4:  hlt
    jmp 4b
PROGRAM_END common

/* ---- Two pages of secrets, checked and changed in each round ---- */

PROGRAM pages
    BEGIN
1:  movl $GA_SECRET, %edi
    call 10f
    movl $GA_SECOND, %edi
    addq $0x200, %r8
    call 10f
    subq $0x200, %r8
    REPORT REPORT_READY
    movl $GA_SECRET, %edi
    call 20f
    movl $GA_SECOND, %edi
    addq $0x200, %r8
    call 20f
    addq $0x200, %r8
    REPORT REPORT_OK
    jmp 1b
10: movl $512, %ecx
    movq %r8, %rax
11: stosq
    incq %rax
    decl %ecx
    jnz 11b
    ret
20: movl $512, %ecx
    movq %r8, %rax
21: cmpq %rax, (%rdi)
    jne 22f
    addq $8, %rdi
    incq %rax
    decl %ecx
    jnz 21b
    ret
22: shll $8, %edi
    movl %edi, %eax
    orl $REPORT_BAD, %eax
    movl $PORT_REPORT, %edx
    outl %eax, %dx
23: hlt
    jmp 23b
PROGRAM_END pages

/* ---- One page of secrets that is written all the time, without an exit in between ---- */

PROGRAM writer
    BEGIN
    xorl %r9d, %r9d
1:  movl $GA_SECRET, %edi
    movl $512, %ecx
    leaq (%r8,%r9), %rax
2:  stosq
    incq %rax
    decl %ecx
    jnz 2b
    movl $GA_SECRET, %edi
    movl $512, %ecx
    leaq (%r8,%r9), %rax
3:  cmpq %rax, (%rdi)
    jne 5f
    addq $8, %rdi
    incq %rax
    decl %ecx
    jnz 3b
    incl %r9d
    testl $7, %r9d
    jnz 1b
    andl $0xfff, %r9d
    REPORT REPORT_OK
    jmp 1b
5:  REPORT REPORT_BAD
    hlt
    jmp 5b
PROGRAM_END writer

/* ---- Events: interrupts allowed if the parameter says so; how many came ---- */

PROGRAM events
    BEGIN
    movl $REPORT_READY, %r10d
1:  cli
    testb $1, GA_PARAMETERS + 8
    jz 2f
    sti
    nop
2:  movl %r10d, %eax
    movl $PORT_REPORT, %edx
    outl %eax, %dx
    nop
    nop
    xorl %r10d, %r10d
    movl $256, %ecx
3:  addq GA_VARIABLES - 8(,%rcx,8), %r10
    decl %ecx
    jnz 3b
    shll $8, %r10d
    orl $REPORT_EVENTS, %r10d
    jmp 1b
PROGRAM_END events

/* ---- An MSR write that the host may answer with #GP ---- */

PROGRAM fault
    BEGIN
    leaq 3f(%rip), %rax
    movq %rax, GA_FIXUP
    REPORT REPORT_READY
1:  movq $0, GA_FAULT_RIP
    movl $0x808, %ecx
    xorl %eax, %eax
    xorl %edx, %edx
2:  wrmsr
    nop
    nop
3:  leaq 2b(%rip), %rax
    cmpq $0, GA_FAULT_RIP
    je 4f
    cmpq %rax, GA_FAULT_RIP
    jne 5f
    REPORT REPORT_GP
    jmp 1b
4:  REPORT REPORT_OK
    jmp 1b
5:  REPORT REPORT_BAD
    hlt
PROGRAM_END fault

/* ---- A clock that must not run backwards ---- */

PROGRAM clock
    BEGIN
    REPORT REPORT_READY
1:  rdtsc
    shlq $32, %rdx
    orq %rdx, %rax
    cmpq %rax, GA_LAST_TSC
    ja 2f
    movq %rax, GA_LAST_TSC
    REPORT REPORT_OK
    jmp 1b
2:  REPORT REPORT_BAD
    hlt
    jmp 2b
PROGRAM_END clock

/* ---- The launch call once more ---- */

PROGRAM again
    BEGIN
    REPORT REPORT_READY
1:  movl $0x43560100, %eax
    movl $GA_DESCRIPTOR, %ebx
    movl $4096, %ecx
    vmcall
    cmpl $65, %eax
    jne 2f
    REPORT REPORT_OK
    jmp 1b
2:  REPORT REPORT_BAD
    hlt
    jmp 2b
PROGRAM_END again

/* ---- A guest that forgot what it shares with the host, and keeps a secret there ---- */

PROGRAM sharing
    BEGIN
    movq %r8, GA_WINDOW + 0x3100
    movq %r8, GA_AP_START + 0x100
    REPORT REPORT_READY
1:  REPORT REPORT_OK
    jmp 1b
PROGRAM_END sharing

/* ---- For a second vmcs12: reads the first secret; makes a launch call; makes an AP's call ---- */

PROGRAM reader
    movl $GA_SECRET, %esi
    movq (%rsi), %rax
    hlt
PROGRAM_END reader

PROGRAM joiner
    movl $0x43560101, %eax
    vmcall
    movl $PORT_LAUNCH_ERROR, %edx
    outl %eax, %dx
    hlt
PROGRAM_END joiner

/* ---- A second vCPU: INIT and SIPI after the first report, then reports for ever ---- */

PROGRAM smp
    BEGIN
    REPORT REPORT_READY
    movl $0x830, %ecx
    movl $1, %edx
    movl $0x4500, %eax
    wrmsr
    movl $1, %edx
    movl $0x4600 | GA_AP_CODE >> 12, %eax
    wrmsr
1:  REPORT REPORT_OK
    movl $0x830, %ecx
    testb $1, GA_PARAMETERS + 8
    jz 1b
    movl $1, %edx
    movl $0x4600 | GA_AP_CODE >> 12, %eax
    wrmsr
    jmp 1b
PROGRAM_END smp

/* At GA_AP_CODE, in real mode: after INIT all registers are 0 but EDX. */
PROGRAM ap
    .code16
    orl %ecx, %ebx
    orl %esi, %ebx
    orl %edi, %ebx
    orl %ebp, %ebx
    orl %ebx, %eax
    jnz 1f
    movw %cs, %ax
    cmpw $GA_AP_CODE >> 4, %ax
    jne 1f
    movl $REPORT_AP, %eax
    jmp 2f
1:  movl $REPORT_BAD, %eax
2:  movw $PORT_REPORT, %dx
    outl %eax, %dx
    movl $REPORT_AP, %eax
    jmp 2b
    .code64
PROGRAM_END ap

/*
 * ---- All registers full of secrets, at every kind of exit ----
 * GA_TABLE holds what they must be: general registers at 0, YMM at 100h, MSRs at 300h, debug registers at 380h.
 */
#define T_YMM 0x100
#define T_MSR 0x300
#define T_DR  0x380
#define FLAGS 0x8d7

/* movq GA_TABLE + 8 * n, %reg and the comparison with it; RSP is apart. */
.macro EACH_GPR op:vararg
    \op GA_TABLE + 0, %rax
    \op GA_TABLE + 8, %rcx
    \op GA_TABLE + 16, %rdx
    \op GA_TABLE + 24, %rbx
    \op GA_TABLE + 40, %rbp
    \op GA_TABLE + 48, %rsi
    \op GA_TABLE + 56, %rdi
    \op GA_TABLE + 64, %r8
    \op GA_TABLE + 72, %r9
    \op GA_TABLE + 80, %r10
    \op GA_TABLE + 88, %r11
    \op GA_TABLE + 96, %r12
    \op GA_TABLE + 104, %r13
    \op GA_TABLE + 112, %r14
    \op GA_TABLE + 120, %r15
.endm

.macro COMPARE memory:req, register:req
    cmpq \memory, \register
    jne state_bad_gpr
.endm

/* Registers that the exit leaves alone: all but those that its kind uses. */
.macro COMPARE_UNUSED
    COMPARE GA_TABLE + 24, %rbx
    COMPARE GA_TABLE + 40, %rbp
    COMPARE GA_TABLE + 48, %rsi
    COMPARE GA_TABLE + 64, %r8
    COMPARE GA_TABLE + 72, %r9
    COMPARE GA_TABLE + 80, %r10
    COMPARE GA_TABLE + 88, %r11
    COMPARE GA_TABLE + 96, %r12
    COMPARE GA_TABLE + 104, %r13
    COMPARE GA_TABLE + 112, %r14
    COMPARE GA_TABLE + 120, %r15
.endm

/* KIND number, flags: then the exit's instruction, then DONE number. */
.macro KIND number
    movl $\number, GA_SCRATCH
    EACH_GPR movq
.endm
.macro FLAGS_SET
    pushq $FLAGS
    popfq
.endm
.macro FLAGS_CHECK
    pushfq
    cmpq $FLAGS, (%rsp)
    leaq 8(%rsp), %rsp
    jne state_bad_rflags
.endm
.macro DONE
    COMPARE_UNUSED
    call state_check
.endm

.macro WRITE_MSR msr, index
    movl $\msr, %ecx
    movl GA_TABLE + T_MSR + 8 * \index, %eax
    movl GA_TABLE + T_MSR + 8 * \index + 4, %edx
    wrmsr
.endm
.macro CHECK_MSR msr, index
    movl $\msr, %ecx
    rdmsr
    cmpl GA_TABLE + T_MSR + 8 * \index, %eax
    jne state_bad_msr
    cmpl GA_TABLE + T_MSR + 8 * \index + 4, %edx
    jne state_bad_msr
.endm
.macro EACH_MSR op
    \op 0xc0000081, 0
    \op 0xc0000082, 1
    \op 0xc0000083, 2
    \op 0xc0000084, 3
    \op 0xc0000100, 4
    \op 0xc0000101, 5
    \op 0xc0000102, 6
    \op 0xc0000103, 7
    \op 0x175, 8
    \op 0x176, 9
.endm

.macro EACH_YMM op
    \op 0
    \op 1
    \op 2
    \op 3
    \op 4
    \op 5
    \op 6
    \op 7
    \op 8
    \op 9
    \op 10
    \op 11
    \op 12
    \op 13
    \op 14
    \op 15
.endm
.macro LOAD_YMM n
    vmovdqu GA_TABLE + T_YMM + 32 * \n, %ymm\n
.endm
.macro CHECK_YMM n
    vmovdqu %ymm\n, GA_SCRATCH + 32
    movl $GA_SCRATCH + 32, %esi
    movl $GA_TABLE + T_YMM + 32 * \n, %edi
    movl $4, %ecx
    repe cmpsq
    jne state_bad_vector
.endm
.macro CHECK_DR n
    movq %dr\n, %rax
    cmpq GA_TABLE + T_DR + 8 * \n, %rax
    jne state_bad_dr
.endm

PROGRAM state
    BEGIN
    /* The table: secrets from 800h, MSRs that take only 32 bits cut to that. */
    movl $GA_TABLE, %edi
    leaq 0x800(%r8), %rax
    movl $T_DR / 8 + 8, %ecx
1:  stosq
    incq %rax
    decl %ecx
    jnz 1b
    movl $0, GA_TABLE + T_MSR + 8 * 3 + 4
    movl $0, GA_TABLE + T_MSR + 8 * 7 + 4
    movq $0x000f0400, GA_TABLE + T_DR + 8 * 7
    movl $0xffff0ff1, %eax
    movq %rax, GA_TABLE + T_DR + 8 * 6

    movq %cr4, %rax
    orq $0x40600, %rax
    movq %rax, %cr4
    movq %rax, GA_SCRATCH + 8
    xorl %ecx, %ecx
    xorl %edx, %edx
    movl $7, %eax
    xsetbv
    EACH_YMM LOAD_YMM
    EACH_MSR WRITE_MSR
    movq GA_TABLE + T_DR + 0, %rax
    movq %rax, %dr0
    movq GA_TABLE + T_DR + 8, %rax
    movq %rax, %dr1
    movq GA_TABLE + T_DR + 16, %rax
    movq %rax, %dr2
    movq GA_TABLE + T_DR + 24, %rax
    movq %rax, %dr3
    movq GA_TABLE + T_DR + 48, %rax
    movq %rax, %dr6
    movq GA_TABLE + T_DR + 56, %rax
    movq %rax, %dr7
    movq GA_TABLE + T_DR + 32, %rax
    movq %rax, %cr2
    movq %cr0, %rax
    movq %rax, GA_SCRATCH + 16
    movl $GA_FRESH, GA_SCRATCH + 24
    REPORT REPORT_READY

state_round:
    KIND 1 /* HLT */
    FLAGS_SET
    hlt
    FLAGS_CHECK
    COMPARE GA_TABLE + 0, %rax
    COMPARE GA_TABLE + 8, %rcx
    COMPARE GA_TABLE + 16, %rdx
    COMPARE GA_TABLE + 56, %rdi
    DONE

    KIND 2 /* OUT; the host may see EAX */
    movl $PORT_DEVICE, %edx
    FLAGS_SET
    outl %eax, %dx
    FLAGS_CHECK
    COMPARE GA_TABLE + 0, %rax
    COMPARE GA_TABLE + 8, %rcx
    cmpq $PORT_DEVICE, %rdx
    jne state_bad_gpr
    COMPARE GA_TABLE + 56, %rdi
    DONE

    KIND 3 /* IN */
    movl $PORT_DEVICE, %edx
    FLAGS_SET
    inl %dx, %eax
    FLAGS_CHECK
    COMPARE GA_TABLE + 8, %rcx
    cmpq $PORT_DEVICE, %rdx
    jne state_bad_gpr
    movl $ANSWER_IN, %edx
    cmpq %rdx, %rax
    jne state_bad_gpr
    COMPARE GA_TABLE + 56, %rdi
    DONE

    KIND 4 /* IN of one byte: the rest of RAX stays */
    movl $PORT_DEVICE, %edx
    FLAGS_SET
    inb %dx, %al
    FLAGS_CHECK
    COMPARE GA_TABLE + 8, %rcx
    movq GA_TABLE + 0, %rdx
    movb $(ANSWER_IN & 0xff), %dl
    cmpq %rdx, %rax
    jne state_bad_gpr
    COMPARE GA_TABLE + 56, %rdi
    DONE

    KIND 5 /* WRMSR: the x2APIC's task priority */
    movl $0x808, %ecx
    movl $0x20, %eax
    xorl %edx, %edx
    FLAGS_SET
    wrmsr
    FLAGS_CHECK
    cmpq $0x20, %rax
    jne state_bad_gpr
    cmpq $0x808, %rcx
    jne state_bad_gpr
    testq %rdx, %rdx
    jnz state_bad_gpr
    COMPARE GA_TABLE + 56, %rdi
    DONE

    KIND 6 /* RDMSR: its identifier */
    movl $0x802, %ecx
    FLAGS_SET
    rdmsr
    FLAGS_CHECK
    cmpq $ANSWER_LOW, %rax
    jne state_bad_gpr
    cmpq $0x802, %rcx
    jne state_bad_gpr
    cmpq $ANSWER_HIGH, %rdx
    jne state_bad_gpr
    COMPARE GA_TABLE + 56, %rdi
    DONE

    KIND 7 /* a store to a device: the host may see 4 bytes of RAX */
    movl $GA_MMIO + 0x10, %edi
    FLAGS_SET
    movl %eax, (%rdi)
    FLAGS_CHECK
    COMPARE GA_TABLE + 0, %rax
    COMPARE GA_TABLE + 8, %rcx
    COMPARE GA_TABLE + 16, %rdx
    cmpq $GA_MMIO + 0x10, %rdi
    jne state_bad_gpr
    DONE

    KIND 8 /* a load from it */
    movl $GA_MMIO + 0x10, %edi
    FLAGS_SET
    movl (%rdi), %eax
    FLAGS_CHECK
    cmpq $ANSWER_LOAD, %rax
    jne state_bad_gpr
    COMPARE GA_TABLE + 8, %rcx
    COMPARE GA_TABLE + 16, %rdx
    cmpq $GA_MMIO + 0x10, %rdi
    jne state_bad_gpr
    DONE

    KIND 9 /* PAUSE */
    FLAGS_SET
    pause
    FLAGS_CHECK
    COMPARE GA_TABLE + 0, %rax
    COMPARE GA_TABLE + 8, %rcx
    COMPARE GA_TABLE + 16, %rdx
    COMPARE GA_TABLE + 56, %rdi
    DONE

    KIND 10 /* a page never touched before, while there are any */
    movl GA_SCRATCH + 24, %edi
    FLAGS_SET
    movq (%rdi), %rax
    FLAGS_CHECK
    testq %rax, %rax
    jnz state_bad_gpr
    COMPARE GA_TABLE + 8, %rcx
    COMPARE GA_TABLE + 16, %rdx
    DONE
    movl GA_SCRATCH + 24, %edi
    addl $0x1000, %edi
    cmpl $GA_STACK_TOP - 0x1000, %edi
    je 1f
    movl %edi, GA_SCRATCH + 24
1:
    KIND 11 /* CPUID, which the host sees in plain VMs only */
    xorl %eax, %eax
    cpuid
    COMPARE GA_TABLE + 40, %rbp
    COMPARE GA_TABLE + 64, %r8
    COMPARE GA_TABLE + 120, %r15
    call state_check

    KIND 12 /* as long as the preemption timer runs */
    movl $120000, %ecx
1:  decl %ecx
    jnz 1b
    COMPARE GA_TABLE + 0, %rax
    COMPARE GA_TABLE + 16, %rdx
    COMPARE GA_TABLE + 56, %rdi
    DONE

    REPORT REPORT_OK
    jmp state_round

/* All the rest of the state, general registers are free. */
state_check:
    cmpl $GA_STACK_TOP - 8, %esp
    jne state_bad_rsp
    EACH_YMM CHECK_YMM
    EACH_MSR CHECK_MSR
    CHECK_DR 0
    CHECK_DR 1
    CHECK_DR 2
    CHECK_DR 3
    CHECK_DR 6
    CHECK_DR 7
    movq %cr2, %rax
    cmpq GA_TABLE + T_DR + 32, %rax
    jne state_bad_cr
    movq %cr0, %rax
    cmpq GA_SCRATCH + 16, %rax
    jne state_bad_cr
    movq %cr3, %rax
    cmpq $GA_PML4, %rax
    jne state_bad_cr
    movq %cr4, %rax
    cmpq GA_SCRATCH + 8, %rax
    jne state_bad_cr
    xorl %ecx, %ecx
    xgetbv
    cmpl $7, %eax
    jne state_bad_cr
    sgdt GA_SCRATCH + 32
    cmpq $GA_GDT, GA_SCRATCH + 34
    jne state_bad_segment
    sidt GA_SCRATCH + 32
    cmpq $GA_IDT, GA_SCRATCH + 34
    jne state_bad_segment
    movl %cs, %eax
    cmpl $0x10, %eax
    jne state_bad_segment
    movl %ss, %eax
    cmpl $0x18, %eax
    jne state_bad_segment
    movl %ds, %eax
    cmpl $0x18, %eax
    jne state_bad_segment
    movl %es, %eax
    cmpl $0x18, %eax
    jne state_bad_segment
    sldt %eax
    testl %eax, %eax
    jnz state_bad_segment
    str %eax
    testl %eax, %eax
    jnz state_bad_segment
    ret

.macro STATE_BAD name, what
state_bad_\name:
    movl $\what, %eax
    jmp state_bad
.endm
    STATE_BAD gpr, BAD_GPR
    STATE_BAD rflags, BAD_RFLAGS
    STATE_BAD rsp, BAD_RSP
    STATE_BAD vector, BAD_VECTOR
    STATE_BAD msr, BAD_MSR
    STATE_BAD dr, BAD_DR
    STATE_BAD cr, BAD_CR
    STATE_BAD segment, BAD_SEGMENT
state_bad:
    shll $8, %eax
    movb GA_SCRATCH, %al
    shll $8, %eax
    orl $REPORT_BAD, %eax
    movl $PORT_REPORT, %edx
    outl %eax, %dx
1:  hlt
    jmp 1b
PROGRAM_END state

    .section .note.GNU-stack, "", @progbits
