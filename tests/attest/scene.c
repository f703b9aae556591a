/* SPDX-License-Identifier: GPL-2.0-only */
/* The made-up machine: honest unless a case says otherwise. Its TPM is this file. See scene.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/oid.h>
#include <mbedtls/rsa.h>
#include <mbedtls/sha1.h>
#include <mbedtls/x509_crt.h>
#include "attest/report_encode.h"
#include "attest/cvverify/replay.h"
#include "tests/attest/scene.h"

#define VARIABLE_GUID "\x61\xdf\xe4\x8b\xca\x93\xd2\x11\xaa\x0d\x00\xe0\x98\x03\x2b\x8c"

const char fake_config[] = "next = /EFI/debian/grubx64.efi\n";

static mbedtls_pk_context keys[KEY_COUNT];
static uint32_t rng_counter;

static void must(bool well, const char *what)
{
    if (!well) {
        fprintf(stderr, "generate: %s failed\n", what);
        exit(2);
    }
}

/* SHA-256 of a counter: the same in every run. */
static int fake_random(void *unused, unsigned char *out, size_t size)
{
    (void)unused;
    while (size) {
        struct digest d;
        size_t part = size < DIGEST_SIZE ? size : DIGEST_SIZE;

        rng_counter++;
        d = digest_of((struct bytes){ (const uint8_t *)&rng_counter, sizeof(rng_counter) });
        memcpy(out, d.byte, part);
        out += part;
        size -= part;
    }
    return 0;
}

static bool is_rsa(enum fake_key key)
{
    return key == KEY_AK_RSA || key == KEY_AK_WEAK || key == KEY_EK_RSA;
}

void keys_make(void)
{
    for (enum fake_key key = 0; key < KEY_COUNT; key++) {
        mbedtls_pk_init(&keys[key]);
        if (is_rsa(key)) {
            must(mbedtls_pk_setup(&keys[key], mbedtls_pk_info_from_type(MBEDTLS_PK_RSA)) == 0, "key");
            must(mbedtls_rsa_gen_key(mbedtls_pk_rsa(keys[key]), fake_random, NULL, key == KEY_AK_WEAK ? 1024 : 2048,
                                     65537) == 0,
                 "RSA key");
        } else {
            must(mbedtls_pk_setup(&keys[key], mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) == 0, "key");
            must(mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(keys[key]), fake_random, NULL) == 0,
                 "EC key");
        }
    }
}

mbedtls_pk_context *key_of(enum fake_key key)
{
    return &keys[key];
}

void key_point(enum fake_key key, uint8_t point[CV_POINT_SIZE])
{
    mbedtls_ecp_keypair *pair = mbedtls_pk_ec(keys[key]);
    size_t size;

    must(mbedtls_ecp_point_write_binary(&pair->grp, &pair->Q, MBEDTLS_ECP_PF_UNCOMPRESSED, &size, point,
                                        CV_POINT_SIZE) == 0,
         "point");
}

void put_bytes(struct buffer *b, const void *data, size_t size)
{
    must(size <= BUFFER_SIZE - b->size, "buffer");
    if (size)
        memcpy(b->data + b->size, data, size);
    b->size += size;
}

void put_be(struct buffer *b, uint64_t value, unsigned size)
{
    for (unsigned i = size; i-- > 0;) {
        uint8_t byte = (uint8_t)(value >> 8 * i);

        put_bytes(b, &byte, 1);
    }
}

void put_le(struct buffer *b, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)(value >> 8 * i);

        put_bytes(b, &byte, 1);
    }
}

static void put_2b(struct buffer *b, const void *data, size_t size)
{
    put_be(b, size, 2);
    put_bytes(b, data, size);
}

void buffer_insert(struct buffer *b, size_t at, const void *data, size_t size)
{
    must(at <= b->size && size <= BUFFER_SIZE - b->size, "insert");
    memmove(b->data + at + size, b->data + at, b->size - at);
    memcpy(b->data + at, data, size);
    b->size += size;
}

void buffer_remove(struct buffer *b, size_t at, size_t size)
{
    must(at + size <= b->size, "remove");
    memmove(b->data + at, b->data + at + size, b->size - at - size);
    b->size -= size;
}

/* ---- The boot. ---- */

struct digest text_digest(const char *text)
{
    return digest_of((struct bytes){ (const uint8_t *)text, strlen(text) });
}

void event_set(struct fake_event *event, uint32_t pcr, uint32_t type, const void *data, size_t size)
{
    must(size <= EVENT_DATA_MAX, "event");
    *event = (struct fake_event){ .pcr = pcr, .type = type, .size = size };
    memcpy(event->data, data, size);
    event->digest = digest_of((struct bytes){ event->data, size });
}

