/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Registers that the processor does not switch between a protected VM and its host: nothing of the guest's is left
 * for the host, nothing of the host's reaches the guest, both find their own again; and what a guest may do to its
 * debug registers and XCR0.
 */
#include "unit.h"
#include "cloudvisor/log.h"
#include "cloudvisor/vm_answers.h"
#include "cloudvisor/vmcs01.h"
#include "nested-vmx/vmcs_fields.h"

#define HOST(n)   (UINT64_C(0x4057000000000000) + (n))
#define GUEST(n)  (UINT64_C(0x6e57000000000000) + (n))
#define DR6_RESET UINT64_C(0xffff0ff0)
enum { DR7_FIXED = 0x400 };

static const uint32_t switched[] = { 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102, 0xc0000103, 0x48 };

static uint8_t xstate[XSTATE_BYTES] __attribute__((aligned(64)));
static struct vcpu vcpu;
static struct cpu cpu;
static uint32_t components; /* what the pretended processor has in XCR0 */
static uint32_t last_bytes; /* size of the last component */
static uint32_t mpx_offset; /* of a component that is not offered */
static unsigned injected;   /* vector + 1 */

void cv_panic(const char *format, ...)
{
    fprintf(stderr, "panic: %s\n", format);
    abort();
}

void host_inject_exception(unsigned vector, bool has_error, uint32_t error)
{
    assert_int_equal(injected, 0);
    assert_int_equal(has_error, vector == 13);
    assert_int_equal(error, 0);
    injected = vector + 1;
}

void host_inject_gp(void)
{
    host_inject_exception(13, true, 0);
}

void host_inject_ud(void)
{
    host_inject_exception(6, false, 0);
}

static struct hw_cpuid pretend_cpuid(uint32_t leaf, uint32_t subleaf)
{
    static const struct hw_cpuid layout[] = {
        [2] = { 0x100, 0x240, 0, 0 }, [3] = { 0x40, 0x3c0, 0, 0 },  [4] = { 0x40, 0x400, 0, 0 },
        [5] = { 0x40, 0x440, 0, 0 },  [6] = { 0x200, 0x480, 0, 0 }, [7] = { 0x400, 0x680, 0, 0 },
    };

    if (leaf != 0xd)
        return (struct hw_cpuid){ 0 };
    if (subleaf == 0)
        return (struct hw_cpuid){ .eax = components };
    if (subleaf == 4 && mpx_offset != 0)
        return (struct hw_cpuid){ 0x40, mpx_offset, 0, 0 };
    if (subleaf == 7 && last_bytes != 0)
        return (struct hw_cpuid){ last_bytes, 0x680, 0, 0 };
    return subleaf < COUNT_OF(layout) ? layout[subleaf] : (struct hw_cpuid){ 0 };
}

static void start_processor(uint32_t xcr0)
{
    fake_reset();
    fake_cpuid = pretend_cpuid;
    components = xcr0;
    last_bytes = mpx_offset = 0;
    injected = 0;
    hw_vmptrld(hpa(0x1000));
    for (size_t i = 0; i < COUNT_OF(switched); i++)
        fake_msr_set(switched[i], 0);
    assert_true(vm_registers_init());
    memset(xstate, 0, sizeof(xstate));
    memset(&cpu, 0, sizeof(cpu));
    vcpu = (struct vcpu){ .regs.xstate = xstate };
    vm_registers_reset(&vcpu);
}

static int start(void **state)
{
    (void)state;
    start_processor(0xff);
    return 0;
}

/* Fills every register with a value of the owner's; XCR0 is loaded last. */
static void fill(uint64_t owner, uint64_t xcr0, uint64_t dr6)
{
    const uint64_t dr[4] = { owner + 1, owner + 2, owner + 3, owner + 4 };

    for (unsigned i = 0; i < COUNT_OF(switched); i++)
        fake_msr_set(switched[i], owner + 16 + i);
    hw_write_breakpoints(dr);
    hw_write_dr6(dr6);
    hw_write_cr2(owner + 5);
    for (unsigned i = 0; i < FAKE_COMPONENTS; i++)
        fake_vectors.component[i] = owner + 32 + i;
    fake_vectors.fcw = (uint16_t)(owner >> 48);
    fake_vectors.mxcsr = (uint32_t)(owner >> 48) & 0xffbf;
    assert_true(hw_xsetbv_safe(0, xcr0));
}

