/* SPDX-License-Identifier: GPL-2.0-only */
/* Computes the PCRs that a log leads to. Only digests count; informative events (EV_NO_ACTION) are never extended. */
#ifndef CVVERIFY_REPLAY_H
#define CVVERIFY_REPLAY_H

#include "attest/cvverify/event_log.h"

struct replay {
    struct digest value[PCR_COUNT];
    uint32_t logged;           /* bit n: PCR n has an event that extends it */
    unsigned count[PCR_COUNT]; /* how many */
};

/* On false a reason was added to `f`. */
bool replay_log(const struct event_log *log, struct replay *replay, struct findings *f);

/* SHA-256 over the values of the PCRs in `mask`, in their order, as a quote holds it. */
struct digest replay_quote_digest(const struct digest value[PCR_COUNT], uint32_t mask);

#endif
