/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fifth stage: CloudVisor's events are the first in their PCR, complete and closed; each is recomputed from its data,
 * whatever type it carries. Only then does what they say count: layer, configuration, keys, platform, TPM clock.
 */
#include <stdio.h>
#include <string.h>
#include "attest/cvverify/verify.h"

enum { OURS_COUNT = 4, POSITION_KEYS = 2, POSITION_CLOSE = 3 };

static const char *const position_names[OURS_COUNT] = { "layer event", "configuration event", "key event",
                                                        "closing separator" };

struct ours {
    const struct log_event *event[OURS_COUNT];
    size_t number[OURS_COUNT]; /* in the log, for messages */
    size_t count;              /* in the PCR, all */
    size_t informative;
};

static struct ours collect(const struct event_log *log)
{
    struct ours ours = { 0 };

    for (size_t i = 0; i < log->count; i++) {
        if (log->events[i].pcr != CV_EVENT_PCR)
            continue;
        if (log->events[i].type == EV_NO_ACTION) {
            ours.informative++;
            continue;
        }
        if (ours.count < OURS_COUNT) {
            ours.event[ours.count] = &log->events[i];
            ours.number[ours.count] = i + 1;
        }
        ours.count++;
    }
    return ours;
}

/* Reads the head. False if it isn't ours or its size isn't the data's. */
static bool parse_head(struct cursor *c, struct bytes data, uint16_t *kind, bool *is_ours)
{
    const uint8_t *label = cursor_take(c, CV_LABEL_SIZE), *magic = cursor_take(c, sizeof(CV_EVENT_MAGIC));
    uint16_t version = cursor_le16(c);
    uint32_t size;

    *kind = cursor_le16(c);
    size = cursor_le32(c);
    *is_ours = label && magic && memcmp(magic, CV_EVENT_MAGIC, sizeof(CV_EVENT_MAGIC)) == 0;
    return *is_ours && !c->failed && version == CV_EVENT_VERSION && size == data.size;
}

static bool label_is(struct bytes data, const char *label)
{
    uint8_t padded[CV_LABEL_SIZE] = { 0 };

    memcpy(padded, label, strlen(label));
    return memcmp(data.data, padded, CV_LABEL_SIZE) == 0;
}

static void read_digest(struct cursor *c, struct digest *digest)
{
    const uint8_t *bytes = cursor_take(c, DIGEST_SIZE);

    if (bytes)
        memcpy(digest->byte, bytes, DIGEST_SIZE);
}

static bool parse_layer(struct cursor *c, struct boot_facts *facts)
{
    read_digest(c, &facts->layer);
    cursor_le(c, 8);
    facts->layer_version = cursor_le32(c);
    return cursor_le32(c) == 0 && cursor_done(c);
}

static bool parse_config(struct cursor *c, struct boot_facts *facts)
{
    read_digest(c, &facts->configuration);
    cursor_le32(c);
    return cursor_le32(c) == 0 && cursor_done(c);
}

static bool parse_keys(struct cursor *c, struct boot_facts *facts, uint32_t *version)
{
    read_digest(c, &facts->attestation_digest);
    read_digest(c, &facts->agreement_digest);
    facts->platform_flags = cursor_le32(c);
    *version = cursor_le32(c);
    facts->reset_count = cursor_le32(c);
    facts->restart_count = cursor_le32(c);
    return cursor_done(c);
}

static bool refuse_failed_start(struct verification *v, struct cursor *c, size_t number)
{
    static const char *const reasons[] = { "for a reason not known here", "the CPU lacks something that it needs",
                                           "the CPUs could not be demoted", "its keys could not be made" };
    uint32_t reason = cursor_le32(c);

    refuse(&v->findings, CHECK_NOT_STARTED, "event %zu: the host was started without the layer: %s", number,
           reasons[reason < sizeof(reasons) / sizeof(reasons[0]) ? reason : 0]);
    return remedy(&v->findings, "no policy accepts it; the machine's console names what is missing");
}

static bool refuse_position(struct verification *v, size_t position, size_t number)
{
    refuse(&v->findings, CHECK_OURS_POSITION, "event %zu, PCR %d: not CloudVisor's %s, which must be at position %zu",
           number, CV_EVENT_PCR, position_names[position], position);
    return remedy(&v->findings, "nothing may be measured into PCR %d before or between CloudVisor's events",
                  CV_EVENT_PCR);
}

/* The data of an event whose digest was compared already. */
static bool parse_event(struct verification *v, size_t position, struct bytes data, size_t number, uint32_t *version)
{
    static const char *const labels[] = { CV_LABEL_LAYER, CV_LABEL_CONFIG, CV_LABEL_KEYS };
    struct cursor c = cursor_over(data);
    uint16_t kind;
    bool is_ours, well = parse_head(&c, data, &kind, &is_ours);

    if (!is_ours)
        return refuse_position(v, position, number);
    if (well && position == POSITION_KEYS && kind == CV_EVENT_FAILED)
        return refuse_failed_start(v, &c, number);
    if (well && kind != position + 1)
        return refuse_position(v, position, number);
    well = well && label_is(data, labels[position]) &&
           (position == 0   ? parse_layer(&c, &v->facts)
            : position == 1 ? parse_config(&c, &v->facts)
                            : parse_keys(&c, &v->facts, version));
    if (well)
        return true;
    return refuse(&v->findings, CHECK_OURS_FORMAT, "event %zu: the %s is malformed", number, position_names[position]);
}

