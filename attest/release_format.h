/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The release blob: a secret for one launch digest, on one boot, in answer to one report. Shared by cvverify, which
 * seals, and the layer, which opens; freestanding. Integers are little-endian.
 *
 *   shared = X coordinate of ECDH(P-256, ephemeral key, this boot's key-agreement key), 32 bytes
 *   key | iv = HKDF-SHA256(salt = nonce, ikm = shared, info = RELEASE_INFO | SHA-256(head) | agreement point), 32 + 12 bytes
 *   head | ciphertext | tag: AES-256-GCM over the secret, additional data = the whole head
 *
 * Whoever opens it must compare launch digest and boot with its own, and must have put the nonce into a report for
 * this VM that no blob has answered yet.
 */
#ifndef ATTEST_RELEASE_FORMAT_H
#define ATTEST_RELEASE_FORMAT_H

#include "attest/event_format.h"

#define RELEASE_MAGIC    "CVRELEA"               /* with its terminator: 8 bytes */
#define RELEASE_INFO     "cloudvisor release v1" /* without its terminator */
#define RELEASE_VERSION  1
#define RELEASE_KEEP_KEY UINT32_C(0x1) /* the layer may keep the secret for restarts of this VM on this machine */
#define RELEASE_KNOWN    RELEASE_KEEP_KEY

enum { RELEASE_SECRET_MAX = 4096, RELEASE_KEY_SIZE = 32, RELEASE_IV_SIZE = 12, RELEASE_TAG_SIZE = 16 };

struct release_head {
    uint8_t magic[8];
    uint32_t version;
    uint32_t flags;
    uint8_t launch_digest[CV_DIGEST_SIZE];
    uint8_t boot[CV_DIGEST_SIZE]; /* digest of the boot's key event */
    uint8_t nonce[CV_DIGEST_SIZE];
    uint8_t ephemeral[CV_POINT_SIZE]; /* 04 | X | Y */
    uint8_t reserved[3];              /* 0 */
    uint32_t secret_size;             /* bytes of ciphertext behind the head; the tag follows them */
};

_Static_assert(sizeof(struct release_head) == 184, "layout");
_Static_assert(offsetof(struct release_head, launch_digest) == 16, "layout");
_Static_assert(offsetof(struct release_head, boot) == 48, "layout");
_Static_assert(offsetof(struct release_head, nonce) == 80, "layout");
_Static_assert(offsetof(struct release_head, ephemeral) == 112, "layout");
_Static_assert(offsetof(struct release_head, secret_size) == 180, "layout");
_Static_assert(sizeof(RELEASE_MAGIC) == 8, "magic");

#endif
