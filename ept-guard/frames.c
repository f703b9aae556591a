/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One word per frame, and per 2 MiB the number of frames that need a mapping of their own (WATCHED, LAYER, VM, BOUND),
 * which tells where large pages may be used:
 *   63                         24 23      16 15         8 7      0
 *  | guest frame number, or vCPU |    VM    | 1: mapped  |  state |
 * "Mapped" may be set although no EPT02 maps the frame any more, never the other way round.
 */
#include "ept-guard/frames.h"

#define FRAME_SHIFT      12
#define LARGE_SHIFT      21
#define FRAMES_PER_LARGE 512u

#define STATE_MASK     UINT64_C(0xff)
#define MAPPED         UINT64_C(0x100)
#define OWNER_VM_SHIFT 16
#define OWNER_SHIFT    24
#define OWNER_MASK     (~UINT64_C(0) << OWNER_VM_SHIFT)

/* Of 2 MiB. */
struct large {
    uint16_t restricted;
    bool mapped; /* by a large page of an EPT02 */
};

static uint64_t *frames;
static struct large *larges;
static uint64_t count;

static const uint8_t rules[FRAME_STATE_COUNT][FRAME_EVENT_COUNT] = {
/* Stored plus one, so that what is not listed stays 0. */
#define FRAME_RULE(state, event, next) [FRAME_##state][FRAME_##event] = FRAME_##next + 1,
#include "ept-guard/frames.def"
#undef FRAME_RULE
};

static uint64_t large_count(uint64_t frame_count)
{
    return (frame_count + FRAMES_PER_LARGE - 1) / FRAMES_PER_LARGE;
}

size_t frames_table_bytes(uint64_t frame_count)
{
    return (size_t)(large_count(frame_count) * (FRAMES_PER_LARGE * sizeof(uint64_t) + sizeof(struct large)));
}

void frames_init(void *table, uint64_t frame_count)
{
    frames = table;
    larges = (struct large *)(frames + large_count(frame_count) * FRAMES_PER_LARGE);
    count = frame_count;
}

void frames_add_ram(uint64_t base, uint64_t size)
{
    uint64_t first = base >> FRAME_SHIFT;

    for (uint64_t i = first; i < count && i - first < size >> FRAME_SHIFT; i++)
        frames[i] = FRAME_HOST;
}

enum frame_state frame_state(hpa_t pa)
{
    uint64_t frame = pa.raw >> FRAME_SHIFT;

    return frame < count ? (enum frame_state)(frames[frame] & STATE_MASK) : FRAME_DEVICE;
}

static bool needs_own_mapping(enum frame_state state)
{
    return state == FRAME_WATCHED || state == FRAME_LAYER || state == FRAME_VM || state == FRAME_BOUND;
}

bool frame_event(hpa_t pa, enum frame_event event)
{
    uint64_t frame = pa.raw >> FRAME_SHIFT;
    enum frame_state old = frame_state(pa);
    uint8_t rule = rules[old][event];

    if (rule == 0)
        return false;
    if (frame < count) {
        frames[frame] = (frames[frame] & ~STATE_MASK) | (rule - 1u);
        larges[frame / FRAMES_PER_LARGE].restricted += needs_own_mapping(rule - 1);
        larges[frame / FRAMES_PER_LARGE].restricted -= needs_own_mapping(old);
    }
    return frame < count || rule - 1 == (int)old;
}

bool frames_unrestricted(hpa_t page, uint64_t bytes)
{
    uint64_t end = (page.raw + bytes) >> LARGE_SHIFT;

    if (bytes < UINT64_C(1) << LARGE_SHIFT)
        return !needs_own_mapping(frame_state(page));
    for (uint64_t i = page.raw >> LARGE_SHIFT; i < end && i < large_count(count); i++) {
        if (larges[i].restricted != 0)
            return false;
    }
    return true;
}

void frame_set_owner(hpa_t pa, unsigned vm, uint64_t gfn)
{
    uint64_t *frame = &frames[pa.raw >> FRAME_SHIFT];

    *frame = (*frame & ~OWNER_MASK) | (uint64_t)vm << OWNER_VM_SHIFT | gfn << OWNER_SHIFT;
}

unsigned frame_owner(hpa_t pa, uint64_t *gfn)
{
    uint64_t frame = frames[pa.raw >> FRAME_SHIFT];

    *gfn = frame >> OWNER_SHIFT;
    return (unsigned)(frame >> OWNER_VM_SHIFT) & 0xff;
}

void frames_note_mapped(hpa_t page, uint64_t bytes)
{
    uint64_t first = page.raw >> LARGE_SHIFT;

    if (bytes < UINT64_C(1) << LARGE_SHIFT) {
        if (page.raw >> FRAME_SHIFT < count)
            frames[page.raw >> FRAME_SHIFT] |= MAPPED;
        return;
    }
    for (uint64_t i = first; i < (page.raw + bytes) >> LARGE_SHIFT && i < large_count(count); i++)
        larges[i].mapped = true;
}

bool frames_take_mapped(hpa_t pa)
{
    uint64_t frame = pa.raw >> FRAME_SHIFT;
    struct large *large = &larges[frame / FRAMES_PER_LARGE];
    bool mapped = large->mapped || (frames[frame] & MAPPED) != 0;

    large->mapped = false; /* the caller removes every large page that holds the frame */
    frames[frame] &= ~MAPPED;
    return mapped;
}
