/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The loader's decisions: which CPUs suit, what the memory map becomes, where the layer lies, what the root page
 * tables map and with which rights, which images are refused.
 */
#include "unit.h"
#include "cloudvisor/loader/acpi_power.h"
#include "cloudvisor/loader/layer_image.h"
#include "cloudvisor/loader/memory_map.h"
#include "cloudvisor/loader/root_tables.h"
#include "cloudvisor/loader/suitability.h"
#include "cloudvisor/loader/tsc.h"
#include "processors.h"

#define PAGE UINT64_C(4096)

/* ---- Suitability ---- */

/* A Broadwell, IA32_FEATURE_CONTROL unlocked. */
static struct cpu_capabilities broadwell(void)
{
    const struct vmx_caps caps = processor_broadwell();
    struct cpu_capabilities cpu = { .word = {
                                        [CAP_CPUID1_ECX] = CPUID1_ECX_VMX | CPUID1_ECX_XSAVE | CPUID1_ECX_AES |
                                                           CPUID1_ECX_PCLMULQDQ | CPUID1_ECX_RDRAND,
                                        [CAP_CPUID1_EDX] = CPUID1_EDX_FXSR | CPUID1_EDX_SSE2,
                                        [CAP_CPUID80000001_EDX] = CPUID80000001_EDX_LM | CPUID80000001_EDX_NX |
                                                                  CPUID80000001_EDX_1GIB,
                                        [CAP_CR4] = 0x668,
                                    } };

    capabilities_take_vmx(&cpu, &caps);
    return cpu;
}

static unsigned missing_count(const struct cpu_capabilities *cpu, const char **first)
{
    unsigned position = 0, count = 0;
    const char *name;

    *first = "";
    while ((name = suitability_next_missing(cpu, &position))) {
        if (count++ == 0)
            *first = name;
    }
    return count;
}

struct lack {
    enum capability source;
    uint64_t cleared;
    const char *name; /* how its message starts */
};

static const struct lack lacks[] = {
    { CAP_CPUID80000001_EDX, CPUID80000001_EDX_LM, "64-bit mode" },
    { CAP_CPUID80000001_EDX, CPUID80000001_EDX_NX, "execute-disable" },
    { CAP_CPUID1_EDX, CPUID1_EDX_FXSR, "FXSAVE" },
    { CAP_CPUID1_EDX, CPUID1_EDX_SSE2, "SSE2" },
    { CAP_CPUID1_ECX, CPUID1_ECX_XSAVE, "XSAVE" },
    { CAP_CPUID1_ECX, CPUID1_ECX_AES, "AES-NI" },
    { CAP_CPUID1_ECX, CPUID1_ECX_PCLMULQDQ, "carry-less" },
    { CAP_CPUID1_ECX, CPUID1_ECX_RDRAND, "random numbers" },
    { CAP_VMX_BASIC, UINT64_C(1) << 55, "true VMX control" },
    { CAP_VMX_BASIC, UINT64_C(2) << 50, "write-back VMCS" },
    { CAP_PIN, PIN_NMI_EXITING, "NMI exiting" },
    { CAP_PIN, PIN_VIRTUAL_NMIS, "virtual NMIs" },
    { CAP_PIN, PIN_PREEMPTION_TIMER, "VMX-preemption timer" },
    { CAP_PROC, PROC_MSR_BITMAPS, "MSR bitmaps" },
    { CAP_PROC, PROC_IO_BITMAPS, "I/O bitmaps" },
    { CAP_PROC, PROC_SECONDARY_CONTROLS, "secondary" },
    { CAP_SECONDARY, SEC_EPT, "extended page tables" },
    { CAP_SECONDARY, SEC_VPID, "virtual-processor" },
    { CAP_SECONDARY, SEC_UNRESTRICTED_GUEST, "unrestricted guest" },
    { CAP_EXIT, EXIT_HOST_64BIT, "64-bit host" },
    { CAP_EXIT, EXIT_SAVE_EFER, "VM-exit control: save IA32_EFER" },
    { CAP_EXIT, EXIT_LOAD_EFER, "VM-exit control: load IA32_EFER" },
    { CAP_EXIT, EXIT_SAVE_PAT, "VM-exit control: save IA32_PAT" },
    { CAP_EXIT, EXIT_LOAD_PAT, "VM-exit control: load IA32_PAT" },
    { CAP_ENTRY, ENTRY_IA32E_GUEST, "64-bit guest" },
    { CAP_ENTRY, ENTRY_LOAD_EFER, "VM-entry control: load IA32_EFER" },
    { CAP_ENTRY, ENTRY_LOAD_PAT, "VM-entry control: load IA32_PAT" },
    { CAP_EPT_VPID, EPT_CAP_WALK_4, "EPT page walk" },
    { CAP_EPT_VPID, EPT_CAP_UC, "EPT memory type uncacheable" },
    { CAP_EPT_VPID, EPT_CAP_WB, "EPT memory type write-back" },
    { CAP_EPT_VPID, EPT_CAP_2M, "EPT 2 MiB" },
    { CAP_EPT_VPID, EPT_CAP_INVEPT, "INVEPT" },
    { CAP_EPT_VPID, EPT_CAP_INVEPT_SINGLE, "INVEPT single" },
    { CAP_EPT_VPID, EPT_CAP_INVEPT_ALL, "INVEPT all" },
    { CAP_EPT_VPID, EPT_CAP_INVVPID, "INVVPID" },
    { CAP_EPT_VPID, UINT64_C(1) << 41, "INVVPID individual" },
};

