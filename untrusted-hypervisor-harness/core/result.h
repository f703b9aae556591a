/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The two kinds of result lines.
 *   <family>.<case> <outcome>             conformance; compared with the other run
 *   PASS|FAIL|SKIP <suite>.<case>[: why]  guests and hostile
 */
#ifndef HARNESS_RESULT_H
#define HARNESS_RESULT_H

#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/outcome.h"

/* One conformance line: the case's name from the format, then the outcome. */
#define RESULT(what, ...)                                                                                              \
    do {                                                                                                               \
        struct outcome result_outcome = (what);                                                                        \
        print(__VA_ARGS__);                                                                                            \
        print(" ");                                                                                                    \
        outcome_print(&result_outcome);                                                                                \
        print_end_of_result();                                                                                         \
    } while (0)

/* One conformance line whose outcome is text. */
#define RESULT_TEXT(...)                                                                                               \
    do {                                                                                                               \
        print(__VA_ARGS__);                                                                                            \
        print_end_of_result();                                                                                         \
    } while (0)

/* Lines of the suites guests and hostile. */
void result_pass(const char *suite, const char *name);
void result_skip(const char *suite, const char *name, const char *missing);
/* "FAIL suite.name: "; the reason and print_end_of_result() follow. */
void result_fail_begin(const char *suite, const char *name);
/* PASS if both are equal, else FAIL with both. */
void result_expect(const char *suite, const char *name, const char *what, uint64_t seen, uint64_t expected);

#endif
