/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Root page tables. Invariants: supervisor only; no mapping is writable and executable; the image's text and
 * read-only data are writable through no mapping. Accessed and dirty are preset: the processor writes no tables.
 *
 *   63  62:52  51:12          11:9  8 7  6 5 4 3 2 1 0
 *   XD  0      page address   0     0 PS D A 0 0 0 W P
 */
#include "cloudvisor/loader/root_tables.h"
#include <stddef.h>
#include "cloudvisor/boot_info.h"

#define PAGE_SIZE      UINT64_C(4096)
#define UNIT_2MIB      (UINT64_C(1) << 21)
#define ENTRY_PRESENT  UINT64_C(0x1)
#define ENTRY_WRITE    UINT64_C(0x2)
#define ENTRY_ACCESSED UINT64_C(0x20)
#define ENTRY_DIRTY    UINT64_C(0x40)
#define ENTRY_LARGE    UINT64_C(0x80)
#define ENTRY_XD       (UINT64_C(1) << 63)
#define ENTRY_ADDRESS  UINT64_C(0x000ffffffffff000)
#define MAP_EXECUTE    UINT64_C(0)
#define MAP_READ       ENTRY_XD
#define MAP_WRITE      (ENTRY_XD | ENTRY_WRITE)
#define DIRECT_MAP_MAX (UINT64_C(127) << 40)

enum { SHIFT_4KIB = 12, SHIFT_2MIB = 21, SHIFT_1GIB = 30, SHIFT_PML4 = 39 };

struct mapping {
    uint64_t va;
    uint64_t pa;
    uint64_t size;
    uint64_t rights; /* MAP_* */
};

static uint64_t take_page(struct layer_region *region)
{
    uint64_t offset = region->used;

    if (offset + PAGE_SIZE > region->size)
        return 0;
    region->used += PAGE_SIZE;
    for (uint64_t i = 0; i < PAGE_SIZE; i++)
        region->memory[offset + i] = 0;
    return region->base + offset;
}

static uint64_t *table_at(struct layer_region *region, uint64_t pa)
{
    return (void *)(region->memory + (pa - region->base));
}

/* The entry for `va` in the table of level `shift`, made on the way down from the PML4. NULL: no memory left. */
static uint64_t *entry_for(struct layer_region *region, uint64_t root, uint64_t va, unsigned shift)
{
    uint64_t table = root;

    for (unsigned level = SHIFT_PML4; level > shift; level -= 9) {
        uint64_t *entry = &table_at(region, table)[va >> level & 511];

        if (!(*entry & ENTRY_PRESENT)) {
            uint64_t page = take_page(region);

            if (!page)
                return NULL;
            *entry = page | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_ACCESSED;
        }
        table = *entry & ENTRY_ADDRESS;
    }
    return &table_at(region, table)[va >> shift & 511];
}

/* The largest page that the start and the size of `map` allow. */
static unsigned page_shift(const struct mapping *map, unsigned largest)
{
    for (unsigned shift = largest; shift > SHIFT_4KIB; shift -= 9) {
        if (((map->va | map->pa) & ((UINT64_C(1) << shift) - 1)) == 0 && map->size >= UINT64_C(1) << shift)
            return shift;
    }
    return SHIFT_4KIB;
}

static bool map_range(struct layer_region *region, uint64_t root, struct mapping map, unsigned largest)
{
    while (map.size) {
        unsigned shift = page_shift(&map, largest);
        uint64_t page_size = UINT64_C(1) << shift;
        uint64_t *entry = entry_for(region, root, map.va, shift);

        if (!entry)
            return false;
        *entry = map.pa | map.rights | ENTRY_PRESENT | ENTRY_ACCESSED | ENTRY_DIRTY |
                 (shift > SHIFT_4KIB ? ENTRY_LARGE : 0);
        map.va += page_size;
        map.pa += page_size;
        map.size -= page_size;
    }
    return true;
}

static bool map_layer(struct layer_region *region, uint64_t root, const struct root_layout *at)
{
    uint64_t fine_end = (at->memory_end + UNIT_2MIB - 1) & ~(UNIT_2MIB - 1);
    uint64_t base = region->base;
    const struct mapping text = { LAYER_VA, base, at->text_end, MAP_EXECUTE };
    const struct mapping rodata = { LAYER_VA + at->text_end, base + at->text_end, at->rodata_end - at->text_end,
                                    MAP_READ };
    const struct mapping data = { LAYER_VA + at->rodata_end, base + at->rodata_end, fine_end - at->rodata_end,
                                  MAP_WRITE };
    const struct mapping rest = { LAYER_VA + fine_end, base + fine_end, region->size - fine_end, MAP_WRITE };

    return map_range(region, root, text, SHIFT_4KIB) && map_range(region, root, rodata, SHIFT_4KIB) &&
           map_range(region, root, data, SHIFT_4KIB) && map_range(region, root, rest, SHIFT_2MIB);
}

static bool map_direct(struct layer_region *region, uint64_t root, const struct root_layout *at)
{
    unsigned largest = at->has_1gib_pages ? SHIFT_1GIB : SHIFT_2MIB;
    uint64_t start = region->base;
    uint64_t end = region->base + at->rodata_end;
    const struct mapping below = { DIRECT_MAP_VA, 0, start, MAP_WRITE };
    const struct mapping image = { DIRECT_MAP_VA + start, start, at->rodata_end, MAP_READ };
    const struct mapping above = { DIRECT_MAP_VA + end, end, at->direct_end - end, MAP_WRITE };

    return map_range(region, root, below, largest) && map_range(region, root, image, largest) &&
           map_range(region, root, above, largest);
}

uint64_t root_tables_build(struct layer_region *region, const struct root_layout *layout)
{
    struct mapping entry_page = { region->base, region->base, PAGE_SIZE, MAP_EXECUTE };
    uint64_t root;

    if (layout->direct_end > DIRECT_MAP_MAX || layout->direct_end < region->base + region->size ||
        layout->memory_end > region->size)
        return 0;
    root = take_page(region);
    if (!root || !map_layer(region, root, layout) || !map_direct(region, root, layout) ||
        !map_range(region, root, entry_page, SHIFT_4KIB))
        return 0;
    return root;
}
