/* SPDX-License-Identifier: GPL-2.0-only */
/* libFuzzer target: any policy text is refused with a message, or gives values within their limits. */
#include <stdlib.h>
#include <string.h>
#include "cloudvisor/bundle/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_windows(const struct policy *policy)
{
    for (uint32_t i = 0; i < policy->mmio_count; i++)
        require(policy->mmio[i].page_count && policy->mmio[i].gpa % BUNDLE_PAGE_SIZE == 0 &&
                (!i || policy->mmio[i].gpa > policy->mmio[i - 1].gpa));
    for (uint32_t i = 0; i < policy->port_count; i++)
        require(policy->ports[i].first <= policy->ports[i].last &&
                (!i || policy->ports[i].first > policy->ports[i - 1].last));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy policy;
    struct policy_fault fault;

    if (!policy_parse((const char *)data, size, &policy, &fault) || !policy_complete(&policy, &fault)) {
        require(fault.message[0] && memchr(fault.message, '\0', sizeof(fault.message)));
        return 0;
    }
    require(policy.mmio_count <= BUNDLE_MMIO_MAX && policy.port_count <= BUNDLE_PORT_MAX);
    require(policy.cpu_feature_count <= BUNDLE_CPU_MAX && policy.vcpu_count <= BUNDLE_VCPU_MAX);
    require(!(policy.vectors[0] & 0xffffffff));
    check_windows(&policy);
    return 0;
}
