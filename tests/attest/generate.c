/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes the test cases of cvverify: generate FOLDER. Each case is a folder with the files of one made-up machine, and
 * a line in FOLDER/cases: name, exit code, check, part of the message, command. A case differs from the good machine in
 * one thing, signed anew, so that only the check that it is for can refuse it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "attest/cvverify/digest.h"
#include "tests/attest/scene.h"

#define VERIFY "verify --evidence evidence --policy policy --state state --ek-root root.der"

struct test_case {
    const char *name;
    void (*edit)(struct scene *s);
    int exit_code;
    const char *check; /* "-" when it is accepted */
    const char *message;
    const char *command; /* NULL: VERIFY */
};

/* Offsets in the files of the good machine. */
enum { LOG_HEAD_DATA = 32, LOG_BANK_COUNT = 56, CBOR_AFTER_NONCE = 36, CBOR_DEBUG_STATUS = 39 };

/* ---- Container. ---- */

static void ev_empty(struct buffer *b)
{
    b->size = 0;
}
static void ev_magic(struct buffer *b)
{
    b->data[0] = 'X';
}
static void ev_version(struct buffer *b)
{
    b->data[11] = 2;
}
static void ev_cut(struct buffer *b)
{
    b->size -= 10;
}
static void ev_trailing(struct buffer *b)
{
    put_bytes(b, "x", 1);
}
static void ev_huge(struct buffer *b)
{
    memset(b->data + 20, 0xff, 4);
}
static void ev_large_section(struct buffer *b)
{
    static uint8_t filler[2100];

    b->data[22] = 0x10;
    b->data[23] = 0;
    memset(filler, 0, sizeof(filler));
    buffer_insert(b, 24, filler, sizeof(filler));
    buffer_insert(b, 24, filler, sizeof(filler));
}
static void ev_unknown(struct buffer *b)
{
    b->data[19] = 99;
}
static void ev_count(struct buffer *b)
{
    b->data[12] = 0x7f;
}
static void ev_twice(struct buffer *b)
{
    size_t size = 8u + (size_t)(b->data[22] << 8 | b->data[23]);
    uint8_t copy[1024];

    memcpy(copy, b->data + 16, size);
    buffer_insert(b, 16, copy, size);
    b->data[15]++;
}
static void ev_order(struct buffer *b)
{
    size_t size = 8u + (size_t)(b->data[22] << 8 | b->data[23]);
    uint8_t copy[1024];

    memcpy(copy, b->data + 16, size);
    buffer_remove(b, 16, size);
    buffer_insert(b, 16 + 8u + (size_t)(b->data[22] << 8 | b->data[23]), copy, size);
}

#define EDIT(name, statement)                                                                                          \
    static void name(struct scene *s)                                                                                  \
    {                                                                                                                  \
        statement;                                                                                                     \
    }

EDIT(good, (void)s)
EDIT(container_empty, s->edit_evidence = ev_empty)
EDIT(container_magic, s->edit_evidence = ev_magic)
EDIT(container_version, s->edit_evidence = ev_version)
EDIT(container_cut, s->edit_evidence = ev_cut)
EDIT(container_trailing, s->edit_evidence = ev_trailing)
EDIT(container_huge, s->edit_evidence = ev_huge)
EDIT(container_large, s->edit_evidence = ev_large_section)
EDIT(container_unknown, s->edit_evidence = ev_unknown)
EDIT(container_count, s->edit_evidence = ev_count)
EDIT(container_twice, s->edit_evidence = ev_twice)
EDIT(container_order, s->edit_evidence = ev_order)
EDIT(container_no_keys, s->skip_section = SECTION_BOOT_KEYS)
EDIT(container_no_log, s->skip_section = SECTION_LOG)

/* ---- Quote, signature, AK. ---- */

static void q_trailing(struct buffer *b)
{
    put_bytes(b, "x", 1);
}
static void q_cut(struct buffer *b)
{
    b->size -= 3;
}
static void q_digest_size(struct buffer *b)
{
    b->data[b->size - 33] = 20;
    b->size -= 12;
}
static void q_select_size(struct buffer *b)
{
    b->data[b->size - 38] = 5;
    buffer_insert(b, b->size - 34, "\0", 2);
}
static void sig_cut(struct buffer *b)
{
    b->size -= 1;
}
static void sig_trailing(struct buffer *b)
{
    put_bytes(b, "x", 1);
}
static void sig_bit(struct buffer *b)
{
    b->data[10] ^= 1;
}
static void sig_zero(struct buffer *b)
{
    memset(b->data + 6, 0, 32);
    memset(b->data + 40, 0, 32);
}
static void ak_cut(struct buffer *b)
{
    b->size -= 1;
}
static void ak_off_curve(struct buffer *b)
{
    b->data[b->size - 1] ^= 1;
}
static void ak_no_scheme(struct buffer *b)
{
    b->data[12] = 0;
    b->data[13] = TPM_ALG_NULL;
    buffer_remove(b, 14, 2);
}

static void rsa_ak(struct scene *s, uint16_t scheme)
{
    s->ak = s->signer = KEY_AK_RSA;
    s->ak_scheme = s->signature_scheme = scheme;
}

