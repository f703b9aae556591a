/* SPDX-License-Identifier: GPL-2.0-only */
/* SDM "Memory Type Range Registers (MTRRs)". */
#include <stddef.h>
#include "ept-guard/ept.h"
#include "ept-guard/mtrr.h"

enum { MSR_MTRRCAP = 0xfe, MSR_MTRR_PHYSBASE0 = 0x200, MSR_MTRR_DEF_TYPE = 0x2ff };
#define DEF_TYPE_FIXED_ENABLE (UINT64_C(1) << 10)
#define DEF_TYPE_ENABLE       (UINT64_C(1) << 11)
#define MASK_VALID            (UINT64_C(1) << 11)
#define CAP_FIXED             (UINT64_C(1) << 8)
#define FIXED_END             UINT64_C(0x100000)

static const uint16_t fixed_msrs[MTRR_FIXED_COUNT] = { 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
                                                       0x26b, 0x26c, 0x26d, 0x26e, 0x26f };

static unsigned variable_count(const struct mtrrs *mtrrs)
{
    unsigned n = (unsigned)mtrrs->cap & 0xff;

    return n < MTRR_VARIABLE_MAX ? n : MTRR_VARIABLE_MAX;
}

uint64_t *mtrr_register(struct mtrrs *mtrrs, uint32_t msr)
{
    uint32_t variable = msr - MSR_MTRR_PHYSBASE0;

    if (msr == MSR_MTRRCAP)
        return &mtrrs->cap;
    if (msr == MSR_MTRR_DEF_TYPE)
        return &mtrrs->default_type;
    if (variable < 2 * variable_count(mtrrs))
        return variable % 2 == 0 ? &mtrrs->base[variable / 2] : &mtrrs->mask[variable / 2];
    for (unsigned i = 0; i < MTRR_FIXED_COUNT; i++) {
        if (msr == fixed_msrs[i] && (mtrrs->cap & CAP_FIXED) != 0)
            return &mtrrs->fixed[i];
    }
    return NULL;
}

bool mtrr_write_valid(const struct mtrrs *mtrrs, uint32_t msr, uint64_t value)
{
    if (msr == MSR_MTRRCAP)
        return false;
    if (msr == MSR_MTRR_DEF_TYPE)
        return (value & ~(DEF_TYPE_ENABLE | DEF_TYPE_FIXED_ENABLE | 0xff)) == 0 && memory_type_valid(value & 0xff);
    if (msr >= fixed_msrs[0]) {
        for (unsigned i = 0; i < 8; i++) {
            if (!memory_type_valid(value >> (8 * i) & 0xff))
                return false;
        }
        return true;
    }
    if ((msr & 1) != 0)
        return (value & ~(mtrrs->address_mask | MASK_VALID)) == 0;
    return (value & ~(mtrrs->address_mask | 0xff)) == 0 && memory_type_valid(value & 0xff);
}

void mtrr_read(struct mtrrs *mtrrs, unsigned physical_bits, uint64_t (*read_msr)(uint32_t msr))
{
    *mtrrs = (struct mtrrs){ .cap = read_msr(MSR_MTRRCAP) };
    mtrrs->address_mask = ((UINT64_C(1) << physical_bits) - 1) & ~UINT64_C(0xfff);
    for (uint32_t msr = MSR_MTRR_PHYSBASE0; msr <= MSR_MTRR_DEF_TYPE; msr++) {
        uint64_t *mtrr = mtrr_register(mtrrs, msr);

        if (mtrr != NULL)
            *mtrr = read_msr(msr);
    }
}

/* The type of a 4 KiB page below 1 MiB: eight ranges a register, of 64, 16 and 4 KiB. */
static unsigned fixed_type(const struct mtrrs *mtrrs, uint64_t base)
{
    uint64_t range, index;

    if (base < 0x80000) {
        index = 0;
        range = base / 0x10000;
    } else if (base < 0xc0000) {
        index = 1 + (base - 0x80000) / 0x20000;
        range = (base - 0x80000) / 0x4000 % 8;
    } else {
        index = 3 + (base - 0xc0000) / 0x8000;
        range = (base - 0xc0000) / 0x1000 % 8;
    }
    return (unsigned)(mtrrs->fixed[index] >> (8 * range)) & 0xff;
}

/* Two overlapping types: UC wins, then WT over WB; other overlaps are undefined and become UC. */
static unsigned combine(unsigned a, unsigned b)
{
    if (a == b)
        return a;
    if ((a == TYPE_WT && b == TYPE_WB) || (a == TYPE_WB && b == TYPE_WT))
        return TYPE_WT;
    return TYPE_UC;
}

bool mtrr_type(const struct mtrrs *mtrrs, uint64_t base, uint64_t bytes, unsigned *type)
{
    bool found = false;

    *type = TYPE_UC;
    if ((mtrrs->default_type & DEF_TYPE_ENABLE) == 0)
        return true;
    if (base < FIXED_END && (mtrrs->default_type & DEF_TYPE_FIXED_ENABLE) != 0) {
        *type = fixed_type(mtrrs, base);
        return bytes <= 4096;
    }
    for (unsigned i = 0; i < variable_count(mtrrs); i++) {
        uint64_t mask = mtrrs->mask[i] & mtrrs->address_mask;
        uint64_t inside = ~(bytes - 1);

        if ((mtrrs->mask[i] & MASK_VALID) == 0 || ((base ^ mtrrs->base[i]) & mask & inside) != 0)
            continue;
        if ((mask & ~inside & mtrrs->address_mask) != 0)
            return false; /* the range covers only a part of this page */
        *type = found ? combine(*type, mtrrs->base[i] & 0xff) : mtrrs->base[i] & 0xff;
        found = true;
    }
    if (!found)
        *type = (unsigned)mtrrs->default_type & 0xff;
    return true;
}
