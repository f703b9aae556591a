/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The crypto library's heap: first fit in one static array, wiped when freed. Used by nothing else in the layer.
 * Callers hold the layer's lock. A pointer that is not the heap's own, or a damaged block, is a cv_panic.
 */
#ifndef CRYPTO_HEAP_H
#define CRYPTO_HEAP_H

#include <stddef.h>

enum { HEAP_BYTES = 65536 };

/* Zeroed memory, aligned to 16 bytes; NULL if there is not enough, or for no bytes at all. */
void *heap_calloc(size_t count, size_t size);

void heap_free(void *memory);

/* Bytes in use, with what each allocation costs besides; 0 when all was freed. */
size_t heap_used_bytes(void);

#endif
