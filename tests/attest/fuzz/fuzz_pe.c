/* SPDX-License-Identifier: GPL-2.0-only */
/* libFuzzer target: the Authenticode hash takes any bytes, and gives a digest or a cause. */
#include "attest/cvverify/pe.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct digest digest;
    const char *error = pe_authenticode((struct bytes){ data, size }, &digest);

    require(!error || *error);
    return 0;
}