static void ak_weak(struct scene *s)
{
    rsa_ak(s, TPM_ALG_RSASSA);
    s->ak = s->signer = KEY_AK_WEAK;
}

static void scheme_other(struct scene *s)
{
    rsa_ak(s, TPM_ALG_RSASSA);
    s->signature_scheme = TPM_ALG_RSAPSS;
}

EDIT(quote_magic, s->magic = 0x11223344)
EDIT(quote_type, s->quote_type = 0x8017)
EDIT(quote_nonce, s->quote_nonce[31] ^= 1)
EDIT(quote_trailing, s->edit_quote = q_trailing)
EDIT(quote_cut, s->edit_quote = q_cut)
EDIT(quote_digest_size, s->edit_quote = q_digest_size)
EDIT(quote_select_size, s->edit_quote = q_select_size)
EDIT(signature_cut, s->edit_signature = sig_cut)
EDIT(signature_trailing, s->edit_signature = sig_trailing)
EDIT(signature_bit, s->edit_signature = sig_bit)
EDIT(signature_zero, s->edit_signature = sig_zero)
EDIT(signature_other_key, s->signer = KEY_AK_OTHER)
EDIT(signature_hash, s->signature_hash = TPM_SHA1)
EDIT(ak_is_cut, s->edit_ak = ak_cut)
EDIT(ak_trailing, s->edit_sent_ak = sig_trailing)
EDIT(ak_is_off_curve, s->edit_ak = ak_off_curve)
EDIT(ak_has_no_scheme, s->edit_ak = ak_no_scheme)
EDIT(ak_has_sha1, s->ak_hash = TPM_SHA1)
EDIT(ak_not_restricted, s->ak_attributes &= ~TPMA_RESTRICTED)
EDIT(ak_not_sign, s->ak_attributes &= ~TPMA_SIGN)
EDIT(ak_decrypts, s->ak_attributes |= TPMA_DECRYPT)
EDIT(ak_not_fixed_tpm, s->ak_attributes &= ~TPMA_FIXED_TPM)
EDIT(ak_not_fixed_parent, s->ak_attributes &= ~TPMA_FIXED_PARENT)
EDIT(ak_imported, s->ak_attributes &= ~TPMA_ORIGIN)
EDIT(good_rsassa, rsa_ak(s, TPM_ALG_RSASSA))
EDIT(good_rsapss, rsa_ak(s, TPM_ALG_RSAPSS))

/* ---- Binding and EK. ---- */

static void cert_cut(struct buffer *b)
{
    b->size -= 5;
}
static void cert_bit(struct buffer *b)
{
    b->data[b->size - 4] ^= 1;
}
static void ek_cut(struct buffer *b)
{
    b->size -= 5;
}

static void good_ecc_ek(struct scene *s)
{
    s->ek = KEY_EK_ECC;
    s->leaf.subject = KEY_EK_ECC;
}

static void no_certificate(struct scene *s)
{
    s->leaf.present = s->middle.present = false;
}

static void unknown_ek(struct scene *s)
{
    policy_replace(s, "any_machine", NULL);
    policy_add(s, "ek_name = 000b1111111111111111111111111111111111111111111111111111111111111111");
}

EDIT(proof_wrong, s->proof = PROOF_WRONG)
EDIT(proof_none, s->proof = PROOF_NONE)
EDIT(challenge_other_ak, s->challenge_other_ak = true)
EDIT(challenge_other_ek, s->challenge_other_ek = true)
EDIT(ak_unbound, s->credential = false)
EDIT(ak_other_hierarchy, s->ak_not_under_ek = true)
EDIT(ek_signs, s->ek_attributes = (s->ek_attributes | TPMA_SIGN) & ~TPMA_DECRYPT)
EDIT(ek_not_fixed, s->ek_attributes &= ~TPMA_FIXED_TPM)
EDIT(ek_is_cut, s->edit_ek = ek_cut)
EDIT(ek_expired, s->leaf.not_after = "20210101000000")
EDIT(ek_middle_expired, s->middle.not_after = "20210101000000")
EDIT(ek_other_root, s->other_root_given = true)
EDIT(ek_no_middle, s->middle.present = false)
EDIT(ek_middle_no_ca, s->middle.is_ca = false)
EDIT(ek_leaf_is_ca, s->leaf.is_ca = true)
EDIT(ek_wrong_purpose, s->leaf.purpose = "\x67\x81\x05\x08\x02")
EDIT(ek_sha1, s->leaf.hash = MBEDTLS_MD_SHA1)
EDIT(ek_certificate_bit, s->edit_certificate = cert_bit)
EDIT(ek_certificate_cut, s->edit_certificate = cert_cut)
EDIT(ek_certificate_other_key, s->leaf.subject = KEY_EK_OTHER)
EDIT(good_certificate_only, s->send_ek = false)

/* ---- PCRs and replay. ---- */

static void values_cut(struct buffer *b)
{
    b->size -= 1;
}
static void values_bit(struct buffer *b)
{
    b->data[5] ^= 1;
}

