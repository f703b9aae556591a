/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Families controls, host and guest: SDM "Checks on VMX Controls and Host-State Area" and "Checks on the Guest-State
 * Area", each rule broken alone, and every bit of every field flipped alone.
 */
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/exit_info.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/vmx.h"
#include "untrusted-hypervisor-harness/suites/check.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

#define NON_CANONICAL UINT64_C(0x0000800000000000)
#define CANONICAL     UINT64_C(0xffff800000000000)
#define SPARE_PAGE    (ARENA(ARENA_VMX_PAGES) + VMX_PAGE_SPARE * PAGE_SIZE)

static struct vcpu vcpu;

/* --- controls --- */

static const struct entry_case control_cases[] = {
    { "good", { { 0 } } },
    { "virtual-nmis.without-nmi-exiting", { SET_BITS(PIN_BASED_CONTROLS, PIN_VIRTUAL_NMIS) } },
    { "virtual-nmis.with-nmi-exiting", { SET_BITS(PIN_BASED_CONTROLS, PIN_VIRTUAL_NMIS | PIN_NMI_EXITING) } },
    { "nmi-window.without-virtual-nmis", { SET_BITS(PROCESSOR_BASED_CONTROLS, PROC_NMI_WINDOW_EXITING) } },
    { "nmi-window.without-virtual-nmis.nmi-exiting",
      { SET_BITS(PROCESSOR_BASED_CONTROLS, PROC_NMI_WINDOW_EXITING), SET_BITS(PIN_BASED_CONTROLS, PIN_NMI_EXITING) } },
    { "nmi-window.with-virtual-nmis",
      { SET_BITS(PROCESSOR_BASED_CONTROLS, PROC_NMI_WINDOW_EXITING),
        SET_BITS(PIN_BASED_CONTROLS, PIN_VIRTUAL_NMIS | PIN_NMI_EXITING) } },
    { "save-timer.without-timer",
      { SET_BITS(VM_EXIT_CONTROLS, EXIT_SAVE_PREEMPTION_TIMER),
        CLEAR_BITS(PIN_BASED_CONTROLS, PIN_PREEMPTION_TIMER) } },
    { "save-timer.with-timer", { SET_BITS(VM_EXIT_CONTROLS, EXIT_SAVE_PREEMPTION_TIMER) } },
    { "unrestricted.without-ept",
      { CLEAR_BITS(SECONDARY_CONTROLS, SEC_EPT), SET_BITS(SECONDARY_CONTROLS, SEC_UNRESTRICTED_GUEST) } },
    { "unrestricted.alone", { SET(SECONDARY_CONTROLS, SEC_UNRESTRICTED_GUEST) } },
    { "unrestricted.with-ept", { SET_BITS(SECONDARY_CONTROLS, SEC_EPT | SEC_UNRESTRICTED_GUEST) } },
    { "secondary.off.garbage",
      { CLEAR_BITS(PROCESSOR_BASED_CONTROLS, PROC_SECONDARY_CONTROLS), SET(SECONDARY_CONTROLS, 0xffffffff) } },
    { "vpid.0", { SET_BITS(SECONDARY_CONTROLS, SEC_VPID), SET(VPID, 0) } },
    { "vpid.1", { SET_BITS(SECONDARY_CONTROLS, SEC_VPID), SET(VPID, 1) } },
    { "vpid.ffff", { SET_BITS(SECONDARY_CONTROLS, SEC_VPID), SET(VPID, 0xffff) } },
    { "vpid.off.0", { SET(VPID, 0) } },
    { "cr3-targets.4", { SET(CR3_TARGET_COUNT, 4) } },
    { "cr3-targets.5", { SET(CR3_TARGET_COUNT, 5) } },
    { "cr3-targets.100", { SET(CR3_TARGET_COUNT, 0x100) } },
    { "cr3-targets.ffffffff", { SET(CR3_TARGET_COUNT, 0xffffffff) } },
    { "io-bitmap.good", { SET_BITS(PROCESSOR_BASED_CONTROLS, PROC_IO_BITMAPS) } },
    { "io-bitmap.a-unaligned",
      { SET_BITS(PROCESSOR_BASED_CONTROLS, PROC_IO_BITMAPS), SET(IO_BITMAP_A, SPARE_PAGE + 1) } },
    { "io-bitmap.b-unaligned",
      { SET_BITS(PROCESSOR_BASED_CONTROLS, PROC_IO_BITMAPS), SET(IO_BITMAP_B, SPARE_PAGE + 0x800) } },
    { "io-bitmap.a-beyond", { SET_BITS(PROCESSOR_BASED_CONTROLS, PROC_IO_BITMAPS), SET(IO_BITMAP_A, BIT64(52)) } },
    { "io-bitmap.b-beyond", { SET_BITS(PROCESSOR_BASED_CONTROLS, PROC_IO_BITMAPS), SET(IO_BITMAP_B, BIT64(63)) } },
    { "io-bitmap.off.a-unaligned", { SET(IO_BITMAP_A, 1), SET(IO_BITMAP_B, UINT64_MAX) } },
    { "io-bitmap.and-unconditional",
      { SET_BITS(PROCESSOR_BASED_CONTROLS, PROC_IO_BITMAPS | PROC_UNCONDITIONAL_IO_EXITING) } },
    { "msr-bitmap.good", { SET_BITS(PROCESSOR_BASED_CONTROLS, PROC_MSR_BITMAPS) } },
    { "msr-bitmap.unaligned",
      { SET_BITS(PROCESSOR_BASED_CONTROLS, PROC_MSR_BITMAPS), SET(MSR_BITMAP, SPARE_PAGE + 1) } },
    { "msr-bitmap.beyond", { SET_BITS(PROCESSOR_BASED_CONTROLS, PROC_MSR_BITMAPS), SET(MSR_BITMAP, BIT64(52)) } },
    { "msr-bitmap.off.beyond", { SET(MSR_BITMAP, UINT64_MAX) } },
    { "exit-store.unaligned", { SET(VM_EXIT_MSR_STORE_COUNT, 1), SET(VM_EXIT_MSR_STORE_ADDR, SPARE_PAGE + 8) } },
    { "exit-store.beyond", { SET(VM_EXIT_MSR_STORE_COUNT, 1), SET(VM_EXIT_MSR_STORE_ADDR, BIT64(52)) } },
    { "exit-store.end-beyond",
      { SET(VM_EXIT_MSR_STORE_COUNT, 2), SET(VM_EXIT_MSR_STORE_ADDR, (UINT64_C(1) << 40) - 16) } },
    { "exit-store.off.unaligned", { SET(VM_EXIT_MSR_STORE_ADDR, 1) } },
    { "exit-load.unaligned", { SET(VM_EXIT_MSR_LOAD_COUNT, 1), SET(VM_EXIT_MSR_LOAD_ADDR, SPARE_PAGE + 1) } },
    { "exit-load.beyond", { SET(VM_EXIT_MSR_LOAD_COUNT, 1), SET(VM_EXIT_MSR_LOAD_ADDR, BIT64(63)) } },
    { "exit-load.end-beyond",
      { SET(VM_EXIT_MSR_LOAD_COUNT, 2), SET(VM_EXIT_MSR_LOAD_ADDR, (UINT64_C(1) << 40) - 16) } },
    { "exit-load.off.unaligned", { SET(VM_EXIT_MSR_LOAD_ADDR, 1) } },
    { "entry-load.unaligned", { SET(VM_ENTRY_MSR_LOAD_COUNT, 1), SET(VM_ENTRY_MSR_LOAD_ADDR, SPARE_PAGE + 4) } },
    { "entry-load.beyond", { SET(VM_ENTRY_MSR_LOAD_COUNT, 1), SET(VM_ENTRY_MSR_LOAD_ADDR, BIT64(51)) } },
    { "entry-load.end-beyond",
      { SET(VM_ENTRY_MSR_LOAD_COUNT, 2), SET(VM_ENTRY_MSR_LOAD_ADDR, (UINT64_C(1) << 40) - 16) } },
    { "entry-load.off.unaligned", { SET(VM_ENTRY_MSR_LOAD_ADDR, 1) } },
    { "tsc-offset", { SET_BITS(PROCESSOR_BASED_CONTROLS, PROC_TSC_OFFSETTING), SET(TSC_OFFSET, UINT64_MAX) } },
    { "bad-everything",
      { SET(PIN_BASED_CONTROLS, 0), SET(PROCESSOR_BASED_CONTROLS, 0), SET(HOST_CR0, 0), SET(GUEST_RFLAGS, 0) } },
    { "bad-host-and-guest", { SET(HOST_CR0, 0), SET(GUEST_RFLAGS, 0) } },
    { "all-controls-1", { SET(PIN_BASED_CONTROLS, 0xffffffff) } },
};

