/* SPDX-License-Identifier: GPL-2.0-only */
/* The policy parser: what is refused, with line and message, then what is read. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "cloudvisor/bundle/policy.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *text;
    uint32_t line;
    const char *message; /* a part of it, which no other case has by accident */
} refused[] = {
    { "vcpus = 1\ncolour = red\n", 2, "key 'colour' is not known" },
    { "vcpus\n", 1, "expected 'key = value'" },
    { "\n\nvcpus = 1\nvcpus = 1\n", 4, "vcpus is given twice" },
    { "vcpus =\n", 1, "vcpus has no value" },
    { "devices = \n", 1, "devices has no value" },
    { "vcpus = 0\n", 1, "vcpus takes a number" },
    { "vcpus = 65\n", 1, "vcpus takes a number" },
    { "vcpus = 1 2\n", 1, "vcpus takes a number" },
    { "vcpus = -1\n", 1, "vcpus takes a number" },
    { "vcpus = 18446744073709551617\n", 1, "vcpus takes a number" },
    { "memory = 512\n", 1, "memory takes" },
    { "memory = 63M\n", 1, "memory takes" },
    { "memory = 65537K\n", 1, "memory takes" },
    { "memory = 513G\n", 1, "memory takes" },
    { "memory = 17179869184G\n", 1, "memory takes" },
    { "memory = 1GB\n", 1, "memory takes" },
    { "machine = isapc\n", 1, "machine 'isapc' is not known" },
    { "debug = maybe\n", 1, "debug takes yes or no" },
    { "nmi = 1\n", 1, "nmi takes yes or no" },
    { "input = 5\n", 1, "input takes" },
    { "input = 9M\n", 1, "input takes" },
    { "devices = virtio-blk virtio-balloon\n", 1, "a protected VM can't have virtio-balloon: it would let the host" },
    { "devices = virtio-mem\n", 1, "a protected VM can't have virtio-mem: it changes the memory map" },
    { "devices = vfio\n", 1, "a protected VM can't have vfio" },
    { "devices = toaster\n", 1, "device 'toaster' is not known" },
    { "mmio = 0xfeb00000\n", 1, "is not in whole pages" },
    { "mmio = 0xfeb00800-0xfeb017ff\n", 1, "is not in whole pages" },
    { "mmio = 0xfeb01000-0xfeb00fff\n", 1, "is not in whole pages" },
    { "mmio = 0x10000000000-0x10000000fff\n", 1, "is not in whole pages" },
    { "ports = 0x3ff-0x3f8\n", 1, "port window" },
    { "ports = 0x10000\n", 1, "port window" },
    { "ports = 0x\n", 1, "port window" },
    { "vectors = 0x1f-0x30\n", 1, "processor's own exceptions" },
    { "vectors = 0x20-0xff\n", 1, "system call" },
    { "vectors = 0x100\n", 1, "are not like" },
    { "cpu = sse9\n", 1, "CPU feature 'sse9' is not known" },
    { "vcpus = 1\n\x01\n", 2, "printable ASCII" },
    { "vcpus = 1\nmemory = \xc3\xa9\n", 2, "printable ASCII" },
};

static const struct {
    const char *text;
    const char *message;
} incomplete[] = {
    { "vcpus = 1\nmemory = 64M\n", "no machine type" },
    { "machine = pc\nmemory = 64M\n", "no number of vCPUs" },
    { "machine = pc\nvcpus = 1\n", "no memory size" },
    { "machine = pc\nvcpus = 1\nmemory = 64M\nmmio = 0x1000-0x1fff\n", "is in RAM" },
    { "machine = pc\nvcpus = 1\nmemory = 8G\nmmio = 0x100000000-0x100000fff\n", "is in RAM" },
    { "machine = pc\nvcpus = 1\nmemory = 64M\nmmio = 0xfe000000-0xfeffffff\n", "local APIC" },
    { "machine = pc\nvcpus = 1\nmemory = 64M\nmmio = 0xfd000000-0xfd001fff 0xfd001000-0xfd001fff\n", "overlap" },
    { "machine = pc\nvcpus = 1\nmemory = 64M\nports = 0x3f8-0x3ff 0x3ff\n", "overlap" },
};

static void is_refused(void **state)
{
    struct policy policy;
    struct policy_fault fault;

    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        if (policy_parse(refused[i].text, strlen(refused[i].text), &policy, &fault))
            fail_msg("accepted: %s", refused[i].text);
        if (fault.line != refused[i].line || !strstr(fault.message, refused[i].message))
            fail_msg("%s: line %u, %s", refused[i].text, fault.line, fault.message);
    }
}

static void is_incomplete(void **state)
{
    struct policy policy;
    struct policy_fault fault;

    (void)state;
    for (size_t i = 0; i < COUNT(incomplete); i++) {
        assert_true(policy_parse(incomplete[i].text, strlen(incomplete[i].text), &policy, &fault));
        if (policy_complete(&policy, &fault))
            fail_msg("accepted: %s", incomplete[i].text);
        if (!strstr(fault.message, incomplete[i].message))
            fail_msg("%s: %s", incomplete[i].text, fault.message);
    }
}

