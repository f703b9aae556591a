/* SPDX-License-Identifier: GPL-2.0-only */
/* What the build puts into cvbundle: the stub's image, linked for LAYOUT_STUB_GPA, and a DSDT per machine type. */
#ifndef BUNDLE_BLOBS_H
#define BUNDLE_BLOBS_H

#include <stddef.h>
#include <stdint.h>

struct blob {
    const uint8_t *start;
    size_t size;
};

extern const struct blob blob_stub, blob_dsdt_microvm, blob_dsdt_pc, blob_dsdt_q35;

#endif
