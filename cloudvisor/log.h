/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The layer's log: one ring in memory, copied to a serial port if the configuration names one. Nothing secret is ever
 * logged, since the host may read the ring. cv_panic is for broken invariants only, never for what a host does.
 */
#ifndef CLOUDVISOR_LOG_H
#define CLOUDVISOR_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_INFO, LOG_DEBUG };

/* printf's %s %u %x %lx %lu and a field width with zero fill, nothing else. */
void cv_log(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As cv_log, but at most LOG_BURST lines per second in all: for what a host can cause at will. */
#define cv_log_limited(level, ...) (log_within_rate(level) ? cv_log(level, __VA_ARGS__) : (void)0)
bool log_within_rate(enum log_level level);

/* Eight bytes of the ring at `offset` since boot; false where they are overwritten or not yet there. */
bool log_read(uint64_t offset, uint64_t *bytes, uint64_t *total);

/* Halts this CPU if another one has panicked; called wherever a kick arrives. */
void log_halt_after_panic(void);

/* Logs, stops every CPU, and halts for good. */
_Noreturn void cv_panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define cv_assert(condition)                                                                                           \
    ((condition) ? (void)0 : cv_panic("%s:%u: broken invariant: %s", __FILE__, __LINE__, #condition))

#endif