static void bank_sha1(struct scene *s)
{
    s->bank = TPM_SHA1;
}
static void banks_two(struct scene *s)
{
    s->selections = 2;
}
static void no_pcr(struct scene *s)
{
    s->pcrs &= ~(1u << 2);
}
static void pcr_23(struct scene *s)
{
    s->pcrs |= 1u << 23;
}

static void quoted_not_logged(struct scene *s)
{
    s->pcrs |= 1u << 10;
}

static void logged_not_quoted(struct scene *s)
{
    s->pcrs &= ~(1u << 9);
}

static void good_unquoted(struct scene *s)
{
    s->pcrs &= ~(1u << 9);
    policy_add(s, "unquoted = 9");
}

/* The machine booted something else, and nothing was ever measured into its SHA-256 bank; the log is a copy. */
static void copied_log(struct scene *s)
{
    s->tpm.count = 0;
}

static void event_altered(struct scene *s)
{
    log_find(&s->log, 1, 0)->digest.byte[0] ^= 1;
}
static void event_removed(struct scene *s)
{
    log_remove(&s->log, log_find(&s->log, 1, 0));
}
static void event_hidden(struct scene *s)
{
    struct fake_event *rom = log_find(&s->tpm, 2, 0), *rogue;

    rogue = log_insert_before(&s->tpm, rom);
    event_set(rogue, 2, EV_EFI_BOOT_SERVICES_DRIVER, "rogue", 5);
}
static void event_added(struct scene *s)
{
    struct fake_event *event = log_insert_before(&s->log, log_find(&s->log, 5, 0));

    event_set(event, 5, EV_EFI_ACTION, "added", 5);
}
static void events_swapped(struct scene *s)
{
    struct fake_event *a = log_find(&s->log, 5, 1), *b = log_find(&s->log, 5, 2), keep = *a;

    *a = *b;
    *b = keep;
}
static void no_values(struct scene *s)
{
    s->send_values = false;
    event_altered(s);
}
EDIT(values_are_cut, s->edit_values = values_cut)
EDIT(values_are_wrong, s->edit_values = values_bit)
EDIT(good_no_values, s->send_values = false)
EDIT(good_locality, s->locality = 3)

/* ---- Log format. ---- */

static void l_cut(struct buffer *b)
{
    b->size -= 7;
}
static void l_cut_digest(struct buffer *b)
{
    b->size = 69 + 4 + 4 + 4 + 2 + 10;
}
static void l_empty(struct buffer *b)
{
    b->size = 0;
}
static void l_head(struct buffer *b)
{
    b->data[LOG_HEAD_DATA] = 'X';
}
static void l_spec_size(struct buffer *b)
{
    b->data[68] = 1;
}
static void l_banks_zero(struct buffer *b)
{
    b->data[LOG_BANK_COUNT] = 0;
}
static void l_banks_many(struct buffer *b)
{
    b->data[LOG_BANK_COUNT + 3] = 0x40;
}
static void l_bank_size(struct buffer *b)
{
    b->data[LOG_BANK_COUNT + 6] = 20;
}
static void l_bank_twice(struct buffer *b)
{
    b->data[LOG_BANK_COUNT + 8] = TPM_SHA256;
    b->data[LOG_BANK_COUNT + 10] = 32;
}
static void l_digest_count(struct buffer *b)
{
    b->data[69 + 8] = 1;
}
static void l_digest_unknown(struct buffer *b)
{
    b->data[69 + 12] = TPM_SHA384;
}
static void l_digest_twice(struct buffer *b)
{
    b->data[69 + 12 + 34] = TPM_SHA256;
}
static void l_huge_event(struct buffer *b)
{
    memset(b->data + 69 + 12 + 34 + 22, 0xff, 4);
}
static void l_pcr(struct buffer *b)
{
    b->data[69] = 24;
}

static void sha1_only(struct scene *s)
{
    s->bank_count = 1;
    s->banks[0] = TPM_SHA1;
}

static void no_action_digest(struct scene *s)
{
    struct fake_event *event = log_insert_before(&s->log, log_find(&s->log, 1, 0));

    event_set(event, 1, EV_NO_ACTION, "hello", 5);
}

/* The TPM was given a rogue driver; the log shows it as an informative event. */
static void no_action_hides(struct scene *s)
{
    struct fake_event *event = log_insert_before(&s->tpm, log_find(&s->tpm, 2, 0));

    event_set(event, 2, EV_EFI_BOOT_SERVICES_DRIVER, "rogue", 5);
    event = log_insert_before(&s->log, log_find(&s->log, 2, 0));
    event_set(event, 2, EV_NO_ACTION, "rogue", 5);
}

static void locality_late(struct scene *s)
{
    struct fake_event *event = log_insert_before(&s->log, log_find(&s->log, 1, 0));

    event_set(event, 0, EV_NO_ACTION, "StartupLocality\0\3", 17);
    memset(event->digest.byte, 0, DIGEST_SIZE);
}

