/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's MTRRs as data: which registers exist, what may be written, and the type of pages, compared with a second
 * implementation that asks about one address at a time.
 */
#include "unit.h"
#include "ept-guard/ept.h"
#include "ept-guard/mtrr.h"

enum { PHYSICAL_BITS = 36 };
#define ADDRESS_MASK ((UINT64_C(1) << PHYSICAL_BITS) - 4096)
#define ENABLE       (UINT64_C(1) << 11)
#define FIXED        (UINT64_C(1) << 10)
#define VALID        (UINT64_C(1) << 11)

/* What OVMF leaves: write-back by default, MMIO below 4 GiB uncacheable, the legacy hole by fixed ranges. */
static struct mtrrs typical(void)
{
    struct mtrrs m = { .cap = 0x508, .default_type = ENABLE | FIXED | TYPE_WB, .address_mask = ADDRESS_MASK };

    for (int i = 0; i < MTRR_FIXED_COUNT; i++)
        m.fixed[i] = UINT64_C(0x0606060606060606);
    m.fixed[2] = 0; /* A0000h to BFFFFh */
    m.base[0] = UINT64_C(0x80000000) | TYPE_UC;
    m.mask[0] = (ADDRESS_MASK & ~UINT64_C(0x7fffffff)) | VALID;
    return m;
}

static unsigned type_of(const struct mtrrs *m, uint64_t address)
{
    unsigned type = 99;

    assert_true(mtrr_type(m, address & ~UINT64_C(0xfff), 4096, &type));
    return type;
}

static void typical_types(void **state)
{
    struct mtrrs m = typical();
    unsigned type;

    (void)state;
    assert_int_equal(type_of(&m, 0), TYPE_WB);
    assert_int_equal(type_of(&m, 0xa0000), TYPE_UC);
    assert_int_equal(type_of(&m, 0xbf000), TYPE_UC);
    assert_int_equal(type_of(&m, 0xc0000), TYPE_WB);
    assert_int_equal(type_of(&m, 0x7ffff000), TYPE_WB);
    assert_int_equal(type_of(&m, 0x80000000), TYPE_UC);
    assert_int_equal(type_of(&m, 0xfee00000), TYPE_UC);
    assert_int_equal(type_of(&m, UINT64_C(0x100000000)), TYPE_WB);
    assert_false(mtrr_type(&m, 0, 0x200000, &type));
    assert_false(mtrr_type(&m, 0, 0x40000000, &type));
    assert_true(mtrr_type(&m, 0x200000, 0x200000, &type));
    assert_int_equal(type, TYPE_WB);
    assert_true(mtrr_type(&m, 0x40000000, 0x40000000, &type));
    assert_int_equal(type, TYPE_WB);
    assert_true(mtrr_type(&m, 0x80000000, 0x40000000, &type));
    assert_int_equal(type, TYPE_UC);
}

static void disabled_means_uncacheable(void **state)
{
    struct mtrrs m = typical();
    unsigned type;

    (void)state;
    m.default_type &= ~ENABLE;
    assert_int_equal(type_of(&m, 0), TYPE_UC);
    assert_int_equal(type_of(&m, UINT64_C(0x100000000)), TYPE_UC);
    assert_true(mtrr_type(&m, 0, 0x40000000, &type));
    assert_int_equal(type, TYPE_UC);
}

static void fixed_ranges_can_be_off(void **state)
{
    struct mtrrs m = typical();
    unsigned type;

    (void)state;
    m.default_type &= ~FIXED;
    assert_int_equal(type_of(&m, 0xa0000), TYPE_WB);
    assert_true(mtrr_type(&m, 0, 0x200000, &type));
    assert_int_equal(type, TYPE_WB);
}

/* Every byte of every fixed register rules its own 64, 16 or 4 KiB. */
static void fixed_ranges(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MTRR_FIXED_COUNT * 8; i++) {
        struct mtrrs m = typical();
        uint64_t bytes = i < 8 ? 0x10000 : i < 24 ? 0x4000 : 0x1000;
        uint64_t begin = i < 8    ? i * UINT64_C(0x10000)
                         : i < 24 ? 0x80000 + (i - 8) * UINT64_C(0x4000)
                                  : 0xc0000 + (i - 24) * UINT64_C(0x1000);

        memset(m.fixed, 0, sizeof(m.fixed));
        m.fixed[i / 8] = (uint64_t)TYPE_WP << (8 * (i % 8));
        for (uint64_t page = 0; page < 0x100000; page += 4096) {
            unsigned expect = page >= begin && page < begin + bytes ? TYPE_WP : TYPE_UC;

            if (type_of(&m, page) != expect)
                fail_msg("range %u, page %#llx", i, (unsigned long long)page);
        }
        assert_int_equal(type_of(&m, 0x100000), TYPE_WB);
    }
}

