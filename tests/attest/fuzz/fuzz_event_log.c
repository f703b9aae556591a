/* SPDX-License-Identifier: GPL-2.0-only */
/* libFuzzer target: the event log's reader, the replay, the descriptions; every event lies within the input. */
#include "attest/cvverify/boot_path.h"
#include "attest/cvverify/event_text.h"
#include "attest/cvverify/replay.h"
#include "tests/fuzz/fuzz.h"

static struct findings findings;

static void check_event(const struct log_event *event, const uint8_t *data, size_t size)
{
    struct boot_path path = { .policy = NULL };
    char text[EVENT_TEXT];

    require(event->data.data >= data && event->data.data + event->data.size <= data + size);
    require(event->type == EV_NO_ACTION || event->pcr < PCR_COUNT);
    event_describe(event, text);
    require(memchr(text, '\0', sizeof(text)) != NULL);
    require(boot_path_step(&path, event) <= STEP_UNJUDGED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct event_log log;
    struct replay replay;

    findings.refused_count = findings.refused_more = findings.notes_count = 0;
    if (event_log_parse((struct bytes){ data, size }, &log, &findings)) {
        for (size_t i = 0; i < log.count; i++)
            check_event(&log.events[i], data, size);
        require(replay_log(&log, &replay, &findings) == (findings.refused_count == 0));
    } else {
        require(findings.refused_count == 1);
    }
    event_log_release(&log);
    return 0;
}
