/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What protection costs, under the layer: round trips of exits of a protected VM next to those of the same guest as a
 * plain VM, and what becomes of pages. One tick is one instruction on Bochs with one CPU. Counts are per operation:
 * the hypercalls that read the counters, and the exits that separate pages, are taken off.
 */
#include "untrusted-hypervisor-harness/attacks/victim.h"
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/suites/counters.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

enum {
    ROUNDS = 2000,
    CPUID_ROUNDS = 32,
    CPUIDS_PER_ROUND = 256, /* bench_programs.S */
    WARM_UP = 20,
    PAGES = 63, /* odd, for the median */
    LARGE_PAGES = 7,
    PAGES_GPA = 0x60000,
    LARGE_GPA = 0x40000000 - LARGE_PAGES * 0x200000, /* in the guest's page tables */
};

#define LARGE_MEMORY ARENA(0x01200000) /* behind what the attacks use */

#define PROGRAM(name)                                                                                                  \
    {                                                                                                                  \
        bench_guest_##name, bench_guest_##name##_end                                                                   \
    }
#define DECLARE(name) extern const uint8_t bench_guest_##name[], bench_guest_##name##_end[];
DECLARE(out)
DECLARE(hlt)
DECLARE(wrmsr)
DECLARE(mmio)
DECLARE(cpuid)
DECLARE(walk)

struct program {
    const uint8_t *begin, *end;
};

static struct victim victim;

static void report_ticks(const char *what, uint64_t value)
{
    print("BENCHRAW %s_ticks %lu", what, value);
    print_end_of_result();
}

static void report_exit(const char *what, bool protected, const struct counters *sum, uint64_t count)
{
    const char *kind = protected ? "protected" : "plain";
    uint64_t hundredths = sum->entries * 100 / count;

    print("BENCHRAW %s_exit_%s_harness_ticks %lu", kind, what, sum->ticks / count);
    print_end_of_result();
    print("BENCHRAW %s_exit_%s_harness_entries %lu.%lu%lu", kind, what, hundredths / 100, hundredths / 10 % 10,
          hundredths % 10);
    print_end_of_result();
    print("BENCHRAW %s_exit_%s_harness_root_ticks %lu", kind, what, sum->root_ticks / count);
    print_end_of_result();
}

/* ---- The guest ---- */

static void build(const struct program *program, bool protected)
{
    victim_build(&victim, 0, PROGRAM_PAGES, protected, 0);
    copy_bytes(victim_page(&victim, GA_PROGRAM), program->begin, (uint64_t)(program->end - program->begin));
    vcpu_set_base(&victim.v, FIELD_PREEMPTION_TIMER_VALUE, UINT32_MAX); /* can't fire in a run */
}

static void start(void)
{
    if (!victim_start(&victim))
        harness_abort("bench: the guest does not start");
}

static void end(void)
{
    if (!victim_end(&victim))
        harness_abort("bench: the VM does not end");
}

/* Enters and expects this exit; what a hypervisor does at least: learns why, and skips the instruction. */
static void enter_and_skip(uint32_t expected)
{
    enum { STORE_LENGTH = 2 }; /* not told for EPT violations */

    vcpu_enter_again(&victim.v);
    if (vmx_read(VMCS_EXIT_REASON) != expected)
        harness_abort("bench: exit %lx instead of %x", vmx_read(VMCS_EXIT_REASON), expected);
    vmx_write(VMCS_GUEST_RIP,
              vmx_read(VMCS_GUEST_RIP) +
                  (expected == EXIT_EPT_VIOLATION ? STORE_LENGTH : vmx_read(VMCS_VM_EXIT_INSTRUCTION_LENGTH)));
}

/* ---- Exits that the host handles ---- */

struct exit_kind {
    const char *name;
    struct program program;
    uint32_t reason;
};

static void bench_exit(const struct exit_kind *kind, bool protected)
{
    struct counters before, sum;

    build(&kind->program, protected);
    start();
    for (unsigned i = 0; i < WARM_UP; i++)
        enter_and_skip(kind->reason);
    before = counters_read();
    for (unsigned i = 0; i < ROUNDS; i++)
        enter_and_skip(kind->reason);
    sum = counters_since(&before);
    report_exit(kind->name, protected, &sum, ROUNDS);
    end();
}

/* ---- An exit that the layer handles for protected VMs ---- */

static void cpuid_round(bool protected)
{
    for (unsigned i = 0; !protected && i < CPUIDS_PER_ROUND; i++)
        enter_and_skip(EXIT_CPUID);
    enter_and_skip(EXIT_HLT);
}

