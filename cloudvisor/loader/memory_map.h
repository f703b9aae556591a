/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From the firmware's memory map to the layer's: RAM or other, sorted, merged; and where the layer may lie. Pure.
 * The firmware is trusted, but its maps are known to be unsorted, to overlap and to overflow: all are handled.
 */
#ifndef LOADER_MEMORY_MAP_H
#define LOADER_MEMORY_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cloudvisor/boot_info.h"

#define MIB(n)             ((uint64_t)(n) << 20)
#define GIB(n)             ((uint64_t)(n) << 30)
#define LAYER_REGION_ALIGN MIB(2)

/* One EFI_MEMORY_DESCRIPTOR, UEFI specification, "EFI_BOOT_SERVICES.GetMemoryMap()". */
struct firmware_memory {
    uint32_t type;
    uint32_t padding;
    uint64_t base;
    uint64_t virtual_base;
    uint64_t page_count; /* of 4 KiB */
    uint64_t attributes;
};

struct firmware_map {
    const void *descriptors;
    size_t size;            /* bytes */
    size_t descriptor_size; /* bytes from one descriptor to the next, at least sizeof(struct firmware_memory) */
};

struct memory_map {
    uint32_t count;
    struct boot_memory_range ranges[BOOT_MEMORY_MAX];
};

/* False if a range overflows the address space or more than BOOT_MEMORY_MAX ranges are left after merging. */
bool memory_map_build(const struct firmware_map *firmware, struct memory_map *map);

uint64_t memory_map_ram_bytes(const struct memory_map *map);
uint64_t memory_map_ram_top(const struct memory_map *map); /* one past the highest byte of RAM, 0 without RAM */
uint64_t memory_map_end(const struct memory_map *map);     /* one past the highest byte mentioned */

/* Bytes to reserve: 6 MiB, 0.6 % of RAM and 1/128 of RAM for page tables, rounded up to 2 MiB. */
uint64_t layer_region_size(uint64_t ram_bytes);

/* The highest free 2 MiB aligned place of `size` bytes below 4 GiB, else above it; never below 1 MiB. 0: none. */
uint64_t layer_region_place(const struct firmware_map *firmware, uint64_t size);

#endif
