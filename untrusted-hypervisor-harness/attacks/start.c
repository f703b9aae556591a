/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The second vCPU: the host brings one before the guest asked for it, one of another VM, two for one, one in a state of
 * its own making. The guest's AP finds out whether it starts as a processor does after INIT and SIPI.
 */
#include "untrusted-hypervisor-harness/attacks/attack.h"

enum { SIPI_AGAIN = 1 };

/* In a plain VM the host starts the AP as it likes. */
static enum attack_result plain_start(struct victim *vm)
{
    struct vcpu *ap = &vm->second;
    uint32_t code;

    vcpu_init_at(ap, victim_region(vm->index, 1), MODE_REAL, MEMORY_OFFSET_4K, ARENA(ARENA_GUEST));
    vcpu_set_base(ap, FIELD_EPT_POINTER, ept_pointer(&vm->v.ept));
    vcpu_set_base(ap, FIELD_PROCESSOR_BASED_CONTROLS,
                  ap->field[FIELD_PROCESSOR_BASED_CONTROLS] | PROC_UNCONDITIONAL_IO_EXITING);
    vcpu_set_base(ap, FIELD_GUEST_CS_SELECTOR, GA_AP_CODE >> 4);
    vcpu_set_base(ap, FIELD_GUEST_CS_BASE, GA_AP_CODE);
    vcpu_set_base(ap, FIELD_GUEST_RIP, 0);
    fill_bytes(ap->reg, 0x11, sizeof(ap->reg));
    code = victim_run_second(vm);
    vmx_clear(ap->region);
    vmx_load(vm->v.region);
    return attack_outcome(vm, code);
}

/* The code in the AP start page, with page tables of the exit window. */
static void build_joiner(struct victim *vm, uint64_t region)
{
    victim_place(vm->memory + GA_AP_START, HELPER_JOIN);
    victim_build_second(vm, region, GA_AP_START, GA_WINDOW);
}

/* Runs the AP's call; true if it was refused. */
static bool join_refused(struct victim *vm, uint64_t region)
{
    uint32_t code;

    build_joiner(vm, region);
    code = victim_run_second(vm);
    return code == RUN_LAUNCH_ERROR && (uint32_t)vm->launch_answer == UINT32_MAX;
}

/* Before the guest's SIPI, after which the right one comes through. */
static enum attack_result too_early(struct victim *vm)
{
    bool refused;

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    if (!vm->protected)
        return plain_start(vm);
    refused = join_refused(vm, victim_region(vm->index, 1));
    vmx_load(vm->v.region);
    return refused ? attack_go_on(vm, false) : ATTACK_SUCCEEDS;
}

/* With registers and a state of the host's. */
static enum attack_result state(struct victim *vm)
{
    uint32_t code;

    if (!victim_start(vm) || victim_run(vm) != REPORT_OK)
        return ATTACK_BROKEN;
    if (!vm->protected)
        return plain_start(vm);
    build_joiner(vm, victim_region(vm->index, 1));
    fill_bytes(vm->second.reg, 0x11, sizeof(vm->second.reg));
    vcpu_set_base(&vm->second, FIELD_GUEST_RFLAGS, 0x2 | RFLAGS_ARITHMETIC);
    vcpu_set_base(&vm->second, FIELD_GUEST_FS_BASE, 0x1111);
    code = victim_run_second(vm);
    if (code == REPORT_AP)
        code = victim_run_second(vm);
    vmx_clear(vm->second.region);
    vmx_load(vm->v.region);
    return code == REPORT_AP ? attack_go_on(vm, false) : ATTACK_SUCCEEDS;
}

/* Later, with another RIP than it was shown. */
static enum attack_result moved(struct victim *vm)
{
    uint32_t code;

