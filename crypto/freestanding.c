/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the crypto library expects of a C library, in the layer: memory from heap.c, locks that are held already, and
 * nothing else. Input and output occur in its self-tests and seed files, which the layer never calls.
 */
#include <stddef.h>
#include "cloudvisor/log.h"
#include "crypto/heap.h"
#include "crypto/random.h"
#include "crypto/vector_state.h"

void *calloc(size_t count, size_t size);
void *calloc(size_t count, size_t size)
{
    return heap_calloc(count, size);
}

void free(void *memory);
void free(void *memory)
{
    heap_free(memory);
}

bool crypto_cpu_init(struct crypto_cpu *cpu)
{
    uint64_t value = 0;

    if (!hw_rdrand64(&value))
        return false;
    cpu->canary = value & ~UINT64_C(0xff); /* a zero byte ends a string that runs over it */
    return true;
}

_Noreturn void __stack_chk_fail(void);
_Noreturn void __stack_chk_fail(void)
{
    cv_panic("a stack canary was overwritten");
}

/* The layer's lock is held around every call into the library. */
#define NOTHING_TO_DO(name)                                                                                            \
    int name(void);                                                                                                    \
    int name(void)                                                                                                     \
    {                                                                                                                  \
        return 0;                                                                                                      \
    }
NOTHING_TO_DO(pthread_mutex_init)
NOTHING_TO_DO(pthread_mutex_destroy)
NOTHING_TO_DO(pthread_mutex_lock)
NOTHING_TO_DO(pthread_mutex_unlock)

#define NEVER_CALLED(name)                                                                                             \
    _Noreturn void name(void);                                                                                         \
    _Noreturn void name(void)                                                                                          \
    {                                                                                                                  \
        cv_panic("the crypto library called %s", #name);                                                               \
    }
NEVER_CALLED(__memcpy_chk)
NEVER_CALLED(__printf_chk)
NEVER_CALLED(ferror)
NEVER_CALLED(fclose)
NEVER_CALLED(fopen)
NEVER_CALLED(fread)
NEVER_CALLED(fwrite)
NEVER_CALLED(gmtime_r)
NEVER_CALLED(putchar)
NEVER_CALLED(puts)
