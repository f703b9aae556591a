/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Operands of VMX instructions on the fake processor: every part of the VM-exit instruction information, segments,
 * registers, modes without VMX instructions, and what VMX operation asks of the control registers.
 */
#include "nested.h"
#include "cloudvisor/vmcs01.h"

enum { SIZE_32 = 1, SIZE_64 = 2 };
enum { NO_REG = 16, VECTOR_SS = 12 };

/* SDM "Format of the VM-Exit Instruction-Information Field" for a memory operand. */
struct operand {
    unsigned scale, size, segment, index, base, reg2;
};

static uint32_t info_of(struct operand o)
{
    uint32_t info = o.scale | o.size << 7 | o.segment << 15 | (uint32_t)o.reg2 << 28;

    info |= o.index == NO_REG ? UINT32_C(1) << 22 : o.index << 18;
    info |= o.base == NO_REG ? UINT32_C(1) << 27 : o.base << 23;
    return info;
}

/* VMPTRST writes its 8 bytes where the operand points; 0 if it wrote elsewhere or faulted. */
static bool stores_at(struct operand o, uint64_t displacement, uint64_t expect)
{
    phys_write64(hpa(expect), 0);
    return host_raw_instruction(EXIT_VMPTRST, info_of(o), displacement).what == SUCCEEDED &&
           phys_read64(hpa(expect)) == UINT64_MAX;
}

static const struct operand flat = { .size = SIZE_64, .segment = DS, .index = NO_REG, .base = NO_REG };

static void base_index_and_scale(void **state)
{
    struct operand o = flat;

    (void)state;
    host_vmxon();
    fake_cpu->gpr[R9] = 0x10000;
    fake_cpu->gpr[RSI] = 0x200;
    hw_vmwrite(VMCS_GUEST_RSP, 0x30000);
    assert_true(stores_at(o, 0x9008, 0x9008));
    o.base = R9;
    assert_true(stores_at(o, 0x10, 0x10010));
    assert_true(stores_at(o, (uint64_t)-16, 0xfff0));
    for (o.scale = 0; o.scale < 4; o.scale++) {
        o.index = RSI;
        assert_true(stores_at(o, 0, 0x10000 + (UINT64_C(0x200) << o.scale)));
    }
    o = flat;
    o.base = RSP; /* lives in the VMCS */
    assert_true(stores_at(o, 8, 0x30008));
    o = flat;
    o.index = RSI;
    assert_true(stores_at(o, 0x40000, 0x40200));
}

static void address_sizes(void **state)
{
    struct operand o = flat;

    (void)state;
    host_vmxon();
    fake_cpu->gpr[RBX] = UINT64_C(0x100020000);
    o.base = RBX;
    o.size = SIZE_32;
    assert_true(stores_at(o, 0x18, 0x20018));
    fake_cpu->gpr[RBX] = UINT64_MAX - 0xffff;
    o.size = SIZE_64;
    assert_true(stores_at(o, 0x19010, 0x9010));
}

static void segments_in_64bit_mode(void **state)
{
    struct operand o = flat;

    (void)state;
    host_vmxon();
    for (uint32_t s = ES; s <= GS; s++) {
        hw_vmwrite(VMCS_GUEST_ES_BASE + 2 * s, 0x10000 * (s + 1));
        hw_vmwrite(VMCS_GUEST_ES_LIMIT + 2 * s, 0); /* no limits */
    }
    for (o.segment = ES; o.segment <= DS; o.segment++)
        assert_true(stores_at(o, 0x9000, 0x9000));
    o.segment = FS;
    assert_true(stores_at(o, 0x9000, 0x59000));
    o.segment = GS;
    assert_true(stores_at(o, 0x9000, 0x69000));
}

static void non_canonical_addresses(void **state)
{
    static const struct {
        uint64_t address;
        bool la57_too;
    } bad[] = {
        { UINT64_C(0x0000800000000000), false }, { UINT64_C(0x00007ffffffffff9), false }, /* the last byte */
        { UINT64_C(0xffff7fffffffffff), false }, { UINT64_C(0x0100000000000000), true },
        { UINT64_C(0x8000000000000000), true },  { UINT64_C(0x00fffffffffffff9), true },
    };
    struct operand o = flat;

    (void)state;
    host_vmxon();
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        o.segment = DS;
        assert_faults(host_raw_instruction(EXIT_VMPTRST, info_of(o), bad[i].address), GP);
        o.segment = SS;
        assert_faults(host_raw_instruction(EXIT_VMPTRST, info_of(o), bad[i].address), VECTOR_SS);
        assert_int_equal(hw_vmread(VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE), 0);
    }
    hw_vmwrite(VMCS_GUEST_CR4, 0x26a0 | CR4_LA57);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(host_raw_instruction(EXIT_VMPTRST, info_of(o), bad[i].address).number,
                         bad[i].la57_too ? VECTOR_SS : PF);
}

