/* SPDX-License-Identifier: GPL-2.0-only */
/* Lays out a bundle in guest-physical memory and writes its descriptor. */
#ifndef BUNDLE_BUILD_H
#define BUNDLE_BUILD_H

#include "cloudvisor/bundle/acpi_tables.h"
#include "cloudvisor/bundle/image.h"
#include "cloudvisor/bundle/policy.h"

enum { BUILD_CONTROL_BYTES = 24 * 4096, BUILD_MESSAGE_MAX = 256 };

struct build_inputs {
    const struct policy *policy; /* complete */
    const uint8_t *kernel;
    size_t kernel_bytes;
    const uint8_t *initrd;
    size_t initrd_bytes;
    const char *cmdline;
    bool allow_plain;
};

/* `control` is the storage of the descriptor's segment; the image points to it and to the inputs. */
struct build {
    struct image image;
    uint8_t control[BUILD_CONTROL_BYTES];
    struct bundle_descriptor descriptor;
};

/* False with what to change in `message`. */
bool build_bundle(const struct build_inputs *inputs, struct build *build, char message[BUILD_MESSAGE_MAX]);

#endif
