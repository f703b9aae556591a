/* SPDX-License-Identifier: GPL-2.0-only */
/* Little-endian fields and text in byte buffers, for tables whose fields are not aligned. */
#ifndef BUNDLE_BYTES_H
#define BUNDLE_BYTES_H

#include <stdint.h>

static inline void put_le(uint8_t *at, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static inline uint64_t get_le(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

/* The first `bytes` characters of `text`, without a terminator. */
static inline void put_text(uint8_t *at, unsigned bytes, const char *text)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (uint8_t)text[i];
}

#endif
