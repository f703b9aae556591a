/* SPDX-License-Identifier: GPL-2.0-only */
/* State file and credential of a challenge. Seeds and keys are wiped. See challenge.h. */
#include <string.h>
#include <mbedtls/aes.h>
#include <mbedtls/ecdh.h>
#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/rsa.h>
#include "attest/cvverify/challenge.h"

enum { SEED_SIZE = 32, COORDINATE = 32, IDENTITY_MAX = 2 + CHALLENGE_SECRET_SIZE, KDF_INPUT_MAX = 256 };

#define CREDENTIAL_MAGIC 0xbadcc0deu

bool challenge_parse(struct bytes raw, struct challenge *challenge, struct findings *f)
{
    struct cursor c = cursor_over(raw);
    const uint8_t *magic = cursor_take(&c, sizeof(CHALLENGE_MAGIC));
    uint32_t version = cursor_be32(&c), flags = cursor_be32(&c);

    *challenge = (struct challenge){ 0 };
    if (raw.size != CHALLENGE_SIZE || memcmp(magic, CHALLENGE_MAGIC, sizeof(CHALLENGE_MAGIC)) != 0 ||
        version != CHALLENGE_VERSION || flags > 1)
        return refuse(f, CHECK_CHALLENGE_FORMAT, "not the state of a challenge");
    challenge->credential = flags;
    memcpy(challenge->nonce, cursor_take(&c, CHALLENGE_NONCE_SIZE), CHALLENGE_NONCE_SIZE);
    memcpy(challenge->ak.byte, cursor_take(&c, TPM_NAME_SIZE), TPM_NAME_SIZE);
    memcpy(challenge->ek.byte, cursor_take(&c, TPM_NAME_SIZE), TPM_NAME_SIZE);
    memcpy(challenge->secret_digest.byte, cursor_take(&c, DIGEST_SIZE), DIGEST_SIZE);
    return true;
}

void challenge_write(const struct challenge *challenge, uint8_t out[CHALLENGE_SIZE])
{
    memset(out, 0, CHALLENGE_SIZE);
    memcpy(out, CHALLENGE_MAGIC, sizeof(CHALLENGE_MAGIC));
    out[11] = CHALLENGE_VERSION;
    out[15] = challenge->credential;
    memcpy(out + 16, challenge->nonce, CHALLENGE_NONCE_SIZE);
    memcpy(out + 48, challenge->ak.byte, TPM_NAME_SIZE);
    memcpy(out + 82, challenge->ek.byte, TPM_NAME_SIZE);
    memcpy(out + 116, challenge->secret_digest.byte, DIGEST_SIZE);
}

/* Appends to a buffer that the callers' fixed parts can't overflow. */
struct builder {
    uint8_t data[KDF_INPUT_MAX];
    size_t size;
};

static void add(struct builder *b, const void *data, size_t size)
{
    if (size)
        memcpy(b->data + b->size, data, size);
    b->size += size;
}

static void add_be(struct builder *b, uint32_t value, unsigned size)
{
    for (unsigned i = size; i-- > 0;)
        b->data[b->size++] = (uint8_t)(value >> 8 * i);
}

static bool hmac_sha256(struct bytes key, struct bytes data, uint8_t out[DIGEST_SIZE])
{
    return mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), key.data, key.size, data.data, data.size,
                           out) == 0;
}

/* KDFa for up to 256 bits: one round of SP 800-108 with HMAC-SHA256. `label` goes in with its terminator. */
static bool kdfa(const uint8_t seed[SEED_SIZE], const char *label, struct bytes context, uint32_t bits,
                 uint8_t out[DIGEST_SIZE])
{
    struct builder b = { .size = 0 };
    bool made;

    add_be(&b, 1, 4);
    add(&b, label, strlen(label) + 1);
    add(&b, context.data, context.size);
    add_be(&b, bits, 4);
    made = hmac_sha256((struct bytes){ seed, SEED_SIZE }, (struct bytes){ b.data, b.size }, out);
    mbedtls_platform_zeroize(&b, sizeof(b));
    return made;
}

