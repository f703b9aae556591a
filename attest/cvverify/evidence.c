/* SPDX-License-Identifier: GPL-2.0-only */
/* Reader of the evidence container. See evidence.h. */
#include <string.h>
#include "attest/cvverify/evidence.h"

struct section_rule {
    const char *name;
    size_t offset; /* of the struct bytes in struct evidence; for repeated ones, of the array */
    size_t size_max;
    unsigned count_max;
    bool required;
};

#define ONE(field) offsetof(struct evidence, field)

static const struct section_rule rules[SECTION_END] = {
    [SECTION_QUOTE] = { "quote", ONE(quote), 2048, 1, true },
    [SECTION_SIGNATURE] = { "signature", ONE(signature), 1024, 1, true },
    [SECTION_AK] = { "AK public area", ONE(ak), 1024, 1, true },
    [SECTION_EK] = { "EK public area", ONE(ek), 1024, 1, false },
    [SECTION_EK_CERTIFICATE] = { "EK certificate", ONE(certificates), 16384, EVIDENCE_CERTIFICATES_MAX, false },
    [SECTION_LOG] = { "event log", ONE(log), 4 << 20, 1, true },
    [SECTION_PCR_VALUES] = { "PCR values", ONE(pcr_values), 24 * 33, 1, false },
    [SECTION_PROOF] = { "credential proof", ONE(proof), 64, 1, false },
    [SECTION_BOOT_KEYS] = { "boot keys", ONE(boot_keys), 2 * CV_POINT_SIZE, 1, true },
    [SECTION_REPORT] = { "VM report", ONE(reports), 4096, EVIDENCE_REPORTS_MAX, false },
};

static bool add_section(struct evidence *evidence, uint32_t type, unsigned earlier, struct bytes data,
                        struct findings *f)
{
    const struct section_rule *rule = &rules[type];
    struct bytes *slot = (struct bytes *)(void *)((char *)evidence + rule->offset);

    if (data.size > rule->size_max)
        return refuse(f, CHECK_EVIDENCE_FORMAT, "evidence: the %s has %zu bytes, at most %zu are accepted", rule->name,
                      data.size, rule->size_max);
    if (earlier >= rule->count_max)
        return refuse(f, CHECK_EVIDENCE_FORMAT, "evidence: the section '%s' comes more than %u times", rule->name,
                      rule->count_max);
    slot[earlier] = data;
    return true;
}

static bool parse_section(struct cursor *c, struct evidence *evidence, uint32_t *last, unsigned counts[SECTION_END],
                          struct findings *f)
{
    uint32_t type = cursor_be32(c), size = cursor_be32(c);
    struct bytes data = cursor_bytes(c, size);

    if (c->failed)
        return refuse(f, CHECK_EVIDENCE_FORMAT, "evidence: the file is cut off");
    if (type == 0 || type >= SECTION_END)
        return refuse(f, CHECK_EVIDENCE_FORMAT, "evidence: unknown section type %u", type);
    if (type < *last)
        return refuse(f, CHECK_EVIDENCE_FORMAT, "evidence: the section '%s' is out of order", rules[type].name);
    *last = type;
    return add_section(evidence, type, counts[type]++, data, f);
}

static bool check_required(const unsigned counts[SECTION_END], struct findings *f)
{
    bool complete = true;

    for (unsigned type = 1; type < SECTION_END; type++) {
        if (!rules[type].required || counts[type])
            continue;
        complete = refuse(f, CHECK_EVIDENCE_MISSING, "evidence: no section '%s'", rules[type].name);
        remedy(f, "collect the evidence again, with all its parts");
    }
    return complete;
}

bool evidence_parse(struct bytes raw, struct evidence *evidence, struct findings *f)
{
    struct cursor c = cursor_over(raw);
    const uint8_t *magic = cursor_take(&c, sizeof(EVIDENCE_MAGIC));
    uint32_t version = cursor_be32(&c), count = cursor_be32(&c), last = 0;
    unsigned counts[SECTION_END] = { 0 };

    *evidence = (struct evidence){ 0 };
    if (c.failed || memcmp(magic, EVIDENCE_MAGIC, sizeof(EVIDENCE_MAGIC)) != 0)
        return refuse(f, CHECK_EVIDENCE_FORMAT, "evidence: not an evidence file");
    if (raw.size > EVIDENCE_SIZE_MAX)
        return refuse(f, CHECK_EVIDENCE_FORMAT, "evidence: larger than %d bytes", EVIDENCE_SIZE_MAX);
    if (version != EVIDENCE_VERSION)
        return refuse(f, CHECK_EVIDENCE_FORMAT, "evidence: version %u, only 1 is known", version);
    for (uint32_t i = 0; i < count; i++) {
        if (!parse_section(&c, evidence, &last, counts, f))
            return false;
    }
    if (c.left)
        return refuse(f, CHECK_EVIDENCE_FORMAT, "evidence: %zu trailing bytes", c.left);
    evidence->certificate_count = counts[SECTION_EK_CERTIFICATE];
    evidence->report_count = counts[SECTION_REPORT];
    return check_required(counts, f);
}
