/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Decodes instructions from standard input, one per line as "<mode bits> <hex bytes>", and prints what the decoder
 * makes of each. decode_objdump compares that with the disassembler's opinion.
 */
#include <stdio.h>
#include <string.h>
#include "cloudvisor/decode.h"

static unsigned parse_hex(const char *text, uint8_t bytes[INSTRUCTION_MAX])
{
    unsigned count = 0, value;

    while (count < INSTRUCTION_MAX && sscanf(text + 2 * count, "%2x", &value) == 1)
        bytes[count++] = (uint8_t)value;
    return count;
}

static enum decode_mode mode_of(unsigned bits)
{
    return bits == 64 ? DECODE_64 : bits == 32 ? DECODE_32 : DECODE_16;
}

int main(void)
{
    static const char *const kinds[] = { "load", "store", "xchg" };
    char line[128], hex[64];
    unsigned bits;

    while (fgets(line, sizeof(line), stdin) != NULL && sscanf(line, "%u %63s", &bits, hex) == 2) {
        uint8_t bytes[INSTRUCTION_MAX] = { 0 };
        struct decoded d;
        unsigned count = parse_hex(hex, bytes);
        enum decode_result result = decode_instruction(bytes, count, mode_of(bits), &d);

        if (result == DECODE_OK)
            printf("%u %s %u %u %u %d %d %d %#llx\n", d.length, kinds[d.kind], d.size, d.register_size, d.reg,
                   d.high_byte, d.sign_extend, d.has_immediate, (unsigned long long)decode_store_value(&d, 0));
        else
            puts(result == DECODE_TRUNCATED ? "truncated" : "unsupported");
    }
    return 0;
}
