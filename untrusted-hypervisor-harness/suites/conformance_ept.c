/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Family ept: permissions, memory types, reserved bits and misconfigurations at every level with every access,
 * accessed and dirty flags, execute-only pages, changes followed by INVEPT, and violations while the guest's own
 * page tables are walked.
 */
#include <stddef.h>
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/exit_info.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/result.h"
#include "untrusted-hypervisor-harness/core/vmx.h"
#include "untrusted-hypervisor-harness/suites/check.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

/*
 * A second region of guest-physical memory, all of whose paging structures tests may spoil: nothing else of the guest
 * is there. The guest's last linear pages lead to it.
 */
#define PROBE_GPA    UINT64_C(0x40000000) /* 1 GiB: entries of its own from the third level down */
#define PROBE_LINEAR UINT64_C(0x40000)

struct access {
    const char *name, *code;
};

/* mov esi, 40000h; then the access */
static const struct access accesses[] = {
    { "read", "be 00 00 04 00 8b 06" },
    { "write", "be 00 00 04 00 89 06" },
    { "modify", "be 00 00 04 00 ff 06" },
    { "fetch", "be 00 00 04 00 ff e6" },
};

static struct vcpu vcpu;

/* What the probe's page begins with: an instruction that exits, which is also recognisable data. */
static void fill_probe_memory(void)
{
    copy_bytes(physical_pointer(ARENA(ARENA_GUEST_ALT)), "\x0f\x01\xc1\0\0\0\0\0", 8);
}

/* Maps the probe with one page of the given size, of which the guest uses the first 4 KiB. */
static uint64_t *map_probe(enum ept_level level)
{
    /* A 1 GiB page at physical 0: the probe's linear page leads to the right offset in it. */
    uint64_t offset = level == EPT_LEVEL_1G ? ARENA(ARENA_GUEST_ALT) : 0;
    uint64_t *pt = guest_pointer(vcpu.memory, GUEST_PT);

    ept_init(&vcpu.ept, 0, 64);
    ept_map_range(&vcpu.ept, 0, vcpu.memory, GUEST_RAM_SIZE, EPT_LEVEL_4K, EPT_ALL | EPT_WB);
    ept_map(&vcpu.ept, PROBE_GPA, ARENA(ARENA_GUEST_ALT) - offset, level, EPT_ALL | EPT_WB);
    pt[PROBE_LINEAR / PAGE_SIZE] = (PROBE_GPA + offset) | 0x67;
    vcpu_set_base(&vcpu, FIELD_EPT_POINTER, ept_pointer(&vcpu.ept));
    return ept_entry(&vcpu.ept, PROBE_GPA, level);
}

static void run_access(const struct access *a)
{
    vcpu_set_code(&vcpu, a->code);
    fill_probe_memory();
    ept_invalidate();
    run_print(&vcpu, vcpu_run(&vcpu));
    vcpu_revert(&vcpu);
}

static void line_of_access(const struct access *a, const char *what, uint64_t value)
{
    print("ept.%s-%lx.%s ", what, value, a->name);
    run_access(a);
    print_end_of_result();
}

static const char *const level_names[] = { NULL, "4k", "2m", "1g", "pml4" };

/* All accesses with `entry` holding `value`. */
static void entry_value(uint64_t *entry, uint64_t value, const char *name, unsigned level, uint64_t shown)
{
    uint64_t saved = *entry;

    for (unsigned i = 0; i < ARRAY_COUNT(accesses); i++) {
        *entry = value;
        print("ept.%s.%s-%lx.%s ", level_names[level], name, shown, accesses[i].name);
        run_access(&accesses[i]);
        print_end_of_result();
        *entry = saved;
    }
}

