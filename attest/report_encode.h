/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Encodes a VM report in two steps around the signature: payload and what is signed, then the whole. Freestanding, no
 * allocation. Deterministic: equal claims give equal bytes.
 */
#ifndef ATTEST_REPORT_ENCODE_H
#define ATTEST_REPORT_ENCODE_H

#include <stddef.h>
#include "attest/report_format.h"

/*
 * Writes COSE's Sig_structure for `claims`. Its SHA-256 is what the attestation key signs. Returns its length, or 0 if
 * it doesn't fit `size`; REPORT_MAX bytes are always enough.
 */
size_t report_encode_to_be_signed(const struct report_claims *claims, uint8_t *out, size_t size);

/* Writes the finished report. Returns its length, or 0 if it doesn't fit `size`; REPORT_MAX bytes are always enough. */
size_t report_encode(const struct report_claims *claims, const uint8_t signature[REPORT_SIGNATURE_SIZE], uint8_t *out,
                     size_t size);

#endif
