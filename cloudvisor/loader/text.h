/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Formatting of short ASCII messages without a C library. Pure; shared by the loader and its host tests.
 */
#ifndef LOADER_TEXT_H
#define LOADER_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Writes `format` to `buffer`, always terminated, cut at `size` bytes (at least 1). Understands %s %c %u %lu %x %lx
 * and %% only. Returns the length written without the terminator.
 */
size_t text_vformat(char *buffer, size_t size, const char *format, va_list arguments);
size_t text_format(char *buffer, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* True if the `length` bytes at `bytes` spell the C string `word`. */
bool text_equals(const char *bytes, size_t length, const char *word);

#endif