/* KDFe for 256 bits, party U being the ephemeral key and V the EK. */
static void kdfe(const uint8_t z[COORDINATE], const uint8_t u[COORDINATE], const uint8_t v[COORDINATE],
                 uint8_t out[SEED_SIZE])
{
    struct builder b = { .size = 0 };
    struct digest digest;

    add_be(&b, 1, 4);
    add(&b, z, COORDINATE);
    add(&b, "IDENTITY", 9);
    add(&b, u, COORDINATE);
    add(&b, v, COORDINATE);
    digest = digest_of((struct bytes){ b.data, b.size });
    memcpy(out, digest.byte, SEED_SIZE);
    mbedtls_platform_zeroize(&b, sizeof(b));
    mbedtls_platform_zeroize(&digest, sizeof(digest));
}

/* The seed for an RSA EK: random, and encrypted with OAEP. Returns the length in `out`. */
static size_t seed_for_rsa(mbedtls_rsa_context *rsa, random_source source, uint8_t seed[SEED_SIZE], uint8_t *out)
{
    mbedtls_rsa_set_padding(rsa, MBEDTLS_RSA_PKCS_V21, MBEDTLS_MD_SHA256);
    if (source(NULL, seed, SEED_SIZE) != 0 ||
        mbedtls_rsa_rsaes_oaep_encrypt(rsa, source, NULL, MBEDTLS_RSA_PUBLIC, (const uint8_t *)"IDENTITY", 9, SEED_SIZE,
                                       seed, out) != 0)
        return 0;
    return mbedtls_rsa_get_len(rsa);
}

static bool write_coordinates(const mbedtls_ecp_point *point, uint8_t x[COORDINATE], uint8_t y[COORDINATE])
{
    return mbedtls_mpi_write_binary(&point->X, x, COORDINATE) == 0 &&
           mbedtls_mpi_write_binary(&point->Y, y, COORDINATE) == 0;
}

/* The seed for an EK on P-256: from ECDH with an ephemeral key, whose point is what is sent. */
static size_t seed_for_ecc(mbedtls_ecp_keypair *ek, random_source source, uint8_t seed[SEED_SIZE], uint8_t *out)
{
    uint8_t z[COORDINATE], x[COORDINATE], y[COORDINATE], ek_x[COORDINATE], ek_y[COORDINATE];
    mbedtls_ecp_point ephemeral;
    mbedtls_mpi d, shared;
    size_t size = 0;

    mbedtls_ecp_point_init(&ephemeral);
    mbedtls_mpi_init(&d);
    mbedtls_mpi_init(&shared);
    if (mbedtls_ecdh_gen_public(&ek->grp, &d, &ephemeral, source, NULL) == 0 &&
        mbedtls_ecdh_compute_shared(&ek->grp, &shared, &ek->Q, &d, source, NULL) == 0 &&
        mbedtls_mpi_write_binary(&shared, z, COORDINATE) == 0 && write_coordinates(&ephemeral, x, y) &&
        write_coordinates(&ek->Q, ek_x, ek_y)) {
        kdfe(z, x, ek_x, seed);
        memcpy(out, (const uint8_t[]){ 0, COORDINATE }, 2);
        memcpy(out + 2, x, COORDINATE);
        memcpy(out + 2 + COORDINATE, (const uint8_t[]){ 0, COORDINATE }, 2);
        memcpy(out + 4 + COORDINATE, y, COORDINATE);
        size = 4 + 2 * COORDINATE;
    }
    mbedtls_platform_zeroize(z, sizeof(z));
    mbedtls_mpi_free(&shared);
    mbedtls_mpi_free(&d);
    mbedtls_ecp_point_free(&ephemeral);
    return size;
}

static size_t make_seed(const struct tpm_public *ek, random_source source, uint8_t seed[SEED_SIZE], uint8_t *out)
{
    mbedtls_pk_context pk;
    size_t size = 0;

    mbedtls_pk_init(&pk);
    if (tpm_public_to_pk(ek, &pk)) {
        if (ek->type == TPM_ALG_RSA)
            size = seed_for_rsa(mbedtls_pk_rsa(pk), source, seed, out);
        else
            size = seed_for_ecc(mbedtls_pk_ec(pk), source, seed, out);
    }
    mbedtls_pk_free(&pk);
    return size;
}

