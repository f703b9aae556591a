/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CPUID of a protected VM, over a processor that reports every bit of every leaf, one that reports nothing, and one
 * whose last leaf is far below what is served: what a guest may see of them, word by word.
 */
#include "unit.h"
#include "cloudvisor/vm_answers.h"
#include "cloudvisor/vmcs01.h"

struct boot_info *boot;
uint32_t vm_xcr0_offer, vm_xsave_bytes;

static struct boot_info boot_info;
static struct bundle_descriptor descriptor;
static struct vm vm = { .descriptor = &descriptor };
static struct vcpu vcpu = { .vm = &vm };

enum { EAX, EBX, ECX, EDX };

static struct hw_cpuid all_ones(uint32_t leaf, uint32_t subleaf)
{
    (void)leaf;
    (void)subleaf;
    return (struct hw_cpuid){ UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX };
}

/* An early processor with AES: beyond its last leaf it repeats that one, here with all bits set. */
static struct hw_cpuid short_list(uint32_t leaf, uint32_t subleaf)
{
    if (leaf == 0)
        return (struct hw_cpuid){ 0xb, 0x756e6547, 0x6c65746e, 0x49656e69 };
    if (leaf == 0x80000000)
        return (struct hw_cpuid){ .eax = 0x80000001 };
    return leaf <= 4 ? (struct hw_cpuid){ 0 } : all_ones(leaf, subleaf);
}

static int start(void **state)
{
    (void)state;
    fake_reset();
    boot_info = (struct boot_info){ .tsc_khz = 2100000 };
    boot = &boot_info;
    descriptor = (struct bundle_descriptor){ .vcpu_count = 1 };
    vcpu.index = 0;
    vm_xcr0_offer = 0xe7;
    vm_xsave_bytes = 2688;
    fake_cpuid = all_ones;
    return 0;
}

static uint32_t word(uint32_t leaf, uint32_t subleaf, unsigned reg)
{
    struct hw_cpuid r = vm_cpuid(&vcpu, leaf, subleaf, 0);
    const uint32_t words[] = { r.eax, r.ebx, r.ecx, r.edx };

    return words[reg];
}

#define BITS(...) bits_of((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))
static uint32_t bits_of(const uint8_t *bits, size_t count)
{
    uint32_t mask = 0;

    for (size_t i = 0; i < count; i++)
        mask |= UINT32_C(1) << bits[i];
    return mask;
}

static void assert_leaf(uint32_t leaf, uint32_t subleaf, uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx)
{
    assert_int_equal(word(leaf, subleaf, EAX), eax);
    assert_int_equal(word(leaf, subleaf, EBX), ebx);
    assert_int_equal(word(leaf, subleaf, ECX), ecx);
    assert_int_equal(word(leaf, subleaf, EDX), edx);
}

static void unknown_leaves_are_zero(void **state)
{
    static const uint32_t leaves[] = {
        3,          5,          8,          9,          0xa,        0xc,        0xe,        0xf,        0x10,
        0x11,       0x12,       0x13,       0x14,       0x17,       0x18,       0x19,       0x1a,       0x1b,
        0x1c,       0x1d,       0x1e,       0x1f,       0x20,       0x23,       0x24,       0x20000000, 0x3fffffff,
        0x40000001, 0x40000002, 0x40000003, 0x40000010, 0x40000100, 0x7fffffff, 0x80000005, 0x80000009, 0x8000000a,
        0x8000001d, 0x8000001f, 0x80860000, 0xc0000000, 0xc0000001, 0xffffffff,
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(leaves); i++)
        for (uint32_t subleaf = 0; subleaf < 3; subleaf++)
            assert_leaf(leaves[i], subleaf, 0, 0, 0, 0);
    assert_leaf(7, 3, 0, 0, 0, 0);
    assert_leaf(7, UINT32_MAX, 0, 0, 0, 0);
}

