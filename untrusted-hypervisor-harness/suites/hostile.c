/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hostile suite: nothing here may stop the layer or reach its memory. Each attack ends with a good guest: PASS
 * says that every outcome was an architectural one and that VMX still works afterwards.
 *
 * Attacks against the layer's own memory need the layer, and are skipped on the bare processor. So are those that
 * leave the processor's state undefined by the SDM.
 */
#include "untrusted-hypervisor-harness/core/exit_info.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/processors.h"
#include "untrusted-hypervisor-harness/core/result.h"
#include "untrusted-hypervisor-harness/core/vcpu.h"
#include "untrusted-hypervisor-harness/core/vmx.h"
#include "untrusted-hypervisor-harness/suites/check.h"
#include "untrusted-hypervisor-harness/suites/hostile.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

#define SUITE "hostile"

uint64_t hostile_layer_memory, hostile_layer_size, hostile_memory_top;

static struct vcpu vcpu;

/* --- a good guest, after each attack --- */

static bool good_guest_runs(void)
{
    static struct vcpu good;
    bool runs;

    vcpu_init(&good, vmx_page(VMX_PAGE_VMCS_OTHER), MODE_LONG,
              vcpu_supported(MODE_LONG, MEMORY_OFFSET_4K) ? MEMORY_OFFSET_4K : MEMORY_DIRECT);
    vcpu_set_code(&good, "83 c0 05 0f a2");
    runs = vcpu_run(&good).kind == OUTCOME_EXIT && vcpu_get(FIELD_EXIT_REASON) == EXIT_CPUID && good.reg[REG_RAX] == 5;
    vmx_clear(good.region);
    return runs;
}

static bool layer_memory_is_hidden(void)
{
    const volatile uint64_t *memory = physical_pointer(hostile_layer_memory);

    if (!vmx_under_layer || hostile_layer_size == 0)
        return true;
    for (unsigned i = 0; i < 8; i++)
        if (memory[i] != UINT64_MAX)
            return false;
    return true;
}

/* The last word on an attack. In VMX operation. */
static void survived(const char *name, bool outcomes_good)
{
    if (!outcomes_good) {
        result_fail_begin(SUITE, name);
        print("an outcome that the SDM does not allow");
        print_end_of_result();
    } else if (!good_guest_runs()) {
        result_fail_begin(SUITE, name);
        print("no guest runs any more");
        print_end_of_result();
    } else if (!layer_memory_is_hidden()) {
        result_fail_begin(SUITE, name);
        print("the layer's memory shows");
        print_end_of_result();
    } else {
        result_pass(SUITE, name);
    }
}

/* --- addresses --- */

struct bad_address {
    const char *name;
    uint64_t address;
};

/* From the first device on, only under the layer: Bochs stops on odd accesses of its own to devices. */
enum { ADDRESS_DEVICE_FIRST = 4, ADDRESS_LAYER_FIRST = 8 };

static struct bad_address addresses[] = {
    { "unaligned", ARENA(ARENA_SCRATCH) + 0x123 },
    { "beyond-width", BIT64(51) },
    { "all-ones", UINT64_MAX },
    { "no-memory", 0xc0000000 },
    { "local-apic", 0xfee00000 },
    { "io-apic", 0xfec00000 },
    { "rom", 0xfffff000 },
    { "hpet", 0xfed00000 },
    { "layer-first", 0 },
    { "layer-middle", 0 },
    { "layer-last", 0 },
};

static unsigned address_count(void)
{
    if (!vmx_under_layer)
        return ADDRESS_DEVICE_FIRST;
    return hostile_layer_size != 0 ? ARRAY_COUNT(addresses) : ADDRESS_LAYER_FIRST;
}

static bool is_device(unsigned i)
{
    return i >= ADDRESS_DEVICE_FIRST && i < ADDRESS_LAYER_FIRST;
}

static void find_addresses(void)
{
    addresses[ADDRESS_LAYER_FIRST].address = hostile_layer_memory;
    addresses[ADDRESS_LAYER_FIRST + 1].address = hostile_layer_memory + (hostile_layer_size / 2 & ~(PAGE_SIZE - 1));
    addresses[ADDRESS_LAYER_FIRST + 2].address = hostile_layer_memory + hostile_layer_size - PAGE_SIZE;
}

