/* SPDX-License-Identifier: GPL-2.0-only */
/* TPM public areas and signatures (TPM 2.0 Library, Part 2, "TPMT_PUBLIC" and "TPMT_SIGNATURE"). See tpm_key.h. */
#include <string.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/rsa.h>
#include "attest/cvverify/event_log.h"
#include "attest/cvverify/tpm_key.h"

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 4096, RSA_EXPONENT = 65537, COORDINATE_SIZE = 32 };

/* The template's authorization policy: PolicySecret of the endorsement hierarchy. */
static const uint8_t ek_policy[DIGEST_SIZE] = {
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
};

static void parse_symmetric(struct cursor *c, struct tpm_public *key)
{
    key->symmetric = cursor_be16(c);
    if (key->symmetric == TPM_ALG_NULL)
        return;
    key->symmetric_bits = cursor_be16(c);
    key->symmetric_mode = cursor_be16(c);
}

/* Schemes with a hash; ECDAA, with its counter, isn't known here. */
static bool parse_scheme(struct cursor *c, struct tpm_public *key)
{
    key->scheme = cursor_be16(c);
    switch (key->scheme) {
    case TPM_ALG_NULL:
    case TPM_ALG_RSAES: return true;
    case TPM_ALG_RSASSA:
    case TPM_ALG_RSAPSS:
    case TPM_ALG_OAEP:
    case TPM_ALG_ECDSA: key->scheme_hash = cursor_be16(c); return true;
    default: return false;
    }
}

static bool parse_rsa(struct cursor *c, struct tpm_public *key)
{
    parse_symmetric(c, key);
    if (!parse_scheme(c, key))
        return false;
    key->bits = cursor_be16(c);
    key->exponent = cursor_be32(c);
    if (key->exponent == 0)
        key->exponent = RSA_EXPONENT;
    key->unique = cursor_tpm2b(c);
    return key->unique.size * 8 == key->bits;
}

static bool parse_ecc(struct cursor *c, struct tpm_public *key)
{
    parse_symmetric(c, key);
    if (!parse_scheme(c, key))
        return false;
    key->curve = cursor_be16(c);
    if (cursor_be16(c) != TPM_ALG_NULL)
        cursor_take(c, 2);
    key->unique = cursor_tpm2b(c);
    key->unique_y = cursor_tpm2b(c);
    return true;
}

static struct tpm_name name_of(struct bytes public_area)
{
    struct tpm_name name = { { TPM_SHA256 >> 8, TPM_SHA256 & 0xff } };
    struct digest digest = digest_of(public_area);

    memcpy(name.byte + 2, digest.byte, DIGEST_SIZE);
    return name;
}

bool tpm_public_parse(struct bytes raw, struct tpm_public *key)
{
    struct cursor outer = cursor_over(raw), c;
    struct bytes area = cursor_tpm2b(&outer);
    bool known;

    *key = (struct tpm_public){ 0 };
    if (raw.size > TPM_PUBLIC_MAX || !cursor_done(&outer))
        return false;
    c = cursor_over(area);
    key->type = cursor_be16(&c);
    key->name_hash = cursor_be16(&c);
    key->attributes = cursor_be32(&c);
    cursor_tpm2b(&c);
    known = key->type == TPM_ALG_RSA ? parse_rsa(&c, key) : key->type == TPM_ALG_ECC ? parse_ecc(&c, key) : false;
    if (!known || !cursor_done(&c) || key->name_hash != TPM_SHA256)
        return false;
    key->name = name_of(area);
    return true;
}

static bool rsa_to_pk(const struct tpm_public *key, mbedtls_pk_context *pk)
{
    mbedtls_rsa_context *rsa = mbedtls_pk_rsa(*pk);
    uint8_t exponent[4] = { (uint8_t)(key->exponent >> 24), (uint8_t)(key->exponent >> 16),
                            (uint8_t)(key->exponent >> 8), (uint8_t)key->exponent };

    return mbedtls_rsa_import_raw(rsa, key->unique.data, key->unique.size, NULL, 0, NULL, 0, NULL, 0, exponent,
                                  sizeof(exponent)) == 0 &&
           mbedtls_rsa_complete(rsa) == 0 && mbedtls_rsa_check_pubkey(rsa) == 0;
}

