/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The vmcs12 that a protected vCPU is bound to: its memory, its use on another CPU, its use for another VM; and other
 * vmcs12s on the EPT of the VM.
 */
#include "untrusted-hypervisor-harness/attacks/attack.h"

enum { REGION_FIELDS = 64, RACES = 40 }; /* nested-vmx/vmcs12.c */

/* Guest-physical, beyond RAM: code and page tables of the second vmcs12's guest. */
enum { GA_OTHER = 0x200000, GA_OTHER_TABLES = 0x201000 };

static uint64_t *region_field(const struct victim *vm, enum vmcs_index field)
{
    return (uint64_t *)physical_pointer(vm->v.region + REGION_FIELDS) + field;
}

static void load_again(struct victim *vm)
{
    vmx_load(vm->v.region);
    vm->v.launched = false;
}

/* A guest that says that it is ready once more was started anew. */
static enum attack_result judge(const struct victim *vm, uint32_t code)
{
    return code == REPORT_READY ? ATTACK_SUCCEEDS : attack_outcome(vm, code);
}

/* The VMCS is written back to memory, where the host changes it. */
static enum attack_result write_region(struct victim *vm)
{
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    vmx_clear(vm->v.region);
    *region_field(vm, FIELD_GUEST_RIP) = GA_PROGRAM;
    load_again(vm);
    return judge(vm, victim_run(vm));
}

/* While it is active. What the VM's registers were does not show in it. */
static enum attack_result read_region(struct victim *vm)
{
    bool seen;

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    vmx_clear(vm->v.region);
    seen = false;
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        seen = seen || victim_is_secret(vm, *region_field(vm, (enum vmcs_index)i));
    load_again(vm);
    return attack_go_on(vm, seen);
}

/* The region serves another VM: nothing of the first one is in its fields. */
static enum attack_result reuse_region(struct victim *vm)
{
    bool seen = false;

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    if (vm->protected)
        *(volatile uint32_t *)physical_pointer(vm->v.region + 4) = 0;
    vmx_clear(vm->v.region);
    load_again(vm);
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        seen = seen || (vcpu_has(i) && victim_is_secret(vm, vcpu_get((enum vmcs_index)i)));
    return attack_go_on(vm, seen);
}

/* ---- Another CPU ---- */

static struct {
    uint64_t region;
    volatile bool stop, loaded;
    volatile unsigned count;
} other;

static void load_there(void *unused)
{
    (void)unused;
    vmx_enable();
    other.loaded = try_vmptrld_region(other.region).kind == OUTCOME_SUCCEED;
    vmx_disable();
}

static void change_there(void *unused)
{
    (void)unused;
    vmx_enable();
    other.loaded = try_vmptrld_region(other.region).kind == OUTCOME_SUCCEED;
    if (other.loaded) {
        try_vmwrite(VMCS_GUEST_RIP, GA_PROGRAM);
        try_vmclear_region(other.region);
    }
    vmx_disable();
}

static void change_all_the_time(void *unused)
{
    (void)unused;
    vmx_enable();
    for (; !other.stop; other.count++) {
        if (try_vmptrld_region(other.region).kind == OUTCOME_SUCCEED)
            try_vmwrite(VMCS_GUEST_RIP, GA_PROGRAM);
        try_vmclear_region(other.region);
    }
    vmx_disable();
}

static void on_other_cpu(const struct victim *vm, void (*job)(void *))
{
    other.region = vm->v.region;
    other.stop = other.loaded = false;
    other.count = 0;
    processors_begin(job, NULL);
}

/* While it is active here. */
static enum attack_result load_elsewhere(struct victim *vm)
{
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    on_other_cpu(vm, load_there);
    processors_wait();
    return attack_go_on(vm, other.loaded);
}

/* Between two entries here. */
static enum attack_result change_elsewhere(struct victim *vm)
{
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    vmx_clear(vm->v.region);
    on_other_cpu(vm, change_there);
    processors_wait();
    load_again(vm);
    return other.loaded ? judge(vm, victim_run(vm)) : ATTACK_BROKEN;
}

