/* SPDX-License-Identifier: GPL-2.0-only */
/* ECDH on P-256, HKDF-SHA256, AES-256-GCM. Shared secrets and keys are wiped on every way out. See release.h. */
#include <string.h>
#include <mbedtls/ecdh.h>
#include <mbedtls/gcm.h>
#include <mbedtls/hkdf.h>
#include <mbedtls/platform_util.h>
#include "attest/cvverify/release.h"

enum { SHARED_SIZE = 32, OKM_SIZE = RELEASE_KEY_SIZE + RELEASE_IV_SIZE, INFO_TEXT = sizeof(RELEASE_INFO) - 1 };

struct agreement {
    mbedtls_ecp_group group;
    mbedtls_ecp_point theirs;
    mbedtls_ecp_point mine;
    mbedtls_mpi private_key;
    mbedtls_mpi shared;
};

static bool agreement_init(struct agreement *a, const uint8_t theirs[CV_POINT_SIZE])
{
    mbedtls_ecp_group_init(&a->group);
    mbedtls_ecp_point_init(&a->theirs);
    mbedtls_ecp_point_init(&a->mine);
    mbedtls_mpi_init(&a->private_key);
    mbedtls_mpi_init(&a->shared);
    return theirs[0] == 4 && mbedtls_ecp_group_load(&a->group, MBEDTLS_ECP_DP_SECP256R1) == 0 &&
           mbedtls_ecp_point_read_binary(&a->group, &a->theirs, theirs, CV_POINT_SIZE) == 0 &&
           mbedtls_ecp_check_pubkey(&a->group, &a->theirs) == 0;
}

static void agreement_free(struct agreement *a)
{
    mbedtls_mpi_free(&a->shared);
    mbedtls_mpi_free(&a->private_key);
    mbedtls_ecp_point_free(&a->mine);
    mbedtls_ecp_point_free(&a->theirs);
    mbedtls_ecp_group_free(&a->group);
}

/* Key and IV. The head, and with it every condition, goes into the derivation as well as into the tag. */
static bool derive(struct agreement *a, const struct release_head *head, const uint8_t agreement_point[CV_POINT_SIZE],
                   random_source source, uint8_t okm[OKM_SIZE])
{
    uint8_t shared[SHARED_SIZE], info[INFO_TEXT + DIGEST_SIZE + CV_POINT_SIZE];
    struct digest digest = digest_of((struct bytes){ (const uint8_t *)head, sizeof(*head) });
    bool well;

    memcpy(info, RELEASE_INFO, INFO_TEXT);
    memcpy(info + INFO_TEXT, digest.byte, DIGEST_SIZE);
    memcpy(info + INFO_TEXT + DIGEST_SIZE, agreement_point, CV_POINT_SIZE);
    well = mbedtls_ecdh_compute_shared(&a->group, &a->shared, &a->theirs, &a->private_key, source, NULL) == 0 &&
           mbedtls_mpi_write_binary(&a->shared, shared, SHARED_SIZE) == 0 &&
           mbedtls_hkdf(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), head->nonce, sizeof(head->nonce), shared,
                        SHARED_SIZE, info, sizeof(info), okm, OKM_SIZE) == 0;
    mbedtls_platform_zeroize(shared, sizeof(shared));
    return well;
}

static bool encrypt(const uint8_t okm[OKM_SIZE], const struct release_head *head, struct bytes secret, uint8_t *out)
{
    mbedtls_gcm_context gcm;
    bool well;

    mbedtls_gcm_init(&gcm);
    well = mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, okm, 8 * RELEASE_KEY_SIZE) == 0 &&
           mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, secret.size, okm + RELEASE_KEY_SIZE, RELEASE_IV_SIZE,
                                     (const uint8_t *)head, sizeof(*head), secret.data, out, RELEASE_TAG_SIZE,
                                     out + secret.size) == 0;
    mbedtls_gcm_free(&gcm);
    return well;
}