void scene_measure(struct scene *s, uint32_t pcr, uint32_t type, const void *data, size_t size)
{
    must(s->tpm.count < EVENTS_MAX, "events");
    event_set(&s->tpm.events[s->tpm.count++], pcr, type, data, size);
}

static void measure_other(struct scene *s, uint32_t pcr, uint32_t type, const void *data, size_t size,
                          const struct digest *digest)
{
    scene_measure(s, pcr, type, data, size);
    s->tpm.events[s->tpm.count - 1].digest = *digest;
}

static void measure_text(struct scene *s, uint32_t pcr, uint32_t type, const char *text)
{
    scene_measure(s, pcr, type, text, strlen(text));
}

static void put_wide(struct buffer *b, const char *text)
{
    for (; *text; text++)
        put_le(b, (uint8_t)*text, 2);
}

static void measure_variable(struct scene *s, uint32_t pcr, uint32_t type, const char *name, const char *value)
{
    static struct buffer b;

    b.size = 0;
    put_bytes(&b, VARIABLE_GUID, 16);
    put_le(&b, strlen(name), 8);
    put_le(&b, strlen(value), 8);
    put_wide(&b, name);
    put_bytes(&b, value, strlen(value));
    scene_measure(s, pcr, type, b.data, b.size);
}

static void measure_image(struct scene *s, uint32_t pcr, uint32_t type, const char *path, const struct digest *digest)
{
    static struct buffer b;

    b.size = 0;
    put_le(&b, 0x7e000000, 8);
    put_le(&b, 0x20000, 8);
    put_le(&b, 0, 8);
    put_le(&b, 2 * (strlen(path) + 1) + 8, 8);
    put_le(&b, 0x0404, 2);
    put_le(&b, 2 * (strlen(path) + 1) + 4, 2);
    put_wide(&b, path);
    put_le(&b, 0, 2);
    put_le(&b, 0x0004ff7f, 4);
    measure_other(s, pcr, type, b.data, b.size, digest);
}

static void measure_blob(struct scene *s, uint64_t base, const char *content)
{
    struct digest digest = text_digest(content);
    static struct buffer b;

    b.size = 0;
    put_le(&b, base, 8);
    put_le(&b, 0x20000, 8);
    measure_other(s, 0, EV_EFI_PLATFORM_FIRMWARE_BLOB, b.data, b.size, &digest);
}

static void measure_firmware(struct scene *s)
{
    struct digest rom = text_digest("option ROM of the network card");
    static struct buffer b;

    b.size = 0;
    put_wide(&b, "1.0");
    put_le(&b, 0, 2);
    scene_measure(s, 0, EV_S_CRTM_VERSION, b.data, b.size);
    measure_blob(s, 0x820000, "PEI volume");
    measure_blob(s, 0x900000, "DXE volume");
    measure_variable(s, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, "SecureBoot", "");
    measure_variable(s, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, "PK", "");
    scene_measure(s, 7, EV_SEPARATOR, "\0\0\0", 4);
    measure_variable(s, 1, EV_EFI_VARIABLE_BOOT, "BootOrder", "\1\2");
    measure_image(s, 2, EV_EFI_BOOT_SERVICES_DRIVER, "\\rom", &rom);
    measure_text(s, 4, EV_EFI_ACTION, "Calling EFI Application from Boot Option");
    for (uint32_t pcr = 0; pcr < 7; pcr++)
        scene_measure(s, pcr, EV_SEPARATOR, "\0\0\0", 4);
    b.size = 0;
    put_bytes(&b, "EFI PART\0\0\1\0\x5c\0\0\0", 16);
    put_bytes(&b, (uint8_t[92 - 16 + 8]){ 0 }, 92 - 16 + 8);
    scene_measure(s, 5, EV_EFI_GPT_EVENT, b.data, b.size);
}

static void fill_head(struct cv_event_head *head, const char *label, enum cv_event_kind kind, size_t size)
{
    memcpy(head->label, label, strlen(label));
    memcpy(head->magic, CV_EVENT_MAGIC, sizeof(CV_EVENT_MAGIC));
    head->version = CV_EVENT_VERSION;
    head->kind = (uint16_t)kind;
    head->size = (uint32_t)size;
}

static void measure_layer(struct scene *s, const struct digest *layer)
{
    struct cv_event_layer event = { .image_size = 64, .layer_version = 0x100 };

    fill_head(&event.head, CV_LABEL_LAYER, CV_EVENT_LAYER, sizeof(event));
    memcpy(event.image_digest, layer->byte, DIGEST_SIZE);
    scene_measure(s, CV_EVENT_PCR, CV_EVENT_TYPE, &event, sizeof(event));
}

