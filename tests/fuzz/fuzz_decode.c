/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libFuzzer target: any bytes as an instruction. What is taken is well-formed, ends where it says, and depends on no
 * byte behind its end; the input lies in a block of its own size.
 */
#include "fuzz.h"
#include "cloudvisor/decode.h"

static void check(const struct decoded *d)
{
    require(d->length >= 2 && d->length <= INSTRUCTION_MAX);
    require(d->size == 1 || d->size == 2 || d->size == 4 || d->size == 8);
    require(d->register_size == 1 || d->register_size == 2 || d->register_size == 4 || d->register_size == 8);
    require(d->register_size == d->size || (d->kind == DECODE_LOAD && d->register_size > d->size));
    require(d->reg < 16);
    require(!d->high_byte || (d->reg < 4 && d->register_size == 1));
    require(!d->has_immediate || d->kind == DECODE_STORE);
    require(d->size == 8 || decode_store_value(d, UINT64_MAX) >> (8 * d->size) == 0);
    require(d->register_size < 8 || d->size == 8 || d->sign_extend || decode_load_result(d, 0, UINT64_MAX) >> 32 == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum decode_mode modes[] = { DECODE_16, DECODE_32, DECODE_64, DECODE_64 };
    struct decoded d, again;
    uint8_t padded[INSTRUCTION_MAX];
    enum decode_result result;
    enum decode_mode mode;

    if (size < 1)
        return 0;
    mode = modes[data[0] & 3];
    result = decode_instruction(data + 1, (unsigned)size - 1, mode, &d);
    require(result == DECODE_OK || result == DECODE_UNSUPPORTED || result == DECODE_TRUNCATED);
    require(result != DECODE_TRUNCATED || size - 1 < INSTRUCTION_MAX);
    if (result != DECODE_OK)
        return 0;
    check(&d);
    require(d.length <= size - 1);
    memset(padded, 0xa5, sizeof(padded));
    memcpy(padded, data + 1, d.length);
    require(decode_instruction(padded, INSTRUCTION_MAX, mode, &again) == DECODE_OK);
    require(memcmp(&d, &again, sizeof(d)) == 0);
    for (unsigned i = 0; i < d.length; i++)
        require(decode_instruction(padded, i, mode, &again) == DECODE_TRUNCATED);
    return 0;
}