/* #UD everywhere but in 64-bit mode, before privilege and operands are looked at. */
static void only_in_64bit_mode(void **state)
{
    static const struct {
        uint64_t efer, rights, ss_rights, flags;
        bool good;
    } modes[] = {
        { 0xd01, 0xa09b, 0xc093, 0x2, true },      { 0xd01, 0xc09b, 0xc093, 0x2, false }, /* compatibility mode */
        { 0xd01, 0xc09b, 0xc0f3, 0x2, false },                                            /* with CPL 3 */
        { 0x801, 0xc09b, 0xc093, 0x2, false },                                            /* 32-bit protected mode */
        { 0x801, 0xa09b, 0xc093, 0x2, false },                                            /* CS.L means nothing there */
        { 0x801, 0x00f3, 0x00f3, 0x20002, false },                                        /* virtual-8086 mode */
        { 0, 0x009b, 0x0093, 0x2, false },                                                /* real mode */
    };

    (void)state;
    host_vmxon();
    hw_vmwrite(VMCS_GUEST_RIP, 0x1000);
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        hw_vmwrite(VMCS_GUEST_IA32_EFER, modes[i].efer);
        hw_vmwrite(VMCS_GUEST_CS_ACCESS_RIGHTS, modes[i].rights);
        hw_vmwrite(VMCS_GUEST_SS_ACCESS_RIGHTS, modes[i].ss_rights);
        hw_vmwrite(VMCS_GUEST_RFLAGS, modes[i].flags);
        for (uint32_t reason = EXIT_VMCALL; reason <= EXIT_VMXON; reason++) {
            if (!modes[i].good)
                assert_faults(host_raw_instruction(reason, info_of(flat), UINT64_C(1) << 47), UD);
        }
        if (modes[i].good)
            assert_true(stores_at(flat, 0x9008, 0x9008));
    }
}

static void memory_forms_of_vmread_and_vmwrite(void **state)
{
    struct operand o = flat;

    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    o.reg2 = R10;
    fake_cpu->gpr[R10] = VMCS_TSC_OFFSET;
    phys_write64(hpa(HOST_OPERAND), UINT64_C(0x1122334455667788));
    assert_succeeds(host_raw_instruction(EXIT_VMWRITE, info_of(o), HOST_OPERAND));
    assert_int_equal(read_field(VMCS_TSC_OFFSET), UINT64_C(0x1122334455667788));
    phys_write64(hpa(HOST_OPERAND), 0);
    assert_succeeds(host_raw_instruction(EXIT_VMREAD, info_of(o), HOST_OPERAND));
    assert_int_equal(phys_read64(hpa(HOST_OPERAND)), UINT64_C(0x1122334455667788));
    assert_faults(host_raw_instruction(EXIT_VMREAD, info_of(o), UINT64_C(1) << 47), GP);
    assert_faults(host_raw_instruction(EXIT_VMWRITE, info_of(o), UINT64_C(1) << 47), GP);
    fake_cpu->gpr[R10] = 0x7ffe; /* the field is looked at before memory is written */
    assert_fails(host_raw_instruction(EXIT_VMREAD, info_of(o), UINT64_C(1) << 47), VMERR_UNSUPPORTED_FIELD);
}

static void rsp_as_a_register(void **state)
{
    const uint32_t form = UINT32_C(1) << 10 | (uint32_t)RSP << 3 | (uint32_t)RAX << 28;

    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    fake_cpu->gpr[RAX] = VMCS_TSC_OFFSET;
    hw_vmwrite(VMCS_GUEST_RSP, 0x1234);
    assert_succeeds(host_raw_instruction(EXIT_VMWRITE, form, 0));
    assert_int_equal(read_field(VMCS_TSC_OFFSET), 0x1234);
    write_field(VMCS_TSC_OFFSET, 0x5678);
    fake_cpu->gpr[RAX] = VMCS_TSC_OFFSET;
    assert_succeeds(host_raw_instruction(EXIT_VMREAD, form, 0));
    assert_int_equal(hw_vmread(VMCS_GUEST_RSP), 0x5678);
}

