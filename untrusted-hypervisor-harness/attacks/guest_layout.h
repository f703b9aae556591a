/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a victim finds where, shared by C and the guests' assembly. Guest-physical = linear addresses. The first 1 MiB
 * is RAM; ranges of the bundle: page tables and parameters, the AP's code, programs and handlers. Everything else in
 * RAM is EMPTY after the launch, but for the shared pages.
 */
#ifndef ATTACKS_GUEST_LAYOUT_H
#define ATTACKS_GUEST_LAYOUT_H

#define GA_GDT         0x1000 /* measured, 7 pages from here */
#define GA_DESCRIPTOR  0x2000
#define GA_PML4        0x3000
#define GA_PDPT        0x4000
#define GA_PD          0x5000
#define GA_PARAMETERS  0x6000 /* boot_params for the layer: seed, the program's own word, IDT pointer */
#define GA_IDT         0x7000
#define GA_AP_START    0x8000  /* shared with the host */
#define GA_AP_CODE     0x9000  /* measured: where the guest sends its AP, in real mode */
#define GA_PROGRAM     0x10000 /* measured, 4 pages from here */
#define GA_COMMON      0x12000
#define GA_STUBS       0x13000 /* 16 bytes per vector */
#define GA_SECRET      0x20000 /* pages that programs fill */
#define GA_VARIABLES   0x21000 /* how often each vector came, then variables */
#define GA_SECOND      0x22000
#define GA_TABLE       0x24000 /* what registers must hold */
#define GA_FRESH       0x25000 /* pages touched one after another, up to the stack */
#define GA_STACK_TOP   0x31000
#define GA_WINDOW      0x40000 /* exit window: shared with the host */
#define GA_RAM_SIZE    0x100000
#define GA_MMIO        0x30000000 /* one page in the policy's windows */
#define GA_IDT_POINTER (GA_PARAMETERS + 0x100)

/* Offsets in GA_COMMON. */
#define COMMON_LAUNCH  0x000 /* makes the launch call */
#define COMMON_HANDLER 0x080 /* of all vectors; their stubs pushed vector and error code */

/* Variables. */
#define GA_FIXUP     (GA_VARIABLES + 0x800) /* where #GP goes on; 0: it is reported */
#define GA_FAULT_RIP (GA_VARIABLES + 0x808) /* where the last #GP came */
#define GA_LAST_TSC  (GA_VARIABLES + 0x810)
#define GA_SCRATCH   (GA_VARIABLES + 0x840) /* 64 bytes */

/* Ports of the policy. */
#define PORT_REPORT       0x500
#define PORT_LAUNCH_ERROR 0x504 /* EAX: the answer to a launch call that came back */
#define PORT_DEVICE       0x508
#define PORT_LAST         0x50f

/* Reports. The low byte tells the kind. */
#define REPORT_READY     0x01
#define REPORT_OK        0x02
#define REPORT_BAD       0x03 /* the guest found something changed; what, in the other bytes */
#define REPORT_EXCEPTION 0x04 /* its vector in bits 15:8 */
#define REPORT_EVENTS    0x05 /* interrupts so far in bits 23:8 */
#define REPORT_AP        0x06
#define REPORT_GP        0x07 /* #GP at the instruction that may have it */

/* Secrets are the seed combined with this, so that no copy of them is anywhere else. */
#define SECRET_KEY 0x00005ec700000000

/* What a device answers. */
#define ANSWER_IN   0xa5a5a5a5
#define ANSWER_LOAD 0x5a5a5a5a
#define ANSWER_LOW  0x13572468
#define ANSWER_HIGH 0x00000001

/* Which state was bad: REPORT_BAD | exit kind << 8 | one of these << 16. */
#define BAD_GPR     1
#define BAD_RFLAGS  2
#define BAD_RSP     3
#define BAD_VECTOR  4
#define BAD_MSR     5
#define BAD_DR      6
#define BAD_CR      7
#define BAD_SEGMENT 8

#endif
