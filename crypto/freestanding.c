/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the crypto library expects of a C library, in the layer: memory (heap.c), a stack canary, locks that are held
 * already, and nothing else. Input, output and time occur in its self-tests and seed files, which the layer
 * never calls.
 */
#include "cloudvisor/log.h"
#include "crypto/random.h"
#include "crypto/vector_state.h"

bool crypto_cpu_init(struct crypto_cpu *cpu)
{
    if (!random_word(&cpu->canary))
        return false;
    cpu->canary &= ~UINT64_C(0xff); /* its zero byte ends a string that runs over it */
    return cpu->canary != 0;
}

_Noreturn void __stack_chk_fail(void)
{
    cv_panic("a stack canary was overwritten");
}

/* The layer's lock is held around every call into the library. */
__attribute__((used)) static int lock_is_held(void)
{
    return 0;
}

__attribute__((used)) static _Noreturn void never_called(void)
{
    cv_panic("the crypto library asked for input, output or the time");
}

__asm__(".irp name, init, destroy, lock, unlock\n"
        ".globl pthread_mutex_\\name\n .set pthread_mutex_\\name, lock_is_held\n .endr\n"
        ".irp name, __memcpy_chk, __printf_chk, ferror, fclose, fopen, fread, fwrite, gmtime_r, putchar, puts\n"
        ".globl \\name\n .set \\name, never_called\n .endr");