static bool is_vm_result(struct outcome o)
{
    return o.kind == OUTCOME_SUCCEED || o.kind == OUTCOME_FAIL_INVALID || o.kind == OUTCOME_FAIL_VALID;
}

static bool is_failure(struct outcome o)
{
    return o.kind == OUTCOME_FAIL_INVALID || o.kind == OUTCOME_FAIL_VALID;
}

/* VMCLEAR may succeed on any memory, since it writes only; a region that VMPTRLD takes must show our revision. */
static void instruction_operands(void)
{
    bool good = true;

    for (unsigned i = 0; i < address_count(); i++) {
        uint64_t region = addresses[i].address;

        good = good && is_vm_result(try_vmclear(&region));
        good = good && is_failure(try_vmptrld(&region));
        good = good && is_vm_result(try_invept(1, &region));
    }
    survived("instruction-operands", good);
}

/* VMXON regions, outside VMX operation. */
static void vmxon_operands(void)
{
    bool good = true;

    vmx_disable();
    cpu_write_cr4(cpu_read_cr4() | CR4_VMXE);
    for (unsigned i = 0; i < address_count(); i++)
        good = good && is_failure(try_vmxon(&addresses[i].address));
    vmx_enable();
    survived("vmxon-operands", good);
}

/*
 * Memory operands that lie in the layer's memory: they read all-ones, and what is written there is gone; where VMCS
 * shadowing serves a VMREAD, the processor itself would write, and that is #GP.
 */
static void operands_in_layer_memory(void)
{
    void *memory = physical_pointer(hostile_layer_memory);
    struct outcome shadowed;
    bool good;

    if (!vmx_under_layer || hostile_layer_size == 0) {
        result_skip(SUITE, "operands-in-layer-memory", "the layer");
        return;
    }
    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_DIRECT);
    good = is_failure(try_vmptrld(memory)) && is_failure(try_vmclear(memory)) && is_vm_result(try_vmptrst(memory)) &&
           is_vm_result(try_vmread_memory(VMCS_TSC_OFFSET, memory)) &&
           is_vm_result(try_vmwrite_memory(VMCS_TSC_OFFSET, memory)) && is_vm_result(try_invept(2, memory)) &&
           is_vm_result(try_invvpid(2, memory));
    shadowed = try_vmread_memory(VMCS_GUEST_RIP, memory);
    good = good && (is_vm_result(shadowed) || (shadowed.kind == OUTCOME_FAULT && shadowed.trap.vector == 13));
    good = good && vcpu_get(FIELD_TSC_OFFSET) == UINT64_MAX;
    survived("operands-in-layer-memory", good);
}

/* Fields that hold addresses, with what makes the processor use them. Exit lists would end in a VMX abort. */
static const struct {
    const char *name;
    struct change change[3];
    uint8_t field;
    bool walked; /* by the processor while the guest runs: not to devices, where Bochs stops */
} pointers[] = {
    { "io-bitmap-a", { SET_BITS(PROCESSOR_BASED_CONTROLS, PROC_IO_BITMAPS) }, FIELD_IO_BITMAP_A, false },
    { "io-bitmap-b", { SET_BITS(PROCESSOR_BASED_CONTROLS, PROC_IO_BITMAPS) }, FIELD_IO_BITMAP_B, false },
    { "msr-bitmap", { SET_BITS(PROCESSOR_BASED_CONTROLS, PROC_MSR_BITMAPS) }, FIELD_MSR_BITMAP, false },
    { "entry-msr-list", { SET(VM_ENTRY_MSR_LOAD_COUNT, 4) }, FIELD_VM_ENTRY_MSR_LOAD_ADDR, false },
    { "ept-pointer", { SET_BITS(SECONDARY_CONTROLS, SEC_EPT) }, FIELD_EPT_POINTER, false },
    { "link-pointer", { { 0 } }, FIELD_VMCS_LINK_POINTER, false },
    { "executive-vmcs", { { 0 } }, FIELD_EXECUTIVE_VMCS_POINTER, false },
    { "guest-cr3", { { 0 } }, FIELD_GUEST_CR3, true },
    { "guest-gdt", { { 0 } }, FIELD_GUEST_GDTR_BASE, true },
    { "guest-idt", { { 0 } }, FIELD_GUEST_IDTR_BASE, true },
};

