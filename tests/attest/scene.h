/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A made-up machine for tests of cvverify: its keys, certificates, boot, TPM, VM and the tenant's policy, all of them
 * changeable before the files are written. What the TPM was given (`tpm`) and what the host claims (`log`) are two
 * lists, so that a host can lie. Deterministic: every run writes the same bytes.
 */
#ifndef TESTS_ATTEST_SCENE_H
#define TESTS_ATTEST_SCENE_H

#include <mbedtls/pk.h>
#include "attest/report_format.h"
#include "attest/cvverify/challenge.h"
#include "attest/cvverify/evidence.h"
#include "attest/cvverify/event_log.h"

enum { BUFFER_SIZE = 65536, EVENTS_MAX = 64, EVENT_DATA_MAX = 256, REPORTS_MAX = 4, POLICY_TEXT = 16384 };

struct buffer {
    uint8_t data[BUFFER_SIZE];
    size_t size;
};

struct fake_event {
    uint32_t pcr;
    uint32_t type;
    struct digest digest;
    uint8_t data[EVENT_DATA_MAX];
    size_t size;
};

struct fake_log {
    struct fake_event events[EVENTS_MAX];
    size_t count;
};

enum fake_key {
    KEY_AK_ECC,
    KEY_AK_RSA,
    KEY_AK_WEAK, /* RSA 1024 */
    KEY_AK_OTHER,
    KEY_EK_RSA,
    KEY_EK_ECC,
    KEY_EK_OTHER,
    KEY_ROOT,
    KEY_ROOT_OTHER,
    KEY_MIDDLE,
    KEY_ATTESTATION,
    KEY_AGREEMENT,
    KEY_STRANGER,
    KEY_COUNT
};

struct fake_certificate {
    bool present;
    enum fake_key subject;
    enum fake_key issuer;
    const char *not_after;
    mbedtls_md_type_t hash;
    bool is_ca;
    const char *purpose; /* DER of the OID's content, NULL for no extended key usage */
};

struct fake_report {
    struct report_claims claims;
    enum fake_key key;
    void (*edit_payload)(struct buffer *payload); /* before it is signed */
    void (*edit)(struct buffer *report);          /* after */
    uint8_t header[8];
    size_t header_size;
};

struct scene {
    /* The boot. */
    struct fake_log tpm;
    struct fake_log log;
    uint8_t locality;
    uint32_t reset_count, restart_count;
    size_t bank_count; /* in the log's head: SHA-256 first, then SHA-1 */
    uint16_t banks[2];
    void (*edit_log)(struct buffer *log);

    /* The quote. */
    uint32_t magic;
    uint16_t quote_type;
    uint8_t quote_nonce[32];
    uint32_t pcrs;
    uint16_t bank;
    unsigned selections;
    bool wrong_pcr_digest;
    void (*edit_quote)(struct buffer *quote); /* before it is signed */
    enum fake_key ak, signer;
    uint32_t ak_attributes;
    uint16_t ak_scheme, ak_hash, signature_scheme, signature_hash;
    bool ak_not_under_ek;
    void (*edit_ak)(struct buffer *ak);      /* its public area */
    void (*edit_sent_ak)(struct buffer *ak); /* in the evidence only */
    void (*edit_signature)(struct buffer *signature);

    /* The EK. */
    enum fake_key ek;
    uint32_t ek_attributes;
    bool send_ek;
    struct fake_certificate leaf, middle;
    bool root_given;
    bool other_root_given;
    void (*edit_ek)(struct buffer *ek);
    void (*edit_certificate)(struct buffer *certificate);

    /* The challenge. */
    uint8_t nonce[32];
    bool credential;
    bool challenge_other_ak, challenge_other_ek;
    enum { PROOF_RIGHT, PROOF_WRONG, PROOF_NONE } proof;
    void (*edit_state)(struct buffer *state);

    /* The layer's side. */
    enum fake_key attestation, agreement;
    struct fake_report reports[REPORTS_MAX];
    size_t report_count;
    void (*edit_boot_keys)(struct buffer *keys);

    /* The evidence file. */
    bool send_values;
    void (*edit_values)(struct buffer *values);
    uint32_t skip_section;
    void (*edit_evidence)(struct buffer *evidence);

    /* The policy: a text that cases edit. */
    char policy[POLICY_TEXT];
};

void keys_make(void);
mbedtls_pk_context *key_of(enum fake_key key);
void key_point(enum fake_key key, uint8_t point[CV_POINT_SIZE]);

void put_bytes(struct buffer *b, const void *data, size_t size);
void put_be(struct buffer *b, uint64_t value, unsigned size);
void put_le(struct buffer *b, uint64_t value, unsigned size);
void buffer_insert(struct buffer *b, size_t at, const void *data, size_t size);
void buffer_remove(struct buffer *b, size_t at, size_t size);

/* The good machine. */
void scene_make(struct scene *s);

/* The same boot with other counters of the TPM; the report answers s->nonce. */
void scene_boot(struct scene *s, uint32_t reset_count, uint32_t restart_count);

/* Adds to what the TPM was given. */
void scene_measure(struct scene *s, uint32_t pcr, uint32_t type, const void *data, size_t size);

/* The n-th event (from 0) of a PCR in a list. */
struct fake_event *log_find(struct fake_log *log, uint32_t pcr, size_t n);
void log_remove(struct fake_log *log, struct fake_event *event);
struct fake_event *log_insert_before(struct fake_log *log, struct fake_event *event);
void event_set(struct fake_event *event, uint32_t pcr, uint32_t type, const void *data, size_t size);
struct digest text_digest(const char *text);

/* After a change to the key event: the reports of an honest layer follow. */
void scene_follow_boot(struct scene *s);

void policy_replace(struct scene *s, const char *key, const char *line); /* all lines of `key`; NULL removes them */
void policy_add(struct scene *s, const char *line);

/* Writes evidence, policy, state and root.pem below `folder`, which exists. */
void scene_write(struct scene *s, const char *folder);
void put_report(const struct fake_report *report, struct buffer *b);
void put_log(const struct scene *s, struct buffer *b);
void write_file(const char *folder, const char *name, const void *data, size_t size);
void make_loader(struct buffer *pe, struct digest *authenticode, struct digest *layer);
extern const char fake_config[];

#endif
