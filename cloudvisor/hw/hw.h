/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hardware interface: every privileged instruction that the layer's logic uses, one inline function each.
 * Host tests and fuzzers link the same logic with a fake of this file, found first on their include path.
 */
#ifndef HW_HW_H
#define HW_HW_H

#include <stdbool.h>
#include <stdint.h>

#include "cloudvisor/boot_info.h"

/* A physical address of the machine, and one of a VM that the host runs. The host's own are machine addresses. */
typedef struct {
    uint64_t raw;
} hpa_t;
typedef struct {
    uint64_t raw;
} l2gpa_t;

static inline hpa_t hpa(uint64_t raw)
{
    return (hpa_t){ raw };
}

static inline l2gpa_t l2gpa(uint64_t raw)
{
    return (l2gpa_t){ raw };
}

/* Where root mode sees physical memory. Callers must know that the address is RAM or a device they mean. */
static inline void *phys_to_virt(hpa_t pa)
{
    return (void *)(DIRECT_MAP_VA + pa.raw);
}

static inline uint64_t phys_read64(hpa_t pa)
{
    return *(const volatile uint64_t *)phys_to_virt(pa);
}

static inline void phys_write64(hpa_t pa, uint64_t value)
{
    *(volatile uint64_t *)phys_to_virt(pa) = value;
}