static void measure_config(struct scene *s)
{
    struct cv_event_config event = { .config_size = sizeof(fake_config) - 1 };
    struct digest digest = text_digest(fake_config);

    fill_head(&event.head, CV_LABEL_CONFIG, CV_EVENT_CONFIG, sizeof(event));
    memcpy(event.config_digest, digest.byte, DIGEST_SIZE);
    scene_measure(s, CV_EVENT_PCR, CV_EVENT_TYPE, &event, sizeof(event));
}

static void measure_keys(struct scene *s)
{
    struct cv_event_keys event = { .platform_flags = CV_PLATFORM_IOMMU | CV_PLATFORM_TPM,
                                   .layer_version = 0x100,
                                   .reset_count = s->reset_count,
                                   .restart_count = s->restart_count };
    uint8_t point[CV_POINT_SIZE];
    struct digest digest;

    fill_head(&event.head, CV_LABEL_KEYS, CV_EVENT_KEYS, sizeof(event));
    key_point(s->attestation, point);
    digest = digest_of((struct bytes){ point, sizeof(point) });
    memcpy(event.attestation_digest, digest.byte, DIGEST_SIZE);
    key_point(s->agreement, point);
    digest = digest_of((struct bytes){ point, sizeof(point) });
    memcpy(event.agreement_digest, digest.byte, DIGEST_SIZE);
    scene_measure(s, CV_EVENT_PCR, CV_EVENT_TYPE, &event, sizeof(event));
}

static void measure_host(struct scene *s)
{
    struct digest grub = text_digest("GRUB");

    measure_image(s, 4, EV_EFI_BOOT_SERVICES_APPLICATION, "\\EFI\\debian\\grubx64.efi", &grub);
    measure_text(s, 8, EV_IPL, "grub_cmd: linux /vmlinuz");
    measure_text(s, 9, EV_IPL, "/vmlinuz");
    measure_text(s, 5, EV_EFI_ACTION, "Exit Boot Services Invocation");
    measure_text(s, 5, EV_EFI_ACTION, "Exit Boot Services Returned with Success");
}

/* A small PE32+ image with one section, in it a layer's image, and its Authenticode hash computed by hand. */
void make_loader(struct buffer *pe, struct digest *authenticode, struct digest *layer)
{
    static struct buffer hashed;
    uint8_t image[64] = { 0x30, 0x43, 0x56, 0x4c, 0x41, 0x59, 0x45, 0x52 };

    memset(pe, 0, sizeof(*pe));
    pe->size = 0x400;
    memcpy(pe->data, "MZ", 2);
    pe->data[0x3c] = 0x40;
    memcpy(pe->data + 0x40, "PE\0\0\x64\x86\x01", 7);
    pe->data[0x40 + 20] = 0xf0;
    memcpy(pe->data + 0x58, "\x0b\x02", 2);
    pe->data[0x58 + 61] = 2; /* SizeOfHeaders 0x200 */
    memcpy(pe->data + 0x58 + 64, "\x11\x22\x33\x44", 4);
    pe->data[0x58 + 108] = 16; /* NumberOfRvaAndSizes */
    memcpy(pe->data + 0x58 + 0xf0, ".text", 5);
    pe->data[0x58 + 0xf0 + 17] = 2; /* SizeOfRawData 0x200 */
    pe->data[0x58 + 0xf0 + 21] = 2; /* PointerToRawData 0x200 */
    image[32] = 64;                 /* file_size */
    memcpy(pe->data + 0x200, image, sizeof(image));
    *layer = digest_of((struct bytes){ image, sizeof(image) });
    hashed.size = 0;
    put_bytes(&hashed, pe->data, 0x98);
    put_bytes(&hashed, pe->data + 0x9c, 0x58 + 144 - 0x9c);
    put_bytes(&hashed, pe->data + 0x58 + 152, 0x400 - (0x58 + 152));
    *authenticode = digest_of((struct bytes){ hashed.data, hashed.size });
}

static void measure_boot(struct scene *s)
{
    static struct buffer pe;
    struct digest loader, layer;

    make_loader(&pe, &loader, &layer);
    measure_firmware(s);
    measure_image(s, 4, EV_EFI_BOOT_SERVICES_APPLICATION, "\\EFI\\BOOT\\BOOTX64.EFI", &loader);
    measure_layer(s, &layer);
    measure_config(s);
    measure_keys(s);
    scene_measure(s, CV_EVENT_PCR, EV_SEPARATOR, "\0\0\0", 4);
    measure_host(s);
    s->log = s->tpm;
}

struct fake_event *log_find(struct fake_log *log, uint32_t pcr, size_t n)
{
    for (size_t i = 0; i < log->count; i++) {
        if (log->events[i].pcr == pcr && n-- == 0)
            return &log->events[i];
    }
    must(false, "log_find");
    return NULL;
}

