/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Unit tests of what the cases of generate.c don't reach: encodings by hand, the credential opened as a TPM opens it,
 * the release blob with every byte changed, PE images, policies, small parts.
 */
#include <string.h>
#include <mbedtls/aes.h>
#include <mbedtls/ecdh.h>
#include <mbedtls/md.h>
#include <mbedtls/rsa.h>
#include "tests/unit/unit.h"
#include "attest/report_encode.h"
#include "attest/cvverify/cbor.h"
#include "attest/cvverify/json.h"
#include "attest/cvverify/pe.h"
#include "attest/cvverify/policy.h"
#include "attest/cvverify/release.h"
#include "attest/cvverify/report.h"
#include "tests/attest/scene.h"

static struct findings findings;

static void reset(void)
{
    findings.refused_count = findings.refused_more = findings.notes_count = 0;
}

/* RFC 8949, Appendix A: integers and strings. */
static void cbor_vectors(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        int64_t value;
    } ints[] = {
        { "\x00", 1, 0 },
        { "\x17", 1, 23 },
        { "\x18\x18", 2, 24 },
        { "\x18\x64", 2, 100 },
        { "\x19\x03\xe8", 3, 1000 },
        { "\x1a\x00\x0f\x42\x40", 5, 1000000 },
        { "\x1b\x00\x00\x00\xe8\xd4\xa5\x10\x00", 9, 1000000000000 },
        { "\x20", 1, -1 },
        { "\x38\x63", 2, -100 },
        { "\x39\x03\xe7", 3, -1000 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ints); i++) {
        struct cbor_reader r = cbor_over((struct bytes){ (const uint8_t *)ints[i].bytes, ints[i].size });

        assert_int_equal(cbor_int(&r), ints[i].value);
        assert_true(cbor_finish(&r));
    }
}

/* RFC 8949, Appendix F, and encodings that are well-formed but not deterministic. */
static void cbor_refusals(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        enum cbor_error error;
    } bad[] = {
        { "", 0, CBOR_CUT_OFF },
        { "\x18", 1, CBOR_CUT_OFF },
        { "\x19\x01", 2, CBOR_CUT_OFF },
        { "\x1b\x01\x02", 3, CBOR_CUT_OFF },
        { "\x1c", 1, CBOR_RESERVED },
        { "\x1e", 1, CBOR_RESERVED },
        { "\x1f", 1, CBOR_INDEFINITE },
        { "\x18\x17", 2, CBOR_NOT_SHORTEST },
        { "\x19\x00\xff", 3, CBOR_NOT_SHORTEST },
        { "\x1a\x00\x00\xff\xff", 5, CBOR_NOT_SHORTEST },
        { "\x1b\0\0\0\0\xff\xff\xff\xff", 9, CBOR_NOT_SHORTEST },
        { "\xf6", 1, CBOR_SIMPLE },
        { "\xff", 1, CBOR_SIMPLE },
        { "\x40", 1, CBOR_WRONG_KIND },
        { "\x1b\x80\0\0\0\0\0\0\0", 9, CBOR_WRONG_KIND },
        { "\x00\x00", 2, CBOR_TRAILING },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct cbor_reader r = cbor_over((struct bytes){ (const uint8_t *)bad[i].bytes, bad[i].size });

        cbor_int(&r);
        assert_false(cbor_finish(&r));
        assert_int_equal(r.error, bad[i].error);
        assert_true(strlen(cbor_error_text(r.error)) > 0);
    }
}

static void fill_claims(struct report_claims *claims)
{
    memset(claims, 0, sizeof(*claims));
    memset(claims->nonce, 1, sizeof(claims->nonce));
    memset(claims->boot_seed, 2, sizeof(claims->boot_seed));
    memset(claims->launch_digest, 3, sizeof(claims->launch_digest));
    memset(claims->guest_data, 4, sizeof(claims->guest_data));
    claims->vm_policy = 6;
    claims->vm_state = REPORT_VM_RUNNING;
    claims->vcpus = 300;
    claims->platform_flags = 5;
    claims->layer_version = 0x12345;
}

