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

/* hw_vmptrld, hw_vmclear and hw_vmxon of a region: true on VMsucceed. */
#define HW_VMX(name)                                                                                                   \
    static inline bool hw_##name(hpa_t region)                                                                         \
    {                                                                                                                  \
        bool ok;                                                                                                       \
        __asm__ volatile(#name " %1" : "=@cca"(ok) : "m"(region.raw) : "memory");                                      \
        return ok;                                                                                                     \
    }
HW_VMX(vmptrld)
HW_VMX(vmclear)
HW_VMX(vmxon)
#undef HW_VMX

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

/* For an instruction that may raise #GP: operand [ok] is then 0. Section .fixup pairs it with a landing place. */
#define HW_UNLESS_FAULT(instruction)                                                                                   \
    "1: " instruction "\n2:\n"                                                                                         \
    ".pushsection .fixup, \"a\"\n .quad 1b, 3f\n .popsection\n"                                                        \
    ".pushsection .text.fixup, \"ax\"\n3: movb $0, %b[ok]\n jmp 2b\n .popsection"

/* The next three answer false where the instruction raises #GP. */
static inline bool hw_rdmsr_safe(uint32_t msr, uint64_t *value)
{
    uint32_t low = 0, high = 0;
    bool ok = true;

    __asm__ volatile(HW_UNLESS_FAULT("rdmsr") : "+a"(low), "+d"(high), [ok] "+q"(ok) : "c"(msr));
    *value = (uint64_t)high << 32 | low;
    return ok;
}

#define HW_WRITE_SAFE(name)                                                                                            \
    static inline bool hw_##name##_safe(uint32_t index, uint64_t value)                                                \
    {                                                                                                                  \
        bool ok = true;                                                                                                \
        __asm__ volatile(HW_UNLESS_FAULT(#name)                                                                        \
                         : [ok] "+q"(ok)                                                                               \
                         : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))                              \
                         : "memory");                                                                                  \
        return ok;                                                                                                     \
    }
HW_WRITE_SAFE(wrmsr)
HW_WRITE_SAFE(xsetbv)
#undef HW_WRITE_SAFE

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

#define HW_REGISTER(name)                                                                                              \
    static inline uint64_t hw_read_##name(void)                                                                        \
    {                                                                                                                  \
        uint64_t value;                                                                                                \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(value));                                                         \
        return value;                                                                                                  \
    }                                                                                                                  \
    static inline void hw_write_##name(uint64_t value)                                                                 \
    {                                                                                                                  \
        __asm__ volatile("mov %0, %%" #name : : "r"(value) : "memory");                                                \
    }
HW_REGISTER(cr0)
HW_REGISTER(cr2)
HW_REGISTER(cr4)
HW_REGISTER(dr6)
HW_REGISTER(dr7)
#undef HW_REGISTER

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

/* IN and OUT of 1, 2 or 4 bytes. */
static inline uint32_t hw_in(uint16_t port, unsigned bytes)
{
    uint32_t value = 0;

    if (bytes == 1)
        __asm__ volatile("inb %1, %b0" : "+a"(value) : "Nd"(port));
    else if (bytes == 2)
        __asm__ volatile("inw %1, %w0" : "+a"(value) : "Nd"(port));
    else
        __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void hw_out(uint16_t port, unsigned bytes, uint32_t value)
{
    if (bytes == 1)
        __asm__ volatile("outb %b0, %1" : : "a"(value), "Nd"(port));
    else if (bytes == 2)
        __asm__ volatile("outw %w0, %1" : : "a"(value), "Nd"(port));
    else
        __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
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