void log_remove(struct fake_log *log, struct fake_event *event)
{
    size_t index = (size_t)(event - log->events);

    memmove(event, event + 1, (log->count - index - 1) * sizeof(*event));
    log->count--;
}

struct fake_event *log_insert_before(struct fake_log *log, struct fake_event *event)
{
    size_t index = (size_t)(event - log->events);

    must(log->count < EVENTS_MAX, "events");
    memmove(event + 1, event, (log->count - index) * sizeof(*event));
    log->count++;
    return event;
}

/* ---- Policy. ---- */

void policy_add(struct scene *s, const char *line)
{
    must(strlen(s->policy) + strlen(line) + 2 < POLICY_TEXT, "policy");
    strcat(s->policy, line);
    strcat(s->policy, "\n");
}

void policy_replace(struct scene *s, const char *key, const char *line)
{
    char old[POLICY_TEXT], *rest = old, *next;
    size_t length = strlen(key);

    strcpy(old, s->policy);
    s->policy[0] = '\0';
    while ((next = strsep(&rest, "\n"))) {
        if (*next && !(strncmp(next, key, length) == 0 && next[length] == ' '))
            policy_add(s, next);
    }
    if (line)
        policy_add(s, line);
}

__attribute__((format(printf, 2, 3))) static void policy_line(struct scene *s, const char *format, ...)
{
    char line[512];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    policy_add(s, line);
}

static void policy_events(struct scene *s)
{
    char hex[DIGEST_HEX];
    struct digest separator = digest_of((struct bytes){ (const uint8_t *)"\0\0\0", 4 });

    for (size_t i = 0; i < s->tpm.count; i++) {
        const struct fake_event *event = &s->tpm.events[i];

        if ((event->pcr == 0 || event->pcr == 2 || event->pcr == 7) && !digest_equal(&event->digest, &separator))
            policy_line(s, "event = %u %s", event->pcr, digest_text(&event->digest, hex));
    }
}

static void policy_make(struct scene *s)
{
    static struct buffer pe;
    struct digest loader, layer, d;
    char hex[DIGEST_HEX];

    make_loader(&pe, &loader, &layer);
    policy_add(s, "version = 1");
    policy_add(s, "name = test policy");
    policy_line(s, "loader = %s cloudvisor.efi", digest_text(&loader, hex));
    policy_line(s, "layer = %s", digest_text(&layer, hex));
    d = text_digest(fake_config);
    policy_line(s, "configuration = %s", digest_text(&d, hex));
    d = text_digest("GRUB");
    policy_line(s, "next_stage = %s GRUB", digest_text(&d, hex));
    policy_add(s, "layer_version = 0.1.0");
    policy_add(s, "any_machine = sha256-firmware");
    d = text_digest("a VM");
    policy_line(s, "launch = %s my VM", digest_text(&d, hex));
    policy_add(s, "vm_policy = keep-key");
    policy_add(s, "open = 1 3 5 6");
    policy_events(s);
}

/* ---- The good machine. ---- */

void scene_follow_boot(struct scene *s)
{
    const struct fake_event *event = log_find(&s->tpm, CV_EVENT_PCR, 2);
    struct cv_event_keys keys_event;

    memcpy(&keys_event, event->data, sizeof(keys_event));
    for (size_t i = 0; i < s->report_count; i++) {
        memcpy(s->reports[i].claims.boot_seed, event->digest.byte, DIGEST_SIZE);
        s->reports[i].claims.platform_flags = keys_event.platform_flags;
        s->reports[i].claims.layer_version = keys_event.layer_version;
    }
}

static void make_report(struct scene *s)
{
    struct fake_report *report = &s->reports[0];
    struct digest launch = text_digest("a VM");

    *report = (struct fake_report){ .key = s->attestation, .header = { 0xa1, 0x01, 0x26 }, .header_size = 3 };
    memcpy(report->claims.nonce, s->nonce, 32);
    memcpy(report->claims.launch_digest, launch.byte, DIGEST_SIZE);
    memset(report->claims.guest_data, 0x5a, REPORT_GUEST_DATA_SIZE);
    report->claims.vm_policy = REPORT_VM_KEEP_KEY;
    report->claims.vm_state = REPORT_VM_RUNNING;
    report->claims.vcpus = 2;
    s->report_count = 1;
    scene_follow_boot(s);
}

