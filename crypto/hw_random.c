/* SPDX-License-Identifier: GPL-2.0-only */
/* The processor's random instructions, where CPUID announces them. */
#include "crypto/random.h"
#include "hw.h"

#define CPUID_1_ECX_RDRAND (UINT32_C(1) << 30)
#define CPUID_7_EBX_RDSEED (UINT32_C(1) << 18)

bool hw_rdseed64(uint64_t *value)
{
    bool ok = false;

    if ((hw_cpuid(7, 0).ebx & CPUID_7_EBX_RDSEED) != 0)
        __asm__ volatile("rdseed %0" : "=r"(*value), "=@ccc"(ok));
    return ok;
}

bool hw_rdrand64(uint64_t *value)
{
    bool ok = false;

    if ((hw_cpuid(1, 0).ecx & CPUID_1_ECX_RDRAND) != 0)
        __asm__ volatile("rdrand %0" : "=r"(*value), "=@ccc"(ok));
    return ok;
}
