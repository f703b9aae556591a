/* SPDX-License-Identifier: GPL-2.0-only */
/* Reader of the TCG event log: exact structures, no byte left over, no event cut off. See event_log.h. */
#include <stdlib.h>
#include <string.h>
#include "attest/cvverify/event_log.h"

enum { SHA1_SIZE = 20, BANK_DIGEST_MAX = 64, SPEC_ID_SIZE = 16 };

static const struct log_bank known_banks[] = {
    { TPM_SHA1, 20 }, { TPM_SHA256, 32 }, { TPM_SHA384, 48 }, { TPM_SHA512, 64 }, { TPM_SM3, 32 },
};

/* A hash that isn't known may have any size that is possible: its digests are skipped. */
static bool bank_size_ok(const struct log_bank *bank)
{
    for (size_t i = 0; i < sizeof(known_banks) / sizeof(known_banks[0]); i++) {
        if (known_banks[i].hash == bank->hash)
            return known_banks[i].digest_size == bank->digest_size;
    }
    return bank->digest_size > 0 && bank->digest_size <= BANK_DIGEST_MAX;
}

static bool bank_listed(const struct event_log *log, uint16_t hash)
{
    for (size_t i = 0; i < log->bank_count; i++) {
        if (log->banks[i].hash == hash)
            return true;
    }
    return false;
}

static bool parse_banks(struct cursor *c, struct event_log *log, struct findings *f)
{
    uint32_t count = cursor_le32(c);

    if (count == 0 || count > LOG_BANKS_MAX)
        return refuse(f, CHECK_LOG_FORMAT, "event 0: the log's head lists %u digest algorithms", count);
    for (uint32_t i = 0; i < count; i++) {
        struct log_bank bank;

        bank.hash = cursor_le16(c);
        bank.digest_size = cursor_le16(c);
        if (c->failed || !bank_size_ok(&bank) || bank_listed(log, bank.hash))
            return refuse(f, CHECK_LOG_FORMAT,
                          "event 0: digest algorithm %#06x is doubled, cut off or has a wrong size", bank.hash);
        log->banks[log->bank_count++] = bank;
    }
    return true;
}

/* TCG_EfiSpecIDEvent: signature, platform class, version, banks, vendor's bytes. */
static bool parse_spec_id(struct bytes data, struct event_log *log, struct findings *f)
{
    struct cursor c = cursor_over(data);
    const uint8_t *signature = cursor_take(&c, SPEC_ID_SIZE);

    if (!signature || memcmp(signature, "Spec ID Event03", SPEC_ID_SIZE) != 0) {
        refuse(f, CHECK_LOG_FORMAT, "event 0: not the head of a crypto-agile log (Spec ID Event03)");
        return remedy(f, "firmware that logs SHA-1 only can't be verified; enable the SHA-256 bank in its set-up");
    }
    cursor_take(&c, 4 + 4);
    if (!parse_banks(&c, log, f))
        return false;
    cursor_take(&c, cursor_u8(&c));
    if (!cursor_done(&c))
        return refuse(f, CHECK_LOG_FORMAT, "event 0: the log's head has a wrong size");
    if (!bank_listed(log, TPM_SHA256)) {
        refuse(f, CHECK_LOG_BANK, "the log's head lists no SHA-256 bank: this firmware doesn't extend it");
        return remedy(f, "enable the TPM's SHA-256 bank in the firmware's set-up");
    }
    return true;
}

/* The first event has the old format: one SHA-1 digest, all zeros. */
static bool parse_head(struct cursor *c, struct event_log *log, struct findings *f)
{
    uint32_t pcr = cursor_le32(c), type = cursor_le32(c);
    const uint8_t *digest = cursor_take(c, SHA1_SIZE);
    struct bytes data = cursor_bytes(c, cursor_le32(c));
    static const uint8_t zero[SHA1_SIZE];

    if (c->failed)
        return refuse(f, CHECK_LOG_FORMAT, "event 0: the log is cut off in its head");
    if (pcr != 0 || type != EV_NO_ACTION || memcmp(digest, zero, SHA1_SIZE) != 0)
        return refuse(f, CHECK_LOG_FORMAT, "event 0: not the head of a crypto-agile log");
    return parse_spec_id(data, log, f);
}

