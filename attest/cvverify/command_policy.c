/* SPDX-License-Identifier: GPL-2.0-only */
/* `cvverify policy check FILE` and `cvverify policy diff OLD NEW`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "attest/cvverify/commands.h"
#include "attest/cvverify/files.h"
#include "attest/cvverify/json.h"

struct lines {
    char **text;
    size_t count;
};

static void collect_line(const char *line, void *context)
{
    struct lines *lines = context;
    char **larger = realloc(lines->text, (lines->count + 1) * sizeof(*larger));

    if (!larger || !(larger[lines->count] = strdup(line))) {
        fputs("cvverify: no memory\n", stderr);
        exit(EXIT_TROUBLE);
    }
    lines->text = larger;
    lines->count++;
}

static void release_lines(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free(lines->text[i]);
    free(lines->text);
}

static int load(const char *path, struct policy *policy, struct findings *f)
{
    struct bytes file;
    bool well;

    if (!file_read(path, POLICY_SIZE_MAX, &file))
        return EXIT_INPUT;
    well = policy_parse(file, policy, f);
    file_release(&file);
    return well ? EXIT_OK : findings_exit_code(f);
}

/* What is allowed by the policy and deserves a second thought. */
static void note_weak_points(const struct policy *policy, struct findings *f)
{
    if (policy->debug_accepted)
        note(f, "a layer that allows debugging is accepted: for development only");
    if (policy->iommu_optional)
        note(f, "machines without an IOMMU are accepted: their devices can read protected memory");
    if (policy->any_machine)
        note(f, "any machine with a certified EK is accepted: each must have firmware that extends the SHA-256 bank");
    if (policy->any_boot_option)
        note(f, "other boot options may have been tried before CloudVisor's, as long as nothing of them was measured");
    if (policy->open & UINT32_C(1) << 7)
        note(f, "PCR 7 is open: Secure Boot's state isn't judged");
    if (policy->vm_policy & 1)
        note(f, "VMs whose policy lets the host read them are accepted: for development only");
    if (policy->next_stage.count == 0)
        note(f, "any next stage is accepted; it is not trusted");
    if (policy->launch.count == 0)
        note(f, "no VM is named: only the machine is judged, and evidence with VM reports is refused");
}

static int check(const struct options *options)
{
    static struct findings findings;
    static struct policy policy;
    int code = load(options->words[1], &policy, &findings);

    if (code == EXIT_INPUT)
        return code;
    if (code == EXIT_OK)
        note_weak_points(&policy, &findings);
    return findings_print(&findings, options->json);
}

static bool contains(const struct lines *lines, const char *line)
{
    for (size_t i = 0; i < lines->count; i++) {
        if (strcmp(lines->text[i], line) == 0)
            return true;
    }
    return false;
}

/* The lines of `a` that `b` hasn't. Returns how many. */
static size_t print_missing(const struct lines *a, const struct lines *b, const char *sign, struct json *j)
{
    size_t count = 0;

    for (size_t i = 0; i < a->count; i++) {
        if (contains(b, a->text[i]))
            continue;
        count++;
        if (j)
            json_string(j, NULL, a->text[i]);
        else
            printf("%s %s\n", sign, a->text[i]);
    }
    return count;
}

static int print_difference(const struct lines *old, const struct lines *new, bool json)
{
    struct json j = { 0 };
    size_t count;

    if (!json) {
        count = print_missing(old, new, "-", NULL);
        count += print_missing(new, old, "+", NULL);
        return count ? EXIT_DIFFERENT : EXIT_OK;
    }
    json_open(&j, NULL, '{');
    json_open(&j, "removed", '[');
    count = print_missing(old, new, "-", &j);
    json_close(&j, ']');
    json_open(&j, "added", '[');
    count += print_missing(new, old, "+", &j);
    json_close(&j, ']');
    json_close(&j, '}');
    if (!json_print(&j))
        return EXIT_TROUBLE;
    return count ? EXIT_DIFFERENT : EXIT_OK;
}

static int diff(const struct options *options)
{
    static struct findings findings;
    static struct policy policy;
    struct lines lines[2] = { { NULL, 0 }, { NULL, 0 } };
    int code = EXIT_OK;

    for (size_t i = 0; i < 2 && code == EXIT_OK; i++) {
        code = load(options->words[1 + i], &policy, &findings);
        if (code == EXIT_OK)
            policy_print(&policy, collect_line, &lines[i]);
    }
    if (findings.refused_count)
        code = findings_print(&findings, options->json);
    else if (code == EXIT_OK)
        code = print_difference(&lines[0], &lines[1], options->json);
    release_lines(&lines[0]);
    release_lines(&lines[1]);
    return code;
}

int command_policy(int argc, char **argv)
{
    static const char *const none[] = { NULL };
    struct options options;

    if (!options_parse(argc, argv, none, &options))
        return EXIT_USAGE;
    if (options.word_count == 2 && strcmp(options.words[0], "check") == 0)
        return check(&options);
    if (options.word_count == 3 && strcmp(options.words[0], "diff") == 0)
        return diff(&options);
    fputs("cvverify: policy check FILE, or policy diff OLD NEW\n", stderr);
    return EXIT_USAGE;
}
