/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * MSRs of a protected VM: which of them exit, which fault whatever the processor has, which are constants, and which
 * the guest may change. The pretended processor has every MSR that a test names.
 */
#include "unit.h"
#include "cloudvisor/intercepts.h"
#include "cloudvisor/pool.h"
#include "cloudvisor/vm_answers.h"
#include "cloudvisor/vmcs01.h"
#include "nested-vmx/vmcs_fields.h"

#define EFER  UINT32_C(0xc0000080)
#define LSTAR UINT32_C(0xc0000082)
enum { PAT = 0x277, SPEC_CTRL = 0x48, PRED_CMD = 0x49, FLUSH_CMD = 0x10b, ARCH_CAPABILITIES = 0x10a, APIC_BASE = 0x1b };

static struct vcpu vcpu;
static bool registers_fit;

bool vm_registers_init(void)
{
    return registers_fit;
}

static int start(void **state)
{
    (void)state;
    fake_reset();
    pool_init(hpa(0x100000), UINT64_C(4) * PAGE_SIZE);
    hw_vmptrld(hpa(0x1000));
    registers_fit = true;
    vcpu = (struct vcpu){ .index = 0 };
    return 0;
}

static enum vm_msr_answer reads(uint32_t msr, uint64_t *value)
{
    *value = 0x5a5a5a5a5a5a5a5a;
    return vm_msr_access(&vcpu, msr, false, value);
}

static void assert_reads(uint32_t msr, uint64_t expected)
{
    uint64_t value;

    assert_int_equal(reads(msr, &value), VM_MSR_DONE);
    assert_int_equal(value, expected);
}

static enum vm_msr_answer writes(uint32_t msr, uint64_t value)
{
    return vm_msr_access(&vcpu, msr, true, &value);
}

static bool passes(const uint8_t *bits, uint32_t msr, bool write)
{
    unsigned byte;

    assert_true(msr_bitmap_byte(msr, write, &byte));
    return (bits[byte] >> (msr & 7) & 1) == 0;
}

static void the_bitmap(void **state)
{
    static const uint32_t open[] = { SPEC_CTRL,  0x174,      0x175,      0x176,      0xc0000081, LSTAR,
                                     0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103 };
    const uint8_t *bits;
    unsigned clear = 0;

    (void)state;
    assert_true(vm_answers_init());
    bits = phys_to_virt(vm_msr_bitmap());
    for (unsigned i = 0; i < 8 * PAGE_SIZE; i++)
        clear += (bits[i / 8] >> (i & 7) & 1) == 0;
    assert_int_equal(clear, 2 * COUNT_OF(open));
    for (size_t i = 0; i < COUNT_OF(open); i++) {
        assert_true(passes(bits, open[i], false));
        assert_true(passes(bits, open[i], true));
    }
}

static void start_can_fail(void **state)
{
    (void)state;
    registers_fit = false;
    assert_false(vm_answers_init());
    registers_fit = true;
    while (pool_alloc().raw != 0)
        continue;
    assert_false(vm_answers_init());
}

/* The processor has them, the guest must not. */
static void others_fault(void **state)
{
    static const uint32_t msrs[] = {
        0x0,        0x1,        0xe,        0x11,       0x34,       0x3a,       0x3b,       0x4b,       0x4f,
        0x79,       0x7a,       0x8c,       0x9b,       0x9e,       0xc1,       0xcd,       0xce,       0xcf,
        0xe2,       0xe7,       0xe8,       0xff,       0x122,      0x123,      0x13c,      0x140,      0x150,
        0x179,      0x17a,      0x186,      0x198,      0x1a2,      0x1c4,      0x1c9,      0x1db,      0x1f2,
        0x200,      0x20f,      0x250,      0x259,      0x268,      0x280,      0x345,      0x38d,      0x38f,
        0x3f1,      0x400,      0x480,      0x491,      0x4c1,      0x560,      0x570,      0x600,      0x606,
        0x6a0,      0x6a2,      0x6a7,      0x6e1,      0x770,      0x7ff,      0x900,      0xbff,      0xd90,
        0xda0,      0xc80,      0x17d0,     0x1fff,     0x2000,     0x40000000, 0x4b564d00, 0x4b564d01, 0xbfffffff,
        0xc0000000, 0xc000007f, 0xc0000085, 0xc0000104, 0xc0010015, 0xffffffff,
    };
    uint64_t value;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(msrs); i++) {
        fake_msr_set(msrs[i], 0);
        assert_int_equal(reads(msrs[i], &value), VM_MSR_FAULT);
        assert_int_equal(writes(msrs[i], 0), VM_MSR_FAULT);
        assert_int_equal(writes(msrs[i], 1), VM_MSR_FAULT);
    }
    assert_int_equal(fake_counts.wrmsr, 0);
}

