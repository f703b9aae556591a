/* SPDX-License-Identifier: GPL-2.0-only */
/* Seals a secret for one VM on one boot (attest/release_format.h), and opens it as the layer does. */
#ifndef CVVERIFY_RELEASE_H
#define CVVERIFY_RELEASE_H

#include "attest/release_format.h"
#include "attest/cvverify/challenge.h"

enum { RELEASE_MAX = sizeof(struct release_head) + RELEASE_SECRET_MAX + RELEASE_TAG_SIZE };

struct release_target {
    struct digest launch_digest;
    struct digest boot;
    uint8_t nonce[CHALLENGE_NONCE_SIZE];
    uint8_t agreement[CV_POINT_SIZE];
    uint32_t flags;
};

/* Returns the blob's length, or 0. */
size_t release_seal(const struct release_target *target, struct bytes secret, random_source source,
                    uint8_t out[RELEASE_MAX]);

/*
 * Opens `blob` with the boot's private key (32 bytes) for exactly this target; its flags are ignored and set. Returns
 * false for any other digest, boot, nonce or key, or a changed byte; `secret` is then wiped.
 */
bool release_open(struct release_target *target, const uint8_t private_key[32], struct bytes blob,
                  uint8_t secret[RELEASE_SECRET_MAX], size_t *secret_size);

#endif
