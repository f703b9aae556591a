/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fourth stage: nothing ran before our loader but the firmware that the policy names. Type labels are the host's word
 * for it: an application relabelled as an action is still an application, since its digest is no action's.
 */
#include <stdio.h>
#include <string.h>
#include "attest/event_format.h"
#include "attest/cvverify/boot_path.h"
#include "attest/cvverify/event_text.h"
#include "attest/cvverify/verify.h"

enum { FIRMWARE_PCRS = 8, PCR_DRIVERS = 2, PCR_APPLICATIONS = 4 };

static bool digest_is_of_text(const struct digest *digest, const char *text)
{
    struct digest known = digest_of((struct bytes){ (const uint8_t *)text, strlen(text) });

    return digest_equal(digest, &known);
}

static bool digest_is_separator(const struct digest *digest)
{
    static const uint8_t zero[CV_SEPARATOR_SIZE];
    struct digest known = digest_of((struct bytes){ zero, sizeof(zero) });

    return digest_equal(digest, &known);
}

static enum boot_step next_stage_step(struct boot_path *path, const struct log_event *event)
{
    if (path->policy && path->policy->next_stage.count && !policy_find(&path->policy->next_stage, &event->digest))
        return STEP_OTHER_NEXT;
    return STEP_NEXT_STAGE;
}

/*
 * PCR 4: boot attempts, the separator, our loader, its next stage, then whatever. An attempt of which nothing was
 * measured ran nothing. An application that returned is
 * refused behind our loader, too: a loader that gave up must never be followed by a host that plays its part.
 */
static enum boot_step application_step(struct boot_path *path, const struct log_event *event)
{
    if (digest_is_of_text(&event->digest, "Calling EFI Application from Boot Option")) {
        if (path->applications)
            path->later_attempts++;
        else
            path->attempts++;
        return STEP_BOOT_ATTEMPT;
    }
    if (digest_is_of_text(&event->digest, "Returning from EFI Application from Boot Option"))
        return path->applications ? STEP_RETURNED : STEP_GAVE_UP;
    path->applications++;
    if (path->applications == 1)
        return path->policy && policy_find(&path->policy->loader, &event->digest) ? STEP_LOADER : STEP_FOREIGN;
    return path->applications == 2 ? next_stage_step(path, event) : STEP_AFTER;
}

static bool event_matches(const struct policy_event *expected, const struct log_event *event)
{
    for (size_t i = 0; i < expected->alternative_count; i++) {
        if (digest_equal(&expected->alternatives[i], &event->digest))
            return expected->pcr == event->pcr;
    }
    return false;
}

/* The first event of the policy from index `from` on that matches, or the event count. */
static size_t find_expected(const struct policy *policy, const struct log_event *event, size_t from, bool optional)
{
    while (from < policy->event_count &&
           (policy->events[from].optional != optional || policy->events[from].used > optional ||
            !event_matches(&policy->events[from], event)))
        from++;
    return from;
}

static enum boot_step listed_step(struct boot_path *path, const struct log_event *event)
{
    struct policy *policy = path->policy;
    size_t found;

    if (!policy)
        return STEP_UNKNOWN;
    found = find_expected(policy, event, path->next[event->pcr], false);
    if (found < policy->event_count) {
        policy->events[found].used = true;
        path->next[event->pcr] = found + 1;
        return STEP_KNOWN;
    }
    found = find_expected(policy, event, 0, true);
    if (found < policy->event_count) {
        policy->events[found].used = true;
        return STEP_KNOWN;
    }
    found = find_expected(policy, event, 0, false);
    if (found == policy->event_count)
        return STEP_UNKNOWN;
    policy->events[found].used = true;
    return STEP_OUT_OF_ORDER;
}

enum boot_step boot_path_step(struct boot_path *path, const struct log_event *event)
{
    if (event->type == EV_NO_ACTION)
        return STEP_INFORMATIVE;
    if (event->pcr == CV_EVENT_PCR)
        return STEP_OURS;
    if (event->pcr >= FIRMWARE_PCRS)
        return STEP_UNJUDGED;
    if (digest_is_separator(&event->digest)) {
        path->separators[event->pcr]++;
        return STEP_SEPARATOR;
    }
    if (event->pcr == PCR_APPLICATIONS)
        return application_step(path, event);
    if (path->policy && path->policy->open & UINT32_C(1) << event->pcr)
        return STEP_OPEN;
    return listed_step(path, event);
}

const char *boot_step_text(enum boot_step step)
{
    static const char *const texts[] = {
        [STEP_INFORMATIVE] = "informative, not measured",
        [STEP_SEPARATOR] = "separator",
        [STEP_BOOT_ATTEMPT] = "a boot option is tried",
        [STEP_GAVE_UP] = "a boot option gave up, nothing of it was measured",
        [STEP_RETURNED] = "an application returned: refused",
        [STEP_LOADER] = "CloudVisor's loader, known",
        [STEP_FOREIGN] = "first application, not known as CloudVisor's loader",
        [STEP_NEXT_STAGE] = "next stage",
        [STEP_OTHER_NEXT] = "next stage, not the policy's",
        [STEP_AFTER] = "started by the host, not judged",
        [STEP_KNOWN] = "known",
        [STEP_OUT_OF_ORDER] = "known, but at another place",
        [STEP_UNKNOWN] = "unknown",
        [STEP_OPEN] = "not judged, PCR is open",
        [STEP_OURS] = "CloudVisor's",
        [STEP_UNJUDGED] = "not judged, written by the host",
    };

    return texts[step];
}