/* VMCLEAR there, while it is active here, must not even make the next VMRESUME fail. */
static enum attack_result race_elsewhere(struct victim *vm)
{
    enum attack_result result = ATTACK_NOTHING;

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    vmx_clear(vm->v.region);
    on_other_cpu(vm, change_all_the_time);
    while (other.count < 2)
        cpu_pause();
    for (unsigned i = 0; i < RACES && result == ATTACK_NOTHING; i++) {
        while (try_vmptrld_region(vm->v.region).kind != OUTCOME_SUCCEED)
            cpu_pause();
        vm->v.launched = false;
        result = judge(vm, victim_run(vm));
        try_vmclear_region(vm->v.region);
    }
    other.stop = true;
    processors_wait();
    vmx_load(vm->v.region);
    return result;
}

/* ---- A second vmcs12 with the same EPT pointer ---- */

static void map_second(struct victim *vm)
{
    uint64_t tables = SPARE_MEMORY + 16 * PAGE_SIZE;
    uint64_t *page = physical_pointer(tables);

    clear_pages(tables, 4);
    page[512] = (GA_OTHER_TABLES + PAGE_SIZE) | 0x23;
    page[1024] = (GA_OTHER_TABLES + 2 * PAGE_SIZE) | 0x23;
    for (uint64_t i = 0; i < 512; i++)
        page[1536 + i] = i * LARGE_PAGE_SIZE | 0xe3;
    for (uint64_t i = 0; i < 4; i++)
        victim_map(vm, GA_OTHER + i * PAGE_SIZE, tables + i * PAGE_SIZE, EPT_ALL | EPT_WB);
    ept_invalidate();
}

static enum attack_result same_ept(struct victim *vm)
{
    bool seen;

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    map_second(vm);
    victim_place(SPARE_MEMORY + 16 * PAGE_SIZE, HELPER_READ);
    victim_build_second(vm, victim_region(vm->index, 1), GA_OTHER, GA_OTHER_TABLES);
    if (victim_run_second(vm) != RUN_OTHER || vcpu_get(FIELD_EXIT_REASON) != EXIT_HLT)
        return ATTACK_BROKEN;
    seen = victim_is_secret(vm, vm->second.reg[REG_RAX]);
    vmx_load(vm->v.region);
    return attack_go_on(vm, seen);
}

/* It makes the launch call, with the descriptor of the VM that runs. */
static enum attack_result launch_twice(struct victim *vm)
{
    uint32_t code;

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    map_second(vm);
    victim_place(SPARE_MEMORY + 16 * PAGE_SIZE, HELPER_LAUNCH);
    victim_build_second(vm, victim_region(vm->index, 1), GA_OTHER, GA_OTHER_TABLES);
    code = victim_run_second(vm);
    if (!vm->protected) { /* which makes a protected VM of the plain one */
        vm->protected = true;
        return code == REPORT_READY ? ATTACK_SUCCEEDS : ATTACK_BROKEN;
    }
    vmx_load(vm->v.region);
    return attack_go_on(vm, code != RUN_LAUNCH_ERROR || vm->launch_answer != 3);
}

#define REGION(label, function, of, result, why, cpus)                                                                 \
    {                                                                                                                  \
        .name = (label), .run = (function), .program = PROGRAM_##of, .expected = ATTACK_##result, .stop = STOP_##why,  \
        .two_cpus = (cpus)                                                                                             \
    }

static const struct attack attacks[] = {
    REGION("region.written", write_region, PAGES, STOPPED, HOST_GONE, false),
    REGION("region.read", read_region, STATE, NOTHING, NONE, false),
    REGION("region.of-another-vm", reuse_region, STATE, STOPPED, HOST_GONE, false),
    REGION("region.loaded-elsewhere", load_elsewhere, PAGES, NOTHING, NONE, true),
    REGION("region.changed-elsewhere", change_elsewhere, PAGES, STOPPED, BAD_ANSWER, true),
    REGION("region.raced-elsewhere", race_elsewhere, CLOCK, STOPPED, BAD_ANSWER, true),
    REGION("region.second-with-same-ept", same_ept, PAGES, NOTHING, NONE, false),
    REGION("region.second-launches-again", launch_twice, PAGES, NOTHING, NONE, false),
};

void attacks_regions(void)
{
    attack_run_all(attacks, ARRAY_COUNT(attacks));
}
