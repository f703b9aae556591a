/* SPDX-License-Identifier: GPL-2.0-only */
/* Page encryption: the nonce is (version, gfn), so it is unique per key; VM and gfn are authenticated besides. */
#include <stddef.h>
#include <string.h>
#include <mbedtls/aesni.h>
#include <mbedtls/platform_util.h>
#include "crypto/page_crypt.h"

/* The nonce is the first 12 bytes; all of it is authenticated. */
struct page_identity {
    uint32_t version;
    uint64_t gfn;
    uint64_t vm_id;
} __attribute__((packed));
enum { NONCE_BYTES = offsetof(struct page_identity, vm_id) };
_Static_assert(NONCE_BYTES == 12, "GCM takes 96 bits as they are");

void page_crypt_init(struct page_crypt *ctx)
{
    memset(ctx, 0, sizeof(*ctx));
    mbedtls_gcm_init(&ctx->gcm);
}

enum page_crypt_result page_crypt_setkey(struct page_crypt *ctx, const uint8_t key[PAGE_CRYPT_KEY_BYTES],
                                         uint64_t vm_id)
{
    ctx->has_key = false;
    /* Without these instructions the library works with tables, whose use of the cache shows the key. */
    if (mbedtls_aesni_has_support(MBEDTLS_AESNI_AES) == 0 || mbedtls_aesni_has_support(MBEDTLS_AESNI_CLMUL) == 0)
        return PAGE_CRYPT_UNSUPPORTED;
    if (mbedtls_gcm_setkey(&ctx->gcm, MBEDTLS_CIPHER_ID_AES, key, PAGE_CRYPT_KEY_BYTES * 8) != 0)
        return PAGE_CRYPT_FAILED;
    ctx->vm_id = vm_id;
    ctx->has_key = true;
    return PAGE_CRYPT_OK;
}

static enum page_crypt_result wiped(void *frame, enum page_crypt_result why)
{
    mbedtls_platform_zeroize(frame, PAGE_CRYPT_FRAME_BYTES);
    return why;
}

enum page_crypt_result page_crypt_seal(struct page_crypt *ctx, uint64_t gfn, void *frame, struct page_seal *seal)
{
    struct page_identity id = { seal->version + 1, gfn, ctx->vm_id };
    const uint8_t *id_bytes = (const uint8_t *)&id;

    if (!ctx->has_key)
        return wiped(frame, PAGE_CRYPT_FAILED);
    if (seal->version >= PAGE_VERSION_MAX)
        return wiped(frame, PAGE_CRYPT_EXHAUSTED);
    seal->version = id.version; /* before its use: a failed attempt uses it up, too */
    if (mbedtls_gcm_crypt_and_tag(&ctx->gcm, MBEDTLS_GCM_ENCRYPT, PAGE_CRYPT_FRAME_BYTES, id_bytes, NONCE_BYTES,
                                  id_bytes, sizeof(id), frame, frame, sizeof(seal->tag), seal->tag) != 0)
        return wiped(frame, PAGE_CRYPT_FAILED);
    return PAGE_CRYPT_OK;
}

enum page_crypt_result page_crypt_open(struct page_crypt *ctx, uint64_t gfn, void *frame, const struct page_seal *seal)
{
    struct page_identity id = { seal->version, gfn, ctx->vm_id };
    const uint8_t *id_bytes = (const uint8_t *)&id;
    int error;

    if (!ctx->has_key)
        return wiped(frame, PAGE_CRYPT_FAILED);
    if (seal->version == 0 || seal->version > PAGE_VERSION_MAX)
        return wiped(frame, PAGE_CRYPT_FORGED);
    error = mbedtls_gcm_auth_decrypt(&ctx->gcm, PAGE_CRYPT_FRAME_BYTES, id_bytes, NONCE_BYTES, id_bytes, sizeof(id),
                                     seal->tag, sizeof(seal->tag), frame, frame);
    if (error != 0)
        return wiped(frame, error == MBEDTLS_ERR_GCM_AUTH_FAILED ? PAGE_CRYPT_FORGED : PAGE_CRYPT_FAILED);
    return PAGE_CRYPT_OK;
}

void page_crypt_free(struct page_crypt *ctx)
{
    mbedtls_gcm_free(&ctx->gcm);
    mbedtls_platform_zeroize(ctx, sizeof(*ctx));
}
