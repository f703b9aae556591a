/* SPDX-License-Identifier: GPL-2.0-only */
/* The processor's random instructions, where CPUID announces them. */
#include "crypto/random.h"
#include "hw.h"

/* `bit` of a word of CPUID's `leaf` announces the instruction. */
#define HW_RANDOM(instruction, leaf, word, bit)                                                                        \
    bool hw_##instruction##64(uint64_t * value)                                                                        \
    {                                                                                                                  \
        bool ok = false;                                                                                               \
        if ((hw_cpuid(leaf, 0).word >> (bit)&1) != 0)                                                                  \
            __asm__ volatile(#instruction " %0" : "=r"(*value), "=@ccc"(ok));                                          \
        return ok;                                                                                                     \
    }
HW_RANDOM(rdseed, 7, ebx, 18)
HW_RANDOM(rdrand, 1, ecx, 30)
