/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host changes which frame the guest gets for a page: another one, the same one twice, one of another protected VM,
 * read-only ones, ones that are not its own to give; or says that RAM is a device.
 */
#include "untrusted-hypervisor-harness/attacks/attack.h"
#include "untrusted-hypervisor-harness/suites/hostile.h"

#define SPARE(n) (SPARE_MEMORY + (n)*PAGE_SIZE)

static struct victim other;

static void map(struct victim *vm, uint64_t gpa, uint64_t frame, uint64_t flags)
{
    victim_map(vm, gpa, frame, flags);
    ept_invalidate();
}

/* ---- While the page is in the VM ---- */

static enum attack_result remap(struct victim *vm)
{
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    fill_bytes(physical_pointer(SPARE(0)), 0x11, PAGE_SIZE);
    map(vm, GA_SECRET, SPARE(0), EPT_ALL | EPT_WB);
    return attack_go_on(vm, false);
}

static enum attack_result alias(struct victim *vm)
{
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    map(vm, GA_SECOND, vm->memory + GA_SECRET, EPT_ALL | EPT_WB);
    return attack_go_on(vm, false);
}

/* The host takes the frame for itself and never says INVEPT. */
static enum attack_result forget_invept(struct victim *vm)
{
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    victim_map(vm, GA_SECRET, SPARE(0), EPT_ALL | EPT_WB);
    fill_bytes(victim_page(vm, GA_SECRET), 0x11, PAGE_SIZE);
    return attack_go_on(vm, false);
}

/* ---- Before the VM touches it ---- */

/* Both pages of secrets get one frame: who comes second takes it from the first. */
static enum attack_result alias_early(struct victim *vm)
{
    map(vm, GA_SECOND, vm->memory + GA_SECRET, EPT_ALL | EPT_WB);
    if (!victim_start(vm))
        return victim_word(vm, VM_WORD_STOP) != STOP_NONE ? ATTACK_STOPPED : ATTACK_BROKEN;
    return attack_go_on(vm, false);
}

/* Two pages that are measured: the launch digest would be another one; the stub's code is not where it was. */
static enum attack_result alias_frames_of_two(struct victim *vm)
{
    bool seen;

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    victim_build(&other, 1, PROGRAM_PAGES, vm->protected, 0);
    victim_map(&other, GA_SECRET, vm->memory + GA_SECRET, EPT_ALL | EPT_WB);
    ept_invalidate();
    seen = !victim_start(&other);
    seen = victim_run(&other) != REPORT_OK || seen;
    seen = !victim_end(&other) || seen;
    vmx_load(vm->v.region);
    return attack_go_on(vm, seen);
}

/* ---- Leaves that don't allow writing ---- */

/* Only pages that the VM reads first come this way: one shared page of zeros for all of them. */
static enum attack_result shared_zero_page(struct victim *vm)
{
    bool used = false;

    clear_pages(SPARE(0), 1);
    for (uint64_t gpa = GA_FRESH; gpa < GA_STACK_TOP - PAGE_SIZE; gpa += PAGE_SIZE)
        victim_map(vm, gpa, SPARE(0), EPT_READ | EPT_EXECUTE | EPT_WB);
    ept_invalidate();
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    for (unsigned i = 0; i < 3; i++) {
        unsigned before = vm->exits;
        uint32_t code = victim_run(vm);

        used = used || vm->note[0] == 0;
        if (code != REPORT_OK || vm->exits == before)
            return attack_outcome(vm, code);
    }
    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        used = used || ((uint64_t *)physical_pointer(SPARE(0)))[i] != 0;
    return used ? ATTACK_SUCCEEDS : ATTACK_NOTHING;
}

static bool note_write_violation(struct victim *vm, uint64_t gpa)
{
    if (gpa >= GA_FRESH && gpa < GA_STACK_TOP && (vcpu_get(FIELD_EXIT_QUALIFICATION) & 2) != 0)
        vm->note[0]++;
    return victim_bring(vm, gpa);
}

static enum attack_result shared_zero(struct victim *vm)
{
    vm->bring = note_write_violation;
    return shared_zero_page(vm);
}

/* A page that the host has of its own, clean, read-only: it must be asked for with a write, and stays as it was. */
static enum attack_result clean_page(struct victim *vm)
{
    uint64_t *page = physical_pointer(SPARE(1));
    bool changed = false;

    vm->bring = note_write_violation;
    fill_bytes(page, 0x77, PAGE_SIZE);
    map(vm, GA_FRESH, SPARE(1), EPT_READ | EPT_WB);
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    if (attack_go_on(vm, false) != ATTACK_NOTHING)
        return ATTACK_SUCCEEDS; /* the plain guest reads what the host has there, and complains */
    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        changed = changed || page[i] != UINT64_C(0x7777777777777777);
    return changed || vm->note[0] == 0 ? ATTACK_SUCCEEDS : ATTACK_NOTHING;
}

