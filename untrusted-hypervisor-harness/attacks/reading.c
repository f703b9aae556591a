/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host looks for the guest's secrets in memory: in the frame that it gave the guest, in all of the machine's RAM,
 * through another VM's EPT, and writes to what it finds there.
 */
#include "untrusted-hypervisor-harness/attacks/attack.h"
#include "untrusted-hypervisor-harness/suites/hostile.h"

static bool page_shows(const struct victim *vm, uint64_t gpa)
{
    return victim_search(vm, vm->memory + gpa, PAGE_SIZE) != 0;
}

static enum attack_result read_page(struct victim *vm)
{
    bool seen;

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    seen = page_shows(vm, GA_SECRET) || page_shows(vm, GA_SECOND);
    return attack_go_on(vm, seen);
}

/* Everything that the firmware calls memory, below the devices; the layer's own shows nothing but ones. */
static enum attack_result search_memory(struct victim *vm)
{
    uint64_t first = LARGE_PAGE_SIZE, end = hostile_layer_memory + hostile_layer_size;

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    if (victim_search(vm, first, hostile_layer_memory - first) != 0)
        return ATTACK_SUCCEEDS;
    if (end < hostile_memory_top && victim_search(vm, end, hostile_memory_top - end) != 0)
        return ATTACK_SUCCEEDS;
    return attack_go_on(vm, false);
}

static enum attack_result overwrite_page(struct victim *vm)
{
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    victim_page(vm, GA_SECRET)[7] = 0;
    return attack_go_on(vm, false);
}

/* The code that the guest runs is measured, and as hidden as the rest. */
static enum attack_result overwrite_code(struct victim *vm)
{
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    fill_bytes(victim_page(vm, GA_PROGRAM), 0xcc, PAGE_SIZE);
    return attack_go_on(vm, false);
}

/* Another VM has the frame in its EPT, and reads it. */
static enum attack_result other_vm(struct victim *vm)
{
    static struct vcpu other;
    bool seen;

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    vcpu_init_at(&other, victim_region(1, 0), MODE_LONG, MEMORY_OFFSET_4K, ARENA(ARENA_GUEST_ALT));
    ept_map(&other.ept, GUEST_DATA, vm->memory + GA_SECRET, EPT_LEVEL_4K, EPT_ALL | EPT_WB);
    ept_invalidate();
    vcpu_set_code(&other, "be 00 00 02 00 48 8b 06"); /* mov esi, 20000h; mov rax, [rsi] */
    if (vcpu_run(&other).kind != OUTCOME_EXIT || vcpu_get(FIELD_EXIT_REASON) != EXIT_VMCALL)
        return ATTACK_BROKEN;
    seen = victim_is_secret(vm, other.reg[REG_RAX]);
    vmx_clear(other.region);
    vmx_load(vm->v.region);
    return attack_go_on(vm, seen);
}

static const struct attack attacks[] = {
    { .name = "read.page", .run = read_page, .program = PROGRAM_PAGES, .expected = ATTACK_NOTHING },
    { .name = "read.all-memory", .run = search_memory, .program = PROGRAM_PAGES, .expected = ATTACK_NOTHING },
    { .name = "read.through-another-vm", .run = other_vm, .program = PROGRAM_PAGES, .expected = ATTACK_NOTHING },
    { .name = "write.page",
      .run = overwrite_page,
      .program = PROGRAM_PAGES,
      .expected = ATTACK_STOPPED,
      .stop = STOP_FORGED_PAGE },
    { .name = "write.code",
      .run = overwrite_code,
      .program = PROGRAM_PAGES,
      .expected = ATTACK_STOPPED,
      .stop = STOP_FORGED_PAGE },
};

void attacks_reading(void)
{
    attack_run_all(attacks, ARRAY_COUNT(attacks));
}