static const uint8_t control_fields[] = { FIELD_PIN_BASED_CONTROLS, FIELD_PROCESSOR_BASED_CONTROLS,
                                          FIELD_SECONDARY_CONTROLS, FIELD_VM_EXIT_CONTROLS, FIELD_VM_ENTRY_CONTROLS };

static void control_flips(void)
{
    for (unsigned i = 0; i < sizeof(control_fields); i++)
        check_flips(&vcpu, "controls.flip", control_fields[i], 0, 31);
}

/* Each bit of the EPT pointer, with EPT on. */
static void eptp_flips(void)
{
    if (!vcpu_supported(MODE_LONG, MEMORY_OFFSET_4K))
        return;
    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_OFFSET_4K);
    check_flips(&vcpu, "controls.eptp", FIELD_EPT_POINTER, 0, 11);
    check_flips(&vcpu, "controls.eptp.high", FIELD_EPT_POINTER, 40, 63);
    for (uint64_t type = 0; type < 8; type++) {
        vcpu_set(&vcpu, FIELD_EPT_POINTER, (vcpu.field[FIELD_EPT_POINTER] & ~UINT64_C(7)) | type);
        print("controls.eptp.type-%lu ", type);
        run_result(&vcpu, vcpu_run(&vcpu));
        vcpu_revert(&vcpu);
    }
}

