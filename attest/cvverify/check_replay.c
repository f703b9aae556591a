/* SPDX-License-Identifier: GPL-2.0-only */
/* Third stage: the log leads to exactly the PCRs that were quoted. */
#include <string.h>
#include "attest/cvverify/verify.h"

enum { PCR_VALUE_SIZE = 1 + DIGEST_SIZE };

#define PCRS_NEEDED (UINT32_C(0xff) | UINT32_C(1) << CV_EVENT_PCR)
#define PCRS_STATIC UINT32_C(0xffff) /* 16 and 23 can be reset, 17 to 22 belong to late launch */

static bool has(uint32_t mask, unsigned pcr)
{
    return mask & UINT32_C(1) << pcr;
}

static bool check_selection(const struct quote *quote, struct findings *f)
{
    bool well = true;

    for (unsigned pcr = 0; pcr < 32; pcr++) {
        if (has(PCRS_NEEDED, pcr) && !has(quote->pcrs, pcr))
            well = refuse(f, CHECK_PCR_SELECTION, "PCR %u is not quoted", pcr);
        else if (!has(PCRS_STATIC, pcr) && has(quote->pcrs, pcr))
            well = refuse(f, CHECK_PCR_SELECTION, "PCR %u is quoted; software can reset it", pcr);
        else
            continue;
        remedy(f, "quote sha256:0,1,2,3,4,5,6,7,13 and what else the log has below 16");
    }
    return well;
}

static bool check_coverage(struct verification *v)
{
    struct findings *f = &v->findings;
    bool well = true;

    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        bool quoted = has(v->quote.pcrs, pcr), logged = has(v->replay.logged, pcr);

        if (quoted && !logged) {
            well = refuse(f, CHECK_PCR_NOT_LOGGED, "PCR %u is quoted, and the log has no event for it", pcr);
            remedy(f, "send the whole log; quote only PCRs that the firmware's log has");
        } else if (logged && !quoted && !has(v->policy.unquoted, pcr)) {
            well = refuse(f, CHECK_PCR_NOT_QUOTED, "PCR %u has events in the log and is not quoted", pcr);
            if (has(POLICY_PCRS_UNQUOTABLE, pcr))
                remedy(f, "quote it, or, as nothing in it is judged: unquoted = %u", pcr);
            else
                remedy(f, "quote it");
        }
    }
    return well;
}

/* Reads the values that came beside the quote. Only their digest makes them count. */
static bool read_values(struct bytes raw, uint32_t quoted, struct digest value[PCR_COUNT])
{
    struct cursor c = cursor_over(raw);

    memset(value, 0, PCR_COUNT * sizeof(value[0]));
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        const uint8_t *entry;

        if (!has(quoted, pcr))
            continue;
        entry = cursor_take(&c, PCR_VALUE_SIZE);
        if (!entry || entry[0] != pcr)
            return false;
        memcpy(value[pcr].byte, entry + 1, DIGEST_SIZE);
    }
    return cursor_done(&c);
}

static void name_differences(struct verification *v, const struct digest value[PCR_COUNT])
{
    char logged[DIGEST_HEX], quoted[DIGEST_HEX];

    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        if (!has(v->quote.pcrs, pcr) || digest_equal(&value[pcr], &v->replay.value[pcr]))
            continue;
        refuse(&v->findings, CHECK_REPLAY, "PCR %u: the log leads to %s, the TPM has %s%s", pcr,
               digest_text(&v->replay.value[pcr], logged), digest_text(&value[pcr], quoted),
               digest_is_zero(&value[pcr]) ? ": nobody extended it" : "");
        remedy(&v->findings,
               "events were altered, added, removed or reordered, or extended past the log; send the whole log");
    }
}

static void check_values(struct verification *v)
{
    struct digest value[PCR_COUNT], expected = replay_quote_digest(v->replay.value, v->quote.pcrs), given;
    struct findings *f = &v->findings;

    if (v->evidence.pcr_values.data) {
        if (!read_values(v->evidence.pcr_values, v->quote.pcrs, value)) {
            refuse(f, CHECK_PCR_VALUES, "the PCR values beside the quote are not one for each quoted PCR");
            return;
        }
        given = replay_quote_digest(value, v->quote.pcrs);
        if (!digest_equal(&given, &v->quote.pcr_digest)) {
            refuse(f, CHECK_PCR_VALUES, "the PCR values beside the quote are not those that it was made over");
            remedy(f, "collect the evidence again");
        } else {
            name_differences(v, value);
        }
    }
    if (!digest_equal(&expected, &v->quote.pcr_digest) && f->refused_count == 0) {
        refuse(f, CHECK_REPLAY, "the log doesn't lead to the quoted PCRs");
        remedy(f, "send the PCR values too, so that the PCR can be named");
    }
}

void check_replay(struct verification *v)
{
    check_selection(&v->quote, &v->findings);
    if (!event_log_parse(v->evidence.log, &v->log, &v->findings))
        return;
    replay_log(&v->log, &v->replay, &v->findings);
    check_coverage(v);
    check_values(v);
    v->done |= STAGE_REPLAY;
}