/* The label claims a content that was not measured. */
static void check_data(struct verification *v, const struct log_event *event, size_t number)
{
    struct digest digest = digest_of(event->data);
    char type[16];

    if (!event_digest_is_of_data(event->type) || event->pcr >= FIRMWARE_PCRS || digest_equal(&digest, &event->digest))
        return;
    refuse(&v->findings, CHECK_EVENT_DATA, "event %zu, PCR %u: labelled %s, but its data is not what was measured",
           number, event->pcr, event_type_text(event->type, type));
    remedy(&v->findings, "the label or the data was altered; send the log as the firmware wrote it");
}

static void refuse_event(struct verification *v, enum check check, const struct log_event *event, size_t number,
                         const char *what, const char *key)
{
    char text[EVENT_TEXT], hex[DIGEST_HEX];

    event_describe(event, text);
    refuse(&v->findings, check, "event %zu, PCR %u: %s: %s%s%s", number, event->pcr, what,
           digest_text(&event->digest, hex), text[0] ? ", " : "", text);
    remedy(&v->findings, "if you have made sure of it, a policy line: %s %s", key, hex);
}

static void judge_event(struct verification *v, struct boot_path *path, const struct log_event *event, size_t number)
{
    char key[24];

    snprintf(key, sizeof(key), "event = %u", event->pcr);
    switch (boot_path_step(path, event)) {
    case STEP_GAVE_UP:
        if (v->policy.any_boot_option)
            break;
        refuse(&v->findings, CHECK_BOOT_OPTION, "event %zu, PCR 4: another boot option was tried first", number);
        remedy(&v->findings, "make CloudVisor the first boot option, or: boot_option = any");
        break;
    case STEP_RETURNED:
        refuse(&v->findings, CHECK_BOOT_OPTION,
               "event %zu, PCR 4: an application returned and another boot option was tried", number);
        remedy(&v->findings, "make CloudVisor the first boot option and start again");
        break;
    case STEP_FOREIGN:
        refuse_event(v, CHECK_FIRST_APPLICATION, event, number, "the first EFI application is not an accepted loader",
                     "loader =");
        break;
    case STEP_OTHER_NEXT:
        refuse_event(v, CHECK_NEXT_STAGE, event, number, "the next stage is not the policy's", "next_stage =");
        break;
    case STEP_OUT_OF_ORDER: refuse_event(v, CHECK_EVENT_ORDER, event, number, "expected at another place", key); break;
    case STEP_UNKNOWN:
        if (event->pcr == PCR_DRIVERS)
            refuse_event(v, CHECK_DRIVER, event, number, "a driver that the policy doesn't know", key);
        else
            refuse_event(v, CHECK_EVENT_UNEXPECTED, event, number, "the policy doesn't know it", key);
        break;
    default: break;
    }
}

static void check_missing(struct verification *v)
{
    char hex[DIGEST_HEX];

    for (size_t i = 0; i < v->policy.event_count; i++) {
        const struct policy_event *event = &v->policy.events[i];

        if (event->optional || event->used || v->policy.open & UINT32_C(1) << event->pcr)
            continue;
        refuse(&v->findings, CHECK_EVENT_MISSING, "PCR %u: expected and not in the log: %s%s%s", event->pcr,
               digest_text(&event->alternatives[0], hex), event->text[0] ? ", " : "", event->text);
        remedy(&v->findings, "if it may be absent, change line %u of the policy to: optional = ...", event->line);
    }
}

static void check_counts(struct verification *v, const struct boot_path *path)
{
    for (unsigned pcr = 0; pcr < FIRMWARE_PCRS; pcr++) {
        if (path->separators[pcr] == 1)
            continue;
        refuse(&v->findings, CHECK_SEPARATOR, "PCR %u: %u separators instead of one", pcr, path->separators[pcr]);
        remedy(&v->findings, "firmware closes each of PCR 0 to 7 once before it starts an application");
    }
    if (path->applications == 0)
        refuse(&v->findings, CHECK_FIRST_APPLICATION,
               "PCR 4: the log has no EFI application: the loader was not measured");
    if (path->applications == 1 && v->policy.next_stage.count)
        refuse(&v->findings, CHECK_NEXT_STAGE, "PCR 4: the log has no next stage");
    if (path->attempts == 0 || (path->attempts > 1 && !v->policy.any_boot_option) || path->later_attempts) {
        refuse(&v->findings, CHECK_BOOT_OPTION,
               "PCR 4: %u boot attempts before the first application and %u behind it, instead of one", path->attempts,
               path->later_attempts);
        remedy(&v->findings, "make CloudVisor the first boot option and start again");
    }
}

void check_boot_path(struct verification *v)
{
    struct boot_path path = { .policy = &v->policy };

    for (size_t i = 0; i < v->log.count; i++) {
        check_data(v, &v->log.events[i], i + 1);
        judge_event(v, &path, &v->log.events[i], i + 1);
    }
    check_missing(v);
    check_counts(v, &path);
    v->done |= STAGE_BOOT_PATH;
}
