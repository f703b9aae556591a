/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Families vmxon, vmclear, vmptrld, vmptrst, launch, invept, invvpid, vmcall, vmxoff: each instruction with each
 * operand error, before VMX operation and in it.
 */
#include "untrusted-hypervisor-harness/core/result.h"
#include "untrusted-hypervisor-harness/core/vmx.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

/* Every VMX instruction, with harmless operands. */
static void every_instruction(const char *when)
{
    uint64_t region = vmx_page(VMX_PAGE_VMCS), value = 0;
    uint64_t descriptor[2] = { 0, 0 };

    RESULT(try_vmclear(&region), "%s.vmclear", when);
    RESULT(try_vmptrld(&region), "%s.vmptrld", when);
    RESULT(try_vmptrst(&value), "%s.vmptrst", when);
    RESULT(try_vmread(VMCS_GUEST_RIP, &value), "%s.vmread", when);
    RESULT(try_vmwrite(VMCS_GUEST_RIP, 0), "%s.vmwrite", when);
    RESULT(try_vmlaunch(), "%s.vmlaunch", when);
    RESULT(try_vmresume(), "%s.vmresume", when);
    RESULT(try_invept(2, descriptor), "%s.invept", when);
    RESULT(try_invvpid(2, descriptor), "%s.invvpid", when);
    RESULT(try_vmxoff(), "%s.vmxoff", when);
}

struct operand_case {
    const char *name;
    uint64_t address; /* of the operand in memory */
};

static const struct operand_case operand_cases[] = {
    { "missing", WINDOW(WINDOW_MISSING) },
    { "crossing", WINDOW(WINDOW_MISSING) - 4 },
    { "non-canonical", UINT64_C(0x800000000000) },
    { "read-only", WINDOW(WINDOW_READ_ONLY) },
};
enum { OPERAND_CASES = sizeof(operand_cases) / sizeof(operand_cases[0]) };

struct region_case {
    const char *name;
    uint64_t region;
};

static const struct region_case bad_regions[] = {
    { "unaligned-1", ARENA(ARENA_VMX_PAGES) + VMX_PAGE_SPARE *PAGE_SIZE + 1 },
    { "unaligned-8", ARENA(ARENA_VMX_PAGES) + VMX_PAGE_SPARE *PAGE_SIZE + 8 },
    { "unaligned-800", ARENA(ARENA_VMX_PAGES) + VMX_PAGE_SPARE *PAGE_SIZE + 0x800 },
    { "bit-62", BIT64(62) },
    { "bit-52", BIT64(52) },
    { "all-ones", UINT64_MAX },
    { "all-ones-page", UINT64_C(0xfffffffffffff000) },
    { "non-canonical", UINT64_C(0x800000000000) },
};
enum { BAD_REGIONS = sizeof(bad_regions) / sizeof(bad_regions[0]) };

typedef struct outcome (*region_instruction)(const void *operand);

static void each_bad_operand(const char *name, region_instruction instruction)
{
    uint64_t beyond = BIT64(vmx_address_bits);

    for (unsigned i = 0; i < BAD_REGIONS; i++)
        RESULT(instruction(&bad_regions[i].region), "%s.region.%s", name, bad_regions[i].name);
    RESULT(instruction(&beyond), "%s.region.beyond-width", name);
    *(uint64_t *)physical_pointer(window_physical(WINDOW_READ_ONLY)) = 1;
    for (unsigned i = 0; i < OPERAND_CASES; i++)
        RESULT(instruction(physical_pointer(operand_cases[i].address)), "%s.operand.%s", name, operand_cases[i].name);
}

static void set_revision(enum vmx_page page, uint32_t revision)
{
    clear_pages(vmx_page(page), 1);
    *(uint32_t *)physical_pointer(vmx_page(page)) = revision;
}

static void bad_revisions(const char *name, region_instruction instruction)
{
    uint64_t region = vmx_page(VMX_PAGE_SPARE);

    set_revision(VMX_PAGE_SPARE, vmx_revision ^ 1);
    RESULT(instruction(&region), "%s.revision.other", name);
    set_revision(VMX_PAGE_SPARE, 0);
    RESULT(instruction(&region), "%s.revision.zero", name);
    set_revision(VMX_PAGE_SPARE, UINT32_MAX);
    RESULT(instruction(&region), "%s.revision.all-ones", name);
}

static void vmxon_outside(void)
{
    uint64_t region = vmx_page(VMX_PAGE_VMXON);

    vmx_format_region(region);
    RESULT(try_vmxon(&region), "vmxon.cr4-vmxe-clear");
    cpu_write_cr4(cpu_read_cr4() | CR4_VMXE);
    every_instruction("ud-with-vmxe");
    each_bad_operand("vmxon", try_vmxon);
    bad_revisions("vmxon", try_vmxon);
    set_revision(VMX_PAGE_SPARE, vmx_revision | BIT32(31));
    region = vmx_page(VMX_PAGE_SPARE);
    RESULT(try_vmxon(&region), "vmxon.revision.shadow");
    cpu_write_cr0(MACHINE_CR0 & ~CR0_NE);
    region = vmx_page(VMX_PAGE_VMXON);
    RESULT(try_vmxon(&region), "vmxon.cr0-ne-clear");
    cpu_write_cr0(MACHINE_CR0);
    RESULT(try_vmxon(&region), "vmxon.good");
}