static void assert_scalars(uint64_t owner, uint64_t xcr0, uint64_t dr6)
{
    uint64_t dr[4];

    for (unsigned i = 0; i < COUNT_OF(switched); i++)
        assert_int_equal(fake_msr_get(switched[i]), owner + 16 + i);
    hw_read_breakpoints(dr);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(dr[i], owner + 1 + i);
    assert_int_equal(hw_read_dr6(), dr6);
    assert_int_equal(hw_read_cr2(), owner + 5);
    assert_int_equal(hw_xgetbv(0), xcr0);
}

/* Components of `offered` are `owner`'s (0: initial), others the host's. */
static void assert_vectors(uint64_t owner, uint32_t offered)
{
    for (unsigned i = 0; i < FAKE_COMPONENTS; i++) {
        uint64_t in_offer = owner == 0 ? 0 : owner + 32 + i;

        assert_int_equal(fake_vectors.component[i], (offered >> i & 1) != 0 ? in_offer : HOST(32 + i));
    }
    assert_int_equal(fake_vectors.fcw, owner == 0 ? 0x37f : (uint16_t)(owner >> 48));
    assert_int_equal(fake_vectors.mxcsr, owner == 0 ? 0x1f80 : (uint32_t)(owner >> 48) & 0xffbf);
}

static void the_guest_finds_the_state_after_init(void **state)
{
    uint64_t dr[4];

    (void)state;
    fill(HOST(0), 0xff, 0xffff2ff0);
    vm_registers_load(&vcpu);
    for (unsigned i = 0; i < COUNT_OF(switched); i++)
        assert_int_equal(fake_msr_get(switched[i]), 0);
    hw_read_breakpoints(dr);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(dr[i], 0);
    assert_int_equal(hw_read_dr6(), DR6_RESET);
    assert_int_equal(hw_read_cr2(), 0);
    assert_int_equal(hw_xgetbv(0), 1);
    assert_vectors(0, 0xe7);
}

static void nothing_is_left_for_the_host(void **state)
{
    (void)state;
    fill(HOST(0), 0xff, 0xffff2ff0);
    vm_registers_load(&vcpu);
    for (unsigned i = 3; i <= 4; i++) /* MPX is not the guest's */
        assert_int_equal(fake_vectors.component[i], HOST(32 + i));
    fill(GUEST(0), 0xe7, 0xffff4ff1);
    fake_vectors.component[3] = HOST(35);
    fake_vectors.component[4] = HOST(36);
    vm_registers_save(&vcpu);
    assert_scalars(HOST(0), 0xff, 0xffff2ff0);
    assert_vectors(0, 0xe7);
}

static void both_find_their_own(void **state)
{
    (void)state;
    fill(HOST(0), 0x7, 0xffff2ff0);
    vm_registers_load(&vcpu);
    fill(GUEST(0), 0xe7, 0xffff4ff1);
    for (unsigned i = 0; i < 3; i++) {
        vm_registers_save(&vcpu);
        assert_scalars(HOST(0), 0x7, 0xffff2ff0);
        fake_vectors.component[3] = HOST(35);
        fake_vectors.component[4] = HOST(36);
        fake_vectors.component[0] = fake_vectors.component[2] = fake_vectors.component[7] = HOST(0);
        fake_vectors.mxcsr = 0x1fa0;
        vm_registers_load(&vcpu);
        assert_scalars(GUEST(0), 0xe7, 0xffff4ff1);
        assert_vectors(GUEST(0), 0xe7);
    }
}

/* A guest may clear a bit of XCR0 and keeps what is in the component: it must neither leak nor be lost. */
static void components_outside_xcr0(void **state)
{
    static const uint64_t xcr0[] = { 0x1, 0x3, 0x7, 0xe7 };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(xcr0); i++) {
        start_processor(0xff);
        fill(HOST(0), 0xff, DR6_RESET);
        vm_registers_load(&vcpu);
        fill(GUEST(0), 0xe7, DR6_RESET);
        fake_vectors.component[3] = HOST(35);
        fake_vectors.component[4] = HOST(36);
        assert_true(vm_xsetbv(0, xcr0[i]));
        vm_registers_save(&vcpu);
        assert_vectors(0, 0xe7);
        vm_registers_load(&vcpu);
        assert_int_equal(hw_xgetbv(0), xcr0[i]);
        assert_vectors(GUEST(0), 0xe7);
    }
}

