/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reader of VM reports. Exactly the profile's claims are accepted, each of its kind and size; the signature is checked
 * over the payload's bytes as received. See report.h.
 */
#include <string.h>
#include <mbedtls/ecdsa.h>
#include "attest/cvverify/cbor.h"
#include "attest/cvverify/report.h"

enum { COSE_SIGN1_TAG = 18, COSE_HEADER_ALGORITHM = 1, COSE_ES256 = -7 };

/* Sig_structure up to the payload: ["Signature1", {1: -7}, h'', ... */
static const uint8_t signed_head[] = { 0x84, 0x6a, 'S', 'i',  'g',  'n',  'a',  't', 'u',
                                       'r',  'e',  '1', 0x43, 0xa1, 0x01, 0x26, 0x40 };

static void read_fixed(struct cbor_reader *r, uint8_t *out, size_t size)
{
    struct bytes string = cbor_string(r, CBOR_BYTES);

    if (r->error != CBOR_OK)
        return;
    if (string.size != size)
        r->error = CBOR_WRONG_KIND;
    else
        memcpy(out, string.data, size);
}

static uint32_t read_u32(struct cbor_reader *r)
{
    uint64_t value = cbor_head(r, CBOR_UINT);

    if (value > UINT32_MAX)
        r->error = CBOR_WRONG_KIND;
    return (uint32_t)value;
}

static void read_profile(struct cbor_reader *r)
{
    struct bytes profile = cbor_string(r, CBOR_TEXT);

    if (r->error == CBOR_OK &&
        !bytes_equal(profile, (struct bytes){ (const uint8_t *)REPORT_PROFILE, sizeof(REPORT_PROFILE) - 1 }))
        r->error = CBOR_WRONG_KIND;
}

/* False for a key that is not in the profile. */
static bool read_claim(struct cbor_reader *r, int64_t key, struct report *report)
{
    struct report_claims *claims = &report->claims;

    switch (key) {
    case CLAIM_NONCE: read_fixed(r, claims->nonce, sizeof(claims->nonce)); return true;
    case CLAIM_DEBUG_STATUS: report->debug_status = read_u32(r); return true;
    case CLAIM_PROFILE: read_profile(r); return true;
    case CLAIM_BOOT_SEED: read_fixed(r, claims->boot_seed, sizeof(claims->boot_seed)); return true;
    case CLAIM_LAUNCH_DIGEST: read_fixed(r, claims->launch_digest, sizeof(claims->launch_digest)); return true;
    case CLAIM_VM_POLICY: claims->vm_policy = read_u32(r); return true;
    case CLAIM_VM_STATE: claims->vm_state = read_u32(r); return true;
    case CLAIM_VCPUS: claims->vcpus = read_u32(r); return true;
    case CLAIM_PLATFORM_FLAGS: claims->platform_flags = read_u32(r); return true;
    case CLAIM_LAYER_VERSION: claims->layer_version = read_u32(r); return true;
    case CLAIM_GUEST_DATA: read_fixed(r, claims->guest_data, sizeof(claims->guest_data)); return true;
    default: return false;
    }
}

static bool cbor_refuse(const struct cbor_reader *r, size_t number, const char *part, struct findings *f)
{
    refuse(f, CHECK_REPORT_FORMAT, "report %zu: %s: %s", number, part, cbor_error_text(r->error));
    return remedy(f, "only the layer's own encoding is accepted; fetch the report again");
}

static bool parse_claims(struct bytes payload, size_t number, struct report *report, struct findings *f)
{
    struct cbor_reader r = cbor_over(payload);
    struct cbor_map map = cbor_map_open(&r);
    uint64_t count = map.left;
    int64_t key = 0;

    while (cbor_map_key(&r, &map, &key)) {
        if (!read_claim(&r, key, report))
            return refuse(f, CHECK_REPORT_FORMAT, "report %zu: claim %lld is not in the profile", number,
                          (long long)key);
        if (r.error != CBOR_OK)
            return refuse(f, CHECK_REPORT_FORMAT, "report %zu: claim %lld: %s", number, (long long)key,
                          cbor_error_text(r.error));
    }
    if (!cbor_finish(&r))
        return cbor_refuse(&r, number, "claims", f);
    if (count != REPORT_CLAIM_COUNT)
        return refuse(f, CHECK_REPORT_FORMAT, "report %zu: %llu claims, while the profile has %d", number,
                      (unsigned long long)count, REPORT_CLAIM_COUNT);
    return true;
}

