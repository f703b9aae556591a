/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Printing a VM exit: every field that the SDM defines for its reason ("Information for VM Exits"), and the guest
 * state that tells where it happened. Fields that are undefined for a reason are left out: they may differ.
 */
#ifndef HARNESS_EXIT_INFO_H
#define HARNESS_EXIT_INFO_H

#include "untrusted-hypervisor-harness/core/vcpu.h"

/* "exit 48 q=182 gla=.. gpa=.. rip=.. rfl=.."; "entry-exit 33 q=4" for a failed entry. No line end. */
void exit_print(const struct vcpu *v);

/* Every exit-information field and some guest state, defined or not, as notes. */
void exit_dump(const struct vcpu *v);

/* The outcome of vcpu_run(), with exit_print() for exits, and "handler=.. frame=.." if a handler of the guest ran. */
void run_print(const struct vcpu *v, struct outcome o);
/* The same, and ends the line. */
void run_result(const struct vcpu *v, struct outcome o);

#endif