static void vmxon_again(void)
{
    uint64_t region = vmx_page(VMX_PAGE_VMXON), bad = 1;

    RESULT(try_vmxon(&region), "vmxon.in-root.no-vmcs");
    RESULT(try_vmxon(&bad), "vmxon.in-root.no-vmcs.bad-region");
    RESULT(try_vmxon(physical_pointer(WINDOW(WINDOW_MISSING))), "vmxon.in-root.operand.missing");
    vmx_format_region(vmx_page(VMX_PAGE_VMCS));
    vmx_load(vmx_page(VMX_PAGE_VMCS));
    RESULT(try_vmxon(&region), "vmxon.in-root");
    RESULT(try_vmxon(&bad), "vmxon.in-root.bad-region");
    vmx_unload();
}

static void print_current(const char *name)
{
    uint64_t region = 0;
    struct outcome o = try_vmptrst(&region);

    print("%s ", name);
    outcome_print(&o);
    print(" ");
    address_print(region);
    print_end_of_result();
}

static void vmptr_cases(void)
{
    uint64_t vmxon = vmx_page(VMX_PAGE_VMXON), first = vmx_page(VMX_PAGE_VMCS);
    uint64_t second = vmx_page(VMX_PAGE_VMCS_OTHER);

    vmx_format_region(first);
    vmx_format_region(second);
    print_current("vmptrst.none");
    RESULT(try_vmclear(&vmxon), "vmclear.vmxon-region.no-vmcs");
    RESULT(try_vmptrld(&vmxon), "vmptrld.vmxon-region.no-vmcs");
    each_bad_operand("vmclear.no-vmcs", try_vmclear);
    each_bad_operand("vmptrld.no-vmcs", try_vmptrld);
    bad_revisions("vmptrld.no-vmcs", try_vmptrld);
    RESULT(try_vmclear(&first), "vmclear.good");
    RESULT(try_vmptrld(&first), "vmptrld.good");
    print_current("vmptrst.first");
    RESULT(try_vmptrld(&first), "vmptrld.same-again");
    RESULT(try_vmclear(&vmxon), "vmclear.vmxon-region");
    RESULT(try_vmptrld(&vmxon), "vmptrld.vmxon-region");
    each_bad_operand("vmclear", try_vmclear);
    each_bad_operand("vmptrld", try_vmptrld);
    bad_revisions("vmptrld", try_vmptrld);
    print_current("vmptrst.after-errors");
    RESULT(try_vmclear(&second), "vmclear.not-current");
    print_current("vmptrst.after-vmclear-of-other");
    RESULT(try_vmptrld(&second), "vmptrld.other");
    print_current("vmptrst.second");
    RESULT(try_vmclear(&second), "vmclear.current");
    print_current("vmptrst.after-vmclear");
    RESULT(try_vmclear(&second), "vmclear.again");
}

/* Contents must follow their region through VMPTRLD of another one. */
static void contents_follow_region(void)
{
    uint64_t first = vmx_page(VMX_PAGE_VMCS), second = vmx_page(VMX_PAGE_VMCS_OTHER);

    vmx_clear(first);
    vmx_clear(second);
    vmx_load(first);
    vmx_write(VMCS_GUEST_RIP, 0x1111);
    vmx_write(VMCS_TSC_OFFSET, 0x2222);
    vmx_load(second);
    vmx_write(VMCS_GUEST_RIP, 0x3333);
    vmx_write(VMCS_TSC_OFFSET, 0x4444);
    vmx_load(first);
    RESULT_TEXT("contents.switched-back %lx %lx", vmx_read(VMCS_GUEST_RIP), vmx_read(VMCS_TSC_OFFSET));
    vmx_clear(first);
    vmx_load(second);
    RESULT_TEXT("contents.second %lx %lx", vmx_read(VMCS_GUEST_RIP), vmx_read(VMCS_TSC_OFFSET));
    vmx_load(first);
    RESULT_TEXT("contents.after-vmclear %lx %lx", vmx_read(VMCS_GUEST_RIP), vmx_read(VMCS_TSC_OFFSET));
    vmx_clear(first);
    vmx_clear(second);
}

static void vmptrst_operands(void)
{
    for (unsigned i = 0; i < OPERAND_CASES; i++)
        RESULT(try_vmptrst(physical_pointer(operand_cases[i].address)), "vmptrst.operand.%s", operand_cases[i].name);
}