static void bench_cpuid(bool protected)
{
    static const struct program program = PROGRAM(cpuid);
    struct counters before, sum;

    build(&program, protected);
    start();
    cpuid_round(protected);
    before = counters_read();
    for (unsigned i = 0; i < CPUID_ROUNDS; i++)
        cpuid_round(protected);
    sum = counters_since(&before);
    report_exit("cpuid", protected, &sum, CPUID_ROUNDS * CPUIDS_PER_ROUND);
    end();
}

/* ---- Pages ---- */

static uint64_t median(uint64_t *values, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        for (unsigned at = i; at > 0 && values[at - 1] > values[at]; at--) {
            uint64_t moved = values[at];

            values[at] = values[at - 1];
            values[at - 1] = moved;
        }
    }
    return values[count / 2];
}

/* The guest writes to page after page; the median of the layer's ticks for one. */
static uint64_t walk(unsigned count)
{
    uint64_t ticks[PAGES];

    for (unsigned i = 0; i < count; i++) {
        struct counters before = counters_read(), sum;

        enter_and_skip(EXIT_HLT);
        sum = counters_since(&before);
        ticks[i] = sum.root_ticks;
    }
    return median(ticks, count);
}

/* The same for the host's reading of them. */
static uint64_t read_pages(unsigned count)
{
    uint64_t ticks[PAGES];

    for (unsigned i = 0; i < count; i++) {
        const volatile uint64_t *page = victim_page(&victim, PAGES_GPA + i * PAGE_SIZE);
        struct counters before = counters_read(), sum;

        (void)*page;
        sum = counters_since(&before);
        ticks[i] = sum.root_ticks;
    }
    return median(ticks, count);
}

/* Zeroing as the layer does it, of memory that is there. */
static uint64_t zeroing_ticks(uint64_t bytes)
{
    uint64_t words = bytes / 8, before, empty;
    void *to = physical_pointer(LARGE_MEMORY);

    clear_pages(LARGE_MEMORY, (unsigned)(bytes / PAGE_SIZE));
    before = cpu_read_tsc();
    empty = cpu_read_tsc() - before;
    before = cpu_read_tsc();
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(0) : "memory");
    return cpu_read_tsc() - before - empty;
}

static void build_walk(uint64_t step, uint64_t first, uint64_t count)
{
    static const struct program program = PROGRAM(walk);
    uint64_t *parameters = victim_page(&victim, GA_PARAMETERS);

    build(&program, true);
    parameters[1] = step;
    parameters[2] = first;
    parameters[3] = count;
}

static void bench_pages(void)
{
    uint64_t claimed, known, zeroing = zeroing_ticks(PAGE_SIZE);

    build_walk(PAGE_SIZE, PAGES_GPA, PAGES);
    start();
    claimed = walk(PAGES);
    known = walk(PAGES); /* HLT alone */
    report_ticks("claim_4k", claimed - known);
    report_ticks("zeroing_4k", zeroing);
    report_ticks("pageout_4k", read_pages(PAGES));
    report_ticks("pagein_4k", walk(PAGES) - known);
    end();
}

static void bench_large_pages(void)
{
    uint64_t claimed, known, zeroing = zeroing_ticks(LARGE_PAGE_SIZE);

    build_walk(LARGE_PAGE_SIZE, LARGE_GPA, LARGE_PAGES);
    victim.descriptor->ram[victim.descriptor->ram_count++] = (struct bundle_window){
        LARGE_GPA, LARGE_PAGES * LARGE_PAGE_SIZE / PAGE_SIZE
    };
    ept_map_range(&victim.v.ept, LARGE_GPA, LARGE_MEMORY, LARGE_PAGES * LARGE_PAGE_SIZE, EPT_LEVEL_2M,
                  EPT_ALL | EPT_WB);
    start();
    claimed = walk(LARGE_PAGES);
    known = walk(LARGE_PAGES);
    report_ticks("claim_2m", claimed - known);
    report_ticks("zeroing_2m", zeroing);
    end();
}

void suite_bench_protected(void)
{
    static const struct exit_kind kinds[] = {
        { "out", PROGRAM(out), EXIT_IO },
        { "hlt", PROGRAM(hlt), EXIT_HLT },
        { "wrmsr", PROGRAM(wrmsr), EXIT_WRMSR },
        { "mmio", PROGRAM(mmio), EXIT_EPT_VIOLATION },
    };
    uint64_t value;

    if (!vmx_under_layer || !vmx_hypercall(HYPERCALL_VM, 0, VM_WORD_STATE, &value))
        return;
    vmx_enable();
    for (unsigned i = 0; i < 2 * sizeof(kinds) / sizeof(kinds[0]); i++)
        bench_exit(&kinds[i / 2], i % 2 != 0);
    bench_cpuid(false);
    bench_cpuid(true);
    bench_pages();
    bench_large_pages();
    vmx_disable();
}
