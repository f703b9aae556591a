/* SPDX-License-Identifier: GPL-2.0-only */
/* Replays a log event by event. See replay.h. */
#include <string.h>
#include "attest/cvverify/replay.h"

enum { STARTUP_LOCALITY_SIZE = 17 };

/* PCR 17 to 22 start as all ones, the others as zeros. */
static void start_values(struct replay *replay)
{
    *replay = (struct replay){ 0 };
    for (unsigned pcr = 17; pcr <= 22; pcr++)
        memset(replay->value[pcr].byte, 0xff, DIGEST_SIZE);
}

/* "StartupLocality" and a byte: where the TPM was started from becomes the last byte of PCR 0's first value. */
static bool start_locality(const struct log_event *event, size_t number, struct replay *replay, struct findings *f)
{
    uint8_t locality;

    if (event->data.size != STARTUP_LOCALITY_SIZE || memcmp(event->data.data, "StartupLocality", 16) != 0)
        return true;
    locality = event->data.data[16];
    if (event->pcr != 0 || replay->count[0] || (locality != 0 && locality != 3 && locality != 4))
        return refuse(f, CHECK_LOG_FORMAT, "event %zu: start-up locality %u is impossible here", number, locality);
    replay->value[0].byte[DIGEST_SIZE - 1] = locality;
    return true;
}

static bool informative_event(const struct log_event *event, size_t number, struct replay *replay, struct findings *f)
{
    if (!digest_is_zero(&event->digest)) {
        refuse(f, CHECK_LOG_NO_ACTION, "event %zu, PCR %u: EV_NO_ACTION with a digest; such events are never extended",
               number, event->pcr);
        return remedy(f, "no policy can accept it; the log was altered or the firmware is broken");
    }
    return start_locality(event, number, replay, f);
}

bool replay_log(const struct event_log *log, struct replay *replay, struct findings *f)
{
    bool well = true;

    start_values(replay);
    for (size_t i = 0; i < log->count; i++) {
        const struct log_event *event = &log->events[i];

        if (event->type == EV_NO_ACTION) {
            well &= informative_event(event, i + 1, replay, f);
            continue;
        }
        digest_extend(&replay->value[event->pcr], &event->digest);
        replay->logged |= UINT32_C(1) << event->pcr;
        replay->count[event->pcr]++;
    }
    return well;
}

struct digest replay_quote_digest(const struct digest value[PCR_COUNT], uint32_t mask)
{
    uint8_t all[PCR_COUNT * DIGEST_SIZE];
    size_t size = 0;

    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        if (!(mask & UINT32_C(1) << pcr))
            continue;
        memcpy(all + size, value[pcr].byte, DIGEST_SIZE);
        size += DIGEST_SIZE;
    }
    return digest_of((struct bytes){ all, size });
}
