/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The crypto module as the layer will link it, without a C library: a static program whose only helpers are a stack
 * and three system calls. It seals and opens a page with real random keys, hashes, checks the vector registers,
 * and finally smashes the canary, which must end in cv_panic. Exit code 0 if all of it held.
 */
#include <string.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/sha256.h>
#include "cloudvisor/log.h"
#include "crypto/page_crypt.h"
#include "crypto/random.h"
#include "crypto/vector_state.h"

enum { SYS_WRITE = 1, SYS_ARCH_PRCTL = 158, SYS_EXIT_GROUP = 231, ARCH_SET_FS = 0x1002 };

static struct crypto_cpu cpu;
static struct page_crypt crypt;
static uint64_t frame[PAGE_CRYPT_FRAME_BYTES / 8];
static bool panic_expected;

static long system_call(long number, long a, long b, long c)
{
    long result;

    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

static _Noreturn void leave(int status, const char *text)
{
    long length = 0;

    while (text[length] != 0)
        length++;
    system_call(SYS_WRITE, 1, (long)text, length);
    for (;;)
        system_call(SYS_EXIT_GROUP, status, 0, 0);
}

_Noreturn void cv_panic(const char *format, ...)
{
    leave(panic_expected && format[0] == 'a' ? 0 : 1, panic_expected ? "link check: passed\n" : "link check: panic\n");
}

static void must(bool condition, const char *what)
{
    if (!condition)
        leave(1, what);
}

static bool frame_is(uint64_t value)
{
    for (unsigned i = 0; i < PAGE_CRYPT_FRAME_BYTES / 8; i++) {
        if (frame[i] != value)
            return false;
    }
    return true;
}

/* SHA-256 of "abc", the first example of FIPS 180-4. */
static bool hash_is_known(void)
{
    static const uint8_t first[] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea };
    static mbedtls_sha256_context hash;
    uint8_t digest[32] = { 0 };
    bool done;

    mbedtls_sha256_init(&hash);
    done = mbedtls_sha256_starts_ret(&hash, 0) == 0 &&
           mbedtls_sha256_update_ret(&hash, (const uint8_t *)"abc", 3) == 0 &&
           mbedtls_sha256_finish_ret(&hash, digest) == 0;
    mbedtls_sha256_free(&hash);
    return done && memcmp(digest, first, sizeof(first)) == 0;
}

static void use_everything(void)
{
    static const uint8_t extra[32];
    struct page_seal seal = { 0 };
    uint8_t key[PAGE_CRYPT_KEY_BYTES];

    must(hash_is_known(), "link check: hash\n");
    must(random_init(extra, sizeof(extra)), "link check: random_init\n");
    must(page_crypt_self_check(), "link check: self-check\n");
    must(random_bytes(key, sizeof(key)), "link check: random\n");
    page_crypt_init(&crypt);
    must(page_crypt_setkey(&crypt, key, 1) == PAGE_CRYPT_OK, "link check: setkey\n");
    must(page_crypt_seal(&crypt, 7, frame, &seal) == PAGE_CRYPT_OK && !frame_is(42), "link check: seal\n");
    must(page_crypt_open(&crypt, 7, frame, &seal) == PAGE_CRYPT_OK && frame_is(42), "link check: open\n");
    must(page_crypt_open(&crypt, 7, frame, &seal) == PAGE_CRYPT_FORGED && frame_is(0), "link check: forged\n");
    page_crypt_free(&crypt);
    random_free();
}

/* As seen by the library function that calls this one, its canary was overwritten. */
static int smash_canary(void *unused, unsigned char *to, size_t size)
{
    (void)unused;
    memset(to, 1, size);
    cpu.canary++;
    return 0;
}

void link_check(void);
void link_check(void)
{
    static const struct vector_state marked = { { { 1 }, { 2 }, { 3 }, { 4 }, { 5 }, { 6 }, { 7 }, { 8 } } };
    static mbedtls_ctr_drbg_context smashed;
    struct vector_state after;

    must(crypto_cpu_init(&cpu) && cpu.canary != 0, "link check: canary\n");
    system_call(SYS_ARCH_PRCTL, ARCH_SET_FS, (long)&cpu, 0);
    for (unsigned i = 0; i < PAGE_CRYPT_FRAME_BYTES / 8; i++)
        frame[i] = 42;
    crypto_end(&marked);
    crypto_begin(&cpu.interrupted);
    use_everything();
    crypto_begin(&after);
    must(memcmp(&after, &marked, sizeof(after)) != 0, "link check: the library used no vector registers\n");
    crypto_end(&cpu.interrupted);
    crypto_begin(&after);
    must(memcmp(&after, &marked, sizeof(after)) == 0, "link check: vector registers\n");
    panic_expected = true;
    mbedtls_ctr_drbg_init(&smashed);
    (void)mbedtls_ctr_drbg_seed(&smashed, smash_canary, NULL, NULL, 0);
    leave(1, "link check: no canary\n");
}

__asm__(".globl link_check_start\n"
        "link_check_start:\n"
        "    xor %ebp, %ebp\n"
        "    and $-16, %rsp\n"
        "    call link_check\n");