/* What would let the guest see, or share memory with, what the layer does not serve. */
static void dangerous_features_are_hidden(void **state)
{
    static const struct {
        uint32_t leaf, subleaf;
        unsigned reg, bit;
        const char *name;
    } hidden[] = {
        { 1, 0, ECX, 2, "DTES64" },
        { 1, 0, ECX, 3, "MONITOR" },
        { 1, 0, ECX, 4, "DS-CPL" },
        { 1, 0, ECX, 5, "VMX" },
        { 1, 0, ECX, 6, "SMX" },
        { 1, 0, ECX, 7, "EIST" },
        { 1, 0, ECX, 8, "TM2" },
        { 1, 0, ECX, 11, "SDBG" },
        { 1, 0, ECX, 14, "xTPR" },
        { 1, 0, ECX, 15, "PDCM" },
        { 1, 0, ECX, 18, "DCA" },
        { 1, 0, ECX, 27, "OSXSAVE" },
        { 1, 0, EDX, 7, "MCE" },
        { 1, 0, EDX, 14, "MCA" },
        { 1, 0, EDX, 18, "PSN" },
        { 1, 0, EDX, 21, "DS" },
        { 1, 0, EDX, 22, "ACPI" },
        { 1, 0, EDX, 28, "HTT" },
        { 1, 0, EDX, 29, "TM" },
        { 1, 0, EDX, 31, "PBE" },
        { 6, 0, EAX, 7, "HWP" },
        { 6, 0, EAX, 19, "HFI" },
        { 6, 0, ECX, 0, "APERF and MPERF" },
        { 6, 0, ECX, 3, "energy bias" },
        { 7, 0, EBX, 1, "TSC_ADJUST" },
        { 7, 0, EBX, 2, "SGX" },
        { 7, 0, EBX, 4, "HLE" },
        { 7, 0, EBX, 11, "RTM" },
        { 7, 0, EBX, 12, "RDT monitoring" },
        { 7, 0, EBX, 14, "MPX" },
        { 7, 0, EBX, 15, "RDT allocation" },
        { 7, 0, EBX, 25, "processor trace" },
        { 7, 0, ECX, 3, "PKU" },
        { 7, 0, ECX, 4, "OSPKE" },
        { 7, 0, ECX, 5, "WAITPKG" },
        { 7, 0, ECX, 7, "CET shadow stacks" },
        { 7, 0, ECX, 13, "TME" },
        { 7, 0, ECX, 16, "LA57" },
        { 7, 0, ECX, 23, "key locker" },
        { 7, 0, ECX, 24, "bus-lock detection" },
        { 7, 0, ECX, 29, "ENQCMD" },
        { 7, 0, ECX, 30, "SGX launch control" },
        { 7, 0, ECX, 31, "PKS" },
        { 7, 0, EDX, 5, "UINTR" },
        { 7, 0, EDX, 9, "SRBDS_CTRL" },
        { 7, 0, EDX, 11, "RTM_ALWAYS_ABORT" },
        { 7, 0, EDX, 13, "TSX_FORCE_ABORT" },
        { 7, 0, EDX, 18, "PCONFIG" },
        { 7, 0, EDX, 19, "architectural LBR" },
        { 7, 0, EDX, 20, "CET branch tracking" },
        { 7, 0, EDX, 22, "AMX-BF16" },
        { 7, 0, EDX, 24, "AMX-TILE" },
        { 7, 0, EDX, 25, "AMX-INT8" },
        { 7, 0, EDX, 30, "CORE_CAPABILITIES" },
        { 7, 1, EAX, 17, "FRED" },
        { 7, 1, EAX, 19, "WRMSRNS" },
        { 7, 1, EAX, 22, "HRESET" },
        { 7, 1, EAX, 26, "LAM" },
        { 0xd, 0, EAX, 3, "MPX" },
        { 0xd, 0, EAX, 9, "PKRU" },
        { 0xd, 0, EAX, 17, "AMX" },
        { 0xd, 1, EAX, 1, "XSAVEC" },
        { 0xd, 1, EAX, 3, "XSAVES" },
        { 0xd, 1, EAX, 4, "XFD" },
        { 0x80000001, 0, ECX, 2, "SVM" },
        { 0x80000008, 0, EBX, 9, "WBNOINVD" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(hidden); i++)
        if ((word(hidden[i].leaf, hidden[i].subleaf, hidden[i].reg) >> hidden[i].bit & 1) != 0)
            fail_msg("%s is offered", hidden[i].name);
}

static void features_of_a_processor_with_all(void **state)
{
    (void)state;
    assert_leaf(0, 0, 0x16, UINT32_MAX, UINT32_MAX, UINT32_MAX);
    assert_leaf(1, 0, UINT32_MAX, 0x1ff00, BITS(0, 1, 9, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 28, 29, 30, 31),
                BITS(0, 1, 2, 3, 4, 5, 6, 8, 9, 11, 12, 13, 15, 16, 17, 19, 23, 24, 25, 26, 27));
    assert_leaf(2, 0, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX);
    assert_leaf(6, 0, BITS(2), 0, 0, 0);
    assert_leaf(7, 0, 2, BITS(0, 3, 5, 6, 7, 8, 9, 10, 13, 16, 17, 18, 19, 20, 21, 23, 24, 29, 30, 31),
                BITS(0, 1, 2, 6, 8, 9, 10, 11, 12, 14, 22, 25, 27, 28),
                BITS(2, 3, 4, 8, 10, 14, 23, 26, 27, 28, 29, 31));
    assert_leaf(7, 1, BITS(4, 5, 10, 11, 12, 23), 0, 0, 0);
    assert_leaf(7, 2, 0, 0, 0, BITS(0, 1, 2, 3, 4, 5));
    assert_leaf(0x80000000, 0, 0x80000008, 0, 0, 0);
    assert_leaf(0x80000001, 0, 0, 0, BITS(0, 5, 8), BITS(11, 20, 26, 27, 29));
    for (uint32_t leaf = 0x80000002; leaf <= 0x80000004; leaf++)
        assert_leaf(leaf, 0, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX);
    assert_leaf(0x80000006, 0, 0, 0, UINT32_MAX, 0);
    assert_leaf(0x80000007, 0, 0, 0, 0, BITS(8));
    assert_leaf(0x80000008, 0, 0x30ff, 0, 0, 0);
}

static void a_processor_with_nothing(void **state)
{
    (void)state;
    fake_cpuid = NULL;
    vm_xcr0_offer = 1;
    assert_leaf(0, 0, 0x16, 0, 0, 0);
    assert_leaf(1, 0, 0, 0x10000, BITS(21, 31), 0);
    assert_leaf(2, 0, 0, 0, 0, 0);
    assert_leaf(4, 0, 0, 0, 0, 0);
    assert_leaf(6, 0, BITS(2), 0, 0, 0);
    assert_leaf(7, 0, 2, 0, 0, 0);
    assert_leaf(7, 2, 0, 0, 0, 0);
    assert_leaf(0xd, 1, 0, 0, 0, 0);
    assert_leaf(0xd, 2, 0, 0, 0, 0);
    for (uint32_t leaf = 0x80000001; leaf <= 0x80000006; leaf++)
        assert_leaf(leaf, 0, 0, 0, 0, 0);
    assert_leaf(0x80000007, 0, 0, 0, 0, BITS(8));
}

static void leaves_beyond_the_last_are_not_repeated(void **state)
{
    (void)state;
    fake_cpuid = short_list;
    assert_leaf(0, 0, 0x16, 0x756e6547, 0x6c65746e, 0x49656e69);
    assert_leaf(7, 1, BITS(4, 5, 10, 11, 12, 23), 0, 0, 0); /* below the last one: passed on */
    assert_leaf(0xd, 2, 0, 0, 0, 0);
    assert_leaf(0x80000001, 0, 0, 0, BITS(0, 5, 8), BITS(11, 20, 26, 27, 29));
    assert_leaf(0x80000002, 0, 0, 0, 0, 0);
    assert_leaf(0x80000008, 0, 0x3000, 0, 0, 0);
}

static void osxsave_follows_cr4(void **state)
{
    (void)state;
    assert_int_equal(vm_cpuid(&vcpu, 1, 0, 0).ecx >> 27 & 1, 0);
    assert_int_equal(vm_cpuid(&vcpu, 1, 0, ~CR4_OSXSAVE).ecx >> 27 & 1, 0);
    assert_int_equal(vm_cpuid(&vcpu, 1, 0, CR4_OSXSAVE).ecx >> 27 & 1, 1);
}

/* { vCPUs, bits of an APIC ID } */
static void topology(void **state)
{
    static const uint32_t sizes[][2] = { { 1, 0 }, { 2, 1 }, { 3, 2 }, { 4, 2 }, { 5, 3 }, { 33, 6 }, { 64, 6 } };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        uint32_t count = sizes[i][0], bits = sizes[i][1], ids = UINT32_C(1) << bits;

        descriptor.vcpu_count = count;
        vcpu.index = count - 1;
        assert_int_equal(word(1, 0, EBX), (count - 1) << 24 | ids << 16 | 0xff00);
        assert_int_equal(word(1, 0, EDX) >> 28 & 1, count > 1);
        assert_int_equal(word(4, 0, EAX), (ids - 1) << 26 | 0x3ff);
        assert_leaf(0xb, 0, 0, 1, 0x100, count - 1);
        assert_leaf(0xb, 1, bits, count, 0x201, count - 1);
        assert_leaf(0xb, 2, 0, 0, 2, count - 1);
        assert_leaf(0xb, 0x1ff, 0, 0, 0xff, count - 1);
    }
}