void scene_make(struct scene *s)
{
    memset(s, 0, sizeof(*s));
    s->reset_count = 7;
    s->restart_count = 1;
    s->bank_count = 2;
    s->banks[0] = TPM_SHA256;
    s->banks[1] = TPM_SHA1;
    s->magic = 0xff544347;
    s->quote_type = 0x8018;
    s->pcrs = 0x23ff;
    s->bank = TPM_SHA256;
    s->selections = 1;
    s->ak = s->signer = KEY_AK_ECC;
    s->ak_attributes = TPMA_FIXED_TPM | TPMA_FIXED_PARENT | TPMA_ORIGIN | TPMA_RESTRICTED | TPMA_SIGN | 0x40;
    s->ak_scheme = s->signature_scheme = TPM_ALG_ECDSA;
    s->ak_hash = s->signature_hash = TPM_SHA256;
    s->ek = KEY_EK_RSA;
    s->ek_attributes = 0x300b2;
    s->send_ek = true;
    s->leaf = (struct fake_certificate){
        true, KEY_EK_RSA, KEY_MIDDLE, "20491231235959", MBEDTLS_MD_SHA256, false, "\x67\x81\x05\x08\x01"
    };
    s->middle = (struct fake_certificate){
        true, KEY_MIDDLE, KEY_ROOT, "20491231235959", MBEDTLS_MD_SHA256, true, NULL
    };
    s->root_given = true;
    s->credential = true;
    s->attestation = KEY_ATTESTATION;
    s->agreement = KEY_AGREEMENT;
    s->send_values = true;
    memset(s->nonce, 0xa5, sizeof(s->nonce));
    memcpy(s->quote_nonce, s->nonce, sizeof(s->nonce));
    measure_boot(s);
    make_report(s);
    policy_make(s);
}

void scene_boot(struct scene *s, uint32_t reset_count, uint32_t restart_count)
{
    s->reset_count = reset_count;
    s->restart_count = restart_count;
    s->tpm.count = 0;
    measure_boot(s);
    make_report(s);
}

/* ---- Files. ---- */

void write_file(const char *folder, const char *name, const void *data, size_t size)
{
    char path[1024];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "wb");
    must(file && fwrite(data, 1, size, file) == size && fclose(file) == 0, path);
}

static void apply(void (*edit)(struct buffer *b), struct buffer *b)
{
    if (edit)
        edit(b);
}

static void put_log_head(const struct scene *s, struct buffer *b)
{
    put_le(b, 0, 4);
    put_le(b, EV_NO_ACTION, 4);
    put_bytes(b, (uint8_t[20]){ 0 }, 20);
    put_le(b, 29 + 4 * s->bank_count, 4);
    put_bytes(b, "Spec ID Event03", 16);
    put_le(b, 0, 4);
    put_le(b, 0x02000200, 4);
    put_le(b, s->bank_count, 4);
    for (size_t i = 0; i < s->bank_count; i++) {
        put_le(b, s->banks[i], 2);
        put_le(b, s->banks[i] == TPM_SHA1 ? 20 : 32, 2);
    }
    put_le(b, 0, 1);
}

static void put_log_event(const struct scene *s, struct buffer *b, const struct fake_event *event)
{
    uint8_t sha1[20] = { 0 };

    put_le(b, event->pcr, 4);
    put_le(b, event->type, 4);
    put_le(b, s->bank_count, 4);
    for (size_t i = 0; i < s->bank_count; i++) {
        put_le(b, s->banks[i], 2);
        if (event->type != EV_NO_ACTION)
            mbedtls_sha1_ret(event->data, event->size, sha1);
        put_bytes(b, s->banks[i] == TPM_SHA1 ? sha1 : event->digest.byte, s->banks[i] == TPM_SHA1 ? 20 : 32);
    }
    put_le(b, event->size, 4);
    put_bytes(b, event->data, event->size);
}

void put_log(const struct scene *s, struct buffer *b)
{
    put_log_head(s, b);
    if (s->locality) {
        struct fake_event event = { .pcr = 0, .type = EV_NO_ACTION, .size = 17 };

        memcpy(event.data, "StartupLocality", 16);
        event.data[16] = s->locality;
        put_log_event(s, b, &event);
    }
    for (size_t i = 0; i < s->log.count; i++)
        put_log_event(s, b, &s->log.events[i]);
    apply(s->edit_log, b);
}

static void tpm_values(const struct scene *s, struct digest value[PCR_COUNT])
{
    memset(value, 0, PCR_COUNT * sizeof(value[0]));
    value[0].byte[31] = s->locality;
    for (size_t i = 0; i < s->tpm.count; i++) {
        if (s->tpm.events[i].type != EV_NO_ACTION)
            digest_extend(&value[s->tpm.events[i].pcr], &s->tpm.events[i].digest);
    }
}

static void put_rsa_public(struct buffer *b, enum fake_key key)
{
    uint8_t n[256];
    size_t size = mbedtls_rsa_get_len(mbedtls_pk_rsa(keys[key]));

    must(mbedtls_rsa_export_raw(mbedtls_pk_rsa(keys[key]), n, size, NULL, 0, NULL, 0, NULL, 0, NULL, 0) == 0,
         "modulus");
    put_be(b, size * 8, 2);
    put_be(b, 0, 4);
    put_2b(b, n, size);
}

