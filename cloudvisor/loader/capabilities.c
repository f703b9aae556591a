/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Capabilities of the calling CPU by CPUID, CR4 and the VMX capability MSRs. Invariant: no MSR is read that CPUID
 * or a capability MSR has not announced.
 */
#include "cloudvisor/loader/capabilities.h"

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

static struct cpuid_result cpuid(uint32_t leaf)
{
    struct cpuid_result r = { .eax = leaf, .ecx = 0 };

    __asm__("cpuid" : "+a"(r.eax), "=b"(r.ebx), "+c"(r.ecx), "=d"(r.edx));
    return r;
}

static uint64_t read_msr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static uint64_t read_cr4(void)
{
    uint64_t value;

    __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

void capabilities_read(void *argument)
{
    struct cpu_capabilities *cpu = argument;
    struct vmx_caps caps;

    *cpu = (struct cpu_capabilities){ 0 };
    cpu->word[CAP_CPUID1_ECX] = cpuid(1).ecx;
    cpu->word[CAP_CR4] = read_cr4();
    if (cpuid(0x80000000).eax >= 0x80000001)
        cpu->word[CAP_CPUID80000001_EDX] = cpuid(0x80000001).edx;
    if (!(cpu->word[CAP_CPUID1_ECX] & CPUID1_ECX_VMX))
        return;
    cpu->word[CAP_FEATURE_CONTROL] = read_msr(MSR_FEATURE_CONTROL);
    vmx_caps_read(&caps, read_msr);
    capabilities_take_vmx(cpu, &caps);
}
