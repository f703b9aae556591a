/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host has the guest's pages as ciphertext, as any host has that swaps or compacts memory, and gives back something
 * else: an old one, another page's, one with a bit flipped, zeros.
 */
#include "untrusted-hypervisor-harness/attacks/attack.h"

#define COPY(n) physical_pointer(SPARE_MEMORY + (n)*PAGE_SIZE)

static void copy_page(void *to, const void *from)
{
    copy_bytes(to, from, PAGE_SIZE);
}

/* The friendly way, which must work: to another frame, and the old one is the host's. */
static enum attack_result move(struct victim *vm)
{
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    copy_page(COPY(0), victim_page(vm, GA_SECRET));
    victim_map(vm, GA_SECRET, SPARE_MEMORY, EPT_ALL | EPT_WB);
    ept_invalidate();
    fill_bytes(victim_page(vm, GA_SECRET), 0x22, PAGE_SIZE);
    if (!vm->protected)
        ((uint8_t *)COPY(0))[77] ^= 1; /* a plain guest can't tell that its host moves its pages as they are */
    return attack_go_on(vm, false);
}

static enum attack_result replay(struct victim *vm)
{
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    copy_page(COPY(0), victim_page(vm, GA_SECRET));
    if (victim_run(vm) != REPORT_OK || victim_run(vm) != REPORT_READY)
        return ATTACK_BROKEN;
    copy_page(COPY(1), victim_page(vm, GA_SECRET));
    copy_page(victim_page(vm, GA_SECRET), COPY(0));
    return attack_go_on(vm, false);
}

/* The same with nothing changed in between: the version alone tells them apart, or they are equal. */
static enum attack_result replay_of_equal(struct victim *vm)
{
    bool equal = true;

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    copy_page(COPY(0), victim_page(vm, GA_SECRET));
    if (victim_run(vm) != REPORT_OK || victim_run(vm) != REPORT_READY)
        return ATTACK_BROKEN;
    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        equal = equal && ((uint64_t *)COPY(0))[i] - victim_page(vm, GA_SECRET)[i] ==
                             ((uint64_t *)COPY(0))[0] - victim_page(vm, GA_SECRET)[0];
    return attack_go_on(vm, equal); /* ciphertexts of two versions have nothing in common */
}

static enum attack_result swap(struct victim *vm)
{
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    copy_page(COPY(0), victim_page(vm, GA_SECRET));
    copy_page(victim_page(vm, GA_SECRET), victim_page(vm, GA_SECOND));
    copy_page(victim_page(vm, GA_SECOND), COPY(0));
    return attack_go_on(vm, false);
}

static enum attack_result swap_frames(struct victim *vm)
{
    volatile uint64_t *secret = victim_page(vm, GA_SECRET), *second = victim_page(vm, GA_SECOND);

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    (void)*secret;
    (void)*second;
    victim_map(vm, GA_SECRET, vm->memory + GA_SECOND, EPT_ALL | EPT_WB);
    victim_map(vm, GA_SECOND, vm->memory + GA_SECRET, EPT_ALL | EPT_WB);
    ept_invalidate();
    return attack_go_on(vm, false);
}

static enum attack_result flip(struct victim *vm, unsigned byte, uint8_t bit)
{
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    copy_page(COPY(0), victim_page(vm, GA_SECRET));
    ((uint8_t *)COPY(0))[byte] ^= bit;
    copy_page(victim_page(vm, GA_SECRET), COPY(0));
    return attack_go_on(vm, false);
}

static enum attack_result flip_first(struct victim *vm)
{
    return flip(vm, 0, 1);
}

static enum attack_result flip_last(struct victim *vm)
{
    return flip(vm, PAGE_SIZE - 1, 0x80);
}

static enum attack_result zeros(struct victim *vm)
{
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    clear_pages(vm->memory + GA_SECRET, 1);
    return attack_go_on(vm, false);
}

/* The ciphertext of the same guest address in another VM of the same bundle and seed. */
static enum attack_result other_vms_page(struct victim *vm)
{
    static struct victim other;
    bool started;

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    victim_build(&other, 1, PROGRAM_PAGES, vm->protected, 0);
    started = victim_start(&other);
    copy_page(COPY(0), victim_page(&other, GA_SECRET));
    victim_end(&other);
    vmx_load(vm->v.region);
    copy_page(victim_page(vm, GA_SECRET), COPY(0));
    return started ? attack_go_on(vm, false) : ATTACK_BROKEN;
}

#define FORGED(label, function)                                                                                        \
    {                                                                                                                  \
        .name = (label), .run = (function), .program = PROGRAM_PAGES, .expected = ATTACK_STOPPED,                      \
        .stop = STOP_FORGED_PAGE                                                                                       \
    }

static const struct attack attacks[] = {
    { .name = "page.moved", .run = move, .program = PROGRAM_PAGES, .expected = ATTACK_NOTHING },
    FORGED("page.replay", replay),
    { .name = "page.compare-versions", .run = replay_of_equal, .program = PROGRAM_PAGES, .expected = ATTACK_NOTHING },
    FORGED("page.swap", swap),
    FORGED("page.swap-frames", swap_frames),
    FORGED("page.flip-first-bit", flip_first),
    FORGED("page.flip-last-bit", flip_last),
    FORGED("page.zeros", zeros),
    FORGED("page.of-another-vm", other_vms_page),
};

void attacks_pages(void)
{
    attack_run_all(attacks, ARRAY_COUNT(attacks));
}
