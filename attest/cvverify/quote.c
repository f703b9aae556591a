/* SPDX-License-Identifier: GPL-2.0-only */
/* Reader of TPM quotes. See quote.h. */
#include <string.h>
#include "attest/cvverify/event_log.h"
#include "attest/cvverify/quote.h"

static bool parse_selection(struct cursor *c, struct quote *quote, struct findings *f)
{
    uint32_t count = cursor_be32(c);
    uint8_t size;

    if (!c->failed && count != 1) {
        refuse(f, CHECK_BANK, "the quote selects PCRs of %u banks", count);
        return remedy(f, "quote the SHA-256 bank alone, as in tpm2_quote -l sha256:0,1,2,...");
    }
    quote->bank = cursor_be16(c);
    size = cursor_u8(c);
    if (!c->failed && quote->bank != TPM_SHA256) {
        refuse(f, CHECK_BANK, "the quote is over bank %#06x, not over SHA-256", quote->bank);
        return remedy(f, "quote the SHA-256 bank alone, as in tpm2_quote -l sha256:0,1,2,...");
    }
    if (!c->failed && (size == 0 || size > 4))
        return refuse(f, CHECK_QUOTE_FORMAT, "the quote's PCR selection has %u bytes", size);
    quote->pcrs = (uint32_t)cursor_le(c, size);
    return true;
}

static bool parse_quote_info(struct cursor *c, struct quote *quote, struct findings *f)
{
    struct bytes digest;

    if (!parse_selection(c, quote, f))
        return false;
    digest = cursor_tpm2b(c);
    if (!cursor_done(c))
        return refuse(f, CHECK_QUOTE_FORMAT, "the quote is cut off, or bytes follow it");
    if (digest.size != DIGEST_SIZE)
        return refuse(f, CHECK_QUOTE_FORMAT, "the quote's PCR digest has %zu bytes, not 32", digest.size);
    memcpy(quote->pcr_digest.byte, digest.data, DIGEST_SIZE);
    return true;
}

bool quote_parse(struct bytes raw, struct quote *quote, struct findings *f)
{
    struct cursor c = cursor_over(raw);
    uint32_t magic = cursor_be32(&c);
    uint16_t type = cursor_be16(&c);

    *quote = (struct quote){ 0 };
    if (raw.size > QUOTE_MAX || c.failed)
        return refuse(f, CHECK_QUOTE_FORMAT, "the quote has %zu bytes", raw.size);
    if (magic != TPM_GENERATED_VALUE)
        return refuse(f, CHECK_QUOTE_MAGIC, "magic %#010x instead of %#010x: no TPM made this structure", magic,
                      TPM_GENERATED_VALUE);
    if (type != TPM_ST_ATTEST_QUOTE)
        return refuse(f, CHECK_QUOTE_TYPE, "the TPM signed a structure of type %#06x, not a quote", type);
    quote->signer = cursor_tpm2b(&c);
    quote->nonce = cursor_tpm2b(&c);
    cursor_take(&c, 8);
    quote->reset_count = cursor_be32(&c);
    quote->restart_count = cursor_be32(&c);
    cursor_take(&c, 1);
    quote->firmware_version = cursor_be(&c, 8);
    return parse_quote_info(&c, quote, f);
}
