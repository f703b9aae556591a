/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The challenge: a nonce and, for an AK that isn't known yet, a credential that only the TPM with the EK's private part
 * and this very AK can open (TPM 2.0 Library, Part 1, "Credential Protection"). The verifier keeps a state file:
 *
 *   0    8  magic "CVSTATE\0"
 *   8    4  version, 1, big-endian
 *   12   4  1 with a credential, 0 without: then the rest is zeros
 *   16  32  nonce
 *   48  34  the AK's name
 *   82  34  the EK's name
 *   116 32  SHA-256 of the secret in the credential
 */
#ifndef CVVERIFY_CHALLENGE_H
#define CVVERIFY_CHALLENGE_H

#include "attest/cvverify/tpm_key.h"

#define CHALLENGE_MAGIC "CVSTATE" /* with its terminator: 8 bytes */

enum {
    CHALLENGE_VERSION = 1,
    CHALLENGE_SIZE = 148,
    CHALLENGE_NONCE_SIZE = 32,
    CHALLENGE_SECRET_SIZE = 32,
    CREDENTIAL_MAX = 1024,
};

struct challenge {
    uint8_t nonce[CHALLENGE_NONCE_SIZE];
    bool credential;
    struct tpm_name ak;
    struct tpm_name ek;
    struct digest secret_digest;
};

bool challenge_parse(struct bytes raw, struct challenge *challenge, struct findings *f);
void challenge_write(const struct challenge *challenge, uint8_t out[CHALLENGE_SIZE]);

/* A source of random bytes as Mbed TLS wants it; random_callback, except in tests. */
typedef int (*random_source)(void *context, unsigned char *out, size_t size);

/*
 * TPM2_MakeCredential in software, in the file format of tpm2_makecredential. Returns the length in `out`, or 0 if the
 * EK isn't a storage key that TPMs can use for it.
 */
size_t credential_make(const struct tpm_public *ek, const struct tpm_name *ak, struct bytes secret,
                       random_source source, uint8_t out[CREDENTIAL_MAX]);

#endif