static void leaf_cases(enum ept_level level)
{
    uint64_t *entry = map_probe(level), good = *entry;

    for (uint64_t rights = 0; rights < 8; rights++)
        entry_value(entry, (good & ~EPT_ALL) | rights, "leaf-rights", level, rights);
    for (uint64_t type = 0; type < 8; type++)
        entry_value(entry, (good & ~EPT_TYPE(7)) | EPT_TYPE(type), "leaf-type", level, type);
    for (unsigned bit = 6; bit < 12; bit++)
        if (bit != 7 || level == EPT_LEVEL_4K) /* the size bit is ignored in a 4 KiB entry */
            entry_value(entry, good | BIT64(bit), "leaf-bit", level, bit);
    for (unsigned bit = 12; bit < 12 + 9 * (level - 1u); bit += 4)
        entry_value(entry, good | BIT64(bit), "leaf-address-low-bit", level, bit);
    for (unsigned bit = vmx_address_bits; bit < 64; bit++)
        if (bit < 53 || bit == 61 || bit == 62 || bit == 63)
            entry_value(entry, good | BIT64(bit), "leaf-bit", level, bit);
    /* Misconfigured and without rights: no rights means not present, and nothing else counts. */
    entry_value(entry, (good & ~EPT_ALL) | EPT_TYPE(7) | BIT64(51), "leaf-absent-garbage", level, 0);
}

/* Table entries above a 4 KiB page. */
static void table_cases(enum ept_level level)
{
    uint64_t *entry, good;

    map_probe(EPT_LEVEL_4K);
    entry = ept_entry(&vcpu.ept, PROBE_GPA, level);
    good = *entry;
    for (uint64_t rights = 0; rights < 8; rights++)
        entry_value(entry, (good & ~EPT_ALL) | rights, "table-rights", level, rights);
    for (unsigned bit = 3; bit < 12; bit++)
        if (bit != 7)
            entry_value(entry, good | BIT64(bit), "table-bit", level, bit);
    if (level == EPT_LEVEL_PML4)
        entry_value(entry, good | EPT_LARGE, "table-bit", level, 7);
    for (unsigned bit = vmx_address_bits; bit < 64; bit += 3)
        entry_value(entry, good | BIT64(bit), "table-bit", level, bit);
}

/* Entries of the table above restrict those below. */
static void combined_rights(void)
{
    uint64_t *leaf = map_probe(EPT_LEVEL_4K), *table = ept_entry(&vcpu.ept, PROBE_GPA, EPT_LEVEL_2M);
    static const uint8_t rights[] = { 1, 3, 4, 5, 7 };

    for (unsigned t = 0; t < sizeof(rights); t++)
        for (unsigned l = 0; l < sizeof(rights); l++)
            for (unsigned i = 0; i < ARRAY_COUNT(accesses); i++) {
                *table = (*table & ~EPT_ALL) | rights[t];
                *leaf = (*leaf & ~EPT_ALL) | rights[l];
                print("ept.combined-%u-%u.", rights[t], rights[l]);
                print("%s ", accesses[i].name);
                run_access(&accesses[i]);
                print_end_of_result();
            }
    *table |= EPT_ALL;
    *leaf |= EPT_ALL;
}

#define AD (EPT_ACCESSED | EPT_DIRTY)

static void print_flags(enum ept_level from)
{
    for (unsigned level = EPT_LEVEL_PML4; level >= from; level--)
        print(" %s:%lx", level_names[level], *ept_entry(&vcpu.ept, PROBE_GPA, level) & AD);
}

static void clear_flags(enum ept_level from)
{
    for (unsigned level = EPT_LEVEL_PML4; level >= from; level--)
        *ept_entry(&vcpu.ept, PROBE_GPA, level) &= ~AD;
}

/* Accessed and dirty flags, on and off; a page that is written after it was read; guest page-table pages. */
static void accessed_and_dirty(enum ept_level level, bool on)
{
    uint64_t pointer;

    if (on && (vmx_offer.ept_vpid & EPT_CAP_ACCESSED_DIRTY) == 0)
        return;
    map_probe(level);
    pointer = ept_pointer(&vcpu.ept) | (on ? EPTP_AD : 0);
    for (unsigned i = 0; i < ARRAY_COUNT(accesses); i++) {
        clear_flags(level);
        *ept_entry(&vcpu.ept, GUEST_PT, EPT_LEVEL_4K) &= ~AD;
        vcpu_set(&vcpu, FIELD_EPT_POINTER, pointer);
        print("ept.%s.ad-%s.%s ", level_names[level], on ? "on" : "off", accesses[i].name);
        run_access(&accesses[i]);
        print_flags(level);
        print(" guest-pt:%lx", *ept_entry(&vcpu.ept, GUEST_PT, EPT_LEVEL_4K) & AD);
        print_end_of_result();
    }
    clear_flags(level);
    vcpu_set(&vcpu, FIELD_EPT_POINTER, pointer);
    print("ept.%s.ad-%s.read-then-write ", level_names[level], on ? "on" : "off");
    vcpu_set_code(&vcpu, "be 00 00 04 00 8b 06 89 06");
    ept_invalidate();
    run_print(&vcpu, vcpu_run(&vcpu));
    vcpu_revert(&vcpu);
    print_flags(level);
    print_end_of_result();
}

