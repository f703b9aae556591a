/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Families msr, io, mask and tsc: what the MSR and I/O bitmaps, the CR0 and CR4 guest/host masks and the TSC offset
 * decide, bit by bit.
 */
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/exit_info.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/vmx.h"
#include "untrusted-hypervisor-harness/suites/check.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

static struct vcpu vcpu;

static void run_line(void)
{
    run_result(&vcpu, vcpu_run(&vcpu));
    vcpu_revert(&vcpu);
}

static void set_processor_controls(uint32_t set, uint32_t clear)
{
    uint64_t base = vcpu.field[FIELD_PROCESSOR_BASED_CONTROLS];

    vcpu_set(&vcpu, FIELD_PROCESSOR_BASED_CONTROLS, (base | set) & ~(uint64_t)clear);
}

/* --- MSR bitmap --- */

enum { MSR_READ_LOW = 0, MSR_READ_HIGH = 1024, MSR_WRITE_LOW = 2048, MSR_WRITE_HIGH = 3072 };

static const uint32_t bitmap_msrs[] = {
    0x0,         0x10,          0x1b,       0x3a,       0x174,      0x1d9,    0x277,
    0x1fff,      0x2000,        0x40000000, 0xbfffffff, MSR_EFER,   MSR_STAR, MSR_LSTAR,
    MSR_FS_BASE, MSR_KERNEL_GS, 0xc0001fff, 0xc0002000, 0xffffffff,
};

static void access_msr(const char *bitmap, uint32_t msr, bool write)
{
    vcpu_set_code(&vcpu, write ? "0f 30" : "0f 32");
    set_processor_controls(PROC_MSR_BITMAPS, 0);
    vcpu.reg[REG_RCX] = msr;
    print("msr.bitmap-%s.%s.%x ", bitmap, write ? "write" : "read", msr);
    run_line();
}

/* All bits set: every access exits. Only the bits of the other direction or half set: none does. */
static void msr_bitmap_decides(void)
{
    uint8_t *bitmap = physical_pointer(vmx_page(VMX_PAGE_MSR_BITMAP));

    fill_bytes(bitmap, 0xff, PAGE_SIZE);
    for (unsigned i = 0; i < ARRAY_COUNT(bitmap_msrs); i++) {
        access_msr("ones", bitmap_msrs[i], false);
        access_msr("ones", bitmap_msrs[i], true);
    }
    for (unsigned i = 0; i < ARRAY_COUNT(bitmap_msrs); i++) {
        uint32_t msr = bitmap_msrs[i], low = msr & 0x1fff;
        bool high = msr >= 0xc0000000;

        if (msr != 0x174 && msr != MSR_STAR && msr != MSR_LSTAR && msr != 0x40000000)
            continue;
        fill_bytes(bitmap, 0, PAGE_SIZE);
        bitmap[(high ? MSR_READ_HIGH : MSR_READ_LOW) + low / 8] = (uint8_t)(1u << low % 8);
        access_msr("read-bit", msr, false);
        access_msr("read-bit", msr, true);
        fill_bytes(bitmap, 0, PAGE_SIZE);
        bitmap[(high ? MSR_WRITE_HIGH : MSR_WRITE_LOW) + low / 8] = (uint8_t)(1u << low % 8);
        access_msr("write-bit", msr, false);
        access_msr("write-bit", msr, true);
        fill_bytes(bitmap, 0xff, PAGE_SIZE);
        bitmap[(high ? MSR_READ_HIGH : MSR_READ_LOW) + low / 8] ^= (uint8_t)(1u << low % 8);
        access_msr("all-but-read-bit", msr, false);
        access_msr("all-but-read-bit", msr, true);
    }
    fill_bytes(bitmap, 0, PAGE_SIZE);
}

