/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The instruction decoder: every form that it takes, each of them cut short at every byte, everything else refused,
 * and what loads and stores do to registers. Each input lies in a block of its own size, so that the address
 * sanitizer sees a read beyond it.
 */
#include "unit.h"
#include "cloudvisor/decode.h"

#define NO_IMMEDIATE 0x5a5a5a5a5a5a5a5a

struct vector {
    const char *name;
    unsigned mode;
    struct decoded expect;
    uint8_t length;
    uint8_t bytes[INSTRUCTION_MAX + 5];
};

#define LENGTH_OF(...) sizeof((const uint8_t[]){ __VA_ARGS__ })

static const struct vector vectors[] = {
#define VECTOR(m, text, k, s, rs, r, high, sign, imm, ...)                                                             \
    { .name = (text),                                                                                                  \
      .mode = (m),                                                                                                     \
      .length = LENGTH_OF(__VA_ARGS__),                                                                                \
      .bytes = { __VA_ARGS__ },                                                                                        \
      .expect = { .kind = DECODE_##k,                                                                                  \
                  .size = (s),                                                                                         \
                  .register_size = (rs),                                                                               \
                  .reg = (r),                                                                                          \
                  .high_byte = (high),                                                                                 \
                  .sign_extend = (sign),                                                                               \
                  .has_immediate = (imm) != NO_IMMEDIATE,                                                              \
                  .immediate = (imm) } },
#include "decode_vectors.def"
#undef VECTOR
};

static const struct vector refused[] = {
#define VECTOR(m, text, ...)                                                                                           \
    { .name = (text), .mode = (m), .length = LENGTH_OF(__VA_ARGS__), .bytes = { __VA_ARGS__ } },
    VECTOR(64, "mov ecx, eax", 0x89, 0xc1) VECTOR(64, "mov cl, al", 0x8a, 0xc8) VECTOR(64, "xchg ecx, eax", 0x87, 0xc1)
        VECTOR(64, "movzx eax, cl", 0x0f, 0xb6, 0xc1) VECTOR(64, "movsxd rax, ecx", 0x48, 0x63, 0xc1) VECTOR(
            64, "mov cl, 1 (C6, register form)", 0xc6, 0xc1, 1) VECTOR(64, "xabort 1", 0xc6, 0xf8, 1)
            VECTOR(64, "xbegin", 0xc7, 0xf8, 1, 0, 0, 0) VECTOR(64, "C6 /1", 0xc6, 0x08, 1) VECTOR(
                64, "C7 /7", 0xc7, 0x38, 1, 0, 0, 0) VECTOR(64, "C7 /0 with REX.R is /8, still MOV; /1 is not", 0x44,
                                                            0xc7, 0x08, 1, 0, 0, 0)
                VECTOR(64, "lock mov [rax], ecx", 0xf0, 0x89, 0x08) VECTOR(64, "lock mov ecx, [rax]", 0xf0, 0x8b, 0x08)
                    VECTOR(64, "lock mov byte [rax], 1", 0xf0, 0xc6, 0x00, 1) VECTOR(64, "lock movzx eax, byte [rax]",
                                                                                     0xf0, 0x0f, 0xb6, 0x00)
                        VECTOR(64, "lock mov al, [moffs]", 0xf0, 0xa0, 1, 2, 3, 4, 5, 6, 7,
                               8) VECTOR(64, "xrelease mov [rax], ecx", 0xf3, 0x89, 0x08)
                            VECTOR(64, "xacquire xchg [rax], ecx", 0xf2, 0x87, 0x08)
                                VECTOR(64, "mov [rax], ds", 0x8c, 0x18) VECTOR(64, "mov ds, [rax]", 0x8e, 0x18)
                                    VECTOR(64, "movsb", 0xa4) VECTOR(64, "rep stosd", 0xf3, 0xab) VECTOR(
                                        64, "add [rax], ecx", 0x01, 0x08) VECTOR(64, "or dword [rax], 1", 0x83, 0x08, 1)
                                        VECTOR(64, "cmpxchg [rax], ecx", 0x0f, 0xb1,
                                               0x08) VECTOR(64, "lock xadd [rax], ecx", 0xf0, 0x0f, 0xc1, 0x08)
                                            VECTOR(64, "movbe ecx, [rax]", 0x0f, 0x38, 0xf0,
                                                   0x08) VECTOR(64, "movnti [rax], ecx", 0x0f, 0xc3, 0x08)
                                                VECTOR(64, "movups xmm1, [rax]", 0x0f, 0x10,
                                                       0x08) VECTOR(64, "vmovups xmm1, [rax]", 0xc5, 0xf8, 0x10, 0x08)
                                                    VECTOR(64, "push [rax]", 0xff, 0x30)
                                                        VECTOR(64, "movsxd cx, [rax]", 0x66, 0x63, 0x08)
                                                            VECTOR(32, "arpl [eax], cx", 0x63, 0x08)
                                                                VECTOR(32, "inc eax", 0x40, 0x8b, 0x00)
                                                                    VECTOR(16, "arpl [bx+si], cx", 0x63, 0x08)
                                                                        VECTOR(64, "16 bytes", 0x2e, 0x2e, 0x2e, 0x2e,
                                                                               0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x8b, 0x84,
                                                                               0x24, 1, 2, 3, 4)
                                                                            VECTOR(64, "15 prefixes", 0x66, 0x66, 0x66,
                                                                                   0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                                                                                   0x66, 0x66, 0x66, 0x66, 0x66, 0x66)
#undef VECTOR
};

