/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Round trips of a VM exit that this hypervisor handles, in TSC ticks: one tick is one instruction on Bochs with one
 * CPU. Under the layer also its entries and its ticks in root mode, from its counters; 0 on the bare processor.
 */
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/vcpu.h"
#include "untrusted-hypervisor-harness/core/vmx.h"
#include "untrusted-hypervisor-harness/suites/counters.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

enum {
    ROUNDS = 2000,
    WARM_UP = 20,
    EPT_FIRST = 0x100000, /* guest-physical */
    EPT_PAGES = 256,
    EPT_ROUNDS = 4,
};

static struct vcpu vcpu;

static void add(struct counters *sum, const struct counters *more)
{
    sum->ticks += more->ticks;
    sum->entries += more->entries;
    sum->root_ticks += more->root_ticks;
}

static void report(const char *what, const struct counters *sum, uint64_t count)
{
    uint64_t hundredths = sum->entries * 100 / count;

    print("BENCHRAW exit_%s_ticks_harness %lu", what, sum->ticks / count);
    print_end_of_result();
    print("BENCHRAW exit_%s_entries_harness %lu.%lu%lu", what, hundredths / 100, hundredths / 10 % 10, hundredths % 10);
    print_end_of_result();
    print("BENCHRAW exit_%s_root_ticks_harness %lu", what, sum->root_ticks / count);
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
    struct counters before, sum;

    vcpu_set_code(&vcpu, code);
    if (vcpu_run(&vcpu).kind != OUTCOME_EXIT)
        harness_abort("bench: no VM entry");
    handle_and_skip(reason);
    skipping_loop(reason, WARM_UP);
    before = counters_read();
    skipping_loop(reason, ROUNDS);
    sum = counters_since(&before);
    report(what, &sum, ROUNDS);
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
    struct counters before, once, sum = { 0 };

    /* mov esi, 100000h; mov ecx, 256; next: mov [rsi], al; add esi, 1000h; loop next; hlt; jmp to the start */
    vcpu_set_code(&vcpu, "f4 be 00 00 10 00 b9 00 01 00 00 88 06 81 c6 00 10 00 00 e2 f6 eb e9");
    if (vcpu_run(&vcpu).kind != OUTCOME_EXIT)
        harness_abort("bench: no VM entry");
    for (unsigned round = 0; round < EPT_ROUNDS; round++) {
        for (unsigned page = 0; page < EPT_PAGES; page++)
            *data_entry(page) = 0;
        ept_invalidate();
        handle_and_skip(EXIT_HLT);
        before = counters_read();
        touch_pages();
        once = counters_since(&before);
        add(&sum, &once);
        vcpu_enter_again(&vcpu);
    }
    report("ept", &sum, EPT_ROUNDS * EPT_PAGES);
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
