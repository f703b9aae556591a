/* SPDX-License-Identifier: GPL-2.0-only */
/* First stage: the quote is a TPM's, by a key that signs nothing else, in answer to our nonce. */
#include "attest/cvverify/event_log.h"
#include "attest/cvverify/verify.h"

/* ECDSA on P-256, or RSA of 2048 to 4096 bits; SHA-256. */
static bool check_ak_algorithm(const struct tpm_public *ak, struct findings *f)
{
    bool ecc = ak->type == TPM_ALG_ECC && ak->scheme == TPM_ALG_ECDSA;
    bool rsa = ak->type == TPM_ALG_RSA && (ak->scheme == TPM_ALG_RSASSA || ak->scheme == TPM_ALG_RSAPSS);
    mbedtls_pk_context pk;
    bool accepted;

    mbedtls_pk_init(&pk);
    accepted = (ecc || rsa) && ak->scheme_hash == TPM_SHA256 && tpm_public_to_pk(ak, &pk);
    mbedtls_pk_free(&pk);
    if (accepted)
        return true;
    refuse(f, CHECK_AK_ALGORITHM, "the AK's algorithm, scheme, hash or size is not accepted");
    return remedy(f, "make an AK with ECDSA on P-256, or RSASSA or RSAPSS with 2048 bits or more, and SHA-256");
}

static bool check_attribute(const struct tpm_public *ak, uint32_t bit, enum check check, const char *what,
                            struct findings *f)
{
    if (ak->attributes & bit)
        return true;
    refuse(f, check, "the AK's attribute %s is clear", what);
    return remedy(f, "make the AK with tpm2_createak, or with the attributes that docs/attestation.md lists");
}

static bool check_ak_attributes(const struct tpm_public *ak, struct findings *f)
{
    bool well = check_attribute(ak, TPMA_RESTRICTED, CHECK_AK_RESTRICTED, "restricted", f);

    well &= check_attribute(ak, TPMA_SIGN, CHECK_AK_SIGN_ONLY, "sign", f);
    well &= check_attribute(ak, TPMA_FIXED_TPM, CHECK_AK_FIXED_TPM, "fixedTPM", f);
    well &= check_attribute(ak, TPMA_FIXED_PARENT, CHECK_AK_FIXED_PARENT, "fixedParent", f);
    well &= check_attribute(ak, TPMA_ORIGIN, CHECK_AK_ORIGIN, "sensitiveDataOrigin", f);
    if (ak->attributes & TPMA_DECRYPT)
        well = refuse(f, CHECK_AK_SIGN_ONLY, "the AK's attribute decrypt is set");
    return well;
}

static bool check_signature(struct verification *v)
{
    struct findings *f = &v->findings;
    struct tpm_signature signature;

    if (!tpm_signature_parse(v->evidence.signature, &signature))
        return refuse(f, CHECK_SIGNATURE_FORMAT, "the quote's signature is not a TPMT_SIGNATURE");
    if (signature.scheme != v->ak.scheme || signature.hash != TPM_SHA256) {
        refuse(f, CHECK_SIGNATURE_ALGORITHM,
               "the quote is signed with scheme %#06x and hash %#06x, the AK's are %#06x, SHA-256", signature.scheme,
               signature.hash, v->ak.scheme);
        return remedy(f, "quote with the AK's own scheme");
    }
    if (!tpm_signature_verify(&v->ak, &signature, v->evidence.quote)) {
        refuse(f, CHECK_SIGNATURE, "the quote's signature is not the AK's over this quote");
        return remedy(f, "the quote, the signature or the AK was exchanged or altered; collect the evidence again");
    }
    return true;
}

static bool check_nonce(struct verification *v)
{
    if (bytes_equal_secret(v->quote.nonce, (struct bytes){ v->challenge.nonce, CHALLENGE_NONCE_SIZE }))
        return true;
    refuse(&v->findings, CHECK_NONCE, "the quote's nonce is not the challenge's: an old quote, or another challenge's");
    return remedy(&v->findings, "collect the evidence with this challenge's nonce");
}

void check_quote(struct verification *v)
{
    if (!tpm_public_parse(v->evidence.ak, &v->ak)) {
        refuse(&v->findings, CHECK_AK_FORMAT, "the AK's public area is damaged or of an unknown kind");
        return;
    }
    if (!check_ak_algorithm(&v->ak, &v->findings))
        return;
    check_ak_attributes(&v->ak, &v->findings);
    if (!check_signature(v))
        return;
    if (!quote_parse(v->evidence.quote, &v->quote, &v->findings))
        return;
    check_nonce(v);
    v->done |= STAGE_QUOTE;
}
