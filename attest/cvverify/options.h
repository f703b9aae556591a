/* SPDX-License-Identifier: GPL-2.0-only */
/* The command line: one table of options, of which each command takes some. */
#ifndef CVVERIFY_OPTIONS_H
#define CVVERIFY_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum cvverify_exit {
    EXIT_OK = 0,
    EXIT_TROUBLE = 1, /* no memory, output not written, not every check reached */
    EXIT_USAGE = 2,
    EXIT_INPUT = 3, /* a file can't be read */
    EXIT_DIFFERENT = 40,
};

enum { OPTION_LIST_MAX = 64, OPTION_WORDS_MAX = 4 };

struct option_list {
    const char *items[OPTION_LIST_MAX];
    size_t count;
};

struct options {
    const char *evidence, *policy, *state, *nonce, *log;
    const char *ear, *ear_key;
    const char *ek, *ak, *credential, *nonce_out;
    const char *out, *secret;
    const char *loader, *next, *config, *layer, *layer_version, *open, *unquoted, *name;
    struct option_list ek_roots, launches, ek_names, ak_names;
    bool json, help, keep_key, any_machine, iommu_optional;
    const char *words[OPTION_WORDS_MAX];
    size_t word_count;
};

/*
 * Reads the arguments behind a command. `allowed` ends with NULL; --json and --help always are. On false the cause was
 * printed.
 */
bool options_parse(int argc, char **argv, const char *const allowed[], struct options *options);

/* False, and a message, if one of the needed ones (ends with NULL) is missing. */
bool options_need(const struct options *options, const char *const needed[]);

/* False, and a message, if there are arguments that are no options. */
bool options_no_words(const struct options *options);

#endif
