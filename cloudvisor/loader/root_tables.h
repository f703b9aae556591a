/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page tables that the layer runs on in root mode, built by the loader inside the layer's region. Pure: it
 * writes tables through a window onto the region, which the tests replace by a buffer.
 *
 *   LAYER_VA       + offset   the region: text R X, read-only data R, everything else RW; 4 KiB pages in the 2 MiB
 *                             units that the image touches, 2 MiB pages behind
 *   DIRECT_MAP_VA  + address  physical memory RW, never executable; the image's text and read-only data R
 *   region_base               the image's first 4 KiB page R X at its own address, for the entry
 */
#ifndef LOADER_ROOT_TABLES_H
#define LOADER_ROOT_TABLES_H

#include <stdbool.h>
#include <stdint.h>

/* The layer's region, as the loader reaches it. `used` moves up as pages are taken. */
struct layer_region {
    uint8_t *memory; /* its first byte, in the loader's address space */
    uint64_t base;   /* its physical address, 2 MiB aligned */
    uint64_t size;   /* bytes, multiple of 2 MiB */
    uint64_t used;   /* bytes from the start, 4 KiB aligned */
};

struct root_layout {
    uint64_t text_end; /* offsets in the region, multiples of 4 KiB, ascending */
    uint64_t rodata_end;
    uint64_t memory_end; /* end of the image's memory */
    uint64_t direct_end; /* one past the last physical address to map, multiple of 1 GiB, at most 127 TiB */
    bool has_1gib_pages;
};

/* Builds the tables in free pages of `region`. Returns the PML4's physical address, 0 if the region is too small. */
uint64_t root_tables_build(struct layer_region *region, const struct root_layout *layout);

#endif