/* The bitmap changes between two entries without any VMWRITE. */
static void msr_bitmap_changes(void)
{
    uint8_t *byte = (uint8_t *)physical_pointer(vmx_page(VMX_PAGE_MSR_BITMAP)) + MSR_READ_LOW + MSR_SYSENTER_CS / 8;

    for (unsigned step = 0; step < 4; step++) {
        *byte = step % 2 == 0 ? 0 : 1u << MSR_SYSENTER_CS % 8;
        vcpu_set_code(&vcpu, "b9 74 01 00 00 0f 32");
        set_processor_controls(PROC_MSR_BITMAPS, 0);
        print("msr.bitmap-changes.step-%u ", step);
        run_line();
    }
    *byte = 0;
}

/* Reads and writes that don't exit: the guest sees its own values, and #GP where there is no MSR. */
static const struct {
    const char *name, *code;
} msr_cases[] = {
    { "sysenter-cs", "b9 74 01 00 00 b8 78 56 34 12 31 d2 0f 30 31 c0 0f 32" },
    { "star", "b9 81 00 00 c0 b8 78 56 34 12 ba 44 33 22 11 0f 30 31 c0 0f 32 89 d3" },
    { "lstar.non-canonical", "b9 82 00 00 c0 31 c0 ba 00 80 00 00 0f 30" },
    { "kernel-gs", "b9 02 01 00 c0 b8 78 56 34 12 31 d2 0f 30 31 c0 0f 32" },
    { "fs-base", "b9 00 01 00 c0 b8 78 56 34 12 31 d2 0f 30 31 c0 0f 32" },
    { "efer.read", "b9 80 00 00 c0 0f 32" },
    { "efer.set-sce", "b9 80 00 00 c0 0f 32 83 c8 01 0f 30 0f 32" },
    { "efer.clear-lme", "b9 80 00 00 c0 0f 32 80 e4 fe 0f 30" },
    { "efer.reserved", "b9 80 00 00 c0 0f 32 0d 00 00 10 00 0f 30" },
    { "pat.read", "b9 77 02 00 00 0f 32" },
    { "pat.bad", "b9 77 02 00 00 b8 02 00 00 00 31 d2 0f 30" },
    { "debugctl.read", "b9 d9 01 00 00 0f 32" },
    { "feature-control.read", "b9 3a 00 00 00 0f 32" },
    { "feature-control.write", "b9 3a 00 00 00 0f 32 0f 30" },
    { "apic-base.read", "b9 1b 00 00 00 0f 32" },
    { "mtrr-cap.read", "b9 fe 00 00 00 0f 32" },
    { "mtrr-cap.write", "b9 fe 00 00 00 0f 32 0f 30" },
    { "unknown.read", "b9 45 23 01 00 0f 32" },
    { "unknown.write", "b9 45 23 01 00 0f 30" },
    { "unknown.high.read", "b9 fe 1f 00 c0 0f 32" },
};

static void msr_passes_through(void)
{
    for (unsigned i = 0; i < ARRAY_COUNT(msr_cases); i++) {
        vcpu_set_code(&vcpu, msr_cases[i].code);
        set_processor_controls(PROC_MSR_BITMAPS, 0);
        print("msr.through.%s ", msr_cases[i].name);
        run_print(&vcpu, vcpu_run(&vcpu));
        print(" eax=%lx edx=%lx", vcpu.reg[REG_RAX], vcpu.reg[REG_RDX]);
        print_end_of_result();
        vcpu_revert(&vcpu);
    }
    cpu_write_msr(MSR_STAR, 0);
    cpu_write_msr(MSR_KERNEL_GS, 0);
}

static void msr_without_bitmap(void)
{
    for (unsigned write = 0; write < 2; write++) {
        vcpu_set_code(&vcpu, write ? "b9 74 01 00 00 0f 30" : "b9 74 01 00 00 0f 32");
        set_processor_controls(0, PROC_MSR_BITMAPS);
        print("msr.no-bitmap.%s ", write ? "write" : "read");
        run_line();
    }
}

/* --- I/O bitmaps --- */

struct io_case {
    uint16_t port;
    uint8_t size;
    uint16_t bit; /* the only bit that is set */
};

