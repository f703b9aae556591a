/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The second processor, for tests in which two CPUs race. Started by the firmware's MP services before the harness
 * leaves the firmware's world; then it waits in its own world for jobs until the machine ends.
 */
#ifndef HARNESS_PROCESSORS_H
#define HARNESS_PROCESSORS_H

#include <efi.h>
#include <stdbool.h>

/* Starts it if there is one. Call once, in the firmware's world, after machine_build(). */
void processors_start(EFI_BOOT_SERVICES *bs);
bool processors_have_second(void);

/* Gives the second processor a job, without waiting; then, waits until it is done. */
void processors_begin(void (*job)(void *), void *argument);
void processors_wait(void);

#endif
