/* SPDX-License-Identifier: GPL-2.0-only */
/* bundle_check: each rule broken by itself, at its edges, against a descriptor that passes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "sample.h"

#define PAGE (uint64_t) BUNDLE_PAGE_SIZE

static struct bundle_descriptor d;

static int setup(void **state)
{
    (void)state;
    sample_descriptor(&d);
    return 0;
}

static void expect(enum bundle_error error)
{
    assert_int_equal(bundle_check(&d, SAMPLE_GPA, sizeof(d)), error);
    sample_descriptor(&d);
    assert_int_equal(bundle_check(&d, SAMPLE_GPA, sizeof(d)), BUNDLE_OK);
}

#define BREAK(field, value, error)                                                                                     \
    do {                                                                                                               \
        d.field = (value);                                                                                             \
        expect(error);                                                                                                 \
    } while (0)

static void form(void **state)
{
    (void)state;
    assert_int_equal(bundle_check(&d, SAMPLE_GPA, sizeof(d) - 1), BUNDLE_BAD_SIZE);
    assert_int_equal(bundle_check(&d, SAMPLE_GPA, UINT64_MAX), BUNDLE_BAD_SIZE);
    assert_int_equal(bundle_check(&d, SAMPLE_GPA + PAGE, sizeof(d)), BUNDLE_BAD_PLACE);
    d.gpa++;
    assert_int_equal(bundle_check(&d, SAMPLE_GPA + 1, sizeof(d)), BUNDLE_BAD_PLACE);
    sample_descriptor(&d);
    BREAK(size, sizeof(d) + 1, BUNDLE_BAD_SIZE);
    BREAK(magic, BUNDLE_MAGIC + 1, BUNDLE_BAD_MAGIC);
    BREAK(version, 0, BUNDLE_BAD_VERSION);
    BREAK(version, BUNDLE_VERSION + 1, BUNDLE_BAD_VERSION);
    BREAK(flags, BUNDLE_FLAG_ALL + 1, BUNDLE_BAD_FLAGS);
    BREAK(flags, BUNDLE_FLAG_ALL, BUNDLE_OK);
    BREAK(machine, 0, BUNDLE_BAD_MACHINE);
    BREAK(machine, BUNDLE_Q35 + 1, BUNDLE_BAD_MACHINE);
}

static void counts(void **state)
{
    (void)state;
    BREAK(vcpu_count, 0, BUNDLE_BAD_COUNT);
    BREAK(vcpu_count, BUNDLE_VCPU_MAX + 1, BUNDLE_BAD_COUNT);
    BREAK(range_count, 0, BUNDLE_BAD_COUNT);
    BREAK(range_count, BUNDLE_RANGE_MAX + 1, BUNDLE_BAD_COUNT);
    BREAK(range_count, UINT32_MAX, BUNDLE_BAD_COUNT);
    BREAK(ram_count, 0, BUNDLE_BAD_COUNT);
    BREAK(ram_count, BUNDLE_RAM_MAX + 1, BUNDLE_BAD_COUNT);
    BREAK(mmio_count, BUNDLE_MMIO_MAX + 1, BUNDLE_BAD_COUNT);
    BREAK(port_count, BUNDLE_PORT_MAX + 1, BUNDLE_BAD_COUNT);
    BREAK(cpu_feature_count, BUNDLE_CPU_MAX + 1, BUNDLE_BAD_COUNT);
}

static void unused_is_zero(void **state)
{
    (void)state;
    BREAK(reserved[0], 1, BUNDLE_BAD_NOT_ZERO);
    BREAK(reserved[10], 1, BUNDLE_BAD_NOT_ZERO);
    BREAK(padding[0], 1, BUNDLE_BAD_NOT_ZERO);
    BREAK(padding[sizeof(d.padding) - 1], 1, BUNDLE_BAD_NOT_ZERO);
    BREAK(ranges[4].kind, 1, BUNDLE_BAD_NOT_ZERO);
    BREAK(ranges[BUNDLE_RANGE_MAX - 1].gpa, 1, BUNDLE_BAD_NOT_ZERO);
    BREAK(ram[3].gpa, 1, BUNDLE_BAD_NOT_ZERO);
    BREAK(mmio[2].page_count, 1, BUNDLE_BAD_NOT_ZERO);
    BREAK(ports[2].last, 1, BUNDLE_BAD_NOT_ZERO);
    BREAK(cpu_features[1].mask, 1, BUNDLE_BAD_NOT_ZERO);
}

static void ram(void **state)
{
    (void)state;
    BREAK(ram[1].gpa, 0x9f000, BUNDLE_BAD_RAM);
    BREAK(ram[1].gpa, 0x100001, BUNDLE_BAD_RAM);
    BREAK(ram[0].page_count, 0, BUNDLE_BAD_RAM);
    BREAK(ram[0].page_count, 0x101, BUNDLE_BAD_RAM);
    BREAK(ram[2].gpa, 0, BUNDLE_BAD_RAM);
    BREAK(ram[2].gpa, BUNDLE_GPA_LIMIT, BUNDLE_BAD_RAM);
    BREAK(ram[2].gpa, BUNDLE_GPA_LIMIT - PAGE, BUNDLE_BAD_RAM);
    BREAK(ram[2].page_count, UINT64_MAX, BUNDLE_BAD_RAM);
    BREAK(ram[2].page_count, UINT64_MAX / PAGE, BUNDLE_BAD_RAM);
    BREAK(ram[2].page_count, (BUNDLE_GPA_LIMIT - 0x100000000) / PAGE + 1, BUNDLE_BAD_RAM);
    BREAK(ram[2].page_count, (BUNDLE_GPA_LIMIT - 0x100000000) / PAGE, BUNDLE_OK);
}

static void ranges(void **state)
{
    (void)state;
    BREAK(ranges[1].kind, 0, BUNDLE_BAD_RANGE_KIND);
    BREAK(ranges[1].kind, BUNDLE_INPUT + 1, BUNDLE_BAD_RANGE_KIND);
    BREAK(ranges[1].gpa, 0x113000, BUNDLE_BAD_RANGE_ORDER);
    BREAK(ranges[1].gpa, 0x180800, BUNDLE_BAD_RANGE_ORDER);
    BREAK(ranges[1].gpa, 0x114000, BUNDLE_OK);
    BREAK(ranges[1].page_count, 0, BUNDLE_BAD_RANGE_ORDER);
    BREAK(ranges[1].page_count, 0x81, BUNDLE_BAD_RANGE_ORDER);
    BREAK(ranges[3].gpa, UINT64_MAX - PAGE + 1, BUNDLE_BAD_RANGE_ORDER);
    BREAK(ranges[3].gpa, 0x10000000, BUNDLE_BAD_RANGE_OUTSIDE);
    BREAK(ranges[3].page_count, 0xf001, BUNDLE_BAD_RANGE_OUTSIDE);
    BREAK(ranges[3].page_count, 0xf000, BUNDLE_OK);
    BREAK(ranges[3].page_count, UINT32_MAX, BUNDLE_BAD_RANGE_ORDER);
}

static void start_is_measured(void **state)
{
    (void)state;
    d.ranges[0].kind = BUNDLE_ZERO;
    expect(BUNDLE_BAD_UNMEASURED_DESCRIPTOR);
    d.ranges[0] = (struct bundle_range){ 0x111000, 3, BUNDLE_MEASURED };
    expect(BUNDLE_BAD_UNMEASURED_DESCRIPTOR);
    BREAK(ranges[3].kind, BUNDLE_INPUT, BUNDLE_BAD_UNMEASURED_START);
    BREAK(entry_rip, 0xfff000, BUNDLE_BAD_UNMEASURED_START);
    BREAK(entry_rip, 0x1000000 + 100 * PAGE, BUNDLE_BAD_UNMEASURED_START);
    BREAK(entry_rip, 0x1000000 + 100 * PAGE - 1, BUNDLE_OK);
    BREAK(entry_rsi, 0x113001, BUNDLE_BAD_UNMEASURED_START);
    BREAK(entry_rsi, UINT64_MAX, BUNDLE_BAD_UNMEASURED_START);
    BREAK(cr3, 0x111008, BUNDLE_BAD_UNMEASURED_START);
    BREAK(cr3, 0x180000, BUNDLE_BAD_UNMEASURED_START);
    BREAK(gdt_gpa, 0x113ff0, BUNDLE_BAD_UNMEASURED_START);
    BREAK(gdt_gpa, 0x113fe0, BUNDLE_OK);
    BREAK(gdt_limit, UINT32_MAX, BUNDLE_BAD_UNMEASURED_START);
    d.gdt_gpa = 0x1000000; /* 100 measured pages, but VM entry takes no limit above 16 bits */
    d.gdt_limit = 0x10000;
    expect(BUNDLE_BAD_UNMEASURED_START);
}