static void test_each_lack_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(lacks) / sizeof(lacks[0]); i++) {
        struct cpu_capabilities cpu = broadwell();
        const char *first;

        cpu.word[lacks[i].source] &= ~lacks[i].cleared;
        assert_int_equal(missing_count(&cpu, &first), 1);
        assert_int_equal(strncmp(first, lacks[i].name, strlen(lacks[i].name)), 0);
    }
}

static void test_no_vmx_is_one_lack(void **state)
{
    struct cpu_capabilities cpu = broadwell();
    const char *first;

    (void)state;
    for (enum capability source = CAP_FEATURE_CONTROL; source < CAP_COUNT; source++)
        cpu.word[source] = 0;
    cpu.word[CAP_CPUID1_ECX] &= ~CPUID1_ECX_VMX;
    assert_int_equal(missing_count(&cpu, &first), 1);
    assert_non_null(strstr(first, "VMX (CPUID"));
}

static void test_feature_control_and_la57(void **state)
{
    struct cpu_capabilities cpu = broadwell();
    const char *first;

    (void)state;
    cpu.word[CAP_FEATURE_CONTROL] = FEATURE_CONTROL_LOCKED;
    assert_int_equal(missing_count(&cpu, &first), 1);
    assert_non_null(strstr(first, "locked"));
    cpu.word[CAP_FEATURE_CONTROL] = FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX_OUTSIDE;
    cpu.word[CAP_CR4] |= 1u << 12;
    assert_int_equal(missing_count(&cpu, &first), 1);
    assert_non_null(strstr(first, "LA57"));
}

static void test_broadwell_suits(void **state)
{
    struct cpu_capabilities cpu = broadwell();
    const char *first;

    (void)state;
    assert_int_equal(missing_count(&cpu, &first), 0);
    cpu.word[CAP_FEATURE_CONTROL] = FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX_OUTSIDE;
    assert_int_equal(missing_count(&cpu, &first), 0);
    assert_true(suitability_has_1gib_pages(&cpu));
}

/* ---- The time-stamp counter ---- */

static void test_tsc_by_crystal(void **state)
{
    (void)state;
    assert_int_equal(tsc_khz_by_crystal(0, 0, 0), 0);
    assert_int_equal(tsc_khz_by_crystal(0, 216, 24000000), 0);
    assert_int_equal(tsc_khz_by_crystal(2, 0, 24000000), 0);
    assert_int_equal(tsc_khz_by_crystal(2, 216, 0), 0);
    assert_int_equal(tsc_khz_by_crystal(1, UINT32_MAX, UINT32_MAX), 0);
    assert_int_equal(tsc_khz_by_crystal(1, 1001, UINT32_MAX), 0);
    assert_int_equal(tsc_khz_by_crystal(1, 1000, UINT32_MAX), UINT32_MAX);
    assert_int_equal(tsc_khz_by_crystal(2, 216, 24000000), 2592000);
    assert_int_equal(tsc_khz_by_crystal(3, 343, 19200000), 2195200);
    assert_int_equal(tsc_khz_by_crystal(1, 4294967, 1000), 4294967); /* the product has more than 32 bits */
}

