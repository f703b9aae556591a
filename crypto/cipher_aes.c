/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The library's GCM reaches its block cipher through the library's generic cipher layer, which would bring every
 * cipher it knows (128 KiB: DES, Blowfish, ARC4 and so on) into root mode. These are the five functions of that layer
 * that GCM calls, for AES-256 in ECB mode only. Should another part of the library ever need the real ones, the link
 * fails with a duplicate symbol.
 */
#include <stdlib.h>
#include <mbedtls/aes.h>
#include <mbedtls/cipher.h>
#include <mbedtls/platform_util.h>

enum { AES_BLOCK_BYTES = 16, AES_KEY_BITS = 256 };

static const mbedtls_cipher_info_t aes_256_ecb = { .block_size = AES_BLOCK_BYTES };

const mbedtls_cipher_info_t *mbedtls_cipher_info_from_values(const mbedtls_cipher_id_t cipher_id, int key_bitlen,
                                                             const mbedtls_cipher_mode_t mode)
{
    if (cipher_id != MBEDTLS_CIPHER_ID_AES || key_bitlen != AES_KEY_BITS || mode != MBEDTLS_MODE_ECB)
        return NULL;
    return &aes_256_ecb;
}

int mbedtls_cipher_setup(mbedtls_cipher_context_t *ctx, const mbedtls_cipher_info_t *cipher_info)
{
    ctx->cipher_ctx = calloc(1, sizeof(mbedtls_aes_context));
    if (ctx->cipher_ctx == NULL)
        return MBEDTLS_ERR_CIPHER_ALLOC_FAILED;
    mbedtls_aes_init(ctx->cipher_ctx);
    ctx->cipher_info = cipher_info;
    return 0;
}

int mbedtls_cipher_setkey(mbedtls_cipher_context_t *ctx, const unsigned char *key, int key_bitlen,
                          const mbedtls_operation_t operation)
{
    (void)operation; /* GCM only ever encrypts blocks */
    return mbedtls_aes_setkey_enc(ctx->cipher_ctx, key, (unsigned)key_bitlen);
}

int mbedtls_cipher_update(mbedtls_cipher_context_t *ctx, const unsigned char *input, size_t ilen, unsigned char *output,
                          size_t *olen)
{
    if (ilen != AES_BLOCK_BYTES)
        return MBEDTLS_ERR_CIPHER_FULL_BLOCK_EXPECTED;
    *olen = AES_BLOCK_BYTES;
    return mbedtls_aes_crypt_ecb(ctx->cipher_ctx, MBEDTLS_AES_ENCRYPT, input, output);
}

void mbedtls_cipher_free(mbedtls_cipher_context_t *ctx)
{
    mbedtls_aes_free(ctx->cipher_ctx);
    free(ctx->cipher_ctx);
    mbedtls_platform_zeroize(ctx, sizeof(*ctx));
}
