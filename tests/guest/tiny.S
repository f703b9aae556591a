/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The smallest kernel that a bundle can hold: a bzImage whose 64-bit entry prints "CVG up" on COM1 and resets the machine
 * by a triple fault. For tests that start very many protected VMs.
 */
#define SECTOR      512
#define SETUP_BYTES (2 * SECTOR) /* boot sector and one sector more */
#define COM1        0x3f8
#define LINE_STATUS (COM1 + 5)

        .code64
        .text
        .globl _start
_start:
        /* The setup header of the Linux/x86 boot protocol 2.15. */
        .org 0x1f1
        .byte 1                       /* setup_sects */
        .word 0                       /* root_flags */
        .long (end - protected) / 16  /* syssize */
        .word 0, 0xffff, 0            /* ram_size, vid_mode, root_dev */
        .word 0xaa55
        .byte 0xeb, header_end - . - 1
        .ascii "HdrS"
        .word 0x020f                  /* version */
        .long 0                       /* realmode_swtch */
        .word 0, 0                    /* start_sys_seg, kernel_version */
        .byte 0, 1                    /* type_of_loader, loadflags: LOADED_HIGH */
        .word 0                       /* setup_move_size */
        .long 0x100000                /* code32_start */
        .long 0, 0, 0                 /* ramdisk_image, ramdisk_size, bootsect_kludge */
        .word 0                       /* heap_end_ptr */
        .byte 0, 0                    /* ext_loader_ver, ext_loader_type */
        .long 0                       /* cmd_line_ptr */
        .long 0x7fffffff              /* initrd_addr_max */
        .long 0x200000                /* kernel_alignment */
        .byte 1, 21                   /* relocatable_kernel, min_alignment */
        .word 3                       /* xloadflags: 64-bit entry, may lie above 4 GiB */
        .long 0x7ff                   /* cmdline_size */
        .long 0                       /* hardware_subarch */
        .quad 0                       /* hardware_subarch_data */
        .long 0, 0                    /* payload_offset, payload_length */
        .quad 0                       /* setup_data */
        .quad 0x1000000               /* pref_address */
        .long 0x1000                  /* init_size */
        .long 0, 0                    /* handover_offset, kernel_info_offset */
header_end:

        .org SETUP_BYTES
protected:
        .org SETUP_BYTES + 0x200
        /* The 64-bit entry. No stack is used. */
        lea     text(%rip), %rsi
next:   movb    (%rsi), %bl
        testb   %bl, %bl
        jz      reset
        mov     $LINE_STATUS, %dx
wait:   inb     %dx, %al
        testb   $0x20, %al
        jz      wait
        mov     $COM1, %dx
        movb    %bl, %al
        outb    %al, %dx
        inc     %rsi
        jmp     next
reset:  mov     $LINE_STATUS, %dx
drain:  inb     %dx, %al
        testb   $0x40, %al
        jz      drain
        lidt    no_idt(%rip)
        int3
        .balign 8
no_idt: .word   0
        .quad   0
text:   .asciz  "CVG up\n"
        .balign 4096
end:
