/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The crypto library's heap: first fit in one static array, wiped when freed. Used by nothing else in the layer.
 * Callers hold the layer's lock. A pointer that is not the heap's own, or a damaged block, is a cv_panic.
 * Blocks lie one behind the other, each with a header; free neighbours are joined when one is looked for.
 */
#include <stdint.h>
#include <string.h>
#include <mbedtls/platform_util.h>
#include "cloudvisor/log.h"

#define BLOCK_USED UINT64_C(0x6b636f6c42707948)
#define BLOCK_FREE UINT64_C(0x65657246426c6f63)

struct block {
    uint64_t units; /* of the header's size, with the header */
    uint64_t state;
};

enum { HEAP_BYTES = 65536, UNIT_COUNT = HEAP_BYTES / sizeof(struct block) };
static struct block arena[UNIT_COUNT];

static struct block *next_block(const struct block *block)
{
    uint64_t index = (uint64_t)(block - arena);

    cv_assert(block->state == BLOCK_USED || block->state == BLOCK_FREE);
    cv_assert(block->units != 0 && block->units <= UNIT_COUNT - index);
    return arena + index + block->units;
}

static struct block *find_free(uint64_t units)
{
    if (arena[0].state == 0)
        arena[0] = (struct block){ UNIT_COUNT, BLOCK_FREE };
    for (struct block *block = arena, *next; block != arena + UNIT_COUNT; block = next) {
        next = next_block(block);
        while (block->state == BLOCK_FREE && next != arena + UNIT_COUNT && next->state == BLOCK_FREE) {
            block->units += next->units;
            next = next_block(block);
        }
        if (block->state == BLOCK_FREE && block->units >= units)
            return block;
    }
    return NULL;
}

/* Zeroed memory, aligned to 16 bytes; NULL if there is not enough, or for no bytes at all. */
void *calloc(size_t count, size_t size)
{
    uint64_t bytes, units;
    struct block *block;

    if (__builtin_mul_overflow(count, size, &bytes) || bytes == 0 || bytes > HEAP_BYTES)
        return NULL;
    units = 1 + (bytes + sizeof(*block) - 1) / sizeof(*block);
    if ((block = find_free(units)) == NULL)
        return NULL;
    if (block->units > units)
        block[units] = (struct block){ block->units - units, BLOCK_FREE };
    *block = (struct block){ units, BLOCK_USED };
    return memset(block + 1, 0, (units - 1) * sizeof(*block));
}

void free(void *memory)
{
    uintptr_t offset = (uintptr_t)memory - (uintptr_t)arena;
    struct block *block;

    if (memory == NULL)
        return;
    cv_assert(offset >= sizeof(*block) && offset < sizeof(arena) && offset % sizeof(*block) == 0);
    block = (struct block *)memory - 1;
    cv_assert(block->state == BLOCK_USED);
    mbedtls_platform_zeroize(memory, (size_t)((uint8_t *)next_block(block) - (uint8_t *)memory));
    block->state = BLOCK_FREE;
}
