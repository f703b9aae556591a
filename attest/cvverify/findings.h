/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a verification found: reasons to refuse, in the order found, each with what would satisfy the policy; and notes
 * that refuse nothing. The first reason gives the exit code. Text from evidence is made printable here.
 */
#ifndef CVVERIFY_FINDINGS_H
#define CVVERIFY_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

enum check {
#define CHECK(id, name, code, meaning) CHECK_##id,
#include "attest/cvverify/checks.def"
#undef CHECK
    CHECK_COUNT
};

enum { FINDINGS_MAX = 128, NOTES_MAX = 128, FINDING_TEXT = 400 };

struct finding {
    enum check check;
    char text[FINDING_TEXT];
    char remedy[FINDING_TEXT]; /* may be empty */
};

struct findings {
    struct finding refused[FINDINGS_MAX];
    size_t refused_count;
    size_t refused_more; /* not kept */
    char notes[NOTES_MAX][FINDING_TEXT];
    size_t notes_count;
};

const char *check_name(enum check check);
int check_exit_code(enum check check);
const char *check_meaning(enum check check);

/* Always false, so that a check can return it. */
__attribute__((format(printf, 3, 4))) bool refuse(struct findings *f, enum check check, const char *format, ...);

/* What would satisfy the check refused last. Always false. */
__attribute__((format(printf, 2, 3))) bool remedy(struct findings *f, const char *format, ...);

__attribute__((format(printf, 2, 3))) void note(struct findings *f, const char *format, ...);

/* 0 if nothing was refused, else the first reason's. */
int findings_exit_code(const struct findings *f);

/* Replaces control characters and bytes outside ASCII. */
void text_make_printable(char *text);

#endif
