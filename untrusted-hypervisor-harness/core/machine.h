/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The harness's own world: one arena of memory at a fixed physical address (so that addresses are the same in every
 * run), its own page tables, descriptor tables and stacks. Firmware is not called while this world is in force.
 *
 * Linear address = physical address below 4 GiB, supervisor only. A window higher up has pages with every right
 * that the instruction tests need (see enum window_page).
 */
#ifndef HARNESS_MACHINE_H
#define HARNESS_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include "untrusted-hypervisor-harness/core/cpu.h"
#include "untrusted-hypervisor-harness/core/layout.h"
#include "untrusted-hypervisor-harness/core/traps.h"

#define PAGE_SIZE       UINT64_C(0x1000)
#define LARGE_PAGE_SIZE UINT64_C(0x200000)
#define HUGE_PAGE_SIZE  UINT64_C(0x40000000)

#define ARENA_BASE UINT64_C(0x08000000)
#define ARENA_SIZE UINT64_C(0x02000000)

/* Offsets in the arena. */
enum arena_part {
    ARENA_PAGE_TABLES = 0x000000,
    ARENA_CPUS = 0x020000,
    ARENA_VMX_PAGES = 0x040000, /* VMXON and VMCS regions, bitmaps, MSR lists */
    ARENA_EPT_PAGES = 0x100000, /* EPT paging structures */
    ARENA_SCRATCH = 0x400000,
    ARENA_GUEST = 0x800000,     /* GUEST_RAM_SIZE bytes; 2 MiB aligned */
    ARENA_GUEST_ALT = 0xa00000, /* another 2 MiB that EPTs can show in place of the first */
};
#define ARENA(part)   (ARENA_BASE + (uint64_t)(part))
#define CPU_COUNT_MAX 2

static inline void *physical_pointer(uint64_t address)
{
    return (void *)(uintptr_t)address;
}

/* Page `index` among the VMX pages, the EPT pages, the scratch pages: physical address. */
static inline uint64_t arena_page(enum arena_part part, unsigned index)
{
    return ARENA(part) + index * PAGE_SIZE;
}

/* The window: consecutive pages whose last one is followed by one that is not present. */
#define WINDOW_BASE UINT64_C(0x8000000000)
enum window_page {
    WINDOW_WRITABLE, /* supervisor, read and write */
    WINDOW_READ_ONLY,
    WINDOW_USER, /* user, read, write and execute */
    WINDOW_USER_STACK,
    WINDOW_LAST_PRESENT, /* supervisor, read and write; the next page is missing */
    WINDOW_MISSING,
    WINDOW_PAGE_COUNT,
};
#define WINDOW(page) (WINDOW_BASE + (uint64_t)(page)*PAGE_SIZE)
/* Physical memory behind a window page. */
uint64_t window_physical(enum window_page page);

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map_base;
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 104, "the architectural task-state segment");

struct cpu {
    uint64_t index;
    uint64_t try_rsp; /* 0 outside try_run() */
    struct trap *try_trap;
    uint64_t arrived[4]; /* by vector, see traps_interrupt_arrived() */
    uint64_t gdt[16];
    struct tss tss;
};
_Static_assert(__builtin_offsetof(struct cpu, try_rsp) == CPU_TRY_RSP_OFFSET, "layout.h");

static inline struct cpu *this_cpu(void)
{
    uint64_t rsp;

    __asm__ volatile("mov %%rsp, %0" : "=r"(rsp));
    return physical_pointer(rsp & ~(uint64_t)(CPU_BLOCK_SIZE - 1));
}

static inline uint64_t cpu_block(unsigned index)
{
    return ARENA(ARENA_CPUS) + index * UINT64_C(CPU_BLOCK_SIZE);
}

#define MACHINE_CR0  (CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG)
#define MACHINE_CR4  (CR4_DE | CR4_PAE | CR4_MCE | CR4_OSFXSR | CR4_OSXMMEXCPT)
#define MACHINE_EFER (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)
#define MACHINE_PAT  UINT64_C(0x0007040600070406)

/* Builds the world's memory. Once, before any CPU enters it. */
void machine_build(void);

/* Runs body(argument) on CPU `index` in the harness's world, interrupts off, and goes back to the caller's. */
void machine_run(unsigned index, void (*body)(void *), void *argument);

/* Loads descriptor tables, segments, control registers and MSRs with the world's values again. */
void machine_restore(void);

/* Clears `count` pages from a physical address. */
void clear_pages(uint64_t address, unsigned count);
void copy_bytes(void *to, const void *from, uint64_t size);
void fill_bytes(void *to, uint8_t value, uint64_t size);

#endif