/* The bytes of docs/attestation.md, written by hand from RFC 8949. */
static void report_bytes(void **state)
{
    static const uint8_t start[] = {
        0xd2, 0x84, 0x43, 0xa1, 0x01, 0x26, 0xa0, 0x59, 0x01, 0x11, 0xab, 0x0a, 0x58, 0x20
    };
    static const uint8_t numbers[] = { 0x3a, 0x00, 0x01, 0x11, 0x71, 0x06, 0x3a, 0x00, 0x01, 0x11, 0x72,
                                       0x02, 0x3a, 0x00, 0x01, 0x11, 0x73, 0x19, 0x01, 0x2c, 0x3a, 0x00,
                                       0x01, 0x11, 0x74, 0x05, 0x3a, 0x00, 0x01, 0x11, 0x75, 0x1a, 0x00,
                                       0x01, 0x23, 0x45, 0x3a, 0x00, 0x01, 0x11, 0x76, 0x58, 0x40 };
    struct report_claims claims;
    struct report report;
    uint8_t out[REPORT_MAX], signature[64];
    size_t size;

    (void)state;
    reset();
    fill_claims(&claims);
    memset(signature, 9, sizeof(signature));
    size = report_encode(&claims, signature, out, sizeof(out));
    assert_int_equal(size, 10 + 0x111 + 66);
    assert_memory_equal(out, start, sizeof(start));
    assert_memory_equal(out + size - 66 - 64 - sizeof(numbers), numbers, sizeof(numbers));
    assert_true(report_parse((struct bytes){ out, size }, 1, &report, &findings));
    assert_memory_equal(&report.claims, &claims, sizeof(claims));
}

/* Every buffer that is too small gives nothing, and nothing is written past it. */
static void report_overflow(void **state)
{
    struct report_claims claims;
    uint8_t signature[64] = { 0 };

    (void)state;
    fill_claims(&claims);
    for (size_t size = 0; size < 10 + 0x111 + 66; size++) {
        uint8_t *out = malloc(size ? size : 1);

        assert_int_equal(report_encode(&claims, signature, out, size), 0);
        if (size < 20 + 0x111)
            assert_int_equal(report_encode_to_be_signed(&claims, out, size), 0);
        free(out);
    }
    memset(&claims.vm_policy, 0xff, 5 * sizeof(uint32_t));
    {
        uint8_t out[REPORT_MAX];

        assert_true(report_encode(&claims, signature, out, sizeof(out)) > 0);
    }
}

static void hmac(const uint8_t *key, const void *data, size_t size, uint8_t out[32])
{
    assert_int_equal(
        mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), key, 32, (const uint8_t *)data, size, out), 0);
}

/* What TPM2_ActivateCredential does with the blob once the seed is known. */
static void open_credential(const uint8_t *blob, const struct tpm_name *ak, const uint8_t seed[32], uint8_t secret[32])
{
    uint8_t input[4 + 8 + TPM_NAME_SIZE + 4] = { 0, 0, 0, 1, 'S', 'T', 'O', 'R', 'A', 'G', 'E', 0 }, key[32],
                                          expected[32];
    uint8_t integrity[4 + 10 + 4] = { 0, 0, 0, 1, 'I', 'N', 'T', 'E', 'G', 'R', 'I', 'T', 'Y', 0, 0, 0, 1, 0 };
    uint8_t covered[34 + TPM_NAME_SIZE], plain[34], iv[16] = { 0 };
    mbedtls_aes_context aes;
    size_t offset = 0;

    hmac(seed, integrity, sizeof(integrity), key);
    memcpy(covered, blob + 44, 34);
    memcpy(covered + 34, ak->byte, TPM_NAME_SIZE);
    hmac(key, covered, sizeof(covered), expected);
    assert_memory_equal(blob + 12, expected, 32);
    memcpy(input + 12, ak->byte, TPM_NAME_SIZE);
    input[sizeof(input) - 1] = 128;
    hmac(seed, input, sizeof(input), key);
    mbedtls_aes_init(&aes);
    mbedtls_aes_setkey_enc(&aes, key, 128);
    mbedtls_aes_crypt_cfb128(&aes, MBEDTLS_AES_DECRYPT, 34, &offset, iv, blob + 44, plain);
    mbedtls_aes_free(&aes);
    assert_int_equal(plain[1], 32);
    memcpy(secret, plain + 2, 32);
}

