/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page encryption: everything that a host can do to a page that it holds is noticed and leaves no data behind; then
 * vectors, limits, errors of the library, and the vector registers around it. The files under test are included, so
 * that memory and processor features can be taken away from them.
 */
#include "unit.h"
#include <mbedtls/aes.h>
#include <mbedtls/aesni.h>

static int aes_ni = 1, clmul = 1, callocs_left = 1000, blocks_left = -1;

static int fake_has_support(unsigned what)
{
    return what == MBEDTLS_AESNI_AES ? aes_ni : clmul;
}

static void *fake_calloc(size_t count, size_t size)
{
    return callocs_left-- > 0 ? calloc(count, size) : NULL;
}

static int fake_crypt_ecb(mbedtls_aes_context *ctx, int mode, const uint8_t *input, uint8_t *output)
{
    if (blocks_left == 0)
        return MBEDTLS_ERR_AES_HW_ACCEL_FAILED;
    blocks_left -= blocks_left > 0;
    return mbedtls_aes_crypt_ecb(ctx, mode, input, output);
}

#define mbedtls_aesni_has_support fake_has_support
#define mbedtls_aes_crypt_ecb     fake_crypt_ecb
#define calloc                    fake_calloc
#include "crypto/page_crypt.c"
#include "crypto/cipher_aes.c"
#undef calloc
#undef mbedtls_aes_crypt_ecb
#include "crypto/vector_state.h"

enum { FRAME = PAGE_CRYPT_FRAME_BYTES };

static const uint64_t VM = UINT64_C(0x1122334455667788), GFN = UINT64_C(0x9abcdef01);

static uint8_t plain[FRAME], sealed[FRAME], work[FRAME];
static const uint8_t zero[FRAME];
static struct page_crypt crypt;
static struct page_seal seal;

static void key_for(struct page_crypt *ctx, uint64_t vm_id, uint8_t first)
{
    uint8_t key[PAGE_CRYPT_KEY_BYTES];

    for (unsigned i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)(first + i);
    page_crypt_init(ctx);
    assert_int_equal(page_crypt_setkey(ctx, key, vm_id), PAGE_CRYPT_OK);
}

/* `plain` sealed into `sealed` as version 5 of GFN. */
static int begin(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FRAME; i++)
        plain[i] = (uint8_t)(i * 7 + (i >> 8));
    key_for(&crypt, VM, 0);
    seal = (struct page_seal){ .version = 4 };
    memcpy(sealed, plain, FRAME);
    assert_int_equal(page_crypt_seal(&crypt, GFN, sealed, &seal), PAGE_CRYPT_OK);
    return 0;
}

static int end(void **state)
{
    (void)state;
    page_crypt_free(&crypt);
    aes_ni = clmul = 1;
    callocs_left = 1000;
    blocks_left = -1;
    return 0;
}

static enum page_crypt_result open_copy(struct page_crypt *ctx, uint64_t gfn, const uint8_t *frame,
                                        const struct page_seal *s)
{
    memcpy(work, frame, FRAME);
    return page_crypt_open(ctx, gfn, work, s);
}

static void expect_forged(struct page_crypt *ctx, uint64_t gfn, const uint8_t *frame, const struct page_seal *s)
{
    assert_int_equal(open_copy(ctx, gfn, frame, s), PAGE_CRYPT_FORGED);
    assert_memory_equal(work, zero, FRAME);
}

static void expect_plain(struct page_crypt *ctx, uint64_t gfn, const uint8_t *frame, const struct page_seal *s)
{
    assert_int_equal(open_copy(ctx, gfn, frame, s), PAGE_CRYPT_OK);
    assert_memory_equal(work, plain, FRAME);
}

static void each_bit_of_the_frame(void **state)
{
    static uint8_t frame[FRAME];

    (void)state;
    for (unsigned bit = 0; bit < FRAME * 8; bit++) {
        memcpy(frame, sealed, FRAME);
        frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
        expect_forged(&crypt, GFN, frame, &seal);
    }
}

