/* SPDX-License-Identifier: GPL-2.0-only */
/* The heap: blocks lie one behind the other, each with a header; free neighbours are joined when one is looked for. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <mbedtls/platform_util.h>
#include "cloudvisor/log.h"
#include "crypto/heap.h"

#define BLOCK_USED UINT64_C(0x6b636f6c42707948)
#define BLOCK_FREE UINT64_C(0x65657246)

struct block {
    uint64_t bytes; /* with this header */
    uint64_t state;
};

static struct block arena[HEAP_BYTES / sizeof(struct block)];
#define ARENA_END (arena + HEAP_BYTES / sizeof(struct block))

static struct block *next_block(struct block *block)
{
    struct block *next = block + block->bytes / sizeof(*block);

    cv_assert(next > block && next <= ARENA_END && (block->state == BLOCK_USED || block->state == BLOCK_FREE));
    return next;
}

static void join_free_neighbours(struct block *block)
{
    for (;;) {
        struct block *next = next_block(block);

        if (next == ARENA_END || next->state != BLOCK_FREE)
            return;
        block->bytes += next->bytes;
    }
}

static void *take(struct block *block, uint64_t bytes)
{
    uint64_t rest = block->bytes - bytes;

    memset(block + 1, 0, bytes - sizeof(*block));
    if (rest >= 2 * sizeof(*block)) {
        block->bytes = bytes;
        *next_block(block) = (struct block){ rest, BLOCK_FREE };
    }
    block->state = BLOCK_USED;
    return block + 1;
}

void *heap_calloc(size_t count, size_t size)
{
    uint64_t bytes;

    if (arena[0].bytes == 0)
        arena[0] = (struct block){ HEAP_BYTES, BLOCK_FREE };
    if (__builtin_mul_overflow(count, size, &bytes) || bytes == 0 || bytes > HEAP_BYTES)
        return NULL;
    bytes = (bytes + 2 * sizeof(struct block) - 1) / sizeof(struct block) * sizeof(struct block);
    for (struct block *block = arena; block != ARENA_END; block = next_block(block)) {
        if (block->state != BLOCK_FREE)
            continue;
        join_free_neighbours(block);
        if (block->bytes >= bytes)
            return take(block, bytes);
    }
    return NULL;
}

void heap_free(void *memory)
{
    uintptr_t offset = (uintptr_t)memory - (uintptr_t)arena;
    struct block *block = (struct block *)memory - 1;

    if (memory == NULL)
        return;
    cv_assert(offset >= sizeof(*block) && offset < sizeof(arena) && offset % sizeof(*block) == 0);
    cv_assert(block->state == BLOCK_USED);
    mbedtls_platform_zeroize(memory, (size_t)((uint8_t *)next_block(block) - (uint8_t *)memory));
    block->state = BLOCK_FREE;
}

size_t heap_used_bytes(void)
{
    size_t used = 0;

    if (arena[0].bytes == 0)
        return 0;
    for (struct block *block = arena; block != ARENA_END; block = next_block(block))
        used += block->state == BLOCK_USED ? block->bytes : 0;
    return used;
}
