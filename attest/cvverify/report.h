/* SPDX-License-Identifier: GPL-2.0-only */
/* Reader of VM reports (attest/report_format.h), and their signature. */
#ifndef CVVERIFY_REPORT_H
#define CVVERIFY_REPORT_H

#include "attest/report_format.h"
#include "attest/cvverify/digest.h"
#include "attest/cvverify/findings.h"

struct report {
    struct report_claims claims;
    uint32_t debug_status;
    struct bytes payload;
    uint8_t signature[REPORT_SIGNATURE_SIZE];
};

/* `number` is for messages. On false a reason was added to `f`. */
bool report_parse(struct bytes raw, size_t number, struct report *report, struct findings *f);

/* With the boot's attestation key, a point on P-256. False for an invalid point, too. */
bool report_verify(const struct report *report, const uint8_t point[CV_POINT_SIZE]);

/* A point that is on P-256, and not its zero. */
bool report_point_valid(const uint8_t point[CV_POINT_SIZE]);

#endif
