/* SPDX-License-Identifier: GPL-2.0-only */
/* cvverify's commands. Each takes the arguments behind its name and returns the exit code. */
#ifndef CVVERIFY_COMMANDS_H
#define CVVERIFY_COMMANDS_H

#include "attest/cvverify/options.h"
#include "attest/cvverify/verify.h"

int command_challenge(int argc, char **argv);
int command_verify(int argc, char **argv);
int command_release(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_reference(int argc, char **argv);
int command_policy(int argc, char **argv);

void print_usage(void);

/* Prints reasons and notes, for commands that only have those. Returns their exit code. */
int findings_print(const struct findings *f, bool json);

/*
 * Reads the files that --evidence, --policy, --state or --nonce, --ek-root name into `v`, and verifies. Returns 0, the
 * first reason's exit code, or that of a file that couldn't be read; then `*reached` is false.
 */
int verify_files(const struct options *options, struct verification *v, bool *reached);
void verify_files_release(struct verification *v);

#endif
