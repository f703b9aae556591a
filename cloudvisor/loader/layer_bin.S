/* SPDX-License-Identifier: GPL-2.0-only */
/* The layer's image, carried inside the loader so that the firmware measures both as one. */
    .section .rodata.layer, "a"
    .balign 16
    .globl layer_bin_start, layer_bin_end
    .hidden layer_bin_start, layer_bin_end
layer_bin_start:
    .incbin LAYER_BIN
layer_bin_end:
    .section .note.GNU-stack, "", @progbits
