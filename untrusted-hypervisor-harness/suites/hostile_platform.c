/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Attacks through the platform: the host tries to put the machine to sleep with the layer in memory, to move or switch
 * off its local APIC, and to take from root mode what its page tables need. Only under the layer: on a bare machine
 * these are the host's own business.
 */
#include "untrusted-hypervisor-harness/core/cpu.h"
#include "untrusted-hypervisor-harness/core/result.h"
#include "untrusted-hypervisor-harness/core/traps.h"
#include "untrusted-hypervisor-harness/core/vmx.h"
#include "untrusted-hypervisor-harness/suites/hostile.h"

#define SUITE "hostile"

enum { PCI_ADDRESS = 0xcf8, PCI_DATA = 0xcfc, PIIX4_PM = 0x80000b00, PIIX4_ID = 0x71138086, PIIX4_PMBA = 0x40 };
enum { PM1_STATUS = 0, PM1_CONTROL = 4 };
#define SLEEP_TYPE_1 UINT32_C(0x0400)
#define SLEEP_ENABLE UINT32_C(0x2000)
#define WAKE_STATUS  UINT16_C(0x8000)
enum { MSR_MISC_ENABLE = 0x1a0, MSR_MTRR_DEF_TYPE = 0x2ff, VECTOR_GP = 13 };
#define APIC_BASE_ENABLE UINT64_C(0x800)
#define XD_DISABLE       (UINT64_C(1) << 34)

static void failed(const char *name, const char *why)
{
    result_fail_begin(SUITE, name);
    print(why);
    print_end_of_result();
}

static void out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static void out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static uint16_t in16(uint16_t port)
{
    uint16_t value;

    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static uint32_t pci_read(uint32_t offset)
{
    uint32_t value;

    out32(PCI_ADDRESS, PIIX4_PM | offset);
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"((uint16_t)PCI_DATA));
    return value;
}

/* A refused sleep looks like a short one: the wake status is set, once. */
static void woke(const char *name, uint16_t base)
{
    bool first = (in16(base + PM1_STATUS) & WAKE_STATUS) != 0, second = (in16(base + PM1_STATUS) & WAKE_STATUS) != 0;

    if (first && !second)
        result_pass(SUITE, name);
    else
        failed(name, "the wake status is not set exactly once");
}

static void sleep_states(void)
{
    uint16_t base = pci_read(0) == PIIX4_ID ? (uint16_t)(pci_read(PIIX4_PMBA) & 0xffc0) : 0;

    if (base == 0) {
        result_skip(SUITE, "platform.sleep", "a PIIX4 power-management device");
        return;
    }
    out16(base + PM1_CONTROL, SLEEP_TYPE_1 | SLEEP_ENABLE);
    woke("platform.sleep.word", base);
    cpu_out8(base + PM1_CONTROL + 1, (SLEEP_TYPE_1 | SLEEP_ENABLE) >> 8);
    woke("platform.sleep.byte", base);
    out32(base + PM1_CONTROL - 2, (SLEEP_TYPE_1 | SLEEP_ENABLE) << 16);
    woke("platform.sleep.doubleword", base);
}

struct msr_write {
    uint32_t msr;
    uint64_t value;
};

static void write_msr(void *argument)
{
    const struct msr_write *write = argument;

    cpu_write_msr(write->msr, write->value);
}

/* The write must raise #GP(0) and change nothing. */
static void refused(const char *name, uint32_t msr, uint64_t value)
{
    struct msr_write write = { msr, value };
    uint64_t before = cpu_read_msr(msr);
    struct trap trap;

    if (try_run(&trap, write_msr, &write) || trap.vector != VECTOR_GP)
        failed(name, "no #GP");
    else if (cpu_read_msr(msr) != before)
        failed(name, "the register changed");
    else
        result_pass(SUITE, name);
}

/* Memory types are data to the layer: whatever the host makes of them, the layer's memory stays hidden. */
static void memory_types(void)
{
    uint64_t before = cpu_read_msr(MSR_MTRR_DEF_TYPE);
    const volatile uint64_t *memory = (const volatile uint64_t *)hostile_layer_memory;
    bool hidden;

    cpu_write_msr(MSR_MTRR_DEF_TYPE, 0);
    hidden = memory[0] == UINT64_MAX;
    cpu_write_msr(MSR_MTRR_DEF_TYPE, before);
    if (hidden && memory[1] == UINT64_MAX && cpu_read_msr(MSR_MTRR_DEF_TYPE) == before)
        result_pass(SUITE, "platform.memory-types");
    else
        failed("platform.memory-types", "the layer's memory shows");
}

void hostile_platform(void)
{
    uint64_t base = cpu_read_msr(MSR_APIC_BASE);

    if (!vmx_under_layer || hostile_layer_size == 0) {
        result_skip(SUITE, "platform", "the layer");
        return;
    }
    sleep_states();
    refused("platform.apic.over-layer", MSR_APIC_BASE, hostile_layer_memory | (base & 0xfff));
    refused("platform.apic.away", MSR_APIC_BASE, UINT64_C(0xd0000000) | (base & 0xfff));
    refused("platform.apic.off", MSR_APIC_BASE, base & ~APIC_BASE_ENABLE);
    refused("platform.execute-disable.off", MSR_MISC_ENABLE, cpu_read_msr(MSR_MISC_ENABLE) | XD_DISABLE);
    memory_types();
}
