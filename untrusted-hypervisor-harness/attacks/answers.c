/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host answers an exit in a way that the exit does not allow: it goes on elsewhere, skips what it may only repair,
 * or raises #GP where none is due.
 */
#include "untrusted-hypervisor-harness/attacks/attack.h"

enum { GP = 13, ABSOLUTE = 0 };

struct forgery {
    uint32_t reason;
    int64_t distance; /* from where the decent answer goes on; ABSOLUTE: the program's beginning */
};

/* Once, at the first exit of the kind after the guest got ready. */
static bool forge(struct victim *vm, uint32_t reason)
{
    const struct forgery *f = attack_now->argument;
    uint64_t rip = vcpu_get(FIELD_GUEST_RIP);

    if (reason != f->reason || vm->note[0]++ != 0)
        return true;
    vmx_write(VMCS_GUEST_RIP, f->distance == ABSOLUTE ? GA_PROGRAM : rip + (uint64_t)f->distance);
    return true;
}

static enum attack_result forged_rip(struct victim *vm)
{
    uint32_t code;

    victim_map(vm, GA_FRESH, 0, 0);
    ept_invalidate();
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    vm->after_answer = forge;
    code = victim_run(vm);
    return vm->note[0] == 0 ? ATTACK_BROKEN : code == REPORT_READY ? ATTACK_SUCCEEDS : attack_outcome(vm, code);
}

static void inject_gp(uint64_t error)
{
    vmx_write(VMCS_VM_ENTRY_INTERRUPTION_INFO, INTR_VALID | INTR_ERROR_VALID | INTR_TYPE_HARDWARE << 8 | GP);
    vmx_write(VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE, error);
}

/* #GP(0) is an answer to WRMSR, with RIP where it was. */
static bool answer_with_gp(struct victim *vm, uint32_t reason)
{
    if (reason != EXIT_WRMSR)
        return true;
    if (vm->note[0] == 1)
        victim_skip();
    inject_gp(vm->note[0] == 2 ? 4 : 0);
    vm->note[1]++;
    return false;
}

static enum attack_result gp(struct victim *vm, uint64_t kind)
{
    uint32_t code;

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    vm->before_answer = answer_with_gp;
    if (victim_run(vm) != RUN_OTHER)
        return ATTACK_BROKEN;
    vm->before_answer = NULL;
    if (victim_run(vm) != REPORT_GP) /* so far a decent host */
        return ATTACK_BROKEN;
    vm->note[0] = kind;
    vm->before_answer = answer_with_gp;
    if (victim_run(vm) != RUN_OTHER)
        return ATTACK_BROKEN;
    vm->before_answer = NULL;
    code = victim_run(vm);
    if (code == REPORT_GP && !vm->protected && kind == 2)
        return ATTACK_SUCCEEDS; /* with an error code that this guest does not look at */
    return attack_outcome(vm, code);
}

static enum attack_result skip_and_gp(struct victim *vm)
{
    return gp(vm, 1);
}

static enum attack_result gp_with_error(struct victim *vm)
{
    return gp(vm, 2);
}

/* After a port access, which can't fault in ring 0. */
static enum attack_result gp_after_out(struct victim *vm)
{
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    inject_gp(0);
    return attack_go_on(vm, false);
}

#define FORGED_RIP(label, why, where)                                                                                  \
    {                                                                                                                  \
        .name = (label), .run = forged_rip, .program = PROGRAM_STATE, .expected = ATTACK_STOPPED,                      \
        .stop = STOP_BAD_ANSWER, .argument = &(const struct forgery)                                                   \
        {                                                                                                              \
            .reason = EXIT_##why, .distance = (where)                                                                  \
        }                                                                                                              \
    }
#define FORGED_GP(label, function, of)                                                                                 \
    {                                                                                                                  \
        .name = (label), .run = (function), .program = PROGRAM_##of, .expected = ATTACK_STOPPED,                       \
        .stop = STOP_BAD_EVENT                                                                                         \
    }

static const struct attack attacks[] = {
    FORGED_RIP("answer.one-byte-further", HLT, 1),
    FORGED_RIP("answer.three-bytes-back", HLT, -3),
    FORGED_RIP("answer.elsewhere", HLT, ABSOLUTE),
    FORGED_RIP("answer.port-elsewhere", IO, ABSOLUTE),
    FORGED_RIP("answer.rdmsr-one-byte-further", RDMSR, 1),
    FORGED_RIP("answer.timer-elsewhere", PREEMPTION_TIMER, ABSOLUTE),
    FORGED_RIP("answer.page-skipped", EPT_VIOLATION, 3),
    FORGED_GP("answer.skip-and-gp", skip_and_gp, FAULT),
    FORGED_GP("answer.gp-with-error-code", gp_with_error, FAULT),
    FORGED_GP("answer.gp-after-out", gp_after_out, PAGES),
};

void attacks_answers(void)
{
    attack_run_all(attacks, ARRAY_COUNT(attacks));
}