/* ---- Frames that are not the host's to give ---- */

/* In a plain VM any memory of the host's does; the layer's is refused to it, too. */
static enum attack_result layer_frame(struct victim *vm)
{
    uint64_t frame = vm->protected ? hostile_layer_memory + LARGE_PAGE_SIZE : SPARE(2);

    map(vm, GA_SECRET, frame, EPT_ALL | EPT_WB);
    if (victim_run(vm) != REPORT_READY)
        return attack_go_on(vm, false);
    return victim_search(vm, frame, PAGE_SIZE) != 0 ? ATTACK_SUCCEEDS : ATTACK_BROKEN;
}

static enum attack_result device_frame(struct victim *vm)
{
    map(vm, GA_SECRET, vm->protected ? 0xfec00000 : SPARE(2), EPT_ALL | EPT_WB);
    if (victim_run(vm) != REPORT_READY)
        return attack_go_on(vm, false);
    return victim_search(vm, SPARE(2), PAGE_SIZE) != 0 ? ATTACK_SUCCEEDS : ATTACK_BROKEN;
}

static enum attack_result bound_frame(struct victim *vm)
{
    map(vm, GA_SECRET, vm->v.region, EPT_ALL | EPT_WB);
    if (victim_run(vm) != REPORT_READY)
        return attack_go_on(vm, false);
    return victim_is_secret(vm, ((uint64_t *)physical_pointer(vm->v.region))[4]) ? ATTACK_SUCCEEDS : ATTACK_BROKEN;
}

/* The layer itself writes to the exit window at the launch: the region of the vCPU that is being launched. */
static enum attack_result bound_frame_as_window(struct victim *vm)
{
    uint32_t code;

    map(vm, GA_WINDOW + PAGE_SIZE, vm->v.region, EPT_ALL | EPT_WB);
    code = victim_run(vm);
    if (!vm->protected)
        return code == REPORT_READY ? ATTACK_SUCCEEDS : ATTACK_BROKEN;
    return code == REPORT_READY ? ATTACK_SUCCEEDS : attack_outcome(vm, code);
}

/* Its own pages as the exit window: what the layer writes there must not reach the VM's memory. */
static enum attack_result own_page_as_window(struct victim *vm)
{
    uint32_t code;

    map(vm, GA_WINDOW, vm->memory + GA_PROGRAM, EPT_ALL | EPT_WB);
    if (!vm->protected)
        fill_bytes(victim_page(vm, GA_PROGRAM), 0xcc, PAGE_SIZE);
    code = victim_run(vm);
    return code == REPORT_READY ? ATTACK_NOTHING : attack_outcome(vm, code);
}

/* The pages that are the host's by design: they take nothing from the guest, and stay as they are. */
static enum attack_result shared_pages(struct victim *vm)
{
    const uint64_t *window = victim_page(vm, GA_WINDOW + 0x3100), *start = victim_page(vm, GA_AP_START + 0x100);
    bool seen;

    fill_bytes(victim_page(vm, GA_AP_START), 0x77, PAGE_SIZE);
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    seen = victim_is_secret(vm, *window) || victim_is_secret(vm, *start);
    if (vm->protected)
        seen = seen || *window != UINT64_C(0x9090909090909090) || *start != UINT64_C(0x7777777777777777);
    return attack_go_on(vm, seen);
}

static bool bring_once(struct victim *vm, uint64_t gpa)
{
    (void)gpa;
    (void)vm;
    return false;
}

/* EPT12's own table: the VM takes it, and the host has no EPT12 any more. It must not be a way to write one. */
static enum attack_result ept_table(struct victim *vm)
{
    uint64_t table = (uint64_t)(uintptr_t)ept_entry(&vm->v.ept, 0, EPT_LEVEL_4K) & ~(PAGE_SIZE - 1);
    uint32_t code;

    vm->bring = bring_once;
    map(vm, GA_SECRET, table, EPT_ALL | EPT_WB);
    code = victim_run(vm);
    if (!vm->protected)
        return victim_search(vm, table, PAGE_SIZE) != 0 ? ATTACK_SUCCEEDS : ATTACK_BROKEN;
    return victim_search(vm, table, PAGE_SIZE) == 0 && code == RUN_OTHER ? ATTACK_NOTHING : ATTACK_SUCCEEDS;
}

/* ---- RAM as a device ---- */

