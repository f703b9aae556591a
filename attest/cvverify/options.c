/* SPDX-License-Identifier: GPL-2.0-only */
/* Command-line options: --name value, --name=value, --flag. See options.h. */
#include <stdio.h>
#include <string.h>
#include "attest/cvverify/options.h"

enum option_kind { OPTION_TEXT, OPTION_LIST, OPTION_FLAG };

struct option_row {
    const char *name;
    enum option_kind kind;
    size_t offset;
};

#define ROW(name, kind, field)                                                                                         \
    {                                                                                                                  \
        name, kind, offsetof(struct options, field)                                                                    \
    }

static const struct option_row rows[] = {
    ROW("evidence", OPTION_TEXT, evidence),
    ROW("policy", OPTION_TEXT, policy),
    ROW("state", OPTION_TEXT, state),
    ROW("nonce", OPTION_TEXT, nonce),
    ROW("log", OPTION_TEXT, log),
    ROW("ear", OPTION_TEXT, ear),
    ROW("ear-key", OPTION_TEXT, ear_key),
    ROW("ek", OPTION_TEXT, ek),
    ROW("ak", OPTION_TEXT, ak),
    ROW("credential", OPTION_TEXT, credential),
    ROW("nonce-out", OPTION_TEXT, nonce_out),
    ROW("out", OPTION_TEXT, out),
    ROW("secret", OPTION_TEXT, secret),
    ROW("loader", OPTION_TEXT, loader),
    ROW("next", OPTION_TEXT, next),
    ROW("config", OPTION_TEXT, config),
    ROW("layer", OPTION_TEXT, layer),
    ROW("layer-version", OPTION_TEXT, layer_version),
    ROW("open", OPTION_TEXT, open),
    ROW("unquoted", OPTION_TEXT, unquoted),
    ROW("name", OPTION_TEXT, name),
    ROW("ek-root", OPTION_LIST, ek_roots),
    ROW("launch", OPTION_LIST, launches),
    ROW("ek-name", OPTION_LIST, ek_names),
    ROW("ak-name", OPTION_LIST, ak_names),
    ROW("json", OPTION_FLAG, json),
    ROW("help", OPTION_FLAG, help),
    ROW("keep-key", OPTION_FLAG, keep_key),
    ROW("any-machine", OPTION_FLAG, any_machine),
    ROW("iommu-optional", OPTION_FLAG, iommu_optional),
};

static const struct option_row *find_row(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strlen(rows[i].name) == length && memcmp(rows[i].name, name, length) == 0)
            return &rows[i];
    }
    return NULL;
}

static bool is_allowed(const char *name, const char *const allowed[])
{
    if (strcmp(name, "json") == 0 || strcmp(name, "help") == 0)
        return true;
    for (; *allowed; allowed++) {
        if (strcmp(*allowed, name) == 0)
            return true;
    }
    return false;
}

static bool usage(const char *text, const char *cause)
{
    fprintf(stderr, "cvverify: %s: %s; see cvverify --help\n", text, cause);
    return false;
}

static bool store(const struct option_row *row, const char *value, struct options *options)
{
    void *field = (char *)options + row->offset;
    struct option_list *list = field;
    const char **text = field;

    if (row->kind == OPTION_LIST) {
        if (list->count == OPTION_LIST_MAX)
            return usage(row->name, "given too often");
        list->items[list->count++] = value;
        return true;
    }
    if (*text)
        return usage(row->name, "given twice");
    *text = value;
    return true;
}

/* Takes one option, and its value if that is the next argument. */
static bool parse_one(int argc, char **argv, int *i, const char *const allowed[], struct options *options)
{
    const char *name = argv[*i] + 2, *equals = strchr(name, '=');
    const struct option_row *row = find_row(name, equals ? (size_t)(equals - name) : strlen(name));

    if (!row || !is_allowed(row->name, allowed))
        return usage(argv[*i], "no such option here");
    if (row->kind == OPTION_FLAG) {
        *(bool *)((char *)options + row->offset) = true;
        return !equals || usage(argv[*i], "this option takes no value");
    }
    if (equals)
        return store(row, equals + 1, options);
    if (*i + 1 == argc)
        return usage(argv[*i], "its value is missing");
    return store(row, argv[++*i], options);
}

bool options_parse(int argc, char **argv, const char *const allowed[], struct options *options)
{
    *options = (struct options){ 0 };
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0) {
            if (!parse_one(argc, argv, &i, allowed, options))
                return false;
        } else if (options->word_count == OPTION_WORDS_MAX) {
            return usage(argv[i], "too many arguments");
        } else {
            options->words[options->word_count++] = argv[i];
        }
    }
    return true;
}

bool options_need(const struct options *options, const char *const needed[])
{
    for (; *needed; needed++) {
        const struct option_row *row = find_row(*needed, strlen(*needed));

        if (!*(const char *const *)(const void *)((const char *)options + row->offset)) {
            fprintf(stderr, "cvverify: --%s is needed here; see cvverify --help\n", *needed);
            return false;
        }
    }
    return true;
}

bool options_no_words(const struct options *options)
{
    return options->word_count == 0 || usage(options->words[0], "not an option");
}
