/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Family cap: what the capability MSRs say. Under the layer the values that RDMSR returns; bare, what the layer is
 * to offer of them.
 */
#include "untrusted-hypervisor-harness/core/result.h"
#include "untrusted-hypervisor-harness/core/vmx.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

struct msr_access {
    uint32_t msr;
    uint64_t value;
};

static void do_read_msr(void *data)
{
    struct msr_access *a = data;

    a->value = cpu_read_msr(a->msr);
}

static void do_write_msr(void *data)
{
    struct msr_access *a = data;

    cpu_write_msr(a->msr, a->value);
}

static void capability(uint32_t msr)
{
    struct msr_access a = { .msr = msr };
    struct trap trap;

    if (!vmx_caps_msr(&vmx_offer, msr, &a.value))
        return;
    if (vmx_under_layer && !try_run(&trap, do_read_msr, &a)) {
        RESULT(outcome_from_trap(&trap), "cap.%x", msr);
        return;
    }
    /* The revision is the implementation's own. */
    if (msr == MSR_VMX_BASIC)
        a.value &= ~UINT64_C(0x7fffffff);
    RESULT_TEXT("cap.%x %lx", msr, a.value);
}

static void write_faults(const char *name, uint32_t msr, uint64_t value)
{
    struct msr_access a = { msr, value };
    struct trap trap;

    if (try_run(&trap, do_write_msr, &a))
        RESULT_TEXT("cap.write.%s ok", name);
    else
        RESULT(outcome_from_trap(&trap), "cap.write.%s", name);
}

void conformance_capabilities(void)
{
    for (uint32_t msr = MSR_VMX_BASIC; msr < MSR_VMX_VMFUNC; msr++)
        capability(msr);
    RESULT_TEXT("cap.feature-control %lx", cpu_read_msr(MSR_FEATURE_CONTROL));
    write_faults("basic", MSR_VMX_BASIC, 0);
    write_faults("true-entry", MSR_VMX_TRUE_ENTRY, 0);
    write_faults("feature-control-locked", MSR_FEATURE_CONTROL, 5);
    write_faults("feature-control-clear", MSR_FEATURE_CONTROL, 0);
}