/* TPMs drop leading zeros of coordinates in some fields: shorter ones are padded. */
static bool point_of(struct bytes x, struct bytes y, uint8_t point[1 + 2 * COORDINATE_SIZE])
{
    if (x.size > COORDINATE_SIZE || y.size > COORDINATE_SIZE || x.size == 0 || y.size == 0)
        return false;
    memset(point, 0, 1 + 2 * COORDINATE_SIZE);
    point[0] = 4;
    memcpy(point + 1 + COORDINATE_SIZE - x.size, x.data, x.size);
    memcpy(point + 1 + 2 * COORDINATE_SIZE - y.size, y.data, y.size);
    return true;
}

static bool ecc_to_pk(const struct tpm_public *key, mbedtls_pk_context *pk)
{
    mbedtls_ecp_keypair *pair = mbedtls_pk_ec(*pk);
    uint8_t point[1 + 2 * COORDINATE_SIZE];

    return point_of(key->unique, key->unique_y, point) &&
           mbedtls_ecp_group_load(&pair->grp, MBEDTLS_ECP_DP_SECP256R1) == 0 &&
           mbedtls_ecp_point_read_binary(&pair->grp, &pair->Q, point, sizeof(point)) == 0 &&
           mbedtls_ecp_check_pubkey(&pair->grp, &pair->Q) == 0;
}

bool tpm_public_to_pk(const struct tpm_public *key, mbedtls_pk_context *pk)
{
    if (key->type == TPM_ALG_RSA && key->bits >= RSA_BITS_MIN && key->bits <= RSA_BITS_MAX && key->exponent >= 65537)
        return mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(MBEDTLS_PK_RSA)) == 0 && rsa_to_pk(key, pk);
    if (key->type == TPM_ALG_ECC && key->curve == TPM_ECC_P256)
        return mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) == 0 && ecc_to_pk(key, pk);
    return false;
}

bool tpm_signature_parse(struct bytes raw, struct tpm_signature *signature)
{
    struct cursor c = cursor_over(raw);

    *signature = (struct tpm_signature){ 0 };
    signature->scheme = cursor_be16(&c);
    signature->hash = cursor_be16(&c);
    signature->first = cursor_tpm2b(&c);
    if (signature->scheme == TPM_ALG_ECDSA)
        signature->second = cursor_tpm2b(&c);
    return raw.size <= TPM_SIGNATURE_MAX && cursor_done(&c);
}

static bool verify_ecdsa(mbedtls_ecp_keypair *pair, const struct tpm_signature *signature, const struct digest *digest)
{
    mbedtls_mpi r, s;
    bool valid;

    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    valid = mbedtls_mpi_read_binary(&r, signature->first.data, signature->first.size) == 0 &&
            mbedtls_mpi_read_binary(&s, signature->second.data, signature->second.size) == 0 &&
            mbedtls_ecdsa_verify(&pair->grp, digest->byte, DIGEST_SIZE, &pair->Q, &r, &s) == 0;
    mbedtls_mpi_free(&r);
    mbedtls_mpi_free(&s);
    return valid;
}

static bool verify_rsa(mbedtls_rsa_context *rsa, const struct tpm_signature *signature, const struct digest *digest)
{
    if (signature->first.size != mbedtls_rsa_get_len(rsa))
        return false;
    mbedtls_rsa_set_padding(rsa, signature->scheme == TPM_ALG_RSAPSS ? MBEDTLS_RSA_PKCS_V21 : MBEDTLS_RSA_PKCS_V15,
                            MBEDTLS_MD_SHA256);
    return mbedtls_rsa_pkcs1_verify(rsa, NULL, NULL, MBEDTLS_RSA_PUBLIC, MBEDTLS_MD_SHA256, DIGEST_SIZE, digest->byte,
                                    signature->first.data) == 0;
}

bool tpm_signature_verify(const struct tpm_public *key, const struct tpm_signature *signature, struct bytes message)
{
    struct digest digest = digest_of(message);
    mbedtls_pk_context pk;
    bool valid = false;

    mbedtls_pk_init(&pk);
    if (tpm_public_to_pk(key, &pk)) {
        if (key->type == TPM_ALG_ECC)
            valid = signature->scheme == TPM_ALG_ECDSA && verify_ecdsa(mbedtls_pk_ec(pk), signature, &digest);
        else
            valid = signature->scheme != TPM_ALG_ECDSA && verify_rsa(mbedtls_pk_rsa(pk), signature, &digest);
    }
    mbedtls_pk_free(&pk);
    return valid;
}

