/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Instruction decoder for memory-mapped I/O. Reads each byte once through next(), which stops at the end of the
 * copy; an instruction that runs out of bytes leaves `truncated` set, and nothing that was decoded is used.
 */
#include "cloudvisor/decode.h"

#define REX_W 8u
#define REX_R 4u

struct cursor {
    const uint8_t *bytes;
    unsigned at;
    unsigned end;
    bool truncated;
    enum decode_mode mode;
    unsigned rex; /* 0 if there is none */
    bool operand_prefix;
    bool address_prefix;
    bool lock;
};

static uint8_t next(struct cursor *c)
{
    if (c->at < c->end)
        return c->bytes[c->at++];
    c->truncated = true;
    return 0;
}

/* A little-endian value of `size` bytes, sign-extended. */
static uint64_t next_signed(struct cursor *c, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)next(c) << (8 * i);
    if (size < 8 && (value >> (8 * size - 1) & 1) != 0)
        value |= ~UINT64_C(0) << (8 * size);
    return value;
}

/*
 * SDM "Instruction Prefixes" and "REX Prefixes". A REX that another prefix follows is ignored. REP and REPNE are not
 * taken: with these instructions they are hints for transactions. Returns the first byte that is no prefix.
 */
static uint8_t next_opcode(struct cursor *c)
{
    for (;;) {
        uint8_t byte = next(c);
        bool segment = (byte & 0xe7) == 0x26 || (byte & 0xfe) == 0x64;

        if (c->mode == DECODE_64 && (byte & 0xf0) == 0x40) {
            c->rex = byte;
            continue;
        }
        if (byte == 0x66)
            c->operand_prefix = true;
        else if (byte == 0x67)
            c->address_prefix = true;
        else if (byte == 0xf0)
            c->lock = true;
        else if (!segment)
            return byte;
        c->rex = 0;
    }
}

static uint8_t operand_size(const struct cursor *c)
{
    if (c->rex & REX_W)
        return 8;
    return (c->mode == DECODE_16) == c->operand_prefix ? 4 : 2;
}

static uint8_t address_size(const struct cursor *c)
{
    if (c->mode == DECODE_64)
        return c->address_prefix ? 4 : 8;
    return (c->mode == DECODE_16) == c->address_prefix ? 4 : 2;
}

/* Skips SIB and displacement behind `modrm`, SDM "Addressing-Mode Encoding of ModR/M and SIB Bytes". */
static void skip_address(struct cursor *c, uint8_t modrm)
{
    bool short_form = address_size(c) == 2;
    unsigned mod = modrm >> 6;
    unsigned base = modrm & 7;

    if (!short_form && base == 4)
        base = next(c) & 7;
    if (mod == 1)
        next_signed(c, 1);
    else if (mod == 2 || base == (short_form ? 6 : 5))
        next_signed(c, short_form ? 2 : 4);
}

/* ModR/M with a memory operand: takes the register and skips the address. False for a register form. */
static bool take_modrm(struct cursor *c, struct decoded *out)
{
    uint8_t modrm = next(c);

    if (modrm >> 6 == 3)
        return false;
    out->reg = (uint8_t)((modrm >> 3 & 7) | (c->rex & REX_R ? 8 : 0));
    skip_address(c, modrm);
    return true;
}

/* 86 to 8B: XCHG and MOV with a register. */
static bool decode_register(struct cursor *c, uint8_t opcode, struct decoded *out)
{
    if (opcode < 0x88)
        out->kind = DECODE_XCHG;
    else
        out->kind = opcode & 2 ? DECODE_LOAD : DECODE_STORE;
    if (!take_modrm(c, out))
        return false;
    if (out->size == 1 && c->rex == 0 && out->reg >= 4) { /* AH, CH, DH, BH */
        out->reg = (uint8_t)(out->reg - 4);
        out->high_byte = true;
    }
    return true;
}

/* C6 and C7: MOV of an immediate, as /0 only. */
static bool decode_immediate(struct cursor *c, struct decoded *out)
{
    out->kind = DECODE_STORE;
    if (!take_modrm(c, out) || (out->reg & 7) != 0)
        return false;
    out->reg = 0;
    out->has_immediate = true;
    out->immediate = next_signed(c, out->size == 8 ? 4 : out->size);
    return true;
}

/* A load of `size` bytes into a register of the operand size. 66 63 is refused: what it loads differs by vendor. */
static bool decode_extending(struct cursor *c, uint8_t size, bool sign, struct decoded *out)
{
    out->kind = DECODE_LOAD;
    out->size = size;
    out->sign_extend = sign;
    out->register_size = operand_size(c);
    return out->register_size >= size && take_modrm(c, out);
}

static bool decode_opcode(struct cursor *c, uint8_t opcode, struct decoded *out)
{
    out->size = out->register_size = opcode & 1 ? operand_size(c) : 1;
    if (opcode >= 0x86 && opcode <= 0x8b)
        return decode_register(c, opcode, out);
    if (opcode >= 0xa0 && opcode <= 0xa3) { /* MOV of the accumulator, absolute address */
        out->kind = opcode & 2 ? DECODE_STORE : DECODE_LOAD;
        next_signed(c, address_size(c));
        return true;
    }
    if (opcode == 0xc6 || opcode == 0xc7)
        return decode_immediate(c, out);
    if (opcode == 0x63 && c->mode == DECODE_64)
        return decode_extending(c, 4, true, out);
    if (opcode != 0x0f)
        return false;
    opcode = next(c); /* MOVZX 0F B6 and B7, MOVSX 0F BE and BF */
    return (opcode & 0xf6) == 0xb6 && decode_extending(c, opcode & 1 ? 2 : 1, (opcode & 8) != 0, out);
}

enum decode_result decode_instruction(const uint8_t *bytes, unsigned available, enum decode_mode mode,
                                      struct decoded *out)
{
    unsigned end = available < INSTRUCTION_MAX ? available : INSTRUCTION_MAX;
    struct cursor c = { .bytes = bytes, .end = end, .mode = mode };
    bool known;

    *out = (struct decoded){ 0 };
    known = decode_opcode(&c, next_opcode(&c), out);
    if (c.truncated)
        return end < INSTRUCTION_MAX ? DECODE_TRUNCATED : DECODE_UNSUPPORTED;
    if (!known || (c.lock && out->kind != DECODE_XCHG))
        return DECODE_UNSUPPORTED;
    out->length = (uint8_t)c.at;
    return DECODE_OK;
}

/* The low `size` bytes set. */
static uint64_t mask(unsigned size)
{
    return ~UINT64_C(0) >> (64 - 8 * size);
}

uint64_t decode_store_value(const struct decoded *d, uint64_t reg)
{
    if (d->has_immediate)
        return d->immediate & mask(d->size);
    return (d->high_byte ? reg >> 8 : reg) & mask(d->size);
}

uint64_t decode_load_result(const struct decoded *d, uint64_t reg, uint64_t memory)
{
    uint64_t value = memory & mask(d->size);

    if (d->sign_extend && (value >> (8u * d->size - 1) & 1) != 0)
        value |= ~mask(d->size);
    if (d->high_byte)
        return (reg & ~UINT64_C(0xff00)) | value << 8;
    value &= mask(d->register_size);
    /* SDM "General-Purpose Registers in 64-Bit Mode": a 32-bit result is zero-extended, smaller ones merge. */
    return d->register_size >= 4 ? value : (reg & ~mask(d->register_size)) | value;
}
