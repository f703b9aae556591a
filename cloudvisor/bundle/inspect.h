/* SPDX-License-Identifier: GPL-2.0-only */
/* cvbundle inspect: what a bundle holds, for people and as JSON. */
#ifndef BUNDLE_INSPECT_H
#define BUNDLE_INSPECT_H

#include "cloudvisor/bundle/image.h"

/* A bundle with its descriptor copied out and checked, and its digest computed anew. */
struct inspection {
    struct image image;
    struct bundle_descriptor descriptor;
    uint8_t digest[BUNDLE_DIGEST_BYTES];
    bool digest_matches; /* the one that the file states */
};

/* False with a reason. Pointers lead into `file`. */
bool inspect_read(const uint8_t *file, size_t size, struct inspection *inspection, char message[IMAGE_MESSAGE_MAX]);

void inspect_print(const struct inspection *inspection, FILE *out);
void inspect_print_json(const struct inspection *inspection, FILE *out);
void inspect_print_digest(const uint8_t digest[BUNDLE_DIGEST_BYTES], FILE *out);

/* The sentence of bundle_errors.def. */
const char *inspect_error_text(enum bundle_error error);

#endif
