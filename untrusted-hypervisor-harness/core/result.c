/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PASS, FAIL and SKIP lines. See result.h.
 */
#include "untrusted-hypervisor-harness/core/result.h"
#include <stddef.h>

void result_pass(const char *suite, const char *name)
{
    print("PASS %s.%s", suite, name);
    print_end_of_result();
}

void result_skip(const char *suite, const char *name, const char *missing)
{
    print("SKIP %s.%s: %s", suite, name, missing);
    print_end_of_result();
}

void result_fail_begin(const char *suite, const char *name)
{
    print("FAIL %s.%s: ", suite, name);
}

void result_expect(const char *suite, const char *name, const char *what, uint64_t seen, uint64_t expected)
{
    if (seen == expected) {
        result_pass(suite, name);
        return;
    }
    result_fail_begin(suite, name);
    print("%s is %lx, not %lx", what, seen, expected);
    print_end_of_result();
}