static void put_ecc_public(struct buffer *b, enum fake_key key)
{
    uint8_t point[CV_POINT_SIZE];

    key_point(key, point);
    put_be(b, TPM_ECC_P256, 2);
    put_be(b, TPM_ALG_NULL, 2);
    put_2b(b, point + 1, 32);
    put_2b(b, point + 33, 32);
}

static void put_ak(const struct scene *s, enum fake_key key, struct buffer *b)
{
    static struct buffer area;

    area.size = 0;
    put_be(&area, is_rsa(key) ? TPM_ALG_RSA : TPM_ALG_ECC, 2);
    put_be(&area, TPM_SHA256, 2);
    put_be(&area, s->ak_attributes, 4);
    put_be(&area, 0, 2);
    put_be(&area, TPM_ALG_NULL, 2);
    put_be(&area, s->ak_scheme, 2);
    put_be(&area, s->ak_hash, 2);
    if (is_rsa(key))
        put_rsa_public(&area, key);
    else
        put_ecc_public(&area, key);
    apply(s->edit_ak, &area);
    put_2b(b, area.data, area.size);
}

static void put_ek(const struct scene *s, enum fake_key key, struct buffer *b)
{
    uint8_t made[TPM_PUBLIC_MAX];
    size_t size = tpm_ek_from_pk(&keys[key], made);

    must(size > 10, "EK");
    for (unsigned i = 0; i < 4; i++)
        made[6 + i] = (uint8_t)(s->ek_attributes >> 8 * (3 - i));
    put_bytes(b, made, size);
    apply(s->edit_ek, b);
}

static struct tpm_name name_of(const struct buffer *public_area)
{
    struct tpm_name name = { { 0, TPM_SHA256 } };
    struct digest digest = digest_of((struct bytes){ public_area->data + 2, public_area->size - 2 });

    memcpy(name.byte + 2, digest.byte, DIGEST_SIZE);
    return name;
}

static void put_quote(const struct scene *s, const struct buffer *ak, const struct buffer *ek, struct buffer *b)
{
    struct digest value[PCR_COUNT], digest;
    struct tpm_name ak_name = name_of(ak), ek_name = name_of(ek), signer;

    tpm_values(s, value);
    digest = replay_quote_digest(value, s->pcrs & 0xffffff);
    if (s->wrong_pcr_digest)
        digest.byte[0] ^= 1;
    signer = tpm_qualified_name(s->ak_not_under_ek ? &ak_name : &ek_name, &ak_name);
    put_be(b, s->magic, 4);
    put_be(b, s->quote_type, 2);
    put_2b(b, signer.byte, TPM_NAME_SIZE);
    put_2b(b, s->quote_nonce, 32);
    put_be(b, 123456789, 8);
    put_be(b, s->reset_count, 4);
    put_be(b, s->restart_count, 4);
    put_be(b, 1, 1);
    put_be(b, UINT64_C(0x2019102300163636), 8);
    put_be(b, s->selections, 4);
    for (unsigned i = 0; i < s->selections; i++) {
        put_be(b, i ? TPM_SHA1 : s->bank, 2);
        put_be(b, 3, 1);
        put_le(b, s->pcrs, 3);
    }
    put_2b(b, digest.byte, DIGEST_SIZE);
    apply(s->edit_quote, b);
}

static void sign_ecdsa(enum fake_key key, const struct digest *digest, uint8_t signature[64])
{
    mbedtls_ecp_keypair *pair = mbedtls_pk_ec(keys[key]);
    mbedtls_mpi r, s;

    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    must(mbedtls_ecdsa_sign_det_ext(&pair->grp, &r, &s, &pair->d, digest->byte, DIGEST_SIZE, MBEDTLS_MD_SHA256,
                                    fake_random, NULL) == 0 &&
             mbedtls_mpi_write_binary(&r, signature, 32) == 0 && mbedtls_mpi_write_binary(&s, signature + 32, 32) == 0,
         "ECDSA");
    mbedtls_mpi_free(&r);
    mbedtls_mpi_free(&s);
}

static void put_signature(const struct scene *s, const struct buffer *quote, struct buffer *b)
{
    struct digest digest = digest_of((struct bytes){ quote->data, quote->size });
    mbedtls_rsa_context *rsa;
    uint8_t raw[256];

    put_be(b, s->signature_scheme, 2);
    put_be(b, s->signature_hash, 2);
    if (is_rsa(s->signer)) {
        rsa = mbedtls_pk_rsa(keys[s->signer]);
        mbedtls_rsa_set_padding(rsa,
                                s->signature_scheme == TPM_ALG_RSAPSS ? MBEDTLS_RSA_PKCS_V21 : MBEDTLS_RSA_PKCS_V15,
                                MBEDTLS_MD_SHA256);
        must(mbedtls_rsa_pkcs1_sign(rsa, fake_random, NULL, MBEDTLS_RSA_PRIVATE, MBEDTLS_MD_SHA256, DIGEST_SIZE,
                                    digest.byte, raw) == 0,
             "RSA");
        put_2b(b, raw, mbedtls_rsa_get_len(rsa));
    } else {
        sign_ecdsa(s->signer, &digest, raw);
        put_2b(b, raw, 32);
        put_2b(b, raw + 32, 32);
    }
    apply(s->edit_signature, b);
}

