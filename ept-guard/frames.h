/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The frame database: who owns each 4 KiB frame of physical memory. It is the truth; the host's EPT and every EPT02
 * are derived from it and may be dropped and rebuilt. Callers hold layer_lock, but for reads that tolerate a race.
 */
#ifndef EPT_GUARD_FRAMES_H
#define EPT_GUARD_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include "hw.h"

enum frame_state { FRAME_DEVICE, FRAME_HOST, FRAME_WATCHED, FRAME_LAYER, FRAME_VM, FRAME_BOUND, FRAME_STATE_COUNT };

enum frame_event {
    FRAME_HOST_READ,
    FRAME_HOST_WRITE,
    FRAME_WATCH,
    FRAME_LAYER_TAKE,
    FRAME_VM_CLAIM,
    FRAME_VM_BIND,
    FRAME_VM_RETURN,
    FRAME_EVENT_COUNT,
};

/* Bytes of table for `frame_count` frames. */
size_t frames_table_bytes(uint64_t frame_count);

/* Starts with every frame a DEVICE. `table` is zeroed memory of frames_table_bytes(frame_count). */
void frames_init(void *table, uint64_t frame_count);

/* Makes [base, base + size) RAM of the host; for start-up, before any other state exists. */
void frames_add_ram(uint64_t base, uint64_t size);

/* The state of the frame that holds `pa`; beyond the table everything is a DEVICE. */
enum frame_state frame_state(hpa_t pa);

/* Applies `event`; false, and nothing changed, where frames.def does not allow it. */
bool frame_event(hpa_t pa, enum frame_event event);

/* True if the host may read and write all of the naturally aligned page of `bytes` (4 KiB, 2 MiB or 1 GiB). */
bool frames_unrestricted(hpa_t page, uint64_t bytes);

/* Which protected VM (its index) has a frame in state VM, and as which guest frame; for BOUND, which vCPU of it. */
void frame_set_owner(hpa_t pa, unsigned vm, uint64_t gfn);
unsigned frame_owner(hpa_t pa, uint64_t *gfn);

/* Notes that an EPT02 maps the page; and takes the note for the frame back, true if there was one. */
void frames_note_mapped(hpa_t page, uint64_t bytes);
bool frames_take_mapped(hpa_t pa);

#endif