/* The guest's page-table pages without some rights; with A/D on, page walks count as writes. */
static void walked_page(const char *name, uint64_t page, bool ad_on)
{
    for (uint64_t rights = 0; rights < 8; rights++) {
        uint64_t *entry, good;

        if (rights == 2 || rights == 6) /* misconfigurations, tested above */
            continue;
        map_probe(EPT_LEVEL_4K);
        entry = ept_entry(&vcpu.ept, page, EPT_LEVEL_4K);
        good = *entry;
        *entry = (good & ~EPT_ALL) | rights;
        vcpu_set(&vcpu, FIELD_EPT_POINTER, ept_pointer(&vcpu.ept) | (ad_on ? EPTP_AD : 0));
        print("ept.walk.%s%s.rights-%lx ", name, ad_on ? ".ad" : "", rights);
        run_access(&accesses[0]);
        print_end_of_result();
        *entry = good;
    }
}

/* A guest page-table entry whose accessed flag is clear: the walk writes. */
static void walk_sets_accessed(void)
{
    uint64_t *entry, *pt;

    map_probe(EPT_LEVEL_4K);
    entry = ept_entry(&vcpu.ept, GUEST_PT, EPT_LEVEL_4K);
    pt = guest_pointer(vcpu.memory, GUEST_PT);
    *entry &= ~EPT_WRITE;
    pt[PROBE_LINEAR / PAGE_SIZE] &= ~UINT64_C(0x60);
    pt[GUEST_CODE / PAGE_SIZE] |= 0x60;
    print("ept.walk.sets-accessed.read-only ");
    run_access(&accesses[0]);
    print_end_of_result();
    *entry |= EPT_WRITE;
    RESULT_TEXT("ept.walk.sets-accessed.pte %lx", pt[PROBE_LINEAR / PAGE_SIZE] & 0x60);
    print("ept.walk.sets-accessed.writable ");
    run_access(&accesses[1]);
    print_end_of_result();
    RESULT_TEXT("ept.walk.sets-accessed.pte-after-write %lx", pt[PROBE_LINEAR / PAGE_SIZE] & 0x60);
}

/* Read a value through a mapping, change the mapping, INVEPT, read again. */
static void changes(enum ept_level level, uint64_t type)
{
    uint64_t *entry = map_probe(level), first = ARENA(ARENA_GUEST_ALT), second = ARENA(ARENA_GUEST_ALT) + PAGE_SIZE;
    uint64_t descriptor[2] = { ept_pointer(&vcpu.ept), 0 };

    *(uint32_t *)physical_pointer(first) = 0x11111111;
    *(uint32_t *)physical_pointer(second) = 0x22222222;
    for (unsigned step = 0; step < 4; step++) {
        *entry = (step % 2 == 0 ? first : second) | EPT_ALL | EPT_WB;
        try_invept(type, descriptor);
        vcpu_set_code(&vcpu, accesses[0].code);
        print("ept.change.invept-%lu.step-%u ", type, step);
        run_print(&vcpu, vcpu_run(&vcpu));
        RESULT_TEXT(" eax=%lx", vcpu.reg[REG_RAX]);
        vcpu_revert(&vcpu);
    }
    *entry = 0;
    try_invept(type, descriptor);
    vcpu_set_code(&vcpu, accesses[0].code);
    print("ept.change.invept-%lu.removed ", type);
    run_result(&vcpu, vcpu_run(&vcpu));
    /* Repair and go on: an entry that was not present needs no INVEPT. */
    *entry = second | EPT_ALL | EPT_WB;
    print("ept.change.invept-%lu.repaired ", type);
    run_print(&vcpu, vcpu_run(&vcpu));
    RESULT_TEXT(" eax=%lx", vcpu.reg[REG_RAX]);
    vcpu_revert(&vcpu);
}