static void each_bit_of_the_tag(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < PAGE_CRYPT_TAG_BYTES * 8; bit++) {
        struct page_seal s = seal;

        s.tag[bit / 8] ^= (uint8_t)(1 << bit % 8);
        expect_forged(&crypt, GFN, sealed, &s);
    }
}

static void each_bit_of_the_version(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 32; bit++) {
        struct page_seal s = seal;

        s.version ^= UINT32_C(1) << bit;
        expect_forged(&crypt, GFN, sealed, &s);
    }
}

static void each_bit_of_the_frame_number(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++)
        expect_forged(&crypt, GFN ^ UINT64_C(1) << bit, sealed, &seal);
}

/* The same key, so that only the authenticated identity tells the VMs apart. */
static void each_bit_of_the_vm_id(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        struct page_crypt other;

        key_for(&other, VM ^ UINT64_C(1) << bit, 0);
        expect_forged(&other, GFN, sealed, &seal);
        page_crypt_free(&other);
    }
}

static void another_vm_with_a_key_of_its_own(void **state)
{
    struct page_crypt other;

    (void)state;
    key_for(&other, VM + 1, 1);
    expect_forged(&other, GFN, sealed, &seal);
    page_crypt_free(&other);
    key_for(&other, VM, 1);
    expect_forged(&other, GFN, sealed, &seal);
    page_crypt_free(&other);
}

static void replay_of_an_older_version(void **state)
{
    static uint8_t old[FRAME];
    struct page_seal old_seal = seal;

    (void)state;
    memcpy(old, sealed, FRAME);
    expect_plain(&crypt, GFN, old, &seal);
    memcpy(sealed, plain, FRAME);
    assert_int_equal(page_crypt_seal(&crypt, GFN, sealed, &seal), PAGE_CRYPT_OK);
    assert_int_equal(seal.version, old_seal.version + 1);
    assert_memory_not_equal(sealed, old, FRAME);
    assert_memory_not_equal(seal.tag, old_seal.tag, sizeof(seal.tag));
    expect_forged(&crypt, GFN, old, &seal);
    expect_forged(&crypt, GFN, sealed, &old_seal);
    expect_plain(&crypt, GFN, sealed, &seal);
}

static void swap_of_two_pages(void **state)
{
    static uint8_t other[FRAME];
    struct page_seal other_seal = { .version = 4 };

    (void)state;
    memcpy(other, plain, FRAME);
    assert_int_equal(page_crypt_seal(&crypt, GFN + 1, other, &other_seal), PAGE_CRYPT_OK);
    assert_memory_not_equal(other, sealed, FRAME);
    expect_forged(&crypt, GFN, other, &seal);
    expect_forged(&crypt, GFN + 1, sealed, &other_seal);
    expect_forged(&crypt, GFN, other, &other_seal);
    expect_plain(&crypt, GFN, sealed, &seal);
    expect_plain(&crypt, GFN + 1, other, &other_seal);
}

static void what_was_never_sealed(void **state)
{
    struct page_seal never = { 0 };

    (void)state;
    expect_forged(&crypt, GFN, zero, &never);
    expect_forged(&crypt, GFN, plain, &never);
    expect_forged(&crypt, GFN, plain, &seal);
    memcpy(never.tag, seal.tag, sizeof(never.tag));
    expect_forged(&crypt, GFN, sealed, &never);
}

/* A version 0 or above the limit is refused even with a tag that fits. */
static void versions_out_of_range(void **state)
{
    static const uint32_t versions[] = { 0, PAGE_VERSION_MAX + 1, UINT32_MAX };

    (void)state;
    for (unsigned i = 0; i < COUNT_OF(versions); i++) {
        struct page_identity id = { versions[i], GFN, VM };
        struct page_seal s = { .version = versions[i] };

        assert_int_equal(mbedtls_gcm_crypt_and_tag(&crypt.gcm, MBEDTLS_GCM_ENCRYPT, FRAME, (uint8_t *)&id, NONCE_BYTES,
                                                   (uint8_t *)&id, sizeof(id), plain, sealed, sizeof(s.tag), s.tag),
                         0);
        expect_forged(&crypt, GFN, sealed, &s);
    }
}

