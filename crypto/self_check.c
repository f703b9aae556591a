/* SPDX-License-Identifier: GPL-2.0-only */
/* One page of no importance, under a key that is thrown away. */
#include <string.h>
#include "crypto/page_crypt.h"
#include "crypto/random.h"

enum { PLAINTEXT = 'p', GFN = 1, VM_ID = 2 };
static struct page_crypt crypt;
static uint8_t frame[PAGE_CRYPT_FRAME_BYTES];

/* Each byte is like the next, and the first one is right. */
static bool frame_is_plain(void)
{
    return frame[0] == PLAINTEXT && memcmp(frame, frame + 1, sizeof(frame) - 1) == 0;
}

bool page_crypt_self_check(void)
{
    struct page_seal seal = { 0 };
    uint8_t key[PAGE_CRYPT_KEY_BYTES];
    bool works;

    memset(frame, PLAINTEXT, sizeof(frame));
    page_crypt_init(&crypt);
    works = random_bytes(key, sizeof(key)) && page_crypt_setkey(&crypt, key, VM_ID) == PAGE_CRYPT_OK &&
            page_crypt_seal(&crypt, GFN, frame, &seal) == PAGE_CRYPT_OK && !frame_is_plain() &&
            page_crypt_open(&crypt, GFN, frame, &seal) == PAGE_CRYPT_OK && frame_is_plain() &&
            page_crypt_open(&crypt, GFN, frame, &seal) == PAGE_CRYPT_FORGED;
    page_crypt_free(&crypt);
    return works;
}