/* The guest uses what the pointers lead to: in al, dx; rdmsr; a far load; an exception. */
#define USE_EVERYTHING "ec b9 74 01 00 00 0f 32 b8 10 00 00 00 8e d8 0f 0b"

static void vmcs_pointer(unsigned p)
{
    bool good = true, comparable;

    if (!vcpu_has(pointers[p].field)) {
        result_skip(SUITE, pointers[p].name, "the VMCS field");
        return;
    }
    for (unsigned i = 0; i < address_count(); i++)
        for (unsigned flags = 0; flags < 2 && !(pointers[p].walked && is_device(i)); flags++) {
            /* As an EPT pointer with the flags of a good one, else as it stands. */
            uint64_t value = addresses[i].address | (flags != 0 ? EPTP_WALK_4 | EPTP_WB : 0);

            note("%s %s %lx", pointers[p].name, addresses[i].name, value);
            vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_DIRECT);
            vcpu_set_code(&vcpu, USE_EVERYTHING);
            if (!check_apply(&vcpu, pointers[p].change, &comparable))
                continue;
            vcpu_set(&vcpu, pointers[p].field, value);
            good = good && vcpu_run(&vcpu).kind != OUTCOME_FAULT;
        }
    survived(pointers[p].name, good);
}

/* --- garbage --- */

static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t random_word(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

enum { GARBAGE_REGIONS = 40 };

/* Random bytes behind a good revision identifier, never cleared. */
static void garbage_region(bool *good)
{
    uint64_t region = vmx_page(VMX_PAGE_VMCS_THIRD), *word = physical_pointer(region), value = 0;

    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        word[i] = random_word();
    word[0] = vmx_revision;
    if (try_vmptrld(&region).kind != OUTCOME_SUCCEED)
        return;
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        *good = *good && is_vm_result(try_vmread(vmcs_fields[i].encoding, &value));
    /* The host state is garbage, too; the controls make sure that it is never used. */
    vmx_write(VMCS_PIN_BASED_CONTROLS, 0);
    *good = *good && is_failure(try_vmlaunch()) && is_failure(try_vmresume());
    vmx_write(VMCS_PIN_BASED_CONTROLS, UINT32_MAX);
    *good = *good && is_failure(try_vmlaunch()) && is_failure(try_vmresume());
    *good = *good && is_vm_result(try_vmclear(&region));
}

static void garbage_regions(void)
{
    bool good = true;

    for (unsigned i = 0; i < GARBAGE_REGIONS; i++)
        garbage_region(&good);
    survived("garbage-regions", good);
}

/* The region is memory of the hypervisor's: it may write there while the VMCS is current and launched. */
static void writes_to_current_region(void)
{
    bool good = true;

    if (!vmx_under_layer) {
        result_skip(SUITE, "writes-to-current-region", "defined behaviour on the bare processor");
        return;
    }
    for (unsigned i = 0; i < GARBAGE_REGIONS && good; i++) {
        vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_DIRECT);
        good = vcpu_run(&vcpu).kind == OUTCOME_EXIT;
        for (unsigned w = 1; w < PAGE_SIZE / 8; w++)
            ((uint64_t *)physical_pointer(vcpu.region))[w] = random_word();
        good = good && is_vm_result(try_vmread(VMCS_GUEST_RIP, &vcpu.reg[0]));
        vmx_write(VMCS_GUEST_RIP, GUEST_CODE);
        good = good && vcpu_run(&vcpu).kind != OUTCOME_FAULT;
        good = good && is_vm_result(try_vmclear_region(vcpu.region));
    }
    survived("writes-to-current-region", good);
}

