/* SPDX-License-Identifier: GPL-2.0-only */
/* libFuzzer target: the policy parser. What it accepts is complete, and prints as lines of bounded length. */
#include "attest/cvverify/policy.h"
#include "tests/fuzz/fuzz.h"

static struct findings findings;
static struct policy policy;

static void check_line(const char *line, void *context)
{
    (void)context;
    require(strlen(line) < 256 && strchr(line, '\n') == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    findings.refused_count = findings.refused_more = 0;
    if (!policy_parse((struct bytes){ data, size }, &policy, &findings)) {
        require(findings.refused_count > 0);
        return 0;
    }
    require(policy.loader.count && policy.layer.count && policy.configuration.count && policy.event_count);
    require(policy.any_machine || policy.ak_name.count || policy.ek_name.count);
    require((policy.open & ~POLICY_PCRS_OPENABLE) == 0 && (policy.unquoted & ~POLICY_PCRS_UNQUOTABLE) == 0);
    policy_print(&policy, check_line, NULL);
    return 0;
}
