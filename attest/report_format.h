/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VM report: an Entity Attestation Token (RFC 9711) as tagged COSE_Sign1 (RFC 9052), ES256, deterministic CBOR
 * (RFC 8949, "Core Deterministic Encoding"). Every claim below is present, none other is. Shared by the layer, which
 * encodes, and cvverify, which decodes; freestanding.
 */
#ifndef ATTEST_REPORT_FORMAT_H
#define ATTEST_REPORT_FORMAT_H

#include <stdint.h>
#include "attest/event_format.h"

/* The profile names this very list of claims. */
#define REPORT_PROFILE "urn:uuid:5b7c1f0e-3d0a-4a52-9c86-6f0c3f1a7d21"

enum {
    REPORT_NONCE_SIZE = 32,
    REPORT_GUEST_DATA_SIZE = 64,
    REPORT_SIGNATURE_SIZE = 64, /* r | s */
    REPORT_MAX = 512,           /* bytes of a whole report; encoding never takes more */
};

/* Claim keys. The registered ones are RFC 9711's; those below -65536 are free for private use (RFC 8392). */
#define CLAIM_NONCE          10
#define CLAIM_DEBUG_STATUS   263
#define CLAIM_PROFILE        265
#define CLAIM_BOOT_SEED      268 /* digest of this boot's key event */
#define CLAIM_LAUNCH_DIGEST  (-70001)
#define CLAIM_VM_POLICY      (-70002)
#define CLAIM_VM_STATE       (-70003)
#define CLAIM_VCPUS          (-70004)
#define CLAIM_PLATFORM_FLAGS (-70005)
#define CLAIM_LAYER_VERSION  (-70006)
#define CLAIM_GUEST_DATA     (-70007)
enum { REPORT_CLAIM_COUNT = 11 };

/* RFC 9711, "dbgstat" */
enum report_debug_status { REPORT_DEBUG_ENABLED = 0, REPORT_DEBUG_DISABLED_SINCE_BOOT = 2 };

/* Bits of a VM's policy, as the tenant packed it. A verifier refuses bits that its policy doesn't allow. */
#define REPORT_VM_DEBUG    UINT32_C(0x1) /* the host may read the VM: for development */
#define REPORT_VM_KEEP_KEY UINT32_C(0x2) /* a delivered key survives a restart of this VM on this machine */
#define REPORT_VM_NMI      UINT32_C(0x4) /* the host may inject NMIs */
#define REPORT_VM_KNOWN    (REPORT_VM_DEBUG | REPORT_VM_KEEP_KEY | REPORT_VM_NMI)

enum report_vm_state { REPORT_VM_LAUNCHED = 1, REPORT_VM_RUNNING = 2, REPORT_VM_STOPPED = 3 };

struct report_claims {
    uint8_t nonce[REPORT_NONCE_SIZE];
    uint8_t boot_seed[CV_DIGEST_SIZE];
    uint8_t launch_digest[CV_DIGEST_SIZE];
    uint8_t guest_data[REPORT_GUEST_DATA_SIZE];
    uint32_t vm_policy;
    uint32_t vm_state; /* enum report_vm_state */
    uint32_t vcpus;
    uint32_t platform_flags;
    uint32_t layer_version;
};

#endif
