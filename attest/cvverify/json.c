/* SPDX-License-Identifier: GPL-2.0-only */
/* A small JSON writer. See json.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "attest/cvverify/json.h"

void json_raw(struct json *j, const char *text, size_t size)
{
    if (size > j->capacity - j->size) {
        j->capacity = 2 * j->capacity + size + 256;
        j->text = realloc(j->text, j->capacity);
        if (!j->text) {
            fputs("cvverify: no memory\n", stderr);
            exit(1);
        }
    }
    memcpy(j->text + j->size, text, size);
    j->size += size;
}

static void put(struct json *j, const char *text)
{
    json_raw(j, text, strlen(text));
}

static void put_quoted(struct json *j, const char *text)
{
    char escape[8];

    put(j, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            snprintf(escape, sizeof(escape), "\\%c", *text);
        else if (*text < ' ' || *text > '~')
            snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)(unsigned char)*text);
        else
            snprintf(escape, sizeof(escape), "%c", *text);
        put(j, escape);
    }
    put(j, "\"");
}

static void begin(struct json *j, const char *key)
{
    if (j->comma)
        put(j, ",");
    if (key) {
        put_quoted(j, key);
        put(j, ":");
    }
    j->comma = true;
}

void json_open(struct json *j, const char *key, char bracket)
{
    begin(j, key);
    json_raw(j, &bracket, 1);
    j->comma = false;
}

void json_close(struct json *j, char bracket)
{
    json_raw(j, &bracket, 1);
    j->comma = true;
}

void json_string(struct json *j, const char *key, const char *value)
{
    begin(j, key);
    put_quoted(j, value);
}

void json_hex(struct json *j, const char *key, struct bytes value)
{
    char pair[3];

    begin(j, key);
    put(j, "\"");
    for (size_t i = 0; i < value.size; i++) {
        snprintf(pair, sizeof(pair), "%02x", value.data[i]);
        put(j, pair);
    }
    put(j, "\"");
}

void json_number(struct json *j, const char *key, uint64_t value)
{
    char digits[24];

    begin(j, key);
    snprintf(digits, sizeof(digits), "%" PRIu64, value);
    put(j, digits);
}

void json_bool(struct json *j, const char *key, bool value)
{
    begin(j, key);
    put(j, value ? "true" : "false");
}

bool json_print(struct json *j)
{
    bool well;

    put(j, "\n");
    well = fwrite(j->text, 1, j->size, stdout) == j->size;
    json_release(j);
    return well;
}

void json_release(struct json *j)
{
    free(j->text);
    *j = (struct json){ 0 };
}
