/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Second stage: the AK lives in a TPM that the policy accepts. Either the policy names the AK, or its TPM answered a
 * credential challenge for this AK and an EK that the policy names or whose certificate leads to a root.
 */
#include <string.h>
#include "attest/cvverify/ek_chain.h"
#include "attest/cvverify/verify.h"

static bool names_equal(const struct tpm_name *a, const struct tpm_name *b)
{
    return memcmp(a->byte, b->byte, TPM_NAME_SIZE) == 0;
}

static bool check_ek_attributes(const struct tpm_public *ek, struct findings *f)
{
    const uint32_t needed = TPMA_FIXED_TPM | TPMA_FIXED_PARENT | TPMA_ORIGIN | TPMA_RESTRICTED | TPMA_DECRYPT;

    if ((ek->attributes & (needed | TPMA_SIGN)) == needed)
        return true;
    return refuse(f, CHECK_EK_ATTRIBUTES, "the EK is not a restricted decryption key fixed to its TPM");
}

/* Reads the EK's public area, from the certificate if there is no other. False if there is none or it is bad. */
static bool find_ek(struct verification *v, struct tpm_public *ek, uint8_t made[TPM_PUBLIC_MAX])
{
    struct findings *f = &v->findings;
    struct bytes raw = v->evidence.ek;

    if (!raw.data && v->evidence.certificate_count)
        raw = (struct bytes){ made, ek_chain_public(v->evidence.certificates[0], made) };
    if (!raw.data)
        return false;
    if (!tpm_public_parse(raw, ek))
        return refuse(f, CHECK_EK_FORMAT, "the EK's public area or certificate is damaged or of an unknown kind");
    v->ek = ek->name;
    v->ek_known = true;
    return check_ek_attributes(ek, f);
}

static bool certificate_fits(struct bytes certificate, const struct tpm_public *ek)
{
    uint8_t made[TPM_PUBLIC_MAX];
    struct tpm_public certified;

    return tpm_public_parse((struct bytes){ made, ek_chain_public(certificate, made) }, &certified) &&
           certified.type == ek->type && bytes_equal(certified.unique, ek->unique) &&
           bytes_equal(certified.unique_y, ek->unique_y);
}

/* The policy must name the EK, or accept any that is certified. */
static bool check_ek_accepted(struct verification *v, const struct tpm_public *ek)
{
    struct findings *f = &v->findings;
    char text[2 * TPM_NAME_SIZE + 1];

    if (policy_find_name(&v->policy.ek_name, &ek->name)) {
        v->bound_by = "credential challenge, EK named by the policy";
        return true;
    }
    if (!v->policy.any_machine) {
        refuse(f, CHECK_EK_UNKNOWN, "the policy doesn't name the EK %s", tpm_name_text(&ek->name, text));
        return remedy(f, "if this machine is meant: ek_name = %s", text);
    }
    if (v->evidence.certificate_count == 0) {
        refuse(f, CHECK_EK_CERTIFICATE, "the evidence has no EK certificate, and the policy doesn't name the EK %s",
               tpm_name_text(&ek->name, text));
        return remedy(f, "collect it, or name the machine: ek_name = %s", text);
    }
    if (!certificate_fits(v->evidence.certificates[0], ek))
        return refuse(f, CHECK_EK_CERTIFICATE_KEY, "the EK certificate is for another key than the EK");
    v->bound_by = "credential challenge, certified EK";
    return ek_chain_check(&v->evidence, &v->roots, f);
}

static bool check_proof(struct verification *v, const struct tpm_public *ek)
{
    struct findings *f = &v->findings;
    struct digest proof = digest_of(v->evidence.proof);

    if (!names_equal(&v->challenge.ak, &v->ak.name))
        return refuse(f, CHECK_AK_OTHER, "the AK is not the one that the credential challenge was made for");
    if (!names_equal(&v->challenge.ek, &ek->name))
        return refuse(f, CHECK_AK_OTHER, "the EK is not the one that the credential challenge was made for");
    if (!v->evidence.proof.data) {
        refuse(f, CHECK_AK_PROOF, "the evidence has no answer to the credential challenge");
        return remedy(f, "answer it with cvctl enroll or tpm2_activatecredential, and collect the evidence again");
    }
    if (!bytes_equal_secret((struct bytes){ proof.byte, DIGEST_SIZE },
                            (struct bytes){ v->challenge.secret_digest.byte, DIGEST_SIZE })) {
        refuse(f, CHECK_AK_PROOF, "the answer to the credential challenge is wrong: the AK is not in the EK's TPM");
        return remedy(f, "make a new challenge for this AK and EK");
    }
    return true;
}

/* Counters of keys outside of the endorsement hierarchy are disguised by the TPM, so the AK must be in it. */
static bool check_hierarchy(struct verification *v)
{
    struct tpm_name child = tpm_qualified_name(&v->ek, &v->ak.name);
    struct tpm_name primary = tpm_qualified_name(NULL, &v->ak.name);
    struct bytes signer = v->quote.signer;

    if (bytes_equal(signer, (struct bytes){ primary.byte, TPM_NAME_SIZE }) ||
        (v->ek_known && bytes_equal(signer, (struct bytes){ child.byte, TPM_NAME_SIZE })))
        return true;
    if (!v->ek_known) {
        note(&v->findings, "the evidence names no EK, so the AK's place in the TPM's hierarchy was not compared");
        return true;
    }
    refuse(&v->findings, CHECK_AK_HIERARCHY, "the quote's signer is not this AK below this EK");
    return remedy(&v->findings, "make the AK below the EK (tpm2_createak -C ek.ctx), and send that EK");
}

static void check_pinned(struct verification *v, bool pinned)
{
    char text[2 * TPM_NAME_SIZE + 1];

    if (pinned) {
        v->bound_by = "AK named by the policy";
        return;
    }
    refuse(&v->findings, CHECK_AK_BINDING, "nothing binds the AK %s to a TPM", tpm_name_text(&v->ak.name, text));
    remedy(&v->findings, "make a challenge with --ek and --ak, or, if it is enrolled: ak_name = %s", text);
}

void check_binding(struct verification *v)
{
    uint8_t made[TPM_PUBLIC_MAX];
    struct tpm_public ek;
    bool have_ek = find_ek(v, &ek, made), pinned = policy_find_name(&v->policy.ak_name, &v->ak.name);

    if (!v->challenge.credential) {
        check_pinned(v, pinned);
    } else if (!have_ek) {
        refuse(&v->findings, CHECK_EK_FORMAT, "a credential was challenged, and the evidence has no usable EK");
    } else if (check_proof(v, &ek)) {
        if (pinned)
            v->bound_by = "AK named by the policy, and credential challenge";
        else
            check_ek_accepted(v, &ek);
    }
    check_hierarchy(v);
    v->done |= STAGE_BINDING;
}
