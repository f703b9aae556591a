/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * `cvverify explain`: an event log, event by event: who measured what, whether a policy knows it, what would make it
 * known. Vouches for nothing: without a quote a log is only a story.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "attest/cvverify/boot_path.h"
#include "attest/cvverify/commands.h"
#include "attest/cvverify/event_text.h"
#include "attest/cvverify/files.h"
#include "attest/cvverify/json.h"

static const char *const explain_options[] = { "log", "evidence", "policy", NULL };

struct explanation {
    size_t number;
    const struct log_event *event;
    enum boot_step step;
    const char *type;
    const char *judgement;
    const char *well_known;
    bool data_differs;
    char type_buffer[16];
    char text[EVENT_TEXT];
    char digest[DIGEST_HEX];
    char wanted[128]; /* a policy line, or empty */
};

static const char *policy_key(const struct explanation *e)
{
    switch (e->step) {
    case STEP_FOREIGN: return "loader =";
    case STEP_OTHER_NEXT: return "next_stage =";
    case STEP_UNKNOWN: return "event =";
    default: return NULL;
    }
}

static void explain_event(struct boot_path *path, const struct log_event *event, size_t number, struct explanation *e)
{
    struct digest digest = digest_of(event->data);
    const char *key;

    *e = (struct explanation){ .number = number, .event = event };
    e->step = boot_path_step(path, event);
    e->type = event_type_text(event->type, e->type_buffer);
    e->judgement = path->policy || (e->step != STEP_UNKNOWN && e->step != STEP_FOREIGN) ? boot_step_text(e->step) : "";
    e->well_known = event_well_known(&event->digest);
    e->data_differs = (event_digest_is_of_data(event->type) || e->step == STEP_OURS) && event->type != EV_NO_ACTION &&
                      !digest_equal(&digest, &event->digest);
    event_describe(event, e->text);
    digest_text(&event->digest, e->digest);
    key = policy_key(e);
    if (key && e->step == STEP_UNKNOWN)
        snprintf(e->wanted, sizeof(e->wanted), "%s %u %s", key, event->pcr, e->digest);
    else if (key)
        snprintf(e->wanted, sizeof(e->wanted), "%s %s", key, e->digest);
}

static void show(const struct explanation *e, bool with_policy)
{
    printf("%4zu PCR %-2u %s\n", e->number, e->event->pcr, e->type);
    if (e->event->type != EV_NO_ACTION)
        printf("     %s\n", e->digest);
    if (e->text[0])
        printf("     says: %s\n", e->text);
    if (e->well_known)
        printf("     is:   %s\n", e->well_known);
    if (e->event->type != EV_NO_ACTION)
        printf("     by:   %s\n", event_measured_by(e->event->pcr));
    if (e->judgement[0])
        printf("     %s\n", e->judgement);
    if (e->data_differs)
        puts("     its data is not what was measured: the log was altered");
    if (with_policy && e->wanted[0])
        printf("     to accept it: %s\n", e->wanted);
}

static void put(struct json *j, const struct explanation *e)
{
    json_open(j, NULL, '{');
    json_number(j, "number", e->number);
    json_number(j, "pcr", e->event->pcr);
    json_string(j, "type", e->type);
    json_string(j, "digest", e->digest);
    json_string(j, "says", e->text);
    json_string(j, "is", e->well_known ? e->well_known : "");
    json_string(j, "measured_by", event_measured_by(e->event->pcr));
    json_string(j, "judgement", e->judgement);
    json_bool(j, "data_is_measured", !e->data_differs);
    json_string(j, "to_accept", e->wanted);
    json_close(j, '}');
}

static void explain_log(const struct event_log *log, struct policy *policy, struct json *j)
{
    struct boot_path path = { .policy = policy };
    struct explanation e;

    for (size_t i = 0; i < log->count; i++) {
        explain_event(&path, &log->events[i], i + 1, &e);
        if (j)
            put(j, &e);
        else
            show(&e, policy != NULL);
    }
}

