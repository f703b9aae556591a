/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The field table: a lint of every line of vmcs_fields.def, and the look-up, merge and extract of VMREAD and VMWRITE.
 */
#include "unit.h"
#include "nested-vmx/vmcs_fields.h"

enum { TYPE_CONTROL, TYPE_READ_ONLY, TYPE_GUEST, TYPE_HOST };

/* The table once more, with its names, and the list of hidden fields, each in the order of its file. */
struct line {
    const char *name;
    uint32_t encoding;
    bool hidden;
};

static const struct line lines[] = {
#define VMCS_FIELD(encoding, name, offered, home, group, shadow) { #name, encoding, false },
#define VMCS_HIDDEN(encoding, name)                              { #name, encoding, true },
#include "nested-vmx/vmcs_fields.def"
#include "untrusted-hypervisor-harness/core/hidden_fields.def"
#undef VMCS_FIELD
#undef VMCS_HIDDEN
};

static const char *name_of(uint32_t encoding)
{
    for (size_t i = 0; i < COUNT_OF(lines); i++)
        if (lines[i].encoding == encoding)
            return lines[i].name;
    return "?";
}

static void lines_are_sorted_and_unique(void **state)
{
    (void)state;
    for (size_t i = 1; i < COUNT_OF(lines); i++) {
        if (lines[i].hidden == lines[i - 1].hidden && lines[i].encoding <= lines[i - 1].encoding)
            fail_msg("%s is out of order", lines[i].name);
        for (size_t j = 0; j < i; j++)
            if (strcmp(lines[i].name, lines[j].name) == 0 || lines[i].encoding == lines[j].encoding)
                fail_msg("%s appears twice", lines[i].name);
    }
}

/* SDM "Field Encoding in VMCS": bit 0 is the access type, bits 31:15 and 12 are reserved. */
static void encodings_are_well_formed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        if (lines[i].encoding & 1)
            fail_msg("%s: an encoding of a high half", lines[i].name);
        if (lines[i].encoding & ~UINT32_C(0x6ffe))
            fail_msg("%s: reserved bits", lines[i].name);
        if (VMCS_ENCODING_WIDTH(lines[i].encoding) == VMCS_WIDTH_16 &&
            VMCS_ENCODING_TYPE(lines[i].encoding) == TYPE_READ_ONLY)
            fail_msg("%s: no 16-bit read-only field exists", lines[i].name);
    }
}

/* Where the type that the encoding names and the home in the table have to agree; the two exceptions are named. */
static bool home_fits(const struct vmcs_field *field)
{
    switch (VMCS_ENCODING_TYPE(field->encoding)) {
    case TYPE_CONTROL: return field->home == HOME_CTRL || field->home == HOME_COPIED;
    case TYPE_READ_ONLY: return field->home == HOME_EXIT;
    case TYPE_HOST: return field->home == HOME_HOST;
    default:
        if (field->encoding == VMCS_VMCS_LINK_POINTER)
            return field->home == HOME_CTRL;
        return field->home == HOME_GUEST || field->home == HOME_SWITCHED;
    }
}

static void homes_fit_types(void **state)
{
    (void)state;
    for (int i = 0; i < VMCS_FIELD_COUNT; i++)
        if (!home_fits(&vmcs_fields[i]))
            fail_msg("%s: home does not fit the type", name_of(vmcs_fields[i].encoding));
}

/* Fields that nothing checks and nothing merges: a VMWRITE makes no group dirty. */
static bool never_dirty(const struct vmcs_field *field)
{
    return field->encoding == VMCS_EXECUTIVE_VMCS_POINTER || field->encoding == VMCS_HOST_RSP ||
           (field->home != HOME_CTRL && field->home != HOME_COPIED && field->home != HOME_HOST);
}

