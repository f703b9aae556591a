/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The layer's assembly: image header, the entry that the loader calls on each CPU, the way into root mode on a VM
 * exit and back, and the exception entries of root mode. The host's registers are untrusted data here.
 */
#include "asm_offsets.h"

#define MSR_EFER 0xc0000080
#define EFER_NXE 0x800

/* General registers in the order of cpu->gpr; `rsp_slot` fills the place of RSP, which is not restored. */
    .macro push_gprs rsp_slot
    .irp reg, %r15, %r14, %r13, %r12, %r11, %r10, %r9, %r8, %rdi, %rsi, %rbp, \rsp_slot, %rbx, %rdx, %rcx, %rax
    push \reg
    .endr
    .endm

    .macro pop_gprs
    .irp reg, %rax, %rcx, %rdx, %rbx, %rbp, %rbp, %rsi, %rdi, %r8, %r9, %r10, %r11, %r12, %r13, %r14, %r15
    pop \reg
    .endr
    .endm

/* From non-root mode to the layer's stack, with the time of it and the CPU's record in RBX and RDI. */
    .macro leave_guest
    mov %gs:0, %rbx
    mov CPU_STACK_TOP(%rbx), %rsp
    rdtsc
    shl $32, %rdx
    or %rdx, %rax
    mov %rax, CPU_EXIT_TSC(%rbx)
    movl $0, CPU_IN_GUEST(%rbx)
    mov %rbx, %rdi
    .endm

/* With RAX and RDX pushed by an exception: an RIP from `first` to before `end` becomes `target`. */
    .macro redirect first, end, target
    mov 16(%rsp), %rax
    lea \first(%rip), %rdx
    sub %rdx, %rax
    cmp $(\end - \first), %rax
    lea \target(%rip), %rdx
    cmovae 16(%rsp), %rdx
    mov %rdx, 16(%rsp)
    .endm

    .globl layer_entry, vmexit_entry, cpu_enter_first, cpu_park, cpu_unblock_nmis, nmi_entry, exception_stubs
    .section .head, "ax"
layer_header:
    .ascii "0CVLAYER" /* LAYER_IMAGE_MAGIC */
    .quad layer_entry - layer_header
    .quad layer_text_size
    .quad layer_rodata_size
    .quad layer_file_size
    .quad layer_memory_size

/*
 * uint64_t layer_entry(boot_info_pa, cpu_index), called at its physical address on the firmware's page tables.
 * The caller's state is pushed on the caller's stack; cpu_demote makes the processor continue there in non-root mode.
 */
layer_entry:
    pushfq
    push_gprs %rsp
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
    lea layer_header(%rip), %rcx
    sub %rcx, %rdx
    add %r14, %rdx
    jmp *%rdx
2:  mov %r12, %cr3
    mov %r13, %rsp
    mov %rax, (%rsp)
    pop_gprs
    popfq
    ret

    .text
/* A VM exit lands here with RSP behind cpu->gpr, so that the pushes fill it. */
    .p2align 4
vmexit_entry:
    push_gprs %rax
    leave_guest
    incq CPU_ENTRIES(%rbx)
    call exit_handle
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
    leave_guest
    call entry_failed
    jmp vm_enter

serve_requests:
    leave_guest
    call cpu_serve_requests
    jmp vm_enter

/* void cpu_enter_first(struct cpu *): the first entry after demotion. */
cpu_enter_first:
    mov %rdi, %rbx
    mov CPU_STACK_TOP(%rbx), %rsp
    jmp vm_enter

/* void cpu_park(struct cpu *) */
cpu_park:
    cmpl $0, CPU_ATTENTION(%rdi)
    jne park_end
    hlt
park_end:
    ret

/* void cpu_unblock_nmis(void): an IRET to the caller. */
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
1:  redirect enter_window, enter_window_end, serve_requests
    redirect cpu_park, park_end, park_end
    pop %rdx
    pop %rax
    iretq

/*
 * Every other exception: #GP at a fixup goes on there, anything else is a panic with the registers. One stub of 16 bytes
 * for each of the first 32 vectors; the mask has those for which the processor pushes an error code.
 */
    .p2align 4
exception_stubs:
    vector = 0
    .rept 32
    .p2align 4
    .if (0x60227d00 >> vector & 1) == 0
    push $0
    .endif
    push $vector
    jmp exception_common
    vector = vector + 1
    .endr

exception_common:
    push_gprs %rsp
    mov %rsp, %rdi
    cld
    call exception_handle
    pop_gprs
    add $16, %rsp
    iretq

/* For demotion, which takes one CPU at a time; afterwards each CPU's record has a stack of its own. */
    .bss
    .balign 16
boot_stack:
    .skip 8192
boot_stack_end:
