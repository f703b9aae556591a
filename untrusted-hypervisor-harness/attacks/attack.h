/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One attack: what the host does to a victim, run first against a plain VM, where it must succeed, or it proves
 * nothing, and then against a protected one, where it must end as the table of its family says.
 */
#ifndef ATTACKS_ATTACK_H
#define ATTACKS_ATTACK_H

#include "untrusted-hypervisor-harness/attacks/victim.h"
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/processors.h"
#include "untrusted-hypervisor-harness/core/result.h"

#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum attack_result {
    ATTACK_SUCCEEDS, /* a secret was seen, or the guest computes with something that the host made */
    ATTACK_NOTHING,  /* the guest goes on and noticed nothing, the host saw nothing */
    ATTACK_STOPPED,  /* the VM was stopped */
    ATTACK_REFUSED,  /* the instruction or the launch call was refused */
    ATTACK_BROKEN,   /* the test did not get where it wanted */
};

struct attack {
    const char *name;
    enum attack_result (*run)(struct victim *vm);
    enum program_index program;
    enum attack_result expected; /* of the protected VM */
    enum stop_reason stop;       /* why it was stopped; STOP_NONE: ATTACK_NOTHING will do as well, with any reason */
    uint64_t word;               /* the program's parameter */
    bool two_cpus;               /* needs a second CPU */
    const void *argument;        /* for families with a table of their own */
};

/* The attack that runs; its argument. */
extern const struct attack *attack_now;

void attack_run_all(const struct attack *attacks, unsigned count);

/* What a report, or the end of a run, says of the attack. */
enum attack_result attack_outcome(const struct victim *vm, uint32_t code);

/* Runs the victim until its next report, and judges it; a secret that was seen decides. */
enum attack_result attack_go_on(struct victim *vm, bool seen);

/* The families. */
void attacks_reading(void);
void attacks_mapping(void);
void attacks_pages(void);
void attacks_two_cpus(void);
void attacks_regions(void);
void attacks_state(void);
void attacks_answers(void);
void attacks_events(void);
void attacks_controls(void);
void attacks_launch(void);
void attacks_start(void);
void attacks_clock(void);
void attacks_end(void);

#endif