/* Atomically replaces `expected` by `value`; false if memory held something else. */
static inline bool phys_cmpxchg64(hpa_t pa, uint64_t expected, uint64_t value)
{
    return __atomic_compare_exchange_n((uint64_t *)phys_to_virt(pa), &expected, value, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

static inline uint64_t hw_vmread(uint64_t field)
{
    uint64_t value;

    __asm__ volatile("vmread %1, %0" : "=rm"(value) : "r"(field) : "cc");
    return value;
}

static inline void hw_vmwrite(uint64_t field, uint64_t value)
{
    __asm__ volatile("vmwrite %1, %0" : : "r"(field), "rm"(value) : "cc");
}

/* The next four return true on VMsucceed. */
static inline bool hw_vmptrld(hpa_t vmcs)
{
    bool ok;

    __asm__ volatile("vmptrld %1" : "=@cca"(ok) : "m"(vmcs.raw) : "memory");
    return ok;
}

static inline bool hw_vmclear(hpa_t vmcs)
{
    bool ok;

    __asm__ volatile("vmclear %1" : "=@cca"(ok) : "m"(vmcs.raw) : "memory");
    return ok;
}

static inline bool hw_vmxon(hpa_t region)
{
    bool ok;

    __asm__ volatile("vmxon %1" : "=@cca"(ok) : "m"(region.raw) : "memory");
    return ok;
}

enum hw_invalidate {
    HW_INVEPT_SINGLE = 1,
    HW_INVEPT_ALL = 2,
    HW_INVVPID_ADDRESS = 0,
    HW_INVVPID_SINGLE = 1,
    HW_INVVPID_ALL = 2,
    HW_INVVPID_SINGLE_GLOBAL = 3
};

static inline void hw_invept(enum hw_invalidate type, uint64_t eptp)
{
    struct {
        uint64_t eptp, zero;
    } descriptor = { eptp, 0 };

    __asm__ volatile("invept %0, %1" : : "m"(descriptor), "r"((uint64_t)type) : "cc", "memory");
}

static inline void hw_invvpid(enum hw_invalidate type, uint16_t vpid, uint64_t linear)
{
    struct {
        uint64_t vpid, linear;
    } descriptor = { vpid, linear };

    __asm__ volatile("invvpid %0, %1" : : "m"(descriptor), "r"((uint64_t)type) : "cc", "memory");
}

static inline uint64_t hw_rdmsr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void hw_wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

/* The next three answer false where the instruction raises #GP: section .fixup pairs it with a landing place. */

static inline bool hw_rdmsr_safe(uint32_t msr, uint64_t *value)
{
    uint32_t low = 0, high = 0;
    bool ok = true;

    __asm__ volatile("1: rdmsr\n2:\n"
                     ".pushsection .fixup, \"a\"\n .quad 1b, 3f\n .popsection\n"
                     ".pushsection .text.fixup, \"ax\"\n3: movb $0, %b2\n jmp 2b\n .popsection"
                     : "+a"(low), "+d"(high), "+q"(ok)
                     : "c"(msr));
    *value = (uint64_t)high << 32 | low;
    return ok;
}

static inline bool hw_wrmsr_safe(uint32_t msr, uint64_t value)
{
    bool ok = true;

    __asm__ volatile("1: wrmsr\n2:\n"
                     ".pushsection .fixup, \"a\"\n .quad 1b, 3f\n .popsection\n"
                     ".pushsection .text.fixup, \"ax\"\n3: movb $0, %b0\n jmp 2b\n .popsection"
                     : "+q"(ok)
                     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
    return ok;
}

static inline bool hw_xsetbv_safe(uint32_t index, uint64_t value)
{
    bool ok = true;

    __asm__ volatile("1: xsetbv\n2:\n"
                     ".pushsection .fixup, \"a\"\n .quad 1b, 3f\n .popsection\n"
                     ".pushsection .text.fixup, \"ax\"\n3: movb $0, %b0\n jmp 2b\n .popsection"
                     : "+q"(ok)
                     : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
    return ok;
}

static inline uint64_t hw_xgetbv(uint32_t index)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
    return (uint64_t)high << 32 | low;
}

/* The components of `features` that XCR0 has, in XSAVE's standard format; `area` is aligned to 64 bytes. */
static inline void hw_xsave(void *area, uint64_t features)
{
    __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"((uint32_t)features), "d"((uint32_t)(features >> 32)) : "memory");
}

static inline void hw_xrstor(const void *area, uint64_t features)
{
    __asm__ volatile("xrstor64 (%0)"
                     :
                     : "r"(area), "a"((uint32_t)features), "d"((uint32_t)(features >> 32))
                     : "memory");
}

struct hw_cpuid {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct hw_cpuid hw_cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct hw_cpuid r;

    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

/* The running CPU's record. */
struct cpu;
static inline struct cpu *hw_this_cpu(void)
{
    struct cpu *cpu;

    __asm__("mov %%gs:0, %0" : "=r"(cpu));
    return cpu;
}

static inline uint64_t hw_rdtsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

#define HW_CR(n)                                                                                                       \
    static inline uint64_t hw_read_cr##n(void)                                                                         \
    {                                                                                                                  \
        uint64_t value;                                                                                                \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(value));                                                          \
        return value;                                                                                                  \
    }                                                                                                                  \
    static inline void hw_write_cr##n(uint64_t value)                                                                  \
    {                                                                                                                  \
        __asm__ volatile("mov %0, %%cr" #n : : "r"(value) : "memory");                                                 \
    }
HW_CR(0)
HW_CR(2)
HW_CR(3)
HW_CR(4)
#undef HW_CR

static inline uint64_t hw_read_dr7(void)
{
    uint64_t value;

    __asm__ volatile("mov %%dr7, %0" : "=r"(value));
    return value;
}

static inline uint64_t hw_read_dr6(void)
{
    uint64_t value;

    __asm__ volatile("mov %%dr6, %0" : "=r"(value));
    return value;
}

static inline void hw_write_dr6(uint64_t value)
{
    __asm__ volatile("mov %0, %%dr6" : : "r"(value));
}

/* DR0 to DR3. */
static inline void hw_read_breakpoints(uint64_t dr[4])
{
    __asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3"
                     : "=&r"(dr[0]), "=&r"(dr[1]), "=&r"(dr[2]), "=&r"(dr[3]));
}

static inline void hw_write_breakpoints(const uint64_t dr[4])
{
    __asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3"
                     :
                     : "r"(dr[0]), "r"(dr[1]), "r"(dr[2]), "r"(dr[3]));
}

static inline uint8_t hw_in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t hw_in32(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint16_t hw_in16(uint16_t port)
{
    uint16_t value;

    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void hw_out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void hw_out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void hw_out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t hw_mmio_read32(hpa_t pa)
{
    return *(const volatile uint32_t *)phys_to_virt(pa);
}

static inline void hw_mmio_write32(hpa_t pa, uint32_t value)
{
    *(volatile uint32_t *)phys_to_virt(pa) = value;
}

static inline void hw_pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

static inline _Noreturn void hw_halt_forever(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

#endif