static void test_tsc_by_waits(void **state)
{
    const uint64_t late[] = { 5000100, 5000000, 9000000 };
    const uint64_t overflow[] = { UINT64_MAX / 1000 + 1 };
    const uint64_t fast[] = { (uint64_t)UINT32_MAX * 50 + 49 };

    (void)state;
    assert_int_equal(tsc_khz_by_waits(late, 0, 50000), 0);
    assert_int_equal(tsc_khz_by_waits(late, 3, 0), 0);
    assert_int_equal(tsc_khz_by_waits(overflow, 1, 50000), 0);
    assert_int_equal(tsc_khz_by_waits(fast, 1, 49999), 0);
    assert_int_equal(tsc_khz_by_waits(fast, 1, 50000), UINT32_MAX);
    assert_int_equal(tsc_khz_by_waits(late, 1, 50000), 100002);
    assert_int_equal(tsc_khz_by_waits(late, 3, 50000), 100000);
}

/* ---- Memory map ---- */

enum { RESERVED = 0, LOADER = 2, CONVENTIONAL = 7, UNUSABLE = 8, ACPI = 9, MMIO = 11 };

static struct firmware_map map_of(const struct firmware_memory *memory, size_t count)
{
    return (struct firmware_map){ memory, count * sizeof(*memory), sizeof(*memory) };
}

static void expect_range(const struct memory_map *map, uint32_t index, uint64_t base, uint64_t end, uint64_t kind)
{
    assert_true(index < map->count);
    assert_int_equal(map->ranges[index].base, base);
    assert_int_equal(map->ranges[index].base + map->ranges[index].size, end);
    assert_int_equal(map->ranges[index].kind, kind);
}

static void test_map_overflow(void **state)
{
    const struct firmware_memory wraps = { .type = CONVENTIONAL, .base = UINT64_MAX - PAGE + 1, .page_count = 1 };
    const struct firmware_memory odd = { .type = CONVENTIONAL, .base = 0x800, .page_count = 1 };
    struct firmware_map firmware = map_of(&wraps, 1);
    struct memory_map map;

    (void)state;
    assert_false(memory_map_build(&firmware, &map));
    firmware = map_of(&odd, 1);
    assert_false(memory_map_build(&firmware, &map));
}

static void test_map_too_many(void **state)
{
    static struct firmware_memory memory[BOOT_MEMORY_MAX + 1];
    struct firmware_map firmware = map_of(memory, BOOT_MEMORY_MAX + 1);
    static struct memory_map map;

    (void)state;
    for (unsigned i = 0; i <= BOOT_MEMORY_MAX; i++)
        memory[i] = (struct firmware_memory){ .type = CONVENTIONAL, .base = i * 2 * PAGE, .page_count = 1 };
    assert_false(memory_map_build(&firmware, &map));
    firmware = map_of(memory, BOOT_MEMORY_MAX);
    assert_true(memory_map_build(&firmware, &map));
    for (unsigned i = 0; i <= BOOT_MEMORY_MAX; i++)
        memory[i].base = (BOOT_MEMORY_MAX - i) * PAGE; /* backwards, without gaps */
    firmware = map_of(memory, BOOT_MEMORY_MAX + 1);
    assert_true(memory_map_build(&firmware, &map));
    assert_int_equal(map.count, 1);
}