static struct hw_cpuid some_caches(uint32_t leaf, uint32_t subleaf)
{
    static const struct hw_cpuid caches[] = {
        { 0x1c004121, 0x1c0003f, 0x3f, 0 },
        { 0x1c004122, 0x1c0003f, 0x3f, 0 },
        { 0x60, 0, 0, 0 }, /* no cache, whatever its level says */
    };

    if (leaf == 4)
        return subleaf < COUNT_OF(caches) ? caches[subleaf] : (struct hw_cpuid){ 0 };
    return (struct hw_cpuid){ .eax = 0x16 };
}

static void caches_are_shared_by_none(void **state)
{
    (void)state;
    descriptor.vcpu_count = 4;
    assert_leaf(4, 0, 0xc0003ff, UINT32_MAX, UINT32_MAX, 7);
    fake_cpuid = some_caches;
    assert_leaf(4, 0, 0xc000121, 0x1c0003f, 0x3f, 0);
    assert_leaf(4, 1, 0xc000122, 0x1c0003f, 0x3f, 0);
    assert_leaf(4, 2, 0x60, 0, 0, 0);
    assert_leaf(4, 3, 0, 0, 0, 0);
    assert_int_equal(word(1, 0, EAX), 0x16);
}

static struct hw_cpuid skylake_xsave(uint32_t leaf, uint32_t subleaf)
{
    static const struct hw_cpuid components[] = {
        [0] = { 0x2ff, 0x440, 0xa80, 0 }, [1] = { 0xf, 0x980, 0x100, 0 }, [2] = { 0x100, 0x240, 2, 0 },
        [3] = { 0x40, 0x3c0, 0, 0 },      [4] = { 0x40, 0x400, 0, 0 },    [5] = { 0x40, 0x440, 0, 0 },
        [6] = { 0x200, 0x480, 0, 0 },     [7] = { 0x400, 0x680, 0, 0 },   [8] = { 0x80, 0, 1, 0 },
        [9] = { 8, 0xa80, 0, 0 },
    };

