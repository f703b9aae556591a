/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Family guest: SDM "Checks on the Guest State Area" for a guest of every mode, each rule broken alone, then every
 * bit of the state fields flipped alone.
 */
#include <stddef.h>
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/vmx.h"
#include "untrusted-hypervisor-harness/suites/check.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

#define BLOCKING_BY_SMI BIT32(2)

#define NON_CANONICAL       UINT64_C(0x0000800000000000)
#define CANONICAL           UINT64_C(0xffff800000000000)
#define SPARE_PAGE          (ARENA(ARENA_VMX_PAGES) + VMX_PAGE_SPARE * PAGE_SIZE)
#define CURRENT_VMCS        (ARENA(ARENA_VMX_PAGES) + VMX_PAGE_VMCS * PAGE_SIZE)
#define OTHER_VMCS          (ARENA(ARENA_VMX_PAGES) + VMX_PAGE_VMCS_OTHER * PAGE_SIZE)
#define EVENT(type, vector) (INTR_VALID | (type) << 8 | (vector))

static struct vcpu vcpu;

enum { ACTIVE, HALTED, SHUT_DOWN, WAIT_FOR_SIPI };

static const struct entry_case state_cases[] = {
    { "good", { { 0 } } },
    { "cr0.pg-without-pe", { CLEAR_BITS(GUEST_CR0, CR0_PE), SET_BITS(GUEST_CR0, CR0_PG) } },
    { "cr0.pe-clear", { CLEAR_BITS(GUEST_CR0, CR0_PE) } },
    { "cr0.pg-clear", { CLEAR_BITS(GUEST_CR0, CR0_PG) } },
    { "cr0.ne-clear", { CLEAR_BITS(GUEST_CR0, CR0_NE) } },
    { "cr4.vmxe-clear", { CLEAR_BITS(GUEST_CR4, CR4_VMXE) } },
    { "cr4.pae-clear", { CLEAR_BITS(GUEST_CR4, CR4_PAE) } },
    { "cr4.pcide", { SET_BITS(GUEST_CR4, CR4_PCIDE) } },
    { "cr3.beyond", { SET_BITS(GUEST_CR3, BIT64(52)) } },
    { "cr3.bit-63", { SET_BITS(GUEST_CR3, BIT64(63)) } },
    { "ia32e.flip", { FLIP_BITS(VM_ENTRY_CONTROLS, ENTRY_IA32E_GUEST) } },
    { "ia32e.flip.efer",
      { FLIP_BITS(VM_ENTRY_CONTROLS, ENTRY_IA32E_GUEST), FLIP_BITS(GUEST_IA32_EFER, EFER_LME | EFER_LMA) } },
    { "ia32e.without-pg",
      { SET_BITS(VM_ENTRY_CONTROLS, ENTRY_IA32E_GUEST), CLEAR_BITS(GUEST_CR0, CR0_PG),
        SET_BITS(GUEST_IA32_EFER, EFER_LME | EFER_LMA) } },
    { "ia32e.without-pae",
      { SET_BITS(VM_ENTRY_CONTROLS, ENTRY_IA32E_GUEST), CLEAR_BITS(GUEST_CR4, CR4_PAE),
        SET_BITS(GUEST_IA32_EFER, EFER_LME | EFER_LMA) } },
    { "efer.lma-flip", { FLIP_BITS(GUEST_IA32_EFER, EFER_LMA) } },
    { "efer.lme-flip", { FLIP_BITS(GUEST_IA32_EFER, EFER_LME) } },
    { "efer.all-ones", { SET(GUEST_IA32_EFER, UINT64_MAX) } },
    { "efer.reserved", { SET_BITS(GUEST_IA32_EFER, BIT64(16)) } },
    { "efer.bad-but-off", { SET(GUEST_IA32_EFER, UINT64_MAX), CLEAR_BITS(VM_ENTRY_CONTROLS, ENTRY_LOAD_EFER) } },
    { "debugctl.reserved", { SET(GUEST_IA32_DEBUGCTL, BIT64(2)) } },
    { "debugctl.high", { SET(GUEST_IA32_DEBUGCTL, BIT64(63)) } },
    { "debugctl.bad-but-off",
      { SET(GUEST_IA32_DEBUGCTL, UINT64_MAX), CLEAR_BITS(VM_ENTRY_CONTROLS, ENTRY_LOAD_DEBUG_CONTROLS) } },
    { "dr7.high", { SET(GUEST_DR7, BIT64(32)) } },
    { "dr7.bad-but-off", { SET(GUEST_DR7, UINT64_MAX), CLEAR_BITS(VM_ENTRY_CONTROLS, ENTRY_LOAD_DEBUG_CONTROLS) } },
    { "pat.type-2", { SET(GUEST_IA32_PAT, 2) } },
    { "pat.type-3-last", { SET(GUEST_IA32_PAT, UINT64_C(3) << 56) } },
    { "pat.bad-but-off", { SET(GUEST_IA32_PAT, 2), CLEAR_BITS(VM_ENTRY_CONTROLS, ENTRY_LOAD_PAT) } },
    { "sysenter-esp.non-canonical", { SET(GUEST_IA32_SYSENTER_ESP, NON_CANONICAL) } },
    { "sysenter-eip.non-canonical", { SET(GUEST_IA32_SYSENTER_EIP, NON_CANONICAL) } },
    { "rip.non-canonical", { SET(GUEST_RIP, NON_CANONICAL) } },
    { "rip.above-4g", { SET_BITS(GUEST_RIP, BIT64(32)) } },
    { "rip.beyond-limit",
      { SET(GUEST_RIP, 0xfffff000), SET(GUEST_CS_LIMIT, 0xffff), CLEAR_BITS(GUEST_CS_ACCESS_RIGHTS, 0x8000) } },
    { "rflags.bit-1-clear", { CLEAR_BITS(GUEST_RFLAGS, RFLAGS_1) } },
    { "rflags.vm-flip", { FLIP_BITS(GUEST_RFLAGS, RFLAGS_VM) } },
    { "rflags.if-clear.inject", { SET(VM_ENTRY_INTERRUPTION_INFO, EVENT(INTR_TYPE_EXTERNAL, 0x50)) } },
    { "tr.unusable", { SET(GUEST_TR_ACCESS_RIGHTS, 0x10000) } },
    { "tr.16-bit", { SET(GUEST_TR_ACCESS_RIGHTS, 0x83) } },
    { "tr.not-busy", { SET(GUEST_TR_ACCESS_RIGHTS, 0x89) } },
    { "tr.ti", { SET_BITS(GUEST_TR_SELECTOR, 4) } },
    { "tr.base.non-canonical", { SET(GUEST_TR_BASE, NON_CANONICAL) } },
    { "tr.limit.high", { SET(GUEST_TR_LIMIT, 0x100067) } },
    { "tr.limit.granular", { SET(GUEST_TR_LIMIT, 0xfff), SET_BITS(GUEST_TR_ACCESS_RIGHTS, 0x8000) } },
    { "ldtr.usable",
      { SET(GUEST_LDTR_ACCESS_RIGHTS, 0x82), SET(GUEST_LDTR_SELECTOR, 0x48), SET(GUEST_LDTR_LIMIT, 0xf) } },
    { "ldtr.ti", { SET(GUEST_LDTR_ACCESS_RIGHTS, 0x82), SET(GUEST_LDTR_SELECTOR, 0x4c) } },
    { "ldtr.type", { SET(GUEST_LDTR_ACCESS_RIGHTS, 0x83) } },
    { "ldtr.not-system", { SET(GUEST_LDTR_ACCESS_RIGHTS, 0x92) } },
    { "ldtr.not-present", { SET(GUEST_LDTR_ACCESS_RIGHTS, 0x02) } },
    { "ldtr.base.non-canonical", { SET(GUEST_LDTR_ACCESS_RIGHTS, 0x82), SET(GUEST_LDTR_BASE, NON_CANONICAL) } },
    { "ldtr.unusable.base.non-canonical", { SET(GUEST_LDTR_BASE, NON_CANONICAL) } },
    { "gdtr.base.non-canonical", { SET(GUEST_GDTR_BASE, NON_CANONICAL) } },
    { "idtr.base.non-canonical", { SET(GUEST_IDTR_BASE, NON_CANONICAL) } },
    { "gdtr.limit.high", { SET(GUEST_GDTR_LIMIT, 0x10000) } },
    { "idtr.limit.high", { SET(GUEST_IDTR_LIMIT, 0x10000) } },
    { "cs.unusable", { SET_BITS(GUEST_CS_ACCESS_RIGHTS, 0x10000) } },
    { "cs.data-type", { SET(GUEST_CS_ACCESS_RIGHTS, 0x93) } },
    { "cs.l-and-d", { SET_BITS(GUEST_CS_ACCESS_RIGHTS, 0x6000) } },
    { "cs.rpl-3", { SET_BITS(GUEST_CS_SELECTOR, 3) } },
    { "cs.conforming.dpl-3", { SET_BITS(GUEST_CS_ACCESS_RIGHTS, 0x64) } },
    { "user.cs-and-ss",
      { SET_BITS(GUEST_CS_SELECTOR, 3), SET_BITS(GUEST_CS_ACCESS_RIGHTS, 0x60), SET_BITS(GUEST_SS_SELECTOR, 3),
        SET_BITS(GUEST_SS_ACCESS_RIGHTS, 0x60) } },
    { "ss.rpl-3", { SET_BITS(GUEST_SS_SELECTOR, 3) } },
    { "ss.dpl-3", { SET_BITS(GUEST_SS_ACCESS_RIGHTS, 0x60) } },
    { "ss.unusable", { SET(GUEST_SS_ACCESS_RIGHTS, 0x10000) } },
    { "ss.unusable.dpl-3", { SET(GUEST_SS_ACCESS_RIGHTS, 0x10060) } },
    { "ds.dpl-0.rpl-3", { SET_BITS(GUEST_DS_SELECTOR, 3) } },
    { "ds.unusable", { SET(GUEST_DS_ACCESS_RIGHTS, 0x10000) } },
    { "es.not-accessed", { CLEAR_BITS(GUEST_ES_ACCESS_RIGHTS, 1) } },
    { "es.execute-only", { SET(GUEST_ES_ACCESS_RIGHTS, 0xc099) } },
    { "es.readable-code", { SET(GUEST_ES_ACCESS_RIGHTS, 0xc09b) } },
    { "fs.base.non-canonical", { SET(GUEST_FS_BASE, NON_CANONICAL) } },
    { "gs.base.canonical", { SET(GUEST_GS_BASE, CANONICAL) } },
    { "fs.unusable.base.non-canonical", { SET(GUEST_FS_BASE, NON_CANONICAL), SET(GUEST_FS_ACCESS_RIGHTS, 0x10000) } },
    { "ds.base.high", { SET_BITS(GUEST_DS_BASE, BIT64(32)) } },
    { "ds.unusable.base.high", { SET_BITS(GUEST_DS_BASE, BIT64(32)), SET(GUEST_DS_ACCESS_RIGHTS, 0x10000) } },
    { "segment.limit.granularity", { SET(GUEST_DS_LIMIT, 0xfffff), SET_BITS(GUEST_DS_ACCESS_RIGHTS, 0x8000) } },
    { "segment.limit.not-fff", { SET(GUEST_DS_LIMIT, 0xffffffef), SET_BITS(GUEST_DS_ACCESS_RIGHTS, 0x8000) } },
    { "segment.limit.high-bytes", { SET(GUEST_DS_LIMIT, 0x100000), CLEAR_BITS(GUEST_DS_ACCESS_RIGHTS, 0x8000) } },
    { "activity.hlt", { SET(GUEST_ACTIVITY_STATE, HALTED) } },
    { "activity.shutdown", { SET(GUEST_ACTIVITY_STATE, SHUT_DOWN) } },
    { "activity.4", { SET(GUEST_ACTIVITY_STATE, 4) } },
    { "activity.high", { SET(GUEST_ACTIVITY_STATE, 0x80000000) } },
    { "activity.hlt.sti",
      { SET(GUEST_ACTIVITY_STATE, HALTED), SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_STI),
        SET_BITS(GUEST_RFLAGS, RFLAGS_IF) } },
    { "activity.hlt.mov-ss", { SET(GUEST_ACTIVITY_STATE, HALTED), SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_MOV_SS) } },
    { "activity.hlt.ss-dpl-3",
      { SET(GUEST_ACTIVITY_STATE, HALTED), SET_BITS(GUEST_CS_SELECTOR, 3), SET_BITS(GUEST_CS_ACCESS_RIGHTS, 0x60),
        SET_BITS(GUEST_SS_SELECTOR, 3), SET_BITS(GUEST_SS_ACCESS_RIGHTS, 0x60) } },
    { "activity.hlt.inject-external",
      { SET(GUEST_ACTIVITY_STATE, HALTED), SET_BITS(GUEST_RFLAGS, RFLAGS_IF),
        SET(VM_ENTRY_INTERRUPTION_INFO, EVENT(INTR_TYPE_EXTERNAL, 0x50)) } },
    { "activity.hlt.inject-nmi",
      { SET(GUEST_ACTIVITY_STATE, HALTED), SET(VM_ENTRY_INTERRUPTION_INFO, EVENT(INTR_TYPE_NMI, 2)) } },
    { "activity.hlt.inject-db",
      { SET(GUEST_ACTIVITY_STATE, HALTED), SET(VM_ENTRY_INTERRUPTION_INFO, EVENT(INTR_TYPE_HARDWARE, 1)) } },
    { "activity.hlt.inject-mc",
      { SET(GUEST_ACTIVITY_STATE, HALTED), SET(VM_ENTRY_INTERRUPTION_INFO, EVENT(INTR_TYPE_HARDWARE, 18)) } },
    { "activity.hlt.inject-ud",
      { SET(GUEST_ACTIVITY_STATE, HALTED), SET(VM_ENTRY_INTERRUPTION_INFO, EVENT(INTR_TYPE_HARDWARE, 6)) } },
    { "activity.hlt.inject-int",
      { SET(GUEST_ACTIVITY_STATE, HALTED), SET(VM_ENTRY_INTERRUPTION_INFO, EVENT(INTR_TYPE_SOFTWARE, 0x50)),
        SET(VM_ENTRY_INSTRUCTION_LENGTH, 2) } },
    { "activity.shutdown.inject-nmi",
      { SET(GUEST_ACTIVITY_STATE, SHUT_DOWN), SET(VM_ENTRY_INTERRUPTION_INFO, EVENT(INTR_TYPE_NMI, 2)) } },
    { "activity.shutdown.inject-mc",
      { SET(GUEST_ACTIVITY_STATE, SHUT_DOWN), SET(VM_ENTRY_INTERRUPTION_INFO, EVENT(INTR_TYPE_HARDWARE, 18)) } },
    { "activity.shutdown.inject-ud",
      { SET(GUEST_ACTIVITY_STATE, SHUT_DOWN), SET(VM_ENTRY_INTERRUPTION_INFO, EVENT(INTR_TYPE_HARDWARE, 6)) } },
    { "activity.shutdown.inject-external",
      { SET(GUEST_ACTIVITY_STATE, SHUT_DOWN), SET_BITS(GUEST_RFLAGS, RFLAGS_IF),
        SET(VM_ENTRY_INTERRUPTION_INFO, EVENT(INTR_TYPE_EXTERNAL, 0x50)) } },
    { "activity.wait-for-sipi.inject-nmi",
      { SET(GUEST_ACTIVITY_STATE, WAIT_FOR_SIPI), SET(VM_ENTRY_INTERRUPTION_INFO, EVENT(INTR_TYPE_NMI, 2)) } },
    { "activity.wait-for-sipi.sti",
      { SET(GUEST_ACTIVITY_STATE, WAIT_FOR_SIPI), SET_BITS(GUEST_RFLAGS, RFLAGS_IF),
        SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_STI) } },
    { "blocking.sti.if", { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_STI), SET_BITS(GUEST_RFLAGS, RFLAGS_IF) } },
    { "blocking.sti.no-if", { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_STI) } },
    { "blocking.mov-ss", { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_MOV_SS) } },
    { "blocking.both", { SET(GUEST_INTERRUPTIBILITY, 3), SET_BITS(GUEST_RFLAGS, RFLAGS_IF) } },
    { "blocking.smi", { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_SMI) } },
    { "blocking.nmi.virtual",
      { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_NMI),
        SET_BITS(PIN_BASED_CONTROLS, PIN_NMI_EXITING | PIN_VIRTUAL_NMIS) } },
    { "blocking.nmi.virtual.inject-nmi",
      { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_NMI), SET_BITS(PIN_BASED_CONTROLS, PIN_NMI_EXITING | PIN_VIRTUAL_NMIS),
        SET(VM_ENTRY_INTERRUPTION_INFO, EVENT(INTR_TYPE_NMI, 2)) } },
    { "blocking.reserved-4", { SET(GUEST_INTERRUPTIBILITY, 0x10) } },
    { "blocking.reserved-31", { SET(GUEST_INTERRUPTIBILITY, 0x80000000) } },
    { "blocking.sti.inject-external",
      { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_STI), SET_BITS(GUEST_RFLAGS, RFLAGS_IF),
        SET(VM_ENTRY_INTERRUPTION_INFO, EVENT(INTR_TYPE_EXTERNAL, 0x50)) } },
    { "blocking.mov-ss.inject-external",
      { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_MOV_SS), SET_BITS(GUEST_RFLAGS, RFLAGS_IF),
        SET(VM_ENTRY_INTERRUPTION_INFO, EVENT(INTR_TYPE_EXTERNAL, 0x50)) } },
    { "blocking.sti.inject-nmi",
      { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_STI), SET_BITS(GUEST_RFLAGS, RFLAGS_IF),
        SET(VM_ENTRY_INTERRUPTION_INFO, EVENT(INTR_TYPE_NMI, 2)) } },
    { "blocking.mov-ss.inject-nmi",
      { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_MOV_SS), SET(VM_ENTRY_INTERRUPTION_INFO, EVENT(INTR_TYPE_NMI, 2)) } },
    { "blocking.mov-ss.inject-ud",
      { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_MOV_SS),
        SET(VM_ENTRY_INTERRUPTION_INFO, EVENT(INTR_TYPE_HARDWARE, 6)) } },
    { "pending-debug.bs.no-tf", { SET(GUEST_PENDING_DEBUG_EXCEPTIONS, 0x4000) } },
    { "pending-debug.b0-enabled", { SET(GUEST_PENDING_DEBUG_EXCEPTIONS, 0x1001) } },
    { "pending-debug.b0", { SET(GUEST_PENDING_DEBUG_EXCEPTIONS, 0x1) } },
    { "pending-debug.reserved-4", { SET(GUEST_PENDING_DEBUG_EXCEPTIONS, 0x10) } },
    { "pending-debug.reserved-13", { SET(GUEST_PENDING_DEBUG_EXCEPTIONS, 0x2000) } },
    { "pending-debug.reserved-63", { SET(GUEST_PENDING_DEBUG_EXCEPTIONS, BIT64(63)) } },
    { "pending-debug.mov-ss.tf.no-bs",
      { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_MOV_SS), SET_BITS(GUEST_RFLAGS, RFLAGS_TF) } },
    { "pending-debug.mov-ss.tf.bs",
      { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_MOV_SS), SET_BITS(GUEST_RFLAGS, RFLAGS_TF),
        SET(GUEST_PENDING_DEBUG_EXCEPTIONS, 0x4000) } },
    { "pending-debug.mov-ss.bs.no-tf",
      { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_MOV_SS), SET(GUEST_PENDING_DEBUG_EXCEPTIONS, 0x4000) } },
    { "pending-debug.mov-ss.tf.btf.bs",
      { SET(GUEST_INTERRUPTIBILITY, BLOCKING_BY_MOV_SS), SET_BITS(GUEST_RFLAGS, RFLAGS_TF),
        SET(GUEST_PENDING_DEBUG_EXCEPTIONS, 0x4000), SET(GUEST_IA32_DEBUGCTL, 2) } },
    { "pending-debug.bs.intercepted",
      { SET(GUEST_PENDING_DEBUG_EXCEPTIONS, 0x4000), SET(EXCEPTION_BITMAP, BIT32(1)),
        SET_BITS(GUEST_RFLAGS, RFLAGS_TF) } },
    { "link.0", { SET(VMCS_LINK_POINTER, 0) } },
    { "link.unaligned", { SET(VMCS_LINK_POINTER, SPARE_PAGE + 8) } },
    { "link.beyond", { SET(VMCS_LINK_POINTER, BIT64(52)) } },
    { "link.current", { SET(VMCS_LINK_POINTER, CURRENT_VMCS) } },
    { "link.other", { SET(VMCS_LINK_POINTER, OTHER_VMCS) } },
    { "link.wrong-revision", { SET(VMCS_LINK_POINTER, SPARE_PAGE) } },
    { "pdpte0.reserved-1", { SET_BITS(GUEST_PDPTE0, 2) } },
    { "pdpte0.reserved-5", { SET_BITS(GUEST_PDPTE0, 0x21) } },
    { "pdpte0.beyond", { SET_BITS(GUEST_PDPTE0, BIT64(52)) } },
    { "pdpte1.reserved-63", { SET(GUEST_PDPTE1, BIT64(63) | 1) } },
    { "pdpte3.not-present-garbage", { SET(GUEST_PDPTE3, UINT64_MAX - 1) } },
    { "pdpte0.not-present", { SET(GUEST_PDPTE0, 0) } },
    { "two-faults.rflags-and-link", { SET(VMCS_LINK_POINTER, 0), CLEAR_BITS(GUEST_RFLAGS, RFLAGS_1) } },
    { "two-faults.pdpte-and-link", { SET(VMCS_LINK_POINTER, 0), SET_BITS(GUEST_PDPTE0, 2) } },
};