/* A VMCS that is moved by copying its bytes, while active elsewhere: two regions with one content. */
static void copied_region(void)
{
    uint64_t copy = vmx_page(VMX_PAGE_VMCS_THIRD);
    bool good;

    if (!vmx_under_layer) {
        result_skip(SUITE, "copied-region", "defined behaviour on the bare processor");
        return;
    }
    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_DIRECT);
    good = vcpu_run(&vcpu).kind == OUTCOME_EXIT;
    copy_bytes(physical_pointer(copy), physical_pointer(vcpu.region), PAGE_SIZE);
    good = good && is_vm_result(try_vmptrld(&copy));
    vcpu.launched = false;
    good = good && vcpu_run(&vcpu).kind != OUTCOME_FAULT;
    vcpu.launched = true;
    good = good && vcpu_run(&vcpu).kind != OUTCOME_FAULT;
    good = good && is_vm_result(try_vmclear(&copy)) && is_vm_result(try_vmclear_region(vcpu.region));
    survived("copied-region", good);
}

/* --- VMXOFF at any time --- */

static void vmxoff_with_launched_vmcs(void)
{
    bool good;

    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_DIRECT);
    good = vcpu_run(&vcpu).kind == OUTCOME_EXIT;
    vmx_disable();
    good = good && try_vmread(VMCS_GUEST_RIP, &vcpu.reg[0]).kind == OUTCOME_FAULT;
    good = good && try_vmresume().kind == OUTCOME_FAULT && try_vmptrld_region(vcpu.region).kind == OUTCOME_FAULT;
    vmx_enable();
    good = good && try_vmresume().kind == OUTCOME_FAIL_INVALID;
    good = good && is_vm_result(try_vmptrld_region(vcpu.region));
    survived("vmxoff.launched", good);
}

static void vmxoff_many_times(void)
{
    for (unsigned i = 0; i < 200; i++) {
        vmx_disable();
        vmx_enable();
    }
    survived("vmxoff.many-times", true);
}

/* --- EPT12 --- */

static void ept_loop(void)
{
    uint64_t *root, saved;
    bool good = true;

    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_OFFSET_4K);
    root = physical_pointer(vcpu.ept.root);
    saved = root[0];
    /* Every level is the root itself; the leaf, too. */
    for (unsigned i = 0; i < 512; i++)
        root[i] = vcpu.ept.root | EPT_ALL | EPT_WB;
    ept_invalidate();
    good = vcpu_run(&vcpu).kind == OUTCOME_EXIT;
    for (unsigned i = 0; i < 512; i++)
        root[i] = vcpu.ept.root | EPT_ALL;
    ept_invalidate();
    good = good && vcpu_run(&vcpu).kind == OUTCOME_EXIT;
    for (unsigned i = 0; i < 512; i++)
        root[i] = random_word();
    ept_invalidate();
    good = good && vcpu_run(&vcpu).kind == OUTCOME_EXIT;
    clear_pages(vcpu.ept.root, 1);
    root[0] = saved;
    survived("ept.loop", good);
}

/* The guest maps its own EPT and changes it while it runs. */
static void ept_mapped_into_guest(void)
{
    bool good;
    uint64_t leaf;

    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_OFFSET_4K);
    leaf = (uint64_t)(uintptr_t)ept_entry(&vcpu.ept, 0, EPT_LEVEL_4K) & ~(PAGE_SIZE - 1);
    ept_map(&vcpu.ept, GUEST_DATA, leaf, EPT_LEVEL_4K, EPT_ALL | EPT_WB);
    ept_invalidate();
    /* mov esi, 20000h; mov ecx, 512; again: xor dword [rsi], 0fffff000h; add esi, 8; loop again */
    vcpu_set_code(&vcpu, "be 00 00 02 00 b9 00 02 00 00 81 36 00 f0 ff ff 83 c6 08 e2 f5 0f a2");
    good = vcpu_run(&vcpu).kind == OUTCOME_EXIT;
    ept_invalidate();
    good = good && vcpu_run(&vcpu).kind == OUTCOME_EXIT;
    survived("ept.mapped-into-guest", good);
}

/* The guest ran to its end, and what it read there last is not all-ones. */
static bool guest_read_something(void)
{
    return vcpu_get(FIELD_EXIT_REASON) == EXIT_VMCALL && vcpu_get(FIELD_GUEST_RIP) < GUEST_HANDLERS &&
           (vcpu.reg[REG_RAX] & UINT32_MAX) != UINT32_MAX;
}