static void credential_for_rsa(void **state)
{
    uint8_t made[TPM_PUBLIC_MAX], blob[CREDENTIAL_MAX], secret[32], seed[256], opened[32];
    struct tpm_public ek;
    struct tpm_name ak = { { 0, 0x0b, 7 } };
    mbedtls_rsa_context *rsa = mbedtls_pk_rsa(*key_of(KEY_EK_RSA));
    size_t size, seed_size;

    (void)state;
    memset(secret, 0x77, sizeof(secret));
    assert_true(tpm_public_parse((struct bytes){ made, tpm_ek_from_pk(key_of(KEY_EK_RSA), made) }, &ek));
    size = credential_make(&ek, &ak, (struct bytes){ secret, 32 }, random_callback, blob);
    assert_int_equal(size, 8 + 2 + 68 + 2 + 256);
    assert_memory_equal(blob, "\xba\xdc\xc0\xde\0\0\0\1\0\x44\0\x20", 12);
    mbedtls_rsa_set_padding(rsa, MBEDTLS_RSA_PKCS_V21, MBEDTLS_MD_SHA256);
    assert_int_equal(mbedtls_rsa_rsaes_oaep_decrypt(rsa, random_callback, NULL, MBEDTLS_RSA_PRIVATE,
                                                    (const uint8_t *)"IDENTITY", 9, &seed_size, blob + 80, seed, 256),
                     0);
    assert_int_equal(seed_size, 32);
    open_credential(blob, &ak, seed, opened);
    assert_memory_equal(opened, secret, 32);
}

/* A signing key, or one without the cipher that protects credentials, is no EK. */
static void credential_refusals(void **state)
{
    uint8_t made[TPM_PUBLIC_MAX], blob[CREDENTIAL_MAX], secret[33] = { 0 };
    struct tpm_name ak = { { 0, 0x0b } };
    struct tpm_public ek, changed;

    (void)state;
    assert_true(tpm_public_parse((struct bytes){ made, tpm_ek_from_pk(key_of(KEY_EK_ECC), made) }, &ek));
    assert_true(credential_make(&ek, &ak, (struct bytes){ secret, 32 }, random_callback, blob) > 0);
    assert_int_equal(credential_make(&ek, &ak, (struct bytes){ secret, 33 }, random_callback, blob), 0);
    changed = ek;
    changed.attributes &= ~TPMA_DECRYPT;
    assert_int_equal(credential_make(&changed, &ak, (struct bytes){ secret, 32 }, random_callback, blob), 0);
    changed = ek;
    changed.attributes &= ~TPMA_RESTRICTED;
    assert_int_equal(credential_make(&changed, &ak, (struct bytes){ secret, 32 }, random_callback, blob), 0);
    changed = ek;
    changed.symmetric_bits = 256;
    assert_int_equal(credential_make(&changed, &ak, (struct bytes){ secret, 32 }, random_callback, blob), 0);
    changed = ek;
    changed.curve = 4;
    assert_int_equal(credential_make(&changed, &ak, (struct bytes){ secret, 32 }, random_callback, blob), 0);
}

static void private_key(enum fake_key key, uint8_t out[32])
{
    assert_int_equal(mbedtls_mpi_write_binary(&mbedtls_pk_ec(*key_of(key))->d, out, 32), 0);
}

static void make_target(struct release_target *target)
{
    memset(target, 0, sizeof(*target));
    memset(target->launch_digest.byte, 1, DIGEST_SIZE);
    memset(target->boot.byte, 2, DIGEST_SIZE);
    memset(target->nonce, 3, sizeof(target->nonce));
    key_point(KEY_AGREEMENT, target->agreement);
    target->flags = RELEASE_KEEP_KEY;
}

static void release_round_trip(void **state)
{
    static uint8_t blob[RELEASE_MAX], secret[RELEASE_SECRET_MAX], opened[RELEASE_SECRET_MAX];
    static const size_t sizes[] = { 1, 32, 33, RELEASE_SECRET_MAX };
    struct release_target target;
    uint8_t d[32];
    size_t size, opened_size;

    (void)state;
    private_key(KEY_AGREEMENT, d);
    memset(secret, 0x42, sizeof(secret));
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        make_target(&target);
        size = release_seal(&target, (struct bytes){ secret, sizes[i] }, random_callback, blob);
        assert_int_equal(size, 184 + sizes[i] + 16);
        target.flags = 0;
        assert_true(release_open(&target, d, (struct bytes){ blob, size }, opened, &opened_size));
        assert_int_equal(opened_size, sizes[i]);
        assert_int_equal(target.flags, RELEASE_KEEP_KEY);
        assert_memory_equal(opened, secret, sizes[i]);
    }
    assert_int_equal(release_seal(&target, (struct bytes){ secret, 0 }, random_callback, blob), 0);
    assert_int_equal(release_seal(&target, (struct bytes){ secret, RELEASE_SECRET_MAX + 1 }, random_callback, blob), 0);
}

