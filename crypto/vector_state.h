/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a CPU needs while root mode runs the crypto library: a place for the registers of whoever was interrupted, and
 * the library's stack canary.
 *
 * The library uses XMM0 to XMM15 through instructions without VEX prefix, which leave bits 128 and up of the YMM and
 * ZMM registers alone, and no x87, MMX, mask register or MXCSR: `make crypto-link-check` disassembles what is linked
 * and fails on anything else. So the low halves of sixteen registers are all there is to save.
 */
#ifndef CRYPTO_VECTOR_STATE_H
#define CRYPTO_VECTOR_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vector_state {
    uint8_t xmm[16][16] __attribute__((aligned(16)));
};

/* One per CPU. In root mode FS base points to it (HOST_FS_BASE; before the first VM entry MSR C0000100h). */
struct crypto_cpu {
    uint64_t reserved[5];
    uint64_t canary;
    struct vector_state interrupted;
};
_Static_assert(offsetof(struct crypto_cpu, canary) == 0x28, "compilers read the canary at %fs:28h");
_Static_assert(offsetof(struct crypto_cpu, interrupted) % 16 == 0, "movaps");

/* Draws the canary; false if the processor has no random source. Not from within functions that check it. */
__attribute__((warn_unused_result)) bool crypto_cpu_init(struct crypto_cpu *cpu);

/*
 * The library is called between these two only, which don't nest. crypto_end also removes what the library left in
 * the registers. Needs CR0.EM = CR0.TS = 0 and CR4.OSFXSR = 1 in root mode. In assembly: no compiler-made code may
 * touch a vector register in between.
 */
void crypto_begin(struct vector_state *area);
void crypto_end(const struct vector_state *area);

#endif