/* A leaf of EPT12 leads to the layer's memory, or to a device. */
static void ept_to(const char *name, uint64_t hpa, const char *code, bool must_hide)
{
    bool good;

    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_OFFSET_4K);
    ept_map(&vcpu.ept, GUEST_DATA, hpa, EPT_LEVEL_4K, EPT_ALL | EPT_TYPE(0));
    ept_invalidate();
    vcpu_set_code(&vcpu, code);
    good = vcpu_run(&vcpu).kind == OUTCOME_EXIT && !(must_hide && guest_read_something());
    survived(name, good);
}

static void ept_to_layer(void)
{
    if (!vmx_under_layer || hostile_layer_size == 0) {
        result_skip(SUITE, "ept.to-layer", "the layer");
        return;
    }
    ept_to("ept.to-layer.read", hostile_layer_memory, "be 00 00 02 00 8b 06", true);
    ept_to("ept.to-layer.write", hostile_layer_memory, "be 00 00 02 00 89 06 8b 06", true);
    ept_to("ept.to-layer.fetch", hostile_layer_memory, "be 00 00 02 00 ff e6", false);
    ept_to("ept.to-layer.modify", hostile_layer_memory, "be 00 00 02 00 f0 ff 06 8b 06", true);
    /* As the guest's stack, and as its page table. */
    ept_to("ept.to-layer.push", hostile_layer_memory, "bc 00 08 02 00 50 50 58 0f a2", false);
    ept_to("ept.to-layer.page-table", hostile_layer_memory, "b8 00 00 02 00 0f 22 d8", false);
}

/* The guest's page table in the layer's memory without an EPT of the hypervisor's. */
static void guest_tables_to_layer(void)
{
    uint64_t *pt;
    bool good;

    if (!vmx_under_layer || hostile_layer_size == 0) {
        result_skip(SUITE, "guest-tables.to-layer", "the layer");
        return;
    }
    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_DIRECT);
    pt = guest_pointer(vcpu.memory, GUEST_PT);
    pt[GUEST_DATA / PAGE_SIZE] = hostile_layer_memory | 0x67;
    vcpu_set_code(&vcpu, "be 00 00 02 00 89 06 8b 06");
    good = vcpu_run(&vcpu).kind == OUTCOME_EXIT && !guest_read_something();
    survived("guest-tables.to-layer", good);
}

/* A guest writes the local APIC's command register: an interrupt for this CPU. */
static void apic_from_guest(void)
{
    enum { VECTOR = 0xf1 };
    bool good;

    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_OFFSET_4K);
    ept_map(&vcpu.ept, GUEST_DATA, 0xfee00000, EPT_LEVEL_4K, EPT_ALL | EPT_TYPE(0));
    ept_invalidate();
    vcpu_set_code(&vcpu, "be 00 03 02 00 c7 06 f1 00 04 00"); /* to itself, fixed */
    good = vcpu_run(&vcpu).kind == OUTCOME_EXIT;
    __asm__ volatile("sti; nop; nop; nop; nop; cli" : : : "memory");
    good = good && (vcpu_get(FIELD_EXIT_REASON) == EXIT_EPT_VIOLATION || traps_interrupt_arrived(VECTOR));
    survived("apic-from-guest", good);
}

/* --- the layer's memory from the host --- */

static void do_call_layer(void *memory)
{
    __asm__ volatile("call *%0" : : "r"(memory) : "memory");
}

static void do_locked(void *memory)
{
    volatile uint64_t *word = memory;

    __atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
    __atomic_exchange_n(word, 0, __ATOMIC_SEQ_CST);
}

static void do_string(void *memory)
{
    uint8_t buffer[64];

    copy_bytes(buffer, memory, sizeof(buffer));
    copy_bytes(memory, buffer, sizeof(buffer));
    fill_bytes(memory, 0, 64);
}

static void do_crossing(void *memory)
{
    volatile uint64_t *word = (volatile uint64_t *)((uintptr_t)memory - 4);
    uint64_t value = *word;

    *word = value;
}