static void groups_fit_homes(void **state)
{
    (void)state;
    for (int i = 0; i < VMCS_FIELD_COUNT; i++) {
        const struct vmcs_field *field = &vmcs_fields[i];
        const char *name = name_of(field->encoding);

        if ((field->dirty == DIRTY_NONE) != never_dirty(field))
            fail_msg("%s: a change has to be noticed exactly if the field is checked or merged", name);
        if (field->home == HOME_COPIED && field->dirty != DIRTY_CONTROLS)
            fail_msg("%s: what is copied is in group CONTROLS", name);
        if (field->home != HOME_HOST && field->dirty == DIRTY_HOST)
            fail_msg("%s: only host state is in group HOST", name);
        if (field->home == HOME_HOST && field->dirty != DIRTY_NONE && field->dirty != DIRTY_HOST)
            fail_msg("%s: host state is in group HOST", name);
        if (field->home == HOME_GUEST && field->offered != OFFER_ALWAYS)
            fail_msg("%s: guest state that not every processor has", name);
        if ((field->dirty & ~DIRTY_ALL) != 0)
            fail_msg("%s: unknown group", name);
    }
}

static void shadowing_keeps_read_only_fields_read_only(void **state)
{
    (void)state;
    for (int i = 0; i < VMCS_FIELD_COUNT; i++) {
        const struct vmcs_field *field = &vmcs_fields[i];

        if (field->home == HOME_EXIT && field->shadow == SHADOW_RW)
            fail_msg("%s: read-only, yet writable in the shadow", name_of(field->encoding));
        if (field->shadow != SHADOW_NO && field->home == HOME_HOST && field->encoding != VMCS_HOST_RSP)
            fail_msg("%s: host state that is checked must not change unnoticed", name_of(field->encoding));
        if (field->encoding == VMCS_VM_INSTRUCTION_ERROR && field->shadow != SHADOW_NO)
            fail_msg("the instruction error is set outside exits");
    }
}

/* The bitmaps, lists and pointers that the processor follows must never reach it from a shadow unchecked. */
static void shadowing_never_serves_pointers(void **state)
{
    (void)state;
    for (int i = 0; i < VMCS_FIELD_COUNT; i++)
        if (VMCS_ENCODING_WIDTH(vmcs_fields[i].encoding) == VMCS_WIDTH_64 && vmcs_fields[i].shadow == SHADOW_RW)
            fail_msg("%s: a 64-bit field, writable in the shadow", name_of(vmcs_fields[i].encoding));
}

static void offers_fit_fields(void **state)
{
    static const struct {
        int field;
        enum vmcs_offer offer;
    } expected[] = {
        { FIELD_XSS_EXITING_BITMAP, OFFER_XSAVES },
        { FIELD_TSC_MULTIPLIER, OFFER_TSC_SCALING },
        { FIELD_PLE_GAP, OFFER_PLE },
        { FIELD_PLE_WINDOW, OFFER_PLE },
        { FIELD_PREEMPTION_TIMER_VALUE, OFFER_PREEMPTION_TIMER },
        { FIELD_CR3_TARGET_VALUE_0, OFFER_CR3_TARGETS },
        { FIELD_CR3_TARGET_VALUE_3, OFFER_CR3_TARGETS },
        { FIELD_GUEST_RIP, OFFER_ALWAYS },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(expected); i++)
        assert_int_equal(vmcs_fields[expected[i].field].offered, expected[i].offer);
}

/* What a look-up of `encoding` has to give, by a search through the table. */
static int expected_lookup(uint64_t encoding)
{
    for (int i = 0; i < VMCS_FIELD_COUNT; i++) {
        uint64_t field = vmcs_fields[i].encoding;

        if (encoding == field || (encoding == field + 1 && VMCS_ENCODING_WIDTH(field) == VMCS_WIDTH_64))
            return i;
    }
    return -1;
}

static void lookup_finds_each_encoding(void **state)
{
    unsigned found = 0;

    (void)state;
    for (uint64_t encoding = 0; encoding <= 0x1ffff; encoding++) {
        int index = vmcs_field_lookup(encoding);

        if (index != expected_lookup(encoding))
            fail_msg("encoding %#llx gives %d", (unsigned long long)encoding, index);
        found += index >= 0 ? 1 : 0;
    }
    assert_true(found > VMCS_FIELD_COUNT);
}

