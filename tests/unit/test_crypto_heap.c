/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The heap of the crypto library: wrong pointers end in a panic, what is freed is wiped and comes back whole, and a long random run agrees with a model. The file under test is included, under other names than the
 * C library's.
 */
#include "unit.h"
#include <mbedtls/platform_util.h>
#include "cloudvisor/log.h"

static jmp_buf panicked;
static bool panic_expected;

_Noreturn void cv_panic(const char *format, ...)
{
    if (!panic_expected) {
        fprintf(stderr, "panic: %s\n", format);
        abort();
    }
    panic_expected = false;
    longjmp(panicked, 1);
}

#define calloc heap_calloc
#define free   heap_free
#include "crypto/heap.c"
#undef calloc
#undef free

#define assert_panic(statement)                                                                                        \
    do {                                                                                                               \
        panic_expected = true;                                                                                         \
        if (setjmp(panicked) == 0) {                                                                                   \
            statement;                                                                                                 \
            fail_msg("no panic: %s", #statement);                                                                      \
        }                                                                                                              \
    } while (0)

static int begin(void **state)
{
    (void)state;
    memset(arena, 0, sizeof(arena));
    memset(left, 0, sizeof(left));
    return 0;
}

static bool all_zero(const void *memory, size_t size)
{
    const uint8_t *bytes = memory;

    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

/* Everything that was freed is one block again, and nothing of its contents is left. */
static void expect_empty(void)
{
    void *all = heap_calloc(1, HEAP_BYTES);

    assert_non_null(all);
    heap_free(all);
}

static void foreign_pointers(void **state)
{
    static uint8_t elsewhere[64] __attribute__((aligned(16)));
    uint8_t *block = heap_calloc(1, 3 * UNIT_BYTES);

    (void)state;
    assert_panic(heap_free(elsewhere + 16));
    assert_panic(heap_free((uint8_t *)arena - UNIT_BYTES));
    assert_panic(heap_free((uint8_t *)arena + HEAP_BYTES));
    assert_panic(heap_free(block + 1));
    assert_panic(heap_free(block + UNIT_BYTES));
    assert_panic(heap_free(block + 2 * UNIT_BYTES));
    assert_panic(heap_free(block + 3 * UNIT_BYTES));
    heap_free(NULL);
    heap_free(block);
    expect_empty();
}

static void freed_twice(void **state)
{
    void *block = heap_calloc(1, 64);

    (void)state;
    heap_free(block);
    assert_panic(heap_free(block));
}

static void sizes_that_do_not_fit(void **state)
{
    (void)state;
    assert_null(heap_calloc(0, 16));
    assert_null(heap_calloc(16, 0));
    assert_null(heap_calloc(1, HEAP_BYTES + 1));
    assert_null(heap_calloc(1, SIZE_MAX));
    assert_null(heap_calloc(SIZE_MAX, SIZE_MAX));
    assert_null(heap_calloc(SIZE_MAX / 2 + 2, 2)); /* 2 without its carry */
    expect_empty();
}

static void full_heap(void **state)
{
    void *all = heap_calloc(1, HEAP_BYTES);

    (void)state;
    assert_non_null(all);
    assert_null(heap_calloc(1, 1));
    heap_free(all);
    assert_non_null(heap_calloc(1, 1));
}

static void zeroed_and_aligned(void **state)
{
    (void)state;
    memset(arena, 0xee, sizeof(arena));
    for (size_t size = 1; size < 200; size++) {
        uint8_t *block = heap_calloc(1, size);

        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 16, 0);
        assert_true(all_zero(block, size));
        memset(block, 0xee, size);
    }
}

static void wiped_when_freed(void **state)
{
    uint8_t *first = heap_calloc(3, 33), *second = heap_calloc(1, 16);

    (void)state;
    memset(first, 0xee, 99);
    memset(second, 0xee, 16);
    heap_free(first);
    assert_true(all_zero(first, 99));
    assert_int_equal(second[0], 0xee);
    heap_free(second);
    expect_empty();
    assert_true(all_zero(arena, HEAP_BYTES));
}

static void neighbours_are_joined(void **state)
{
    void *block[4];

    (void)state;
    for (unsigned order = 0; order < 4; order++) {
        for (unsigned i = 0; i < 4; i++)
            assert_non_null(block[i] = heap_calloc(1, 16000));
        assert_null(heap_calloc(1, 16000));
        for (unsigned i = 0; i < 4; i++)
            heap_free(block[(i + order) % 4]);
        expect_empty();
    }
}

/* Blocks never overlap and keep what was written to them. */
static void long_random_run(void **state)
{
    static struct {
        uint8_t *memory;
        size_t size;
        uint8_t mark;
    } slots[64];
    uint32_t random = 1;

    (void)state;
    for (unsigned step = 0; step < 100000; step++) {
        unsigned i = (random = random * 1664525 + 1013904223) >> 26;

        if (slots[i].memory != NULL) {
            for (size_t k = 0; k < slots[i].size; k++)
                assert_int_equal(slots[i].memory[k], slots[i].mark);
            heap_free(slots[i].memory);
            slots[i].memory = NULL;
            continue;
        }
        slots[i].size = 1 + (random >> 8) % 3000;
        slots[i].mark = (uint8_t)step;
        slots[i].memory = heap_calloc(1, slots[i].size);
        if (slots[i].memory != NULL) {
            assert_true(all_zero(slots[i].memory, slots[i].size));
            memset(slots[i].memory, slots[i].mark, slots[i].size);
        }
    }
    for (unsigned i = 0; i < COUNT_OF(slots); i++)
        heap_free(slots[i].memory);
    expect_empty();
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        cmocka_unit_test_setup(foreign_pointers, begin),      cmocka_unit_test_setup(freed_twice, begin),
        cmocka_unit_test_setup(sizes_that_do_not_fit, begin), cmocka_unit_test_setup(full_heap, begin),
        cmocka_unit_test_setup(zeroed_and_aligned, begin),    cmocka_unit_test_setup(wiped_when_freed, begin),
        cmocka_unit_test_setup(neighbours_are_joined, begin), cmocka_unit_test_setup(long_random_run, begin),
    };

    return cmocka_run_group_tests_name("crypto_heap", cases, NULL, NULL);
}
