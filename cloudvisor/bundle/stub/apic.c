/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The local APIC: every vector masked, nothing pending, nothing in service, x2APIC mode. Registers are named by their
 * offset in the xAPIC page; x2APIC has the same in MSRs. Pending interrupts are accepted through the stub's IDT.
 */
#include "cloudvisor/bundle/stub/stub.h"

#define MSR_APIC_BASE    0x1bu
#define APIC_BASE_EXTD   (1ull << 10)
#define APIC_BASE_ENABLE (1ull << 11)
#define XAPIC_GPA        0xfee00000ull
#define MSR_X2APIC       0x800u
#define LVT_MASKED       (1u << 16)

enum {
    APIC_VERSION = 0x30,
    APIC_TPR = 0x80,
    APIC_EOI = 0xb0,
    APIC_SPURIOUS = 0xf0,
    APIC_IN_SERVICE = 0x100,
    APIC_REQUESTS = 0x200,
    APIC_CMCI = 0x2f0,
    APIC_TIMER = 0x320,
    APIC_THERMAL = 0x330,
    APIC_PERFORMANCE = 0x340,
    APIC_LINT0 = 0x350,
    APIC_LINT1 = 0x360,
    APIC_ERROR = 0x370,
    APIC_TIMER_COUNT = 0x380,
};

static bool x2apic;

static uint32_t apic_read(uint32_t offset)
{
    return x2apic ? (uint32_t)read_msr(MSR_X2APIC + offset / 16) : mmio_read(XAPIC_GPA + offset);
}

static void apic_write(uint32_t offset, uint32_t value)
{
    if (x2apic)
        write_msr(MSR_X2APIC + offset / 16, value);
    else
        mmio_write(XAPIC_GPA + offset, value);
}

static bool has_x2apic(void)
{
    uint32_t eax = 1, ebx, ecx = 0, edx;

    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ecx & (1u << 21);
}

static bool any_bit(uint32_t offset)
{
    uint32_t bits = 0;

    for (uint32_t i = 0; i < 8; i++)
        bits |= apic_read(offset + 16 * i);
    return bits != 0;
}

/* Ends what is in service and accepts what is pending, 512 times at most. */
static void drain(void)
{
    for (int i = 0; i < 512 && (any_bit(APIC_IN_SERVICE) || any_bit(APIC_REQUESTS)); i++) {
        if (any_bit(APIC_IN_SERVICE))
            apic_write(APIC_EOI, 0);
        else
            __asm__ volatile("sti; nop; nop; cli" : : : "memory");
    }
}

void apic_quiet(void)
{
    static const uint16_t vectors[] = { APIC_TIMER,       APIC_LINT0,   APIC_LINT1, APIC_ERROR,
                                        APIC_PERFORMANCE, APIC_THERMAL, APIC_CMCI };
    uint64_t base = read_msr(MSR_APIC_BASE) | APIC_BASE_ENABLE;
    uint32_t last;

    write_msr(MSR_APIC_BASE, base);
    if (has_x2apic()) {
        write_msr(MSR_APIC_BASE, base | APIC_BASE_EXTD);
        x2apic = true;
    }
    last = (apic_read(APIC_VERSION) >> 16) & 0xff; /* number of the last LVT entry */
    apic_write(APIC_SPURIOUS, 0x1ff);
    apic_write(APIC_TPR, 0);
    apic_write(APIC_TIMER_COUNT, 0);
    for (uint32_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]) && i <= last; i++)
        apic_write(vectors[i], LVT_MASKED);
    drain();
}