/* --- host state --- */

static const struct entry_case host_cases[] = {
    { "cr0.0", { SET(HOST_CR0, 0) } },
    { "cr3.beyond", { SET(HOST_CR3, BIT64(52)) } },
    { "cr3.bit-40", { SET_BITS(HOST_CR3, BIT64(40)) } },
    { "cr4.vmxe-clear", { CLEAR_BITS(HOST_CR4, CR4_VMXE) } },
    { "cr4.pae-clear", { CLEAR_BITS(HOST_CR4, CR4_PAE) } },
    { "cs.0", { SET(HOST_CS_SELECTOR, 0) } },
    { "tr.0", { SET(HOST_TR_SELECTOR, 0) } },
    { "ss.0", { SET(HOST_SS_SELECTOR, 0) } },
    { "ds.0", { SET(HOST_DS_SELECTOR, 0) } },
    { "es.0", { SET(HOST_ES_SELECTOR, 0) } },
    { "es.rpl", { SET_BITS(HOST_ES_SELECTOR, 3) } },
    { "es.ti", { SET_BITS(HOST_ES_SELECTOR, 4) } },
    { "cs.rpl", { SET_BITS(HOST_CS_SELECTOR, 1) } },
    { "cs.ti", { SET_BITS(HOST_CS_SELECTOR, 4) } },
    { "ss.rpl", { SET_BITS(HOST_SS_SELECTOR, 2) } },
    { "ss.ti", { SET_BITS(HOST_SS_SELECTOR, 4) } },
    { "ds.rpl", { SET_BITS(HOST_DS_SELECTOR, 1) } },
    { "ds.ti", { SET_BITS(HOST_DS_SELECTOR, 4) } },
    { "fs.rpl", { SET_BITS(HOST_FS_SELECTOR, 1) } },
    { "fs.ti", { SET_BITS(HOST_FS_SELECTOR, 4) } },
    { "gs.rpl", { SET_BITS(HOST_GS_SELECTOR, 1) } },
    { "gs.ti", { SET_BITS(HOST_GS_SELECTOR, 4) } },
    { "tr.rpl", { SET_BITS(HOST_TR_SELECTOR, 1) } },
    { "tr.ti", { SET_BITS(HOST_TR_SELECTOR, 4) } },
    { "fs-base.non-canonical", { SET(HOST_FS_BASE, NON_CANONICAL) } },
    { "gs-base.non-canonical", { SET(HOST_GS_BASE, NON_CANONICAL) } },
    { "tr-base.non-canonical", { SET(HOST_TR_BASE, NON_CANONICAL) } },
    { "gdtr-base.non-canonical", { SET(HOST_GDTR_BASE, NON_CANONICAL) } },
    { "idtr-base.non-canonical", { SET(HOST_IDTR_BASE, NON_CANONICAL) } },
    { "sysenter-esp.non-canonical", { SET(HOST_IA32_SYSENTER_ESP, NON_CANONICAL) } },
    { "sysenter-eip.non-canonical", { SET(HOST_IA32_SYSENTER_EIP, NON_CANONICAL) } },
    { "fs-base.canonical", { SET(HOST_FS_BASE, CANONICAL) } },
    { "gs-base.canonical", { SET(HOST_GS_BASE, CANONICAL) } },
    { "sysenter.canonical", { SET(HOST_IA32_SYSENTER_ESP, CANONICAL), SET(HOST_IA32_SYSENTER_EIP, CANONICAL) } },
    { "rip.non-canonical", { SET(HOST_RIP, NON_CANONICAL) } },
    { "pat.type-2", { SET(HOST_IA32_PAT, 2) } },
    { "pat.type-3", { SET(HOST_IA32_PAT, UINT64_C(3) << 56) } },
    { "pat.type-8", { SET(HOST_IA32_PAT, 0x800) } },
    { "pat.bad-but-off", { SET(HOST_IA32_PAT, 2), CLEAR_BITS(VM_EXIT_CONTROLS, EXIT_LOAD_PAT) } },
    { "efer.no-lma", { CLEAR_BITS(HOST_IA32_EFER, EFER_LMA) } },
    { "efer.no-lme", { CLEAR_BITS(HOST_IA32_EFER, EFER_LME) } },
    { "efer.neither", { CLEAR_BITS(HOST_IA32_EFER, EFER_LME | EFER_LMA) } },
    { "efer.bad-but-off", { SET(HOST_IA32_EFER, UINT64_MAX), CLEAR_BITS(VM_EXIT_CONTROLS, EXIT_LOAD_EFER) } },
    { "address-space.32", { CLEAR_BITS(VM_EXIT_CONTROLS, EXIT_HOST_64BIT) } },
    { "address-space.32.efer",
      { CLEAR_BITS(VM_EXIT_CONTROLS, EXIT_HOST_64BIT), CLEAR_BITS(HOST_IA32_EFER, EFER_LME | EFER_LMA) } },
    { "address-space.32.guest-32",
      { CLEAR_BITS(VM_EXIT_CONTROLS, EXIT_HOST_64BIT), CLEAR_BITS(VM_ENTRY_CONTROLS, ENTRY_IA32E_GUEST) } },
};

