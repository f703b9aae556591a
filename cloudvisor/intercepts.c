/* SPDX-License-Identifier: GPL-2.0-only */
#include "cloudvisor/apic.h"
#include "cloudvisor/intercepts.h"
#include "cloudvisor/pool.h"

enum { READ = 1, WRITE = 2 };

static const struct {
    uint32_t first, last;
    unsigned access;
} msr_list[] = {
    { 0x10, 0x10, WRITE },          /* IA32_TIME_STAMP_COUNTER */
    { 0x1b, 0x1b, WRITE },          /* IA32_APIC_BASE */
    { 0x3b, 0x3b, WRITE },          /* IA32_TSC_ADJUST */
    { 0x3a, 0x3a, READ | WRITE },   /* IA32_FEATURE_CONTROL */
    { 0x79, 0x79, WRITE },          /* IA32_BIOS_UPDT_TRIG */
    { 0xfe, 0xfe, READ | WRITE },   /* IA32_MTRRCAP */
    { 0x13c, 0x13c, WRITE },        /* could switch AES-NI off */
    { 0x1a0, 0x1a0, WRITE },        /* IA32_MISC_ENABLE */
    { 0x200, 0x21f, READ | WRITE }, /* variable MTRRs */
    { 0x250, 0x250, READ | WRITE }, /* fixed MTRRs */
    { 0x258, 0x259, READ | WRITE },
    { 0x268, 0x26f, READ | WRITE },
    { 0x2ff, 0x2ff, READ | WRITE }, /* IA32_MTRR_DEF_TYPE */
    { 0x480, 0x493, READ | WRITE }, /* VMX capabilities */
    { 0x570, 0x571, READ | WRITE }, /* processor trace writes to physical addresses */
    { 0x560, 0x561, READ | WRITE },
    { 0x3f1, 0x3f2, READ | WRITE },   /* IA32_PEBS_ENABLE and what it records */
    { 0x3f4, 0x3f5, READ | WRITE },   /* architectural PEBS: a linear buffer, live in root mode, too */
    { 0x600, 0x600, READ | WRITE },   /* IA32_DS_AREA: records could be written while in root mode */
    { 0x17d0, 0x17d1, READ | WRITE }, /* hardware feedback writes to a physical address */
};

static uint8_t *msr_bitmap, *io_bitmap[2];

/* The byte of an MSR bitmap, SDM order: read low, read high, write low, write high; 1 KiB each. */
bool msr_bitmap_byte(uint32_t msr, bool write, unsigned *byte)
{
    uint32_t index = msr & 0x1fff;

    if (msr > 0x1fff && (msr < 0xc0000000 || msr > 0xc0001fff))
        return false;
    *byte = (write ? 2048u : 0u) + (msr > 0x1fff ? 1024u : 0u) + index / 8;
    return true;
}

bool msr_bitmap_test(const uint8_t *bitmap, uint32_t msr, bool write)
{
    unsigned byte;

    return !msr_bitmap_byte(msr, write, &byte) || (bitmap[byte] >> (msr & 7) & 1) != 0;
}

static void set_msr(uint32_t msr, bool write)
{
    unsigned byte;

    if (msr_bitmap_byte(msr, write, &byte))
        msr_bitmap[byte] |= (uint8_t)(1u << (msr & 7));
}

void intercepts_add_port(uint16_t port)
{
    io_bitmap[port >> 15][(port & 0x7fff) / 8] |= (uint8_t)(1u << (port & 7));
}

bool intercepts_init(bool trap_icr)
{
    msr_bitmap = pool_alloc_bytes(PAGE_SIZE);
    io_bitmap[0] = pool_alloc_bytes(PAGE_SIZE);
    io_bitmap[1] = pool_alloc_bytes(PAGE_SIZE);
    if (msr_bitmap == NULL || io_bitmap[0] == NULL || io_bitmap[1] == NULL)
        return false;
    for (unsigned i = 0; i < sizeof(msr_list) / sizeof(msr_list[0]); i++) {
        for (uint32_t msr = msr_list[i].first; msr <= msr_list[i].last; msr++) {
            if (msr_list[i].access & READ)
                set_msr(msr, false);
            if (msr_list[i].access & WRITE)
                set_msr(msr, true);
        }
    }
    if (trap_icr)
        set_msr(MSR_X2APIC_ICR, true);
    return true;
}

static hpa_t address_of(const void *bitmap)
{
    return hpa((uint64_t)bitmap - DIRECT_MAP_VA);
}

hpa_t intercepts_msr_bitmap(void)
{
    return address_of(msr_bitmap);
}

hpa_t intercepts_io_bitmap(unsigned which)
{
    return address_of(io_bitmap[which]);
}

bool intercepts_msr(uint32_t msr, bool write)
{
    return msr_bitmap_test(msr_bitmap, msr, write);
}

bool intercepts_known_msr(uint32_t msr, bool write)
{
    unsigned byte;

    return msr_bitmap_byte(msr, write, &byte) && intercepts_msr(msr, write);
}

bool intercepts_port(uint16_t port, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        uint16_t p = (uint16_t)(port + i);

        if ((io_bitmap[p >> 15][(p & 0x7fff) / 8] >> (p & 7) & 1) != 0)
            return true;
    }
    return false;
}