static void test_map_sorts_merges_clips(void **state)
{
    const struct firmware_memory memory[] = {
        { .type = MMIO, .base = 0xfec00000, .page_count = 1 },
        { .type = ACPI, .base = 0x103000, .page_count = 2 },
        { .type = CONVENTIONAL, .base = 0, .page_count = 0xa0 },
        { .type = LOADER, .base = 0x100000, .page_count = 3 },
        { .type = RESERVED, .base = 0x104000, .page_count = 4 }, /* its first page is ACPI memory, too */
        { .type = UNUSABLE, .base = 0x108000, .page_count = 1 },
        { .type = CONVENTIONAL, .base = 0x200000, .page_count = 0 },
    };
    struct firmware_map firmware = map_of(memory, sizeof(memory) / sizeof(memory[0]));
    struct memory_map map;

    (void)state;
    assert_true(memory_map_build(&firmware, &map));
    assert_int_equal(map.count, 4);
    expect_range(&map, 0, 0, 0xa0000, BOOT_MEMORY_RAM);
    expect_range(&map, 1, 0x100000, 0x105000, BOOT_MEMORY_RAM);
    expect_range(&map, 2, 0x105000, 0x109000, BOOT_MEMORY_OTHER);
    expect_range(&map, 3, 0xfec00000, 0xfec01000, BOOT_MEMORY_OTHER);
    assert_int_equal(memory_map_ram_bytes(&map), 0xa5000);
    assert_int_equal(memory_map_ram_top(&map), 0x105000);
    assert_int_equal(memory_map_end(&map), 0xfec01000);
}

static void test_map_empty_and_short_descriptors(void **state)
{
    const struct firmware_memory memory = { .type = CONVENTIONAL, .page_count = 1 };
    struct firmware_map firmware = { &memory, sizeof(memory), sizeof(memory) - 8 };
    struct memory_map map;

    (void)state;
    assert_true(memory_map_build(&firmware, &map));
    assert_int_equal(map.count, 0);
    assert_int_equal(memory_map_end(&map), 0);
    assert_int_equal(memory_map_ram_top(&map), 0);
    assert_int_equal(layer_region_place(&firmware, MIB(2)), 0);
}

static void test_region_size(void **state)
{
    (void)state;
    assert_int_equal(layer_region_size(0), MIB(6));
    assert_int_equal(layer_region_size(GIB(1)), MIB(22));
    assert_int_equal(layer_region_size(GIB(64)), MIB(912));
}

static void test_region_place(void **state)
{
    struct firmware_memory memory[] = {
        { .type = CONVENTIONAL, .base = 0, .page_count = 0x900 }, /* 9 MiB, partly below 1 MiB */
        { .type = LOADER, .base = 0x900000, .page_count = 0x100 },
        { .type = CONVENTIONAL, .base = 0x40100000, .page_count = 0x1000 }, /* 16 MiB, not aligned */
        { .type = CONVENTIONAL, .base = GIB(4), .page_count = 0x10000 },
    };
    struct firmware_map firmware = map_of(memory, 4);

    (void)state;
    assert_int_equal(layer_region_place(&firmware, GIB(1)), 0);
    assert_int_equal(layer_region_place(&firmware, MIB(16)), GIB(4) + MIB(240));
    assert_int_equal(layer_region_place(&firmware, MIB(14)), 0x40200000);
    firmware = map_of(memory, 1);
    assert_int_equal(layer_region_place(&firmware, MIB(6)), MIB(2));
    assert_int_equal(layer_region_place(&firmware, MIB(8)), 0);
}

/* ---- Root page tables ---- */

struct rights {
    bool present, write, execute, user;
    uint64_t pa;
    unsigned shift;
};

/* The processor's walk: rights are those of all levels together. */
static struct rights walk(const struct layer_region *region, uint64_t root, uint64_t va)
{
    struct rights rights = { true, true, true, true, 0, 0 };
    uint64_t table = root;

    for (unsigned shift = 39;; shift -= 9) {
        uint64_t entry = ((const uint64_t *)(void *)(region->memory + (table - region->base)))[va >> shift & 511];

        if (!(entry & 1))
            return (struct rights){ 0 };
        rights.write = rights.write && (entry & 2);
        rights.user = rights.user && (entry & 4);
        rights.execute = rights.execute && !(entry >> 63);
        table = entry & UINT64_C(0x000ffffffffff000);
        if (shift == 12 || (shift < 39 && (entry & 0x80))) {
            rights.pa = table + (va & ((UINT64_C(1) << shift) - 1));
            rights.shift = shift;
            return rights;
        }
    }
}

static struct layer_region new_region(uint64_t base, uint64_t size, uint64_t used)
{
    return (struct layer_region){ calloc(1, size), base, size, used };
}

