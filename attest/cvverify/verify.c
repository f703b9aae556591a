/* SPDX-License-Identifier: GPL-2.0-only */
/* The order of the stages, and the rule that an unfinished verification is a refused one. See verify.h. */
#include <stdlib.h>
#include "attest/cvverify/verify.h"

static void note_unused_digests(struct verification *v, const char *key, const struct policy_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!list->items[i].used)
            note(&v->findings, "policy, line %u: this %s was not needed%s%s", list->items[i].line, key,
                 list->items[i].text[0] ? ": " : "", list->items[i].text);
    }
}

static void note_unused_names(struct verification *v, const char *key, const struct policy_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        if (!names->items[i].used)
            note(&v->findings, "policy, line %u: this %s was not needed%s%s", names->items[i].line, key,
                 names->items[i].text[0] ? ": " : "", names->items[i].text);
    }
}

static void note_unused(struct verification *v)
{
    note_unused_digests(v, "loader", &v->policy.loader);
    note_unused_digests(v, "layer", &v->policy.layer);
    note_unused_digests(v, "configuration", &v->policy.configuration);
    note_unused_digests(v, "next_stage", &v->policy.next_stage);
    note_unused_digests(v, "launch", &v->policy.launch);
    note_unused_names(v, "ak_name", &v->policy.ak_name);
    note_unused_names(v, "ek_name", &v->policy.ek_name);
    for (size_t i = 0; i < v->policy.event_count; i++) {
        if (v->policy.events[i].optional && !v->policy.events[i].used)
            note(&v->findings, "policy, line %u: this optional event of PCR %u did not occur%s%s",
                 v->policy.events[i].line, v->policy.events[i].pcr, v->policy.events[i].text[0] ? ": " : "",
                 v->policy.events[i].text);
    }
}

static void check_evidence(struct verification *v)
{
    if (evidence_parse(v->raw_evidence, &v->evidence, &v->findings))
        v->done |= STAGE_EVIDENCE;
}

static void check_log(struct verification *v)
{
    check_replay(v);
    if (!(v->done & STAGE_REPLAY))
        return;
    check_boot_path(v);
    check_ours(v);
    if (v->done & STAGE_OURS)
        check_boot_keys(v);
}

bool verify(struct verification *v)
{
    check_evidence(v);
    if (v->done & STAGE_EVIDENCE) {
        check_quote(v);
        if (v->done & STAGE_QUOTE) {
            check_binding(v);
            check_log(v);
        }
        if (v->done & STAGE_BOOT_KEYS)
            check_reports(v);
    }
    if (v->done != STAGE_ALL && v->findings.refused_count == 0)
        refuse(&v->findings, CHECK_INCOMPLETE, "not every check was reached");
    if (v->done == STAGE_ALL)
        note_unused(v);
    return v->findings.refused_count == 0;
}

void verification_release(struct verification *v)
{
    event_log_release(&v->log);
    mbedtls_x509_crt_free(&v->roots);
}
