/* SPDX-License-Identifier: GPL-2.0-only */
/* The four functions that a compiler may call in freestanding code. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

void *memset(void *to, int value, size_t n)
{
    uint64_t word = (uint8_t)value * UINT64_C(0x0101010101010101);
    size_t words = n / 8, bytes = n % 8;
    void *start = to;

    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(word) : "memory");
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(word) : "memory");
    return start;
}

void *memmove(void *to, const void *from, size_t n)
{
    unsigned char *t = to;
    const unsigned char *f = from;
    size_t words = n / 8, bytes = n % 8;

    if ((uintptr_t)to - (uintptr_t)from < n) {
        while (n-- > 0)
            t[n] = f[n];
        return to;
    }
    __asm__ volatile("rep movsq" : "+D"(t), "+S"(f), "+c"(words) : : "memory");
    __asm__ volatile("rep movsb" : "+D"(t), "+S"(f), "+c"(bytes) : : "memory");
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n) __attribute__((alias("memmove")));

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;

    for (size_t i = 0; i < n; i++) {
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    }
    return 0;
}
