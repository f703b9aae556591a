/* SPDX-License-Identifier: GPL-2.0-only */
/* The head of the layer's image, layer.bin, and its check before it is used. Pure. */
#ifndef LOADER_LAYER_IMAGE_H
#define LOADER_LAYER_IMAGE_H

#include <stdint.h>
#include "cloudvisor/boot_info.h"

#define LAYER_IMAGE_MAGIC UINT64_C(0x524559414c564330) /* "0CVLAYER" */

/*
 * The first bytes of layer.bin. Offsets are from the image's start and multiples of 4 KiB where they part
 * protections: [0, text_end) read+execute, [text_end, rodata_end) read, [rodata_end, memory_end) read+write.
 * The first page holds this header and the entry code and must also be mapped executable at its physical address.
 */
struct layer_image_header {
    uint64_t magic;
    uint64_t entry_offset; /* layer_entry_fn, called at its physical address, on the firmware's page tables */
    uint64_t text_end;
    uint64_t rodata_end;
    uint64_t file_size;  /* bytes in layer.bin */
    uint64_t memory_end; /* with .bss; the rest of the reserved region is free for the layer's pools */
};

/*
 * Checks a header against the bytes that the loader carries. Returns NULL if it is sound, else what is wrong. Sound
 * means: file_size equals `embedded_size`; 0 < text_end <= rodata_end <= memory_end <= `region_size`, the first two
 * multiples of 4 KiB; the entry lies in the first page behind the header; the file fits into the memory.
 */
const char *layer_image_fault(const struct layer_image_header *header, uint64_t embedded_size, uint64_t region_size);

#endif
