/* SPDX-License-Identifier: GPL-2.0-only */
/* Last stages: the boot's public keys are those of the key event, and each VM report is theirs, fresh and allowed. */
#include <string.h>
#include "attest/cvverify/verify.h"

static bool check_point(struct verification *v, const uint8_t point[CV_POINT_SIZE], const struct digest *expected,
                        const char *which)
{
    struct digest digest = digest_of((struct bytes){ point, CV_POINT_SIZE });

    if (!digest_equal(&digest, expected)) {
        refuse(&v->findings, CHECK_BOOT_KEYS, "the boot's %s key is not the one of the key event", which);
        return remedy(&v->findings, "collect the evidence again: the keys are from another boot or were exchanged");
    }
    if (!report_point_valid(point))
        return refuse(&v->findings, CHECK_BOOT_KEYS, "the boot's %s key is not a point on P-256", which);
    return true;
}

void check_boot_keys(struct verification *v)
{
    struct bytes keys = v->evidence.boot_keys;
    bool well;

    if (keys.size != 2 * CV_POINT_SIZE) {
        refuse(&v->findings, CHECK_BOOT_KEYS, "the boot's keys have %zu bytes instead of %d", keys.size,
               2 * CV_POINT_SIZE);
        return;
    }
    well = check_point(v, keys.data, &v->facts.attestation_digest, "attestation");
    well &= check_point(v, keys.data + CV_POINT_SIZE, &v->facts.agreement_digest, "key-agreement");
    if (well)
        v->done |= STAGE_BOOT_KEYS;
}

static void check_report_boot(struct verification *v, const struct report *report, size_t number)
{
    const struct report_claims *claims = &report->claims;
    uint32_t debug_status = v->facts.platform_flags & CV_PLATFORM_DEBUG ? REPORT_DEBUG_ENABLED
                                                                        : REPORT_DEBUG_DISABLED_SINCE_BOOT;

    if (!bytes_equal_secret((struct bytes){ claims->nonce, REPORT_NONCE_SIZE },
                            (struct bytes){ v->challenge.nonce, CHALLENGE_NONCE_SIZE })) {
        refuse(&v->findings, CHECK_REPORT_NONCE, "report %zu: its nonce is not the challenge's: an old report", number);
        remedy(&v->findings, "fetch the report with this challenge's nonce");
    }
    if (memcmp(claims->boot_seed, v->facts.boot.byte, DIGEST_SIZE) != 0) {
        refuse(&v->findings, CHECK_REPORT_BOOT, "report %zu: it names another boot", number);
        remedy(&v->findings, "fetch the report again");
    }
    if (claims->platform_flags != v->facts.platform_flags || claims->layer_version != v->facts.layer_version ||
        report->debug_status != debug_status)
        refuse(&v->findings, CHECK_REPORT_PLATFORM, "report %zu: its platform or version is not the key event's",
               number);
}

static void check_report_vm(struct verification *v, const struct report *report, size_t number)
{
    const struct report_claims *claims = &report->claims;
    struct digest launch;
    char hex[DIGEST_HEX];

    memcpy(launch.byte, claims->launch_digest, DIGEST_SIZE);
    if (!policy_find(&v->policy.launch, &launch)) {
        refuse(&v->findings, CHECK_REPORT_LAUNCH, "report %zu: the policy doesn't know this VM: %s", number,
               digest_text(&launch, hex));
        remedy(&v->findings, "if it is yours: launch = %s", hex);
    }
    if (claims->vm_state != REPORT_VM_RUNNING)
        refuse(&v->findings, CHECK_REPORT_STATE, "report %zu: the VM is in state %u, not running", number,
               claims->vm_state);
    if (claims->vm_policy & ~v->policy.vm_policy) {
        refuse(&v->findings, CHECK_REPORT_POLICY, "report %zu: the VM's own policy %#x allows more than %#x", number,
               claims->vm_policy, v->policy.vm_policy);
        remedy(&v->findings, "pack the VM with a stricter policy, or add words to vm_policy");
    }
}

static bool check_report(struct verification *v, size_t index)
{
    struct report *report = &v->reports[index];

    if (!report_parse(v->evidence.reports[index], index + 1, report, &v->findings))
        return false;
    if (!report_verify(report, v->evidence.boot_keys.data)) {
        refuse(&v->findings, CHECK_REPORT_SIGNATURE, "report %zu: not signed by this boot's attestation key",
               index + 1);
        return remedy(&v->findings, "fetch the report again: it is from another boot, or was altered");
    }
    check_report_boot(v, report, index + 1);
    check_report_vm(v, report, index + 1);
    return true;
}

void check_reports(struct verification *v)
{
    bool well = true;

    for (size_t i = 0; i < v->evidence.report_count; i++)
        well &= check_report(v, i);
    if (v->policy.launch.count && v->evidence.report_count == 0) {
        refuse(&v->findings, CHECK_REPORT_MISSING, "the policy names VMs, and the evidence has no VM report");
        remedy(&v->findings, "start the VM and collect the evidence again");
    }
    if (well)
        v->done |= STAGE_REPORTS;
}