static const struct log_bank *bank_of(const struct event_log *log, uint16_t hash)
{
    for (size_t i = 0; i < log->bank_count; i++) {
        if (log->banks[i].hash == hash)
            return &log->banks[i];
    }
    return NULL;
}

/* Exactly one digest for each bank of the head. Keeps SHA-256's. */
static bool parse_digests(struct cursor *c, struct event_log *log, struct log_event *event, struct findings *f)
{
    uint32_t count = cursor_le32(c), seen = 0;

    if (c->failed)
        return refuse(f, CHECK_LOG_FORMAT, "event %zu: the log is cut off", log->count + 1);
    if (count != log->bank_count)
        return refuse(f, CHECK_LOG_FORMAT, "event %zu: %u digests, while the log's head lists %zu", log->count + 1,
                      count, log->bank_count);
    for (uint32_t i = 0; i < count; i++) {
        uint16_t hash = cursor_le16(c);
        const struct log_bank *bank = bank_of(log, hash);
        const uint8_t *digest;

        if (c->failed)
            return refuse(f, CHECK_LOG_FORMAT, "event %zu: the log is cut off", log->count + 1);
        if (!bank || seen & UINT32_C(1) << (bank - log->banks))
            return refuse(f, CHECK_LOG_FORMAT, "event %zu: digest algorithm %#06x is doubled or not in the log's head",
                          log->count + 1, hash);
        seen |= UINT32_C(1) << (bank - log->banks);
        digest = cursor_take(c, bank->digest_size);
        if (digest && hash == TPM_SHA256)
            memcpy(event->digest.byte, digest, DIGEST_SIZE);
    }
    return true;
}

static bool parse_event(struct cursor *c, struct event_log *log, struct log_event *event, struct findings *f)
{
    uint32_t size;

    event->pcr = cursor_le32(c);
    event->type = cursor_le32(c);
    if (!parse_digests(c, log, event, f))
        return false;
    size = cursor_le32(c);
    event->data = cursor_bytes(c, size);
    if (c->failed)
        return refuse(f, CHECK_LOG_FORMAT, "event %zu: the log is cut off", log->count + 1);
    if (event->type != EV_NO_ACTION && event->pcr >= PCR_COUNT)
        return refuse(f, CHECK_LOG_FORMAT, "event %zu: there is no PCR %u", log->count + 1, event->pcr);
    return true;
}

static bool make_room(struct event_log *log, size_t *capacity, struct findings *f)
{
    struct log_event *larger;

    if (log->count < *capacity)
        return true;
    if (log->count == LOG_EVENTS_MAX)
        return refuse(f, CHECK_LOG_FORMAT, "the log has more than %d events", LOG_EVENTS_MAX);
    *capacity = *capacity ? 2 * *capacity : 64;
    larger = realloc(log->events, *capacity * sizeof(*larger));
    if (!larger)
        return refuse(f, CHECK_LOG_FORMAT, "no memory for the log");
    log->events = larger;
    return true;
}

bool event_log_parse(struct bytes raw, struct event_log *log, struct findings *f)
{
    struct cursor c = cursor_over(raw);
    size_t capacity = 0;

    *log = (struct event_log){ 0 };
    if (raw.size > LOG_SIZE_MAX)
        return refuse(f, CHECK_LOG_FORMAT, "the log is larger than %d bytes", LOG_SIZE_MAX);
    if (!parse_head(&c, log, f))
        return false;
    while (c.left) {
        if (!make_room(log, &capacity, f))
            return false;
        log->events[log->count] = (struct log_event){ 0 };
        if (!parse_event(&c, log, &log->events[log->count], f))
            return false;
        log->count++;
    }
    return true;
}

void event_log_release(struct event_log *log)
{
    free(log->events);
    *log = (struct event_log){ 0 };
}
