/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Printing outcomes. See outcome.h.
 */
#include "untrusted-hypervisor-harness/core/outcome.h"
#include "nested-vmx/vmcs_fields.h"
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/vmx.h"

enum { VECTOR_PF = 14, VECTOR_NAMES = 22 };

static const char *const vector_names[VECTOR_NAMES] = {
    "DE", "DB", "NMI", "BP", "OF", "BR", "UD", "NM", "DF", "CSO", "TS",
    "NP", "SS", "GP",  "PF", "15", "MF", "AC", "MC", "XM", "VE",  "CP",
};

static const uint32_t vectors_with_error_code = 0x00227d00;

struct outcome outcome_from_flags(uint64_t rflags)
{
    struct outcome o = { .kind = OUTCOME_SUCCEED };

    switch (rflags & RFLAGS_ARITHMETIC) {
    case 0: break;
    case RFLAGS_CF: o.kind = OUTCOME_FAIL_INVALID; break;
    case RFLAGS_ZF:
        o.kind = OUTCOME_FAIL_VALID;
        o.error = vmx_read(VMCS_VM_INSTRUCTION_ERROR);
        break;
    default:
        o.kind = OUTCOME_ODD_FLAGS;
        o.error = rflags & RFLAGS_ARITHMETIC;
        break;
    }
    return o;
}

struct outcome outcome_from_trap(const struct trap *trap)
{
    return (struct outcome){ .kind = OUTCOME_FAULT, .trap = *trap };
}

void address_print(uint64_t address)
{
    if (address - ARENA_BASE < ARENA_SIZE)
        print("arena+%lx", address - ARENA_BASE);
    else if (address - WINDOW_BASE < WINDOW_PAGE_COUNT * PAGE_SIZE)
        print("window+%lx", address - WINDOW_BASE);
    else
        print("%lx", address);
}

static void trap_print(const struct trap *t)
{
    if (t->vector < VECTOR_NAMES)
        print("#%s", vector_names[t->vector]);
    else
        print("#%lu", t->vector);
    if (t->vector < 32 && (vectors_with_error_code >> t->vector & 1) != 0)
        print("(%lx)", t->error_code);
    if (t->vector == VECTOR_PF) {
        print("@");
        address_print(t->cr2);
    }
}

void outcome_print(const struct outcome *o)
{
    switch (o->kind) {
    case OUTCOME_SUCCEED: print("ok"); break;
    case OUTCOME_FAIL_INVALID: print("failinvalid"); break;
    case OUTCOME_FAIL_VALID: print("fail(%lu)", o->error); break;
    case OUTCOME_FAULT: trap_print(&o->trap); break;
    case OUTCOME_EXIT: print("exit"); break;
    case OUTCOME_ODD_FLAGS: print("flags(%lx)", o->error); break;
    }
}
