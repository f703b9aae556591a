/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Capabilities of the calling CPU by CPUID, CR4 and the VMX capability MSRs, and the rate of its time-stamp counter.
 * Invariant: no MSR is read that CPUID or a capability MSR has not announced.
 */
#include "cloudvisor/loader/capabilities.h"
#include "cloudvisor/loader/acpi_power.h"
#include "cloudvisor/loader/firmware.h"
#include "cloudvisor/loader/tsc.h"

enum { PCI_ADDRESS = 0xcf8, PCI_DATA = 0xcfc, PIIX4_ID = 0x71138086, PIIX4_PMBA = 0x40, PM1_CONTROL = 4 };
#define PIIX4_PM UINT32_C(0x80000b00)
enum { CPUID_CRYSTAL = 0x15, WAIT_COUNT = 3, WAIT_MICROSECONDS = 50000 };

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
    cpu->word[CAP_CPUID1_EDX] = cpuid(1).edx;
    cpu->word[CAP_CR4] = read_cr4();
    if (cpuid(0x80000000).eax >= 0x80000001)
        cpu->word[CAP_CPUID80000001_EDX] = cpuid(0x80000001).edx;
    if (!(cpu->word[CAP_CPUID1_ECX] & CPUID1_ECX_VMX))
        return;
    cpu->word[CAP_FEATURE_CONTROL] = read_msr(MSR_FEATURE_CONTROL);
    vmx_caps_read(&caps, read_msr);
    capabilities_take_vmx(cpu, &caps);
}

static uint64_t read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

uint32_t capabilities_tsc_khz(void)
{
    uint64_t ticks[WAIT_COUNT];
    uint32_t khz = 0;

    if (cpuid(0).eax >= CPUID_CRYSTAL) {
        struct cpuid_result leaf = cpuid(CPUID_CRYSTAL);

        khz = tsc_khz_by_crystal(leaf.eax, leaf.ebx, leaf.ecx);
    }
    if (khz != 0)
        return khz;
    for (unsigned i = 0; i < WAIT_COUNT; i++) {
        uint64_t start = read_tsc();

        if (EFI_ERROR(firmware_boot->Stall(WAIT_MICROSECONDS)))
            return 0;
        ticks[i] = read_tsc() - start;
    }
    return tsc_khz_by_waits(ticks, WAIT_COUNT, WAIT_MICROSECONDS);
}

/* Memory is mapped to itself. */
static uint64_t read_memory(uint64_t address, unsigned bytes)
{
    uint64_t value = 0;

    __builtin_memcpy(&value, (const void *)(uintptr_t)address, bytes);
    return value;
}

static uint32_t read_piix4(uint32_t offset)
{
    uint32_t value;

    __asm__ volatile("outl %0, %1" : : "a"(PIIX4_PM | offset), "Nd"((uint16_t)PCI_ADDRESS));
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"((uint16_t)PCI_DATA));
    return value;
}

void capabilities_power(struct boot_power *power)
{
    *power = (struct boot_power){ 0 };
    if (acpi_power_read(firmware_acpi_rsdp(), read_memory, power) || read_piix4(0) != PIIX4_ID)
        return;
    power->event = (uint16_t)(read_piix4(PIIX4_PMBA) & 0xffc0);
    power->control[0] = power->event != 0 ? power->event + PM1_CONTROL : 0;
}