static bool decrypt(const uint8_t okm[OKM_SIZE], const struct release_head *head, const uint8_t *in, uint8_t *out)
{
    mbedtls_gcm_context gcm;
    bool well;

    mbedtls_gcm_init(&gcm);
    well = mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, okm, 8 * RELEASE_KEY_SIZE) == 0 &&
           mbedtls_gcm_auth_decrypt(&gcm, head->secret_size, okm + RELEASE_KEY_SIZE, RELEASE_IV_SIZE,
                                    (const uint8_t *)head, sizeof(*head), in + head->secret_size, RELEASE_TAG_SIZE, in,
                                    out) == 0;
    mbedtls_gcm_free(&gcm);
    return well;
}

static void fill_head(struct release_head *head, const struct release_target *target, size_t secret_size)
{
    memset(head, 0, sizeof(*head));
    memcpy(head->magic, RELEASE_MAGIC, sizeof(head->magic));
    head->version = RELEASE_VERSION;
    head->flags = target->flags;
    memcpy(head->launch_digest, target->launch_digest.byte, DIGEST_SIZE);
    memcpy(head->boot, target->boot.byte, DIGEST_SIZE);
    memcpy(head->nonce, target->nonce, sizeof(head->nonce));
    head->secret_size = (uint32_t)secret_size;
}

static bool make_ephemeral(struct agreement *a, random_source source, uint8_t point[CV_POINT_SIZE])
{
    size_t size;

    return mbedtls_ecdh_gen_public(&a->group, &a->private_key, &a->mine, source, NULL) == 0 &&
           mbedtls_ecp_point_write_binary(&a->group, &a->mine, MBEDTLS_ECP_PF_UNCOMPRESSED, &size, point,
                                          CV_POINT_SIZE) == 0;
}

size_t release_seal(const struct release_target *target, struct bytes secret, random_source source,
                    uint8_t out[RELEASE_MAX])
{
    struct agreement a;
    struct release_head head;
    uint8_t okm[OKM_SIZE];
    bool well = secret.size > 0 && secret.size <= RELEASE_SECRET_MAX;

    fill_head(&head, target, secret.size);
    well = agreement_init(&a, target->agreement) && well && make_ephemeral(&a, source, head.ephemeral) &&
           derive(&a, &head, target->agreement, source, okm) && encrypt(okm, &head, secret, out + sizeof(head));
    if (well)
        memcpy(out, &head, sizeof(head));
    agreement_free(&a);
    mbedtls_platform_zeroize(okm, sizeof(okm));
    return well ? sizeof(head) + secret.size + RELEASE_TAG_SIZE : 0;
}

static bool head_fits(const struct release_head *head, const struct release_target *target, size_t blob_size)
{
    return memcmp(head->magic, RELEASE_MAGIC, sizeof(head->magic)) == 0 && head->version == RELEASE_VERSION &&
           (head->flags & ~RELEASE_KNOWN) == 0 && head->secret_size > 0 && head->secret_size <= RELEASE_SECRET_MAX &&
           blob_size == sizeof(*head) + head->secret_size + RELEASE_TAG_SIZE &&
           memcmp(head->launch_digest, target->launch_digest.byte, DIGEST_SIZE) == 0 &&
           memcmp(head->boot, target->boot.byte, DIGEST_SIZE) == 0 &&
           memcmp(head->nonce, target->nonce, sizeof(head->nonce)) == 0;
}

bool release_open(struct release_target *target, const uint8_t private_key[32], struct bytes blob,
                  uint8_t secret[RELEASE_SECRET_MAX], size_t *secret_size)
{
    struct agreement a;
    struct release_head head;
    uint8_t okm[OKM_SIZE];
    bool well;

    if (blob.size < sizeof(head))
        return false;
    memcpy(&head, blob.data, sizeof(head));
    if (!head_fits(&head, target, blob.size))
        return false;
    well = agreement_init(&a, head.ephemeral) && mbedtls_mpi_read_binary(&a.private_key, private_key, 32) == 0 &&
           derive(&a, &head, target->agreement, random_callback, okm) &&
           decrypt(okm, &head, blob.data + sizeof(head), secret);
    agreement_free(&a);
    mbedtls_platform_zeroize(okm, sizeof(okm));
    *secret_size = well ? head.secret_size : 0;
    target->flags = head.flags;
    if (!well)
        mbedtls_platform_zeroize(secret, RELEASE_SECRET_MAX);
    return well;
}