static void a_processor_with_less(void **state)
{
    (void)state;
    fake_reset();
    start_processor(0x7);
    assert_int_equal(vm_xcr0_offer, 0x7);
    assert_int_equal(vm_xsave_bytes, 0x340);
    start_processor(0x3);
    assert_int_equal(vm_xcr0_offer, 0x3);
    assert_int_equal(vm_xsave_bytes, 576);
    assert_false(vm_xsetbv(0, 7));
    assert_true(vm_xsetbv(0, 3));
    start_processor(0x2ff);
    mpx_offset = 0xb00;
    assert_true(vm_registers_init());
    assert_int_equal(vm_xcr0_offer, 0xe7);
    assert_int_equal(vm_xsave_bytes, 2688);
}

/* STAR and KERNEL_GS_BASE are all that a processor must have. */
static void missing_msrs_are_left_alone(void **state)
{
    (void)state;
    fake_reset();
    fake_cpuid = pretend_cpuid;
    fake_msr_set(0xc0000081, 1);
    fake_msr_set(0xc0000102, 2);
    assert_true(vm_registers_init());
    vm_registers_load(&vcpu);
    fake_msr_set(0xc0000102, 3);
    vm_registers_save(&vcpu);
    assert_int_equal(fake_msr_get(0xc0000081), 1);
    assert_int_equal(fake_msr_get(0xc0000102), 2);
    vm_registers_load(&vcpu);
    assert_int_equal(fake_msr_get(0xc0000102), 3);
}

static void a_state_too_large_is_refused(void **state)
{
    (void)state;
    last_bytes = XSTATE_BYTES - 0x680;
    assert_true(vm_registers_init());
    last_bytes++;
    assert_false(vm_registers_init());
}

/* Equal values are not written. */
static void needless_writes(void **state)
{
    (void)state;
    vm_registers_load(&vcpu);
    fake_counts.wrmsr = fake_counts.dr_writes = 0;
    vm_registers_save(&vcpu);
    vm_registers_load(&vcpu);
    assert_int_equal(fake_counts.wrmsr, 0);
    assert_int_equal(fake_counts.dr_writes, 0);
}

static void reset_forgets_all_but_the_area(void **state)
{
    (void)state;
    vm_registers_load(&vcpu);
    fill(GUEST(0), 0xe7, 0xffff4ff1);
    vm_registers_save(&vcpu);
    vcpu.regs.gpr[RDX] = 1;
    vm_registers_reset(&vcpu);
    assert_ptr_equal(vcpu.regs.xstate, xstate);
    for (unsigned i = 0; i < GPR_COUNT; i++)
        assert_int_equal(vcpu.regs.gpr[i], 0);
    the_guest_finds_the_state_after_init(state);
}

static void xsetbv(void **state)
{
    (void)state;
    vm_registers_load(&vcpu);
    assert_false(vm_xsetbv(1, 7));
    assert_false(vm_xsetbv(UINT32_MAX, 1));
    assert_false(vm_xsetbv(0, UINT64_C(1) << 32 | 7));
    assert_false(vm_xsetbv(0, UINT64_C(1) << 63 | 7));
    for (uint64_t value = 0; value < 0x400; value++) {
        bool valid = value == 1 || value == 3 || value == 7 || value == 0xe7;

        assert_int_equal(vm_xsetbv(0, value), valid);
        if (valid)
            assert_int_equal(hw_xgetbv(0), value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_guest_finds_the_state_after_init, start),
        cmocka_unit_test_setup(nothing_is_left_for_the_host, start),
        cmocka_unit_test_setup(both_find_their_own, start),
        cmocka_unit_test_setup(components_outside_xcr0, start),
        cmocka_unit_test_setup(a_processor_with_less, start),
        cmocka_unit_test_setup(missing_msrs_are_left_alone, start),
        cmocka_unit_test_setup(a_state_too_large_is_refused, start),
        cmocka_unit_test_setup(needless_writes, start),
        cmocka_unit_test_setup(reset_forgets_all_but_the_area, start),
        cmocka_unit_test_setup(xsetbv, start),
    };

    return cmocka_run_group_tests_name("vm_registers", tests, NULL, NULL);
}