/* SDM "VMXON": #GP(0) if CR0 or CR4 have bits that VMX operation does not support. */
static void vmxon_checks_the_control_registers(void **state)
{
    static const struct {
        uint64_t cr0, shadow, cr4;
        bool good;
    } registers[] = {
        { 0x80050033, 0x80050033, 0x26a0, true },
        { 0x80050033, 0x80050013, 0x26a0, false }, /* the host sees CR0.NE = 0 */
        { 0x00050033, 0x00050033, 0x26a0, false }, /* CR0.PG = 0 */
        { 0x80050033, 0x80050033, 0x26a0 | UINT64_C(1) << 30, false },
        { 0x180050033, 0x180050033, 0x26a0, false },
    };

    for (size_t i = 0; i < COUNT_OF(registers); i++) {
        host_start(*(const bool *)*state);
        hw_vmwrite(VMCS_GUEST_CR0, registers[i].cr0);
        hw_vmwrite(VMCS_CR0_READ_SHADOW, registers[i].shadow);
        hw_vmwrite(VMCS_GUEST_CR4, registers[i].cr4);
        if (registers[i].good)
            assert_succeeds(host_instruction(EXIT_VMXON, HOST_VMXON));
        else
            assert_faults(host_instruction(EXIT_VMXON, HOST_VMXON), GP);
    }
}

/* In VMX operation the layer owns CR0.PE and CR0.PG, too; afterwards CR0.NE alone. */
static void vmx_operation_owns_cr0_bits(void **state)
{
    (void)state;
    hw_vmwrite(VMCS_CR0_READ_SHADOW, 0x20);
    host_vmxon();
    assert_int_equal(hw_vmread(VMCS_CR0_GUEST_HOST_MASK), CR0_NE | CR0_PE | CR0_PG);
    assert_int_equal(hw_vmread(VMCS_CR0_READ_SHADOW), 0x80050033);
    fake_cpu->init_request = 1;
    assert_succeeds(host_instruction(EXIT_VMXOFF, 0));
    assert_int_equal(hw_vmread(VMCS_CR0_GUEST_HOST_MASK), CR0_NE);
    assert_int_equal(fake_cpu->attention, 1); /* INIT was blocked until now */
}

static void what_is_no_instruction_here(void **state)
{
    (void)state;
    host_vmxon();
    assert_invalid(host_raw_instruction(EXIT_VMCALL, 0, 0));
    host_prepare_vmcs(0);
    assert_fails(host_raw_instruction(EXIT_VMCALL, 0, 0), VMERR_VMCALL_IN_ROOT);
}

static void flags_say_how_it_went(void **state)
{
    (void)state;
    hw_vmwrite(VMCS_GUEST_RFLAGS, 0x8d7 | 0x200); /* all arithmetic flags, and IF */
    host_vmxon();
    assert_int_equal(hw_vmread(VMCS_GUEST_RFLAGS), 0x202);
    assert_invalid(host_instruction(EXIT_VMPTRLD, 1));
    assert_int_equal(hw_vmread(VMCS_GUEST_RFLAGS), 0x203);
    host_prepare_vmcs(0);
    assert_fails(host_instruction(EXIT_VMPTRLD, 1), VMERR_VMPTRLD_ADDRESS);
    assert_int_equal(hw_vmread(VMCS_GUEST_RFLAGS), 0x242);
}

int main(void)
{
    static const struct nested_test tests[] = {
        TEST(base_index_and_scale),        TEST(address_sizes),
        TEST(segments_in_64bit_mode),      TEST(non_canonical_addresses),
        TEST(only_in_64bit_mode),          TEST(memory_forms_of_vmread_and_vmwrite),
        TEST(rsp_as_a_register),           TEST(vmxon_checks_the_control_registers),
        TEST(vmx_operation_owns_cr0_bits), TEST(what_is_no_instruction_here),
        TEST(flags_say_how_it_went),
    };

    return run_nested_tests("nested_operands", tests, COUNT_OF(tests));
}