struct flip_range {
    uint8_t field, first, last;
};

static const struct flip_range guest_flips[] = {
    { FIELD_GUEST_RFLAGS, 0, 7 },
    { FIELD_GUEST_RFLAGS, 9, 63 },
    { FIELD_GUEST_CR0, 0, 63 },
    { FIELD_GUEST_CR3, 36, 63 },
    { FIELD_GUEST_CR4, 0, 63 },
    { FIELD_GUEST_IA32_EFER, 0, 63 },
    { FIELD_GUEST_IA32_PAT, 0, 63 },
    { FIELD_GUEST_IA32_DEBUGCTL, 0, 63 },
    { FIELD_GUEST_DR7, 32, 63 },
    { FIELD_GUEST_ACTIVITY_STATE, 2, 31 },
    { FIELD_GUEST_INTERRUPTIBILITY, 4, 31 },
    { FIELD_GUEST_PENDING_DEBUG_EXCEPTIONS, 0, 63 },
    { FIELD_GUEST_RIP, 32, 63 },
    { FIELD_GUEST_ES_SELECTOR, 0, 15 },
    { FIELD_GUEST_CS_SELECTOR, 0, 15 },
    { FIELD_GUEST_SS_SELECTOR, 0, 15 },
    { FIELD_GUEST_DS_SELECTOR, 0, 15 },
    { FIELD_GUEST_FS_SELECTOR, 0, 15 },
    { FIELD_GUEST_GS_SELECTOR, 0, 15 },
    { FIELD_GUEST_LDTR_SELECTOR, 0, 15 },
    { FIELD_GUEST_TR_SELECTOR, 0, 15 },
    { FIELD_GUEST_ES_ACCESS_RIGHTS, 0, 31 },
    { FIELD_GUEST_CS_ACCESS_RIGHTS, 0, 31 },
    { FIELD_GUEST_SS_ACCESS_RIGHTS, 0, 31 },
    { FIELD_GUEST_DS_ACCESS_RIGHTS, 0, 31 },
    { FIELD_GUEST_FS_ACCESS_RIGHTS, 0, 31 },
    { FIELD_GUEST_GS_ACCESS_RIGHTS, 0, 31 },
    { FIELD_GUEST_LDTR_ACCESS_RIGHTS, 0, 31 },
    { FIELD_GUEST_TR_ACCESS_RIGHTS, 0, 31 },
    { FIELD_GUEST_ES_LIMIT, 0, 31 },
    { FIELD_GUEST_SS_LIMIT, 16, 31 },
    { FIELD_GUEST_FS_LIMIT, 0, 31 },
    { FIELD_GUEST_LDTR_LIMIT, 0, 31 },
    { FIELD_GUEST_TR_LIMIT, 8, 31 },
    { FIELD_GUEST_GDTR_LIMIT, 8, 31 },
    { FIELD_GUEST_IDTR_LIMIT, 12, 31 },
    { FIELD_GUEST_ES_BASE, 30, 63 },
    { FIELD_GUEST_SS_BASE, 30, 63 },
    { FIELD_GUEST_FS_BASE, 30, 63 },
    { FIELD_GUEST_GS_BASE, 30, 63 },
    { FIELD_GUEST_LDTR_BASE, 30, 63 },
    { FIELD_GUEST_TR_BASE, 30, 63 },
    { FIELD_GUEST_GDTR_BASE, 44, 63 },
    { FIELD_GUEST_IDTR_BASE, 44, 63 },
    { FIELD_GUEST_IA32_SYSENTER_ESP, 44, 63 },
    { FIELD_GUEST_IA32_SYSENTER_EIP, 44, 63 },
    { FIELD_GUEST_PDPTE0, 0, 8 },
    { FIELD_GUEST_PDPTE0, 36, 63 },
    { FIELD_GUEST_PDPTE2, 0, 63 },
    { FIELD_VMCS_LINK_POINTER, 0, 63 },
};