static size_t put_be16(uint8_t *out, size_t at, unsigned value)
{
    out[at] = (uint8_t)(value >> 8);
    out[at + 1] = (uint8_t)value;
    return at + 2;
}

/* Up to the symmetric cipher, both templates are equal. */
static size_t put_ek_template(uint8_t *out, unsigned type)
{
    size_t at = put_be16(out, 2, type);

    at = put_be16(out, at, TPM_SHA256);
    at = put_be16(out, at, 0x0003);
    at = put_be16(out, at, 0x00b2);
    at = put_be16(out, at, DIGEST_SIZE);
    memcpy(out + at, ek_policy, DIGEST_SIZE);
    at = put_be16(out, at + DIGEST_SIZE, TPM_ALG_AES);
    at = put_be16(out, at, 128);
    at = put_be16(out, at, TPM_ALG_CFB);
    return put_be16(out, at, TPM_ALG_NULL);
}

static size_t ek_from_rsa(mbedtls_rsa_context *rsa, uint8_t *out)
{
    size_t at = put_ek_template(out, TPM_ALG_RSA), size = mbedtls_rsa_get_len(rsa);

    if (size != 256)
        return 0;
    at = put_be16(out, at, 2048);
    at = put_be16(out, at, 0);
    at = put_be16(out, at, 0);
    at = put_be16(out, at, (unsigned)size);
    return mbedtls_rsa_export_raw(rsa, out + at, size, NULL, 0, NULL, 0, NULL, 0, NULL, 0) == 0 ? at + size : 0;
}

static size_t ek_from_ecc(const mbedtls_ecp_keypair *pair, uint8_t *out)
{
    size_t at = put_ek_template(out, TPM_ALG_ECC), size;
    uint8_t point[1 + 2 * COORDINATE_SIZE];

    if (pair->grp.id != MBEDTLS_ECP_DP_SECP256R1 ||
        mbedtls_ecp_point_write_binary(&pair->grp, &pair->Q, MBEDTLS_ECP_PF_UNCOMPRESSED, &size, point,
                                       sizeof(point)) != 0)
        return 0;
    at = put_be16(out, at, TPM_ECC_P256);
    at = put_be16(out, at, TPM_ALG_NULL);
    at = put_be16(out, at, COORDINATE_SIZE);
    memcpy(out + at, point + 1, COORDINATE_SIZE);
    at = put_be16(out, at + COORDINATE_SIZE, COORDINATE_SIZE);
    memcpy(out + at, point + 1 + COORDINATE_SIZE, COORDINATE_SIZE);
    return at + COORDINATE_SIZE;
}

size_t tpm_ek_from_pk(const mbedtls_pk_context *pk, uint8_t out[TPM_PUBLIC_MAX])
{
    size_t size = 0;

    if (mbedtls_pk_get_type(pk) == MBEDTLS_PK_RSA)
        size = ek_from_rsa(mbedtls_pk_rsa(*pk), out);
    else if (mbedtls_pk_can_do(pk, MBEDTLS_PK_ECKEY))
        size = ek_from_ecc(mbedtls_pk_ec(*pk), out);
    if (size)
        put_be16(out, 0, (unsigned)(size - 2));
    return size;
}

static struct tpm_name qualify(struct bytes above, const struct tpm_name *name)
{
    struct tpm_name qualified = { { TPM_SHA256 >> 8, TPM_SHA256 & 0xff } };
    struct digest digest = digest_of_pair(above, (struct bytes){ name->byte, TPM_NAME_SIZE });

    memcpy(qualified.byte + 2, digest.byte, DIGEST_SIZE);
    return qualified;
}

struct tpm_name tpm_qualified_name(const struct tpm_name *parent, const struct tpm_name *name)
{
    static const uint8_t endorsement[4] = { TPM_RH_ENDORSEMENT >> 24, 0, 0, TPM_RH_ENDORSEMENT & 0xff };
    struct tpm_name above;

    if (!parent)
        return qualify((struct bytes){ endorsement, sizeof(endorsement) }, name);
    above = tpm_qualified_name(NULL, parent);
    return qualify((struct bytes){ above.byte, TPM_NAME_SIZE }, name);
}

char *tpm_name_text(const struct tpm_name *name, char out[2 * TPM_NAME_SIZE + 1])
{
    return hex_text((struct bytes){ name->byte, TPM_NAME_SIZE }, out);
}