/* Each byte of the blob, each condition, the key, the length: any change and there is nothing. */
static void release_changes(void **state)
{
    static uint8_t blob[RELEASE_MAX], opened[RELEASE_SECRET_MAX], wiped[RELEASE_SECRET_MAX];
    struct release_target target, other;
    uint8_t d[32], wrong[32];
    size_t size, opened_size;

    (void)state;
    private_key(KEY_AGREEMENT, d);
    private_key(KEY_STRANGER, wrong);
    make_target(&target);
    size = release_seal(&target, (struct bytes){ (const uint8_t *)"the disk's key", 14 }, random_callback, blob);
    for (size_t i = 0; i < size; i++) {
        blob[i] ^= 1;
        memset(opened, 0xee, sizeof(opened));
        opened_size = 0;
        assert_false(release_open(&target, d, (struct bytes){ blob, size }, opened, &opened_size));
        assert_int_equal(opened_size, 0);
        assert_memory_not_equal(opened, "the disk's key", 14);
        blob[i] ^= 1;
    }
    for (size_t cut = 0; cut < size; cut++)
        assert_false(release_open(&target, d, (struct bytes){ blob, cut }, opened, &opened_size));
    other = target;
    other.launch_digest.byte[31] ^= 1;
    assert_false(release_open(&other, d, (struct bytes){ blob, size }, opened, &opened_size));
    other = target;
    other.boot.byte[0] ^= 1;
    assert_false(release_open(&other, d, (struct bytes){ blob, size }, opened, &opened_size));
    other = target;
    other.nonce[5] ^= 1;
    assert_false(release_open(&other, d, (struct bytes){ blob, size }, opened, &opened_size));
    memset(opened, 0xee, sizeof(opened));
    assert_false(release_open(&target, wrong, (struct bytes){ blob, size }, opened, &opened_size));
    assert_memory_equal(opened, wiped, sizeof(opened));
    assert_true(release_open(&target, d, (struct bytes){ blob, size }, opened, &opened_size));
}

static void pe_hash(void **state)
{
    static struct buffer pe;
    struct digest expected, layer, is;

    (void)state;
    make_loader(&pe, &expected, &layer);
    assert_null(pe_authenticode((struct bytes){ pe.data, pe.size }, &is));
    assert_true(digest_equal(&is, &expected));
    pe.data[0x58 + 64] ^= 1; /* check sum */
    assert_null(pe_authenticode((struct bytes){ pe.data, pe.size }, &is));
    assert_true(digest_equal(&is, &expected));
    pe.data[0x300] ^= 1;
    assert_null(pe_authenticode((struct bytes){ pe.data, pe.size }, &is));
    assert_false(digest_equal(&is, &expected));
}

/* Adding a certificate table doesn't change the hash. */
static void pe_signed(void **state)
{
    static struct buffer pe;
    struct digest expected, layer, is;

    (void)state;
    make_loader(&pe, &expected, &layer);
    pe.data[0x58 + 144 + 1] = 4; /* at 0x400 */
    pe.data[0x58 + 148] = 16;
    put_bytes(&pe, "0123456789abcdef", 16);
    assert_null(pe_authenticode((struct bytes){ pe.data, pe.size }, &is));
    assert_true(digest_equal(&is, &expected));
    put_bytes(&pe, "x", 1);
    assert_non_null(pe_authenticode((struct bytes){ pe.data, pe.size }, &is));
}

static void pe_refusals(void **state)
{
    static const struct {
        size_t offset;
        uint8_t value;
    } edits[] = {
        { 0, 'X' },
        { 0x3e, 0x7f },
        { 0x40, 'X' },
        { 0x47, 0x7f },
        { 0x58, 0 },
        { 0x40 + 20, 8 },
        { 0x58 + 62, 1 },
        { 0x58 + 61, 0 },
        { 0x58 + 0xf0 + 18, 1 },
        { 0x58 + 0xf0 + 21, 1 },
        { 0x58 + 0xf0 + 23, 0xff },
    };
    static struct buffer pe;
    struct digest expected, layer, is;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(edits); i++) {
        make_loader(&pe, &expected, &layer);
        pe.data[edits[i].offset] = edits[i].value;
        assert_non_null(pe_authenticode((struct bytes){ pe.data, pe.size }, &is));
    }
    make_loader(&pe, &expected, &layer);
    for (size_t cut = 0; cut < 0x400; cut++)
        assert_non_null(pe_authenticode((struct bytes){ pe.data, cut }, &is));
}

static void hex_reading(void **state)
{
    uint8_t out[2];
    char text[5];

    (void)state;
    assert_true(hex_parse("0aFf", 4, out, 2));
    assert_string_equal(hex_text((struct bytes){ out, 2 }, text), "0aff");
    assert_false(hex_parse("0aF", 3, out, 2));
    assert_false(hex_parse("0aFg", 4, out, 2));
    assert_false(hex_parse("0aFf0", 5, out, 2));
}

