/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reader of the TCG crypto-agile event log (PC Client Platform Firmware Profile, "Event Logging"). The log is
 * untrusted: it only explains PCR values that a quote vouches for, and its type labels are vouched for by nothing.
 */
#ifndef CVVERIFY_EVENT_LOG_H
#define CVVERIFY_EVENT_LOG_H

#include "attest/cvverify/digest.h"
#include "attest/cvverify/findings.h"

enum { LOG_SIZE_MAX = 4 << 20, LOG_EVENTS_MAX = 8192, LOG_BANKS_MAX = 8, PCR_COUNT = 24 };

enum tpm_hash { TPM_SHA1 = 0x0004, TPM_SHA256 = 0x000b, TPM_SHA384 = 0x000c, TPM_SHA512 = 0x000d, TPM_SM3 = 0x0012 };

enum event_type {
    EV_POST_CODE = 0x1,
    EV_NO_ACTION = 0x3,
    EV_SEPARATOR = 0x4,
    EV_ACTION = 0x5,
    EV_EVENT_TAG = 0x6,
    EV_S_CRTM_CONTENTS = 0x7,
    EV_S_CRTM_VERSION = 0x8,
    EV_CPU_MICROCODE = 0x9,
    EV_PLATFORM_CONFIG_FLAGS = 0xa,
    EV_TABLE_OF_DEVICES = 0xb,
    EV_COMPACT_HASH = 0xc,
    EV_IPL = 0xd,
    EV_IPL_PARTITION_DATA = 0xe,
    EV_NONHOST_CODE = 0xf,
    EV_NONHOST_CONFIG = 0x10,
    EV_NONHOST_INFO = 0x11,
    EV_OMIT_BOOT_DEVICE_EVENTS = 0x12,
    EV_EFI_VARIABLE_DRIVER_CONFIG = 0x80000001u,
    EV_EFI_VARIABLE_BOOT = 0x80000002u,
    EV_EFI_BOOT_SERVICES_APPLICATION = 0x80000003u,
    EV_EFI_BOOT_SERVICES_DRIVER = 0x80000004u,
    EV_EFI_RUNTIME_SERVICES_DRIVER = 0x80000005u,
    EV_EFI_GPT_EVENT = 0x80000006u,
    EV_EFI_ACTION = 0x80000007u,
    EV_EFI_PLATFORM_FIRMWARE_BLOB = 0x80000008u,
    EV_EFI_HANDOFF_TABLES = 0x80000009u,
    EV_EFI_PLATFORM_FIRMWARE_BLOB2 = 0x8000000au,
    EV_EFI_HANDOFF_TABLES2 = 0x8000000bu,
    EV_EFI_VARIABLE_BOOT2 = 0x8000000cu,
    EV_EFI_HCRTM_EVENT = 0x80000010u,
    EV_EFI_VARIABLE_AUTHORITY = 0x800000e0u,
};

struct log_event {
    uint32_t pcr;
    uint32_t type; /* a label, no more */
    struct digest digest;
    struct bytes data;
};

struct log_bank {
    uint16_t hash;
    uint16_t digest_size;
};

/* The first event, which names the banks, is not among `events`: it is number 0 in messages. */
struct event_log {
    struct log_event *events;
    size_t count;
    struct log_bank banks[LOG_BANKS_MAX];
    size_t bank_count;
};

/* Points into `raw`. On false a reason was added to `f`. Release in either case. */
bool event_log_parse(struct bytes raw, struct event_log *log, struct findings *f);
void event_log_release(struct event_log *log);

#endif
