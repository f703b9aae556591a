/* SPDX-License-Identifier: GPL-2.0-only */
/* The list of reasons to refuse. Once one is in it, nothing takes it out. See findings.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "attest/cvverify/findings.h"

struct check_row {
    const char *name;
    const char *meaning;
    int exit_code;
};

static const struct check_row checks[] = {
#define CHECK(id, name, code, meaning) { name, meaning, code },
#include "attest/cvverify/checks.def"
#undef CHECK
};

_Static_assert(sizeof(checks) / sizeof(checks[0]) == CHECK_COUNT, "one row per check");

const char *check_name(enum check check)
{
    return checks[check].name;
}

int check_exit_code(enum check check)
{
    return checks[check].exit_code;
}

const char *check_meaning(enum check check)
{
    return checks[check].meaning;
}

void text_make_printable(char *text)
{
    for (; *text; text++) {
        if (*text < ' ' || *text > '~')
            *text = '?';
    }
}

bool refuse(struct findings *f, enum check check, const char *format, ...)
{
    struct finding *finding;
    va_list args;

    if (f->refused_count == FINDINGS_MAX) {
        f->refused_more++;
        return false;
    }
    finding = &f->refused[f->refused_count++];
    finding->check = check;
    finding->remedy[0] = '\0';
    va_start(args, format);
    vsnprintf(finding->text, sizeof(finding->text), format, args);
    va_end(args);
    text_make_printable(finding->text);
    return false;
}

bool remedy(struct findings *f, const char *format, ...)
{
    struct finding *finding;
    va_list args;

    if (f->refused_count == 0 || f->refused_more)
        return false;
    finding = &f->refused[f->refused_count - 1];
    va_start(args, format);
    vsnprintf(finding->remedy, sizeof(finding->remedy), format, args);
    va_end(args);
    text_make_printable(finding->remedy);
    return false;
}

void note(struct findings *f, const char *format, ...)
{
    va_list args;

    if (f->notes_count == NOTES_MAX)
        return;
    va_start(args, format);
    vsnprintf(f->notes[f->notes_count], FINDING_TEXT, format, args);
    va_end(args);
    text_make_printable(f->notes[f->notes_count++]);
}

int findings_exit_code(const struct findings *f)
{
    return f->refused_count ? check_exit_code(f->refused[0].check) : 0;
}
