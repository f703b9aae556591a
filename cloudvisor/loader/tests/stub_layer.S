/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A layer image without VMX for testing the loader. Its entry checks what the loader hands over, walks onto the
 * root page tables and back, counts the CPU, and teaches the boot CPU's #UD handler to answer VMCALL:
 * function 0 with the version, function 1 with the count.
 */
#define CALL_MAGIC 0x43560000
#define DEMOTE_BAD_BOOT_INFO 1

    .section .text
image:
    .quad 0x524559414c564330
    .quad entry - image
    .quad 0x1000
    .quad 0x2000
    .quad image_end - image
    .quad 0x5000

/* rdi = boot_info, rsi = CPU index; physical addresses, the firmware's page tables */
entry:
    push %rbx
    mov $DEMOTE_BAD_BOOT_INFO, %eax
    movabs $0x4f464e49544f4f42, %rcx
    cmp %rcx, (%rdi)
    jne 9f
    lea image(%rip), %rcx
    cmp %rcx, 8(%rdi)
    jne 9f
    cmp %esi, 48(%rdi)          /* cpu_count must be above the index */
    jbe 9f
    mov %cr3, %rbx
    mov 32(%rdi), %rcx          /* root_cr3 */
    mov %rsp, %r8
    mov %rcx, %cr3
    /* now only this page at its own address, the image at LAYER_VA and RAM at DIRECT_MAP_VA */
    movabs $0xffffff8000000000, %rdx
    movabs $0xffff800000000000, %r9
    lea (%r9, %rdi), %r10
    mov (%r10), %rcx            /* boot_info through the direct map */
    mov %rcx, count - image + 8(%rdx) /* image data through LAYER_VA */
    lock incq count - image(%rdx)
    mov %rbx, %cr3
    test %esi, %esi
    jnz 8f
    /* take over vector 6 of this CPU */
    sub $16, %rsp
    sidt (%rsp)
    mov 2(%rsp), %rcx
    add $16, %rsp
    add $96, %rcx
    lea answer(%rip), %rdx
    mov %dx, (%rcx)
    shr $16, %rdx
    mov %dx, 6(%rcx)
    shr $16, %rdx
    mov %edx, 8(%rcx)
8:  xor %eax, %eax
9:  pop %rbx
    ret

answer:
    addq $3, (%rsp)
    cmp $CALL_MAGIC, %eax
    jne 1f
    mov $0x100, %ebx
    xor %eax, %eax
    iretq
1:  mov count(%rip), %rbx
    xor %eax, %eax
    iretq

    .balign 4096
    .fill 4096, 1, 0xcc
    .balign 4096
count:
    .quad 0, 0
image_end:
