/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Places the layer: region = image, boot_info, page tables, all zeroed before use, then memory free for the layer,
 * which zeroes it as it hands it out.
 * Invariants: the region is EfiReservedMemoryType, so no later stage uses it; boot_info describes what is there.
 */
#include "cloudvisor/loader/layer_place.h"
#include "cloudvisor/loader/capabilities.h"
#include "cloudvisor/loader/console.h"
#include "cloudvisor/loader/layer_image.h"

#define PAGE_SIZE UINT64_C(4096)

extern const uint8_t layer_bin_start[], layer_bin_end[]; /* layer_bin.S */

static uint64_t round_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) & ~(unit - 1);
}

static const struct layer_image_header *image_header(void)
{
    return (const void *)layer_bin_start;
}

static uint64_t embedded_size(void)
{
    return (uint64_t)(layer_bin_end - layer_bin_start);
}

/* Takes memory for the layer, still without contents. */
static EFI_STATUS reserve(const struct firmware_map *firmware, uint64_t size, struct layer_region *region)
{
    EFI_PHYSICAL_ADDRESS base = layer_region_place(firmware, size);
    EFI_STATUS status = EFI_OUT_OF_RESOURCES;

    if (base)
        status = firmware_boot->AllocatePages(AllocateAddress, EfiReservedMemoryType, size / PAGE_SIZE, &base);
    if (EFI_ERROR(status)) {
        console_line("CloudVisor: no %lu MiB of free memory in one piece for the layer (%s)", size >> 20,
                     firmware_status_name(status));
        return status;
    }
    *region = (struct layer_region){ .memory = (uint8_t *)base, .base = base, .size = size };
    return EFI_SUCCESS;
}

static bool load_image(struct layer_region *region)
{
    const struct layer_image_header *header = image_header();
    const char *fault = layer_image_fault(header, embedded_size(), region->size);

    if (fault) {
        console_line("CloudVisor: the layer's image is not usable: %s; build and install cloudvisor.efi again", fault);
        return false;
    }
    firmware_boot->SetMem(region->memory, round_up(header->memory_end, PAGE_SIZE), 0);
    firmware_boot->CopyMem(region->memory, (void *)layer_bin_start, header->file_size);
    firmware_make_executable(region->base, header->text_end);
    region->used = round_up(header->memory_end, PAGE_SIZE);
    return true;
}

static bool add_boot_info(struct layer *layer)
{
    struct layer_region *region = &layer->region;

    if (region->used + round_up(sizeof(*layer->info), PAGE_SIZE) > region->size)
        return false;
    layer->info = (void *)(region->memory + region->used);
    firmware_boot->SetMem(layer->info, sizeof(*layer->info), 0);
    layer->entry = (layer_entry_fn)(uintptr_t)(region->base + image_header()->entry_offset);
    region->used += round_up(sizeof(*layer->info), PAGE_SIZE);
    return true;
}

static uint64_t add_root_tables(struct layer_region *region, const struct memory_map *map, bool has_1gib_pages)
{
    const struct layer_image_header *header = image_header();
    uint64_t end = memory_map_end(map);
    const struct root_layout layout = {
        .text_end = header->text_end,
        .rodata_end = header->rodata_end,
        .memory_end = header->memory_end,
        .direct_end = round_up(end > GIB(4) ? end : GIB(4), GIB(1)),
        .has_1gib_pages = has_1gib_pages,
    };

    return root_tables_build(region, &layout);
}

static void fill_boot_info(const struct layer *layer, const struct conf *conf, const struct cpu_list *cpus,
                           const struct memory_map *map, uint64_t root_cr3)
{
    uint64_t region_end = layer->region.base + layer->region.size, ram_top = memory_map_ram_top(map);
    struct boot_info *info = layer->info;

    info->magic = BOOT_INFO_MAGIC;
    info->region_base = layer->region.base;
    info->region_size = layer->region.size;
    info->free_offset = layer->region.used;
    info->root_cr3 = root_cr3;
    info->ram_top = ram_top > region_end ? ram_top : region_end;
    capabilities_power(&info->power);
    info->verbosity = conf->verbosity;
    info->init_mode = cpus->count > 1 || cpus->unlisted ? conf->init_mode : BOOT_INIT_EXIT;
    info->log_port = conf->log_port;
    info->shadowing = conf->shadowing;
    info->tsc_khz = capabilities_tsc_khz();
    info->cpu_count = cpus->count;
    firmware_boot->CopyMem(info->apic_id, (void *)cpus->apic_id, sizeof(info->apic_id));
    info->memory_count = map->count;
    firmware_boot->CopyMem(info->memory, (void *)map->ranges, sizeof(info->memory));
}

_Static_assert(sizeof(((struct boot_info *)0)->apic_id) == sizeof(((struct cpu_list *)0)->apic_id), "copied whole");
_Static_assert(sizeof(((struct boot_info *)0)->memory) == sizeof(((struct memory_map *)0)->ranges), "copied whole");

static void report(const struct layer *layer)
{
    const struct boot_info *info = layer->info;

    console_line("CloudVisor: layer at %lx, %lu MiB, %lu KiB of them used; page tables at %lx; PM1 at %lx",
                 info->region_base, info->region_size >> 20, info->free_offset >> 10, info->root_cr3,
                 (uint64_t)info->power.control[0]);
    for (uint32_t i = 0; i < info->memory_count; i++)
        console_line("CloudVisor: %s %lx to %lx", info->memory[i].kind == BOOT_MEMORY_RAM ? "RAM  " : "other",
                     info->memory[i].base, info->memory[i].base + info->memory[i].size);
}

EFI_STATUS layer_place(const struct conf *conf, const struct cpu_list *cpus, bool has_1gib_pages, struct layer *layer)
{
    static struct memory_map map;
    struct firmware_map firmware;
    uint64_t root_cr3 = 0;
    EFI_STATUS status = firmware_memory_map(&firmware);

    if (EFI_ERROR(status) || !memory_map_build(&firmware, &map)) {
        console_line("CloudVisor: the firmware's memory map is not usable (%s)", firmware_status_name(status));
        return EFI_ERROR(status) ? status : EFI_UNSUPPORTED;
    }
    status = reserve(&firmware, layer_region_size(memory_map_ram_bytes(&map)), &layer->region);
    if (EFI_ERROR(status))
        return status;
    if (!load_image(&layer->region)) {
        layer_release(layer);
        return EFI_LOAD_ERROR;
    }
    if (add_boot_info(layer))
        root_cr3 = add_root_tables(&layer->region, &map, has_1gib_pages);
    if (!root_cr3) {
        console_line("CloudVisor: the layer's %lu MiB are too few to map addresses up to %lx", layer->region.size >> 20,
                     memory_map_end(&map));
        layer_release(layer);
        return EFI_OUT_OF_RESOURCES;
    }
    fill_boot_info(layer, conf, cpus, &map, root_cr3);
    if (conf->verbosity > 1)
        report(layer);
    return EFI_SUCCESS;
}

void layer_release(struct layer *layer)
{
    firmware_boot->SetMem(layer->region.memory, layer->region.size, 0);
    firmware_boot->FreePages(layer->region.base, layer->region.size / PAGE_SIZE);
}
