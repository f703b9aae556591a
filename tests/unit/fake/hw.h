/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hardware interface of cloudvisor/hw/hw.h for host tests and fuzzers: the same names over a pretended processor
 * (fake_hw.c). RAM is [0, FAKE_RAM_BYTES), sparse; touching anything else, or a page that fake_forbid named, aborts.
 * An operation that would raise an exception in root mode aborts, too.
 */
#ifndef HW_HW_H
#define HW_HW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cloudvisor/boot_info.h"

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

void *phys_to_virt(hpa_t pa);
uint64_t phys_read64(hpa_t pa);
void phys_write64(hpa_t pa, uint64_t value);
bool phys_cmpxchg64(hpa_t pa, uint64_t expected, uint64_t value);

uint64_t hw_vmread(uint64_t field);
void hw_vmwrite(uint64_t field, uint64_t value);
bool hw_vmptrld(hpa_t vmcs);
bool hw_vmclear(hpa_t vmcs);
bool hw_vmxon(hpa_t region);

enum hw_invalidate {
    HW_INVEPT_SINGLE = 1,
    HW_INVEPT_ALL = 2,
    HW_INVVPID_ADDRESS = 0,
    HW_INVVPID_SINGLE = 1,
    HW_INVVPID_ALL = 2,
    HW_INVVPID_SINGLE_GLOBAL = 3
};
void hw_invept(enum hw_invalidate type, uint64_t eptp);
void hw_invvpid(enum hw_invalidate type, uint16_t vpid, uint64_t linear);

uint64_t hw_rdmsr(uint32_t msr);
void hw_wrmsr(uint32_t msr, uint64_t value);
bool hw_rdmsr_safe(uint32_t msr, uint64_t *value);
bool hw_wrmsr_safe(uint32_t msr, uint64_t value);
bool hw_xsetbv_safe(uint32_t index, uint64_t value);
uint64_t hw_xgetbv(uint32_t index);
void hw_xsave(void *area, uint64_t features);
void hw_xrstor(const void *area, uint64_t features);

struct hw_cpuid {
    uint32_t eax, ebx, ecx, edx;
};
struct hw_cpuid hw_cpuid(uint32_t leaf, uint32_t subleaf);

struct cpu;
struct cpu *hw_this_cpu(void);
uint64_t hw_rdtsc(void);

uint64_t hw_read_cr0(void);
uint64_t hw_read_cr2(void);
uint64_t hw_read_cr4(void);
void hw_write_cr0(uint64_t value);
void hw_write_cr2(uint64_t value);
void hw_write_cr4(uint64_t value);
uint64_t hw_read_dr7(void);
void hw_write_dr7(uint64_t value);
uint64_t hw_read_dr6(void);
void hw_write_dr6(uint64_t value);
void hw_read_breakpoints(uint64_t dr[4]);
void hw_write_breakpoints(const uint64_t dr[4]);

uint32_t hw_in(uint16_t port, unsigned bytes);
void hw_out(uint16_t port, unsigned bytes, uint32_t value);
void hw_pause(void);
void hw_halt_forever(void);

/* ---- What tests set and look at. ---- */

/* Where the direct map of RAM really lies. */
extern uint8_t *fake_ram;
#undef DIRECT_MAP_VA
#define DIRECT_MAP_VA ((uint64_t)fake_ram)

#define FAKE_RAM_BYTES (UINT64_C(16) << 30)

/* Back to a processor without MSRs, VMCSs or CPUs, zeroed RAM, nothing forbidden, no hooks, counters 0. */
void fake_reset(void);

/* Aborts on any access to the 4 KiB page from here on. */
void fake_forbid(hpa_t page);

/* Called before a 64-bit read or compare-and-exchange of RAM: a place to play another CPU. */
extern void (*fake_on_read)(hpa_t pa);
extern void (*fake_on_cmpxchg)(hpa_t pa);

/* An MSR exists once it is set. */
void fake_msr_set(uint32_t msr, uint64_t value);
uint64_t fake_msr_get(uint32_t msr);

/* Runs on CPU `index` from here on; each CPU has a current VMCS of its own. */
enum { FAKE_CPU_MAX = 4 };
void fake_switch_cpu(unsigned index, struct cpu *cpu);

/* The current VMCS of the running CPU, and a field of any VMCS that was ever current. */
hpa_t fake_loaded_vmcs(void);
uint64_t *fake_vmcs_field(hpa_t vmcs, uint32_t encoding);

/* True while a processor may write to the VMCS's memory: from its first VMPTRLD on until VMCLEAR. */
bool fake_vmcs_active(hpa_t vmcs);

/* The launch state of the current VMCS, as the processor keeps it: set by an entry that succeeds, reset by VMCLEAR. */
bool *fake_launched(void);

/*
 * The vector state: one word of each component of XCR0, 0 initially, MXCSR and FCW. XCR0 itself has at most the
 * components of CPUID leaf Dh, which also says where they lie in memory.
 */
enum { FAKE_COMPONENTS = 8 };
struct fake_vectors {
    uint64_t component[FAKE_COMPONENTS];
    uint32_t mxcsr;
    uint16_t fcw;
};
extern struct fake_vectors fake_vectors;

extern struct hw_cpuid (*fake_cpuid)(uint32_t leaf, uint32_t subleaf);
extern struct cpu *fake_cpu;
extern uint64_t fake_tsc;

struct fake_counts {
    unsigned vmreads, vmwrites, reads, writes, invept_single, invept_all, invvpid, vmptrld, vmclear, wrmsr, dr_writes;
    uint64_t last_eptp;
};
extern struct fake_counts fake_counts;

#endif
