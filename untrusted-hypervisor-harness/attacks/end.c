/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VM ends, and the host has its frames back: they hold nothing.
 */
#include "untrusted-hypervisor-harness/attacks/attack.h"

static bool all_zero(const struct victim *vm, uint64_t gpa)
{
    const uint64_t *page = victim_page(vm, gpa);
    uint64_t sum = 0;

    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        sum |= page[i];
    return sum == 0;
}

static bool frames_empty(const struct victim *vm)
{
    static const uint64_t pages[] = { GA_DESCRIPTOR, GA_PARAMETERS,           GA_PROGRAM, GA_SECRET, GA_VARIABLES,
                                      GA_SECOND,     GA_STACK_TOP - PAGE_SIZE };

    for (unsigned i = 0; i < ARRAY_COUNT(pages); i++)
        if (!all_zero(vm, pages[i]))
            return false;
    return true;
}

/* The host takes the region of its last vCPU, and reads on at once. */
static enum attack_result killed(struct victim *vm)
{
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    *(volatile uint32_t *)physical_pointer(vm->v.region + 4) = 0;
    if (!frames_empty(vm))
        return ATTACK_SUCCEEDS;
    return attack_go_on(vm, false);
}

/* By a forged answer. */
static enum attack_result stopped(struct victim *vm)
{
    uint32_t code;

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    vmx_write(VMCS_GUEST_RIP, 0x1234);
    code = victim_run(vm);
    return frames_empty(vm) ? attack_outcome(vm, code) : ATTACK_SUCCEEDS;
}

/* While a page was out, and its frame the host's: what the host has there stays. */
static enum attack_result stopped_while_out(struct victim *vm)
{
    uint64_t word;

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    word = victim_page(vm, GA_SECRET)[0];
    vmx_write(VMCS_GUEST_RIP, 0x1234);
    victim_run(vm);
    if (victim_is_secret(vm, word) || victim_page(vm, GA_SECRET)[0] != word)
        return ATTACK_SUCCEEDS;
    return attack_outcome(vm, RUN_DOWN);
}

#define END(label, function, why)                                                                                      \
    {                                                                                                                  \
        .name = (label), .run = (function), .program = PROGRAM_PAGES, .expected = ATTACK_STOPPED, .stop = STOP_##why   \
    }

static const struct attack attacks[] = {
    END("end.killed", killed, HOST_GONE),
    END("end.stopped", stopped, BAD_ANSWER),
    END("end.stopped-with-page-out", stopped_while_out, BAD_ANSWER),
};

void attacks_end(void)
{
    attack_run_all(attacks, ARRAY_COUNT(attacks));
}