static bool check_protected(struct bytes header, size_t number, struct findings *f)
{
    struct cbor_reader r = cbor_over(header);
    struct cbor_map map = cbor_map_open(&r);
    int64_t key = 0, algorithm = 0;

    if (map.left == 1 && cbor_map_key(&r, &map, &key))
        algorithm = cbor_int(&r);
    if (!cbor_finish(&r))
        return cbor_refuse(&r, number, "protected header", f);
    if (key != COSE_HEADER_ALGORITHM || algorithm != COSE_ES256) {
        refuse(f, CHECK_REPORT_ALGORITHM, "report %zu: COSE algorithm %lld, not ES256 (-7)", number,
               (long long)algorithm);
        return remedy(f, "the layer signs with ES256 only");
    }
    return true;
}

bool report_parse(struct bytes raw, size_t number, struct report *report, struct findings *f)
{
    struct cbor_reader r = cbor_over(raw);
    struct bytes protected_header;
    bool right_kind;

    *report = (struct report){ 0 };
    right_kind = cbor_head(&r, CBOR_TAG) == COSE_SIGN1_TAG && cbor_head(&r, CBOR_ARRAY) == 4;
    if (r.error == CBOR_OK && !right_kind)
        r.error = CBOR_WRONG_KIND;
    protected_header = cbor_string(&r, CBOR_BYTES);
    if (cbor_head(&r, CBOR_MAP) != 0)
        r.error = CBOR_WRONG_KIND;
    report->payload = cbor_string(&r, CBOR_BYTES);
    read_fixed(&r, report->signature, sizeof(report->signature));
    if (!cbor_finish(&r))
        return cbor_refuse(&r, number, "COSE_Sign1", f);
    return check_protected(protected_header, number, f) && parse_claims(report->payload, number, report, f);
}

/* Byte string head of a payload of at most 65535 bytes, in its only allowed form. */
static size_t payload_head(size_t size, uint8_t head[3])
{
    if (size < 24) {
        head[0] = (uint8_t)(0x40 | size);
        return 1;
    }
    if (size < 256) {
        head[0] = 0x58;
        head[1] = (uint8_t)size;
        return 2;
    }
    head[0] = 0x59;
    head[1] = (uint8_t)(size >> 8);
    head[2] = (uint8_t)size;
    return 3;
}

static bool signed_digest(const struct report *report, struct digest *digest)
{
    uint8_t head[sizeof(signed_head) + 3];
    size_t size = sizeof(signed_head);

    if (report->payload.size > UINT16_MAX)
        return false;
    memcpy(head, signed_head, sizeof(signed_head));
    size += payload_head(report->payload.size, head + size);
    *digest = digest_of_pair((struct bytes){ head, size }, report->payload);
    return true;
}

static bool load_point(mbedtls_ecp_group *group, mbedtls_ecp_point *q, const uint8_t point[CV_POINT_SIZE])
{
    return point[0] == 4 && mbedtls_ecp_group_load(group, MBEDTLS_ECP_DP_SECP256R1) == 0 &&
           mbedtls_ecp_point_read_binary(group, q, point, CV_POINT_SIZE) == 0 &&
           mbedtls_ecp_check_pubkey(group, q) == 0;
}

static bool verify_digest(mbedtls_ecp_group *group, const mbedtls_ecp_point *q, const struct digest *digest,
                          const uint8_t signature[REPORT_SIGNATURE_SIZE])
{
    mbedtls_mpi r, s;
    bool valid;

    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    valid = mbedtls_mpi_read_binary(&r, signature, REPORT_SIGNATURE_SIZE / 2) == 0 &&
            mbedtls_mpi_read_binary(&s, signature + REPORT_SIGNATURE_SIZE / 2, REPORT_SIGNATURE_SIZE / 2) == 0 &&
            mbedtls_ecdsa_verify(group, digest->byte, DIGEST_SIZE, q, &r, &s) == 0;
    mbedtls_mpi_free(&r);
    mbedtls_mpi_free(&s);
    return valid;
}

bool report_verify(const struct report *report, const uint8_t point[CV_POINT_SIZE])
{
    mbedtls_ecp_group group;
    mbedtls_ecp_point q;
    struct digest digest;
    bool valid;

    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&q);
    valid = signed_digest(report, &digest) && load_point(&group, &q, point) &&
            verify_digest(&group, &q, &digest, report->signature);
    mbedtls_ecp_point_free(&q);
    mbedtls_ecp_group_free(&group);
    return valid;
}

bool report_point_valid(const uint8_t point[CV_POINT_SIZE])
{
    mbedtls_ecp_group group;
    mbedtls_ecp_point q;
    bool valid;

    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&q);
    valid = load_point(&group, &q, point);
    mbedtls_ecp_point_free(&q);
    mbedtls_ecp_group_free(&group);
    return valid;
}
