/* SPDX-License-Identifier: GPL-2.0-only */
/* SHA-256, hexadecimal text, constant-time comparison, and the system's random source. */
#ifndef CVVERIFY_DIGEST_H
#define CVVERIFY_DIGEST_H

#include "attest/cvverify/cursor.h"

enum { DIGEST_SIZE = 32, DIGEST_HEX = 2 * DIGEST_SIZE + 1 };

struct digest {
    uint8_t byte[DIGEST_SIZE];
};

struct digest digest_of(struct bytes data);
struct digest digest_of_pair(struct bytes first, struct bytes second);

/* `value` becomes SHA-256(value | event), as TPM2_PCR_Extend does it. */
void digest_extend(struct digest *value, const struct digest *event);

bool digest_equal(const struct digest *a, const struct digest *b);
bool digest_is_zero(const struct digest *d);

/* Takes the same time wherever the bytes differ. False for different sizes. */
bool bytes_equal_secret(struct bytes a, struct bytes b);
bool bytes_equal(struct bytes a, struct bytes b);

/* Lower-case text with terminator: 2 * size + 1 bytes. Returns `out`. */
char *hex_text(struct bytes data, char *out);
char *digest_text(const struct digest *d, char out[DIGEST_HEX]);

/* Reads exactly 2 * size hexadecimal digits. */
bool hex_parse(const char *text, size_t length, uint8_t *out, size_t size);

/* From getrandom(); ends the program if the system has none. The second form is for Mbed TLS. */
void random_fill(uint8_t *out, size_t size);
int random_callback(void *unused, unsigned char *out, size_t size);

#endif
