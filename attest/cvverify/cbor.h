/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Strict reader of deterministic CBOR (RFC 8949, "Core Deterministic Encoding Requirements"): definite lengths,
 * shortest heads, map keys in order and so without duplicates. Integers, byte and text strings, arrays, maps and tags;
 * floating-point and simple values have no use here and are refused.
 */
#ifndef CVVERIFY_CBOR_H
#define CVVERIFY_CBOR_H

#include "attest/cvverify/cursor.h"

enum cbor_major {
    CBOR_UINT = 0,
    CBOR_NEGATIVE = 1,
    CBOR_BYTES = 2,
    CBOR_TEXT = 3,
    CBOR_ARRAY = 4,
    CBOR_MAP = 5,
    CBOR_TAG = 6,
};

enum cbor_error {
    CBOR_OK = 0,
    CBOR_CUT_OFF,
    CBOR_INDEFINITE,
    CBOR_RESERVED,
    CBOR_SIMPLE,
    CBOR_NOT_SHORTEST,
    CBOR_WRONG_KIND,
    CBOR_DUPLICATE_KEY,
    CBOR_KEY_ORDER,
    CBOR_TRAILING,
};

struct cbor_reader {
    struct cursor c;
    enum cbor_error error; /* the first one; after it, everything reads as 0 */
};

/* The keys of one map, as read so far. */
struct cbor_map {
    uint64_t left;
    struct bytes last_key; /* its encoding */
};

struct cbor_reader cbor_over(struct bytes range);

/* An item's number: the value, the length, the count or the tag. */
uint64_t cbor_head(struct cbor_reader *r, enum cbor_major expected);

/* An integer of either sign that fits 63 bits. */
int64_t cbor_int(struct cbor_reader *r);
struct bytes cbor_string(struct cbor_reader *r, enum cbor_major expected);
struct cbor_map cbor_map_open(struct cbor_reader *r);

/* The next integer key. False at the map's end and on errors. */
bool cbor_map_key(struct cbor_reader *r, struct cbor_map *map, int64_t *key);

/* Nothing may follow. True if there was no error at all. */
bool cbor_finish(struct cbor_reader *r);

const char *cbor_error_text(enum cbor_error error);

#endif