EDIT(log_cut, s->edit_log = l_cut)
EDIT(log_cut_digest, s->edit_log = l_cut_digest)
EDIT(log_empty, s->edit_log = l_empty)
EDIT(log_head, s->edit_log = l_head)
EDIT(log_spec_size, s->edit_log = l_spec_size)
EDIT(log_banks_zero, s->edit_log = l_banks_zero)
EDIT(log_banks_many, s->edit_log = l_banks_many)
EDIT(log_bank_size, s->edit_log = l_bank_size)
EDIT(log_bank_twice, s->edit_log = l_bank_twice)
EDIT(log_digest_count, s->edit_log = l_digest_count)
EDIT(log_digest_unknown, s->edit_log = l_digest_unknown)
EDIT(log_digest_twice, s->edit_log = l_digest_twice)
EDIT(log_huge_event, s->edit_log = l_huge_event)
EDIT(log_pcr, s->edit_log = l_pcr)

/* ---- Boot path: measured truly, so that the replay fits. ---- */

static struct fake_event *insert_both(struct scene *s, uint32_t pcr, size_t n)
{
    struct fake_event *event = log_insert_before(&s->tpm, log_find(&s->tpm, pcr, n));

    event_set(event, pcr, EV_EFI_ACTION, "placeholder", 11);
    return event;
}

static void both(struct scene *s)
{
    s->log = s->tpm;
}

static void app_before(struct scene *s)
{
    event_set(insert_both(s, 4, 2), 4, EV_EFI_BOOT_SERVICES_APPLICATION, "evil.efi", 8);
    both(s);
}

/* The same, labelled as the firmware's announcement. */
static void app_relabelled(struct scene *s)
{
    event_set(insert_both(s, 4, 2), 4, EV_EFI_BOOT_SERVICES_APPLICATION, "evil.efi", 8);
    both(s);
    log_find(&s->log, 4, 2)->type = EV_EFI_ACTION;
    log_find(&s->log, 4, 2)->size = 40;
    memcpy(log_find(&s->log, 4, 2)->data, "Calling EFI Application from Boot Option", 40);
}

/* ... and as something whose data need not be its digest's. */
static void app_relabelled_ipl(struct scene *s)
{
    app_before(s);
    log_find(&s->log, 4, 2)->type = EV_IPL;
}

static void other_loader(struct scene *s)
{
    log_find(&s->tpm, 4, 2)->digest = text_digest("another loader");
    both(s);
}

static void no_application(struct scene *s)
{
    log_remove(&s->tpm, log_find(&s->tpm, 4, 2));
    log_remove(&s->tpm, log_find(&s->tpm, 4, 2));
    policy_replace(s, "next_stage", NULL);
    both(s);
}

static void other_next(struct scene *s)
{
    log_find(&s->tpm, 4, 3)->digest = text_digest("another GRUB");
    both(s);
}

static void no_next(struct scene *s)
{
    log_remove(&s->tpm, log_find(&s->tpm, 4, 3));
    both(s);
}

static void add_text(struct scene *s, uint32_t pcr, size_t n, const char *text)
{
    event_set(insert_both(s, pcr, n), pcr, EV_EFI_ACTION, text, strlen(text));
}

static void second_option(struct scene *s)
{
    add_text(s, 4, 2, "Calling EFI Application from Boot Option");
    both(s);
}

static void option_returned(struct scene *s)
{
    add_text(s, 4, 2, "Returning from EFI Application from Boot Option");
    both(s);
}

/* Our loader gave up; what booted then plays its part in our PCR. */
static void loader_returned(struct scene *s)
{
    add_text(s, 4, 3, "Returning from EFI Application from Boot Option");
    both(s);
}

static void loader_returned_any(struct scene *s)
{
    loader_returned(s);
    policy_add(s, "boot_option = any");
}

static void attempt_behind(struct scene *s)
{
    add_text(s, 4, 3, "Calling EFI Application from Boot Option");
    both(s);
    policy_add(s, "boot_option = any");
}

/* An empty drive comes first in the boot order. */
static void option_tried(struct scene *s)
{
    add_text(s, 4, 2, "Calling EFI Application from Boot Option");
    add_text(s, 4, 2, "Returning from EFI Application from Boot Option");
    both(s);
}

static void good_tried(struct scene *s)
{
    option_tried(s);
    policy_add(s, "boot_option = any");
}

static void option_ran(struct scene *s)
{
    good_tried(s);
    event_set(insert_both(s, 4, 2), 4, EV_EFI_BOOT_SERVICES_APPLICATION, "evil.efi", 8);
    both(s);
}

static void driver_unknown(struct scene *s)
{
    event_set(insert_both(s, 2, 1), 2, EV_EFI_BOOT_SERVICES_DRIVER, "rogue option ROM", 16);
    both(s);
}

static void driver_relabelled(struct scene *s)
{
    driver_unknown(s);
    log_find(&s->log, 2, 1)->type = EV_SEPARATOR;
    log_find(&s->log, 2, 1)->size = 4;
    memset(log_find(&s->log, 2, 1)->data, 0, 4);
}

static void driver_relabelled_blob(struct scene *s)
{
    driver_unknown(s);
    log_find(&s->log, 2, 1)->type = EV_EFI_PLATFORM_FIRMWARE_BLOB;
}

static void driver_not_rom(struct scene *s)
{
    log_find(&s->tpm, 2, 0)->digest = text_digest("altered option ROM");
    both(s);
    policy_replace(s, "event = 2", NULL);
}