static void check_mode(enum guest_mode mode, enum guest_memory kind, const char *cases, const char *flips)
{
    if (!vcpu_supported(mode, kind))
        return;
    vmx_format_region(OTHER_VMCS);
    clear_pages(SPARE_PAGE, 1);
    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), mode, kind);
    check_cases(&vcpu, cases, state_cases, ARRAY_COUNT(state_cases));
    for (unsigned i = 0; flips != NULL && i < ARRAY_COUNT(guest_flips); i++)
        check_flips(&vcpu, flips, guest_flips[i].field, guest_flips[i].first, guest_flips[i].last);
}

void conformance_guest(void)
{
    vmx_enable();
    check_mode(MODE_LONG, MEMORY_OFFSET_4K, "guest.long", "guest.long.flip");
    check_mode(MODE_COMPAT, MEMORY_DIRECT, "guest.compat", NULL);
    check_mode(MODE_PAE, MEMORY_OFFSET_2M, "guest.pae-ept", NULL);
    check_mode(MODE_PAE, MEMORY_DIRECT, "guest.pae", NULL);
    check_mode(MODE_PAGED, MEMORY_DIRECT, "guest.paged", "guest.paged.flip");
    check_mode(MODE_PROTECTED, MEMORY_OFFSET_4K, "guest.protected", NULL);
    check_mode(MODE_REAL, MEMORY_OFFSET_4K, "guest.real", "guest.real.flip");
    check_mode(MODE_V86, MEMORY_DIRECT, "guest.v86", "guest.v86.flip");
    vmx_disable();
}