static void last_version_and_no_other(void **state)
{
    struct page_seal last = { .version = PAGE_VERSION_MAX - 1 };
    struct page_seal before;

    (void)state;
    memcpy(work, plain, FRAME);
    assert_int_equal(page_crypt_seal(&crypt, GFN, work, &last), PAGE_CRYPT_OK);
    assert_int_equal(last.version, PAGE_VERSION_MAX);
    memcpy(sealed, work, FRAME);
    expect_plain(&crypt, GFN, sealed, &last);
    before = last;
    assert_int_equal(page_crypt_seal(&crypt, GFN, work, &last), PAGE_CRYPT_EXHAUSTED);
    assert_memory_equal(work, zero, FRAME);
    assert_memory_equal(&last, &before, sizeof(last));
    last.version = UINT32_MAX;
    memcpy(work, plain, FRAME);
    assert_int_equal(page_crypt_seal(&crypt, GFN, work, &last), PAGE_CRYPT_EXHAUSTED);
    assert_memory_equal(work, zero, FRAME);
}

static void round_trip_of_many_versions(void **state)
{
    (void)state;
    memcpy(work, plain, FRAME);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(page_crypt_seal(&crypt, GFN, work, &seal), PAGE_CRYPT_OK);
        assert_int_equal(seal.version, 6 + i);
        assert_memory_not_equal(work, plain, FRAME);
        assert_int_equal(page_crypt_open(&crypt, GFN, work, &seal), PAGE_CRYPT_OK);
        assert_memory_equal(work, plain, FRAME);
    }
}

static void without_a_key(void **state)
{
    struct page_crypt none;
    struct page_seal s = { .version = 1 };

    (void)state;
    page_crypt_init(&none);
    memcpy(work, plain, FRAME);
    assert_int_equal(page_crypt_seal(&none, GFN, work, &s), PAGE_CRYPT_FAILED);
    assert_memory_equal(work, zero, FRAME);
    assert_int_equal(open_copy(&none, GFN, sealed, &s), PAGE_CRYPT_FAILED);
    assert_memory_equal(work, zero, FRAME);
    page_crypt_free(&none);
    page_crypt_free(&crypt);
    assert_int_equal(open_copy(&crypt, GFN, sealed, &seal), PAGE_CRYPT_FAILED);
    assert_memory_equal(&crypt, zero, sizeof(crypt));
}

/* A key that can't be set also ends the use of the one before. */
static void expect_no_key(enum page_crypt_result expected)
{
    const uint8_t key[PAGE_CRYPT_KEY_BYTES] = { 1 };

    assert_int_equal(page_crypt_setkey(&crypt, key, VM), expected);
    assert_int_equal(open_copy(&crypt, GFN, sealed, &seal), PAGE_CRYPT_FAILED);
    assert_memory_equal(work, zero, FRAME);
}

static void processor_without_aes(void **state)
{
    (void)state;
    aes_ni = 0;
    expect_no_key(PAGE_CRYPT_UNSUPPORTED);
}

static void processor_without_clmul(void **state)
{
    (void)state;
    clmul = 0;
    expect_no_key(PAGE_CRYPT_UNSUPPORTED);
}

static void out_of_memory(void **state)
{
    (void)state;
    callocs_left = 0;
    expect_no_key(PAGE_CRYPT_FAILED);
}

/* The block cipher fails half-way through the page. */
static void error_of_the_library(void **state)
{
    struct page_seal s = seal;

    (void)state;
    blocks_left = 100;
    memcpy(work, plain, FRAME);
    assert_int_equal(page_crypt_seal(&crypt, GFN, work, &s), PAGE_CRYPT_FAILED);
    assert_memory_equal(work, zero, FRAME);
    assert_int_equal(s.version, seal.version + 1);
    blocks_left = 100;
    assert_int_equal(open_copy(&crypt, GFN, sealed, &seal), PAGE_CRYPT_FAILED);
    assert_memory_equal(work, zero, FRAME);
    blocks_left = -1;
    expect_plain(&crypt, GFN, sealed, &seal);
}

