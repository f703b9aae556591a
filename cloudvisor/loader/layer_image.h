/* SPDX-License-Identifier: GPL-2.0-only */
/* The check of layer.bin's head before it is used. Pure. */
#ifndef LOADER_LAYER_IMAGE_H
#define LOADER_LAYER_IMAGE_H

#include <stdint.h>
#include "cloudvisor/boot_info.h"

/*
 * Checks a header against the bytes that the loader carries. Returns NULL if it is sound, else what is wrong. Sound
 * means: file_size equals `embedded_size`; 0 < text_end <= rodata_end <= memory_end <= `region_size`, the first two
 * multiples of 4 KiB; the entry lies in the first page behind the header; the file fits into the memory.
 */
const char *layer_image_fault(const struct layer_image_header *header, uint64_t embedded_size, uint64_t region_size);

#endif
