/* SPDX-License-Identifier: GPL-2.0-only */
/* libFuzzer target: the evidence container; every section lies within the input. */
#include "attest/cvverify/evidence.h"
#include "tests/fuzz/fuzz.h"

static struct findings findings;

static void inside(struct bytes part, const uint8_t *data, size_t size)
{
    require(!part.data || (part.data >= data && part.data + part.size <= data + size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct evidence evidence;

    findings.refused_count = findings.refused_more = 0;
    if (!evidence_parse((struct bytes){ data, size }, &evidence, &findings)) {
        require(findings.refused_count > 0);
        return 0;
    }
    require(evidence.quote.data && evidence.signature.data && evidence.ak.data && evidence.log.data);
    inside(evidence.quote, data, size);
    inside(evidence.log, data, size);
    inside(evidence.proof, data, size);
    inside(evidence.boot_keys, data, size);
    for (size_t i = 0; i < evidence.report_count; i++)
        inside(evidence.reports[i], data, size);
    for (size_t i = 0; i < evidence.certificate_count; i++)
        inside(evidence.certificates[i], data, size);
    return 0;
}
