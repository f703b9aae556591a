/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The evidence file: one container for all that a verifier needs, each part in its own standard format. Big-endian, as
 * the TPM's structures are. Sections come in ascending order of type; only those marked * may come more than once.
 *
 *   0   8  magic "CVEVIDN\0"
 *   8   4  version, 1
 *   12  4  number of sections
 *   then per section: 4 type, 4 size in bytes, the bytes; nothing after the last
 */
#ifndef CVVERIFY_EVIDENCE_H
#define CVVERIFY_EVIDENCE_H

#include "attest/event_format.h"
#include "attest/cvverify/cursor.h"
#include "attest/cvverify/findings.h"

#define EVIDENCE_MAGIC "CVEVIDN" /* with its terminator: 8 bytes */

enum { EVIDENCE_VERSION = 1, EVIDENCE_SIZE_MAX = 8 << 20, EVIDENCE_CERTIFICATES_MAX = 8, EVIDENCE_REPORTS_MAX = 64 };

enum evidence_section {
    SECTION_QUOTE = 1,          /* TPMS_ATTEST, as tpm2_quote --message writes it */
    SECTION_SIGNATURE = 2,      /* TPMT_SIGNATURE, as tpm2_quote --signature writes it */
    SECTION_AK = 3,             /* TPM2B_PUBLIC, as tpm2_createak --public writes it */
    SECTION_EK = 4,             /* TPM2B_PUBLIC; optional if there is a certificate */
    SECTION_EK_CERTIFICATE = 5, /* * X.509 DER, the EK's first, then those towards the root; optional */
    SECTION_LOG = 6,            /* binary_bios_measurements of the Linux kernel */
    SECTION_PCR_VALUES = 7,     /* per PCR in ascending order: 1 byte number, 32 bytes value; optional */
    SECTION_PROOF = 8,          /* what TPM2_ActivateCredential returned; optional */
    SECTION_BOOT_KEYS = 9,      /* attestation point, key-agreement point, 65 bytes each */
    SECTION_REPORT = 10,        /* * VM report; optional */
    SECTION_END = 11,
};

struct evidence {
    struct bytes quote, signature, ak, ek, log, pcr_values, proof, boot_keys;
    struct bytes certificates[EVIDENCE_CERTIFICATES_MAX];
    size_t certificate_count;
    struct bytes reports[EVIDENCE_REPORTS_MAX];
    size_t report_count;
};

/* Points into `raw`. On false a reason was added to `f`. */
bool evidence_parse(struct bytes raw, struct evidence *evidence, struct findings *f);

#endif
