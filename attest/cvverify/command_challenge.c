/* SPDX-License-Identifier: GPL-2.0-only */
/* `cvverify challenge`: a fresh nonce, and a credential for an AK that is to be enrolled. */
#include <stdio.h>
#include <string.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/x509_crt.h>
#include "attest/cvverify/challenge.h"
#include "attest/cvverify/commands.h"
#include "attest/cvverify/files.h"
#include "attest/cvverify/json.h"

enum { KEY_FILE_MAX = 16384 };

static const char *const challenge_options[] = { "state", "nonce-out", "ek", "ak", "credential", NULL };

static bool ek_accepted(const struct tpm_public *ek)
{
    const uint32_t needed = TPMA_FIXED_TPM | TPMA_FIXED_PARENT | TPMA_ORIGIN | TPMA_RESTRICTED | TPMA_DECRYPT;

    return (ek->attributes & (needed | TPMA_SIGN)) == needed;
}

/* A TPM2B_PUBLIC, or a certificate in DER or PEM, from which the default template's public area is made. */
static bool read_ek(struct bytes file, uint8_t made[TPM_PUBLIC_MAX], struct tpm_public *ek)
{
    char text[KEY_FILE_MAX + 1];
    mbedtls_x509_crt certificate;
    bool well;

    if (tpm_public_parse(file, ek))
        return ek_accepted(ek);
    memcpy(text, file.data, file.size);
    text[file.size] = '\0';
    mbedtls_x509_crt_init(&certificate);
    well = mbedtls_x509_crt_parse(&certificate, (uint8_t *)text, file.size + 1) == 0 ||
           mbedtls_x509_crt_parse_der(&certificate, file.data, file.size) == 0;
    well = well && tpm_public_parse((struct bytes){ made, tpm_ek_from_pk(&certificate.pk, made) }, ek);
    mbedtls_x509_crt_free(&certificate);
    return well;
}

static int make_credential(const struct options *options, struct challenge *challenge, struct bytes ek_file,
                           struct bytes ak_file, struct findings *f)
{
    uint8_t secret[CHALLENGE_SECRET_SIZE], credential[CREDENTIAL_MAX], made[TPM_PUBLIC_MAX];
    struct tpm_public ek, ak;
    size_t size = 0;

    if (!tpm_public_parse(ak_file, &ak))
        refuse(f, CHECK_AK_FORMAT, "%s: not a TPM2B_PUBLIC of a key that is known here", options->ak);
    if (!read_ek(ek_file, made, &ek))
        refuse(f, CHECK_EK_FORMAT, "%s: neither an EK's TPM2B_PUBLIC nor its certificate", options->ek);
    if (f->refused_count)
        return findings_exit_code(f);
    random_fill(secret, sizeof(secret));
    challenge->credential = true;
    challenge->ak = ak.name;
    challenge->ek = ek.name;
    challenge->secret_digest = digest_of((struct bytes){ secret, sizeof(secret) });
    size = credential_make(&ek, &ak.name, (struct bytes){ secret, sizeof(secret) }, random_callback, credential);
    mbedtls_platform_zeroize(secret, sizeof(secret));
    if (size == 0) {
        refuse(f, CHECK_EK_FORMAT, "%s: this EK's algorithms are not known here", options->ek);
        return findings_exit_code(f);
    }
    return file_write(options->credential, FILE_PUBLIC, (struct bytes){ credential, size }) ? EXIT_OK : EXIT_TROUBLE;
}

static int with_credential(const struct options *options, struct challenge *challenge, struct findings *f)
{
    struct bytes ek_file, ak_file = { NULL, 0 };
    int code = EXIT_INPUT;

    if (file_read(options->ek, KEY_FILE_MAX, &ek_file) && file_read(options->ak, KEY_FILE_MAX, &ak_file))
        code = make_credential(options, challenge, ek_file, ak_file, f);
    file_release(&ek_file);
    file_release(&ak_file);
    return code;
}

static int write_challenge(const struct options *options, const struct challenge *challenge)
{
    uint8_t state[CHALLENGE_SIZE];
    char nonce[2 * CHALLENGE_NONCE_SIZE + 1];
    struct json j = { 0 };

    challenge_write(challenge, state);
    if (!file_write(options->state, FILE_PRIVATE, (struct bytes){ state, sizeof(state) }))
        return EXIT_TROUBLE;
    if (options->nonce_out &&
        !file_write(options->nonce_out, FILE_PUBLIC, (struct bytes){ challenge->nonce, CHALLENGE_NONCE_SIZE }))
        return EXIT_TROUBLE;
    hex_text((struct bytes){ challenge->nonce, CHALLENGE_NONCE_SIZE }, nonce);
    if (!options->json)
        return printf("nonce %s\n", nonce) > 0 ? EXIT_OK : EXIT_TROUBLE;
    json_open(&j, NULL, '{');
    json_string(&j, "nonce", nonce);
    json_bool(&j, "credential", challenge->credential);
    json_close(&j, '}');
    return json_print(&j) ? EXIT_OK : EXIT_TROUBLE;
}

int command_challenge(int argc, char **argv)
{
    static const char *const needed[] = { "state", NULL }, *const enrol[] = { "ek", "ak", "credential", NULL };
    static struct findings findings;
    struct challenge challenge = { .credential = false };
    struct options options;
    int code = EXIT_OK;

    if (!options_parse(argc, argv, challenge_options, &options) || !options_no_words(&options) ||
        !options_need(&options, needed))
        return EXIT_USAGE;
    if ((options.ek || options.ak || options.credential) && !options_need(&options, enrol))
        return EXIT_USAGE;
    random_fill(challenge.nonce, sizeof(challenge.nonce));
    if (options.ek)
        code = with_credential(&options, &challenge, &findings);
    if (findings.refused_count)
        return findings_print(&findings, options.json);
    return code ? code : write_challenge(&options, &challenge);
}
