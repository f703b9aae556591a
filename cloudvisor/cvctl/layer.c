/* SPDX-License-Identifier: GPL-2.0-only */
/* Without the layer VMCALL is #UD, which is SIGILL; some hypervisors answer with #GP, which is SIGSEGV. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include "cloudvisor/cvctl/layer.h"
#include "cloudvisor/hypercall.h"

static sigjmp_buf no_layer;

static void on_fault(int signal_number)
{
    siglongjmp(no_layer, signal_number);
}

struct answer layer_ask(uint32_t function, uint64_t rbx, uint64_t rcx)
{
    uint64_t rax = HYPERCALL_MAGIC | function;

    __asm__ volatile("vmcall" : "+a"(rax), "+b"(rbx), "+c"(rcx) : : "memory", "cc");
    return (struct answer){ .ok = rax == 0, .rbx = rbx, .rcx = rcx };
}

static bool try_version(uint32_t *version)
{
    struct answer answer;

    if (sigsetjmp(no_layer, 1) != 0)
        return false;
    answer = layer_ask(HYPERCALL_VERSION, 0, 0);
    *version = (uint32_t)answer.rbx;
    return answer.ok;
}

bool layer_find(uint32_t *version)
{
    struct sigaction action = { .sa_handler = on_fault };
    bool found;

    sigaction(SIGILL, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    found = try_version(version);
    signal(SIGILL, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
    return found;
}