static void limits(void **state)
{
    static char text[POLICY_FILE_MAX + 1];
    struct policy policy;
    struct policy_fault fault;

    (void)state;
    memset(text, '\n', sizeof(text));
    assert_true(policy_parse(text, POLICY_FILE_MAX, &policy, &fault));
    assert_false(policy_parse(text, POLICY_FILE_MAX + 1, &policy, &fault));
    assert_non_null(strstr(fault.message, "more than 65536 bytes"));
    memset(text, '#', POLICY_LINE_MAX);
    assert_false(policy_parse(text, POLICY_LINE_MAX + 1, &policy, &fault));
    assert_non_null(strstr(fault.message, "more than 511 characters"));
    assert_true(policy_parse(text, POLICY_LINE_MAX - 1, &policy, &fault));
    for (size_t i = 0; i <= BUNDLE_PORT_MAX; i++)
        snprintf(text + 16 * i, 17, "ports = 0x%05x\n", (unsigned)i);
    assert_true(policy_parse(text, (size_t)16 * BUNDLE_PORT_MAX, &policy, &fault));
    assert_false(policy_parse(text, (size_t)16 * (BUNDLE_PORT_MAX + 1), &policy, &fault));
    assert_int_equal(fault.line, BUNDLE_PORT_MAX + 1);
    assert_non_null(strstr(fault.message, "more than 32 port windows"));
}

static void is_read(void **state)
{
    static const char text[] = "# a comment\r\n"
                               "machine = q35\r\n"
                               "  vcpus=4\n"
                               "memory = 1G\n"
                               "\t\n"
                               "devices = virtio-blk serial\n"
                               "devices = virtio-net\n"
                               "mmio = 0xfec00000-0xfec00fff\n"
                               "mmio = 0xc0000000-0xc0000fff\n"
                               "ports = 0x600-0x67f 0x3f8-0x3ff\n"
                               "vectors = 0x30-0x3f 0x80\n"
                               "cpu = rdrand aes smep\n"
                               "input = 64K\n"
                               "nmi = yes\n"
                               "debug = no"; /* no newline at the end */
    struct policy policy;
    struct policy_fault fault;

    (void)state;
    assert_true(policy_parse(text, strlen(text), &policy, &fault));
    assert_true(policy_complete(&policy, &fault));
    assert_string_equal(policy.machine->name, "q35");
    assert_int_equal(policy.vcpu_count, 4);
    assert_int_equal(policy.memory, 1u << 30);
    assert_int_equal(policy.virtio_kinds, 1u << 1 | 1u << 2);
    assert_int_equal(policy.mmio_count, 2);
    assert_int_equal(policy.mmio[0].gpa, 0xc0000000);
    assert_int_equal(policy.mmio[1].gpa, 0xfec00000);
    assert_int_equal(policy.port_count, 2);
    assert_int_equal(policy.ports[0].first, 0x3f8);
    assert_int_equal(policy.vectors[0], 0xffffull << 0x30);
    assert_int_equal(policy.vectors[2], 1);
    assert_int_equal(policy.cpu_feature_count, 2);
    assert_int_equal(policy.cpu_features[0].mask, 1u << 21 | 1u << 25 | 1u << 30);
    assert_int_equal(policy.input_size, 65536);
    assert_true(policy.nmi);
    assert_false(policy.debug);
}

static void defaults(void **state)
{
    static const char *const machines[] = { "microvm", "pc", "q35" };
    struct policy policy;
    struct policy_fault fault;

    (void)state;
    for (size_t i = 0; i < COUNT(machines); i++) {
        assert_true(policy_parse("vcpus = 1\nmemory = 8G\n", 22, &policy, &fault));
        policy.machine = machine_find(machines[i]);
        assert_true(policy_complete(&policy, &fault));
        assert_true(policy.mmio_count >= 2 && policy.port_count >= 1);
        assert_int_equal(policy.vectors[0], 0xffffffff00000000ull);
        assert_int_equal(policy.vectors[2], ~1ull);
        assert_int_equal(policy.virtio_kinds, 0x1e);
        assert_int_equal(policy.cpu_features[0].mask, 1u << 21);
    }
}

/* Where QEMU 7.2 splits RAM, read off its memory trees for these sizes. */
static void memory_maps(void **state)
{
    static const struct {
        const char *machine;
        uint64_t mib, low_mib;
    } cases[] = {
        { "pc", 3583, 3583 },  { "pc", 3584, 3072 },      { "q35", 2815, 2815 },
        { "q35", 2816, 2048 }, { "microvm", 3072, 3072 }, { "microvm", 3073, 3072 },
    };
    struct bundle_window map[BUNDLE_RAM_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t count = machine_ram(machine_find(cases[i].machine), cases[i].mib << 20, map);

        assert_int_equal(count, cases[i].mib == cases[i].low_mib ? 2 : 3);
        assert_int_equal(map[1].gpa + map[1].page_count * BUNDLE_PAGE_SIZE, cases[i].low_mib << 20);
        if (count == 3)
            assert_int_equal(map[2].page_count * BUNDLE_PAGE_SIZE, (cases[i].mib - cases[i].low_mib) << 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_refused), cmocka_unit_test(is_incomplete), cmocka_unit_test(limits),
        cmocka_unit_test(is_read),    cmocka_unit_test(defaults),      cmocka_unit_test(memory_maps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
