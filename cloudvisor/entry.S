/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The layer's assembly: image header, the entry that the loader calls on each CPU, the way into root mode on a VM
 * exit and back, and the exception entries of root mode. The host's registers are untrusted data here.
 */
#include "asm_offsets.h"

#define LAYER_IMAGE_MAGIC 0x524559414c564330
#define LAYER_VA 0xffffff8000000000

/* boot_info.h offsets, checked by static asserts in cpu.c. */
#define BOOT_REGION_BASE 8
#define BOOT_ROOT_CR3 32
#define MSR_EFER 0xc0000080
#define EFER_NXE 0x800

    .section .head, "ax"
    .globl layer_header
layer_header:
    .quad LAYER_IMAGE_MAGIC
    .quad layer_entry - layer_header
    .quad layer_text_size
    .quad layer_rodata_size
    .quad layer_file_size
    .quad layer_memory_size

/*
 * uint64_t layer_entry(boot_info_pa, cpu_index), called at its physical address on the firmware's page tables.
 * The caller's state is pushed on the caller's stack; cpu_demote makes the processor continue there in non-root mode.
 */
    .globl layer_entry
layer_entry:
    pushfq
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    cli
    mov %cr3, %r12
    mov %rsp, %r13
    mov $MSR_EFER, %ecx /* the tables below use the execute-disable bit */
    rdmsr
    or $EFER_NXE, %eax
    wrmsr
    mov BOOT_ROOT_CR3(%rdi), %rax
    mov BOOT_REGION_BASE(%rdi), %r14
    mov %rax, %cr3
    movabs $1f, %rax
    jmp *%rax
1:  /* now at LAYER_VA on the layer's page tables */
    lea boot_stack_end(%rip), %rsp
    mov %r13, %rdx
    mov %r12, %rcx
    call cpu_demote
    /* Demotion failed: return to the caller as if nothing had happened. */
    lea 2f(%rip), %rdx
    movabs $LAYER_VA, %rcx
    sub %rcx, %rdx
    add %r14, %rdx
    jmp *%rdx
2:  mov %r12, %cr3
    mov %r13, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    popfq
    ret

/* General registers in the order of cpu->gpr; `rsp_slot` fills the place of RSP, which is not restored. */
    .macro push_gprs rsp_slot
    push %r15
    push %r14
    push %r13
    push %r12
    push %r11
    push %r10
    push %r9
    push %r8
    push %rdi
    push %rsi
    push %rbp
    push \rsp_slot
    push %rbx
    push %rdx
    push %rcx
    push %rax
    .endm

    .macro pop_gprs
    pop %rax
    pop %rcx
    pop %rdx
    pop %rbx
    pop %rbp
    pop %rbp
    pop %rsi
    pop %rdi
    pop %r8
    pop %r9
    pop %r10
    pop %r11
    pop %r12
    pop %r13
    pop %r14
    pop %r15
    .endm

    .text
/* A VM exit lands here with RSP behind cpu->gpr, so that the pushes fill it. */
    .globl vmexit_entry
    .p2align 4
vmexit_entry:
    push_gprs %rax
    mov %gs:0, %rbx
    mov CPU_STACK_TOP(%rbx), %rsp
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    mov %rax, CPU_EXIT_TSC(%rbx)
    incq CPU_ENTRIES(%rbx)
    movl $0, CPU_IN_GUEST(%rbx)
    mov %rbx, %rdi
    call exit_handle
    .globl vm_enter
vm_enter:
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    sub CPU_EXIT_TSC(%rbx), %rax
    add %rax, CPU_ROOT_TICKS(%rbx)
    movl $1, %eax
    xchg %eax, CPU_IN_GUEST(%rbx) /* a full barrier: the flag is out before attention is read */
enter_window:
    cmpl $0, CPU_ATTENTION(%rbx)
    jne serve_requests
    cmpl $0, CPU_LAUNCH(%rbx)
    lea CPU_GPR(%rbx), %rsp
    pop_gprs
    jne 1f
    vmresume
    jmp 2f
