/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Decodes the one-memory-operand moves that drivers use on device registers: MOV, MOVZX, MOVSX, MOVSXD and XCHG.
 * The bytes are a guest's and untrusted; they lie in a private copy. Addresses are not computed: the processor
 * reports the guest-physical address with the exit. Everything that isn't listed is unsupported, never guessed.
 */
#ifndef CLOUDVISOR_DECODE_H
#define CLOUDVISOR_DECODE_H

#include <stdbool.h>
#include <stdint.h>

enum { INSTRUCTION_MAX = 15 };

/* Default operand and address size: CS.L, or CS.D outside 64-bit mode. */
enum decode_mode { DECODE_16 = 2, DECODE_32 = 4, DECODE_64 = 8 };

enum decode_result {
    DECODE_OK = 0,
    DECODE_UNSUPPORTED, /* another instruction, a register form, or longer than INSTRUCTION_MAX */
    DECODE_TRUNCATED,   /* needs more bytes than are available */
};

enum decode_kind { DECODE_LOAD, DECODE_STORE, DECODE_XCHG };

struct decoded {
    enum decode_kind kind;
    uint8_t length;        /* bytes of the whole instruction */
    uint8_t size;          /* bytes of the memory operand: 1, 2, 4 or 8 */
    uint8_t register_size; /* bytes of the register operand; larger than `size` for an extending load only */
    uint8_t reg;           /* 0 to 15 in instruction encoding order (RAX, RCX, RDX, RBX, RSP, ...) */
    bool high_byte;        /* AH, CH, DH or BH: bits 15:8 of `reg` */
    bool sign_extend;      /* an extending load that copies the sign; zeroes otherwise */
    bool has_immediate;    /* the store's value is `immediate`, not a register */
    uint64_t immediate;    /* sign-extended to 64 bits */
};

/* Decodes the instruction at `bytes`, of which `available` are valid. `*out` is meaningful for DECODE_OK only. */
enum decode_result decode_instruction(const uint8_t *bytes, unsigned available, enum decode_mode mode,
                                      struct decoded *out);

/* What a store or XCHG writes, in the low `size` bytes; `reg` is the full register `d->reg`. */
uint64_t decode_store_value(const struct decoded *d, uint64_t reg);

/* The full register `d->reg` after a load or XCHG read `memory`; `reg` is its value before. */
uint64_t decode_load_result(const struct decoded *d, uint64_t reg, uint64_t memory);

#endif
