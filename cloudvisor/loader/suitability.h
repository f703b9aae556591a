/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the layer needs of a processor, as one table. Pure: it judges a record of capability values that
 * capabilities.c reads on each CPU.
 */
#ifndef LOADER_SUITABILITY_H
#define LOADER_SUITABILITY_H

#include <stdbool.h>
#include <stdint.h>
#include "nested-vmx/vmx_caps.h"

/* Sources of capability bits. Those from CAP_VMX_BASIC on only mean something when CPUID announces VMX. */
enum capability {
    CAP_CPUID1_ECX,
    CAP_CPUID1_EDX,
    CAP_CPUID80000001_EDX,
    CAP_CR4,
    CAP_FEATURE_CONTROL,
    CAP_VMX_BASIC,
    CAP_PIN, /* control words: the bits that may be 1 */
    CAP_PROC,
    CAP_SECONDARY,
    CAP_EXIT,
    CAP_ENTRY,
    CAP_EPT_VPID,
    CAP_COUNT,
};

struct cpu_capabilities {
    uint64_t word[CAP_COUNT];
};

#define CPUID1_ECX_PCLMULQDQ        (UINT64_C(1) << 1)
#define CPUID1_ECX_VMX              (UINT64_C(1) << 5)
#define CPUID1_ECX_AES              (UINT64_C(1) << 25)
#define CPUID1_ECX_XSAVE            (UINT64_C(1) << 26)
#define CPUID1_ECX_RDRAND           (UINT64_C(1) << 30)
#define CPUID1_EDX_FXSR             (UINT64_C(1) << 24)
#define CPUID1_EDX_SSE2             (UINT64_C(1) << 26)
#define CPUID80000001_EDX_NX        (UINT64_C(1) << 20)
#define CPUID80000001_EDX_1GIB      (UINT64_C(1) << 26)
#define CPUID80000001_EDX_LM        (UINT64_C(1) << 29)
#define FEATURE_CONTROL_LOCKED      (UINT64_C(1) << 0)
#define FEATURE_CONTROL_VMX_OUTSIDE (UINT64_C(1) << 2)

/* Fills the words that come from the VMX capability MSRs. */
void capabilities_take_vmx(struct cpu_capabilities *cpu, const struct vmx_caps *caps);

/*
 * Walks the needs in a fixed order: returns the name of the first missing feature at or after `*position` and moves
 * `*position` behind it, or NULL when none is left. Start with `*position` = 0. On a CPU without VMX only the
 * features outside VMX are reported.
 */
const char *suitability_next_missing(const struct cpu_capabilities *cpu, unsigned *position);

static inline bool suitability_has_1gib_pages(const struct cpu_capabilities *cpu)
{
    return (cpu->word[CAP_CPUID80000001_EDX] & CPUID80000001_EDX_1GIB) != 0;
}

#endif