static void the_hosts_msrs(void **state)
{
    uint64_t value;

    (void)state;
    for (uint32_t msr = 0x800; msr <= 0x8ff; msr++) {
        assert_int_equal(reads(msr, &value), VM_MSR_HOST);
        assert_int_equal(writes(msr, 0), VM_MSR_HOST);
    }
    assert_int_equal(reads(0x6e0, &value), VM_MSR_HOST);
    assert_int_equal(writes(0x6e0, 1), VM_MSR_HOST);
}

/* None of them is asked of the processor, which would fault. */
static void constants(void **state)
{
    static const struct {
        uint32_t msr;
        uint64_t value;
        bool ignores_writes;
    } expected[] = {
        { 0x17, 0, false },     { APIC_BASE, 0xfee00d00, false }, { 0x8b, UINT64_C(0x100000000), true },
        { 0xfe, 0x400, false }, { 0x1a0, 0x1801, false },         { 0x1d9, 0, false },
        { 0x2ff, 0x806, true },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        for (unsigned bit = 0; bit < 64; bit++)
            assert_int_equal(writes(expected[i].msr, expected[i].value ^ UINT64_C(1) << bit),
                             expected[i].ignores_writes ? VM_MSR_DONE : VM_MSR_FAULT);
        assert_int_equal(writes(expected[i].msr, expected[i].value), VM_MSR_DONE);
        assert_reads(expected[i].msr, expected[i].value);
    }
    vcpu.index = 1;
    assert_reads(APIC_BASE, 0xfee00c00);
    assert_int_equal(writes(APIC_BASE, 0xfee00d00), VM_MSR_FAULT);
    assert_int_equal(writes(APIC_BASE, 0xfee00c00), VM_MSR_DONE);
}

static void commands(void **state)
{
    static const uint32_t msrs[] = { PRED_CMD, FLUSH_CMD };
    uint64_t value;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(msrs); i++) {
        assert_int_equal(writes(msrs[i], 1), VM_MSR_FAULT);
        fake_msr_set(msrs[i], 0);
        assert_int_equal(reads(msrs[i], &value), VM_MSR_FAULT);
        for (unsigned bit = 1; bit < 64; bit++)
            assert_int_equal(writes(msrs[i], UINT64_C(1) << bit | 1), VM_MSR_FAULT);
        assert_int_equal(fake_msr_get(msrs[i]), 0);
        assert_int_equal(writes(msrs[i], 1), VM_MSR_DONE);
        assert_int_equal(fake_msr_get(msrs[i]), 1);
    }
}

static void arch_capabilities(void **state)
{
    static const uint8_t seen[] = { 0, 1, 2, 4, 5, 6, 8, 13, 14, 15, 17, 19, 20, 24, 26, 27, 28 };
    uint64_t value, mask = 0;

    (void)state;
    assert_int_equal(reads(ARCH_CAPABILITIES, &value), VM_MSR_FAULT);
    fake_msr_set(ARCH_CAPABILITIES, UINT64_MAX);
    for (size_t i = 0; i < COUNT_OF(seen); i++)
        mask |= UINT64_C(1) << seen[i];
    assert_reads(ARCH_CAPABILITIES, mask);
    assert_int_equal(writes(ARCH_CAPABILITIES, mask), VM_MSR_FAULT);
    assert_int_equal(writes(ARCH_CAPABILITIES, 0), VM_MSR_FAULT);
    fake_msr_set(ARCH_CAPABILITIES, 1);
    assert_reads(ARCH_CAPABILITIES, 1);
}

