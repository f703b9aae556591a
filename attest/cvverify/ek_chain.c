/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * EK certificates (TCG, "EK Credential Profile"): signed with SHA-256 or better, by RSA of 2048 bits or more or on
 * P-256 or P-384, today within their validity, for an EK and not for a CA. See ek_chain.h.
 */
#include <string.h>
#include <mbedtls/oid.h>
#include "attest/cvverify/ek_chain.h"
#include "attest/cvverify/tpm_key.h"

/* tcg-kp-EKCertificate, 2.23.133.8.1 */
static const char ek_purpose[] = "\x67\x81\x05\x08\x01";

static const mbedtls_x509_crt_profile profile = {
    .allowed_mds = MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA256) | MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA384) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA512),
    .allowed_pks = MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_RSA) | MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECKEY) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECDSA) | MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_RSASSA_PSS),
    .allowed_curves = MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP256R1) | MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP384R1),
    .rsa_min_bitlen = 2048,
};

static bool parse_chain(const struct evidence *evidence, mbedtls_x509_crt *chain, struct findings *f)
{
    for (size_t i = 0; i < evidence->certificate_count; i++) {
        if (mbedtls_x509_crt_parse_der(chain, evidence->certificates[i].data, evidence->certificates[i].size) != 0)
            return refuse(f, CHECK_EK_FORMAT, "EK certificate %zu is not X.509 in DER", i + 1);
    }
    return true;
}

static bool verify_chain(mbedtls_x509_crt *chain, mbedtls_x509_crt *roots, struct findings *f)
{
    char cause[FINDING_TEXT], *end;
    uint32_t flags = 0;

    if (mbedtls_x509_crt_verify_with_profile(chain, roots, NULL, &profile, NULL, &flags, NULL, NULL) == 0)
        return true;
    if (mbedtls_x509_crt_verify_info(cause, sizeof(cause), "", flags) <= 0)
        strcpy(cause, "it could not be verified");
    for (end = cause; *end; end++) {
        if (*end == '\n')
            *end = end[1] ? ';' : '\0';
    }
    refuse(f, CHECK_EK_CERTIFICATE, "EK certificate: %s", cause);
    return remedy(f, "give the TPM maker's root and the certificates between with --ek-root, or pin ek_name");
}

static bool check_purpose(const mbedtls_x509_crt *certificate, struct findings *f)
{
    bool for_ek = !(certificate->ext_types & MBEDTLS_X509_EXT_EXTENDED_KEY_USAGE) ||
                  mbedtls_x509_crt_check_extended_key_usage(certificate, ek_purpose, sizeof(ek_purpose) - 1) == 0;

    if (certificate->ca_istrue || !for_ek) {
        refuse(f, CHECK_EK_CERTIFICATE, "EK certificate: it is not an endorsement key's");
        return remedy(f, "the first certificate must be the EK's own");
    }
    return true;
}

bool ek_chain_check(const struct evidence *evidence, mbedtls_x509_crt *roots, struct findings *f)
{
    mbedtls_x509_crt chain;
    bool well;

    mbedtls_x509_crt_init(&chain);
    well = parse_chain(evidence, &chain, f) && verify_chain(&chain, roots, f) && check_purpose(&chain, f);
    mbedtls_x509_crt_free(&chain);
    return well;
}

size_t ek_chain_public(struct bytes certificate, uint8_t out[])
{
    mbedtls_x509_crt crt;
    size_t size = 0;

    mbedtls_x509_crt_init(&crt);
    if (mbedtls_x509_crt_parse_der(&crt, certificate.data, certificate.size) == 0)
        size = tpm_ek_from_pk(&crt.pk, out);
    mbedtls_x509_crt_free(&crt);
    return size;
}
