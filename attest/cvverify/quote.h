/* SPDX-License-Identifier: GPL-2.0-only */
/* Reader of a TPM's quote: TPMS_ATTEST with TPMS_QUOTE_INFO (TPM 2.0 Library, Part 2, "Attestation Structures"). */
#ifndef CVVERIFY_QUOTE_H
#define CVVERIFY_QUOTE_H

#include "attest/cvverify/digest.h"
#include "attest/cvverify/findings.h"

#define TPM_GENERATED_VALUE 0xff544347u
#define TPM_ST_ATTEST_QUOTE 0x8018u

enum { QUOTE_MAX = 2048 };

struct quote {
    struct bytes signer; /* qualified name of the signing key */
    struct bytes nonce;
    uint32_t reset_count;
    uint32_t restart_count;
    uint64_t firmware_version;
    uint16_t bank; /* hash of the selected bank */
    uint32_t pcrs; /* bit n: PCR n is quoted */
    struct digest pcr_digest;
};

/* Points into `raw`. Refuses anything but one selection of SHA-256 PCRs. On false a reason was added to `f`. */
bool quote_parse(struct bytes raw, struct quote *quote, struct findings *f);

#endif