static bool check_event(struct verification *v, const struct ours *ours, size_t position, uint32_t *version)
{
    const struct log_event *event = ours->event[position];
    struct digest digest;

    if (!event) {
        refuse(&v->findings, position == POSITION_CLOSE ? CHECK_OURS_CLOSED : CHECK_OURS_MISSING,
               "PCR %d: CloudVisor's %s is missing%s", CV_EVENT_PCR, position_names[position],
               ours->informative ? "; informative events don't count" : "");
        return remedy(&v->findings, "start the machine through cloudvisor.efi");
    }
    digest = digest_of(event->data);
    if (!digest_equal(&digest, &event->digest)) {
        refuse(&v->findings, CHECK_OURS_DIGEST, "event %zu, PCR %d: the data of the %s is not what was measured",
               ours->number[position], CV_EVENT_PCR, position_names[position]);
        return remedy(&v->findings, "send the log as the firmware wrote it");
    }
    if (position < POSITION_CLOSE)
        return parse_event(v, position, event->data, ours->number[position], version);
    if (event->data.size == CV_SEPARATOR_SIZE && memcmp(event->data.data, "\0\0\0", CV_SEPARATOR_SIZE) == 0)
        return true;
    refuse(&v->findings, CHECK_OURS_CLOSED, "event %zu, PCR %d: not the separator that closes CloudVisor's events",
           ours->number[position], CV_EVENT_PCR);
    return remedy(&v->findings, "nothing may be measured into PCR %d before CloudVisor's separator", CV_EVENT_PCR);
}

static void check_digest(struct verification *v, struct policy_list *list, const struct digest *digest,
                         enum check check, const char *key)
{
    char hex[DIGEST_HEX];

    if (policy_find(list, digest))
        return;
    refuse(&v->findings, check, "the policy doesn't know this %s: %s", key, digest_text(digest, hex));
    remedy(&v->findings, "if you have made sure of it, a policy line: %s = %s", key, hex);
}

static void check_version(struct verification *v, uint32_t key_event_version)
{
    char is[16], least[16];

    version_text(v->facts.layer_version, is);
    version_text(v->policy.layer_version, least);
    if (v->facts.layer_version != key_event_version || v->facts.layer_version >> 24)
        refuse(&v->findings, CHECK_LAYER_VERSION, "the layer calls itself %s in one event and not in another", is);
    if (v->facts.layer_version < v->policy.layer_version) {
        refuse(&v->findings, CHECK_LAYER_VERSION, "the layer is version %s, the policy wants %s", is, least);
        remedy(&v->findings, "update the layer, or: layer_version = %s", is);
    }
}

static void check_platform(struct verification *v)
{
    uint32_t flags = v->facts.platform_flags;
    struct findings *f = &v->findings;

    if (flags & ~CV_PLATFORM_KNOWN)
        refuse(f, CHECK_PLATFORM_UNKNOWN, "platform flags %#x: not all of them are known here", flags);
    if (!(flags & CV_PLATFORM_TPM))
        refuse(f, CHECK_PLATFORM_TPM, "the boot's keys were made without the TPM");
    if (flags & CV_PLATFORM_DEBUG && !v->policy.debug_accepted) {
        refuse(f, CHECK_PLATFORM_DEBUG, "the layer allows debugging");
        remedy(f, "for development only: debug = accepted");
    }
    if (!(flags & CV_PLATFORM_IOMMU) && !v->policy.iommu_optional) {
        refuse(f, CHECK_PLATFORM_IOMMU, "no IOMMU keeps devices from protected memory");
        remedy(f, "enable VT-d in the firmware's set-up, or: iommu = optional");
    }
}

static void check_clock(struct verification *v)
{
    const struct boot_facts *facts = &v->facts;

    if (v->quote.reset_count == facts->reset_count && v->quote.restart_count == facts->restart_count)
        return;
    refuse(&v->findings, CHECK_CLOCK, "resetCount/restartCount: %u/%u in the quote, %u/%u when the keys were made",
           v->quote.reset_count, v->quote.restart_count, facts->reset_count, facts->restart_count);
    remedy(&v->findings, "the machine was reset or slept since; evidence must come from the boot that made the keys");
}

void check_ours(struct verification *v)
{
    struct ours ours = collect(&v->log);
    uint32_t key_event_version = 0;
    bool well = true;

    for (size_t position = 0; position < OURS_COUNT && well; position++)
        well = check_event(v, &ours, position, &key_event_version);
    if (!well)
        return;
    v->facts.boot = ours.event[POSITION_KEYS]->digest;
    if (ours.count > OURS_COUNT)
        note(&v->findings, "PCR %d: %zu events behind CloudVisor's separator, by the host, not judged", CV_EVENT_PCR,
             ours.count - OURS_COUNT);
    check_digest(v, &v->policy.layer, &v->facts.layer, CHECK_LAYER, "layer");
    check_digest(v, &v->policy.configuration, &v->facts.configuration, CHECK_CONFIGURATION, "configuration");
    check_version(v, key_event_version);
    check_platform(v);
    check_clock(v);
    v->done |= STAGE_OURS;
}
