/* SPDX-License-Identifier: GPL-2.0-only */
/* The check of layer.bin's head. The image is ours and measured; the check finds build errors, not attacks. */
#include "cloudvisor/loader/layer_image.h"
#include <stddef.h>

#define PAGE_SIZE UINT64_C(4096)

_Static_assert(sizeof(struct layer_image_header) == 48, "layout shared with the layer's linker script");

const char *layer_image_fault(const struct layer_image_header *header, uint64_t embedded_size, uint64_t region_size)
{
    if (embedded_size < sizeof(*header) || header->magic != LAYER_IMAGE_MAGIC)
        return "wrong magic number";
    if (header->file_size != embedded_size)
        return "its size is not the one in its header";
    if (header->memory_end > region_size || header->file_size > header->memory_end)
        return "it does not fit into the reserved memory";
    if (header->text_end == 0 || header->text_end > header->rodata_end || header->rodata_end > header->memory_end)
        return "its sections are out of order";
    if (header->text_end % PAGE_SIZE || header->rodata_end % PAGE_SIZE)
        return "its sections are not page-aligned";
    if (header->entry_offset < sizeof(*header) || header->entry_offset >= PAGE_SIZE)
        return "its entry is not in the first page";
    return NULL;
}