struct flip_range {
    uint8_t field;
    uint8_t first, last;
};

/* Bits whose wrong value is refused, and those that may be loaded without harm to the harness. */
static const struct flip_range host_flips[] = {
    { FIELD_HOST_CR0, 0, 0 },
    { FIELD_HOST_CR0, 4, 15 },
    { FIELD_HOST_CR0, 17, 63 },
    { FIELD_HOST_CR3, 40, 63 },
    { FIELD_HOST_CR4, 11, 17 },
    { FIELD_HOST_CR4, 19, 19 },
    { FIELD_HOST_CR4, 22, 63 },
    { FIELD_HOST_IA32_EFER, 0, 10 },
    { FIELD_HOST_IA32_EFER, 12, 63 },
    { FIELD_HOST_ES_SELECTOR, 0, 2 },
    { FIELD_HOST_CS_SELECTOR, 0, 2 },
    { FIELD_HOST_SS_SELECTOR, 0, 2 },
    { FIELD_HOST_DS_SELECTOR, 0, 2 },
    { FIELD_HOST_FS_SELECTOR, 0, 2 },
    { FIELD_HOST_GS_SELECTOR, 0, 2 },
    { FIELD_HOST_TR_SELECTOR, 0, 2 },
    { FIELD_HOST_FS_BASE, 44, 63 },
    { FIELD_HOST_GS_BASE, 44, 63 },
    { FIELD_HOST_TR_BASE, 47, 63 },
    { FIELD_HOST_GDTR_BASE, 47, 63 },
    { FIELD_HOST_IDTR_BASE, 47, 63 },
    { FIELD_HOST_IA32_SYSENTER_ESP, 44, 63 },
    { FIELD_HOST_IA32_SYSENTER_EIP, 44, 63 },
    { FIELD_HOST_IA32_SYSENTER_CS, 0, 31 },
    { FIELD_HOST_IA32_PAT, 0, 63 },
    { FIELD_HOST_RIP, 47, 63 },
};

static void print_flips(const char *prefix, const struct flip_range *ranges, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        check_flips(&vcpu, prefix, ranges[i].field, ranges[i].first, ranges[i].last);
}

void conformance_entry(void)
{
    vmx_enable();
    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_DIRECT);
    check_cases(&vcpu, "controls", control_cases, ARRAY_COUNT(control_cases));
    control_flips();
    check_cases(&vcpu, "host", host_cases, ARRAY_COUNT(host_cases));
    print_flips("host.flip", host_flips, ARRAY_COUNT(host_flips));
    eptp_flips();
    vmx_disable();
}
