/* SPDX-License-Identifier: GPL-2.0-only */
/* Strict reader of deterministic CBOR. No recursion, no allocation. See cbor.h. */
#include <string.h>
#include "attest/cvverify/cbor.h"

struct cbor_reader cbor_over(struct bytes range)
{
    return (struct cbor_reader){ cursor_over(range), CBOR_OK };
}

static uint64_t fail(struct cbor_reader *r, enum cbor_error error)
{
    if (r->error == CBOR_OK)
        r->error = error;
    r->c.failed = true;
    return 0;
}

/* The argument that follows the initial byte in 1, 2, 4 or 8 bytes. */
static uint64_t long_argument(struct cbor_reader *r, unsigned info)
{
    static const uint64_t shortest[] = { 24, UINT64_C(1) << 8, UINT64_C(1) << 16, UINT64_C(1) << 32 };
    uint64_t value = cursor_be(&r->c, 1u << (info - 24));

    if (r->c.failed)
        return fail(r, CBOR_CUT_OFF);
    if (value < shortest[info - 24])
        return fail(r, CBOR_NOT_SHORTEST);
    return value;
}

static uint64_t argument(struct cbor_reader *r, unsigned info)
{
    if (info < 24)
        return info;
    if (info == 31)
        return fail(r, CBOR_INDEFINITE);
    if (info > 27)
        return fail(r, CBOR_RESERVED);
    return long_argument(r, info);
}

static uint64_t any_head(struct cbor_reader *r, unsigned *major)
{
    uint8_t initial = cursor_u8(&r->c);

    *major = initial >> 5;
    if (r->c.failed)
        return fail(r, CBOR_CUT_OFF);
    if (*major == 7)
        return fail(r, CBOR_SIMPLE);
    return argument(r, initial & 31);
}

uint64_t cbor_head(struct cbor_reader *r, enum cbor_major expected)
{
    unsigned major;
    uint64_t value = any_head(r, &major);

    if (r->error == CBOR_OK && major != expected)
        return fail(r, CBOR_WRONG_KIND);
    return value;
}

int64_t cbor_int(struct cbor_reader *r)
{
    unsigned major;
    uint64_t value = any_head(r, &major);

    if (r->error != CBOR_OK)
        return 0;
    if (major > CBOR_NEGATIVE || value > INT64_MAX)
        return (int64_t)fail(r, CBOR_WRONG_KIND);
    return major == CBOR_NEGATIVE ? -1 - (int64_t)value : (int64_t)value;
}

struct bytes cbor_string(struct cbor_reader *r, enum cbor_major expected)
{
    uint64_t size = cbor_head(r, expected);
    struct bytes string = { NULL, 0 };

    if (r->error != CBOR_OK)
        return string;
    if (size > r->c.left)
        fail(r, CBOR_CUT_OFF);
    else
        string = cursor_bytes(&r->c, (size_t)size);
    return string;
}

struct cbor_map cbor_map_open(struct cbor_reader *r)
{
    return (struct cbor_map){ cbor_head(r, CBOR_MAP), { NULL, 0 } };
}

/* Bytewise order of the keys' encodings. A canonical key is never the beginning of another. */
static void check_key_order(struct cbor_reader *r, struct bytes last, struct bytes key)
{
    size_t size = last.size < key.size ? last.size : key.size;
    int order = memcmp(last.data, key.data, size);

    if (order == 0 && last.size == key.size)
        fail(r, CBOR_DUPLICATE_KEY);
    else if (order > 0)
        fail(r, CBOR_KEY_ORDER);
}

bool cbor_map_key(struct cbor_reader *r, struct cbor_map *map, int64_t *key)
{
    struct bytes encoding = { r->c.at, 0 };

    if (r->error != CBOR_OK || map->left == 0)
        return false;
    map->left--;
    *key = cbor_int(r);
    if (r->error != CBOR_OK)
        return false;
    encoding.size = (size_t)(r->c.at - encoding.data);
    if (map->last_key.data)
        check_key_order(r, map->last_key, encoding);
    map->last_key = encoding;
    return r->error == CBOR_OK;
}

bool cbor_finish(struct cbor_reader *r)
{
    if (r->error == CBOR_OK && r->c.left)
        fail(r, CBOR_TRAILING);
    return r->error == CBOR_OK;
}

const char *cbor_error_text(enum cbor_error error)
{
    static const char *const texts[] = {
        [CBOR_OK] = "no error",
        [CBOR_CUT_OFF] = "it is cut off, or a length exceeds it",
        [CBOR_INDEFINITE] = "an indefinite length",
        [CBOR_RESERVED] = "a reserved initial byte",
        [CBOR_SIMPLE] = "a floating-point or simple value",
        [CBOR_NOT_SHORTEST] = "a number that is not in its shortest form",
        [CBOR_WRONG_KIND] = "an item of the wrong kind",
        [CBOR_DUPLICATE_KEY] = "a duplicate map key",
        [CBOR_KEY_ORDER] = "map keys out of order",
        [CBOR_TRAILING] = "trailing bytes",
    };

    return texts[error];
}