static void shared_pages(void **state)
{
    (void)state;
    BREAK(exit_window_gpa, 0x1c0010, BUNDLE_BAD_EXIT_WINDOW);
    BREAK(exit_window_gpa, 0xa0000, BUNDLE_BAD_EXIT_WINDOW);
    BREAK(exit_window_gpa, 0x9d000, BUNDLE_BAD_EXIT_WINDOW);
    BREAK(exit_window_gpa, 0x10d000, BUNDLE_BAD_EXIT_WINDOW);
    BREAK(exit_window_gpa, 0x10c000, BUNDLE_OK);
    BREAK(exit_window_gpa, 0x18f000, BUNDLE_BAD_EXIT_WINDOW);
    BREAK(exit_window_gpa, UINT64_MAX - PAGE + 1, BUNDLE_BAD_EXIT_WINDOW);
    BREAK(ap_start_gpa, 0, BUNDLE_BAD_AP_PAGE);
    BREAK(ap_start_gpa, 0x8001, BUNDLE_BAD_AP_PAGE);
    BREAK(ap_start_gpa, 0xa0000, BUNDLE_BAD_AP_PAGE);
    BREAK(ap_start_gpa, 0x101000, BUNDLE_BAD_AP_PAGE);
    d.exit_window_gpa = 0x8000;
    expect(BUNDLE_BAD_AP_PAGE);
    d.ranges[0] = (struct bundle_range){ 0x8000, 1, BUNDLE_ZERO };
    d.ranges[1] = (struct bundle_range){ 0x110000, 4, BUNDLE_MEASURED };
    expect(BUNDLE_BAD_AP_PAGE);
}