static void write_name(char text[40], const char *role, enum fake_key key)
{
    snprintf(text, 40, "CN=%s %d", role, key);
}

static size_t make_certificate(const struct fake_certificate *c, uint8_t *out, size_t size)
{
    mbedtls_x509write_cert writer;
    uint8_t usage[16] = { 0x30, 7, 0x06, 5 };
    char subject[40], issuer[40];
    mbedtls_mpi serial;
    int length;

    mbedtls_mpi_init(&serial);
    mbedtls_mpi_lset(&serial, 100 + (int)c->subject);
    write_name(subject, "test", c->subject);
    write_name(issuer, "test", c->issuer);
    mbedtls_x509write_crt_init(&writer);
    mbedtls_x509write_crt_set_version(&writer, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&writer, c->hash);
    mbedtls_x509write_crt_set_subject_key(&writer, &keys[c->subject]);
    mbedtls_x509write_crt_set_issuer_key(&writer, &keys[c->issuer]);
    must(mbedtls_x509write_crt_set_subject_name(&writer, subject) == 0, "name");
    must(mbedtls_x509write_crt_set_issuer_name(&writer, issuer) == 0, "name");
    must(mbedtls_x509write_crt_set_serial(&writer, &serial) == 0, "serial");
    must(mbedtls_x509write_crt_set_validity(&writer, "20200101000000", c->not_after) == 0, "validity");
    must(mbedtls_x509write_crt_set_basic_constraints(&writer, c->is_ca, -1) == 0, "constraints");
    if (c->purpose) {
        memcpy(usage + 4, c->purpose, 5);
        must(mbedtls_x509write_crt_set_extension(&writer, MBEDTLS_OID_EXTENDED_KEY_USAGE,
                                                 MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE), 0, usage, 9) == 0,
             "usage");
    }
    length = mbedtls_x509write_crt_der(&writer, out, size, fake_random, NULL);
    must(length > 0, "certificate");
    memmove(out, out + size - (size_t)length, (size_t)length);
    mbedtls_x509write_crt_free(&writer);
    mbedtls_mpi_free(&serial);
    return (size_t)length;
}

static void write_root(const char *folder, const struct scene *s)
{
    enum fake_key key = s->other_root_given ? KEY_ROOT_OTHER : KEY_ROOT;
    struct fake_certificate root = { true, key, key, "20491231235959", MBEDTLS_MD_SHA256, true, NULL };
    uint8_t der[4096];

    write_file(folder, "root.der", der, make_certificate(&root, der, sizeof(der)));
}

static void put_payload(struct buffer *b, const struct buffer *payload)
{
    put_be(b, payload->size < 256 ? 0x58 : 0x59, 1);
    put_be(b, payload->size, payload->size < 256 ? 1 : 2);
    put_bytes(b, payload->data, payload->size);
}

/* The signed part of a report, then the report around it. */
void put_report(const struct fake_report *report, struct buffer *b)
{
    static struct buffer payload, tbs;
    uint8_t encoded[REPORT_MAX], signature[64];
    size_t size = report_encode_to_be_signed(&report->claims, encoded, sizeof(encoded));
    struct digest digest;

    must(size > 20 && encoded[17] == 0x59, "report");
    payload.size = tbs.size = 0;
    put_bytes(&payload, encoded + 20, size - 20);
    apply(report->edit_payload, &payload);
    put_bytes(&tbs, "\x84\x6aSignature1", 12);
    put_be(&tbs, 0x40 | report->header_size, 1);
    put_bytes(&tbs, report->header, report->header_size);
    put_be(&tbs, 0x40, 1);
    put_payload(&tbs, &payload);
    digest = digest_of((struct bytes){ tbs.data, tbs.size });
    sign_ecdsa(report->key, &digest, signature);
    put_be(b, 0xd284, 2);
    put_be(b, 0x40 | report->header_size, 1);
    put_bytes(b, report->header, report->header_size);
    put_be(b, 0xa0, 1);
    put_payload(b, &payload);
    put_be(b, 0x5840, 2);
    put_bytes(b, signature, 64);
    apply(report->edit, b);
}

