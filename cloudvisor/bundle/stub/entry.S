/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stub's assembly: PVH entry in 32-bit mode, the way to 64-bit mode, interrupt entries, the launch call, the jump
 * to an unprotected kernel, and the code of the AP start page.
 */
#include "cloudvisor/bundle/bundle_layout.h"
#include "cloudvisor/bundle/stub/descriptor_offsets.h"

#define MSR_EFER 0xc0000080

    .section .text.entry, "ax"
    .code32
    .global stub_pvh_entry
/* PVH: 32-bit, flat segments, no paging; EBX points to start_info, which the host wrote and nobody reads. */
stub_pvh_entry:
    cli
    cld
    mov $LAYOUT_STUB_RAM_GPA, %edi      /* clear the variables */
    mov $(LAYOUT_STUB_RAM_END - LAYOUT_STUB_RAM_GPA) / 4, %ecx
    xor %eax, %eax
    rep stosl
    mov $stub_stack_end, %esp

    mov $LAYOUT_DESCRIPTOR_GPA, %esi
    mov DESCRIPTOR_GDT_GPA(%esi), %eax
    mov DESCRIPTOR_GDT_LIMIT(%esi), %ecx
    sub $8, %esp
    mov %cx, (%esp)
    mov %eax, 2(%esp)
    lgdt (%esp)
    add $8, %esp

    mov %cr4, %eax
    or $(1 << 5), %eax                  /* PAE */
    mov %eax, %cr4
    mov DESCRIPTOR_CR3(%esi), %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    rdmsr
    or $(1 << 8), %eax                  /* LME */
    wrmsr
    mov %cr0, %eax
    and $~((1 << 29) | (1 << 30)), %eax /* caches on */
    or $((1 << 31) | 1), %eax           /* paging */
    mov %eax, %cr0
    ljmp $0x10, $stub_long_mode

    .code64
stub_long_mode:
    mov $0x18, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $stub_stack_end, %esp
    call stub_main
1:  hlt
    jmp 1b

    .text
/* stub_call_layer(gpa, size): the launch call. Returns RAX, or -1 where VMCALL is an undefined instruction. */
    .global stub_call_layer, stub_vmcall
stub_call_layer:
    push %rbx
    mov %rdi, %rbx
    mov %rsi, %rcx
    mov $BUNDLE_CALL_LAUNCH_NUMBER, %eax
stub_vmcall:
    vmcall
    pop %rbx
    ret

/* stub_enter_kernel(entry, boot_params), with the state that the 64-bit boot protocol asks for. */
    .global stub_enter_kernel
stub_enter_kernel:
    cli
    mov %rdi, %rax
    xor %edi, %edi
    xor %ebx, %ebx
    xor %ebp, %ebp
    jmp *%rax

/* Entries of the exceptions, 16 bytes each; a #UD at the VMCALL answers -1 and goes on behind it. */
    .balign 16
    .global stub_exceptions, stub_interrupt
stub_exceptions:
    .set vector, 0
    .rept 32
    .balign 16
    push $vector
    jmp exception
    .set vector, vector + 1
    .endr

exception:
    cmpl $6, (%rsp)
    jne 1f
    cmpl $stub_vmcall, 8(%rsp)
    jne 1f
    add $8, %rsp
    addq $3, (%rsp)
    mov $-1, %rax
    iretq
1:  mov (%rsp), %rdi
    call stub_unexpected_exception

/* External interrupts that were pending: accepted, and ended by the caller's loop over the in-service bits. */
stub_interrupt:
    iretq

/*
 * The AP start page: an AP of a protected VM begins here in real mode, for the host's eyes; the call makes it join.
 * Anywhere else nobody starts an AP here.
 */
    .code16
    .global stub_ap_start, stub_ap_start_end
stub_ap_start:
    cli
    mov $BUNDLE_CALL_AP_START_NUMBER, %eax
    vmcall
1:  hlt
    jmp 1b
stub_ap_start_end:

    .section .bss
    .balign 16
    .skip 8192
stub_stack_end:

    .section .note.GNU-stack, "", @progbits
