/* SPDX-License-Identifier: GPL-2.0-only */
/* The layer's free memory: whole pages of the reserved region, zeroed when handed out. Callers hold layer_lock. */
#ifndef CLOUDVISOR_POOL_H
#define CLOUDVISOR_POOL_H

#include <stddef.h>
#include "hw.h"

void pool_init(hpa_t base, uint64_t bytes);

/* One zeroed page; raw = 0 when the pool is empty. */
hpa_t pool_alloc(void);

/* Contiguous zeroed memory for start-up, never freed; NULL when the pool is too small. */
void *pool_alloc_bytes(size_t bytes);

void pool_free(hpa_t page);

#endif