static void firmware_unknown(struct scene *s)
{
    add_text(s, 0, 3, "extra");
    both(s);
}

static void firmware_missing(struct scene *s)
{
    log_remove(&s->tpm, log_find(&s->tpm, 0, 2));
    both(s);
}

static void firmware_order(struct scene *s)
{
    struct fake_event *a = log_find(&s->tpm, 0, 1), *b = log_find(&s->tpm, 0, 2), keep = *a;

    *a = *b;
    *b = keep;
    both(s);
}

static void separator_missing(struct scene *s)
{
    log_remove(&s->tpm, log_find(&s->tpm, 3, 0));
    event_set(&s->tpm.events[s->tpm.count++], 3, EV_EFI_ACTION, "not a separator", 15);
    both(s);
}

static void separator_error(struct scene *s)
{
    event_set(log_find(&s->tpm, 6, 0), 6, EV_SEPARATOR, "\xff\xff\xff\xff", 4);
    both(s);
}

static void separator_twice(struct scene *s)
{
    event_set(insert_both(s, 5, 1), 5, EV_SEPARATOR, "\0\0\0", 4);
    both(s);
}

static void action_data(struct scene *s)
{
    struct fake_event *event = log_find(&s->log, 5, 2);

    memcpy(event->data, "Innocent", 8);
}

/* ---- CloudVisor's events. ---- */

static void ours_none(struct scene *s)
{
    for (int i = 0; i < 4; i++)
        log_remove(&s->tpm, log_find(&s->tpm, CV_EVENT_PCR, 0));
    s->pcrs &= ~(1u << CV_EVENT_PCR);
    event_set(&s->tpm.events[s->tpm.count++], CV_EVENT_PCR, EV_IPL, "something", 9);
    s->pcrs |= 1u << CV_EVENT_PCR;
    both(s);
}

static void ours_missing(struct scene *s)
{
    log_remove(&s->tpm, log_find(&s->tpm, CV_EVENT_PCR, 2));
    log_remove(&s->tpm, log_find(&s->tpm, CV_EVENT_PCR, 2));
    both(s);
}

static void ours_not_closed(struct scene *s)
{
    log_remove(&s->tpm, log_find(&s->tpm, CV_EVENT_PCR, 3));
    both(s);
}

static void ours_closed_wrong(struct scene *s)
{
    event_set(log_find(&s->tpm, CV_EVENT_PCR, 3), CV_EVENT_PCR, EV_SEPARATOR, "\1\0\0", 4);
    both(s);
}

static void ours_preceded(struct scene *s)
{
    event_set(insert_both(s, CV_EVENT_PCR, 0), CV_EVENT_PCR, EV_IPL, "early", 5);
    both(s);
}

static void ours_swapped(struct scene *s)
{
    struct fake_event *a = log_find(&s->tpm, CV_EVENT_PCR, 0), *b = log_find(&s->tpm, CV_EVENT_PCR, 1), keep = *a;

    *a = *b;
    *b = keep;
    both(s);
}

static void ours_data(struct scene *s)
{
    struct cv_event_keys *keys;
    uint8_t point[CV_POINT_SIZE];
    struct digest digest;

    keys = (struct cv_event_keys *)(void *)log_find(&s->log, CV_EVENT_PCR, 2)->data;
    s->attestation = KEY_STRANGER;
    key_point(KEY_STRANGER, point);
    digest = digest_of((struct bytes){ point, sizeof(point) });
    memcpy(keys->attestation_digest, digest.byte, DIGEST_SIZE);
    s->reports[0].key = KEY_STRANGER;
}

/* Another boot's keys, and a platform flag that this machine hasn't. */
static void ours_other_boot(struct scene *s)
{
    struct cv_event_keys *keys = (struct cv_event_keys *)(void *)log_find(&s->tpm, CV_EVENT_PCR, 2)->data;

    keys->platform_flags &= ~CV_PLATFORM_IOMMU;
    log_find(&s->tpm, CV_EVENT_PCR, 2)->digest = digest_of((struct bytes){ (uint8_t *)keys, sizeof(*keys) });
    both(s);
    keys = (struct cv_event_keys *)(void *)log_find(&s->log, CV_EVENT_PCR, 2)->data;
    keys->platform_flags |= CV_PLATFORM_IOMMU;
    scene_follow_boot(s);
    s->reports[0].claims.platform_flags |= CV_PLATFORM_IOMMU;
}

/* Edits an event of ours before it is measured, and lets the reports follow. */
static struct fake_event *ours(struct scene *s, size_t n)
{
    return log_find(&s->tpm, CV_EVENT_PCR, n);
}

static void remeasure(struct scene *s, size_t n)
{
    struct fake_event *event = ours(s, n);

    event->digest = digest_of((struct bytes){ event->data, event->size });
    both(s);
    if (event->size == sizeof(struct cv_event_keys))
        scene_follow_boot(s);
}

static void flags(struct scene *s, uint32_t value)
{
    ((struct cv_event_keys *)(void *)ours(s, 2)->data)->platform_flags = value;
    remeasure(s, 2);
}

static void poke(struct scene *s, size_t n, size_t offset, uint8_t value)
{
    ours(s, n)->data[offset] = value;
    remeasure(s, n);
}

