/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Judges evidence against a policy and a challenge. Evidence, log and reports come from the machine that is judged, so
 * nothing in them counts before the quote vouches for it. Accepted is only what passed every stage with nothing refused;
 * stages that can't be reached refuse as a whole.
 */
#ifndef CVVERIFY_VERIFY_H
#define CVVERIFY_VERIFY_H

#include <mbedtls/x509_crt.h>
#include "attest/cvverify/challenge.h"
#include "attest/cvverify/evidence.h"
#include "attest/cvverify/policy.h"
#include "attest/cvverify/quote.h"
#include "attest/cvverify/replay.h"
#include "attest/cvverify/report.h"

enum verify_stage {
    STAGE_EVIDENCE = 1 << 0,
    STAGE_QUOTE = 1 << 1,
    STAGE_BINDING = 1 << 2,
    STAGE_REPLAY = 1 << 3,
    STAGE_BOOT_PATH = 1 << 4,
    STAGE_OURS = 1 << 5,
    STAGE_BOOT_KEYS = 1 << 6,
    STAGE_REPORTS = 1 << 7,
    STAGE_ALL = (1 << 8) - 1,
};

/* What the key event says; valid once STAGE_OURS is done. */
struct boot_facts {
    struct digest boot; /* digest of the key event */
    struct digest layer;
    struct digest configuration;
    struct digest attestation_digest;
    struct digest agreement_digest;
    uint32_t platform_flags;
    uint32_t layer_version;
    uint32_t reset_count;
    uint32_t restart_count;
};

struct verification {
    /* Given. */
    struct policy policy;
    struct challenge challenge;
    mbedtls_x509_crt roots;
    struct bytes raw_evidence;

    /* Found. */
    struct findings findings;
    uint32_t done; /* enum verify_stage */
    struct evidence evidence;
    struct tpm_public ak;
    struct quote quote;
    struct event_log log;
    struct replay replay;
    struct boot_facts facts;
    struct report reports[EVIDENCE_REPORTS_MAX];
    struct tpm_name ek;
    bool ek_known;
    const char *bound_by;
};

/* Runs every stage that can be reached. The result is in `findings`; also returned: true if accepted. */
bool verify(struct verification *v);
void verification_release(struct verification *v);

/* The stages. Each sets its bit in `done` when it has looked at everything, whether or not it refused something. */
void check_quote(struct verification *v);
void check_binding(struct verification *v);
void check_replay(struct verification *v);
void check_boot_path(struct verification *v);
void check_ours(struct verification *v);
void check_boot_keys(struct verification *v);
void check_reports(struct verification *v);

#endif