static enum decode_mode mode_of(unsigned bits)
{
    return bits == 64 ? DECODE_64 : bits == 32 ? DECODE_32 : DECODE_16;
}

/* Decodes from a block of exactly `available` bytes. */
static enum decode_result decode_exactly(const uint8_t *bytes, unsigned available, unsigned mode, struct decoded *out)
{
    uint8_t *block = malloc(available ? available : 1);
    enum decode_result result;

    if (available != 0)
        memcpy(block, bytes, available);
    result = decode_instruction(block, available, mode_of(mode), out);
    free(block);
    return result;
}

static void takes(void **state)
{
    const struct vector *v = *state;
    struct decoded d;

    assert_int_equal(decode_exactly(v->bytes, v->length, v->mode, &d), DECODE_OK);
    assert_int_equal(d.length, v->length);
    assert_int_equal(d.kind, v->expect.kind);
    assert_int_equal(d.size, v->expect.size);
    assert_int_equal(d.register_size, v->expect.register_size);
    assert_int_equal(d.reg, v->expect.reg);
    assert_int_equal(d.high_byte, v->expect.high_byte);
    assert_int_equal(d.sign_extend, v->expect.sign_extend);
    assert_int_equal(d.has_immediate, v->expect.has_immediate);
    if (d.has_immediate)
        assert_int_equal(d.immediate, v->expect.immediate);
}

static void ignores_what_follows(void **state)
{
    const struct vector *v = *state;
    struct decoded d;
    uint8_t bytes[INSTRUCTION_MAX + 5];

    memset(bytes, 0xf0, sizeof(bytes));
    memcpy(bytes, v->bytes, v->length);
    assert_int_equal(decode_exactly(bytes, sizeof(bytes), v->mode, &d), DECODE_OK);
    assert_int_equal(d.length, v->length);
}

static void reports_truncation(void **state)
{
    const struct vector *v = *state;
    struct decoded d;

    for (unsigned available = 0; available < v->length; available++)
        assert_int_equal(decode_exactly(v->bytes, available, v->mode, &d), DECODE_TRUNCATED);
}

static void refuses(void **state)
{
    const struct vector *v = *state;
    struct decoded d;

    assert_int_equal(decode_exactly(v->bytes, v->length, v->mode, &d), DECODE_UNSUPPORTED);
}

static bool one_byte_form(unsigned opcode, unsigned mode)
{
    return (opcode >= 0x86 && opcode <= 0x8b) || (opcode >= 0xa0 && opcode <= 0xa3) || opcode == 0xc6 ||
           opcode == 0xc7 || (opcode == 0x63 && mode == 64);
}

static bool is_prefix(unsigned opcode, unsigned mode)
{
    static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0 };

    for (size_t i = 0; i < COUNT_OF(prefixes); i++)
        if (opcode == prefixes[i])
            return true;
    return mode == 64 && opcode >= 0x40 && opcode <= 0x4f;
}

/* All one- and two-byte opcodes with an operand [EAX]: exactly the listed forms are taken. */
static void takes_only_listed_opcodes(void **state)
{
    static const unsigned modes[] = { 16, 32, 64 };

    (void)state;
    for (size_t m = 0; m < COUNT_OF(modes); m++)
        for (unsigned opcode = 0; opcode < 256; opcode++) {
            uint8_t one[INSTRUCTION_MAX] = { (uint8_t)opcode };
            uint8_t two[INSTRUCTION_MAX] = { 0x0f, (uint8_t)opcode };
            bool taken = one_byte_form(opcode, modes[m]);
            bool taken_0f = opcode == 0xb6 || opcode == 0xb7 || opcode == 0xbe || opcode == 0xbf;
            struct decoded d;

            if (is_prefix(opcode, modes[m]))
                continue;
            if ((decode_exactly(one, sizeof(one), modes[m], &d) == DECODE_OK) != taken)
                fail_msg("opcode %02x in %u-bit mode", opcode, modes[m]);
            if ((decode_exactly(two, sizeof(two), modes[m], &d) == DECODE_OK) != taken_0f)
                fail_msg("opcode 0f %02x in %u-bit mode", opcode, modes[m]);
        }
}

/* C6 and C7 are MOV as /0 only; REX.R is no part of that number. */
static void takes_only_mov_of_group_11(void **state)
{
    (void)state;
    for (unsigned reg = 0; reg < 8; reg++)
        for (unsigned opcode = 0xc6; opcode <= 0xc7; opcode++)
            for (unsigned rex = 0x40; rex <= 0x44; rex += 4) {
                uint8_t bytes[INSTRUCTION_MAX] = { (uint8_t)rex, (uint8_t)opcode, (uint8_t)(reg << 3) };
                struct decoded d;

                assert_int_equal(decode_exactly(bytes, sizeof(bytes), 64, &d),
                                 reg == 0 ? DECODE_OK : DECODE_UNSUPPORTED);
            }
}

