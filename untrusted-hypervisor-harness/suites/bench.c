/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Round trips of a VM exit that this hypervisor handles, in TSC ticks: one tick is one instruction on Bochs with one
 * CPU. Under the layer also its entries and its ticks in root mode, from its counters; 0 on the bare processor.
 */
#include "cloudvisor/hypercall.h"
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/vcpu.h"
#include "untrusted-hypervisor-harness/core/vmx.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

enum stat {
#define STAT(name, meaning) STAT_##name,
#include "cloudvisor/stats.def"
#undef STAT
};

enum {
    ROUNDS = 2000,
    WARM_UP = 20,
    EPT_FIRST = 0x100000, /* guest-physical */
    EPT_PAGES = 256,
    EPT_ROUNDS = 4,
};

struct counters {
    uint64_t ticks, entries, root_ticks;
};

static struct vcpu vcpu;

/* Without the layer nothing is asked: Bochs 2.7 stops on VMCALL in root mode. */
static uint64_t stat(enum stat index)
{
    uint64_t value = 0;

    if (vmx_under_layer)
        vmx_hypercall(HYPERCALL_STAT, index, 0, &value);
    return value;
}

/* Reading the counters costs an entry each: what two readings in a row differ by is taken off later. */
static struct counters read_counters(void)
{
    struct counters c = { .entries = stat(STAT_entries), .root_ticks = stat(STAT_root_ticks) };

    c.ticks = cpu_read_tsc();
    return c;
}

static void add_difference(struct counters *sum, const struct counters *from, const struct counters *to)
{
    sum->ticks += to->ticks - from->ticks;
    sum->entries += to->entries - from->entries;
    sum->root_ticks += to->root_ticks - from->root_ticks;
}

static struct counters reading_costs(void)
{
    struct counters first = read_counters(), second = read_counters(), cost = { 0 };

    add_difference(&cost, &first, &second);
    return cost;
}

static void report(const char *what, const struct counters *sum, uint64_t readings, uint64_t count)
{
    struct counters cost = reading_costs();
    uint64_t hundredths = (sum->entries - readings * cost.entries) * 100 / count;

    print("BENCHRAW exit_%s_ticks_harness %lu", what, (sum->ticks - readings * cost.ticks) / count);
    print_end_of_result();
    print("BENCHRAW exit_%s_entries_harness %lu.%lu%lu", what, hundredths / 100, hundredths / 10 % 10, hundredths % 10);
    print_end_of_result();
    print("BENCHRAW exit_%s_root_ticks_harness %lu", what, (sum->root_ticks - readings * cost.root_ticks) / count);
    print_end_of_result();
}

/* What a hypervisor does at least: learns why, and skips the instruction. */
static void handle_and_skip(uint64_t expected)
{
    if (vmx_read(VMCS_EXIT_REASON) != expected)
        harness_abort("bench: exit %lx", vmx_read(VMCS_EXIT_REASON));
    vmx_write(VMCS_GUEST_RIP, vmx_read(VMCS_GUEST_RIP) + vmx_read(VMCS_VM_EXIT_INSTRUCTION_LENGTH));
}

static void skipping_loop(uint64_t expected, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        vcpu_enter_again(&vcpu);
        handle_and_skip(expected);
    }
}

/* A guest that does nothing but exit. */
static void bench_instruction(const char *what, const char *code, uint64_t reason)
{
    struct counters before, after, sum = { 0 };

    vcpu_set_code(&vcpu, code);
    if (vcpu_run(&vcpu).kind != OUTCOME_EXIT)
        harness_abort("bench: no VM entry");
    handle_and_skip(reason);
    skipping_loop(reason, WARM_UP);
    before = read_counters();
    skipping_loop(reason, ROUNDS);
    after = read_counters();
    add_difference(&sum, &before, &after);
    report(what, &sum, 1, ROUNDS);
    vcpu_revert(&vcpu);
}

static uint64_t *data_entry(unsigned page)
{
    return ept_entry(&vcpu.ept, EPT_FIRST + page * PAGE_SIZE, EPT_LEVEL_4K);
}

/* The guest touches page after page; each violation is answered with a mapping, without INVEPT. */
static void touch_pages(void)
{
    for (unsigned page = 0; page < EPT_PAGES; page++) {
        uint64_t gpa;

        vcpu_enter_again(&vcpu);
        if (vmx_read(VMCS_EXIT_REASON) != EXIT_EPT_VIOLATION)
            harness_abort("bench: exit %lx instead of an EPT violation", vmx_read(VMCS_EXIT_REASON));
        gpa = vmx_read(VMCS_GUEST_PHYSICAL_ADDRESS);
        *data_entry((unsigned)((gpa - EPT_FIRST) / PAGE_SIZE)) = (vcpu.memory + (gpa & ~(PAGE_SIZE - 1))) | EPT_ALL |
                                                                 EPT_WB;
    }
}

static void bench_ept(void)
{
    struct counters before, after, sum = { 0 };

    /* mov esi, 100000h; mov ecx, 256; next: mov [rsi], al; add esi, 1000h; loop next; hlt; jmp to the start */
    vcpu_set_code(&vcpu, "f4 be 00 00 10 00 b9 00 01 00 00 88 06 81 c6 00 10 00 00 e2 f6 eb e9");
    if (vcpu_run(&vcpu).kind != OUTCOME_EXIT)
        harness_abort("bench: no VM entry");
    for (unsigned round = 0; round < EPT_ROUNDS; round++) {
        for (unsigned page = 0; page < EPT_PAGES; page++)
            *data_entry(page) = 0;
        ept_invalidate();
        handle_and_skip(EXIT_HLT);
        before = read_counters();
        touch_pages();
        after = read_counters();
        add_difference(&sum, &before, &after);
        vcpu_enter_again(&vcpu);
    }
    report("ept", &sum, EPT_ROUNDS, EPT_ROUNDS * EPT_PAGES);
    vcpu_revert(&vcpu);
}

void suite_bench(void)
{
    vmx_enable();
    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG,
              vcpu_supported(MODE_LONG, MEMORY_OFFSET_4K) ? MEMORY_OFFSET_4K : MEMORY_DIRECT);
    /* A timer that can't fire in a run. */
    vcpu_set_base(&vcpu, FIELD_PREEMPTION_TIMER_VALUE, 0xffffffff);
    vcpu_set_base(&vcpu, FIELD_PROCESSOR_BASED_CONTROLS,
                  vcpu.field[FIELD_PROCESSOR_BASED_CONTROLS] | PROC_UNCONDITIONAL_IO_EXITING);
    bench_instruction("cpuid", "0f a2 eb fc", EXIT_CPUID);
    bench_instruction("pio", "e6 80 eb fc", EXIT_IO);
    if (vcpu_has(FIELD_EPT_POINTER))
        bench_ept();
    vmx_disable();
}
