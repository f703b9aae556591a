/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The TCG events of a CloudVisor boot: three fixed structures, each an event's whole data, and a separator. The digest
 * that is extended is SHA-256 of exactly these bytes, so a verifier recomputes it and needs no type label, which
 * nothing protects. Shared by the EFI loader, the layer and cvverify; freestanding; little-endian, no padding.
 *
 *   PCR 13, position 0   struct cv_event_layer     the layer's image
 *                    1   struct cv_event_config    the loader's configuration file
 *                    2   struct cv_event_keys      this boot's public keys and what qualifies them,
 *                        or struct cv_event_failed when the host is started without the layer
 *                    3   four zero bytes           the separator that closes the list
 */
#ifndef ATTEST_EVENT_FORMAT_H
#define ATTEST_EVENT_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define CV_EVENT_PCR     13
#define CV_EVENT_TYPE    0x0000000du /* EV_IPL: readers print the data's leading text */
#define CV_EVENT_MAGIC   "CVEVENT"   /* with its terminator: 8 bytes */
#define CV_EVENT_VERSION 1

/* Labels are padded with zeros to CV_LABEL_SIZE. */
#define CV_LABEL_LAYER  "CloudVisor layer image"
#define CV_LABEL_CONFIG "CloudVisor configuration"
#define CV_LABEL_KEYS   "CloudVisor boot keys"
#define CV_LABEL_FAILED "CloudVisor was not started"

enum { CV_LABEL_SIZE = 32, CV_DIGEST_SIZE = 32, CV_SEPARATOR_SIZE = 4, CV_POINT_SIZE = 65 };

enum cv_event_kind {
    CV_EVENT_LAYER = 1,
    CV_EVENT_CONFIG = 2,
    CV_EVENT_KEYS = 3,
    CV_EVENT_FAILED = 4,
};

/* Platform flags, in the key event and in each report. A verifier refuses bits that it doesn't know. */
#define CV_PLATFORM_IOMMU UINT32_C(0x1) /* the layer owns an IOMMU and keeps its and protected frames from devices */
#define CV_PLATFORM_DEBUG UINT32_C(0x2) /* built or configured with access for debugging */
#define CV_PLATFORM_TPM   UINT32_C(0x4) /* keys were made with the TPM's random source; set in every key event */
#define CV_PLATFORM_KNOWN (CV_PLATFORM_IOMMU | CV_PLATFORM_DEBUG | CV_PLATFORM_TPM)

/* Why the layer was not started, in struct cv_event_failed. */
enum cv_failed_reason {
    CV_FAILED_UNSUITABLE_CPU = 1,
    CV_FAILED_DEMOTION = 2,
    CV_FAILED_KEYS = 3,
};

struct cv_event_head {
    uint8_t label[CV_LABEL_SIZE];
    uint8_t magic[8];
    uint16_t version;
    uint16_t kind; /* enum cv_event_kind */
    uint32_t size; /* of the whole structure */
};

struct cv_event_layer {
    struct cv_event_head head;
    uint8_t image_digest[CV_DIGEST_SIZE]; /* SHA-256 of the layer's image as stored in the loader */
    uint64_t image_size;                  /* bytes */
    uint32_t layer_version;               /* major << 16 | minor << 8 | patch */
    uint32_t reserved;                    /* 0 */
};

struct cv_event_config {
    struct cv_event_head head;
    uint8_t config_digest[CV_DIGEST_SIZE]; /* SHA-256 of the file's bytes */
    uint32_t config_size;                  /* bytes */
    uint32_t reserved;                     /* 0 */
};

struct cv_event_keys {
    struct cv_event_head head;
    uint8_t attestation_digest[CV_DIGEST_SIZE]; /* SHA-256 of the public point, 04 | X | Y, 65 bytes */
    uint8_t agreement_digest[CV_DIGEST_SIZE];   /* the same of the key-agreement key */
    uint32_t platform_flags;
    uint32_t layer_version;
    uint32_t reset_count;   /* TPMS_CLOCK_INFO.resetCount when the keys were made */
    uint32_t restart_count; /* TPMS_CLOCK_INFO.restartCount */
};

struct cv_event_failed {
    struct cv_event_head head;
    uint32_t reason; /* enum cv_failed_reason */
    uint32_t layer_version;
};

_Static_assert(sizeof(struct cv_event_head) == 48, "layout");
_Static_assert(offsetof(struct cv_event_head, magic) == 32, "layout");
_Static_assert(offsetof(struct cv_event_head, version) == 40, "layout");
_Static_assert(offsetof(struct cv_event_head, kind) == 42, "layout");
_Static_assert(offsetof(struct cv_event_head, size) == 44, "layout");
_Static_assert(sizeof(struct cv_event_layer) == 96, "layout");
_Static_assert(offsetof(struct cv_event_layer, image_digest) == 48, "layout");
_Static_assert(offsetof(struct cv_event_layer, image_size) == 80, "layout");
_Static_assert(offsetof(struct cv_event_layer, layer_version) == 88, "layout");
_Static_assert(sizeof(struct cv_event_config) == 88, "layout");
_Static_assert(offsetof(struct cv_event_config, config_size) == 80, "layout");
_Static_assert(sizeof(struct cv_event_keys) == 128, "layout");
_Static_assert(offsetof(struct cv_event_keys, attestation_digest) == 48, "layout");
_Static_assert(offsetof(struct cv_event_keys, agreement_digest) == 80, "layout");
_Static_assert(offsetof(struct cv_event_keys, platform_flags) == 112, "layout");
_Static_assert(offsetof(struct cv_event_keys, restart_count) == 124, "layout");
_Static_assert(sizeof(struct cv_event_failed) == 56, "layout");
_Static_assert(sizeof(CV_EVENT_MAGIC) == 8, "magic");
_Static_assert(sizeof(CV_LABEL_FAILED) <= CV_LABEL_SIZE, "label");

#endif
