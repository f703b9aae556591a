/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host injects events that the policy (vectors 30h to 37h, no NMI) or the guest's state forbids. The guest counts
 * what reaches its handlers.
 */
#include "untrusted-hypervisor-harness/attacks/attack.h"

enum { INTERRUPTS_ON = 1 };

struct event {
    uint32_t info;
    uint32_t length; /* of the instruction, for software events */
};

static enum attack_result inject(struct victim *vm)
{
    const struct event *e = attack_now->argument;
    uint32_t code;

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    vmx_write(VMCS_VM_ENTRY_INTERRUPTION_INFO, INTR_VALID | e->info);
    vmx_write(VMCS_VM_ENTRY_INSTRUCTION_LENGTH, e->length);
    vmx_write(VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE, 0);
    if (attack_now->word == 0 && INTR_TYPE(e->info) == INTR_TYPE_EXTERNAL && !vm->protected)
        vmx_write(VMCS_GUEST_RFLAGS, vcpu_get(FIELD_GUEST_RFLAGS) | RFLAGS_IF); /* a plain guest's are the host's */
    code = victim_run(vm);
    if ((code & 0xff) == REPORT_EVENTS && code >> 8 != 0)
        return ATTACK_SUCCEEDS;
    return attack_outcome(vm, code);
}

/* Nor while the guest's interrupts are on, but blocked by an event of its own. */
static enum attack_result twice(struct victim *vm)
{
    const struct event *e = attack_now->argument;
    uint32_t code = 0;

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    for (unsigned i = 0; i < 2; i++) {
        vmx_write(VMCS_VM_ENTRY_INTERRUPTION_INFO, INTR_VALID | e->info);
        code = victim_run(vm);
    }
    return (code & 0xff) == REPORT_EVENTS && code >> 8 == 2 ? ATTACK_SUCCEEDS : attack_outcome(vm, code);
}

#define TYPE(t) ((uint32_t)INTR_TYPE_##t << 8)
#define EVENT(i, n)                                                                                                    \
    &(const struct event)                                                                                              \
    {                                                                                                                  \
        .info = (i), .length = (n)                                                                                     \
    }
#define FORBIDDEN(label, interrupts, i, n)                                                                             \
    {                                                                                                                  \
        .name = (label), .run = inject, .program = PROGRAM_EVENTS, .expected = ATTACK_STOPPED, .stop = STOP_BAD_EVENT, \
        .word = (interrupts), .argument = EVENT(i, n)                                                                  \
    }

static const struct attack attacks[] = {
    /* What is allowed comes through, so that the others prove something. */
    { .name = "event.allowed",
      .run = twice,
      .program = PROGRAM_EVENTS,
      .expected = ATTACK_SUCCEEDS,
      .word = INTERRUPTS_ON,
      .argument = EVENT(0x31, 0) },
    FORBIDDEN("event.interrupts-off", 0, 0x31, 0),
    FORBIDDEN("event.vector-80h", INTERRUPTS_ON, 0x80, 0),
    FORBIDDEN("event.vector-not-listed", INTERRUPTS_ON, 0x38, 0),
    FORBIDDEN("event.vector-below-20h", INTERRUPTS_ON, 0x1e, 0),
    FORBIDDEN("event.interrupt-vector-7", INTERRUPTS_ON, 0x07, 0),
    FORBIDDEN("event.nmi", INTERRUPTS_ON, TYPE(NMI) | 2, 0),
    FORBIDDEN("event.undefined-instruction", INTERRUPTS_ON, TYPE(HARDWARE) | 6, 0),
    FORBIDDEN("event.page-fault", INTERRUPTS_ON, TYPE(HARDWARE) | INTR_ERROR_VALID | 14, 0),
    FORBIDDEN("event.general-protection", INTERRUPTS_ON, TYPE(HARDWARE) | INTR_ERROR_VALID | 13, 0),
    FORBIDDEN("event.debug", INTERRUPTS_ON, TYPE(HARDWARE) | 1, 0),
    FORBIDDEN("event.vmm-communication", INTERRUPTS_ON, TYPE(HARDWARE) | 29, 0),
    FORBIDDEN("event.machine-check", INTERRUPTS_ON, TYPE(HARDWARE) | 18, 0),
    FORBIDDEN("event.software-int-80h", INTERRUPTS_ON, TYPE(SOFTWARE) | 0x80, 2),
    FORBIDDEN("event.software-int-31h", INTERRUPTS_ON, TYPE(SOFTWARE) | 0x31, 2),
    FORBIDDEN("event.breakpoint", INTERRUPTS_ON, TYPE(SOFTWARE_EXCEPTION) | 3, 1),
    FORBIDDEN("event.int1", INTERRUPTS_ON, TYPE(PRIVILEGED_SOFTWARE) | 1, 1),
};

void attacks_events(void)
{
    attack_run_all(attacks, ARRAY_COUNT(attacks));
}