static void explain_missing(const struct policy *policy, struct json *j)
{
    char line[256], hex[DIGEST_HEX];

    for (size_t i = 0; i < policy->event_count; i++) {
        const struct policy_event *event = &policy->events[i];

        if (event->used || event->optional || policy->open & UINT32_C(1) << event->pcr)
            continue;
        snprintf(line, sizeof(line), "PCR %u: expected and not in the log: %s %s", event->pcr,
                 digest_text(&event->alternatives[0], hex), event->text);
        if (j)
            json_string(j, NULL, line);
        else
            puts(line);
    }
}

static int print_values(const struct event_log *log, struct json *j, struct findings *f)
{
    static struct replay replay;
    char hex[DIGEST_HEX], key[8];

    replay_log(log, &replay, f);
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        if (!(replay.logged & UINT32_C(1) << pcr))
            continue;
        snprintf(key, sizeof(key), "%u", pcr);
        if (j)
            json_string(j, key, digest_text(&replay.value[pcr], hex));
        else
            printf("PCR %-2u %s\n", pcr, digest_text(&replay.value[pcr], hex));
    }
    return findings_exit_code(f);
}

static int print_log(const struct event_log *log, struct policy *policy, bool json, struct findings *f)
{
    struct json j = { 0 };
    int code;

    if (!json) {
        explain_log(log, policy, NULL);
        if (policy)
            explain_missing(policy, NULL);
        code = print_values(log, NULL, f);
        findings_print(f, false);
        return code;
    }
    json_open(&j, NULL, '{');
    json_open(&j, "events", '[');
    explain_log(log, policy, &j);
    json_close(&j, ']');
    json_open(&j, "missing", '[');
    if (policy)
        explain_missing(policy, &j);
    json_close(&j, ']');
    json_open(&j, "pcrs", '{');
    code = print_values(log, &j, f);
    json_close(&j, '}');
    json_close(&j, '}');
    return json_print(&j) ? code : EXIT_TROUBLE;
}

/* The log itself, or that of an evidence file. */
static int find_log(const struct options *options, struct bytes *file, struct bytes *raw, struct findings *f)
{
    static struct evidence evidence;

    if (!file_read(options->log ? options->log : options->evidence, EVIDENCE_SIZE_MAX, file))
        return EXIT_INPUT;
    *raw = *file;
    if (!options->evidence)
        return EXIT_OK;
    if (!evidence_parse(*file, &evidence, f))
        return findings_exit_code(f);
    *raw = evidence.log;
    return EXIT_OK;
}

static int load_policy(const char *path, struct policy *policy, struct findings *f)
{
    struct bytes file;
    bool well;

    if (!file_read(path, POLICY_SIZE_MAX, &file))
        return EXIT_INPUT;
    well = policy_parse(file, policy, f);
    file_release(&file);
    return well ? EXIT_OK : findings_exit_code(f);
}

int command_explain(int argc, char **argv)
{
    static struct findings findings;
    static struct policy policy;
    struct event_log log = { 0 };
    struct bytes file = { NULL, 0 }, raw;
    struct options options;
    int code;

    if (!options_parse(argc, argv, explain_options, &options) || !options_no_words(&options))
        return EXIT_USAGE;
    if (!options.log == !options.evidence) {
        fputs("cvverify: give either --log or --evidence\n", stderr);
        return EXIT_USAGE;
    }
    code = find_log(&options, &file, &raw, &findings);
    if (code == EXIT_OK && options.policy)
        code = load_policy(options.policy, &policy, &findings);
    if (code == EXIT_OK && event_log_parse(raw, &log, &findings))
        code = print_log(&log, options.policy ? &policy : NULL, options.json, &findings);
    else if (findings.refused_count)
        code = findings_print(&findings, options.json);
    event_log_release(&log);
    file_release(&file);
    return code;
}