static void put_values(const struct scene *s, struct buffer *b)
{
    struct digest value[PCR_COUNT];

    tpm_values(s, value);
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        if (!(s->pcrs & 1u << pcr))
            continue;
        put_be(b, pcr, 1);
        put_bytes(b, value[pcr].byte, DIGEST_SIZE);
    }
    apply(s->edit_values, b);
}

static unsigned section_count;

static void put_section(const struct scene *s, struct buffer *b, enum evidence_section type, const struct buffer *data)
{
    if (s->skip_section == (uint32_t)type)
        return;
    put_be(b, type, 4);
    put_be(b, data->size, 4);
    put_bytes(b, data->data, data->size);
    section_count++;
}

static void put_certificates(const struct scene *s, struct buffer *b)
{
    const struct fake_certificate *chain[] = { &s->leaf, &s->middle };
    static struct buffer part;

    for (size_t i = 0; i < 2; i++) {
        if (!chain[i]->present)
            continue;
        part.size = make_certificate(chain[i], part.data, 4096);
        if (i == 0)
            apply(s->edit_certificate, &part);
        put_section(s, b, SECTION_EK_CERTIFICATE, &part);
    }
}

static void put_proof(const struct scene *s, struct buffer *b)
{
    static struct buffer part;

    if (s->proof == PROOF_NONE || !s->credential)
        return;
    part.size = 0;
    put_bytes(&part, s->proof == PROOF_RIGHT ? "0123456789abcdef0123456789abcdef" : "0123456789abcdef0123456789abcdeX",
              32);
    put_section(s, b, SECTION_PROOF, &part);
}

static void put_rest(const struct scene *s, struct buffer *b)
{
    static struct buffer part;
    uint8_t point[CV_POINT_SIZE];

    part.size = 0;
    put_log(s, &part);
    put_section(s, b, SECTION_LOG, &part);
    part.size = 0;
    put_values(s, &part);
    if (s->send_values)
        put_section(s, b, SECTION_PCR_VALUES, &part);
    put_proof(s, b);
    part.size = 0;
    key_point(s->attestation, point);
    put_bytes(&part, point, sizeof(point));
    key_point(s->agreement, point);
    put_bytes(&part, point, sizeof(point));
    apply(s->edit_boot_keys, &part);
    put_section(s, b, SECTION_BOOT_KEYS, &part);
    for (size_t i = 0; i < s->report_count; i++) {
        part.size = 0;
        put_report(&s->reports[i], &part);
        put_section(s, b, SECTION_REPORT, &part);
    }
}

static void write_evidence(const struct scene *s, const char *folder, const struct buffer *ak, const struct buffer *ek)
{
    static struct buffer evidence, part, signature;

    evidence.size = part.size = signature.size = 0;
    section_count = 0;
    put_bytes(&evidence, EVIDENCE_MAGIC, sizeof(EVIDENCE_MAGIC));
    put_be(&evidence, EVIDENCE_VERSION, 4);
    put_be(&evidence, 0, 4);
    put_quote(s, ak, ek, &part);
    put_signature(s, &part, &signature);
    put_section(s, &evidence, SECTION_QUOTE, &part);
    put_section(s, &evidence, SECTION_SIGNATURE, &signature);
    part = *ak;
    apply(s->edit_sent_ak, &part);
    put_section(s, &evidence, SECTION_AK, &part);
    if (s->send_ek)
        put_section(s, &evidence, SECTION_EK, ek);
    put_certificates(s, &evidence);
    put_rest(s, &evidence);
    evidence.data[15] = (uint8_t)section_count;
    apply(s->edit_evidence, &evidence);
    write_file(folder, "evidence", evidence.data, evidence.size);
}

static void write_state(const struct scene *s, const char *folder, const struct buffer *ak, const struct buffer *ek)
{
    struct challenge challenge = { .credential = s->credential };
    static struct buffer state;

    memcpy(challenge.nonce, s->nonce, 32);
    if (s->credential) {
        challenge.ak = name_of(ak);
        challenge.ek = name_of(ek);
        challenge.ak.byte[5] ^= s->challenge_other_ak;
        challenge.ek.byte[5] ^= s->challenge_other_ek;
        challenge.secret_digest = text_digest("0123456789abcdef0123456789abcdef");
    }
    challenge_write(&challenge, state.data);
    state.size = CHALLENGE_SIZE;
    apply(s->edit_state, &state);
    write_file(folder, "state", state.data, state.size);
}

void scene_write(struct scene *s, const char *folder)
{
    static struct buffer ak, ek;

    ak.size = ek.size = 0;
    put_ak(s, s->ak, &ak);
    put_ek(s, s->ek, &ek);
    write_evidence(s, folder, &ak, &ek);
    write_state(s, folder, &ak, &ek);
    write_file(folder, "policy", s->policy, strlen(s->policy));
    if (s->root_given)
        write_root(folder, s);
}