static void stores_write_the_low_bytes(void **state)
{
    const uint64_t reg = UINT64_C(0x8877665544332211);
    struct decoded d = { .kind = DECODE_STORE };

    (void)state;
    d.size = 1;
    assert_int_equal(decode_store_value(&d, reg), 0x11);
    d.high_byte = true;
    assert_int_equal(decode_store_value(&d, reg), 0x22);
    d.high_byte = false;
    d.size = 2;
    assert_int_equal(decode_store_value(&d, reg), 0x2211);
    d.size = 4;
    assert_int_equal(decode_store_value(&d, reg), 0x44332211);
    d.size = 8;
    assert_int_equal(decode_store_value(&d, reg), reg);
    d.has_immediate = true;
    d.immediate = UINT64_C(0xffffffff80000000);
    assert_int_equal(decode_store_value(&d, reg), UINT64_C(0xffffffff80000000));
    d.size = 4;
    assert_int_equal(decode_store_value(&d, reg), 0x80000000);
    d.size = 1;
    assert_int_equal(decode_store_value(&d, reg), 0);
}

static void loads_merge_or_extend(void **state)
{
    static const struct {
        uint8_t size, register_size;
        bool high, sign;
        uint64_t expect;
    } loads[] = {
        { 1, 1, false, false, UINT64_C(0x88776655443322fe) }, { 1, 1, true, false, UINT64_C(0x887766554433fe11) },
        { 2, 2, false, false, UINT64_C(0x887766554433fdfe) }, { 4, 4, false, false, UINT64_C(0x00000000fbfcfdfe) },
        { 8, 8, false, false, UINT64_C(0xf7f8f9fafbfcfdfe) }, { 1, 2, false, false, UINT64_C(0x88776655443300fe) },
        { 1, 2, false, true, UINT64_C(0x887766554433fffe) },  { 1, 4, false, false, UINT64_C(0x00000000000000fe) },
        { 1, 4, false, true, UINT64_C(0x00000000fffffffe) },  { 1, 8, false, true, UINT64_C(0xfffffffffffffffe) },
        { 2, 4, false, true, UINT64_C(0x00000000fffffdfe) },  { 2, 8, false, false, UINT64_C(0x000000000000fdfe) },
        { 2, 8, false, true, UINT64_C(0xfffffffffffffdfe) },  { 4, 8, false, true, UINT64_C(0xfffffffffbfcfdfe) },
        { 4, 4, false, true, UINT64_C(0x00000000fbfcfdfe) },
    };
    const uint64_t reg = UINT64_C(0x8877665544332211), memory = UINT64_C(0xf7f8f9fafbfcfdfe);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(loads); i++) {
        struct decoded d = { .kind = DECODE_LOAD,
                             .size = loads[i].size,
                             .register_size = loads[i].register_size,
                             .high_byte = loads[i].high,
                             .sign_extend = loads[i].sign };

        if (decode_load_result(&d, reg, memory) != loads[i].expect)
            fail_msg("load %u", (unsigned)i);
    }
}

/* A positive value is never sign-extended, whatever lies above the memory operand. */
static void loads_ignore_higher_bytes(void **state)
{
    struct decoded d = { .kind = DECODE_LOAD, .size = 1, .register_size = 8, .sign_extend = true };

    (void)state;
    assert_int_equal(decode_load_result(&d, 0, UINT64_C(0xffffffffffffff7f)), 0x7f);
    d.size = 2;
    assert_int_equal(decode_load_result(&d, 0, UINT64_C(0xffffffffffff7fff)), 0x7fff);
    d.size = 4;
    assert_int_equal(decode_load_result(&d, 0, UINT64_C(0xffffffff7fffffff)), 0x7fffffff);
}

int main(void)
{
    struct group g = { 0 };

    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        const struct vector *v = &vectors[i];

        group_add(&g, takes, v, "%u-bit %s", v->mode, v->name);
        group_add(&g, ignores_what_follows, v, "%u-bit %s, bytes behind", v->mode, v->name);
        group_add(&g, reports_truncation, v, "%u-bit %s, truncated", v->mode, v->name);
    }
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        group_add(&g, refuses, &refused[i], "%u-bit refuses %s", refused[i].mode, refused[i].name);
    group_add(&g, takes_only_listed_opcodes, NULL, "takes only listed opcodes");
    group_add(&g, takes_only_mov_of_group_11, NULL, "takes only MOV of group 11");
    group_add(&g, stores_write_the_low_bytes, NULL, "stores write the low bytes");
    group_add(&g, loads_merge_or_extend, NULL, "loads merge or extend");
    group_add(&g, loads_ignore_higher_bytes, NULL, "loads ignore higher bytes");
    return group_run(&g, "decode");
}