static void expect_rights(const struct layer_region *region, uint64_t root, uint64_t va, uint64_t pa, bool write,
                          bool execute)
{
    struct rights rights = walk(region, root, va);

    assert_true(rights.present);
    assert_false(rights.user);
    assert_false(rights.write && rights.execute);
    assert_int_equal(rights.pa, pa);
    assert_int_equal(rights.write, write);
    assert_int_equal(rights.execute, execute);
}

static void check_tables(uint64_t base, bool has_1gib_pages)
{
    const struct root_layout at = { 0x5000, 0x7000, 0x203000, base >= GIB(4) ? GIB(6) : GIB(4), has_1gib_pages };
    struct layer_region region = new_region(base, MIB(8), 0x205000);
    uint64_t root = root_tables_build(&region, &at);

    assert_int_equal(root, base + 0x205000);
    for (uint64_t offset = 0; offset < region.size; offset += PAGE) {
        expect_rights(&region, root, LAYER_VA + offset, base + offset, offset >= at.rodata_end, offset < at.text_end);
        expect_rights(&region, root, DIRECT_MAP_VA + base + offset, base + offset, offset >= at.rodata_end, false);
    }
    for (uint64_t pa = 0; pa < base; pa += MIB(1))
        expect_rights(&region, root, DIRECT_MAP_VA + pa, pa, true, false);
    for (uint64_t pa = base + region.size; pa < at.direct_end; pa += MIB(1))
        expect_rights(&region, root, DIRECT_MAP_VA + pa, pa, true, false);
    assert_int_equal(walk(&region, root, DIRECT_MAP_VA).shift, has_1gib_pages && base >= GIB(1) ? 30 : 21);
    assert_int_equal(walk(&region, root, LAYER_VA + MIB(4)).shift, 21);
    expect_rights(&region, root, base, base, false, true);
    assert_false(walk(&region, root, base + PAGE).present);
    assert_false(walk(&region, root, base - PAGE).present);
    assert_false(walk(&region, root, LAYER_VA + region.size).present);
    assert_false(walk(&region, root, DIRECT_MAP_VA + at.direct_end).present);
    free(region.memory);
}

static void test_root_tables(void **state)
{
    (void)state;
    check_tables(MIB(2), true);
    check_tables(MIB(962), false);
    check_tables(MIB(2048), true);
    check_tables(GIB(5), true);
    check_tables(GIB(5) + MIB(2), false);
}

static void test_root_tables_refuse(void **state)
{
    const struct root_layout good = { 0x1000, 0x2000, 0x3000, GIB(4), true };
    struct root_layout layout = good;
    struct layer_region region = new_region(GIB(1), MIB(2), MIB(2) - PAGE);

    (void)state;
    assert_int_equal(root_tables_build(&region, &good), 0); /* one page left */
    region.used = 0x4000;
    layout.direct_end = UINT64_C(128) << 40;
    assert_int_equal(root_tables_build(&region, &layout), 0);
    layout.direct_end = GIB(1); /* does not cover the region */
    assert_int_equal(root_tables_build(&region, &layout), 0);
    layout = good;
    layout.memory_end = MIB(4);
    assert_int_equal(root_tables_build(&region, &layout), 0);
    assert_int_not_equal(root_tables_build(&region, &good), 0);
    free(region.memory);
}

/* ---- The layer's image ---- */

static void test_image_faults(void **state)
{
    const struct layer_image_header good = { LAYER_IMAGE_MAGIC, 0x40, 0x3000, 0x4000, 0x4100, 0x9000 };
    struct layer_image_header bad;

    (void)state;
#define REFUSED(member, value) (bad = good, bad.member = (value), layer_image_fault(&bad, 0x4100, MIB(2)) != NULL)
    assert_true(REFUSED(magic, 1));
    assert_true(REFUSED(entry_offset, 0x1000));
    assert_true(REFUSED(entry_offset, 0x20));
    assert_true(REFUSED(text_end, 0));
    assert_true(REFUSED(text_end, 0x2800));
    assert_true(REFUSED(text_end, 0x5000));
    assert_true(REFUSED(rodata_end, 0x4800));
    assert_true(REFUSED(rodata_end, 0xa000));
    assert_true(REFUSED(file_size, 0x4200));
    assert_true(REFUSED(memory_end, 0x4000));
    assert_true(REFUSED(memory_end, MIB(2) + 1));
#undef REFUSED
    assert_non_null(layer_image_fault(&good, 16, MIB(2)));
    assert_null(layer_image_fault(&good, 0x4100, MIB(2)));
}

