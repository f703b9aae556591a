/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Processor instructions that C has no word for, one function each. Nothing here catches exceptions: see traps.h.
 */
#ifndef HARNESS_CPU_H
#define HARNESS_CPU_H

#include <stdint.h>

static inline void cpu_out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t cpu_in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint64_t cpu_read_msr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void cpu_write_msr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

#define CPU_CONTROL_REGISTER(n)                                                                                        \
    static inline uint64_t cpu_read_cr##n(void)                                                                        \
    {                                                                                                                  \
        uint64_t value;                                                                                                \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(value) : : "memory");                                             \
        return value;                                                                                                  \
    }                                                                                                                  \
    static inline void cpu_write_cr##n(uint64_t value)                                                                 \
    {                                                                                                                  \
        __asm__ volatile("mov %0, %%cr" #n : : "r"(value) : "memory");                                                 \
    }

CPU_CONTROL_REGISTER(0)
CPU_CONTROL_REGISTER(2)
CPU_CONTROL_REGISTER(3)
CPU_CONTROL_REGISTER(4)
CPU_CONTROL_REGISTER(8)

static inline uint64_t cpu_read_dr7(void)
{
    uint64_t value;

    __asm__ volatile("mov %%dr7, %0" : "=r"(value));
    return value;
}

static inline void cpu_write_dr7(uint64_t value)
{
    __asm__ volatile("mov %0, %%dr7" : : "r"(value));
}

struct descriptor_table {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

static inline struct descriptor_table cpu_read_gdtr(void)
{
    struct descriptor_table table;

    __asm__ volatile("sgdt %0" : "=m"(table));
    return table;
}

static inline struct descriptor_table cpu_read_idtr(void)
{
    struct descriptor_table table;

    __asm__ volatile("sidt %0" : "=m"(table));
    return table;
}

static inline void cpu_write_gdtr(struct descriptor_table table)
{
    __asm__ volatile("lgdt %0" : : "m"(table));
}

static inline void cpu_write_idtr(struct descriptor_table table)
{
    __asm__ volatile("lidt %0" : : "m"(table));
}

#define CPU_READ_SELECTOR(reg, instruction)                                                                            \
    static inline uint16_t cpu_read_##reg(void)                                                                        \
    {                                                                                                                  \
        uint16_t selector;                                                                                             \
        __asm__ volatile(instruction : "=r"(selector));                                                                \
        return selector;                                                                                               \
    }

CPU_READ_SELECTOR(cs, "mov %%cs, %0")
CPU_READ_SELECTOR(ds, "mov %%ds, %0")
CPU_READ_SELECTOR(es, "mov %%es, %0")
CPU_READ_SELECTOR(fs, "mov %%fs, %0")
CPU_READ_SELECTOR(gs, "mov %%gs, %0")
CPU_READ_SELECTOR(ss, "mov %%ss, %0")
CPU_READ_SELECTOR(tr, "str %0")
CPU_READ_SELECTOR(ldtr, "sldt %0")

static inline uint64_t cpu_read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_result cpu_cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_result r;

    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

static inline void cpu_pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

static inline uint64_t cpu_interrupts_off(void)
{
    uint64_t flags;

    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
    return flags;
}

static inline void cpu_interrupts_restore(uint64_t flags)
{
    __asm__ volatile("pushq %0; popfq" : : "r"(flags) : "memory", "cc");
}

enum {
    MSR_APIC_BASE = 0x1b,
    MSR_SYSENTER_CS = 0x174,
    MSR_SYSENTER_ESP = 0x175,
    MSR_SYSENTER_EIP = 0x176,
    MSR_DEBUGCTL = 0x1d9,
    MSR_PAT = 0x277,
};
#define MSR_EFER      0xc0000080u
#define MSR_STAR      0xc0000081u
#define MSR_LSTAR     0xc0000082u
#define MSR_CSTAR     0xc0000083u
#define MSR_FMASK     0xc0000084u
#define MSR_FS_BASE   0xc0000100u
#define MSR_GS_BASE   0xc0000101u
#define MSR_KERNEL_GS 0xc0000102u
#define MSR_TSC_AUX   0xc0000103u

#define CR0_PE UINT64_C(0x00000001)
#define CR0_MP UINT64_C(0x00000002)
#define CR0_EM UINT64_C(0x00000004)
#define CR0_TS UINT64_C(0x00000008)
#define CR0_ET UINT64_C(0x00000010)
#define CR0_NE UINT64_C(0x00000020)
#define CR0_WP UINT64_C(0x00010000)
#define CR0_AM UINT64_C(0x00040000)
#define CR0_NW UINT64_C(0x20000000)
#define CR0_CD UINT64_C(0x40000000)
#define CR0_PG UINT64_C(0x80000000)

#define CR4_VME        UINT64_C(0x0001)
#define CR4_TSD        UINT64_C(0x0004)
#define CR4_DE         UINT64_C(0x0008)
#define CR4_PSE        UINT64_C(0x0010)
#define CR4_PAE        UINT64_C(0x0020)
#define CR4_MCE        UINT64_C(0x0040)
#define CR4_PGE        UINT64_C(0x0080)
#define CR4_OSFXSR     UINT64_C(0x0200)
#define CR4_OSXMMEXCPT UINT64_C(0x0400)
#define CR4_VMXE       UINT64_C(0x2000)
#define CR4_SMXE       UINT64_C(0x4000)
#define CR4_PCIDE      UINT64_C(0x20000)
#define CR4_OSXSAVE    UINT64_C(0x40000)
#define CR4_SMEP       UINT64_C(0x100000)

#define EFER_SCE UINT64_C(0x001)
#define EFER_LME UINT64_C(0x100)
#define EFER_LMA UINT64_C(0x400)
#define EFER_NXE UINT64_C(0x800)

#define RFLAGS_CF         UINT64_C(0x0001)
#define RFLAGS_1          UINT64_C(0x0002)
#define RFLAGS_PF         UINT64_C(0x0004)
#define RFLAGS_AF         UINT64_C(0x0010)
#define RFLAGS_ZF         UINT64_C(0x0040)
#define RFLAGS_SF         UINT64_C(0x0080)
#define RFLAGS_TF         UINT64_C(0x0100)
#define RFLAGS_IF         UINT64_C(0x0200)
#define RFLAGS_OF         UINT64_C(0x0800)
#define RFLAGS_RF         UINT64_C(0x10000)
#define RFLAGS_VM         UINT64_C(0x20000)
#define RFLAGS_ARITHMETIC (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

#endif
