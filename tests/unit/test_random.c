/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The random generator over a source that fails in every way a processor's may: missing, exhausted, stuck, or broken
 * later. It must go on where that is safe and never give out a byte where it isn't. Known answers come from a model of
 * SP 800-90A's CTR_DRBG written apart from the library. The file under test is included, for a look at what it keeps.
 */
#include "unit.h"
#include "crypto/random.c"

/* What the fake processor does. Words are numbered from 0; word `break_at` and later come out as `broken` says. */
static struct {
    bool has_rdseed, has_rdrand;
    unsigned rdseed_failures, rdrand_failures; /* in a row before each word */
    unsigned break_at;
    uint64_t repeats; /* word `break_at`, this once */
    enum { GOOD, ZEROS, ONES, REPEATED, TWO_VALUES, NO_MORE, ONCE } broken;
    unsigned words, rdseed_calls, rdrand_calls, failed_in_a_row;
} source;

static uint64_t good_word(unsigned number)
{
    return (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static bool give(uint64_t *value, unsigned failures)
{
    uint64_t good = good_word(source.words);
    bool broken = source.words >= source.break_at;

    if (source.failed_in_a_row < failures) {
        source.failed_in_a_row++;
        return false;
    }
    source.failed_in_a_row = 0;
    if (broken && source.broken == NO_MORE)
        return false;
    if (broken && source.broken == ZEROS)
        good = 0;
    if (broken && source.broken == ONES)
        good = UINT64_MAX;
    if (broken && source.broken == REPEATED)
        good = 4711;
    if (broken && source.broken == TWO_VALUES)
        good = source.words % 2 != 0 ? 4711 : 4712;
    if (source.words == source.break_at && source.broken == ONCE)
        good = source.repeats;
    source.words++;
    *value = good;
    return true;
}

bool hw_rdseed64(uint64_t *value)
{
    source.rdseed_calls++;
    return source.has_rdseed && give(value, source.rdseed_failures);
}

bool hw_rdrand64(uint64_t *value)
{
    source.rdrand_calls++;
    return source.has_rdrand && give(value, source.rdrand_failures);
}

enum { SEED = 6, INTERVAL = 64 }; /* words per seed, requests per seed */

static const char extra[] = "TPM random bytes";
static uint8_t bytes[RANDOM_BYTES_MAX + 1], other[RANDOM_BYTES_MAX + 1];
static const uint8_t zero[RANDOM_BYTES_MAX + 1];

static int begin(void **state)
{
    (void)state;
    memset(&source, 0, sizeof(source));
    source.has_rdseed = source.has_rdrand = true;
    source.break_at = UINT32_MAX;
    memset(bytes, 0xee, sizeof(bytes));
    return 0;
}

static int end(void **state)
{
    (void)state;
    random_free();
    return 0;
}

static bool start(void)
{
    return random_init(extra, sizeof(extra) - 1);
}

static void expect_refusal(void)
{
    memset(bytes, 0xee, sizeof(bytes));
    assert_false(random_bytes(bytes, 32));
    assert_memory_equal(bytes, zero, 32);
    assert_int_equal(bytes[32], 0xee);
}

static void before_init(void **state)
{
    (void)state;
    expect_refusal();
}

static void no_source(void **state)
{
    (void)state;
    source.has_rdseed = source.has_rdrand = false;
    assert_false(start());
    expect_refusal();
}

/* A source that is broken from the start, or from each later word of the first seed, or when it is asked again. */
static void broken_source(void **state)
{
    unsigned kind = *(const unsigned *)*state;
    /* The first of the words that is seen to be wrong: two values must come twice, one value once more. */
    unsigned harmless = kind == REPEATED ? 1 : kind == TWO_VALUES ? 2 : 0;

    for (unsigned at = 0; at < SEED; at++) {
        begin(NULL);
        source.broken = kind;
        source.break_at = at;
        if (at + harmless >= SEED)
            continue;
        assert_false(start());
        expect_refusal();
        source.broken = GOOD;
        expect_refusal();
        assert_true(start());
        assert_true(random_bytes(bytes, 32));
    }
}

static void breaks_later(void **state)
{
    source.broken = *(const unsigned *)*state;
    source.break_at = SEED;
    assert_true(start());
    for (unsigned i = 0; i < INTERVAL; i++)
        assert_true(random_bytes(bytes, 32));
    expect_refusal();
    source.broken = GOOD;
    expect_refusal();
    assert_true(start());
    assert_true(random_bytes(bytes, 32));
}

static void any_word_twice(void **state)
{
    for (unsigned at = 1; at < SEED; at++) {
        for (unsigned first = 0; first < at; first++) {
            begin(state);
            source.broken = ONCE;
            source.break_at = at;
            source.repeats = good_word(first);
            assert_false(start());
            expect_refusal();
        }
    }
}

static void without_rdseed_rdrand_reseeds_in_between(void **state)
{
    (void)state;
    source.has_rdseed = false;
    assert_true(start());
    assert_int_equal(source.words, SEED * 1023);
    assert_true(random_bytes(bytes, 32));
    assert_memory_not_equal(bytes, zero, 32);
}

static void rdseed_is_asked_again(void **state)
{
    (void)state;
    source.rdseed_failures = 63;
    assert_true(start());
    assert_int_equal(source.words, SEED);
    assert_int_equal(source.rdrand_calls, 0);
}

static void exhausted_rdseed_is_no_denial_of_service(void **state)
{
    (void)state;
    source.rdseed_failures = 64;
    assert_true(start());
    assert_int_equal(source.words, SEED * 1023);
}

static void rdrand_is_asked_ten_times(void **state)
{
    (void)state;
    source.has_rdseed = false;
    source.rdrand_failures = 9;
    assert_true(start());
    source.rdrand_failures = 10;
    source.failed_in_a_row = 0;
    assert_false(start());
    expect_refusal();
}

static void limits(void **state)
{
    static uint8_t long_extra[RANDOM_EXTRA_MAX + 1];

    (void)state;
    assert_false(random_init(long_extra, sizeof(long_extra)));
    expect_refusal();
    assert_true(random_init(long_extra, RANDOM_EXTRA_MAX));
    assert_false(random_init(long_extra, sizeof(long_extra)));
    expect_refusal();
    assert_true(random_init(long_extra, RANDOM_EXTRA_MAX));
    assert_true(random_bytes(bytes, 0));
    assert_true(random_bytes(bytes, RANDOM_BYTES_MAX));
    assert_int_equal(bytes[RANDOM_BYTES_MAX], 0xee);
    assert_false(random_bytes(bytes, RANDOM_BYTES_MAX + 1));
    assert_memory_equal(bytes, zero, sizeof(bytes));
    expect_refusal();
    assert_true(random_init(NULL, 0));
}

static void after_free(void **state)
{
    (void)state;
    assert_true(start());
    assert_memory_not_equal(generator.counter, zero, sizeof(generator.counter));
    random_free();
    assert_memory_equal(generator.counter, zero, sizeof(generator.counter));
    assert_memory_equal(&generator.aes_ctx, zero, sizeof(generator.aes_ctx));
    assert_false(usable);
    expect_refusal();
    random_free();
}

static void starting_again_is_a_new_generator(void **state)
{
    (void)state;
    assert_true(start());
    assert_true(random_bytes(bytes, 32));
    assert_true(start());
    assert_true(random_bytes(other, 32));
    assert_memory_not_equal(bytes, other, 32);
}

static void extra_bytes_count(void **state)
{
    (void)state;
    assert_true(start());
    assert_true(random_bytes(bytes, 32));
    source.words = 0;
    assert_true(random_init("TPM random bytez", sizeof(extra) - 1));
    assert_true(random_bytes(other, 32));
    assert_memory_not_equal(bytes, other, 32);
}

/* Requests 1, 64 and 65: the last one comes after the reseed. */
static void known_answers(void **state)
{
    static const uint8_t first[32] = { 0x67, 0xe3, 0x08, 0x77, 0xd8, 0x5a, 0x4b, 0x84, 0x14, 0x50, 0x3f,
                                       0xfa, 0x58, 0x8e, 0x65, 0x6c, 0x24, 0x5e, 0xc8, 0x4f, 0xf7, 0x87,
                                       0xce, 0x9b, 0x69, 0x60, 0x2b, 0x97, 0x75, 0xe3, 0xdf, 0xeb };
    static const uint8_t last[32] = { 0x46, 0xbe, 0xd3, 0x6c, 0xe7, 0x88, 0x79, 0xb8, 0xd6, 0xf3, 0xb3,
                                      0x22, 0xd8, 0x18, 0x19, 0x33, 0x04, 0x44, 0xde, 0xa8, 0xed, 0x66,
                                      0x55, 0xc2, 0x31, 0x7c, 0x70, 0x9a, 0xe8, 0x20, 0x90, 0x14 };
    static const uint8_t reseeded[32] = { 0xad, 0x52, 0x3b, 0xfd, 0xd6, 0x96, 0x76, 0x61, 0x93, 0x70, 0x37,
                                          0x74, 0x0f, 0x98, 0x68, 0x6c, 0xfb, 0x9d, 0x4e, 0x57, 0xe8, 0x68,
                                          0x64, 0xb4, 0xbb, 0x37, 0x8e, 0x98, 0xf8, 0x47, 0x99, 0xa5 };

    (void)state;
    assert_true(start());
    assert_true(random_bytes(bytes, 32));
    assert_memory_equal(bytes, first, 32);
    for (unsigned i = 1; i < INTERVAL; i++)
        assert_true(random_bytes(bytes, 32));
    assert_memory_equal(bytes, last, 32);
    assert_int_equal(source.words, SEED);
    assert_true(random_bytes(bytes, 32));
    assert_memory_equal(bytes, reseeded, 32);
    assert_int_equal(source.words, 2 * SEED);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    static const char *const kinds[] = { "nothing wrong", "zeros", "ones", "one value", "two values", "nothing" };
    static unsigned numbers[COUNT_OF(kinds)];
    const struct CMUnitTest cases[] = {
        CASE(before_init),
        CASE(no_source),
        CASE(any_word_twice),
        CASE(without_rdseed_rdrand_reseeds_in_between),
        CASE(rdseed_is_asked_again),
        CASE(exhausted_rdseed_is_no_denial_of_service),
        CASE(rdrand_is_asked_ten_times),
        CASE(limits),
        CASE(after_free),
        CASE(starting_again_is_a_new_generator),
        CASE(extra_bytes_count),
        CASE(known_answers),
    };
    struct group g = { 0 };

    for (unsigned kind = ZEROS; kind <= NO_MORE; kind++) {
        numbers[kind] = kind;
        group_add(&g, broken_source, &numbers[kind], "a source that gives %s", kinds[kind]);
        group_add(&g, breaks_later, &numbers[kind], "a source that later gives %s", kinds[kind]);
    }
    for (size_t i = 0; i < g.count; i++) {
        g.tests[i].setup_func = begin;
        g.tests[i].teardown_func = end;
    }
    return cmocka_run_group_tests_name("random", cases, NULL, NULL) + group_run(&g, "sources");
}
