/* SPDX-License-Identifier: GPL-2.0-only */
/* Readable descriptions of events, for people only: nothing here decides anything. */
#ifndef CVVERIFY_EVENT_TEXT_H
#define CVVERIFY_EVENT_TEXT_H

#include "attest/cvverify/event_log.h"

enum { EVENT_TEXT = 160 };

const char *event_type_text(uint32_t type, char buffer[16]);

/* What the event's data says about itself: a name, a path, a string. Printable, maybe empty. */
void event_describe(const struct log_event *event, char text[EVENT_TEXT]);

/* Who measures into this PCR. */
const char *event_measured_by(uint32_t pcr);

/* True for types whose digest is defined to be that of the event's data. */
bool event_digest_is_of_data(uint32_t type);

/* True for a digest of something that firmware measures everywhere: a separator, a boot attempt, an exit from boot. */
const char *event_well_known(const struct digest *digest);

#endif