/* Encrypts TPM2B_DIGEST(secret) with AES-128-CFB, key from the seed and the AK's name. Returns its length. */
static size_t encrypt_identity(const uint8_t seed[SEED_SIZE], const struct tpm_name *ak, struct bytes secret,
                               uint8_t *out)
{
    uint8_t key[DIGEST_SIZE], iv[16] = { 0 }, plain[IDENTITY_MAX] = { 0, (uint8_t)secret.size };
    size_t size = 2 + secret.size, offset = 0;
    mbedtls_aes_context aes;
    bool well;

    mbedtls_aes_init(&aes);
    memcpy(plain + 2, secret.data, secret.size);
    well = kdfa(seed, "STORAGE", (struct bytes){ ak->byte, TPM_NAME_SIZE }, 128, key) &&
           mbedtls_aes_setkey_enc(&aes, key, 128) == 0 &&
           mbedtls_aes_crypt_cfb128(&aes, MBEDTLS_AES_ENCRYPT, size, &offset, iv, plain, out) == 0;
    mbedtls_aes_free(&aes);
    mbedtls_platform_zeroize(key, sizeof(key));
    mbedtls_platform_zeroize(plain, sizeof(plain));
    return well ? size : 0;
}

/* HMAC over the encrypted identity and the AK's name. */
static bool protect_identity(const uint8_t seed[SEED_SIZE], const struct tpm_name *ak, struct bytes identity,
                             uint8_t out[DIGEST_SIZE])
{
    struct builder b = { .size = 0 };
    uint8_t key[DIGEST_SIZE];
    bool well;

    add(&b, identity.data, identity.size);
    add(&b, ak->byte, TPM_NAME_SIZE);
    well = kdfa(seed, "INTEGRITY", (struct bytes){ NULL, 0 }, 256, key) &&
           hmac_sha256((struct bytes){ key, sizeof(key) }, (struct bytes){ b.data, b.size }, out);
    mbedtls_platform_zeroize(key, sizeof(key));
    return well;
}

static bool usable_ek(const struct tpm_public *ek)
{
    return ek->attributes & TPMA_DECRYPT && ek->attributes & TPMA_RESTRICTED && ek->symmetric == TPM_ALG_AES &&
           ek->symmetric_bits == 128 && ek->symmetric_mode == TPM_ALG_CFB;
}

size_t credential_make(const struct tpm_public *ek, const struct tpm_name *ak, struct bytes secret,
                       random_source source, uint8_t out[CREDENTIAL_MAX])
{
    uint8_t seed[SEED_SIZE], encrypted_seed[512], identity[IDENTITY_MAX], hmac[DIGEST_SIZE];
    struct builder b = { .size = 0 };
    size_t seed_size, identity_size, size = 0;

    if (!usable_ek(ek) || secret.size > CHALLENGE_SECRET_SIZE)
        return 0;
    seed_size = make_seed(ek, source, seed, encrypted_seed);
    identity_size = seed_size ? encrypt_identity(seed, ak, secret, identity) : 0;
    if (identity_size && protect_identity(seed, ak, (struct bytes){ identity, identity_size }, hmac)) {
        add_be(&b, CREDENTIAL_MAGIC, 4);
        add_be(&b, 1, 4);
        add_be(&b, (uint32_t)(2 + DIGEST_SIZE + identity_size), 2);
        add_be(&b, DIGEST_SIZE, 2);
        add(&b, hmac, DIGEST_SIZE);
        add(&b, identity, identity_size);
        add_be(&b, (uint32_t)seed_size, 2);
        memcpy(out, b.data, b.size);
        memcpy(out + b.size, encrypted_seed, seed_size);
        size = b.size + seed_size;
    }
    mbedtls_platform_zeroize(seed, sizeof(seed));
    return size;
}