/* The host carries out the instruction (2 bytes, STOS) in the guest's place. */
static bool skip_store(struct victim *vm, uint64_t gpa)
{
    if (gpa >> 12 != GA_SECRET >> 12 || vm->note[0]++ != 0)
        return victim_bring(vm, gpa);
    vmx_write(VMCS_GUEST_RIP, vcpu_get(FIELD_GUEST_RIP) + 2);
    return true;
}

static bool skip_misconfigured(struct victim *vm, uint32_t reason)
{
    if (reason != EXIT_EPT_MISCONFIGURATION)
        return true;
    return skip_store(vm, vcpu_get(FIELD_GUEST_PHYSICAL_ADDRESS)) && false;
}

/* A guest that reported that it is ready goes on to check its memory. */
static enum attack_result after_skip(struct victim *vm, uint32_t code)
{
    return code == REPORT_READY ? attack_go_on(vm, false) : attack_outcome(vm, code);
}

static enum attack_result skip_violation(struct victim *vm)
{
    vm->bring = skip_store;
    map(vm, GA_SECRET, 0, 0);
    return after_skip(vm, victim_run(vm));
}

static enum attack_result misconfigured(struct victim *vm)
{
    uint32_t code;

    vm->before_answer = skip_misconfigured;
    vm->bring = skip_store;
    map(vm, GA_SECRET, vm->memory + GA_SECRET, EPT_WRITE);
    code = victim_run(vm);
    if (code == RUN_OTHER && vm->last_exit == EXIT_EPT_MISCONFIGURATION) {
        victim_bring(vm, GA_SECRET);
        vm->before_answer = NULL;
        code = victim_run(vm);
    }
    return after_skip(vm, code);
}

static const struct attack attacks[] = {
    { .name = "map.another-frame", .run = remap, .program = PROGRAM_PAGES, .expected = ATTACK_NOTHING },
    { .name = "map.alias", .run = alias, .program = PROGRAM_PAGES, .expected = ATTACK_NOTHING },
    { .name = "map.alias-before-touch",
      .run = alias_early,
      .program = PROGRAM_PAGES,
      .expected = ATTACK_STOPPED,
      .stop = STOP_FORGED_PAGE },
    { .name = "map.alias-of-two-vms",
      .run = alias_frames_of_two,
      .program = PROGRAM_PAGES,
      .expected = ATTACK_STOPPED,
      .stop = STOP_FORGED_PAGE },
    { .name = "map.no-invept",
      .run = forget_invept,
      .program = PROGRAM_PAGES,
      .expected = ATTACK_STOPPED,
      .stop = STOP_FORGED_PAGE },
    { .name = "map.shared-zero-page", .run = shared_zero, .program = PROGRAM_STATE, .expected = ATTACK_NOTHING },
    { .name = "map.clean-page", .run = clean_page, .program = PROGRAM_STATE, .expected = ATTACK_NOTHING },
    { .name = "map.layer-frame",
      .run = layer_frame,
      .program = PROGRAM_PAGES,
      .expected = ATTACK_STOPPED,
      .stop = STOP_BAD_FRAME },
    { .name = "map.device-frame",
      .run = device_frame,
      .program = PROGRAM_PAGES,
      .expected = ATTACK_STOPPED,
      .stop = STOP_BAD_FRAME },
    { .name = "map.bound-frame",
      .run = bound_frame,
      .program = PROGRAM_PAGES,
      .expected = ATTACK_STOPPED,
      .stop = STOP_HOST_GONE },
    { .name = "map.bound-frame-as-window",
      .run = bound_frame_as_window,
      .program = PROGRAM_PAGES,
      .expected = ATTACK_STOPPED,
      .stop = STOP_HOST_GONE },
    { .name = "map.own-page-as-window",
      .run = own_page_as_window,
      .program = PROGRAM_PAGES,
      .expected = ATTACK_STOPPED,
      .stop = STOP_FORGED_PAGE },
    { .name = "map.shared-pages", .run = shared_pages, .program = PROGRAM_SHARING, .expected = ATTACK_NOTHING },
    { .name = "map.ept-table", .run = ept_table, .program = PROGRAM_PAGES, .expected = ATTACK_NOTHING },
    { .name = "map.ram-skipped",
      .run = skip_violation,
      .program = PROGRAM_PAGES,
      .expected = ATTACK_STOPPED,
      .stop = STOP_BAD_ANSWER },
    { .name = "map.ram-as-device",
      .run = misconfigured,
      .program = PROGRAM_PAGES,
      .expected = ATTACK_STOPPED,
      .stop = STOP_BAD_ANSWER },
};

void attacks_mapping(void)
{
    attack_run_all(attacks, ARRAY_COUNT(attacks));
}
