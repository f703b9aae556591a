/* SPDX-License-Identifier: GPL-2.0-only */
/* What every libFuzzer target includes: a reader over the input, and a check that stays in every build. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: violated: %s\n", __FILE__, __LINE__, #condition);                                  \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* Takes the input apart from its front; zeros once it is used up. */
struct input {
    const uint8_t *data;
    size_t size;
};

static inline uint64_t take(struct input *in, size_t bytes)
{
    uint64_t value = 0;
    size_t count = bytes < in->size ? bytes : in->size;

    memcpy(&value, in->data, count);
    in->data += count;
    in->size -= count;
    return value;
}

#endif