static void efer(void **state)
{
    (void)state;
    hw_vmwrite(VMCS_GUEST_CR0, 1);
    for (unsigned bit = 0; bit < 64; bit++) {
        bool valid = bit == 0 || bit == 8 || bit == 10 || bit == 11;

        assert_int_equal(writes(EFER, UINT64_C(1) << bit), valid ? VM_MSR_DONE : VM_MSR_FAULT);
        assert_reads(EFER, bit == 10 || bit > 11 ? (bit == 10 ? 0 : UINT64_C(0x800)) : hw_vmread(VMCS_GUEST_IA32_EFER));
    }
    assert_int_equal(writes(EFER, 0x901), VM_MSR_DONE);
    assert_reads(EFER, 0x901);
    hw_vmwrite(VMCS_GUEST_IA32_EFER, 0xd00);
    hw_vmwrite(VMCS_GUEST_CR0, CR0_PG | 1);
    assert_int_equal(writes(EFER, 0xc01), VM_MSR_FAULT); /* long mode can't end with paging on */
    assert_int_equal(hw_vmread(VMCS_GUEST_IA32_EFER), 0xd00);
    assert_int_equal(writes(EFER, 0x101), VM_MSR_DONE); /* LMA is not the guest's to clear */
    assert_int_equal(hw_vmread(VMCS_GUEST_IA32_EFER), 0x501);
    hw_vmwrite(VMCS_GUEST_IA32_EFER, 0);
    assert_int_equal(writes(EFER, 0x100), VM_MSR_FAULT);
    assert_int_equal(writes(EFER, 0x401), VM_MSR_DONE); /* nor to set */
    assert_int_equal(hw_vmread(VMCS_GUEST_IA32_EFER), 1);
}

static void pat(void **state)
{
    (void)state;
    hw_vmwrite(VMCS_GUEST_IA32_PAT, UINT64_C(0x0007040600070406));
    for (unsigned i = 0; i < 8; i++) {
        for (uint64_t type = 0; type < 256; type++) {
            bool valid = type < 8 && type != 2 && type != 3;

            assert_int_equal(writes(PAT, type << 8 * i), valid ? VM_MSR_DONE : VM_MSR_FAULT);
            if (valid)
                assert_reads(PAT, type << 8 * i);
        }
    }
    assert_int_equal(hw_vmread(VMCS_GUEST_IA32_PAT), UINT64_C(7) << 56);
    assert_int_equal(hw_vmread(VMCS_GUEST_IA32_EFER), 0);
}

static void time_stamp_counter(void **state)
{
    uint64_t value;

    (void)state;
    fake_tsc = 1000000;
    hw_vmwrite(VMCS_TSC_OFFSET, (uint64_t)-1000000);
    assert_int_equal(reads(0x10, &value), VM_MSR_DONE);
    assert_in_range(value, 1, 1000);
    assert_int_equal(writes(0x10, 0), VM_MSR_FAULT);
    assert_int_equal(writes(0x10, value), VM_MSR_FAULT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_bitmap, start),
        cmocka_unit_test_setup(start_can_fail, start),
        cmocka_unit_test_setup(others_fault, start),
        cmocka_unit_test_setup(the_hosts_msrs, start),
        cmocka_unit_test_setup(constants, start),
        cmocka_unit_test_setup(commands, start),
        cmocka_unit_test_setup(arch_capabilities, start),
        cmocka_unit_test_setup(efer, start),
        cmocka_unit_test_setup(pat, start),
        cmocka_unit_test_setup(time_stamp_counter, start),
    };

    return cmocka_run_group_tests_name("vm_msrs", tests, NULL, NULL);
}