static void ours_long(struct scene *s)
{
    ours(s, 1)->size += 4;
    poke(s, 1, 44, 92);
}

static void ours_reserved(struct scene *s)
{
    poke(s, 0, 92, 1);
}
static void ours_version_field(struct scene *s)
{
    poke(s, 0, 40, 2);
}
static void ours_size_field(struct scene *s)
{
    poke(s, 1, 44, 7);
}
static void ours_label(struct scene *s)
{
    poke(s, 2, 0, 'X');
}

static void ours_no_action(struct scene *s)
{
    struct fake_event *event;

    ours_none(s);
    for (size_t n = 0; n < 4; n++) {
        static struct scene fresh;

        scene_make(&fresh);
        event = log_insert_before(&s->log, log_find(&s->log, CV_EVENT_PCR, n));
        *event = *log_find(&fresh.log, CV_EVENT_PCR, n);
        event->type = EV_NO_ACTION;
        memset(event->digest.byte, 0, DIGEST_SIZE);
    }
}

static void not_started(struct scene *s)
{
    struct cv_event_failed event = { .reason = CV_FAILED_UNSUITABLE_CPU, .layer_version = 0x100 };

    memcpy(event.head.label, CV_LABEL_FAILED, sizeof(CV_LABEL_FAILED));
    memcpy(event.head.magic, CV_EVENT_MAGIC, 8);
    event.head.version = CV_EVENT_VERSION;
    event.head.kind = CV_EVENT_FAILED;
    event.head.size = sizeof(event);
    event_set(ours(s, 2), CV_EVENT_PCR, CV_EVENT_TYPE, &event, sizeof(event));
    both(s);
}

static void good_relabelled(struct scene *s)
{
    for (size_t n = 0; n < 4; n++)
        log_find(&s->log, CV_EVENT_PCR, n)->type = EV_EVENT_TAG;
}

static void good_after(struct scene *s)
{
    event_set(&s->tpm.events[s->tpm.count++], CV_EVENT_PCR, EV_IPL, "a sysext image", 14);
    both(s);
}

static void other_layer(struct scene *s)
{
    poke(s, 0, 50, 0x77);
}
static void other_config(struct scene *s)
{
    poke(s, 1, 50, 0x77);
}
static void old_layer(struct scene *s)
{
    policy_replace(s, "layer_version", "layer_version = 0.2.0");
}
static void version_differs(struct scene *s)
{
    poke(s, 2, 116, 9);
    s->reports[0].claims.layer_version = 0x100;
}

static void good_debug(struct scene *s)
{
    flags(s, CV_PLATFORM_IOMMU | CV_PLATFORM_TPM | CV_PLATFORM_DEBUG);
    policy_add(s, "debug = accepted");
}

static void good_no_iommu(struct scene *s)
{
    flags(s, CV_PLATFORM_TPM);
    policy_add(s, "iommu = optional");
}

EDIT(flag_unknown, flags(s, CV_PLATFORM_IOMMU | CV_PLATFORM_TPM | 0x80))
EDIT(flag_debug, flags(s, CV_PLATFORM_IOMMU | CV_PLATFORM_TPM | CV_PLATFORM_DEBUG))
EDIT(flag_no_iommu, flags(s, CV_PLATFORM_TPM))
EDIT(flag_no_tpm, flags(s, CV_PLATFORM_IOMMU))
EDIT(clock_reset, s->reset_count++)
EDIT(clock_restart, s->restart_count++)

/* ---- Boot keys and reports. ---- */

static void k_swap(struct buffer *b)
{
    uint8_t point[CV_POINT_SIZE];

    memcpy(point, b->data, CV_POINT_SIZE);
    buffer_remove(b, 0, CV_POINT_SIZE);
    put_bytes(b, point, CV_POINT_SIZE);
}
static void k_cut(struct buffer *b)
{
    b->size--;
}
static void k_agreement(struct buffer *b)
{
    key_point(KEY_STRANGER, b->data + CV_POINT_SIZE);
}

/* The key event itself holds the digest of something that is no point. */
static void k_off_curve(struct buffer *b)
{
    b->data[2 * CV_POINT_SIZE - 1] ^= 1;
}
static void keys_off_curve(struct scene *s)
{
    uint8_t point[CV_POINT_SIZE];
    struct digest digest;

    key_point(KEY_AGREEMENT, point);
    point[CV_POINT_SIZE - 1] ^= 1;
    digest = digest_of((struct bytes){ point, sizeof(point) });
    memcpy(ours(s, 2)->data + 80, digest.byte, DIGEST_SIZE);
    s->edit_boot_keys = k_off_curve;
    remeasure(s, 2);
}

EDIT(keys_swapped, s->edit_boot_keys = k_swap)
EDIT(keys_cut, s->edit_boot_keys = k_cut)
EDIT(keys_agreement, s->edit_boot_keys = k_agreement)

