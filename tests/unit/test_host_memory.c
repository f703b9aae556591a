/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The demoted host's linear memory, without paging and in that of 64-bit mode: what is translated, what faults with
 * which error code, and that no table and no page outside the host's RAM is ever touched.
 */
#include "unit.h"
#include "fake_layer.h"
#include "cloudvisor/host_memory.h"
#include "cloudvisor/vmcs01.h"
#include "ept-guard/frames.h"
#include "ept-guard/host_ept.h"
#include "nested-vmx/vmcs_fields.h"

#define RAM_BYTES (UINT64_C(64) << 20)
#define P         UINT64_C(1) /* present */
#define W         UINT64_C(2) /* writable */
#define U         UINT64_C(4) /* user */
#define PS        UINT64_C(0x80)
#define NX        (UINT64_C(1) << 63)
#define DATA      UINT64_C(0x200000)
#define CR0_WP    UINT64_C(0x10000)
enum { FAULT_PRESENT = 1, FAULT_WRITE = 2 };

static struct {
    unsigned vector;
    bool has_error;
    uint32_t error;
} injected;

void host_inject_exception(unsigned vector, bool has_error, uint32_t error)
{
    injected.vector = vector;
    injected.has_error = has_error;
    injected.error = error;
}

/* Tables of levels 5 to 1 lie at 5000h to 1000h. */
static uint64_t table_at(unsigned level)
{
    return level * UINT64_C(0x1000);
}

static void set_entry(unsigned level, uint64_t linear, uint64_t entry)
{
    phys_write64(hpa(table_at(level) + 8 * (linear >> (12 + 9 * (level - 1)) & 511)), entry);
}

static void set_mode(uint64_t cr0, uint64_t cr4, uint64_t efer, uint64_t cr3)
{
    hw_vmwrite(VMCS_GUEST_CR0, cr0);
    hw_vmwrite(VMCS_GUEST_CR4, cr4);
    hw_vmwrite(VMCS_GUEST_IA32_EFER, efer);
    hw_vmwrite(VMCS_GUEST_CR3, cr3);
}

/* A 4-level walk for `linear` to a 4 KiB page at DATA, all of it writable. */
static void map_4k(uint64_t linear)
{
    for (unsigned level = 4; level > 1; level--)
        set_entry(level, linear, table_at(level - 1) | P | W);
    set_entry(1, linear, DATA | P | W);
}

static int start(void **state)
{
    struct mtrrs m = { .cap = 0x508, .default_type = 0xc06, .address_mask = UINT64_C(0xfffffff000) };

    (void)state;
    fake_layer_start(RAM_BYTES, 256);
    assert_true(host_ept_init(&m, 40, true, true));
    hw_vmptrld(hpa(FAKE_POOL_BASE + 0x80000));
    hw_vmwrite(VMCS_GUEST_RFLAGS, 2);
    set_mode(CR0_PG | CR0_PE | CR0_WP, CR4_PAE, EFER_LMA | EFER_LME, table_at(4));
    phys_write64(hpa(DATA), UINT64_C(0x1122334455667788));
    return 0;
}

static void assert_reads(uint64_t linear, uint64_t expect)
{
    struct host_fault fault;
    uint64_t value = 0;

    assert_true(host_read(linear, &value, sizeof(value), &fault));
    assert_int_equal(value, expect);
}

static void assert_faults(uint64_t linear, bool write, uint32_t error)
{
    struct host_fault fault = { 0 };
    uint64_t value = 0;

    if (write)
        assert_false(host_write(linear, &value, sizeof(value), &fault));
    else
        assert_false(host_read(linear, &value, sizeof(value), &fault));
    assert_int_equal(fault.address, linear);
    assert_int_equal(fault.error, error);
}

static void without_paging(void **state)
{
    (void)state;
    set_mode(CR0_PE, 0, 0, UINT64_MAX);
    assert_reads(DATA, UINT64_C(0x1122334455667788));
}

static void four_levels(void **state)
{
    const uint64_t linear = UINT64_C(0xffffa98765432000);

    (void)state;
    map_4k(linear);
    assert_reads(linear, UINT64_C(0x1122334455667788));
    assert_faults(linear + 4096, false, 0);
    for (unsigned level = 1; level <= 4; level++) {
        map_4k(linear);
        set_entry(level, linear, UINT64_MAX & ~P);
        assert_faults(linear, false, 0);
        assert_faults(linear, true, FAULT_WRITE);
    }
}

