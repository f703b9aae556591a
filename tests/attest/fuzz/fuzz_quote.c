/* SPDX-License-Identifier: GPL-2.0-only */
/* libFuzzer target: readers of the TPM's structures: quote, public area, signature. The first byte chooses. */
#include "attest/cvverify/quote.h"
#include "attest/cvverify/tpm_key.h"
#include "tests/fuzz/fuzz.h"

static struct findings findings;

static void try_quote(struct bytes raw)
{
    struct quote quote;

    if (quote_parse(raw, &quote, &findings)) {
        require(quote.bank == 0x000b && findings.refused_count == 0);
        require(quote.nonce.data + quote.nonce.size <= raw.data + raw.size);
    } else {
        require(findings.refused_count == 1);
    }
}

static void try_public(struct bytes raw)
{
    struct tpm_public key;

    if (tpm_public_parse(raw, &key)) {
        require(key.unique.data + key.unique.size <= raw.data + raw.size);
        require(key.name.byte[1] == 0x0b);
    }
}

static void try_signature(struct bytes raw)
{
    struct tpm_signature signature;

    if (tpm_signature_parse(raw, &signature))
        require(signature.first.size + signature.second.size + 6 <= raw.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes raw = { data + 1, size - 1 };

    if (size == 0)
        return 0;
    findings.refused_count = findings.refused_more = 0;
    switch (data[0] % 3) {
    case 0: try_quote(raw); break;
    case 1: try_public(raw); break;
    default: try_signature(raw); break;
    }
    return 0;
}
