/* SPDX-License-Identifier: GPL-2.0-only */
/* Writes JSON into memory that grows: for --json and for signed results. Commas and escapes are its business. */
#ifndef CVVERIFY_JSON_H
#define CVVERIFY_JSON_H

#include "attest/cvverify/cursor.h"

struct json {
    char *text; /* NULL until something was written; never terminated */
    size_t size;
    size_t capacity;
    bool comma; /* the next value needs one before it */
};

/* In an object each value has a key; in an array `key` is NULL. */
void json_open(struct json *j, const char *key, char bracket);
void json_close(struct json *j, char bracket);
void json_string(struct json *j, const char *key, const char *value);
void json_hex(struct json *j, const char *key, struct bytes value);
void json_number(struct json *j, const char *key, uint64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_raw(struct json *j, const char *text, size_t size);

/* To standard output, with a new line; then released. False if that failed. */
bool json_print(struct json *j);
void json_release(struct json *j);

#endif