1:  vmlaunch
enter_window_end:
2:  /* VMfail: the host's registers are still in cpu->gpr */
    mov %gs:0, %rbx
    mov CPU_STACK_TOP(%rbx), %rsp
    movl $0, CPU_IN_GUEST(%rbx)
    mov %rbx, %rdi
    call entry_failed
    jmp vm_enter

serve_requests:
    mov %gs:0, %rbx
    mov CPU_STACK_TOP(%rbx), %rsp
    movl $0, CPU_IN_GUEST(%rbx)
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    mov %rax, CPU_EXIT_TSC(%rbx)
    mov %rbx, %rdi
    call cpu_serve_requests
    jmp vm_enter

/* void cpu_enter_first(struct cpu *): the first entry after demotion. */
    .globl cpu_enter_first
cpu_enter_first:
    mov %rdi, %rbx
    mov CPU_STACK_TOP(%rbx), %rsp
    jmp vm_enter

/* void cpu_park(struct cpu *) */
    .globl cpu_park
cpu_park:
    cmpl $0, CPU_ATTENTION(%rdi)
    jne park_end
    hlt
park_end:
    ret

/* void cpu_unblock_nmis(void): an IRET to the caller. */
    .globl cpu_unblock_nmis
cpu_unblock_nmis:
    pop %rax
    mov %rsp, %rdx
    pushq $0x10
    push %rdx
    pushfq
    pushq $0x08
    push %rax
    iretq

/*
 * An NMI in root mode is a kick or one meant for the host. In the windows where the check of `attention` is behind
 * us, the interrupted RIP is moved so that the check is made again.
 */
    .globl nmi_entry
nmi_entry:
    push %rax
    push %rdx
    mov %gs:0, %rdx
    xor %eax, %eax
    xchg %eax, CPU_KICK_PENDING(%rdx)
    test %eax, %eax
    jnz 1f
    movl $1, CPU_HOST_NMI(%rdx)
    movl $1, CPU_ATTENTION(%rdx)
1:  mov 16(%rsp), %rax
    lea enter_window(%rip), %rdx
    cmp %rdx, %rax
    jb 2f
    lea enter_window_end(%rip), %rdx
    cmp %rdx, %rax
    ja 2f
    lea serve_requests(%rip), %rdx
    mov %rdx, 16(%rsp)
2:  lea cpu_park(%rip), %rdx
    cmp %rdx, %rax
    jb 3f
    lea park_end(%rip), %rdx
    cmp %rdx, %rax
    jae 3f
    mov %rdx, 16(%rsp)
3:  pop %rdx
    pop %rax
    iretq

/* Every other exception: #GP at a fixup goes on there, anything else is a panic with the registers. */
    .macro exception vector, has_error
exception_\vector:
    .if \has_error == 0
    pushq $0
    .endif
    pushq $\vector
    jmp exception_common
    .endm
    exception 0, 0
    exception 1, 0
    exception 3, 0
    exception 4, 0
    exception 5, 0
    exception 6, 0
    exception 7, 0
    exception 8, 1
    exception 9, 0
    exception 10, 1
    exception 11, 1
    exception 12, 1
    exception 13, 1
    exception 14, 1
    exception 16, 0
    exception 17, 1
    exception 18, 0
    exception 19, 0
    exception 20, 0
    exception 21, 1

exception_common:
    push_gprs %rsp
    mov %rsp, %rdi
    cld
    call exception_handle
    pop_gprs
    add $16, %rsp
    iretq

    .section .rodata
    .globl exception_entries
    .balign 8
exception_entries:
    .quad exception_0, exception_1, nmi_entry, exception_3, exception_4, exception_5, exception_6, exception_7
    .quad exception_8, exception_9, exception_10, exception_11, exception_12, exception_13, exception_14, 0
    .quad exception_16, exception_17, exception_18, exception_19, exception_20, exception_21

/* For demotion, which takes one CPU at a time; afterwards each CPU's record has a stack of its own. */
    .bss
    .balign 16
boot_stack:
    .skip 8192
boot_stack_end:
