/* SPDX-License-Identifier: GPL-2.0-only */
/* SHA-256 over Mbed TLS, hexadecimal text, constant-time comparison, random bytes. See digest.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <mbedtls/sha256.h>
#include "attest/cvverify/digest.h"

struct digest digest_of(struct bytes data)
{
    return digest_of_pair(data, (struct bytes){ NULL, 0 });
}

struct digest digest_of_pair(struct bytes first, struct bytes second)
{
    struct digest d;
    mbedtls_sha256_context hash;

    mbedtls_sha256_init(&hash);
    if (mbedtls_sha256_starts_ret(&hash, 0) != 0 || mbedtls_sha256_update_ret(&hash, first.data, first.size) != 0 ||
        mbedtls_sha256_update_ret(&hash, second.data, second.size) != 0 ||
        mbedtls_sha256_finish_ret(&hash, d.byte) != 0)
        abort();
    mbedtls_sha256_free(&hash);
    return d;
}

void digest_extend(struct digest *value, const struct digest *event)
{
    *value = digest_of_pair((struct bytes){ value->byte, DIGEST_SIZE }, (struct bytes){ event->byte, DIGEST_SIZE });
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return memcmp(a->byte, b->byte, DIGEST_SIZE) == 0;
}

bool digest_is_zero(const struct digest *d)
{
    static const struct digest zero;

    return digest_equal(d, &zero);
}

bool bytes_equal_secret(struct bytes a, struct bytes b)
{
    volatile uint8_t difference = 0;

    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++)
        difference = (uint8_t)(difference | (a.data[i] ^ b.data[i]));
    return difference == 0;
}

bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

char *hex_text(struct bytes data, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < data.size; i++) {
        out[2 * i] = digits[data.data[i] >> 4];
        out[2 * i + 1] = digits[data.data[i] & 15];
    }
    out[2 * data.size] = '\0';
    return out;
}

char *digest_text(const struct digest *d, char out[DIGEST_HEX])
{
    return hex_text((struct bytes){ d->byte, DIGEST_SIZE }, out);
}

static int hex_digit(char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    if (letter >= 'a' && letter <= 'f')
        return letter - 'a' + 10;
    if (letter >= 'A' && letter <= 'F')
        return letter - 'A' + 10;
    return -1;
}

bool hex_parse(const char *text, size_t length, uint8_t *out, size_t size)
{
    if (length != 2 * size)
        return false;
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void random_fill(uint8_t *out, size_t size)
{
    while (size) {
        ssize_t got = getrandom(out, size < 256 ? size : 256, 0);

        if (got <= 0) {
            fputs("cvverify: the system gives no random bytes\n", stderr);
            exit(1);
        }
        out += got;
        size -= (size_t)got;
    }
}

int random_callback(void *unused, unsigned char *out, size_t size)
{
    (void)unused;
    random_fill(out, size);
    return 0;
}
