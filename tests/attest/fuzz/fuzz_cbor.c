/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libFuzzer target: the reader of VM reports. What it accepts, the layer's encoder writes again byte by byte: there is
 * no second encoding of a report.
 */
#include "attest/report_encode.h"
#include "attest/cvverify/report.h"
#include "tests/fuzz/fuzz.h"

static struct findings findings;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t again[REPORT_MAX];
    struct report report;
    size_t again_size;

    findings.refused_count = findings.refused_more = 0;
    if (!report_parse((struct bytes){ data, size }, 1, &report, &findings)) {
        require(findings.refused_count == 1);
        return 0;
    }
    require(findings.refused_count == 0);
    again_size = report_encode(&report.claims, report.signature, again, sizeof(again));
    if (report.debug_status ==
        (report.claims.platform_flags & CV_PLATFORM_DEBUG ? REPORT_DEBUG_ENABLED : REPORT_DEBUG_DISABLED_SINCE_BOOT))
        require(again_size == size && memcmp(again, data, size) == 0);
    return 0;
}
