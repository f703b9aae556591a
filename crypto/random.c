/* SPDX-License-Identifier: GPL-2.0-only */
/* Seeds come from RDSEED; where that is missing or exhausted by others, from RDRAND made to reseed in between. */
#include <string.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/platform_util.h>
#include "crypto/random.h"

enum {
    SEED_WORDS = MBEDTLS_CTR_DRBG_ENTROPY_LEN / sizeof(uint64_t),
    RDSEED_TRIES = 64,
    RDRAND_TRIES = 10,    /* Intel's guide: more failures in a row mean a broken unit */
    RDRAND_RESEED = 1022, /* words after which RDRAND has certainly been reseeded, from the same guide */
    REQUESTS_PER_SEED = 64,
};
_Static_assert(MBEDTLS_CTR_DRBG_ENTROPY_LEN == 48, "a seed is 256 bits of entropy and a nonce of 128");
_Static_assert(RANDOM_BYTES_MAX == MBEDTLS_CTR_DRBG_MAX_REQUEST, "library's limit");
_Static_assert(RANDOM_EXTRA_MAX + MBEDTLS_CTR_DRBG_ENTROPY_LEN <= MBEDTLS_CTR_DRBG_MAX_SEED_INPUT, "library's limit");

static mbedtls_ctr_drbg_context generator;
static bool usable;

static bool draw_retry(bool (*draw)(uint64_t *value), int tries, uint64_t *value)
{
    while (tries-- > 0) {
        if (draw(value))
            return true;
    }
    return false;
}

bool random_word(uint64_t *value)
{
    if (draw_retry(hw_rdseed64, RDSEED_TRIES, value))
        return true;
    for (int i = 0; i <= RDRAND_RESEED; i++) {
        if (!draw_retry(hw_rdrand64, RDRAND_TRIES, value))
            return false;
    }
    return true;
}

/* What broken units gave: all zeros, all ones, one value or a few values over and over. By chance: one in 2^59 seeds. */
static bool word_is_stuck(const uint64_t *words, size_t i)
{
    if (words[i] == 0 || words[i] == UINT64_MAX)
        return true;
    for (size_t k = 0; k < i; k++) {
        if (words[k] == words[i])
            return true;
    }
    return false;
}

static int draw_seed(void *unused, unsigned char *to, size_t size)
{
    uint64_t words[SEED_WORDS];
    bool good = size == sizeof(words);

    (void)unused;
    for (size_t i = 0; good && i < SEED_WORDS; i++)
        good = random_word(&words[i]) && !word_is_stuck(words, i);
    if (good)
        memcpy(to, words, sizeof(words));
    mbedtls_platform_zeroize(words, sizeof(words));
    return good ? 0 : MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED;
}

bool random_init(const void *extra, size_t extra_size)
{
    random_free();
    mbedtls_ctr_drbg_init(&generator);
    if (extra_size > RANDOM_EXTRA_MAX)
        return false;
    usable = mbedtls_ctr_drbg_seed(&generator, draw_seed, NULL, extra, extra_size) == 0;
    mbedtls_ctr_drbg_set_reseed_interval(&generator, REQUESTS_PER_SEED);
    return usable;
}

bool random_bytes(void *to, size_t size)
{
    usable = usable && mbedtls_ctr_drbg_random(&generator, to, size) == 0;
    if (!usable)
        mbedtls_platform_zeroize(to, size);
    return usable;
}

void random_free(void)
{
    usable = false;
    mbedtls_ctr_drbg_free(&generator);
}