/* ---- ACPI's power management. ---- */

static uint8_t tables[0x1000];

static uint64_t read_tables(uint64_t address, unsigned bytes)
{
    uint64_t value = 0;

    assert_true(address >= 0x1000 && address + bytes <= 0x1000 + sizeof(tables));
    memcpy(&value, &tables[address - 0x1000], bytes);
    return value;
}

static void put(uint64_t address, uint64_t value, unsigned bytes)
{
    memcpy(&tables[address - 0x1000], &value, bytes);
}

/* RSDP at 1000h, root table at 1100h, FADT at 1200h, DSDT at 1400h with \_S5 = { 5 }. */
static void make_tables(bool extended)
{
    static const uint8_t s5[] = { 0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x02, 0x0a, 0x05, 0x00 };

    memset(tables, 0, sizeof(tables));
    put(0x100f, extended ? 2 : 0, 1);
    put(extended ? 0x1018 : 0x1010, 0x1100, extended ? 8 : 4);
    put(0x1104, 36 + 2 * (extended ? 8 : 4), 4);
    put(0x1124, 0x1800, extended ? 8 : 4);
    put(extended ? 0x112c : 0x1128, 0x1200, extended ? 8 : 4);
    put(0x1800, 0x43495041, 4);
    put(0x1200, 0x50434146, 4);
    put(0x1200 + 40, 0x1400, 4);
    put(0x1200 + 56, 0x600, 4);
    put(0x1200 + 64, 0x604, 4);
    put(0x1200 + 68, 0x704, 4);
    put(0x1200 + 116, 1, 1);
    put(0x1200 + 120, 0xcf9, 8);
    put(0x1404, 100, 4);
    memcpy(tables + 0x440, s5, sizeof(s5));
}

static void test_power_by_acpi(void **state)
{
    (void)state;
    for (unsigned extended = 0; extended < 2; extended++) {
        struct boot_power power = { 0 };

        make_tables(extended == 1);
        assert_true(acpi_power_read(0x1000, read_tables, &power));
        assert_int_equal(power.event, 0x600);
        assert_int_equal(power.control[0], 0x604);
        assert_int_equal(power.control[1], 0x704);
        assert_int_equal(power.reset, 0xcf9);
        assert_int_equal(power.type_s5, 5);
    }
}

static void test_power_without_tables(void **state)
{
    struct boot_power power = { 0 };

    (void)state;
    make_tables(true);
    assert_false(acpi_power_read(0, read_tables, &power));
    put(0x1200, 0, 4);
    assert_false(acpi_power_read(0x1000, read_tables, &power));
    put(0x1018, 0, 8);
    assert_false(acpi_power_read(0x1000, read_tables, &power));
    assert_int_equal(power.control[0], 0);
    make_tables(true);
    put(0x1200 + 116, 0, 1); /* the reset register is in memory */
    put(0x1200 + 40, 0, 4);
    assert_true(acpi_power_read(0x1000, read_tables, &power));
    assert_int_equal(power.reset, 0);
    assert_int_equal(power.type_s5, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_lack_is_named),
        cmocka_unit_test(test_no_vmx_is_one_lack),
        cmocka_unit_test(test_feature_control_and_la57),
        cmocka_unit_test(test_broadwell_suits),
        cmocka_unit_test(test_tsc_by_crystal),
        cmocka_unit_test(test_tsc_by_waits),
        cmocka_unit_test(test_power_by_acpi),
        cmocka_unit_test(test_power_without_tables),
        cmocka_unit_test(test_map_overflow),
        cmocka_unit_test(test_map_too_many),
        cmocka_unit_test(test_map_sorts_merges_clips),
        cmocka_unit_test(test_map_empty_and_short_descriptors),
        cmocka_unit_test(test_region_size),
        cmocka_unit_test(test_region_place),
        cmocka_unit_test(test_root_tables),
        cmocka_unit_test(test_root_tables_refuse),
        cmocka_unit_test(test_image_faults),
    };

    return cmocka_run_group_tests_name("loader", tests, NULL, NULL);
}
