/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A reader over bytes that nobody vouches for. Every access is bounds-checked; after the first one that doesn't fit,
 * `failed` stays set, numbers read as 0 and byte ranges as NULL, so that a parser may check once at its end.
 */
#ifndef CVVERIFY_CURSOR_H
#define CVVERIFY_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A range of somebody else's memory. */
struct bytes {
    const uint8_t *data;
    size_t size;
};

struct cursor {
    const uint8_t *at;
    size_t left;
    bool failed;
};

static inline struct cursor cursor_over(struct bytes range)
{
    return (struct cursor){ range.data, range.size, false };
}

/* The next `size` bytes, or NULL. */
static inline const uint8_t *cursor_take(struct cursor *c, size_t size)
{
    const uint8_t *start = c->at;

    if (c->failed || size > c->left) {
        c->failed = true;
        return NULL;
    }
    if (size) {
        c->at += size;
        c->left -= size;
    }
    return start;
}

static inline struct bytes cursor_bytes(struct cursor *c, size_t size)
{
    const uint8_t *start = cursor_take(c, size);

    return start ? (struct bytes){ start, size } : (struct bytes){ NULL, 0 };
}

static inline uint64_t cursor_be(struct cursor *c, unsigned size)
{
    const uint8_t *p = cursor_take(c, size);
    uint64_t value = 0;

    for (unsigned i = 0; p && i < size; i++)
        value = value << 8 | p[i];
    return value;
}

static inline uint64_t cursor_le(struct cursor *c, unsigned size)
{
    const uint8_t *p = cursor_take(c, size);
    uint64_t value = 0;

    for (unsigned i = 0; p && i < size; i++)
        value |= (uint64_t)p[i] << 8 * i;
    return value;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
    return (uint8_t)cursor_be(c, 1);
}

static inline uint16_t cursor_be16(struct cursor *c)
{
    return (uint16_t)cursor_be(c, 2);
}

static inline uint32_t cursor_be32(struct cursor *c)
{
    return (uint32_t)cursor_be(c, 4);
}

static inline uint16_t cursor_le16(struct cursor *c)
{
    return (uint16_t)cursor_le(c, 2);
}

static inline uint32_t cursor_le32(struct cursor *c)
{
    return (uint32_t)cursor_le(c, 4);
}

/* A TPM2B: 16-bit size and as many bytes. */
static inline struct bytes cursor_tpm2b(struct cursor *c)
{
    return cursor_bytes(c, cursor_be16(c));
}

/* All read, nothing missing, nothing left over. */
static inline bool cursor_done(const struct cursor *c)
{
    return !c->failed && c->left == 0;
}

#endif
