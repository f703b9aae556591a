/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The back end of cvctl: how it asks the layer. layer.c does it by VMCALL; the tests put a file of answers in its place
 * (tests/cvctl/fake_layer.c).
 */
#ifndef CVCTL_LAYER_H
#define CVCTL_LAYER_H

#include <stdbool.h>
#include <stdint.h>

struct answer {
    bool ok;
    uint64_t rbx;
    uint64_t rcx;
};

/* True if the layer answers; `version` is then its version. To be called once before layer_ask. */
bool layer_find(uint32_t *version);

/* One hypercall, `function` as in hypercall.h. */
struct answer layer_ask(uint32_t function, uint64_t rbx, uint64_t rcx);

#endif
