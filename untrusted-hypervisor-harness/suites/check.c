/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Running VM-entry cases. See check.h.
 */
#include "untrusted-hypervisor-harness/suites/check.h"
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/exit_info.h"
#include "untrusted-hypervisor-harness/core/result.h"
#include "untrusted-hypervisor-harness/core/vmx.h"

const struct outcome unsupported_control = { .kind = OUTCOME_FAIL_VALID, .error = VMERR_ENTRY_CONTROLS };

/* Bits that the processor leaves free and the layer's announcements don't: hidden, or always 1. */
static bool keeps_offer(struct vmx_control_cap hardware, struct vmx_control_cap offer, uint64_t value)
{
    uint32_t hidden = hardware.may_be_1 & ~offer.may_be_1, forced = offer.must_be_1 & ~hardware.must_be_1;

    return (value & hidden) == 0 && (~value & forced) == 0;
}

bool control_bits_comparable(enum vmcs_index field, uint64_t value)
{
    switch (field) {
    case FIELD_PIN_BASED_CONTROLS: return keeps_offer(vmx_hardware.pin, vmx_offer.pin, value);
    case FIELD_PROCESSOR_BASED_CONTROLS: return keeps_offer(vmx_hardware.proc, vmx_offer.proc, value);
    case FIELD_SECONDARY_CONTROLS:
        return (vcpu_get(FIELD_PROCESSOR_BASED_CONTROLS) & PROC_SECONDARY_CONTROLS) == 0 ||
               keeps_offer(vmx_hardware.secondary, vmx_offer.secondary, value);
    case FIELD_VM_EXIT_CONTROLS: return keeps_offer(vmx_hardware.exit, vmx_offer.exit, value);
    case FIELD_VM_ENTRY_CONTROLS: return keeps_offer(vmx_hardware.entry, vmx_offer.entry, value);
    default: return true;
    }
}

static uint64_t changed_value(const struct change *c)
{
    uint64_t base = vcpu_get(c->field);

    switch (c->operation) {
    case CHANGE_OR: return base | c->value;
    case CHANGE_CLEAR: return base & ~c->value;
    case CHANGE_XOR: return base ^ c->value;
    default: return c->value;
    }
}

bool check_apply(struct vcpu *v, const struct change *changes, bool *comparable)
{
    *comparable = true;
    for (unsigned i = 0; i < CASE_CHANGES && changes[i].operation != CHANGE_NONE; i++) {
        uint64_t value = changed_value(&changes[i]);

        if (!vcpu_has(changes[i].field))
            return false;
        *comparable = *comparable && control_bits_comparable(changes[i].field, value);
        vcpu_set(v, changes[i].field, value);
    }
    return true;
}

void check_cases(struct vcpu *v, const char *prefix, const struct entry_case *cases, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        bool comparable;

        if (check_apply(v, cases[i].change, &comparable)) {
            print("%s.%s ", prefix, cases[i].name);
            run_result(v, comparable ? vcpu_run(v) : unsupported_control);
        }
        vcpu_revert(v);
    }
}

/* What tells outcomes apart in a line of runs. */
struct summary {
    enum outcome_kind kind;
    uint64_t number; /* error, vector or full exit reason */
    uint64_t qualification;
};

static struct summary summarise(const struct outcome *o)
{
    struct summary s = { .kind = o->kind, .number = o->error };

    if (o->kind == OUTCOME_FAULT)
        s.number = o->trap.vector;
    if (o->kind == OUTCOME_EXIT) {
        s.number = vcpu_get(FIELD_EXIT_REASON);
        s.qualification = vcpu_get(FIELD_EXIT_QUALIFICATION);
    }
    return s;
}

static bool same_summary(const struct summary *a, const struct summary *b)
{
    return a->kind == b->kind && a->number == b->number && a->qualification == b->qualification;
}

static void print_summary(const struct summary *s)
{
    struct outcome o = { .kind = s->kind, .error = s->number };

    if (s->kind == OUTCOME_FAULT)
        print("fault%lu", s->number);
    else if (s->kind != OUTCOME_EXIT)
        outcome_print(&o);
    else if (s->number == EXIT_VMCALL)
        print("runs");
    else
        print("%s%lu/%lx", (s->number & EXIT_ENTRY_FAILURE) != 0 ? "entry-exit" : "exit", s->number & 0xffff,
              s->qualification);
}

static void print_run(unsigned first, unsigned last, const struct summary *s)
{
    if (first == last)
        print(" %u:", first);
    else
        print(" %u-%u:", first, last);
    print_summary(s);
}

static struct summary flip(struct vcpu *v, enum vmcs_index field, unsigned bit)
{
    uint64_t value = v->field[field] ^ BIT64(bit);
    struct outcome o = unsupported_control;
    struct summary s;

    vcpu_set(v, field, value);
    if (control_bits_comparable(field, value))
        o = vcpu_run(v);
    s = summarise(&o);
    vcpu_revert(v);
    return s;
}

void check_flips(struct vcpu *v, const char *prefix, enum vmcs_index field, unsigned first, unsigned last)
{
    struct summary run = { 0 };
    unsigned start = first;

    if (!vcpu_has(field))
        return;
    print("%s.%s.%u", prefix, vmcs_field_names[field], first);
    for (unsigned bit = first; bit <= last; bit++) {
        struct summary s = flip(v, field, bit);

        if (bit > first && !same_summary(&s, &run)) {
            print_run(start, bit - 1, &run);
            start = bit;
        }
        run = s;
    }
    print_run(start, last, &run);
    print_end_of_result();
}
