/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The harness's exceptions. Code that may fault runs inside try_run(), which returns whether it did and what was
 * raised; an exception anywhere else ends the run with a message.
 */
#ifndef HARNESS_TRAPS_H
#define HARNESS_TRAPS_H

#include <stdbool.h>
#include <stdint.h>

struct trap {
    uint64_t vector;
    uint64_t error_code;
    uint64_t cr2;
    uint64_t rip;
};

/* Calls body(argument). True if it ran to its end; false if it raised an exception, described in `trap`. */
bool try_run(struct trap *trap, void (*body)(void *), void *argument);

/* True if an interrupt with this vector (20h or more) was delivered to the harness since the last such question. */
bool traps_interrupt_arrived(uint8_t vector);

/* Addresses of the 256 entry stubs, for the IDT. */
extern const uint8_t trap_stubs[];
#define TRAP_STUB_SIZE 16

#endif