/* SDM "MTRR Precedences". */
static void overlapping_ranges(void **state)
{
    static const uint8_t types[] = { TYPE_UC, TYPE_WC, TYPE_WT, TYPE_WP, TYPE_WB };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(types); i++)
        for (size_t j = 0; j < COUNT_OF(types); j++) {
            struct mtrrs m = typical();
            unsigned expect = TYPE_UC;

            m.base[0] = UINT64_C(0x40000000) | types[i];
            m.mask[0] = (ADDRESS_MASK & ~UINT64_C(0x3fffffff)) | VALID;
            m.base[5] = UINT64_C(0x40000000) | types[j];
            m.mask[5] = (ADDRESS_MASK & ~UINT64_C(0x0fffffff)) | VALID;
            if (types[i] == types[j])
                expect = types[i];
            else if (types[i] + types[j] == TYPE_WT + TYPE_WB)
                expect = TYPE_WT;
            assert_int_equal(type_of(&m, 0x4fffffff), expect);
            assert_int_equal(type_of(&m, 0x50000000), types[i]);
        }
}

static void invalid_and_missing_ranges_do_not_count(void **state)
{
    struct mtrrs m = typical();

    (void)state;
    m.mask[0] &= ~VALID;
    assert_int_equal(type_of(&m, 0x80000000), TYPE_WB);
    m.mask[0] |= VALID;
    m.cap = 0x500; /* no variable ranges */
    assert_int_equal(type_of(&m, 0x80000000), TYPE_WB);
}

/* The SDM's rule for one address: a match is (address & mask) == (base & mask). */
static unsigned reference(const struct mtrrs *m, uint64_t address)
{
    unsigned seen = 0; /* bit per type */

    if ((m->default_type & ENABLE) == 0)
        return TYPE_UC;
    for (unsigned i = 0; i < (m->cap & 0xff); i++)
        if ((m->mask[i] & VALID) != 0 &&
            (address & m->mask[i] & ADDRESS_MASK) == (m->base[i] & m->mask[i] & ADDRESS_MASK))
            seen |= 1u << (m->base[i] & 7);
    if (seen == 0)
        return m->default_type & 7;
    if (seen == (1u << TYPE_WT | 1u << TYPE_WB))
        return TYPE_WT;
    return (seen & (seen - 1)) == 0 ? (unsigned)__builtin_ctz(seen) : TYPE_UC;
}

static void agrees_with_the_reference(void **state)
{
    static const uint8_t types[] = { TYPE_UC, TYPE_WC, TYPE_WT, TYPE_WP, TYPE_WB };

    (void)state;
    srand(3);
    for (int round = 0; round < 300; round++) {
        struct mtrrs m = typical();

        m.default_type = ENABLE | types[rand() % 5];
        for (int i = 0; i < 8; i++) {
            unsigned shift = 12 + (unsigned)rand() % 20;
            uint64_t size_mask = ADDRESS_MASK & ~((UINT64_C(1) << shift) - 1);

            m.base[i] = ((uint64_t)rand() << 8 & size_mask & 0xffffffff) | types[rand() % 5];
            m.mask[i] = size_mask | (rand() % 3 ? VALID : 0);
            if (rand() % 16 == 0)
                m.mask[i] &= ~(UINT64_C(1) << (12 + rand() % 24)); /* ranges need not be contiguous */
        }
        for (int i = 0; i < 300; i++) {
            uint64_t bytes = i % 3 == 0 ? 4096 : i % 3 == 1 ? 0x200000 : 0x40000000;
            uint64_t base = (i % 2 ? m.base[rand() % 8] : (uint64_t)rand() << 2) & ~(bytes - 1) & ADDRESS_MASK;
            unsigned type;

            if (!mtrr_type(&m, base, bytes, &type)) {
                assert_true(bytes > 4096);
                continue;
            }
            for (int j = 0; j < 64; j++) {
                uint64_t address = base + ((uint64_t)rand() << 12) % bytes;

                if (reference(&m, address) != type)
                    fail_msg("%#llx is of type %u, page of %#llx says %u", (unsigned long long)address,
                             reference(&m, address), (unsigned long long)bytes, type);
            }
        }
    }
}