static void launch_states(void)
{
    uint64_t region = vmx_page(VMX_PAGE_VMCS);

    vmx_format_region(region);
    RESULT(try_vmlaunch(), "launch.no-vmcs.vmlaunch");
    RESULT(try_vmresume(), "launch.no-vmcs.vmresume");
    RESULT(try_vmlaunch_after_mov_ss(), "launch.no-vmcs.mov-ss");
    vmx_clear(region);
    vmx_load(region);
    RESULT(try_vmresume(), "launch.clear.vmresume");
    RESULT(try_vmlaunch_after_mov_ss(), "launch.clear.mov-ss");
    RESULT(try_vmlaunch(), "launch.clear.empty-vmcs");
    RESULT(try_vmresume(), "launch.clear.vmresume-after-failure");
    vmx_unload();
}

static void invept_cases(const char *when)
{
    uint64_t descriptor[2] = { arena_page(ARENA_EPT_PAGES, 0) | 0x1e, 0 };

    if ((vmx_offer.ept_vpid & EPT_CAP_INVEPT) == 0)
        return;
    for (uint64_t type = 0; type < 6; type++)
        RESULT(try_invept(type, descriptor), "invept.%s.type-%lu", when, type);
    RESULT(try_invept(BIT64(32) + 1, descriptor), "invept.%s.type-high", when);
    RESULT(try_invept(UINT64_MAX, descriptor), "invept.%s.type-all-ones", when);
    for (unsigned bit = 0; bit < 64; bit++) {
        descriptor[0] = (arena_page(ARENA_EPT_PAGES, 0) | 0x1e) ^ BIT64(bit);
        if (bit == 7 || bit >= 12) /* bit 7 has a meaning on some processors; addresses further up are all one case */
            if (bit != 12 && bit != vmx_address_bits && bit != 51 && bit != 52 && bit != 63)
                continue;
        RESULT(try_invept(1, descriptor), "invept.%s.single.eptp-bit-%u", when, bit);
    }
    descriptor[0] = arena_page(ARENA_EPT_PAGES, 0) | 0x1e;
    descriptor[1] = 1;
    RESULT(try_invept(1, descriptor), "invept.%s.single.reserved", when);
    descriptor[0] = 0;
    RESULT(try_invept(2, descriptor), "invept.%s.all.garbage", when);
    for (unsigned i = 0; i < OPERAND_CASES; i++) {
        RESULT(try_invept(2, physical_pointer(operand_cases[i].address)), "invept.%s.operand.%s", when,
               operand_cases[i].name);
        RESULT(try_invept(7, physical_pointer(operand_cases[i].address)), "invept.%s.bad-type.operand.%s", when,
               operand_cases[i].name);
    }
}

static void invvpid_cases(const char *when)
{
    static const struct {
        const char *name;
        uint64_t vpid, linear;
    } descriptors[] = {
        { "good", 1, 0x1000 },
        { "vpid-0", 0, 0x1000 },
        { "vpid-ffff", 0xffff, 0x1000 },
        { "reserved-16", 0x10001, 0x1000 },
        { "reserved-63", UINT64_C(0x8000000000000001), 0x1000 },
        { "non-canonical", 1, UINT64_C(0x800000000000) },
        { "vpid-0-non-canonical", 0, UINT64_C(0x800000000000) },
    };

    if ((vmx_offer.ept_vpid & EPT_CAP_INVVPID) == 0)
        return;
    for (uint64_t type = 0; type < 6; type++)
        for (unsigned i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++)
            RESULT(try_invvpid(type, &descriptors[i].vpid), "invvpid.%s.type-%lu.%s", when, type, descriptors[i].name);
    RESULT(try_invvpid(BIT64(32) + 1, &descriptors[0].vpid), "invvpid.%s.type-high", when);
    for (unsigned i = 0; i < OPERAND_CASES; i++)
        RESULT(try_invvpid(2, physical_pointer(operand_cases[i].address)), "invvpid.%s.operand.%s", when,
               operand_cases[i].name);
}

static void vmxoff_cases(void)
{
    uint64_t vmxon = vmx_page(VMX_PAGE_VMXON), region = vmx_page(VMX_PAGE_VMCS);

    vmx_load(region);
    RESULT(try_vmxoff(), "vmxoff.with-vmcs");
    every_instruction("ud-after-vmxoff");
    RESULT(try_vmxon(&vmxon), "vmxoff.vmxon-again");
    print_current("vmxoff.current-after-vmxon");
    RESULT(try_vmptrld(&region), "vmxoff.vmptrld-again");
    vmx_unload();
    RESULT(try_vmxoff(), "vmxoff.without-vmcs");
}

void conformance_instructions(void)
{
    every_instruction("ud-without-vmxe");
    vmxon_outside();
    vmxon_again();
    vmptr_cases();
    contents_follow_region();
    vmptrst_operands();
    launch_states();
    invept_cases("no-vmcs");
    invvpid_cases("no-vmcs");
    vmx_load(vmx_page(VMX_PAGE_VMCS));
    invept_cases("vmcs");
    invvpid_cases("vmcs");
    vmx_unload();
    vmxoff_cases();
    cpu_write_cr4(cpu_read_cr4() & ~CR4_VMXE);
}
