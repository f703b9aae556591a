/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Deterministic CBOR (RFC 8949) for VM reports, and nothing more of it. Runs in the layer: no allocation, no library.
 * Invariant: `used` never passes `size`; after an overflow nothing more is written and the length reported is 0.
 */
#include <stdbool.h>
#include "attest/report_encode.h"

enum cbor_major {
    CBOR_UINT = 0,
    CBOR_NEGATIVE = 1,
    CBOR_BYTES = 2,
    CBOR_TEXT = 3,
    CBOR_ARRAY = 4,
    CBOR_MAP = 5,
    CBOR_TAG = 6
};
enum { COSE_SIGN1_TAG = 18 };

/* The protected header {1: -7}: algorithm ES256. */
static const uint8_t protected_header[] = { 0xa1, 0x01, 0x26 };

struct writer {
    uint8_t *out;
    size_t size;
    size_t used;
    bool overflow;
};

static void put_bytes(struct writer *w, const void *data, size_t size)
{
    if (w->overflow || size > w->size - w->used) {
        w->overflow = true;
        return;
    }
    for (size_t i = 0; i < size; i++)
        w->out[w->used + i] = ((const uint8_t *)data)[i];
    w->used += size;
}

/* The head of an item in its shortest form: 1, 2, 3 or 5 bytes. */
static void put_head(struct writer *w, enum cbor_major major, uint32_t value)
{
    uint8_t head[5] = { (uint8_t)(major << 5) };
    unsigned extra = value < 24 ? 0 : value <= 0xff ? 1 : value <= 0xffff ? 2 : 4;

    head[0] = (uint8_t)(head[0] | (extra == 0 ? value : extra == 1 ? 24 : extra == 2 ? 25 : 26));
    for (unsigned i = 0; i < extra; i++)
        head[1 + i] = (uint8_t)(value >> 8 * (extra - 1 - i));
    put_bytes(w, head, 1 + extra);
}

static void put_int(struct writer *w, int32_t value)
{
    if (value < 0)
        put_head(w, CBOR_NEGATIVE, (uint32_t)(-1 - value));
    else
        put_head(w, CBOR_UINT, (uint32_t)value);
}

static void put_string(struct writer *w, enum cbor_major major, const void *data, size_t size)
{
    put_head(w, major, (uint32_t)size);
    put_bytes(w, data, size);
}

static void put_uint_claim(struct writer *w, int32_t key, uint32_t value)
{
    put_int(w, key);
    put_head(w, CBOR_UINT, value);
}

static void put_bytes_claim(struct writer *w, int32_t key, const void *data, size_t size)
{
    put_int(w, key);
    put_string(w, CBOR_BYTES, data, size);
}

/* The claims, keys in bytewise order of their encodings. */
static void put_claims(struct writer *w, const struct report_claims *claims)
{
    bool debug = claims->platform_flags & CV_PLATFORM_DEBUG;

    put_head(w, CBOR_MAP, REPORT_CLAIM_COUNT);
    put_bytes_claim(w, CLAIM_NONCE, claims->nonce, sizeof(claims->nonce));
    put_uint_claim(w, CLAIM_DEBUG_STATUS, debug ? REPORT_DEBUG_ENABLED : REPORT_DEBUG_DISABLED_SINCE_BOOT);
    put_int(w, CLAIM_PROFILE);
    put_string(w, CBOR_TEXT, REPORT_PROFILE, sizeof(REPORT_PROFILE) - 1);
    put_bytes_claim(w, CLAIM_BOOT_SEED, claims->boot_seed, sizeof(claims->boot_seed));
    put_bytes_claim(w, CLAIM_LAUNCH_DIGEST, claims->launch_digest, sizeof(claims->launch_digest));
    put_uint_claim(w, CLAIM_VM_POLICY, claims->vm_policy);
    put_uint_claim(w, CLAIM_VM_STATE, claims->vm_state);
    put_uint_claim(w, CLAIM_VCPUS, claims->vcpus);
    put_uint_claim(w, CLAIM_PLATFORM_FLAGS, claims->platform_flags);
    put_uint_claim(w, CLAIM_LAYER_VERSION, claims->layer_version);
    put_bytes_claim(w, CLAIM_GUEST_DATA, claims->guest_data, sizeof(claims->guest_data));
}

/* The claims as a byte string. Their length is counted first, with a writer that is as large as any report. */
static void put_payload(struct writer *w, const struct report_claims *claims)
{
    uint8_t payload[REPORT_MAX];
    struct writer inner = { payload, sizeof(payload), 0, false };

    put_claims(&inner, claims);
    w->overflow |= inner.overflow;
    put_string(w, CBOR_BYTES, payload, inner.used);
}

static size_t finish(const struct writer *w)
{
    return w->overflow ? 0 : w->used;
}

size_t report_encode_to_be_signed(const struct report_claims *claims, uint8_t *out, size_t size)
{
    struct writer w = { out, size, 0, false };

    put_head(&w, CBOR_ARRAY, 4);
    put_string(&w, CBOR_TEXT, "Signature1", 10);
    put_string(&w, CBOR_BYTES, protected_header, sizeof(protected_header));
    put_string(&w, CBOR_BYTES, NULL, 0);
    put_payload(&w, claims);
    return finish(&w);
}

size_t report_encode(const struct report_claims *claims, const uint8_t signature[REPORT_SIGNATURE_SIZE], uint8_t *out,
                     size_t size)
{
    struct writer w = { out, size, 0, false };

    put_head(&w, CBOR_TAG, COSE_SIGN1_TAG);
    put_head(&w, CBOR_ARRAY, 4);
    put_string(&w, CBOR_BYTES, protected_header, sizeof(protected_header));
    put_head(&w, CBOR_MAP, 0);
    put_payload(&w, claims);
    put_string(&w, CBOR_BYTES, signature, REPORT_SIGNATURE_SIZE);
    return finish(&w);
}
