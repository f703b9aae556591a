/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Family random: VM entries with a few fields changed at random, from a fixed seed, into guests of every mode. Values
 * are bit flips, extremes, and small numbers. It meets combinations that nobody wrote a case for.
 *
 * Left alone: the host-state area and what exits load, since a wrong value there that is accepted would end the
 * harness; addresses of MSR lists; injected events of type 7 and entry to SMM, on which Bochs 2.7 stops.
 */
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/exit_info.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/vmx.h"
#include "untrusted-hypervisor-harness/suites/check.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

enum { CASES_PER_MODE = 150, CHANGES_MAX = 3 };

static struct vcpu vcpu;
static uint64_t state;

static uint64_t random_word(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static bool may_change(unsigned field)
{
    if (!vcpu_has(field) || vmcs_fields[field].home == HOME_HOST || vmcs_fields[field].home == HOME_EXIT)
        return false;
    switch (field) {
    case FIELD_VM_EXIT_CONTROLS:
    case FIELD_VM_EXIT_MSR_STORE_ADDR:
    case FIELD_VM_EXIT_MSR_STORE_COUNT:
    case FIELD_VM_EXIT_MSR_LOAD_ADDR:
    case FIELD_VM_EXIT_MSR_LOAD_COUNT:
    case FIELD_VM_ENTRY_MSR_LOAD_ADDR:
    case FIELD_VM_ENTRY_MSR_LOAD_COUNT:
    case FIELD_PIN_BASED_CONTROLS: /* the watchdog stays on, and no interrupt or NMI is taken away */
    case FIELD_PREEMPTION_TIMER_VALUE:
    case FIELD_GUEST_ACTIVITY_STATE: return false; /* wait-for-SIPI ends by another CPU only */
    default: return true;
    }
}

static unsigned random_field(void)
{
    for (;;) {
        unsigned field = (unsigned)(random_word() % VMCS_FIELD_COUNT);

        if (may_change(field))
            return field;
    }
}

static uint64_t random_value(uint64_t base)
{
    switch (random_word() % 8) {
    case 0: return random_word();
    case 1: return random_word() & 0xff;
    case 2: return random_word() & UINT32_MAX;
    case 3: return base + 1;
    case 4: return ~base;
    case 5: return base ^ BIT64(random_word() % 16) ^ BIT64(random_word() % 64);
    default: return base ^ BIT64(random_word() % 32);
    }
}

static uint64_t tamed(unsigned field, uint64_t value)
{
    if (field == FIELD_VM_ENTRY_INTERRUPTION_INFO && INTR_TYPE((uint32_t)value) == INTR_TYPE_OTHER)
        return value & ~(uint64_t)INTR_VALID;
    return value;
}

/* Where a guest that runs wild is when the watchdog ends it is a matter of time. */
static void print_outcome(struct outcome o)
{
    if (o.kind == OUTCOME_EXIT && vcpu_get(FIELD_EXIT_REASON) == EXIT_PREEMPTION_TIMER)
        print("exit %u", EXIT_PREEMPTION_TIMER);
    else
        run_print(&vcpu, o);
    print_end_of_result();
}

/* Two runs must make the same cases: the random words don't depend on any outcome. */
static void random_case(unsigned number)
{
    unsigned changes = 1 + (unsigned)(random_word() % CHANGES_MAX);
    bool comparable = true;

    print("random.%s.%u ", guest_mode_names[vcpu.mode], number);
    for (unsigned i = 0; i < changes; i++) {
        unsigned field = random_field();
        uint64_t value = tamed(field, random_value(vcpu.field[field]));

        print("%s=%lx ", vmcs_field_names[field], value);
        vcpu_set(&vcpu, field, value);
        comparable = comparable && control_bits_comparable(field, value);
    }
    print_outcome(comparable ? vcpu_run(&vcpu) : unsupported_control);
    vcpu_revert(&vcpu);
}

void conformance_random(void)
{
    static const struct {
        uint8_t mode, kind;
    } guests[] = {
        { MODE_LONG, MEMORY_OFFSET_4K }, { MODE_LONG, MEMORY_DIRECT },     { MODE_COMPAT, MEMORY_DIRECT },
        { MODE_PAE, MEMORY_OFFSET_4K },  { MODE_PAGED, MEMORY_OFFSET_4K }, { MODE_PROTECTED, MEMORY_OFFSET_4K },
        { MODE_REAL, MEMORY_OFFSET_4K }, { MODE_V86, MEMORY_DIRECT },
    };

    vmx_enable();
    state = UINT64_C(0x9e3779b97f4a7c15);
    for (unsigned g = 0; g < ARRAY_COUNT(guests); g++) {
        if (!vcpu_supported(guests[g].mode, guests[g].kind))
            continue;
        for (unsigned i = 0; i < CASES_PER_MODE; i++) {
            /* Guest memory and all fields afresh: some of these guests run wild. */
            if (i % 10 == 0)
                vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), guests[g].mode, guests[g].kind);
            random_case(g * CASES_PER_MODE + i);
        }
    }
    machine_restore();
    vmx_disable();
}