static void five_levels(void **state)
{
    const uint64_t linear = UINT64_C(0xff12a98765432000);

    (void)state;
    map_4k(linear);
    set_entry(5, linear, table_at(4) | P | W);
    set_mode(CR0_PG | CR0_PE, CR4_PAE | CR4_LA57, EFER_LMA | EFER_LME, table_at(5));
    assert_reads(linear, UINT64_C(0x1122334455667788));
    set_entry(5, linear, 0);
    assert_faults(linear, false, 0);
}

/* Bits that are not address bits, and the low bits of CR3, change nothing. */
static void high_and_low_bits(void **state)
{
    (void)state;
    map_4k(0x7000);
    set_entry(1, 0x7000, DATA | P | NX | (UINT64_C(0x7ff) << 52) | 0xf78);
    hw_vmwrite(VMCS_GUEST_CR3, table_at(4) | 0xfff); /* PCID */
    assert_reads(0x7000, UINT64_C(0x1122334455667788));
}

static void large_pages(void **state)
{
    (void)state;
    map_4k(0);
    set_entry(2, 0, PS | P | W | 0x1000); /* bit 12 is the PAT bit */
    assert_reads(table_at(4), table_at(3) | P | W);
    set_entry(2, 0x200000, DATA | PS | P | W | 0x1000);
    assert_reads(0x200000, UINT64_C(0x1122334455667788));
    set_entry(3, UINT64_C(0x40000000), PS | P | W | 0x1000);
    assert_reads(UINT64_C(0x40000000) + DATA, UINT64_C(0x1122334455667788));
}

/* Tables of 32-bit paging, with and without PAE, are not walked. */
static void paging_32bit(void **state)
{
    (void)state;
    fake_forbid(hpa(0x3000));
    set_mode(CR0_PG | CR0_PE | CR0_WP, CR4_PAE, 0, 0x3020);
    assert_faults(0xc0654000, false, 0);
    set_mode(CR0_PG | CR0_PE | CR0_WP, CR4_PSE, 0, 0x3000);
    assert_faults(0xc0013000, true, FAULT_WRITE);
}

static void write_protection(void **state)
{
    struct host_fault fault;
    uint64_t value = 42;

    (void)state;
    for (unsigned level = 1; level <= 4; level++) {
        map_4k(0x7000);
        set_entry(level, 0x7000, (level == 1 ? DATA : table_at(level - 1)) | P);
        assert_reads(0x7000, phys_read64(hpa(DATA)));
        assert_faults(0x7000, true, FAULT_PRESENT | FAULT_WRITE);
    }
    hw_vmwrite(VMCS_GUEST_CR0, CR0_PG | CR0_PE); /* CR0.WP = 0 */
    assert_true(host_write(0x7000, &value, sizeof(value), &fault));
    assert_int_equal(phys_read64(hpa(DATA)), 42);
}

static void supervisor_mode_access_prevention(void **state)
{
    (void)state;
    map_4k(0x7000);
    for (unsigned level = 2; level <= 4; level++)
        set_entry(level, 0x7000, table_at(level - 1) | P | W | U);
    set_entry(1, 0x7000, DATA | P | W | U);
    assert_reads(0x7000, UINT64_C(0x1122334455667788));
    hw_vmwrite(VMCS_GUEST_CR4, CR4_PAE | CR4_SMAP);
    assert_faults(0x7000, false, FAULT_PRESENT);
    assert_faults(0x7000, true, FAULT_PRESENT | FAULT_WRITE);
    hw_vmwrite(VMCS_GUEST_RFLAGS, 2 | RFLAGS_AC);
    assert_reads(0x7000, UINT64_C(0x1122334455667788));
    hw_vmwrite(VMCS_GUEST_RFLAGS, 2);
    set_entry(3, 0x7000, table_at(2) | P | W); /* one supervisor entry makes a supervisor page */
    assert_reads(0x7000, UINT64_C(0x1122334455667788));
}

static void operands_across_pages(void **state)
{
    struct host_fault fault;
    uint64_t value = UINT64_C(0xa1a2a3a4a5a6a7a8);

    (void)state;
    map_4k(0x7000);
    set_entry(1, 0x8000, (DATA + 0x5000) | P | W);
    assert_true(host_write(0x7ffd, &value, sizeof(value), &fault));
    assert_int_equal(phys_read64(hpa(DATA + 0x5000)) & 0xffffffffff, UINT64_C(0xa1a2a3a4a5));
    assert_reads(0x7ffd, value);
    set_entry(1, 0x8000, 0);
    phys_write64(hpa(DATA + 0xff8), 0);
    assert_false(host_write(0x7ffd, &value, sizeof(value), &fault));
    assert_int_equal(fault.address, 0x8000);
    assert_int_equal(phys_read64(hpa(DATA + 0xff8)), 0); /* nothing was written */
}

