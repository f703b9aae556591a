/* SPDX-License-Identifier: GPL-2.0-only */
#include "cloudvisor/apic.h"
#include "cloudvisor/intercepts.h"
#include "cloudvisor/pool.h"

static const struct {
    uint32_t first, last;
    bool read; /* exits on reads, too */
} msr_list[] = {
    { 0x10, 0x10, false },    /* IA32_TIME_STAMP_COUNTER */
    { 0x1b, 0x1b, false },    /* IA32_APIC_BASE */
    { 0x3a, 0x3a, true },     /* IA32_FEATURE_CONTROL */
    { 0x3b, 0x3b, false },    /* IA32_TSC_ADJUST */
    { 0x79, 0x79, false },    /* IA32_BIOS_UPDT_TRIG */
    { 0xfe, 0xfe, true },     /* IA32_MTRRCAP */
    { 0x13c, 0x13c, false },  /* could switch AES-NI off */
    { 0x1a0, 0x1a0, false },  /* IA32_MISC_ENABLE */
    { 0x200, 0x21f, true },   /* variable MTRRs */
    { 0x250, 0x26f, true },   /* fixed MTRRs */
    { 0x2ff, 0x2ff, true },   /* IA32_MTRR_DEF_TYPE */
    { 0x3f1, 0x3f5, true },   /* PEBS: its architectural form writes to a linear buffer, in root mode, too */
    { 0x480, 0x493, true },   /* VMX capabilities */
    { 0x560, 0x571, true },   /* processor trace writes to physical addresses */
    { 0x600, 0x600, true },   /* IA32_DS_AREA: records could be written while in root mode */
    { 0x17d0, 0x17d1, true }, /* hardware feedback writes to a physical address */
};

/* Three pages: the MSR bitmap, I/O bitmaps A and B. */
static uint8_t *bitmaps;

/* The byte of an MSR bitmap, SDM order: read low, read high, write low, write high; 1 KiB each. */
bool msr_bitmap_byte(uint32_t msr, bool write, unsigned *byte)
{
    uint32_t index = msr & 0x1fff;

    if (msr > 0x1fff && (msr < 0xc0000000 || msr > 0xc0001fff))
        return false;
    *byte = (write ? 2048u : 0u) + (msr > 0x1fff ? 1024u : 0u) + index / 8;
    return true;
}

static void add_msr(uint32_t msr, bool write)
{
    unsigned byte;

    if (msr_bitmap_byte(msr, write, &byte))
        bitmaps[byte] |= (uint8_t)(1u << (msr & 7));
}

void intercepts_add_port(uint16_t port)
{
    bitmaps[PAGE_SIZE + port / 8] |= (uint8_t)(1u << (port & 7));
}

bool intercepts_init(bool trap_icr)
{
    bitmaps = pool_alloc_bytes(3 * PAGE_SIZE);
    if (bitmaps == NULL)
        return false;
    for (unsigned i = 0; i < sizeof(msr_list) / sizeof(msr_list[0]); i++) {
        for (uint32_t msr = msr_list[i].first; msr <= msr_list[i].last; msr++) {
            add_msr(msr, true);
            if (msr_list[i].read)
                add_msr(msr, false);
        }
    }
    if (trap_icr)
        add_msr(MSR_X2APIC_ICR, true);
    return true;
}

hpa_t intercepts_msr_bitmap(void)
{
    return hpa((uint64_t)bitmaps - DIRECT_MAP_VA);
}

hpa_t intercepts_io_bitmap(unsigned which)
{
    return hpa(intercepts_msr_bitmap().raw + (which + 1) * PAGE_SIZE);
}

bool intercepts_msr(uint32_t msr, bool write)
{
    unsigned byte;

    return !msr_bitmap_byte(msr, write, &byte) || (bitmaps[byte] >> (msr & 7) & 1) != 0;
}

bool intercepts_known_msr(uint32_t msr, bool write)
{
    unsigned byte;

    return msr_bitmap_byte(msr, write, &byte) && intercepts_msr(msr, write);
}

bool intercepts_port(uint16_t port, unsigned bytes)
{
    unsigned hits = 0;

    for (uint16_t p = port; bytes-- > 0; p++)
        hits |= bitmaps[PAGE_SIZE + p / 8] >> (p & 7) & 1;
    return hits != 0;
}
