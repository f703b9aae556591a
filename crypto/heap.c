/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The crypto library's heap: first fit in one static array, wiped when freed. Used by nothing else in the layer.
 * Callers hold the layer's lock. What a unit belongs to stands apart from the units, where no overrun reaches it. A
 * pointer that is not the start of a block is a cv_panic.
 */
#include <stdint.h>
#include <string.h>
#include <mbedtls/platform_util.h>
#include "cloudvisor/log.h"

enum { HEAP_BYTES = 65536, UNIT_BYTES = 64, UNIT_COUNT = HEAP_BYTES / UNIT_BYTES };
static uint8_t arena[UNIT_COUNT][UNIT_BYTES] __attribute__((aligned(16)));
static uint16_t left[UNIT_COUNT]; /* units from this one to the end of its block; 0: free */

/* Zeroed memory, aligned to 16 bytes; NULL if there is not enough, or for no bytes at all. */
void *calloc(size_t count, size_t size)
{
    uint64_t bytes, units, run = 0;

    if (__builtin_mul_overflow(count, size, &bytes) || bytes == 0 || bytes > HEAP_BYTES)
        return NULL;
    units = (bytes + UNIT_BYTES - 1) / UNIT_BYTES;
    for (unsigned i = 0; i < UNIT_COUNT; i++) {
        run = left[i] == 0 ? run + 1 : 0;
        if (run == units) {
            for (uint64_t k = 0; k < units; k++)
                left[i - k] = (uint16_t)(k + 1);
            return memset(arena[i + 1 - units], 0, units * UNIT_BYTES);
        }
    }
    return NULL;
}

void free(void *memory)
{
    uintptr_t offset = (uintptr_t)memory - (uintptr_t)arena;
    unsigned first = (unsigned)(offset / UNIT_BYTES);

    if (memory == NULL)
        return;
    cv_assert(offset < sizeof(arena) && offset % UNIT_BYTES == 0);
    cv_assert(left[first] != 0 && (first == 0 || left[first - 1] <= 1));
    mbedtls_platform_zeroize(memory, (size_t)left[first] * UNIT_BYTES);
    memset(&left[first], 0, left[first] * sizeof(left[0]));
}
