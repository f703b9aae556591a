/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one VMX operation came to, and how it is printed. The printed form is the unit of comparison between a run on
 * the bare processor and a run under the layer: it holds nothing that may legitimately differ between the two.
 */
#ifndef HARNESS_OUTCOME_H
#define HARNESS_OUTCOME_H

#include <stdint.h>
#include "untrusted-hypervisor-harness/core/traps.h"

enum outcome_kind {
    OUTCOME_SUCCEED,      /* VMsucceed */
    OUTCOME_FAIL_INVALID, /* VMfailInvalid */
    OUTCOME_FAIL_VALID,   /* VMfailValid; error = VM-instruction error */
    OUTCOME_FAULT,        /* an exception; trap */
    OUTCOME_EXIT,         /* VM entry succeeded, or failed with a VM exit: see the VMCS */
    OUTCOME_ODD_FLAGS,    /* arithmetic flags in no architectural combination; error = RFLAGS */
};

struct outcome {
    enum outcome_kind kind;
    uint64_t error;
    struct trap trap;
};

/* Outcome of a VMX instruction that left `rflags`; the VM-instruction error is read if there is one. */
struct outcome outcome_from_flags(uint64_t rflags);
struct outcome outcome_from_trap(const struct trap *trap);

/* "ok", "failinvalid", "fail(12)", "#GP(0)", "#PF(2)@window+5000", "flags(8d)"; no line end. */
void outcome_print(const struct outcome *o);

/* An address, by name where it lies in the arena or the window: "arena+812340". */
void address_print(uint64_t address);

#endif
