/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A tenant's policy: "key = value" lines, '#' begins a comment line. Anything unknown, doubled or malformed is refused.
 * What is absent is forbidden, never "don't care". docs/attestation.md explains how to write one.
 *
 *   version = 1                       first line
 *   name = TEXT                       shown in results
 *   loader = DIGEST [TEXT]            Authenticode hash of cloudvisor.efi
 *   layer = DIGEST [TEXT]             the layer's image
 *   configuration = DIGEST [TEXT]     cloudvisor.conf
 *   next_stage = DIGEST [TEXT]        what the loader starts; without this line anything
 *   layer_version = 0.1.0             the least that is accepted
 *   iommu = required | optional       (default required)
 *   debug = refused | accepted        (default refused)
 *   boot_option = first | any         whether others may have been tried before ours, without anything of them running
 *   ak_name = NAME [TEXT]             an AK of a known machine
 *   ek_name = NAME [TEXT]             the EK of a known machine
 *   any_machine = sha256-firmware     any with a certified EK: all of them have firmware that extends SHA-256
 *   launch = DIGEST [TEXT]            a VM
 *   vm_policy = WORD...               what a VM's own policy may allow: debug keep-key nmi
 *   open = PCR...                     of 1 3 5 6 7: quoted and replayed, but its events aren't judged
 *   unquoted = PCR...                 of 8 to 12, 14, 15: may be logged without being quoted
 *   event = PCR DIGEST[|DIGEST...] [TEXT]    an event of PCR 0 to 7, in the log's order
 *   optional = PCR DIGEST [TEXT]      one that may be there, anywhere in its PCR
 */
#ifndef CVVERIFY_POLICY_H
#define CVVERIFY_POLICY_H

#include "attest/cvverify/digest.h"
#include "attest/cvverify/findings.h"
#include "attest/cvverify/tpm_key.h"

enum {
    POLICY_SIZE_MAX = 256 << 10,
    POLICY_DIGESTS_MAX = 64,
    POLICY_EVENTS_MAX = 512,
    POLICY_ALTERNATIVES_MAX = 8,
    POLICY_TEXT_MAX = 80,
};

#define POLICY_PCRS_OPENABLE   UINT32_C(0x00ea) /* 1 3 5 6 7 */
#define POLICY_PCRS_UNQUOTABLE UINT32_C(0xdf00) /* 8 to 12, 14, 15 */

struct policy_digest {
    struct digest digest;
    char text[POLICY_TEXT_MAX + 1];
    unsigned line;
    bool used; /* set by verification */
};

struct policy_list {
    struct policy_digest items[POLICY_DIGESTS_MAX];
    size_t count;
};

struct policy_name {
    struct tpm_name name;
    char text[POLICY_TEXT_MAX + 1];
    unsigned line;
    bool used;
};

struct policy_names {
    struct policy_name items[POLICY_DIGESTS_MAX];
    size_t count;
};

struct policy_event {
    unsigned pcr;
    bool optional;
    bool used;
    unsigned line;
    struct digest alternatives[POLICY_ALTERNATIVES_MAX];
    size_t alternative_count;
    char text[POLICY_TEXT_MAX + 1];
};

struct policy {
    char name[POLICY_TEXT_MAX + 1];
    struct policy_list loader, layer, configuration, next_stage, launch;
    struct policy_names ak_name, ek_name;
    uint32_t layer_version;
    bool layer_version_given;
    bool iommu_optional;
    bool debug_accepted;
    bool any_machine;
    bool any_boot_option;
    uint32_t vm_policy; /* bits that are allowed */
    uint32_t open;      /* masks of PCRs */
    uint32_t unquoted;
    struct policy_event events[POLICY_EVENTS_MAX];
    size_t event_count;
    struct digest digest; /* of the file */
};

/* Syntax, and that it is complete. On false a reason was added to `f`. */
bool policy_parse(struct bytes text, struct policy *policy, struct findings *f);

/* The entry for `digest`, marked as used, or NULL. */
struct policy_digest *policy_find(struct policy_list *list, const struct digest *digest);
struct policy_name *policy_find_name(struct policy_names *names, const struct tpm_name *name);

/* One line per fact, defaults included, in a fixed order: what `policy diff` compares. Calls `print` for each. */
void policy_print(const struct policy *policy, void (*print)(const char *line, void *context), void *context);

char *version_text(uint32_t version, char out[16]);

#endif
