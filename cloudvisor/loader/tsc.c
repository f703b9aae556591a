/* SPDX-License-Identifier: GPL-2.0-only */
/* Arithmetic that can't overflow: its operands come from the processor and the firmware, its result is 32 bits or 0. */
#include "cloudvisor/loader/tsc.h"

static uint32_t or_unknown(uint64_t khz)
{
    return khz <= UINT32_MAX ? (uint32_t)khz : 0;
}

uint32_t tsc_khz_by_crystal(uint32_t eax, uint32_t ebx, uint32_t ecx)
{
    return eax != 0 ? or_unknown((uint64_t)ecx * ebx / eax / 1000) : 0;
}

uint32_t tsc_khz_by_waits(const uint64_t *ticks, size_t count, uint32_t microseconds)
{
    uint64_t least = UINT64_MAX;

    for (size_t i = 0; i < count; i++) {
        if (ticks[i] < least)
            least = ticks[i];
    }
    return microseconds != 0 && least <= UINT64_MAX / 1000 ? or_unknown(least * 1000 / microseconds) : 0;
}
