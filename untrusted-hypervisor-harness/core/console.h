/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text on COM1, by port I/O. Result lines are counted: the last line of a complete run is "END <count>", and two
 * runs of the same suite can be compared line by line.
 */
#ifndef HARNESS_CONSOLE_H
#define HARNESS_CONSOLE_H

#include <stdint.h>

void console_init(void);

/* %s %c %u %d %x %lu %lx %%; no widths. %u, %d and %x take 32 bits, the l forms 64. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends a result line and counts it. */
void print_end_of_result(void);

/* Lines that belong to no case: progress, facts about the machine. They start with '#' and are not compared. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "END <count>", waits until the last character has left, and asks the machine to stop. Does not return. */
void console_end(void) __attribute__((noreturn));

/* Names what went wrong with the harness itself, "ABORT <text>", and ends. Never used for an outcome of a test. */
void harness_abort(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