    if (leaf == 0xd)
        return subleaf < COUNT_OF(components) ? components[subleaf] : (struct hw_cpuid){ 0 };
    return (struct hw_cpuid){ .eax = 0x16 };
}

static void xsave(void **state)
{
    (void)state;
    fake_cpuid = skylake_xsave;
    assert_leaf(0xd, 0, 0xe7, 0x440, 2688, 0); /* EBX: the processor's, for the XCR0 that is loaded */
    assert_leaf(0xd, 1, BITS(0, 2), 0, 0, 0);
    assert_leaf(0xd, 2, 0x100, 0x240, 0, 0);
    assert_leaf(0xd, 3, 0, 0, 0, 0);
    assert_leaf(0xd, 4, 0, 0, 0, 0);
    assert_leaf(0xd, 5, 0x40, 0x440, 0, 0);
    assert_leaf(0xd, 6, 0x200, 0x480, 0, 0);
    assert_leaf(0xd, 7, 0x400, 0x680, 0, 0);
    for (uint32_t subleaf = 8; subleaf < 70; subleaf++)
        assert_leaf(0xd, subleaf, 0, 0, 0, 0);
}

/* As Linux computes it: in 32 bits, kHz of the crystal times EBX, by EAX. */
static void counter_frequency(void **state)
{
    static const uint32_t khz[] = { 1,       999,     1000,    600000,  800000,  1000000, 1700000, 1999998, 2000000,
                                    2100000, 2394454, 2593906, 2899999, 3000000, 3192747, 4294967, 4999999, 5800001 };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(khz); i++) {
        struct hw_cpuid r;
        uint64_t product, error;

        boot_info.tsc_khz = khz[i];
        r = vm_cpuid(&vcpu, 0x15, 0, 0);
        assert_int_equal(r.ecx, 1000000000);
        assert_int_equal(r.edx, 0);
        assert_int_not_equal(r.eax, 0);
        product = UINT64_C(1000000) * r.ebx;
        assert_true(product <= UINT32_MAX);
        error = product / r.eax > khz[i] ? product / r.eax - khz[i] : khz[i] - product / r.eax;
        assert_true(error <= 1 + khz[i] / 500000);
    }
    boot_info.tsc_khz = 2999999;
    assert_int_equal(word(0x16, 0, EAX), 2999);
    boot_info.tsc_khz = 0;
    assert_int_equal(word(0x15, 0, EBX), 0);
}