/* This frame and tag come from another implementation of AES-GCM, Python's cryptography over OpenSSL. */
static void known_answer_of_a_page(void **state)
{
    static const uint8_t head[] = { 0x7b, 0x57, 0x6b, 0xea, 0x4f, 0xbe, 0xae, 0xcd,
                                    0xfb, 0x54, 0x83, 0xe1, 0x38, 0x11, 0x64, 0x16 };
    static const uint8_t tail[] = { 0xf6, 0x88, 0x66, 0xc1, 0x69, 0x79, 0x3f, 0x27,
                                    0x85, 0x99, 0xd8, 0x7c, 0x6e, 0xc8, 0xb6, 0x8c };
    static const uint8_t tag[] = { 0xf1, 0xfc, 0x13, 0x0e, 0x73, 0x2c, 0x86, 0xd2, 0x21, 0x99, 0x8c, 0x90 };

    (void)state;
    assert_int_equal(seal.version, 5);
    assert_memory_equal(sealed, head, sizeof(head));
    assert_memory_equal(sealed + FRAME - sizeof(tail), tail, sizeof(tail));
    assert_memory_equal(seal.tag, tag, sizeof(tag));
    expect_plain(&crypt, GFN, sealed, &seal);
}

/* Test cases 13 to 16 of the GCM specification that was submitted to NIST: AES-256, 96-bit nonces. */
struct gcm_vector {
    const char *name, *key, *nonce, *aad, *plain, *cipher, *tag;
};

#define ZERO_KEY "0000000000000000000000000000000000000000000000000000000000000000"
#define SPEC_KEY "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"
#define SPEC_PLAIN                                                                                                     \
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657" \
    "ba637b39"
#define SPEC_CIPHER                                                                                                    \
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a" \
    "bcc9f662"

static const struct gcm_vector vectors[] = {
    { "test case 13", ZERO_KEY, "000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b" },
    { "test case 14", ZERO_KEY, "000000000000000000000000", "", "00000000000000000000000000000000",
      "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919" },
    { "test case 15", SPEC_KEY, "cafebabefacedbaddecaf888", "", SPEC_PLAIN "1aafd255", SPEC_CIPHER "898015ad",
      "b094dac5d93471bdec1a502270e3cc6c" },
    { "test case 16", SPEC_KEY, "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2", SPEC_PLAIN,
      SPEC_CIPHER, "76fc6ece0f4e1768cddf8853bb2d551b" },
};

static size_t from_hex(const char *text, uint8_t *bytes)
{
    size_t count = strlen(text) / 2;

    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)strtoul((char[]){ text[2 * i], text[2 * i + 1], 0 }, NULL, 16);
    return count;
}

static void gcm_vector(void **state)
{
    const struct gcm_vector *v = *state;
    uint8_t key[32], nonce[12], aad[64], text[64], expected[64], expected_tag[16], out[64], tag[16];
    size_t size = from_hex(v->plain, text), aad_size = from_hex(v->aad, aad);
    struct page_crypt ctx;

    from_hex(v->key, key);
    from_hex(v->nonce, nonce);
    from_hex(v->cipher, expected);
    from_hex(v->tag, expected_tag);
    page_crypt_init(&ctx);
    assert_int_equal(page_crypt_setkey(&ctx, key, 0), PAGE_CRYPT_OK);
    assert_int_equal(mbedtls_gcm_crypt_and_tag(&ctx.gcm, MBEDTLS_GCM_ENCRYPT, size, nonce, sizeof(nonce), aad, aad_size,
                                               text, out, sizeof(tag), tag),
                     0);
    assert_memory_equal(out, expected, size);
    assert_memory_equal(tag, expected_tag, sizeof(tag));
    assert_int_equal(
        mbedtls_gcm_auth_decrypt(&ctx.gcm, size, nonce, sizeof(nonce), aad, aad_size, tag, sizeof(tag), expected, out),
        0);
    assert_memory_equal(out, text, size);
    page_crypt_free(&ctx);
}