static void secret_comparison(void **state)
{
    uint8_t a[3] = { 1, 2, 3 }, b[3] = { 1, 2, 3 };

    (void)state;
    assert_true(bytes_equal_secret((struct bytes){ a, 3 }, (struct bytes){ b, 3 }));
    assert_false(bytes_equal_secret((struct bytes){ a, 3 }, (struct bytes){ b, 2 }));
    for (size_t i = 0; i < 3; i++) {
        b[i] ^= 0x80;
        assert_false(bytes_equal_secret((struct bytes){ a, 3 }, (struct bytes){ b, 3 }));
        b[i] ^= 0x80;
    }
}

static void json_escapes(void **state)
{
    static const char expected[] = "{\"a\":\"q\\\"b\\\\n\\u000a\",\"l\":[1,true,{}],\"h\":\"0f\"}";
    struct json j = { 0 };

    (void)state;
    json_open(&j, NULL, '{');
    json_string(&j, "a", "q\"b\\n\n");
    json_open(&j, "l", '[');
    json_number(&j, NULL, 1);
    json_bool(&j, NULL, true);
    json_open(&j, NULL, '{');
    json_close(&j, '}');
    json_close(&j, ']');
    json_hex(&j, "h", (struct bytes){ (const uint8_t *)"\x0f", 1 });
    json_close(&j, '}');
    assert_int_equal(j.size, sizeof(expected) - 1);
    assert_memory_equal(j.text, expected, j.size);
    json_release(&j);
}

/* More reasons than are kept still refuse, and the first one stays. */
static void findings_overflow(void **state)
{
    (void)state;
    reset();
    refuse(&findings, CHECK_CLOCK, "first\n");
    for (int i = 0; i < 3 * FINDINGS_MAX; i++) {
        refuse(&findings, CHECK_NONCE, "another");
        remedy(&findings, "do something");
    }
    assert_int_equal(findings.refused_count, FINDINGS_MAX);
    assert_int_equal(findings.refused_more, 2 * FINDINGS_MAX + 1);
    assert_int_equal(findings_exit_code(&findings), 23);
    assert_string_equal(findings.refused[0].text, "first?");
    assert_string_equal(findings.refused[0].remedy, "");
}

/* Exit codes stay between 10 and 39, but for the one that says that something is wrong with cvverify itself. */
static void checks_table(void **state)
{
    (void)state;
    for (enum check check = 0; check < CHECK_COUNT; check++) {
        assert_true(strlen(check_name(check)) > 0 && strlen(check_meaning(check)) > 0);
        assert_true(check == CHECK_INCOMPLETE || (check_exit_code(check) >= 10 && check_exit_code(check) < 40));
        for (enum check other = 0; other < check; other++)
            assert_string_not_equal(check_name(check), check_name(other));
    }
}

/* TCG EK Credential Profile, template L-2: the first bytes of an EK on P-256. */
static void ek_template(void **state)
{
    static const uint8_t start[] = {
        0x00, 0x7a, 0x00, 0x23, 0x00, 0x0b, 0x00, 0x03, 0x00, 0xb2, 0x00, 0x20, 0x83, 0x71
    };
    uint8_t made[TPM_PUBLIC_MAX];
    struct tpm_public ek;

    (void)state;
    assert_int_equal(tpm_ek_from_pk(key_of(KEY_EK_ECC), made), 2 + 0x7a);
    assert_memory_equal(made, start, sizeof(start));
    assert_int_equal(tpm_ek_from_pk(key_of(KEY_EK_RSA), made), 2 + 0x13a);
    assert_int_equal(tpm_ek_from_pk(key_of(KEY_AK_WEAK), made), 0);
    assert_true(tpm_public_parse((struct bytes){ made, 2 + 0x13a }, &ek));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cbor_vectors),
        cmocka_unit_test(cbor_refusals),
        cmocka_unit_test(report_bytes),
        cmocka_unit_test(report_overflow),
        cmocka_unit_test(credential_for_rsa),
        cmocka_unit_test(credential_refusals),
        cmocka_unit_test(release_round_trip),
        cmocka_unit_test(release_changes),
        cmocka_unit_test(pe_hash),
        cmocka_unit_test(pe_signed),
        cmocka_unit_test(pe_refusals),
        cmocka_unit_test(hex_reading),
        cmocka_unit_test(secret_comparison),
        cmocka_unit_test(json_escapes),
        cmocka_unit_test(findings_overflow),
        cmocka_unit_test(checks_table),
        cmocka_unit_test(ek_template),
    };

    keys_make();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