static void the_hypervisor_is_kvm_without_features(void **state)
{
    struct hw_cpuid r = vm_cpuid(&vcpu, 0x40000000, 0, 0);
    char name[13] = { 0 };

    (void)state;
    memcpy(name, &r.ebx, 4);
    memcpy(name + 4, &r.ecx, 4);
    memcpy(name + 8, &r.edx, 4);
    assert_string_equal(name, "KVMKVMKVM");
    assert_int_equal(r.eax, 0x40000001);
    assert_leaf(0x40000001, 0, 0, 0, 0, 0);
}

static void required_features(void **state)
{
    struct bundle_cpu_feature *f = descriptor.cpu_features;

    (void)state;
    assert_true(vm_cpuid_satisfies(&descriptor));
    descriptor.cpu_feature_count = 2;
    f[0] = (struct bundle_cpu_feature){ 1, 0, ECX, BITS(25, 30) };
    f[1] = (struct bundle_cpu_feature){ 7, 0, EBX, BITS(5) };
    assert_true(vm_cpuid_satisfies(&descriptor));
    f[1].mask |= BITS(11); /* RTM: the processor has it, the VM won't */
    assert_false(vm_cpuid_satisfies(&descriptor));
    descriptor.cpu_feature_count = 1;
    assert_true(vm_cpuid_satisfies(&descriptor));
    f[0] = (struct bundle_cpu_feature){ 7, 1, EAX, BITS(10) };
    assert_true(vm_cpuid_satisfies(&descriptor));
    f[0] = (struct bundle_cpu_feature){ 7, 2, EDX, BITS(5) };
    assert_true(vm_cpuid_satisfies(&descriptor));
    f[0].subleaf = 1;
    assert_false(vm_cpuid_satisfies(&descriptor));
    fake_cpuid = NULL;
    f[0] = (struct bundle_cpu_feature){ 1, 0, ECX, BITS(25) };
    assert_false(vm_cpuid_satisfies(&descriptor));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(unknown_leaves_are_zero, start),
        cmocka_unit_test_setup(dangerous_features_are_hidden, start),
        cmocka_unit_test_setup(features_of_a_processor_with_all, start),
        cmocka_unit_test_setup(a_processor_with_nothing, start),
        cmocka_unit_test_setup(leaves_beyond_the_last_are_not_repeated, start),
        cmocka_unit_test_setup(osxsave_follows_cr4, start),
        cmocka_unit_test_setup(topology, start),
        cmocka_unit_test_setup(caches_are_shared_by_none, start),
        cmocka_unit_test_setup(xsave, start),
        cmocka_unit_test_setup(counter_frequency, start),
        cmocka_unit_test_setup(the_hypervisor_is_kvm_without_features, start),
        cmocka_unit_test_setup(required_features, start),
    };

    return cmocka_run_group_tests_name("vm_cpuid", tests, NULL, NULL);
}
