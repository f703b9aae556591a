/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stub's assembly: PVH entry in 32-bit mode, the way to 64-bit mode, interrupt entries, the launch call, the jump
 * to an unprotected kernel, and the code of the AP start page.
 */
#include "cloudvisor/bundle/bundle_layout.h"
#include "cloudvisor/bundle/stub/descriptor_offsets.h"

#define MSR_APIC_BASE 0x1b
#define MSR_EFER      0xc0000080

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
 * The AP start page: an AP of a protected VM begins here in real mode, for the host's eyes. It goes to the mode that
 * the first vCPU had at its launch call, which is what the host believes of a vCPU from then on; the call makes it
 * join. Page tables are those of the exit window, which the layer fills. The INIT before has masked and emptied the
 * local APIC. Copied to its page, with the variables filled in: in real mode, all addresses are offsets in the page.
 */
#define IN_PAGE(label) (label - stub_ap_start)

    .balign 16
    .code16
    .global stub_ap_start, stub_ap_variables, stub_ap_long_mode, stub_ap_gdt, stub_ap_start_end
stub_ap_start:
    cli
    mov %cs, %ax
    mov %ax, %ds
    lgdtl IN_PAGE(stub_ap_gdtr)
    mov IN_PAGE(stub_ap_cr4), %eax
    mov %eax, %cr4
    mov IN_PAGE(stub_ap_cr3), %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    mov IN_PAGE(stub_ap_efer), %eax
    xor %edx, %edx
    wrmsr
    mov IN_PAGE(stub_ap_cr0), %eax      /* from real mode to 64-bit mode in one step */
    mov %eax, %cr0
    ljmpl *IN_PAGE(stub_ap_target)

    .code64
stub_ap_long_mode:
    mov $0x18, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $1, %eax
    cpuid
    bt $21, %ecx                        /* x2APIC */
    jnc 1f
    mov $MSR_APIC_BASE, %ecx
    rdmsr
    or $(1 << 10 | 1 << 11), %eax
    wrmsr
1:  mov $BUNDLE_CALL_AP_START_NUMBER, %eax
    vmcall
2:  cli
    hlt
    jmp 2b

    .balign 8
stub_ap_gdt:                            /* as the bundle's own */
    .quad 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff
stub_ap_variables:                      /* struct ap_variables */
stub_ap_cr0:    .long 0
stub_ap_cr3:    .long 0
stub_ap_cr4:    .long 0
stub_ap_efer:   .long 0
stub_ap_target: .long 0
                .word 0x10
stub_ap_gdtr:   .word stub_ap_variables - stub_ap_gdt - 1
                .long 0
stub_ap_start_end:

    .section .bss
    .balign 16
    .skip 8192
stub_stack_end:

    .section .note.GNU-stack, "", @progbits
