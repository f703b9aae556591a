/* SPDX-License-Identifier: GPL-2.0-only */
/* The processor's random instructions, where CPUID announces them. */
#include <cpuid.h>
#include "crypto/random.h"

static bool cpu_has_rdseed(void)
{
    unsigned eax, ebx, ecx, edx;

    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ebx & bit_RDSEED) != 0;
}

static bool cpu_has_rdrand(void)
{
    unsigned eax, ebx, ecx, edx;

    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_RDRND) != 0;
}

bool hw_rdseed64(uint64_t *value)
{
    static int8_t present; /* 1 or -1 once CPUID was asked */
    bool ok;

    if (present == 0)
        present = cpu_has_rdseed() ? 1 : -1;
    if (present < 0)
        return false;
    __asm__ volatile("rdseed %0" : "=r"(*value), "=@ccc"(ok));
    return ok;
}

bool hw_rdrand64(uint64_t *value)
{
    static int8_t present;
    bool ok;

    if (present == 0)
        present = cpu_has_rdrand() ? 1 : -1;
    if (present < 0)
        return false;
    __asm__ volatile("rdrand %0" : "=r"(*value), "=@ccc"(ok));
    return ok;
}