/* Ports where nothing is; both sides of the border between the bitmaps and of the end. */
static const struct io_case io_cases[] = {
    { 0x80, 1, 0x80 },     { 0x80, 1, 0x81 },     { 0x80, 1, 0x7f },     { 0x80, 2, 0x81 },     { 0x80, 2, 0x82 },
    { 0x80, 4, 0x83 },     { 0x80, 4, 0x84 },     { 0x7fff, 1, 0x7fff }, { 0x7fff, 1, 0x8000 }, { 0x7fff, 2, 0x8000 },
    { 0x7ffe, 4, 0x8001 }, { 0x7ffe, 4, 0x8002 }, { 0x8000, 1, 0x8000 }, { 0x8000, 1, 0x7fff }, { 0x8000, 4, 0x8003 },
    { 0xffff, 1, 0xffff }, { 0xffff, 1, 0xfffe }, { 0xffff, 2, 0 },      { 0xfffe, 4, 0 },      { 0xfffd, 2, 0xfffe },
    { 0xfffd, 2, 0xfffc }, { 0x87, 2, 0x88 },     { 0x87, 1, 0x88 },     { 0, 1, 0xffff },
};

static uint8_t *io_bitmap(uint16_t port)
{
    uint8_t *page = physical_pointer(vmx_page(port < 0x8000 ? VMX_PAGE_IO_BITMAP_A : VMX_PAGE_IO_BITMAP_B));

    return &page[(port & 0x7fff) / 8];
}

static const char *in_code(unsigned size)
{
    return size == 1 ? "ec" : size == 2 ? "66 ed" : "ed";
}

static void io_bitmap_decides(void)
{
    for (unsigned i = 0; i < ARRAY_COUNT(io_cases); i++) {
        const struct io_case *c = &io_cases[i];

        *io_bitmap(c->bit) |= (uint8_t)(1u << c->bit % 8);
        vcpu_set_code(&vcpu, in_code(c->size));
        vcpu.reg[REG_RDX] = c->port;
        set_processor_controls(PROC_IO_BITMAPS, 0);
        print("io.bitmap.%x-%u.bit-%x ", c->port, c->size, c->bit);
        run_line();
        *io_bitmap(c->bit) = 0;
    }
}

static void io_bitmap_over_unconditional(void)
{
    static const struct {
        const char *name;
        uint32_t set;
    } controls[] = {
        { "none", 0 },
        { "unconditional", PROC_UNCONDITIONAL_IO_EXITING },
        { "bitmap", PROC_IO_BITMAPS },
        { "both", PROC_UNCONDITIONAL_IO_EXITING | PROC_IO_BITMAPS },
    };

    for (unsigned i = 0; i < ARRAY_COUNT(controls); i++) {
        vcpu_set_code(&vcpu, "ec");
        set_processor_controls(controls[i].set, (PROC_UNCONDITIONAL_IO_EXITING | PROC_IO_BITMAPS) & ~controls[i].set);
        print("io.controls.%s ", controls[i].name);
        run_line();
    }
}

static void io_bitmap_changes(void)
{
    for (unsigned step = 0; step < 4; step++) {
        *io_bitmap(0x80) = (uint8_t)(step % 2);
        vcpu_set_code(&vcpu, "e4 80");
        set_processor_controls(PROC_IO_BITMAPS, 0);
        print("io.bitmap-changes.step-%u ", step);
        run_line();
    }
    *io_bitmap(0x80) = 0;
}

/* --- CR0 and CR4 --- */

static const uint8_t cr0_bits[] = { 1, 2, 3, 4, 16, 18, 29, 30 };
static const uint8_t cr4_bits[] = { 0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 13, 16, 17, 18, 20, 21 };

static char flip_code[64];

