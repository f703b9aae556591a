/* SPDX-License-Identifier: GPL-2.0-only
 *
 * A test guest that does what its console says, one order per line (talk.c).
 * The functions below are init.c's.
 */
#ifndef CV_TESTS_TALK_H
#define CV_TESTS_TALK_H

#include <stddef.h>
#include <stdint.h>

_Noreturn void talk(size_t memory_bytes);

_Noreturn void end_machine(int how);
_Noreturn void fail(const char *what);
uint8_t *place_secret(uint64_t seed);
int secret_is_intact(const uint8_t *page, uint64_t seed);
uint64_t guest_physical(const void *address);

#endif