static void cipher_layer_knows_aes_256_only(void **state)
{
    mbedtls_cipher_context_t ctx = { 0 };
    uint8_t block[32] = { 0 };
    size_t size;

    (void)state;
    assert_null(mbedtls_cipher_info_from_values(MBEDTLS_CIPHER_ID_AES, 128, MBEDTLS_MODE_ECB));
    assert_null(mbedtls_cipher_info_from_values(MBEDTLS_CIPHER_ID_AES, 256, MBEDTLS_MODE_CBC));
    assert_null(mbedtls_cipher_info_from_values(MBEDTLS_CIPHER_ID_DES, 256, MBEDTLS_MODE_ECB));
    assert_int_equal(mbedtls_cipher_update(&ctx, block, sizeof(block), block, &size),
                     MBEDTLS_ERR_CIPHER_FULL_BLOCK_EXPECTED);
    mbedtls_cipher_free(&ctx);
}

#define EACH_YMM(instruction) ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n" instruction "\n.endr"

static void fill_ymm(const uint8_t bytes[16][32])
{
    __asm__ volatile(EACH_YMM("vmovdqu 32 * \\n(%0), %%ymm\\n") : : "r"(bytes) : "memory");
}

static void store_ymm(uint8_t bytes[16][32])
{
    __asm__ volatile(EACH_YMM("vmovdqu %%ymm\\n, 32 * \\n(%0)") : : "r"(bytes) : "memory");
}

static uint8_t ymm_before[16][32], ymm_after[16][32];

/* All of the registers around the AES and GHASH instructions themselves. */
static void upper_halves_are_left_alone(void **state)
{
    struct vector_state area;
    uint8_t product[16];

    (void)state;
    if (!__builtin_cpu_supports("avx"))
        skip();
    for (unsigned i = 0; i < sizeof(ymm_before); i++)
        ymm_before[i / 32][i % 32] = (uint8_t)(i * 5 + 1);
    fill_ymm((const uint8_t(*)[32])ymm_before);
    crypto_begin(&area);
    mbedtls_aesni_crypt_ecb(crypt.gcm.cipher_ctx.cipher_ctx, MBEDTLS_AES_ENCRYPT, plain, work);
    mbedtls_aesni_gcm_mult(product, plain, work);
    crypto_end(&area);
    store_ymm(ymm_after);
    assert_memory_equal(ymm_before, ymm_after, sizeof(ymm_before));
    for (unsigned i = 0; i < 16; i++)
        assert_memory_equal(area.xmm[i], ymm_before[i], 16);
}

/* XMM around a whole page. */
static void vector_registers_survive(void **state)
{
    struct vector_state area, marked, after;

    (void)state;
    for (unsigned i = 0; i < sizeof(marked); i++)
        marked.xmm[i / 16][i % 16] = (uint8_t)(i * 3 + 1);
    memcpy(work, plain, FRAME);
    crypto_end(&marked);
    crypto_begin(&area);
    (void)!page_crypt_seal(&crypt, GFN, work, &seal);
    crypto_end(&area);
    crypto_begin(&after);
    assert_memory_equal(&area, &marked, sizeof(marked));
    assert_memory_equal(&after, &marked, sizeof(marked));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest forgeries[] = {
        CASE(each_bit_of_the_frame),
        CASE(each_bit_of_the_tag),
        CASE(each_bit_of_the_version),
        CASE(each_bit_of_the_frame_number),
        CASE(each_bit_of_the_vm_id),
        CASE(another_vm_with_a_key_of_its_own),
        CASE(replay_of_an_older_version),
        CASE(swap_of_two_pages),
        CASE(what_was_never_sealed),
        CASE(versions_out_of_range),
        CASE(last_version_and_no_other),
        CASE(without_a_key),
        CASE(processor_without_aes),
        CASE(processor_without_clmul),
        CASE(out_of_memory),
        CASE(error_of_the_library),
        CASE(round_trip_of_many_versions),
        CASE(known_answer_of_a_page),
        CASE(cipher_layer_knows_aes_256_only),
        CASE(upper_halves_are_left_alone),
        CASE(vector_registers_survive),
    };
    struct group g = { 0 };

    for (size_t i = 0; i < COUNT_OF(vectors); i++)
        group_add(&g, gcm_vector, &vectors[i], "GCM %s", vectors[i].name);
    return cmocka_run_group_tests_name("page_crypt", forgeries, NULL, NULL) + group_run(&g, "gcm_vectors");
}