static void read_and_write(unsigned page)
{
    volatile uint8_t *byte = physical_pointer(addresses[ADDRESS_LAYER_FIRST + page].address);
    bool good = true;

    for (unsigned i = 0; i < PAGE_SIZE; i += 509) {
        uint8_t first = byte[i], second;

        byte[i] = (uint8_t)i;
        second = byte[i];
        if (first != 0xff || second != 0xff)
            note("offset %x reads %x, after a write %x", i, (unsigned)first, (unsigned)second);
        good = good && first == 0xff && second == 0xff;
    }
    survived(page == 0 ? "memory.first" : page == 1 ? "memory.middle" : "memory.last", good);
}

/* An instruction may also be refused with an exception; what counts is that the machine and the memory are whole. */
static void odd_access(const char *name, void (*access)(void *))
{
    struct trap trap;

    try_run(&trap, access, physical_pointer(hostile_layer_memory));
    survived(name, true);
}

/* Page-table entries that lead into the layer's memory, and a page table there. */
static void own_page_tables(void)
{
    uint64_t *pml4 = physical_pointer(cpu_read_cr3() & EPT_ADDRESS), *pdpt, *pd, saved;
    struct trap trap;

    pdpt = physical_pointer(pml4[1] & EPT_ADDRESS);
    pd = physical_pointer(pdpt[0] & EPT_ADDRESS);
    saved = pd[1];
    pd[1] = hostile_layer_memory | 7;
    try_run(&trap, do_locked, physical_pointer(WINDOW_BASE + LARGE_PAGE_SIZE));
    pd[1] = saved;
    cpu_write_cr3(cpu_read_cr3());
    survived("memory.page-table", true);
}

static void layer_memory(void)
{
    if (!vmx_under_layer || hostile_layer_size == 0) {
        result_skip(SUITE, "memory", "the layer");
        return;
    }
    for (unsigned page = 0; page < 3; page++)
        read_and_write(page);
    odd_access("memory.locked", do_locked);
    odd_access("memory.string", do_string);
    odd_access("memory.crossing", do_crossing);
    odd_access("memory.call", do_call_layer);
    own_page_tables();
}

/* --- two CPUs --- */

static volatile bool stop_racing;

/* The other CPU loads, reads, writes and clears the region that this one uses, and fails to launch it. */
static void race_on_region(void *data)
{
    uint64_t region = *(uint64_t *)data, value = 0;

    vmx_enable();
    for (unsigned i = 0; !stop_racing; i++) {
        try_vmptrld(&region);
        try_vmread(VMCS_GUEST_RIP, &value);
        try_vmwrite(VMCS_TSC_OFFSET, i);
        if (i % 3 == 0)
            try_vmclear(&region);
        if (i % 7 == 0) {
            vmx_disable();
            vmx_enable();
        }
    }
    vmx_disable();
}

enum { RACES = 100 };

static void one_region_two_cpus(void)
{
    bool good = true;

    if (!processors_have_second() || !vmx_under_layer) {
        result_skip(SUITE, "two-cpus.one-region",
                    vmx_under_layer ? "a second CPU" : "defined behaviour on the bare processor");
        return;
    }
    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_DIRECT);
    stop_racing = false;
    processors_begin(race_on_region, &vcpu.region);
    for (unsigned i = 0; i < RACES && good; i++) {
        uint64_t value = 0;

        good = is_vm_result(try_vmptrld_region(vcpu.region)) && is_vm_result(try_vmread(VMCS_GUEST_RIP, &value)) &&
               is_vm_result(try_vmwrite(VMCS_TSC_OFFSET, i)) && is_vm_result(try_vmclear_region(vcpu.region));
    }
    stop_racing = true;
    processors_wait();
    survived("two-cpus.one-region", good);
}

struct flipper {
    volatile uint64_t *entry;
    uint64_t value[6];
};

static void flip_entries(void *data)
{
    const struct flipper *f = data;

    for (unsigned i = 0; !stop_racing; i++)
        *f->entry = f->value[i % ARRAY_COUNT(f->value)];
}

