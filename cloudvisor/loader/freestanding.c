/* SPDX-License-Identifier: GPL-2.0-only */
/* The functions that the compiler may call in freestanding code. */
#include <stddef.h>

void *memset(void *target, int value, size_t size);
void *memcpy(void *target, const void *source, size_t size);

void *memset(void *target, int value, size_t size)
{
    void *at = target;

    __asm__ volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(value) : "memory");
    return target;
}

void *memcpy(void *target, const void *source, size_t size)
{
    void *at = target;

    __asm__ volatile("rep movsb" : "+D"(at), "+S"(source), "+c"(size) : : "memory");
    return target;
}
