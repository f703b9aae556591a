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
};

struct prefixes {
    unsigned rex; /* 0 if there is none */
    bool operand_size;
    bool address_size;
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
static uint8_t next_opcode(struct cursor *c, enum decode_mode mode, struct prefixes *p)
{
    *p = (struct prefixes){ 0 };
    for (;;) {
        uint8_t byte = next(c);

        if (mode == DECODE_64 && (byte & 0xf0) == 0x40) {
            p->rex = byte;
            continue;
        }
        switch (byte) {
        case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: break;
        case 0x66: p->operand_size = true; break;
        case 0x67: p->address_size = true; break;
        case 0xf0: p->lock = true; break;
        default: return byte;
        }
        p->rex = 0;
    }
}

static uint8_t operand_size(const struct prefixes *p, enum decode_mode mode)
{
    if (p->rex & REX_W)
        return 8;
    return (mode == DECODE_16) == p->operand_size ? 4 : 2;
}

static uint8_t address_size(const struct prefixes *p, enum decode_mode mode)
{
    if (mode == DECODE_64)
        return p->address_size ? 4 : 8;
    return (mode == DECODE_16) == p->address_size ? 4 : 2;
}

/* Skips SIB and displacement behind `modrm`, SDM "Addressing-Mode Encoding of ModR/M and SIB Bytes". */
static void skip_address(struct cursor *c, uint8_t modrm, unsigned address_bytes)
{
    unsigned mod = modrm >> 6;
    unsigned base = modrm & 7;

    if (address_bytes == 2) {
        next_signed(c, mod == 1 ? 1 : mod == 2 || base == 6 ? 2 : 0);
        return;
    }
    if (base == 4)
        base = next(c) & 7;
    next_signed(c, mod == 1 ? 1 : mod == 2 || base == 5 ? 4 : 0);
}

/* ModR/M with a memory operand: takes the register and skips the address. False for a register form. */
static bool take_modrm(struct cursor *c, const struct prefixes *p, enum decode_mode mode, struct decoded *out)
{
    uint8_t modrm = next(c);

    if (modrm >> 6 == 3)
        return false;
    out->reg = (uint8_t)((modrm >> 3 & 7) | (p->rex & REX_R ? 8 : 0));
    skip_address(c, modrm, address_size(p, mode));
    return true;
}

/* Without REX, byte registers 4 to 7 are AH, CH, DH and BH. */
static void name_byte_register(const struct prefixes *p, struct decoded *out)
{
    if (out->register_size == 1 && p->rex == 0 && out->reg >= 4) {
        out->reg = (uint8_t)(out->reg - 4);
        out->high_byte = true;
    }
}

/* 88 to 8B, 86, 87, C6 and C7: bit 0 of the opcode is the operand-size bit. */
static bool decode_plain(struct cursor *c, uint8_t opcode, const struct prefixes *p, enum decode_mode mode,
                         struct decoded *out)
{
    out->size = out->register_size = opcode & 1 ? operand_size(p, mode) : 1;
    out->kind = opcode >= 0xc6 ? DECODE_STORE : opcode < 0x88 ? DECODE_XCHG : opcode & 2 ? DECODE_LOAD : DECODE_STORE;
    if (!take_modrm(c, p, mode, out))
        return false;
    if (opcode < 0xc6) {
        name_byte_register(p, out);
        return true;
    }
    if ((out->reg & 7) != 0) /* C6 and C7 are MOV as /0 only */
        return false;
    out->reg = 0;
    out->has_immediate = true;
    out->immediate = next_signed(c, out->size == 8 ? 4 : out->size);
    return true;
}

/* A0 to A3: the accumulator and an absolute address. */
static bool decode_moffs(struct cursor *c, uint8_t opcode, const struct prefixes *p, enum decode_mode mode,
                         struct decoded *out)
{
    out->size = out->register_size = opcode & 1 ? operand_size(p, mode) : 1;
    out->kind = opcode & 2 ? DECODE_STORE : DECODE_LOAD;
    next_signed(c, address_size(p, mode));
    return true;
}

static bool decode_extending(struct cursor *c, uint8_t size, bool sign, const struct prefixes *p,
                             enum decode_mode mode, struct decoded *out)
{
    out->kind = DECODE_LOAD;
    out->size = size;
    out->register_size = operand_size(p, mode);
    out->sign_extend = sign;
    /* 66 63 without REX.W loads 2 or 4 bytes, by vendor. */
    return out->register_size >= size && take_modrm(c, p, mode, out);
}

static bool decode_opcode(struct cursor *c, const struct prefixes *p, uint8_t opcode, enum decode_mode mode,
                          struct decoded *out)
{
    switch (opcode) {
    case 0x0f:
        opcode = next(c);
        if ((opcode & 0xf6) != 0xb6)
            return false;
        return decode_extending(c, opcode & 1 ? 2 : 1, (opcode & 8) != 0, p, mode, out);
    case 0x63: return mode == DECODE_64 && decode_extending(c, 4, true, p, mode, out);
    case 0x86: case 0x87: case 0x88: case 0x89: case 0x8a: case 0x8b: case 0xc6: case 0xc7:
        return decode_plain(c, opcode, p, mode, out);
    case 0xa0: case 0xa1: case 0xa2: case 0xa3: return decode_moffs(c, opcode, p, mode, out);
    default: return false;
    }
}

enum decode_result decode_instruction(const uint8_t *bytes, unsigned available, enum decode_mode mode,
                                      struct decoded *out)
{
    unsigned end = available < INSTRUCTION_MAX ? available : INSTRUCTION_MAX;
    struct cursor c = { .bytes = bytes, .end = end };
    struct prefixes p;
    uint8_t opcode = next_opcode(&c, mode, &p);
    bool known;

    *out = (struct decoded){ 0 };
    known = decode_opcode(&c, &p, opcode, mode, out);
    if (c.truncated)
        return end < INSTRUCTION_MAX ? DECODE_TRUNCATED : DECODE_UNSUPPORTED;
    if (!known || (p.lock && out->kind != DECODE_XCHG))
        return DECODE_UNSUPPORTED;
    out->length = (uint8_t)c.at;
    return DECODE_OK;
}

static uint64_t low_bytes(uint64_t value, unsigned size)
{
    return size == 8 ? value : value & ((UINT64_C(1) << (8 * size)) - 1);
}

uint64_t decode_store_value(const struct decoded *d, uint64_t reg)
{
    if (d->has_immediate)
        return low_bytes(d->immediate, d->size);
    return low_bytes(d->high_byte ? reg >> 8 : reg, d->size);
}

uint64_t decode_load_result(const struct decoded *d, uint64_t reg, uint64_t memory)
{
    uint64_t value = low_bytes(memory, d->size);

    if (d->sign_extend && (value >> (8u * d->size - 1) & 1) != 0)
        value |= ~low_bytes(~UINT64_C(0), d->size);
    if (d->high_byte)
        return (reg & ~UINT64_C(0xff00)) | value << 8;
    value = low_bytes(value, d->register_size);
    /* SDM "General-Purpose Registers": a 32-bit result is zero-extended, a smaller one keeps the upper bits. */
    return d->register_size >= 4 ? value : (reg & ~low_bytes(~UINT64_C(0), d->register_size)) | value;
}