    if (!victim_start(vm) || victim_run(vm) != REPORT_OK)
        return ATTACK_BROKEN;
    if (!vm->protected)
        return plain_start(vm);
    build_joiner(vm, victim_region(vm->index, 1));
    if (victim_run_second(vm) != REPORT_AP)
        return ATTACK_BROKEN;
    vmx_write(VMCS_GUEST_RIP, GA_AP_CODE);
    code = victim_run_second(vm);
    vmx_clear(vm->second.region);
    vmx_load(vm->v.region);
    return attack_outcome(vm, code);
}

/* From a VM that has nothing of the victim's memory. */
static enum attack_result foreign(struct victim *vm)
{
    static struct victim other;
    bool refused;

    if (!victim_start(vm) || victim_run(vm) != REPORT_OK)
        return ATTACK_BROKEN;
    if (!vm->protected)
        return plain_start(vm);
    victim_build(&other, 1, PROGRAM_PAGES, false, 0);
    victim_place(other.memory + GA_AP_START, HELPER_JOIN);
    victim_build_second(&other, victim_region(1, 1), GA_AP_START, GA_PML4);
    refused = victim_run_second(&other) == RUN_LAUNCH_ERROR && (uint32_t)other.launch_answer == UINT32_MAX;
    victim_end(&other);
    vmx_load(vm->v.region);
    return refused ? attack_go_on(vm, false) : ATTACK_SUCCEEDS;
}

/* Two for one call. */
static enum attack_result twice(struct victim *vm)
{
    bool refused;

    if (!victim_start(vm) || victim_run(vm) != REPORT_OK)
        return ATTACK_BROKEN;
    if (!vm->protected)
        return plain_start(vm);
    build_joiner(vm, victim_region(vm->index, 1));
    if (victim_run_second(vm) != REPORT_AP)
        return ATTACK_BROKEN;
    vmx_clear(vm->second.region);
    refused = join_refused(vm, victim_region(1, 0));
    vmx_clear(vm->second.region);
    vmx_load(vm->v.region);
    return refused ? attack_go_on(vm, false) : ATTACK_SUCCEEDS;
}

/*
 * The host takes the AP's region back while a CPU still has it active, the guest starts its AP anew, and a second
 * vmcs12 joins for it: two would run one vCPU.
 */
static enum attack_result two_regions(struct victim *vm)
{
    bool refused;

    if (!victim_start(vm) || victim_run(vm) != REPORT_OK)
        return ATTACK_BROKEN;
    if (!vm->protected)
        return plain_start(vm);
    build_joiner(vm, victim_region(vm->index, 1));
    if (victim_run_second(vm) != REPORT_AP)
        return ATTACK_BROKEN;
    *(volatile uint64_t *)physical_pointer(victim_region(vm->index, 1)) = vmx_revision;
    vmx_load(vm->v.region);
    if (victim_run(vm) != REPORT_OK) /* sends SIPI again */
        return ATTACK_BROKEN;
    refused = join_refused(vm, victim_region(1, 0));
    vmx_clear(vm->second.region);
    vmx_clear(victim_region(vm->index, 1));
    vmx_load(vm->v.region);
    return refused ? attack_go_on(vm, false) : ATTACK_SUCCEEDS;
}

#define START(label, function, result, why)                                                                            \
    {                                                                                                                  \
        .name = (label), .run = (function), .program = PROGRAM_SMP, .expected = ATTACK_##result, .stop = STOP_##why,   \
        .word = SIPI_AGAIN                                                                                             \
    }

static const struct attack attacks[] = {
    START("start.before-sipi", too_early, NOTHING, NONE),
    START("start.state", state, NOTHING, NONE),
    START("start.moved-later", moved, STOPPED, BAD_ANSWER),
    START("start.of-another-vm", foreign, NOTHING, NONE),
    START("start.twice", twice, NOTHING, NONE),
    START("start.two-regions", two_regions, NOTHING, NONE),
};

void attacks_start(void)
{
    attack_run_all(attacks, ARRAY_COUNT(attacks));
}
