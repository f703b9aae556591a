/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's memory type range registers, kept as data: they decide the memory types of the host's EPT. The real ones
 * stay as the firmware set them, since they only matter to root mode. Pure.
 */
#ifndef EPT_GUARD_MTRR_H
#define EPT_GUARD_MTRR_H

#include <stdbool.h>
#include <stdint.h>

enum { MTRR_VARIABLE_MAX = 16, MTRR_FIXED_COUNT = 11 };

struct mtrrs {
    uint64_t cap;          /* IA32_MTRRCAP */
    uint64_t default_type; /* IA32_MTRR_DEF_TYPE */
    uint64_t fixed[MTRR_FIXED_COUNT];
    uint64_t base[MTRR_VARIABLE_MAX], mask[MTRR_VARIABLE_MAX];
    uint64_t address_mask; /* valid physical address bits, page aligned */
};

/* The register that `msr` names, or NULL. Read-only IA32_MTRRCAP included. */
uint64_t *mtrr_register(struct mtrrs *mtrrs, uint32_t msr);

/* True if `value` may be written to `msr` (SDM "MTRRs": reserved bits and types). */
bool mtrr_write_valid(const struct mtrrs *mtrrs, uint32_t msr, uint64_t value);

/* Reads all registers through `read_msr`. */
void mtrr_read(struct mtrrs *mtrrs, unsigned physical_bits, uint64_t (*read_msr)(uint32_t msr));

/* The memory type of the naturally aligned page [base, base + bytes); false if it has more than one. */
bool mtrr_type(const struct mtrrs *mtrrs, uint64_t base, uint64_t bytes, unsigned *type);

#endif
