/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A second CPU reads, writes or remaps the guest's pages while the first one runs the guest: translations that it had
 * before the VM took the page must be gone when the guest's first secret is in it.
 */
#include "untrusted-hypervisor-harness/attacks/attack.h"
#include "untrusted-hypervisor-harness/suites/hostile.h"

enum { REPORTS = 6, SLOW = 15000, FAST = 1000, FASTEST = 100, STEP = 37 }; /* pauses between two accesses */

static struct {
    struct victim *vm;
    uint64_t frame;
    unsigned pauses;
    volatile unsigned access; /* so far */
    volatile bool stop, seen;
    volatile uint64_t *leaf;
} other;

static void rest(void)
{
    for (unsigned i = 0; i < other.pauses && !other.stop; i++)
        cpu_pause();
}

static bool goes_on(void)
{
    rest();
    return !other.stop;
}

static void read_on(void *unused)
{
    const volatile uint64_t *page = physical_pointer(other.frame);

    (void)unused;
    for (unsigned i = 0; goes_on(); i = (i + STEP) % 512, other.access++)
        other.seen = other.seen || victim_is_secret(other.vm, page[i]);
}

static void write_on(void *unused)
{
    volatile uint64_t *page = physical_pointer(other.frame);

    (void)unused;
    for (unsigned i = 0; goes_on(); i = (i + STEP) % 512, other.access++)
        page[i] = 0x1111;
}

static void remap_on(void *unused)
{
    const uint64_t leaf[] = { (other.vm->memory + GA_SECRET) | EPT_ALL | EPT_WB,
                              SPARE_MEMORY | EPT_ALL | EPT_WB,
                              0,
                              (other.vm->memory + GA_PROGRAM) | EPT_ALL | EPT_WB,
                              (other.vm->memory + GA_SECRET) | EPT_READ | EPT_WB,
                              SPARE_MEMORY | EPT_WRITE };

    (void)unused;
    for (unsigned i = 0; goes_on(); i = (i + 1) % ARRAY_COUNT(leaf), other.access++)
        *other.leaf = leaf[i];
}

static void begin(struct victim *vm, void (*job)(void *), unsigned pauses)
{
    other.vm = vm;
    other.frame = vm->memory + GA_SECRET;
    other.leaf = ept_entry(&vm->v.ept, GA_SECRET, EPT_LEVEL_4K);
    other.pauses = pauses;
    other.access = 0;
    other.stop = other.seen = false;
    processors_begin(job, NULL);
    while (other.access < 2)
        cpu_pause();
}

static void end(void)
{
    other.stop = true;
    processors_wait();
}

/* A guest that starts or goes on while the other CPU does its work. */
static enum attack_result run_beside(struct victim *vm, void (*job)(void *), unsigned pauses)
{
    enum attack_result result = ATTACK_NOTHING;

    begin(vm, job, pauses);
    for (unsigned i = 0; i < REPORTS && result == ATTACK_NOTHING; i++)
        result = attack_outcome(vm, victim_run(vm));
    end();
    return other.seen ? ATTACK_SUCCEEDS : result;
}

static enum attack_result stale(struct victim *vm)
{
    return run_beside(vm, read_on, SLOW);
}

/* Hardly without a break, so that the page changes hands all the time. */
static enum attack_result claim_race(struct victim *vm)
{
    return run_beside(vm, read_on, FAST);
}

static enum attack_result write_race(struct victim *vm)
{
    return run_beside(vm, write_on, FASTEST);
}

static bool touch_and_flush(struct victim *vm, uint32_t reason)
{
    if (reason == EXIT_IO) {
        (void)*(volatile uint64_t *)physical_pointer(vm->memory + GA_SECRET);
        ept_invalidate();
    }
    return true;
}

static enum attack_result remap_race(struct victim *vm)
{
    fill_bytes(physical_pointer(SPARE_MEMORY), 0x11, PAGE_SIZE);
    vm->before_answer = touch_and_flush;
    return run_beside(vm, remap_on, FASTEST);
}

#define NOTHING(label, function, of)                                                                                   \
    {                                                                                                                  \
        .name = (label), .run = (function), .program = PROGRAM_##of, .expected = ATTACK_NOTHING, .two_cpus = true      \
    }

static const struct attack attacks[] = {
    NOTHING("two-cpus.stale-translation", stale, WRITER),
    NOTHING("two-cpus.read-at-claim", claim_race, PAGES),
    { .name = "two-cpus.write",
      .run = write_race,
      .program = PROGRAM_WRITER,
      .expected = ATTACK_STOPPED,
      .stop = STOP_FORGED_PAGE,
      .two_cpus = true },
    { .name = "two-cpus.remap",
      .run = remap_race,
      .program = PROGRAM_PAGES,
      .expected = ATTACK_STOPPED,
      .two_cpus = true },
};

void attacks_two_cpus(void)
{
    attack_run_all(attacks, ARRAY_COUNT(attacks));
}
