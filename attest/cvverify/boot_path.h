/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What happened in PCR 0 to 7, event by event, judged by digests alone. One walk serves `verify`, which refuses, and
 * `explain`, which tells.
 */
#ifndef CVVERIFY_BOOT_PATH_H
#define CVVERIFY_BOOT_PATH_H

#include "attest/cvverify/policy.h"
#include "attest/cvverify/event_log.h"

enum boot_step {
    STEP_INFORMATIVE, /* not extended, says nothing */
    STEP_SEPARATOR,
    STEP_BOOT_ATTEMPT,
    STEP_GAVE_UP,    /* a boot option was tried, and nothing of it ran */
    STEP_RETURNED,   /* an application gave the machine back to the boot manager */
    STEP_LOADER,     /* ours, as the policy names it */
    STEP_FOREIGN,    /* another application before ours */
    STEP_NEXT_STAGE, /* as the policy names it, or it names none */
    STEP_OTHER_NEXT, /* not the policy's */
    STEP_AFTER,      /* PCR 4 after the next stage: the host's business */
    STEP_KNOWN,      /* named by the policy, at its place */
    STEP_OUT_OF_ORDER,
    STEP_UNKNOWN,
    STEP_OPEN,     /* a PCR whose events the policy doesn't judge */
    STEP_OURS,     /* PCR 13: judged elsewhere */
    STEP_UNJUDGED, /* PCR 8 and up: written by the host */
};

struct boot_path {
    struct policy *policy; /* NULL: none, for explain */
    size_t next[8];        /* by PCR: index of the policy's event from which the next one may come */
    unsigned separators[8];
    unsigned attempts;       /* before the first application */
    unsigned later_attempts; /* behind it */
    unsigned applications;
};

enum boot_step boot_path_step(struct boot_path *path, const struct log_event *event);
const char *boot_step_text(enum boot_step step);

#endif
