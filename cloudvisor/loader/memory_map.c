/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The firmware's memory map made simple. Invariants: ranges are sorted, disjoint, not empty, and neighbours of one
 * kind are merged; nothing is called RAM unless its EFI type says that memory lies there.
 */
#include "cloudvisor/loader/memory_map.h"

/* EFI memory types, UEFI specification, "Memory Type Usage after ExitBootServices()". */
enum {
    TYPE_LOADER_CODE = 1,
    TYPE_LOADER_DATA = 2,
    TYPE_BOOT_SERVICES_CODE = 3,
    TYPE_BOOT_SERVICES_DATA = 4,
    TYPE_RUNTIME_SERVICES_CODE = 5,
    TYPE_RUNTIME_SERVICES_DATA = 6,
    TYPE_CONVENTIONAL = 7,
    TYPE_ACPI_RECLAIM = 9,
    TYPE_ACPI_NVS = 10,
    TYPE_PERSISTENT = 14,
};

#define PAGE_SIZE UINT64_C(4096)

static size_t descriptor_count(const struct firmware_map *firmware)
{
    if (firmware->descriptor_size < sizeof(struct firmware_memory))
        return 0;
    return firmware->size / firmware->descriptor_size;
}

static const struct firmware_memory *descriptor_at(const struct firmware_map *firmware, size_t index)
{
    const char *bytes = firmware->descriptors;

    return (const void *)(bytes + index * firmware->descriptor_size);
}

static uint64_t kind_of(uint32_t type)
{
    if ((type >= TYPE_LOADER_CODE && type <= TYPE_CONVENTIONAL) || type == TYPE_ACPI_RECLAIM || type == TYPE_ACPI_NVS ||
        type == TYPE_PERSISTENT)
        return BOOT_MEMORY_RAM;
    return BOOT_MEMORY_OTHER;
}

static bool is_sound(const struct firmware_memory *memory)
{
    return memory->base % PAGE_SIZE == 0 && memory->page_count <= (UINT64_MAX - memory->base) / PAGE_SIZE;
}

static uint64_t end_of(const struct firmware_memory *memory)
{
    return memory->base + memory->page_count * PAGE_SIZE;
}

/* The descriptor that follows number `last` in order of (base, index); `last` = count starts. count: none left. */
static size_t next_in_order(const struct firmware_map *firmware, size_t last)
{
    size_t count = descriptor_count(firmware);
    size_t best = count;

    for (size_t i = 0; i < count; i++) {
        uint64_t base = descriptor_at(firmware, i)->base;

        if (last < count) {
            uint64_t last_base = descriptor_at(firmware, last)->base;

            if (base < last_base || (base == last_base && i <= last))
                continue;
        }
        if (best == count || base < descriptor_at(firmware, best)->base)
            best = i;
    }
    return best;
}

/* Appends [base, end) behind all ranges; what overlaps the last range is left to that range. */
static bool append(struct memory_map *map, uint64_t base, uint64_t end, uint64_t kind)
{
    uint64_t last_end = memory_map_end(map);

    if (base < last_end)
        base = last_end;
    if (base >= end)
        return true;
    if (map->count && base == last_end && map->ranges[map->count - 1].kind == kind) {
        map->ranges[map->count - 1].size += end - base;
        return true;
    }
    if (map->count == BOOT_MEMORY_MAX)
        return false;
    map->ranges[map->count++] = (struct boot_memory_range){ .base = base, .size = end - base, .kind = kind };
    return true;
}

bool memory_map_build(const struct firmware_map *firmware, struct memory_map *map)
{
    size_t count = descriptor_count(firmware);
    size_t i = count;

    map->count = 0;
    while ((i = next_in_order(firmware, i)) < count) {
        const struct firmware_memory *memory = descriptor_at(firmware, i);

        if (!is_sound(memory) || !append(map, memory->base, end_of(memory), kind_of(memory->type)))
            return false;
    }
    return true;
}

uint64_t memory_map_ram_bytes(const struct memory_map *map)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < map->count; i++) {
        if (map->ranges[i].kind == BOOT_MEMORY_RAM)
            bytes += map->ranges[i].size;
    }
    return bytes;
}

uint64_t memory_map_ram_top(const struct memory_map *map)
{
    for (uint32_t i = map->count; i > 0; i--) {
        if (map->ranges[i - 1].kind == BOOT_MEMORY_RAM)
            return map->ranges[i - 1].base + map->ranges[i - 1].size;
    }
    return 0;
}

uint64_t memory_map_end(const struct memory_map *map)
{
    if (map->count == 0)
        return 0;
    return map->ranges[map->count - 1].base + map->ranges[map->count - 1].size;
}

uint64_t layer_region_size(uint64_t ram_bytes)
{
    uint64_t bytes = MIB(6) + ram_bytes / 1000 * 6 + ram_bytes / 128;

    return (bytes + LAYER_REGION_ALIGN - 1) & ~(LAYER_REGION_ALIGN - 1);
}

/* The highest aligned base of `size` bytes within `memory` below `limit`; 0: none, or only at address 0. */
static uint64_t place_in(const struct firmware_memory *memory, uint64_t size, uint64_t limit)
{
    uint64_t end = end_of(memory) < limit ? end_of(memory) : limit;
    uint64_t base;

    if (end < size)
        return 0;
    base = (end - size) & ~(LAYER_REGION_ALIGN - 1);
    return base >= memory->base ? base : 0;
}

static uint64_t place_below(const struct firmware_map *firmware, uint64_t size, uint64_t limit)
{
    uint64_t best = 0;

    for (size_t i = 0; i < descriptor_count(firmware); i++) {
        const struct firmware_memory *memory = descriptor_at(firmware, i);
        uint64_t base;

        if (memory->type != TYPE_CONVENTIONAL || !is_sound(memory))
            continue;
        base = place_in(memory, size, limit);
        if (base > best)
            best = base;
    }
    return best;
}

uint64_t layer_region_place(const struct firmware_map *firmware, uint64_t size)
{
    uint64_t base = place_below(firmware, size, GIB(4));

    return base ? base : place_below(firmware, size, UINT64_MAX);
}