static void lookup_refuses_wide_encodings(void **state)
{
    (void)state;
    for (unsigned bit = 15; bit < 64; bit++)
        for (uint64_t encoding = 0; encoding <= 0x7fff; encoding++)
            if (vmcs_field_lookup(encoding | UINT64_C(1) << bit) != -1)
                fail_msg("bit %u of encoding %#llx is ignored", bit, (unsigned long long)encoding);
    assert_int_equal(vmcs_field_lookup(UINT64_MAX), -1);
}

static void lookup_refuses_hidden_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        if (!lines[i].hidden)
            continue;
        if (vmcs_field_lookup(lines[i].encoding) != -1 || vmcs_field_lookup(lines[i].encoding + 1) != -1)
            fail_msg("%s is hidden, yet found", lines[i].name);
    }
}

static void merge_cuts_to_the_width(void **state)
{
    const uint64_t old = UINT64_C(0x1122334455667788), value = UINT64_C(0xaabbccddeeff0099);

    (void)state;
    assert_int_equal(vmcs_field_merge(VMCS_VPID, old, value), 0x0099);
    assert_int_equal(vmcs_field_merge(VMCS_PIN_BASED_CONTROLS, old, value), 0xeeff0099);
    assert_int_equal(vmcs_field_merge(VMCS_GUEST_RIP, old, value), value);
    assert_int_equal(vmcs_field_merge(VMCS_TSC_OFFSET, old, value), value);
    assert_int_equal(vmcs_field_merge(VMCS_TSC_OFFSET + 1, old, value), UINT64_C(0xeeff009955667788));
}

static void extract_takes_the_half(void **state)
{
    const uint64_t value = UINT64_C(0xaabbccddeeff0099);

    (void)state;
    assert_int_equal(vmcs_field_extract(VMCS_TSC_OFFSET, value), value);
    assert_int_equal(vmcs_field_extract(VMCS_TSC_OFFSET + 1, value), 0xaabbccdd);
    assert_int_equal(vmcs_field_extract(VMCS_GUEST_RIP, value), value);
    assert_int_equal(vmcs_field_extract(VMCS_VPID, 0x99), 0x99);
}

/* A value written through any encoding reads back through it, and leaves the other half alone. */
static void merge_and_extract_agree(void **state)
{
    static const uint64_t samples[] = { 0, 1, 0x8000, 0xffff, 0x12345678, UINT64_C(0x8000000000000000), UINT64_MAX };
    static const unsigned bits[] = { 16, 64, 32, 64 };

    (void)state;
    for (uint32_t encoding = 0; encoding <= 0x7fff; encoding++) {
        unsigned width = bits[VMCS_ENCODING_WIDTH(encoding)];
        bool high = (encoding & 1) != 0;

        if (vmcs_field_lookup(encoding) < 0)
            continue;
        for (size_t i = 0; i < COUNT_OF(samples); i++)
            for (size_t j = 0; j < COUNT_OF(samples); j++) {
                uint64_t full = vmcs_field_merge(encoding, samples[i], samples[j]);
                uint64_t mask = high || width == 32 ? UINT32_MAX : width == 16 ? UINT16_MAX : UINT64_MAX;

                assert_int_equal(vmcs_field_extract(encoding, full), samples[j] & mask);
                if (high)
                    assert_int_equal(full & UINT32_MAX, samples[i] & UINT32_MAX);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_sorted_and_unique),
        cmocka_unit_test(encodings_are_well_formed),
        cmocka_unit_test(homes_fit_types),
        cmocka_unit_test(groups_fit_homes),
        cmocka_unit_test(shadowing_keeps_read_only_fields_read_only),
        cmocka_unit_test(shadowing_never_serves_pointers),
        cmocka_unit_test(offers_fit_fields),
        cmocka_unit_test(lookup_finds_each_encoding),
        cmocka_unit_test(lookup_refuses_wide_encodings),
        cmocka_unit_test(lookup_refuses_hidden_fields),
        cmocka_unit_test(merge_cuts_to_the_width),
        cmocka_unit_test(extract_takes_the_half),
        cmocka_unit_test(merge_and_extract_agree),
    };

    return cmocka_run_group_tests_name("fields", tests, NULL, NULL);
}
