/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The suite: every attack against a plain VM and against a protected one. Lines:
 *   PASS attacks.<name>: plain <result>, protected <result>
 *   FAIL attacks.<name>: ...   the protected VM did not resist as it must
 *   ERROR attacks.<name>: ...  the attack did not succeed against the plain VM: it proves nothing
 */
#include "untrusted-hypervisor-harness/attacks/attack.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

#define SUITE "attacks"

static const char *const result_names[] = {
    [ATTACK_SUCCEEDS] = "succeeds", [ATTACK_NOTHING] = "nothing", [ATTACK_STOPPED] = "stopped",
    [ATTACK_REFUSED] = "refused",   [ATTACK_BROKEN] = "broken",
};

const struct attack *attack_now;

static struct victim victim;

enum attack_result attack_outcome(const struct victim *vm, uint32_t code)
{
    if (vm->protected && victim_word(vm, VM_WORD_STOP) != STOP_NONE)
        return ATTACK_STOPPED;
    switch (code & 0xff) {
    case REPORT_READY:
    case REPORT_OK:
    case REPORT_EVENTS:
    case REPORT_AP:
    case REPORT_GP: return ATTACK_NOTHING;
    case REPORT_BAD:
    case REPORT_EXCEPTION: return ATTACK_SUCCEEDS;
    default: break;
    }
    if (code == RUN_LAUNCH_ERROR)
        return ATTACK_REFUSED;
    return vm->protected || code == RUN_OTHER ? ATTACK_BROKEN : ATTACK_SUCCEEDS;
}

enum attack_result attack_go_on(struct victim *vm, bool seen)
{
    enum attack_result result = attack_outcome(vm, victim_run(vm));

    return seen ? ATTACK_SUCCEEDS : result;
}

/* What came of it, and whether the VM went as it must. */
struct trial {
    enum attack_result result;
    enum stop_reason stop;
    bool clean;
};

static struct trial try(const struct attack *a, bool protected)
{
    struct trial t;

    victim_build(&victim, 0, a->program, protected, a->word);
    t.result = a->run(&victim);
    t.stop = victim_stop_reason(&victim);
    t.clean = victim_end(&victim);
    return t;
}

static bool as_expected(const struct attack *a, const struct trial *t)
{
    if (!t->clean)
        return false;
    if (a->expected == ATTACK_STOPPED && a->stop == STOP_NONE)
        return t->result == ATTACK_STOPPED || t->result == ATTACK_NOTHING;
    return t->result == a->expected && (a->expected != ATTACK_STOPPED || t->stop == a->stop);
}

static void run(const struct attack *a)
{
    struct trial plain, protected;

    if (a->two_cpus && !processors_have_second()) {
        result_skip(SUITE, a->name, "a second CPU");
        return;
    }
    attack_now = a;
    plain = try(a, false);
    protected = try(a, true);
    if (plain.result != ATTACK_SUCCEEDS)
        print("ERROR");
    else
        print(as_expected(a, &protected) ? "PASS" : "FAIL");
    print(" %s.%s: plain %s, protected %s", SUITE, a->name, result_names[plain.result], result_names[protected.result]);
    if (protected.result == ATTACK_STOPPED)
        print(" %s", stop_names[protected.stop]);
    if (!protected.clean)
        print(", not clean");
    print_end_of_result();
}

void attack_run_all(const struct attack *attacks, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        run(&attacks[i]);
}

/* Guests with vector registers need them switched on in the host, as every host has them. */
static void enable_vectors(void)
{
    enum { CR4_SIMD = 0x40600 };

    cpu_write_cr4(cpu_read_cr4() | CR4_SIMD);
    __asm__ volatile("xsetbv" : : "a"(7), "d"(0), "c"(0));
}

void suite_attacks(void)
{
    uint64_t value;

    if (!vmx_under_layer || !vmx_hypercall(HYPERCALL_VM, 0, VM_WORD_STATE, &value)) {
        result_skip(SUITE, "all", "a layer that protects VMs");
        return;
    }
    enable_vectors();
    vmx_enable();
    attacks_reading();
    attacks_mapping();
    attacks_pages();
    attacks_state();
    attacks_answers();
    attacks_events();
    attacks_controls();
    attacks_two_cpus();
    attacks_regions();
    attacks_clock();
    attacks_launch();
    attacks_start();
    attacks_end();
    vmx_disable();
}