/* From a large page to a table of small ones and back. */
static void split_and_join(void)
{
    uint64_t *large, *table;

    map_probe(EPT_LEVEL_4K);
    large = ept_entry(&vcpu.ept, PROBE_GPA, EPT_LEVEL_2M);
    table = physical_pointer(*large & EPT_ADDRESS);
    for (unsigned step = 0; step < 4; step++) {
        uint64_t to_table = (uint64_t)(uintptr_t)table | EPT_ALL;

        *large = step % 2 == 0 ? ARENA(ARENA_GUEST_ALT) | EPT_ALL | EPT_WB | EPT_LARGE : to_table;
        print("ept.split.step-%u ", step);
        run_access(&accesses[step]);
        print_end_of_result();
    }
    *large = (uint64_t)(uintptr_t)table | EPT_ALL;
}

static void beyond_guest_memory(void)
{
    uint64_t *pt = guest_pointer(vcpu.memory, GUEST_PT);
    static const uint64_t addresses[] = { UINT64_C(0x3ffff000), UINT64_C(0x80000000),
                                          UINT64_C(0x7fffffffff000) & UINT64_C(0xffffffffff) };

    map_probe(EPT_LEVEL_4K);
    for (unsigned i = 0; i < ARRAY_COUNT(addresses); i++) {
        pt[PROBE_LINEAR / PAGE_SIZE] = addresses[i] | 0x67;
        for (unsigned a = 0; a < ARRAY_COUNT(accesses); a++)
            line_of_access(&accesses[a], "beyond", addresses[i]);
    }
}

/* The preemption timer goes on over exits that a layer below keeps to itself, such as those that fill its own EPT. */
static void timer_over_new_pages(void)
{
    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_OFFSET_4K);
    /* mov esi, 100000h; mov ecx, 256; again: mov al, [rsi]; add esi, 1000h; loop again */
    vcpu_set_code(&vcpu, "be 00 00 10 00 b9 00 01 00 00 8a 06 81 c6 00 10 00 00 e2 f6");
    vcpu_set(&vcpu, FIELD_PREEMPTION_TIMER_VALUE, 400);
    vcpu_run(&vcpu);
    RESULT_TEXT("ept.timer-over-new-pages exit %lx", vcpu_get(FIELD_EXIT_REASON));
    vcpu_revert(&vcpu);
}

static const enum ept_level leaf_levels[] = { EPT_LEVEL_4K, EPT_LEVEL_2M, EPT_LEVEL_1G };

void conformance_ept(void)
{
    if (!vcpu_supported(MODE_LONG, MEMORY_OFFSET_4K))
        return;
    vmx_enable();
    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_OFFSET_4K);
    for (unsigned i = 0; i < ARRAY_COUNT(leaf_levels); i++) {
        if (leaf_levels[i] == EPT_LEVEL_1G && !vcpu_supported(MODE_LONG, MEMORY_IDENTITY_1G))
            continue;
        leaf_cases(leaf_levels[i]);
        accessed_and_dirty(leaf_levels[i], false);
        accessed_and_dirty(leaf_levels[i], true);
    }
    for (unsigned level = EPT_LEVEL_2M; level <= EPT_LEVEL_PML4; level++)
        table_cases(level);
    combined_rights();
    walked_page("pml4", GUEST_PML4, false);
    walked_page("pdpt", GUEST_PDPT, false);
    walked_page("pt", GUEST_PT, false);
    walked_page("pml4", GUEST_PML4, true);
    walked_page("pdpt", GUEST_PDPT, true);
    walked_page("pt", GUEST_PT, true);
    walk_sets_accessed();
    changes(EPT_LEVEL_4K, 1);
    changes(EPT_LEVEL_4K, 2);
    split_and_join();
    beyond_guest_memory();
    timer_over_new_pages();
    vmx_disable();
}
