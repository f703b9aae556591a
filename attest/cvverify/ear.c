/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * EAR claims (draft-ietf-rats-ear): one submodule "cloudvisor", whose status is affirming (2) or contraindicated (96),
 * and the check that refused. See ear.h.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <mbedtls/base64.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/platform_util.h>
#include "attest/cvverify/ear.h"
#include "attest/cvverify/files.h"
#include "attest/cvverify/json.h"
#include "attest/cvverify/version.h"

enum { KEY_FILE_MAX = 16384, COORDINATE = 32 };

static bool complain(const char *path, const char *cause)
{
    fprintf(stderr, "cvverify: %s: %s\n", path, cause);
    return false;
}

/* Base64 for URLs, without padding. */
static void append_base64(struct json *token, struct bytes data)
{
    uint8_t quad[5];
    size_t size;

    for (size_t i = 0; i < data.size; i += 3) {
        size_t part = data.size - i < 3 ? data.size - i : 3;

        if (mbedtls_base64_encode(quad, sizeof(quad), &size, data.data + i, part) != 0)
            return;
        for (size_t n = 0; n < 4; n++)
            quad[n] = quad[n] == '+' ? '-' : quad[n] == '/' ? '_' : quad[n];
        json_raw(token, (const char *)quad, part + 1);
    }
}

static void put_vms(struct json *claims, const struct verification *v)
{
    json_open(claims, "cloudvisor.launch-digests", '[');
    for (size_t i = 0; i < v->evidence.report_count; i++)
        json_hex(claims, NULL, (struct bytes){ v->reports[i].claims.launch_digest, DIGEST_SIZE });
    json_close(claims, ']');
}

static void put_submodule(struct json *claims, const struct verification *v, bool accepted)
{
    char policy[DIGEST_HEX + 8] = "sha-256:";

    json_open(claims, "cloudvisor", '{');
    json_string(claims, "ear.status", accepted ? "affirming" : "contraindicated");
    json_open(claims, "ear.trustworthiness-vector", '{');
    json_number(claims, "instance-identity", accepted ? 2 : 96);
    json_number(claims, "configuration", accepted ? 2 : 96);
    json_number(claims, "executables", accepted ? 2 : 96);
    json_close(claims, '}');
    digest_text(&v->policy.digest, policy + 8);
    json_string(claims, "ear.appraisal-policy-id", policy);
    if (accepted) {
        json_hex(claims, "cloudvisor.boot", (struct bytes){ v->facts.boot.byte, DIGEST_SIZE });
        json_hex(claims, "cloudvisor.ak-name", (struct bytes){ v->ak.name.byte, TPM_NAME_SIZE });
        put_vms(claims, v);
    } else {
        json_string(claims, "cloudvisor.refused", check_name(v->findings.refused[0].check));
    }
    json_close(claims, '}');
}

static void put_claims(struct json *claims, const struct verification *v)
{
    bool accepted = v->done == STAGE_ALL && v->findings.refused_count == 0;

    json_open(claims, NULL, '{');
    json_string(claims, "eat_profile", "tag:github.com,2023:veraison/ear");
    json_number(claims, "iat", (uint64_t)time(NULL));
    json_open(claims, "ear.verifier-id", '{');
    json_string(claims, "developer", "CloudVisor");
    json_string(claims, "build", "cvverify " CVVERIFY_VERSION);
    json_close(claims, '}');
    json_hex(claims, "eat_nonce", (struct bytes){ v->challenge.nonce, CHALLENGE_NONCE_SIZE });
    json_open(claims, "submods", '{');
    put_submodule(claims, v, accepted);
    json_close(claims, '}');
    json_close(claims, '}');
}

static bool load_key(const char *path, mbedtls_pk_context *pk)
{
    struct bytes file;
    char text[KEY_FILE_MAX + 1];
    bool well;

    if (!file_read(path, KEY_FILE_MAX, &file))
        return false;
    memcpy(text, file.data, file.size);
    text[file.size] = '\0';
    well = mbedtls_pk_parse_key(pk, (const uint8_t *)text, file.size + 1, NULL, 0) == 0 &&
           mbedtls_pk_can_do(pk, MBEDTLS_PK_ECKEY) && mbedtls_pk_ec(*pk)->grp.id == MBEDTLS_ECP_DP_SECP256R1;
    mbedtls_platform_zeroize(text, sizeof(text));
    file_release(&file);
    return well || complain(path, "not an unencrypted EC private key on P-256");
}

static bool sign(mbedtls_ecp_keypair *pair, struct bytes message, uint8_t signature[2 * COORDINATE])
{
    struct digest digest = digest_of(message);
    mbedtls_mpi r, s;
    bool well;

    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    well = mbedtls_ecdsa_sign(&pair->grp, &r, &s, &pair->d, digest.byte, DIGEST_SIZE, random_callback, NULL) == 0 &&
           mbedtls_mpi_write_binary(&r, signature, COORDINATE) == 0 &&
           mbedtls_mpi_write_binary(&s, signature + COORDINATE, COORDINATE) == 0;
    mbedtls_mpi_free(&r);
    mbedtls_mpi_free(&s);
    return well;
}

bool ear_write(const struct verification *v, const char *key_path, const char *path)
{
    static const char header[] = "{\"alg\":\"ES256\",\"typ\":\"JWT\"}";
    struct json claims = { 0 }, token = { 0 };
    uint8_t signature[2 * COORDINATE];
    mbedtls_pk_context pk;
    bool well;

    mbedtls_pk_init(&pk);
    well = load_key(key_path, &pk);
    if (well) {
        put_claims(&claims, v);
        append_base64(&token, (struct bytes){ (const uint8_t *)header, sizeof(header) - 1 });
        json_raw(&token, ".", 1);
        append_base64(&token, (struct bytes){ (const uint8_t *)claims.text, claims.size });
        well = sign(mbedtls_pk_ec(pk), (struct bytes){ (const uint8_t *)token.text, token.size }, signature);
        json_raw(&token, ".", 1);
        append_base64(&token, (struct bytes){ signature, sizeof(signature) });
        well = well && file_write(path, FILE_PUBLIC, (struct bytes){ (const uint8_t *)token.text, token.size });
    }
    mbedtls_pk_free(&pk);
    json_release(&claims);
    json_release(&token);
    return well;
}
