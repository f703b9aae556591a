/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hypercalls of the demoted host: VMCALL with EAX = HYPERCALL_MAGIC | function, from any privilege level, operands
 * and answers in registers only. RAX = 0 on success, ~0 for an unknown function or index. Without the layer VMCALL
 * raises #UD.
 */
#ifndef CLOUDVISOR_HYPERCALL_H
#define CLOUDVISOR_HYPERCALL_H

#define HYPERCALL_MAGIC      0x43560000u
#define HYPERCALL_MAGIC_MASK 0xffff0000u

enum hypercall {
    HYPERCALL_VERSION = 0, /* RBX = LAYER_VERSION */
    HYPERCALL_STAT = 1,    /* RBX = index in stats.def -> RBX = value, summed over CPUs */
    HYPERCALL_EXITS = 2,   /* RBX = basic exit reason, RCX = 1 from the host, 2 from its VMs -> RBX = count */
    HYPERCALL_VM = 4,      /* RBX = slot, RCX = word (enum hypercall_vm_word) -> RBX = value; RAX = ~0: no such slot */
    HYPERCALL_LOG = 3,     /* RBX = byte offset since boot -> RBX = 8 bytes, RCX = total bytes logged;
                              RAX = ~0 when the offset was overwritten or not yet written */
};

/* Words of a protected VM, or of the last one that used the slot. */
enum hypercall_vm_word {
    VM_WORD_STATE = 0, /* 0 ended or never used, 1 launching, 2 running, 3 ending */
    VM_WORD_ID = 1,    /* counts launches since boot; 0: never used */
    VM_WORD_STOP = 2,  /* vm_stops.def, counted from 1; 0: not stopped */
    VM_WORD_STOP_DETAIL = 3,
    VM_WORD_CLAIMED = 4,
    VM_WORD_PAGED_OUT = 5,
    VM_WORD_PAGED_IN = 6,
    VM_WORD_FRAMES = 7,
    VM_WORD_DIGEST = 8, /* to 11, the bytes in order; 0 before the launch is done */
    VM_WORD_VCPUS = 12,
    VM_WORD_COUNT = 13,
};

#define LAYER_VERSION 0x00000100u /* 0.1.0 */

#endif