static void r_trailing(struct buffer *b)
{
    put_bytes(b, "x", 1);
}
static void r_cut(struct buffer *b)
{
    b->size -= 1;
}
static void r_tag(struct buffer *b)
{
    b->data[0] = 0xd1;
}
static void r_indefinite(struct buffer *b)
{
    b->data[1] = 0x9f;
    put_bytes(b, "\xff", 1);
}
static void r_huge(struct buffer *b)
{
    b->data[8] = 0xff;
}
static void r_unprotected(struct buffer *b)
{
    b->data[6] = 0xa1;
    buffer_insert(b, 7, "\x04\x41x", 3);
}
static void r_signature(struct buffer *b)
{
    b->data[b->size - 1] ^= 1;
}

static void p_duplicate(struct buffer *b)
{
    uint8_t claim[35];

    b->size -= 71; /* the guest's data */
    memcpy(claim, b->data + 1, sizeof(claim));
    buffer_insert(b, 1, claim, sizeof(claim));
}
static void p_indefinite(struct buffer *b)
{
    b->data[0] = 0xbf;
    put_bytes(b, "\xff", 1);
}
static void p_trailing(struct buffer *b)
{
    put_bytes(b, "\0", 1);
}
static void p_not_shortest(struct buffer *b)
{
    b->data[CBOR_DEBUG_STATUS] = 0x18;
    buffer_insert(b, CBOR_DEBUG_STATUS + 1, "\2", 1);
}
static void p_long_key(struct buffer *b)
{
    b->data[1] = 0x18;
    buffer_insert(b, 2, "\x0a", 1);
}
static void p_order(struct buffer *b)
{
    uint8_t claim[35];

    memcpy(claim, b->data + 1, sizeof(claim));
    buffer_remove(b, 1, sizeof(claim));
    buffer_insert(b, 5, claim, sizeof(claim));
}
static void p_unknown(struct buffer *b)
{
    b->data[b->size - 67] += 1;
}
static void p_missing(struct buffer *b)
{
    b->data[0] = 0xaa;
    b->size -= 71;
}
static void p_float(struct buffer *b)
{
    b->data[CBOR_DEBUG_STATUS] = 0xf9;
    buffer_insert(b, CBOR_DEBUG_STATUS + 1, "\0", 2);
}
static void p_simple(struct buffer *b)
{
    b->data[CBOR_DEBUG_STATUS] = 0xf5;
}
static void p_reserved(struct buffer *b)
{
    b->data[CBOR_DEBUG_STATUS] = 0x1c;
}
static void p_negative(struct buffer *b)
{
    b->data[CBOR_DEBUG_STATUS] = 0x21;
}
static void p_profile(struct buffer *b)
{
    b->data[CBOR_DEBUG_STATUS + 8] ^= 1;
}
static void p_debug(struct buffer *b)
{
    b->data[CBOR_DEBUG_STATUS] = 3;
}
static void p_wide(struct buffer *b)
{
    b->data[CBOR_DEBUG_STATUS] = 0x1b;
    buffer_insert(b, CBOR_DEBUG_STATUS + 1, "\0\0\0\1\0\0\0\2", 8);
}
static void p_short_nonce(struct buffer *b)
{
    b->data[3] = 31;
    buffer_remove(b, 10, 1);
}

#define REPORT_EDIT(name, function)  EDIT(report_##name, s->reports[0].edit = function)
#define PAYLOAD_EDIT(name, function) EDIT(report_##name, s->reports[0].edit_payload = function)

REPORT_EDIT(trailing, r_trailing)
REPORT_EDIT(cut, r_cut)
REPORT_EDIT(tag, r_tag)
REPORT_EDIT(indefinite, r_indefinite)
REPORT_EDIT(huge, r_huge)
REPORT_EDIT(unprotected, r_unprotected)
REPORT_EDIT(signature, r_signature)
PAYLOAD_EDIT(duplicate, p_duplicate)
PAYLOAD_EDIT(indefinite_map, p_indefinite)
PAYLOAD_EDIT(trailing_claims, p_trailing)
PAYLOAD_EDIT(not_shortest, p_not_shortest)
PAYLOAD_EDIT(long_key, p_long_key)
PAYLOAD_EDIT(order, p_order)
PAYLOAD_EDIT(unknown, p_unknown)
PAYLOAD_EDIT(missing_claim, p_missing)
PAYLOAD_EDIT(float, p_float)
PAYLOAD_EDIT(simple, p_simple)
PAYLOAD_EDIT(reserved, p_reserved)
PAYLOAD_EDIT(negative, p_negative)
PAYLOAD_EDIT(profile, p_profile)
PAYLOAD_EDIT(debug, p_debug)
PAYLOAD_EDIT(wide, p_wide)
PAYLOAD_EDIT(short_nonce, p_short_nonce)

static void report_header(struct scene *s, const void *header, size_t size)
{
    memcpy(s->reports[0].header, header, size);
    s->reports[0].header_size = size;
}

static void report_two(struct scene *s)
{
    struct digest other = text_digest("another VM");

    s->reports[1] = s->reports[0];
    memcpy(s->reports[1].claims.launch_digest, other.byte, DIGEST_SIZE);
    s->report_count = 2;
}

static void good_two(struct scene *s)
{
    struct digest other = text_digest("another VM");
    char line[128], hex[DIGEST_HEX];

    report_two(s);
    snprintf(line, sizeof(line), "launch = %s", digest_text(&other, hex));
    policy_add(s, line);
}

