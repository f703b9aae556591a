/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libFuzzer target: the whole verification of any evidence, with an empty policy and a challenge that nobody answered.
 * It must never accept, and never go without a reason.
 */
#include "attest/cvverify/verify.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct verification v;

    v = (struct verification){ .raw_evidence = { data, size } };
    mbedtls_x509_crt_init(&v.roots);
    require(!verify(&v));
    require(v.findings.refused_count > 0 && findings_exit_code(&v.findings) != 0);
    verification_release(&v);
    return 0;
}