static void registers_exist_as_announced(void **state)
{
    struct mtrrs m = typical();

    (void)state;
    assert_ptr_equal(mtrr_register(&m, 0xfe), &m.cap);
    assert_ptr_equal(mtrr_register(&m, 0x2ff), &m.default_type);
    assert_ptr_equal(mtrr_register(&m, 0x200), &m.base[0]);
    assert_ptr_equal(mtrr_register(&m, 0x201), &m.mask[0]);
    assert_ptr_equal(mtrr_register(&m, 0x202), &m.base[1]);
    assert_ptr_equal(mtrr_register(&m, 0x20e), &m.base[7]);
    assert_ptr_equal(mtrr_register(&m, 0x20f), &m.mask[7]);
    assert_null(mtrr_register(&m, 0x210));
    assert_ptr_equal(mtrr_register(&m, 0x250), &m.fixed[0]);
    assert_ptr_equal(mtrr_register(&m, 0x259), &m.fixed[2]);
    assert_ptr_equal(mtrr_register(&m, 0x26f), &m.fixed[10]);
    assert_null(mtrr_register(&m, 0x251));
    assert_null(mtrr_register(&m, 0x277)); /* IA32_PAT */
    m.cap = 0x4ff;                         /* more than the layer keeps, and no fixed ranges */
    assert_ptr_equal(mtrr_register(&m, 0x21f), &m.mask[15]);
    assert_null(mtrr_register(&m, 0x220));
    assert_null(mtrr_register(&m, 0x250));
}

static void writes_are_checked(void **state)
{
    struct mtrrs m = typical();

    (void)state;
    assert_false(mtrr_write_valid(&m, 0xfe, 0x508));
    assert_true(mtrr_write_valid(&m, 0x2ff, ENABLE | FIXED | TYPE_WB));
    assert_false(mtrr_write_valid(&m, 0x2ff, ENABLE | 7));
    assert_false(mtrr_write_valid(&m, 0x2ff, ENABLE | 0x100 | TYPE_WB));
    assert_false(mtrr_write_valid(&m, 0x2ff, UINT64_C(1) << 12));
    assert_true(mtrr_write_valid(&m, 0x200, UINT64_C(0x80000000) | TYPE_WP));
    assert_false(mtrr_write_valid(&m, 0x200, UINT64_C(0x80000000) | 2));
    assert_false(mtrr_write_valid(&m, 0x200, UINT64_C(0x80000000) | 0x100));
    assert_false(mtrr_write_valid(&m, 0x200, UINT64_C(1) << PHYSICAL_BITS));
    assert_true(mtrr_write_valid(&m, 0x201, ADDRESS_MASK | VALID));
    assert_false(mtrr_write_valid(&m, 0x201, ADDRESS_MASK | VALID | 1));
    assert_false(mtrr_write_valid(&m, 0x201, UINT64_C(1) << PHYSICAL_BITS));
    assert_true(mtrr_write_valid(&m, 0x250, UINT64_C(0x0605040100000606)));
    for (unsigned i = 0; i < 8; i++) {
        assert_false(mtrr_write_valid(&m, 0x26f, UINT64_C(2) << (8 * i)));
        assert_false(mtrr_write_valid(&m, 0x26f, UINT64_C(0x80) << (8 * i)));
    }
}

static uint64_t pretended_cap;

static uint64_t pretend_msr(uint32_t msr)
{
    if (msr == 0xfe)
        return pretended_cap;
    if (msr >= 0x250 && msr <= 0x26f && (pretended_cap & 0x100) == 0)
        fail_msg("fixed MTRR %#x does not exist", msr);
    if (msr > 0x203 && msr < 0x250)
        fail_msg("MSR %#x does not exist", msr);
    return msr;
}

static void reads_all_registers(void **state)
{
    struct mtrrs m;

    (void)state;
    pretended_cap = 0x502;
    mtrr_read(&m, PHYSICAL_BITS, pretend_msr);
    assert_int_equal(m.cap, 0x502);
    assert_int_equal(m.base[0], 0x200);
    assert_int_equal(m.mask[0], 0x201);
    assert_int_equal(m.fixed[0], 0x250);
    assert_int_equal(m.fixed[10], 0x26f);
    assert_int_equal(m.default_type, 0x2ff);
    assert_int_equal(m.address_mask, ADDRESS_MASK);
    assert_int_equal(m.base[1], 0x202);
    assert_int_equal(m.mask[1], 0x203);
    assert_int_equal(m.base[2], 0);
    assert_int_equal(m.fixed[3], 0x268);
    pretended_cap = 0x402;
    mtrr_read(&m, PHYSICAL_BITS, pretend_msr);
    assert_int_equal(m.fixed[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(typical_types),
        cmocka_unit_test(disabled_means_uncacheable),
        cmocka_unit_test(fixed_ranges_can_be_off),
        cmocka_unit_test(fixed_ranges),
        cmocka_unit_test(overlapping_ranges),
        cmocka_unit_test(invalid_and_missing_ranges_do_not_count),
        cmocka_unit_test(agrees_with_the_reference),
        cmocka_unit_test(registers_exist_as_announced),
        cmocka_unit_test(writes_are_checked),
        cmocka_unit_test(reads_all_registers),
    };

    return cmocka_run_group_tests_name("mtrr", tests, NULL, NULL);
}
