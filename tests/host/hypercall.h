/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The layer's hypercalls from user mode, for the tests. EAX = 43560000h plus
 * the function; arguments in RBX and RCX; status in RAX, value in RBX.
 */
#ifndef CV_TESTS_HYPERCALL_H
#define CV_TESTS_HYPERCALL_H

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define HYPERCALL_BASE    0x43560000u
#define HYPERCALL_VERSION 0u
#define HYPERCALL_STAT    1u
#define HYPERCALL_EXITS   2u

struct hypercall_answer {
    int present; /* 0: VMCALL raised #UD, so there is no layer */
    uint64_t status;
    uint64_t value;
};

static sigjmp_buf hypercall_no_layer;

/* #UD without a hypervisor; some hypervisors answer user mode with #GP. */
static inline void hypercall_on_fault(int number)
{
    (void)number;
    siglongjmp(hypercall_no_layer, 1);
}

static inline struct hypercall_answer hypercall_execute(uint32_t function, uint64_t rbx, uint64_t rcx)
{
    struct hypercall_answer answer = { .value = rbx };

    answer.status = HYPERCALL_BASE | function;
    __asm__ volatile("vmcall" : "+a"(answer.status), "+b"(answer.value), "+c"(rcx) : : "rdx", "memory", "cc");
    return answer;
}

static inline struct hypercall_answer hypercall(uint32_t function, uint64_t rbx, uint64_t rcx)
{
    struct sigaction handler = { .sa_handler = hypercall_on_fault };
    struct sigaction former_ill, former_segv;
    static struct hypercall_answer answer;

    answer = (struct hypercall_answer){ 0 };
    sigaction(SIGILL, &handler, &former_ill);
    sigaction(SIGSEGV, &handler, &former_segv);
    if (sigsetjmp(hypercall_no_layer, 1) == 0) {
        answer = hypercall_execute(function, rbx, rcx);
        answer.present = 1;
    }
    sigaction(SIGILL, &former_ill, NULL);
    sigaction(SIGSEGV, &former_segv, NULL);
    return answer;
}

static const char *const hypercall_stat_names[] = {
#if __has_include("../../cloudvisor/stats.def")
#define STAT(name, text) #name,
#include "../../cloudvisor/stats.def"
#undef STAT
#endif
    NULL
};

/* The counter's name, or its number in a layer newer than this program. */
static inline const char *hypercall_stat_name(unsigned int index)
{
    static char number[32];

    if (index + 1 < sizeof(hypercall_stat_names) / sizeof(hypercall_stat_names[0]))
        return hypercall_stat_names[index];
    snprintf(number, sizeof(number), "counter%u", index);
    return number;
}

/* The index of a counter, or -1 if the layer's table has no such name. */
static inline int hypercall_stat_index(const char *name)
{
    for (int i = 0; hypercall_stat_names[i]; i++)
        if (!strcmp(hypercall_stat_names[i], name))
            return i;
    return -1;
}

#endif