static void interfaces(void **state)
{
    (void)state;
    BREAK(mmio[0].gpa, 0xfffff000, BUNDLE_BAD_MMIO);
    BREAK(mmio[0].gpa, 0xe0000001, BUNDLE_BAD_MMIO);
    BREAK(mmio[0].gpa, 0xffff000, BUNDLE_BAD_MMIO);
    BREAK(mmio[0].page_count, 0x1f000, BUNDLE_BAD_MMIO);
    BREAK(mmio[1].gpa, 0xfee00000, BUNDLE_BAD_MMIO);
    BREAK(mmio[1].page_count, 0x201, BUNDLE_BAD_MMIO);
    BREAK(mmio[1].page_count, 0x200, BUNDLE_OK);
    BREAK(mmio[1].page_count, UINT64_MAX, BUNDLE_BAD_MMIO);
    BREAK(ports[0].last, 0x3f7, BUNDLE_BAD_PORTS);
    BREAK(ports[1].first, 0x3ff, BUNDLE_BAD_PORTS);
    BREAK(ports[1].first, 0x400, BUNDLE_OK);
    BREAK(vectors[0], 1ull << 31, BUNDLE_BAD_VECTORS);
    BREAK(vectors[0], 1ull << 32, BUNDLE_OK);
    BREAK(cpu_features[0].reg, 4, BUNDLE_BAD_CPU_FEATURE);
    BREAK(cpu_features[0].mask, 0, BUNDLE_BAD_CPU_FEATURE);
}

static void full_lists(void **state)
{
    (void)state;
    d.range_count = BUNDLE_RANGE_MAX;
    for (uint32_t i = 4; i < BUNDLE_RANGE_MAX; i++)
        d.ranges[i] = (struct bundle_range){ 0x2000000 + i * PAGE, 1, BUNDLE_ZERO };
    d.port_count = BUNDLE_PORT_MAX;
    for (uint16_t i = 2; i < BUNDLE_PORT_MAX; i++)
        d.ports[i] = (struct bundle_ports){ (uint16_t)(0xd00 + i), (uint16_t)(0xd00 + i) };
    memset(d.vectors, 0xff, sizeof(d.vectors));
    d.vectors[0] <<= 32;
    expect(BUNDLE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(form, setup),           cmocka_unit_test_setup(counts, setup),
        cmocka_unit_test_setup(unused_is_zero, setup), cmocka_unit_test_setup(ram, setup),
        cmocka_unit_test_setup(ranges, setup),         cmocka_unit_test_setup(start_is_measured, setup),
        cmocka_unit_test_setup(shared_pages, setup),   cmocka_unit_test_setup(interfaces, setup),
        cmocka_unit_test_setup(full_lists, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
