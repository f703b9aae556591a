/* SPDX-License-Identifier: GPL-2.0-only */
/* Page encryption: the nonce is (version, gfn), so it is unique per key; VM and gfn are authenticated besides. */
#include <string.h>
#include <mbedtls/aesni.h>
#include <mbedtls/platform_util.h>
#include "crypto/page_crypt.h"

struct page_nonce {
    uint32_t version;
    uint64_t gfn;
} __attribute__((packed));
_Static_assert(sizeof(struct page_nonce) == 12, "GCM takes 96 bits as they are");

struct page_aad {
    uint64_t vm_id;
    uint64_t gfn;
};

void page_crypt_init(struct page_crypt *ctx)
{
    memset(ctx, 0, sizeof(*ctx));
    mbedtls_gcm_init(&ctx->gcm);
}

/* Without these instructions the library works with tables whose use of the cache shows the key. */
static bool processor_supports_gcm(void)
{
    return mbedtls_aesni_has_support(MBEDTLS_AESNI_AES) != 0 && mbedtls_aesni_has_support(MBEDTLS_AESNI_CLMUL) != 0;
}

enum page_crypt_result page_crypt_setkey(struct page_crypt *ctx, const uint8_t key[PAGE_CRYPT_KEY_BYTES],
                                         uint64_t vm_id)
{
    ctx->has_key = false;
    if (!processor_supports_gcm())
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
    struct page_aad aad = { ctx->vm_id, gfn };
    struct page_nonce nonce = { seal->version + 1, gfn };

    if (!ctx->has_key)
        return wiped(frame, PAGE_CRYPT_FAILED);
    if (seal->version >= PAGE_VERSION_MAX)
        return wiped(frame, PAGE_CRYPT_EXHAUSTED);
    seal->version = nonce.version; /* before its use: a failed attempt uses it up, too */
    if (mbedtls_gcm_crypt_and_tag(&ctx->gcm, MBEDTLS_GCM_ENCRYPT, PAGE_CRYPT_FRAME_BYTES, (const uint8_t *)&nonce,
                                  sizeof(nonce), (const uint8_t *)&aad, sizeof(aad), frame, frame, sizeof(seal->tag),
                                  seal->tag) != 0)
        return wiped(frame, PAGE_CRYPT_FAILED);
    return PAGE_CRYPT_OK;
}

enum page_crypt_result page_crypt_open(struct page_crypt *ctx, uint64_t gfn, void *frame, const struct page_seal *seal)
{
    struct page_aad aad = { ctx->vm_id, gfn };
    struct page_nonce nonce = { seal->version, gfn };
    int error;

    if (!ctx->has_key)
        return wiped(frame, PAGE_CRYPT_FAILED);
    if (seal->version == 0 || seal->version > PAGE_VERSION_MAX)
        return wiped(frame, PAGE_CRYPT_FORGED);
    error = mbedtls_gcm_auth_decrypt(&ctx->gcm, PAGE_CRYPT_FRAME_BYTES, (const uint8_t *)&nonce, sizeof(nonce),
                                     (const uint8_t *)&aad, sizeof(aad), seal->tag, sizeof(seal->tag), frame, frame);
    if (error != 0)
        return wiped(frame, error == MBEDTLS_ERR_GCM_AUTH_FAILED ? PAGE_CRYPT_FORGED : PAGE_CRYPT_FAILED);
    return PAGE_CRYPT_OK;
}

void page_crypt_free(struct page_crypt *ctx)
{
    mbedtls_gcm_free(&ctx->gcm);
    mbedtls_platform_zeroize(ctx, sizeof(*ctx));
}
