/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fills guest memory. See guest.h.
 */
#include "untrusted-hypervisor-harness/core/guest.h"
#include "untrusted-hypervisor-harness/core/machine.h"

enum {
    PTE_PRESENT = 1,
    PTE_WRITE = 2,
    PTE_USER = 4,
    PTE_ACCESSED = 0x20,
    PTE_DIRTY = 0x40,
    VECTORS = 256,
    PTE_PAGE = PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY
};

const char *const guest_mode_names[MODE_COUNT] = {
    [MODE_LONG] = "long",           [MODE_COMPAT] = "compat", [MODE_PAE] = "pae", [MODE_PAGED] = "paged",
    [MODE_PROTECTED] = "protected", [MODE_REAL] = "real",     [MODE_V86] = "v86",
};

/* VMCALL is the same three bytes in every mode. */
static const uint8_t handler[] = { 0x0f, 0x01, 0xc1 };

static uint64_t page_rights(uint64_t linear)
{
    switch (linear) {
    case GUEST_MISSING:
    case GUEST_MISSING_TOO: return 0;
    case GUEST_READ_ONLY: return PTE_PAGE & ~(uint64_t)(PTE_WRITE | PTE_DIRTY);
    case GUEST_SUPERVISOR: return PTE_PAGE & ~(uint64_t)PTE_USER;
    default: return PTE_PAGE;
    }
}

/* Four-level and PAE paging share the lower two levels. */
static void build_long_tables(uint64_t memory, uint64_t base)
{
    uint64_t *pt = guest_pointer(memory, GUEST_PT);

    *(uint64_t *)guest_pointer(memory, GUEST_PML4) = (base + GUEST_PDPT) | PTE_PAGE;
    *(uint64_t *)guest_pointer(memory, GUEST_PDPT) = (base + GUEST_PD) | PTE_PAGE;
    *(uint64_t *)guest_pointer(memory, GUEST_PAE_PDPT) = (base + GUEST_PD) | PTE_PRESENT;
    *(uint64_t *)guest_pointer(memory, GUEST_PD) = (base + GUEST_PT) | PTE_PAGE;
    for (uint64_t linear = 0; linear < GUEST_RAM_SIZE; linear += PAGE_SIZE)
        pt[linear / PAGE_SIZE] = (base + linear) | page_rights(linear);
}

static void build_paged_tables(uint64_t memory, uint64_t base)
{
    uint32_t *pt = guest_pointer(memory, GUEST_PT32);

    *(uint32_t *)guest_pointer(memory, GUEST_PD32) = (uint32_t)(base + GUEST_PT32) | PTE_PAGE;
    for (uint64_t linear = 0; linear < GUEST_RAM_SIZE; linear += PAGE_SIZE)
        pt[linear / PAGE_SIZE] = (uint32_t)((base + linear) | page_rights(linear));
}

static void build_gdt(uint64_t memory)
{
    uint64_t *gdt = guest_pointer(memory, GUEST_GDT);

    gdt[GUEST_CODE64 / 8] = UINT64_C(0x00af9b000000ffff);
    gdt[GUEST_DATA32 / 8] = UINT64_C(0x00cf93000000ffff);
    gdt[GUEST_CODE32 / 8] = UINT64_C(0x00cf9b000000ffff);
    gdt[GUEST_USER_DATA / 8] = UINT64_C(0x00cff3000000ffff);
    gdt[GUEST_USER_CODE32 / 8] = UINT64_C(0x00cffb000000ffff);
    gdt[GUEST_USER_CODE64 / 8] = UINT64_C(0x00affb000000ffff);
    gdt[GUEST_TSS_SELECTOR / 8] = UINT64_C(0x00008b0000000067) | (uint64_t)GUEST_TSS << 16;
    gdt[GUEST_LDT_SELECTOR / 8] = UINT64_C(0x000082000000000f) | (uint64_t)GUEST_GDT << 16;
    gdt[GUEST_NOT_PRESENT / 8] = UINT64_C(0x00cf13000000ffff);
    gdt[GUEST_CODE16 / 8] = UINT64_C(0x00009b000000ffff);
    gdt[GUEST_TSS_OTHER / 8] = UINT64_C(0x0000890000000067) | (uint64_t)(GUEST_TSS + 0x800) << 16;
}

static void build_tss(uint64_t memory)
{
    struct tss *tss64 = guest_pointer(memory, GUEST_TSS64);
    uint32_t *tss32 = guest_pointer(memory, GUEST_TSS);

    tss32[1] = GUEST_RING0_STACK_TOP; /* ESP0 */
    tss32[2] = GUEST_DATA32;          /* SS0 */
    tss64->rsp[0] = GUEST_RING0_STACK_TOP;
    tss64->ist[0] = GUEST_RING0_STACK_TOP;
}

static void build_idts(uint64_t memory)
{
    uint64_t *idt64 = guest_pointer(memory, GUEST_IDT64), *idt32 = guest_pointer(memory, GUEST_IDT32);
    uint32_t *ivt = guest_pointer(memory, GUEST_IVT);

    for (uint64_t vector = 0; vector < VECTORS; vector++) {
        uint64_t target = GUEST_HANDLERS + vector * GUEST_HANDLER_SIZE;
        /* Present, DPL 3, interrupt gate. */
        uint64_t gate = UINT64_C(0x0000ee0000000000) | (target & 0xffff) | (target & 0xffff0000) << 32;

        idt64[vector * 2] = gate | GUEST_CODE64 << 16;
        idt32[vector] = gate | GUEST_CODE32 << 16;
        ivt[vector] = (uint32_t)(GUEST_HANDLERS >> 4 << 16 | vector * GUEST_HANDLER_SIZE);
        copy_bytes(guest_pointer(memory, target), handler, sizeof(handler));
    }
}

void guest_build(uint64_t memory, uint64_t base)
{
    clear_pages(memory, (unsigned)(GUEST_RAM_SIZE / PAGE_SIZE));
    build_long_tables(memory, base);
    build_paged_tables(memory, base);
    build_gdt(memory);
    build_tss(memory);
    build_idts(memory);
}