static void report_not_ours(struct scene *s)
{
    policy_replace(s, "launch", NULL);
}

EDIT(report_algorithm, report_header(s, "\xa1\x01\x38\x22", 4))
EDIT(report_header_extra, report_header(s, "\xa2\x01\x26\x04\x41\x31", 6))
EDIT(report_header_empty, report_header(s, "\xa0", 1))
EDIT(report_stranger, s->reports[0].key = KEY_STRANGER)
EDIT(report_old_nonce, s->reports[0].claims.nonce[0] ^= 1)
EDIT(report_other_boot, s->reports[0].claims.boot_seed[0] ^= 1)
EDIT(report_platform, s->reports[0].claims.layer_version++)
EDIT(report_flags, s->reports[0].claims.platform_flags ^= CV_PLATFORM_IOMMU)
EDIT(report_launch, s->reports[0].claims.launch_digest[0] ^= 1)
EDIT(report_stopped, s->reports[0].claims.vm_state = REPORT_VM_STOPPED)
EDIT(report_vm_debug, s->reports[0].claims.vm_policy |= REPORT_VM_DEBUG)
EDIT(report_vm_unknown, s->reports[0].claims.vm_policy |= 0x100)
EDIT(report_none, s->report_count = 0)

/* ---- Policy and challenge. ---- */

static void st_magic(struct buffer *b)
{
    b->data[0] = 'X';
}
static void st_cut(struct buffer *b)
{
    b->size--;
}
static void st_version(struct buffer *b)
{
    b->data[11] = 2;
}

EDIT(policy_unknown, policy_add(s, "color = green"))
EDIT(policy_twice, policy_add(s, "layer_version = 0.1.0"))
EDIT(policy_digest_short, policy_add(s, "loader = 1234"))
EDIT(policy_digest_again, policy_replace(s, "loader",
                                         "loader = 1111111111111111111111111111111111111111111111111111111111111111\n"
                                         "loader = 1111111111111111111111111111111111111111111111111111111111111111"))
EDIT(policy_pcr4, policy_add(s, "event = 4 1111111111111111111111111111111111111111111111111111111111111111"))
EDIT(policy_open0, policy_replace(s, "open", "open = 0 1 3 5 6"))
EDIT(policy_open2, policy_replace(s, "open", "open = 1 2 3 5 6"))
EDIT(policy_unquoted13, policy_add(s, "unquoted = 13"))
EDIT(policy_word, policy_add(s, "debug = maybe"))
EDIT(policy_no_equals, policy_add(s, "nonsense"))
EDIT(policy_control, policy_add(s, "name\t= x"))
EDIT(policy_first, policy_replace(s, "version", NULL))
EDIT(policy_version, policy_replace(s, "version", NULL); memmove(s->policy + 12, s->policy, strlen(s->policy) + 1);
     memcpy(s->policy, "version = 2\n", 12))
EDIT(policy_no_loader, policy_replace(s, "loader", NULL))
EDIT(policy_no_layer, policy_replace(s, "layer", NULL))
EDIT(policy_no_config, policy_replace(s, "configuration", NULL))
EDIT(policy_no_least, policy_replace(s, "layer_version", NULL))
EDIT(policy_no_firmware, policy_replace(s, "event = 0", NULL))
EDIT(policy_no_machine, policy_replace(s, "any_machine", NULL))
EDIT(state_magic, s->edit_state = st_magic)
EDIT(state_cut, s->edit_state = st_cut)
EDIT(state_version, s->edit_state = st_version)
EDIT(good_optional,
     policy_add(s, "optional = 2 1111111111111111111111111111111111111111111111111111111111111111 a card"))

/* The files that the good machine booted, for `reference`. */
static void write_boot_files(const struct scene *s, const char *folder)
{
    static struct buffer file;
    struct digest loader, layer;

    make_loader(&file, &loader, &layer);
    write_file(folder, "loader.efi", file.data, file.size);
    write_file(folder, "cloudvisor.conf", fake_config, strlen(fake_config));
    file.size = 0;
    put_log(s, &file);
    write_file(folder, "log", file.data, file.size);
}

static const struct test_case cases[] = {
#include "tests/attest/cases.def"
};

int main(int argc, char **argv)
{
    static struct scene scene;
    char path[1024];
    FILE *list;

    if (argc != 2) {
        fputs("usage: generate FOLDER\n", stderr);
        return 2;
    }
    mkdir(argv[1], 0755);
    snprintf(path, sizeof(path), "%s/cases", argv[1]);
    list = fopen(path, "w");
    if (!list) {
        perror(path);
        return 2;
    }
    keys_make();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", argv[1], cases[i].name);
        mkdir(path, 0755);
        scene_make(&scene);
        cases[i].edit(&scene);
        scene_write(&scene, path);
        write_boot_files(&scene, path);
        fprintf(list, "%s\t%d\t%s\t%s\t%s\n", cases[i].name, cases[i].exit_code, cases[i].check, cases[i].message,
                cases[i].command ? cases[i].command : VERIFY);
    }
    return fclose(list) == 0 ? 0 : 2;
}
