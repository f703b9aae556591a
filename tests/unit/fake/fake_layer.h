/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The little of the layer's core that ept-guard needs around it: a CPU, a lock, a flush that succeeds at once, and a
 * pool of a size that the test chooses.
 */
#ifndef TESTS_UNIT_FAKE_LAYER_H
#define TESTS_UNIT_FAKE_LAYER_H

#include <stddef.h>
#include "cloudvisor/cpu.h"
#include "ept_walk.h"

/* The pool lies here; POOL_MAX pages at most. */
#define FAKE_POOL_BASE UINT64_C(0x1000000)
enum { FAKE_POOL_MAX = 8192 };

/* Frame database of `ram_bytes` with all of it the host's but for the pool; a CPU; `pool_pages` free pages. */
void fake_layer_start(uint64_t ram_bytes, size_t pool_pages);

/* Pages taken from the pool so far and not given back. */
size_t fake_pool_used(void);

/* How often all CPUs were flushed; called when they are, before it takes effect. */
extern unsigned fake_flushes;
extern void (*fake_on_flush)(void);

bool fake_locked(void);

/* The frame that nested VMX was last told of: a watched one that was written. 0 if none. */
extern uint64_t fake_frame_written;

/* Called once, when the lock is given up next: a place to play another CPU. */
extern void (*fake_on_unlock)(void);

/* With fake_ept02.c instead of ept02.c: without trees again; every leaf of every tree. */
void fake_ept02_forget(void);
void fake_ept02_visit(ept_visitor visit, void *context);

#endif
