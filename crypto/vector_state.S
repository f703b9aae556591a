/* SPDX-License-Identifier: GPL-2.0-only */
/* Saves and restores XMM0 to XMM15; vector_state.h says why that is enough. */
    .text
    .globl crypto_begin, crypto_end
crypto_begin:
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movaps %xmm\n, (16 * \n)(%rdi)
    .endr
    ret

crypto_end:
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movaps (16 * \n)(%rdi), %xmm\n
    .endr
    ret

    .section .note.GNU-stack, "", @progbits
