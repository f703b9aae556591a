/* SPDX-License-Identifier: GPL-2.0-only */
/* Public areas of TPM keys, their names, and signatures by them. */
#ifndef CVVERIFY_TPM_KEY_H
#define CVVERIFY_TPM_KEY_H

#include <mbedtls/pk.h>
#include "attest/cvverify/digest.h"
#include "attest/cvverify/findings.h"

enum { TPM_PUBLIC_MAX = 1024, TPM_SIGNATURE_MAX = 1024, TPM_NAME_SIZE = 34 };

enum tpm_algorithm {
    TPM_ALG_RSA = 0x0001,
    TPM_ALG_AES = 0x0006,
    TPM_ALG_NULL = 0x0010,
    TPM_ALG_RSASSA = 0x0014,
    TPM_ALG_RSAES = 0x0015,
    TPM_ALG_RSAPSS = 0x0016,
    TPM_ALG_OAEP = 0x0017,
    TPM_ALG_ECDSA = 0x0018,
    TPM_ALG_ECC = 0x0023,
    TPM_ALG_CFB = 0x0043,
};

enum { TPM_ECC_P256 = 0x0003 };

#define TPMA_FIXED_TPM     UINT32_C(0x00000002)
#define TPMA_FIXED_PARENT  UINT32_C(0x00000010)
#define TPMA_ORIGIN        UINT32_C(0x00000020) /* sensitiveDataOrigin */
#define TPMA_RESTRICTED    UINT32_C(0x00010000)
#define TPMA_DECRYPT       UINT32_C(0x00020000)
#define TPMA_SIGN          UINT32_C(0x00040000)
#define TPM_RH_ENDORSEMENT UINT32_C(0x4000000b)

/* nameAlg and digest, as TPMs write it. */
struct tpm_name {
    uint8_t byte[TPM_NAME_SIZE];
};

struct tpm_public {
    uint16_t type;
    uint16_t name_hash;
    uint32_t attributes;
    uint16_t symmetric; /* TPM_ALG_NULL or TPM_ALG_AES */
    uint16_t symmetric_bits;
    uint16_t symmetric_mode;
    uint16_t scheme;
    uint16_t scheme_hash;
    uint16_t bits; /* RSA */
    uint32_t exponent;
    uint16_t curve;      /* ECC */
    struct bytes unique; /* RSA modulus or X */
    struct bytes unique_y;
    struct tpm_name name;
};

struct tpm_signature {
    uint16_t scheme;
    uint16_t hash;
    struct bytes first;  /* RSA signature, or r */
    struct bytes second; /* s */
};

/* Reads a TPM2B_PUBLIC. False, without a reason, if it is malformed or of a kind not known here. */
bool tpm_public_parse(struct bytes raw, struct tpm_public *key);

/* An RSA key of 2048 bits or more, or one on P-256, for Mbed TLS. False if it isn't one or the point is invalid. */
bool tpm_public_to_pk(const struct tpm_public *key, mbedtls_pk_context *pk);

/* Reads a whole TPMT_SIGNATURE. */
bool tpm_signature_parse(struct bytes raw, struct tpm_signature *signature);

/* `signature` must fit the key's scheme: see check of algorithms in check_quote.c. */
bool tpm_signature_verify(const struct tpm_public *key, const struct tpm_signature *signature, struct bytes message);

/*
 * The TPM2B_PUBLIC that TCG's EK Credential Profile makes of a certificate's key with template L-1 (RSA 2048) or L-2
 * (P-256). Returns its length in `out`, or 0 for another kind of key.
 */
size_t tpm_ek_from_pk(const mbedtls_pk_context *pk, uint8_t out[TPM_PUBLIC_MAX]);

/* Qualified name of a key with `name`, below the primary key with `parent`, or primary itself if `parent` is NULL. */
struct tpm_name tpm_qualified_name(const struct tpm_name *parent, const struct tpm_name *name);

char *tpm_name_text(const struct tpm_name *name, char out[2 * TPM_NAME_SIZE + 1]);

#endif
