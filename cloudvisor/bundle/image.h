/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The bundle file: an ELF whose loaded segments are whole pages at their guest-physical addresses, with two notes:
 * the PVH entry point, and the descriptor's address with the launch digest.
 */
#ifndef BUNDLE_IMAGE_H
#define BUNDLE_IMAGE_H

#include <stdbool.h>
#include <stdio.h>
#include "cloudvisor/bundle/bundle_check.h"

enum { IMAGE_SEGMENT_MAX = 16, IMAGE_MESSAGE_MAX = 192 };

struct image_segment {
    uint64_t gpa;
    const uint8_t *bytes;
    uint64_t size; /* whole pages after image_read; image_write pads */
};

struct image {
    uint32_t segment_count;
    struct image_segment segments[IMAGE_SEGMENT_MAX];
    uint64_t pvh_entry;
    uint64_t descriptor_gpa;
    uint8_t digest[BUNDLE_DIGEST_BYTES]; /* as the file says */
};

/* Writes the file; false with errno on an output error. The same image gives the same bytes. */
bool image_write(const struct image *image, FILE *file);

/* Reads what image_write wrote; pointers lead into `file`. False with a reason in `message`. */
bool image_read(const uint8_t *file, size_t size, struct image *image, char message[IMAGE_MESSAGE_MAX]);

/* The bytes of one page, NULL if no segment has it; `scratch` takes the page if its segment ends within it. */
const uint8_t *image_page(const struct image *image, uint64_t gpa, uint8_t scratch[BUNDLE_PAGE_SIZE]);

/* The launch digest, over pages of `image`; false if a measured page is in no segment. `descriptor` was checked. */
bool image_digest(const struct image *image, const struct bundle_descriptor *descriptor,
                  uint8_t digest[BUNDLE_DIGEST_BYTES]);

#endif
