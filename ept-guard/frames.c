/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One byte of state per frame, and per 2 MiB the number of frames that need a mapping of their own (WATCHED, LAYER,
 * VM), which tells where large pages may be used.
 */
#include <string.h>
#include "ept-guard/frames.h"

#define FRAME_SHIFT      12
#define LARGE_SHIFT      21
#define FRAMES_PER_LARGE 512u

static uint8_t *states;
static uint16_t *restricted;
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
    return (size_t)(large_count(frame_count) * (FRAMES_PER_LARGE + sizeof(uint16_t)));
}

void frames_init(void *table, uint64_t frame_count)
{
    restricted = table;
    states = (uint8_t *)table + large_count(frame_count) * sizeof(uint16_t);
    count = frame_count;
}

void frames_add_ram(uint64_t base, uint64_t size)
{
    uint64_t first = base >> FRAME_SHIFT;
    uint64_t frames = size >> FRAME_SHIFT;

    if (first >= count)
        return;
    memset(states + first, FRAME_HOST, frames < count - first ? frames : count - first);
}

enum frame_state frame_state(hpa_t pa)
{
    uint64_t frame = pa.raw >> FRAME_SHIFT;

    return frame < count ? (enum frame_state)states[frame] : FRAME_DEVICE;
}

static bool needs_own_mapping(enum frame_state state)
{
    return state == FRAME_WATCHED || state == FRAME_LAYER || state == FRAME_VM;
}

bool frame_event(hpa_t pa, enum frame_event event)
{
    uint64_t frame = pa.raw >> FRAME_SHIFT;
    enum frame_state old = frame_state(pa);
    uint8_t rule = rules[old][event];

    if (rule == 0)
        return false;
    if (frame < count) {
        states[frame] = rule - 1;
        restricted[frame / FRAMES_PER_LARGE] += needs_own_mapping(rule - 1);
        restricted[frame / FRAMES_PER_LARGE] -= needs_own_mapping(old);
    }
    return frame < count || rule - 1 == (int)old;
}

bool frames_unrestricted(hpa_t page, uint64_t bytes)
{
    uint64_t end = (page.raw + bytes) >> LARGE_SHIFT;

    if (bytes < UINT64_C(1) << LARGE_SHIFT)
        return !needs_own_mapping(frame_state(page));
    for (uint64_t i = page.raw >> LARGE_SHIFT; i < end && i < large_count(count); i++) {
        if (restricted[i] != 0)
            return false;
    }
    return true;
}
