/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a guest finds in its 2 MiB of memory. Its linear addresses start at 0 in every mode: paging maps them to the
 * guest-physical base where there is paging, and without paging the EPT puts the base at 0.
 */
#ifndef HARNESS_GUEST_H
#define HARNESS_GUEST_H

#include <stdint.h>

#define GUEST_RAM_SIZE UINT64_C(0x200000)

enum guest_mode {
    MODE_LONG,      /* 64-bit code */
    MODE_COMPAT,    /* 32-bit code in IA-32e mode */
    MODE_PAE,       /* 32-bit code, PAE paging */
    MODE_PAGED,     /* 32-bit code, 32-bit paging */
    MODE_PROTECTED, /* 32-bit code, no paging (unrestricted guest) */
    MODE_REAL,      /* real mode (unrestricted guest) */
    MODE_V86,       /* virtual-8086 mode, 32-bit paging */
    MODE_COUNT,
};
extern const char *const guest_mode_names[MODE_COUNT];

/* Guest-linear addresses. */
enum guest_address {
    GUEST_IVT = 0x0000,
    GUEST_GDT = 0x1000,
    GUEST_IDT64 = 0x2000,
    GUEST_IDT32 = 0x3000,
    GUEST_TSS = 0x4000,
    GUEST_TSS64 = 0x4400,
    GUEST_PML4 = 0x5000,
    GUEST_PDPT = 0x6000,
    GUEST_PD = 0x7000,
    GUEST_PT = 0x8000,
    GUEST_PAE_PDPT = 0x9000,
    GUEST_PD32 = 0xa000,
    GUEST_PT32 = 0xb000,
    GUEST_CODE = 0x10000,     /* one page */
    GUEST_HANDLERS = 0x14000, /* GUEST_HANDLER_SIZE bytes for each vector: VMCALL, so RIP tells the vector */
    GUEST_DATA = 0x20000,     /* 16 pages */
    GUEST_MISSING = 0x30000,  /* no page here; below each stack, so that faults in a loop end */
    GUEST_STACK_TOP = 0x32000,
    GUEST_MISSING_TOO = 0x34000,
    GUEST_RING0_STACK_TOP = 0x36000, /* from the TSS, and IST1 */
    GUEST_READ_ONLY = 0x38000,
    GUEST_SUPERVISOR = 0x39000, /* the only page without user rights */
};
#define GUEST_HANDLER_SIZE 16

/* Selectors of the guest's GDT. */
enum guest_selector {
    GUEST_CODE64 = 0x08,
    GUEST_DATA32 = 0x10,
    GUEST_CODE32 = 0x18,
    GUEST_USER_DATA = 0x23,
    GUEST_USER_CODE32 = 0x2b,
    GUEST_USER_CODE64 = 0x33,
    GUEST_TSS_SELECTOR = 0x38, /* 16 bytes */
    GUEST_LDT_SELECTOR = 0x48, /* 16 bytes */
    GUEST_NOT_PRESENT = 0x58,  /* a data segment that is not present */
    GUEST_CODE16 = 0x60,
    GUEST_TSS_OTHER = 0x68, /* an available 32-bit TSS */
    GUEST_CALL_GATE = 0x70,
    GUEST_GDT_LIMIT = 0x7f,
};

/*
 * Fills the guest's memory at host-physical `memory`, seen by the guest at guest-physical `base`: descriptor tables,
 * page tables for every mode, exception handlers.
 */
void guest_build(uint64_t memory, uint64_t base);

/* Host pointer to a guest-linear address of the memory at `memory`. */
static inline void *guest_pointer(uint64_t memory, uint64_t linear)
{
    return (void *)(uintptr_t)(memory + linear);
}

#endif
