/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of nested VMX have in common: outcomes as assertions, and the instructions that every test needs. */
#ifndef TESTS_UNIT_NESTED_H
#define TESTS_UNIT_NESTED_H

#include "unit.h"
#include "fake_host.h"
#include "nested-vmx/nested_internal.h"

#define assert_outcome(o, expected_what, expected_number)                                                              \
    do {                                                                                                               \
        struct outcome outcome_ = (o);                                                                                 \
        assert_int_equal(outcome_.what, expected_what);                                                                \
        assert_int_equal(outcome_.number, expected_number);                                                            \
    } while (0)

#define assert_succeeds(o)  assert_outcome(o, SUCCEEDED, 0)
#define assert_invalid(o)   assert_outcome(o, FAILED_INVALID, 0)
#define assert_fails(o, n)  assert_outcome(o, FAILED_VALID, n)
#define assert_faults(o, n) assert_outcome(o, FAULTED, n)
#define assert_enters(o)    assert_outcome(o, ENTERED, 0)
enum { UD = 6, GP = 13, PF = 14 };

static inline uint64_t read_field(uint64_t encoding)
{
    uint64_t value = 0;

    assert_succeeds(host_vmread(encoding, &value));
    return value;
}

static inline void write_field(uint64_t encoding, uint64_t value)
{
    assert_succeeds(host_vmwrite(encoding, value));
}

static inline struct outcome launch(void)
{
    return host_instruction(EXIT_VMLAUNCH, 0);
}

static inline struct outcome resume(void)
{
    return host_instruction(EXIT_VMRESUME, 0);
}

/* A VMCS that was launched and has exited once. */
static inline void launched_vmcs(unsigned i)
{
    host_prepare_vmcs(i);
    assert_enters(launch());
    assert_outcome(host_vm_exits(EXIT_CPUID, 0), EXITED, EXIT_CPUID);
}

static inline void map_in_ept12(unsigned i, uint64_t leaf)
{
    phys_write64(hpa(HOST_EPT12(i)), (HOST_EPT12(i) + 0x80000) | EPT_RWX);
    phys_write64(hpa(HOST_EPT12(i) + 0x80000), leaf | EPT_LARGE);
}

/* Runs `count` tests, each without hardware VMCS shadowing and with it. */
struct nested_test {
    const char *name;
    CMUnitTestFunction run;
};
/* clang-format off */
#define TEST(function) { #function, function }
/* clang-format on */

static inline int start_nested_test(void **state)
{
    host_start(*(const bool *)*state);
    return 0;
}

static inline int run_nested_tests(const char *name, const struct nested_test *tests, size_t count)
{
    static const bool shadowing[] = { false, true };
    struct group g = { 0 };

    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < 2; j++) {
            group_add(&g, tests[i].run, &shadowing[j], "%s%s", tests[i].name, shadowing[j] ? ", shadowing" : "");
            g.tests[g.count - 1].setup_func = start_nested_test;
        }
    return group_run(&g, name);
}

#endif