/* While the guest reads through them, the other CPU changes entries: to another page, away, to garbage, to the layer. */
static void changing_ept(const char *name, enum ept_level level)
{
    struct flipper f = { 0 };
    uint64_t good_entry, second = ARENA(ARENA_GUEST_ALT);
    bool good = true;

    if (!processors_have_second()) {
        result_skip(SUITE, name, "a second CPU");
        return;
    }
    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_OFFSET_4K);
    f.entry = ept_entry(&vcpu.ept, GUEST_DATA, level);
    good_entry = *f.entry;
    *(uint32_t *)guest_pointer(vcpu.memory, GUEST_DATA) = 0x11111111;
    *(uint32_t *)physical_pointer(second) = 0x11111111;
    f.value[0] = good_entry;
    f.value[1] = level == EPT_LEVEL_4K ? second | EPT_ALL | EPT_WB : good_entry & ~EPT_WRITE;
    f.value[2] = 0;
    f.value[3] = UINT64_MAX;
    f.value[4] = hostile_layer_size != 0 ? hostile_layer_memory | EPT_ALL | EPT_WB : 0;
    f.value[5] = good_entry;
    stop_racing = false;
    processors_begin(flip_entries, &f);
    for (unsigned i = 0; i < RACES && good; i++) {
        vcpu_set_code(&vcpu, "be 00 00 02 00 8b 06");
        ept_invalidate();
        good = vcpu_run(&vcpu).kind == OUTCOME_EXIT;
        if (good && vcpu_get(FIELD_EXIT_REASON) == EXIT_VMCALL && level == EPT_LEVEL_4K)
            good = vcpu.reg[REG_RAX] == 0x11111111 || vcpu.reg[REG_RAX] == UINT32_MAX;
        vcpu_revert(&vcpu);
    }
    stop_racing = true;
    processors_wait();
    *f.entry = good_entry;
    survived(name, good);
}

/* Both CPUs run guests of their own on the same EPT pages and bitmaps. */
static void run_many(void *data)
{
    static struct vcpu other;
    bool *good = data;

    vmx_enable();
    vcpu_init_at(&other, vmx_page(VMX_PAGE_SPARE), MODE_LONG, MEMORY_DIRECT, ARENA(ARENA_GUEST_ALT));
    for (unsigned i = 0; !stop_racing && *good; i++) {
        vcpu_set_code(&other, "0f a2");
        *good = vcpu_run(&other).kind == OUTCOME_EXIT && vcpu_get(FIELD_EXIT_REASON) == EXIT_CPUID;
        vcpu_revert(&other);
    }
    vmx_clear(other.region);
    vmx_disable();
}

static void both_run(void)
{
    bool good = true, other_good = true;

    if (!processors_have_second()) {
        result_skip(SUITE, "two-cpus.both-run", "a second CPU");
        return;
    }
    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_DIRECT);
    stop_racing = false;
    processors_begin(run_many, &other_good);
    for (unsigned i = 0; i < RACES && good; i++) {
        vcpu_set_code(&vcpu, "0f a2");
        good = vcpu_run(&vcpu).kind == OUTCOME_EXIT && vcpu_get(FIELD_EXIT_REASON) == EXIT_CPUID;
        vcpu_revert(&vcpu);
    }
    stop_racing = true;
    processors_wait();
    survived("two-cpus.both-run", good && other_good);
}

void suite_hostile(void)
{
    find_addresses();
    vmx_enable();
    layer_memory();
    hostile_platform();
    instruction_operands();
    vmxon_operands();
    operands_in_layer_memory();
    for (unsigned p = 0; p < ARRAY_COUNT(pointers); p++)
        vmcs_pointer(p);
    garbage_regions();
    writes_to_current_region();
    copied_region();
    vmxoff_with_launched_vmcs();
    vmxoff_many_times();
    if (vcpu_supported(MODE_LONG, MEMORY_OFFSET_4K)) {
        ept_loop();
        ept_mapped_into_guest();
        ept_to_layer();
        apic_from_guest();
        changing_ept("two-cpus.changing-leaf", EPT_LEVEL_4K);
        changing_ept("two-cpus.changing-table", EPT_LEVEL_2M);
        changing_ept("two-cpus.changing-root", EPT_LEVEL_PML4);
    } else {
        result_skip(SUITE, "ept", "EPT");
    }
    guest_tables_to_layer();
    one_region_two_cpus();
    both_run();
    vmx_disable();
}