/* Tables and pages that are not the host's RAM: read as all-ones, never touched. */
static void outside_the_hosts_ram(void **state)
{
    static const uint64_t places[] = { FAKE_POOL_BASE, RAM_BYTES, UINT64_C(0xfee00000), UINT64_C(0xffffffffff000) };
    struct host_fault fault;
    uint64_t value = 42;

    (void)state;
    fake_forbid(hpa(FAKE_POOL_BASE));
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        map_4k(0x7000);
        set_entry(1, 0x7000, places[i] | P | W);
        assert_reads(0x7000, UINT64_MAX);
        assert_true(host_write(0x7000, &value, sizeof(value), &fault));
        for (unsigned level = 2; level <= 4; level++) {
            map_4k(0x7000);
            set_entry(level, 0x7000, places[i] | P | W);
            (void)host_read(0x7000, &value, sizeof(value), &fault);
            (void)host_write(0x7000, &value, sizeof(value), &fault);
        }
        hw_vmwrite(VMCS_GUEST_CR3, places[i]);
        (void)host_read(0x7000, &value, sizeof(value), &fault);
        hw_vmwrite(VMCS_GUEST_CR3, table_at(4));
    }
}

static void loops_end(void **state)
{
    struct host_fault fault;
    uint64_t value;

    (void)state;
    for (uint64_t i = 0; i < 512; i++)
        phys_write64(hpa(table_at(4) + 8 * i), table_at(4) | P | W);
    assert_true(host_read(UINT64_C(0xffff812345678000), &value, sizeof(value), &fault));
    assert_int_equal(value, table_at(4) | P | W);
}

static void writes_end_watches(void **state)
{
    struct host_fault fault;
    uint64_t value = 42;

    (void)state;
    map_4k(0x7000);
    assert_true(host_ept_watch(hpa(DATA)));
    assert_reads(0x7000, UINT64_C(0x1122334455667788));
    assert_int_equal(frame_state(hpa(DATA)), FRAME_WATCHED);
    assert_true(host_write(0x7000, &value, sizeof(value), &fault));
    assert_int_equal(frame_state(hpa(DATA)), FRAME_HOST);
    assert_int_equal(fake_frame_written, DATA);
    assert_int_equal(phys_read64(hpa(DATA)), 42);
}

static void fetches_stop_at_the_first_missing_page(void **state)
{
    uint8_t bytes[15];

    (void)state;
    map_4k(0x7000);
    hw_vmwrite(VMCS_GUEST_CS_BASE, 0x6000);
    hw_vmwrite(VMCS_GUEST_RIP, 0x1ff8);
    assert_int_equal(host_fetch(bytes, sizeof(bytes)), 8);
    set_entry(1, 0x8000, (DATA + 0x5000) | P);
    assert_int_equal(host_fetch(bytes, sizeof(bytes)), 15);
    set_entry(1, 0x7000, 0);
    assert_int_equal(host_fetch(bytes, sizeof(bytes)), 0);
}

static void faults_are_injected(void **state)
{
    struct host_fault fault = { .address = UINT64_C(0xffff800000001234), .error = 3 };

    (void)state;
    host_inject_page_fault(&fault);
    assert_int_equal(injected.vector, 14);
    assert_true(injected.has_error);
    assert_int_equal(injected.error, 3);
    assert_int_equal(hw_read_cr2(), UINT64_C(0xffff800000001234));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_paging, start),
        cmocka_unit_test_setup(four_levels, start),
        cmocka_unit_test_setup(five_levels, start),
        cmocka_unit_test_setup(high_and_low_bits, start),
        cmocka_unit_test_setup(large_pages, start),
        cmocka_unit_test_setup(paging_32bit, start),
        cmocka_unit_test_setup(write_protection, start),
        cmocka_unit_test_setup(supervisor_mode_access_prevention, start),
        cmocka_unit_test_setup(operands_across_pages, start),
        cmocka_unit_test_setup(outside_the_hosts_ram, start),
        cmocka_unit_test_setup(loops_end, start),
        cmocka_unit_test_setup(writes_end_watches, start),
        cmocka_unit_test_setup(faults_are_injected, start),
        cmocka_unit_test_setup(fetches_stop_at_the_first_missing_page, start),
    };

    return cmocka_run_group_tests_name("host_memory", tests, NULL, NULL);
}
