/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A vmcs12 that passes every VM-entry check of the layer's, on a processor that has everything. Tests and fuzzers
 * break it one field at a time.
 */
#ifndef TESTS_UNIT_ENTRY_BASELINE_H
#define TESTS_UNIT_ENTRY_BASELINE_H

#include "nested-vmx/entry_checks.h"
#include "processors.h"

struct entry {
    uint64_t fields[VMCS_FIELD_COUNT];
    struct vmx_caps offer;
    struct entry_limits limits;
};

#define BASE_PIN       (0x16u | PIN_EXTERNAL_INTERRUPT_EXITING | PIN_NMI_EXITING)
#define BASE_PROC      (0x04006172u | PROC_HLT_EXITING | PROC_IO_BITMAPS | PROC_MSR_BITMAPS | PROC_SECONDARY_CONTROLS)
#define BASE_SECONDARY (SEC_EPT | SEC_VPID | SEC_UNRESTRICTED_GUEST)
#define BASE_EXIT                                                                                                      \
    (0x00036dfbu | EXIT_HOST_64BIT | EXIT_ACK_INTERRUPT | EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER |             \
     EXIT_LOAD_EFER)
#define BASE_ENTRY     (0x000011fbu | ENTRY_IA32E_GUEST | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER)
#define BASE_EPTP      UINT64_C(0x000000000010005e) /* write-back, 4 levels, accessed and dirty flags */
#define BASE_PAT       UINT64_C(0x0007040600070406)
#define BASE_CANONICAL UINT64_C(0xffff800000000000)

static inline void entry_baseline(struct entry *e)
{
    struct vmx_caps hw = processor_everything();
    uint64_t *f = e->fields;

    *e = (struct entry){ .limits = { .efer_valid = 0xd01, .physical_width = 40, .linear_width = 48 } };
    vmx_caps_offer(&hw, &e->offer);
    f[FIELD_PIN_BASED_CONTROLS] = BASE_PIN;
    f[FIELD_PROCESSOR_BASED_CONTROLS] = BASE_PROC;
    f[FIELD_SECONDARY_CONTROLS] = BASE_SECONDARY;
    f[FIELD_VM_EXIT_CONTROLS] = BASE_EXIT;
    f[FIELD_VM_ENTRY_CONTROLS] = BASE_ENTRY;
    f[FIELD_VPID] = 1;
    f[FIELD_EPT_POINTER] = BASE_EPTP;
    f[FIELD_TSC_MULTIPLIER] = UINT64_C(1) << 48;
    f[FIELD_IO_BITMAP_A] = 0x2000;
    f[FIELD_IO_BITMAP_B] = 0x3000;
    f[FIELD_MSR_BITMAP] = 0x4000;
    f[FIELD_VM_EXIT_MSR_STORE_COUNT] = 2;
    f[FIELD_VM_EXIT_MSR_STORE_ADDR] = 0x5000;
    f[FIELD_VM_EXIT_MSR_LOAD_COUNT] = 2;
    f[FIELD_VM_EXIT_MSR_LOAD_ADDR] = 0x6010;
    f[FIELD_VM_ENTRY_MSR_LOAD_COUNT] = 2;
    f[FIELD_VM_ENTRY_MSR_LOAD_ADDR] = 0x7ff0;
    f[FIELD_VMCS_LINK_POINTER] = UINT64_MAX;
    f[FIELD_GUEST_CR0] = 0x80000031;
    f[FIELD_HOST_CR0] = 0x80050033;
    f[FIELD_HOST_CR3] = 0x12345000;
    f[FIELD_HOST_CR4] = 0x20a0 | 0x620;
    f[FIELD_HOST_CS_SELECTOR] = 0x10;
    f[FIELD_HOST_SS_SELECTOR] = 0x18;
    f[FIELD_HOST_TR_SELECTOR] = 0x40;
    f[FIELD_HOST_FS_BASE] = UINT64_C(0x00007fffffffffff);
    f[FIELD_HOST_GS_BASE] = BASE_CANONICAL;
    f[FIELD_HOST_TR_BASE] = UINT64_C(0xfffffe0000003000);
    f[FIELD_HOST_GDTR_BASE] = UINT64_C(0xfffffe0000001000);
    f[FIELD_HOST_IDTR_BASE] = UINT64_C(0xfffffe0000000000);
    f[FIELD_HOST_IA32_SYSENTER_ESP] = UINT64_C(0xfffffe0000003200);
    f[FIELD_HOST_IA32_SYSENTER_EIP] = UINT64_C(0xffffffff81a01440);
    f[FIELD_HOST_IA32_PAT] = BASE_PAT;
    f[FIELD_HOST_IA32_EFER] = 0xd01;
    f[FIELD_HOST_RIP] = UINT64_C(0xffffffff81036ed0);
    f[FIELD_HOST_RSP] = UINT64_C(0xffffc90000123e58);
}

#endif
