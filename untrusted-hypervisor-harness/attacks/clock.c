/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host turns the time-stamp counter of its CPU back, or moves the guest to a CPU whose counter is behind: the
 * guest's clock must not run backwards.
 */
#include "untrusted-hypervisor-harness/attacks/attack.h"

#define BACK (UINT64_C(1) << 28)
enum { MSR_TSC = 0x10, MSR_TSC_ADJUST = 0x3b };

static void do_turn_back(void *unused)
{
    (void)unused;
    cpu_write_msr(MSR_TSC, cpu_read_tsc() - BACK);
}

static void do_turn_forward(void *unused)
{
    (void)unused;
    cpu_write_msr(MSR_TSC, cpu_read_tsc() + BACK);
}

static void do_adjust(void *unused)
{
    (void)unused;
    cpu_write_msr(MSR_TSC_ADJUST, cpu_read_msr(MSR_TSC_ADJUST) - BACK);
}

static enum attack_result turn(struct victim *vm, void (*write)(void *))
{
    struct trap trap;

    if (!victim_start(vm) || victim_run(vm) != REPORT_OK)
        return ATTACK_BROKEN;
    try_run(&trap, write, NULL);
    return attack_go_on(vm, false);
}

static enum attack_result turn_back(struct victim *vm)
{
    enum attack_result result = turn(vm, do_turn_back);

    if (!vm->protected)
        do_turn_forward(NULL);
    return result;
}

static enum attack_result adjust(struct victim *vm)
{
    enum attack_result result = turn(vm, do_adjust);

    if (!vm->protected)
        do_turn_forward(NULL);
    return result;
}

/* ---- To a CPU that is behind; the host set it back before there was any protected VM ---- */

static enum attack_result moved;

static void on_other_cpu(void *data)
{
    struct victim *vm = data;

    vmx_enable();
    vcpu_take(&vm->v);
    moved = attack_go_on(vm, false);
    vmx_clear(vm->v.region);
    vmx_disable();
}

static void on_slow_cpu(void *job)
{
    struct trap trap;

    try_run(&trap, (void (*)(void *))job, NULL);
}

static void other_cpu_does(void (*job)(void *), void *argument)
{
    processors_begin(job, argument);
    processors_wait();
}

static enum attack_result move(struct victim *vm)
{
    other_cpu_does(on_slow_cpu, (void *)do_turn_back);
    moved = ATTACK_BROKEN;
    if (victim_start(vm) && victim_run(vm) == REPORT_OK) {
        vmx_clear(vm->v.region);
        other_cpu_does(on_other_cpu, vm);
    }
    vmx_load(vm->v.region);
    return moved;
}

static enum attack_result move_and_restore(struct victim *vm)
{
    enum attack_result result = move(vm);

    if (vm->protected && victim_word(vm, VM_WORD_STATE) != 0)
        victim_end(vm); /* the counter can be set only then */
    other_cpu_does(on_slow_cpu, (void *)do_turn_forward);
    return result;
}

#define CLOCK(label, function, cpus)                                                                                   \
    {                                                                                                                  \
        .name = (label), .run = (function), .program = PROGRAM_CLOCK, .expected = ATTACK_NOTHING, .two_cpus = (cpus)   \
    }

static const struct attack attacks[] = {
    CLOCK("clock.turned-back", turn_back, false),
    CLOCK("clock.adjusted", adjust, false),
    CLOCK("clock.moved-to-slow-cpu", move_and_restore, true),
};

void attacks_clock(void)
{
    attack_run_all(attacks, ARRAY_COUNT(attacks));
}