/* mov eax, cr; btc eax, bit; mov cr, eax; mov eax, cr */
static const char *code_that_flips(unsigned cr, unsigned bit)
{
    static const char hex[] = "0123456789abcdef";
    const char *text = cr == 0 ? "0f 20 c0 0f ba f8 .. 0f 22 c0 0f 20 c0" : "0f 20 e0 0f ba f8 .. 0f 22 e0 0f 20 e0";
    unsigned i = 0;

    for (; text[i] != '\0'; i++)
        flip_code[i] = text[i];
    flip_code[i] = '\0';
    flip_code[18] = hex[bit >> 4];
    flip_code[19] = hex[bit & 15];
    return flip_code;
}

static void flip_bit(unsigned cr, unsigned bit, bool masked, bool shadow)
{
    enum vmcs_index mask = cr == 0 ? FIELD_CR0_GUEST_HOST_MASK : FIELD_CR4_GUEST_HOST_MASK;
    enum vmcs_index read = cr == 0 ? FIELD_CR0_READ_SHADOW : FIELD_CR4_READ_SHADOW;

    vcpu_set_code(&vcpu, code_that_flips(cr, bit));
    vcpu_set(&vcpu, mask, masked ? BIT64(bit) : ~BIT64(bit));
    vcpu_set(&vcpu, read, masked ? (shadow ? BIT64(bit) : 0) : vcpu.field[cr == 0 ? FIELD_GUEST_CR0 : FIELD_GUEST_CR4]);
    print("mask.cr%u.bit-%u.%s ", cr, bit, !masked ? "guest-owned" : shadow ? "host-owned-1" : "host-owned-0");
    run_print(&vcpu, vcpu_run(&vcpu));
    print(" rax=%lx", vcpu.reg[REG_RAX]);
    print_end_of_result();
    vcpu_revert(&vcpu);
}

static void masks(unsigned cr, const uint8_t *bits, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        flip_bit(cr, bits[i], false, false);
        flip_bit(cr, bits[i], true, false);
        flip_bit(cr, bits[i], true, true);
        machine_restore(); /* CR0.CD and CR0.NW survive VM exits */
    }
}

/* --- TSC --- */

/* The guest's TSC minus the host's, in units far above what a VM entry takes. */
static void tsc_line(const char *name, const char *code, uint64_t offset, bool offsetting)
{
    uint64_t before, guest;

    vcpu_set_code(&vcpu, code);
    set_processor_controls(PROC_MSR_BITMAPS | (offsetting ? PROC_TSC_OFFSETTING : 0), 0);
    vcpu_set(&vcpu, FIELD_TSC_OFFSET, offset);
    before = cpu_read_tsc();
    print("tsc.%s.offset-%lx ", name, offset);
    run_print(&vcpu, vcpu_run(&vcpu));
    guest = vcpu.reg[REG_RDX] << 32 | (vcpu.reg[REG_RAX] & UINT32_MAX);
    print(" difference=%lx", (guest - before) >> 32);
    print_end_of_result();
    vcpu_revert(&vcpu);
}

static void tsc_offsets(void)
{
    static const uint64_t offsets[] = { 0, UINT64_C(0x12300000000), UINT64_C(0xfffffff000000000) };

    for (unsigned i = 0; i < ARRAY_COUNT(offsets); i++) {
        tsc_line("rdtsc", "0f 31", offsets[i], true);
        tsc_line("rdmsr", "b9 10 00 00 00 0f 32", offsets[i], true);
        tsc_line("rdtsc.off", "0f 31", offsets[i], false);
    }
}

void conformance_bitmaps(void)
{
    vmx_enable();
    clear_pages(vmx_page(VMX_PAGE_IO_BITMAP_A), 2);
    clear_pages(vmx_page(VMX_PAGE_MSR_BITMAP), 1);
    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_DIRECT);
    msr_bitmap_decides();
    msr_bitmap_changes();
    msr_passes_through();
    msr_without_bitmap();
    io_bitmap_decides();
    io_bitmap_over_unconditional();
    io_bitmap_changes();
    masks(0, cr0_bits, ARRAY_COUNT(cr0_bits));
    masks(4, cr4_bits, ARRAY_COUNT(cr4_bits));
    tsc_offsets();
    vmx_disable();
}
