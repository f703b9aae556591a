/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every host test includes: cmocka with the headers it wants before it, and groups whose cases are made in a
 * loop, one reported test each.
 */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* A group that grows: add cases, then run. The names are copied. */
struct group {
    struct CMUnitTest *tests;
    size_t count;
};

__attribute__((format(printf, 4, 5))) static inline void group_add(struct group *g, CMUnitTestFunction run,
                                                                   const void *state, const char *format, ...)
{
    char name[160];
    va_list args;

    va_start(args, format);
    vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    g->tests = realloc(g->tests, (g->count + 1) * sizeof(*g->tests));
    g->tests[g->count++] = (struct CMUnitTest){
        .name = strdup(name),
        .test_func = run,
        .initial_state = (void *)(uintptr_t)state,
    };
}

static inline int group_run(struct group *g, const char *name)
{
    int failed = _cmocka_run_group_tests(name, g->tests, g->count, NULL, NULL);

    for (size_t i = 0; i < g->count; i++)
        free((void *)(uintptr_t)g->tests[i].name);
    free(g->tests);
    *g = (struct group){ 0 };
    return failed;
}

#endif
