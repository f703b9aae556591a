/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Architectural bits of VMX with the SDM's spelling, as far as the layer uses them: controls, capability MSRs,
 * VM-instruction errors, interruption information, exit reasons. Constants only; the harness and the tests use them,
 * too, and define for themselves what the layer never names.
 */
#ifndef NESTED_VMX_VMX_BITS_H
#define NESTED_VMX_VMX_BITS_H

#include <stdint.h>

#define BIT32(n) (UINT32_C(1) << (n))
#define BIT64(n) (UINT64_C(1) << (n))

/* Capability MSRs, SDM "VMX Capability Reporting Facility"; struct vmx_caps has them in order. */
enum {
    MSR_FEATURE_CONTROL = 0x3a,
    MSR_VMX_BASIC = 0x480,
    MSR_VMX_PIN = 0x481,
    MSR_VMX_SECONDARY = 0x48b,
    MSR_VMX_EPT_VPID = 0x48c,
    MSR_VMX_TRUE_PIN = 0x48d,
    MSR_VMX_TRUE_ENTRY = 0x490,
    MSR_VMX_VMFUNC = 0x491,
};

/* Pin-based VM-execution controls. */
#define PIN_EXTERNAL_INTERRUPT_EXITING BIT32(0)
#define PIN_NMI_EXITING                BIT32(3)
#define PIN_VIRTUAL_NMIS               BIT32(5)
#define PIN_PREEMPTION_TIMER           BIT32(6)

/* Primary processor-based VM-execution controls. */
#define PROC_INTERRUPT_WINDOW_EXITING BIT32(2)
#define PROC_TSC_OFFSETTING           BIT32(3)
#define PROC_HLT_EXITING              BIT32(7)
#define PROC_INVLPG_EXITING           BIT32(9)
#define PROC_MWAIT_EXITING            BIT32(10)
#define PROC_RDPMC_EXITING            BIT32(11)
#define PROC_RDTSC_EXITING            BIT32(12)
#define PROC_CR3_LOAD_EXITING         BIT32(15)
#define PROC_CR3_STORE_EXITING        BIT32(16)
#define PROC_CR8_LOAD_EXITING         BIT32(19)
#define PROC_CR8_STORE_EXITING        BIT32(20)
#define PROC_NMI_WINDOW_EXITING       BIT32(22)
#define PROC_MOV_DR_EXITING           BIT32(23)
#define PROC_UNCONDITIONAL_IO_EXITING BIT32(24)
#define PROC_IO_BITMAPS               BIT32(25)
#define PROC_MONITOR_TRAP_FLAG        BIT32(27)
#define PROC_MSR_BITMAPS              BIT32(28)
#define PROC_MONITOR_EXITING          BIT32(29)
#define PROC_PAUSE_EXITING            BIT32(30)
#define PROC_SECONDARY_CONTROLS       BIT32(31)

/* Secondary processor-based VM-execution controls. */
#define SEC_EPT                BIT32(1)
#define SEC_DESCRIPTOR_EXITING BIT32(2)
#define SEC_RDTSCP             BIT32(3)
#define SEC_VPID               BIT32(5)
#define SEC_WBINVD_EXITING     BIT32(6)
#define SEC_UNRESTRICTED_GUEST BIT32(7)
#define SEC_PAUSE_LOOP_EXITING BIT32(10)
#define SEC_RDRAND_EXITING     BIT32(11)
#define SEC_INVPCID            BIT32(12)
#define SEC_VMCS_SHADOWING     BIT32(14)
#define SEC_RDSEED_EXITING     BIT32(16)
#define SEC_XSAVES             BIT32(20)
#define SEC_TSC_SCALING        BIT32(25)
#define SEC_USER_WAIT_PAUSE    BIT32(26)

/* VM-exit controls. */
#define EXIT_SAVE_DEBUG_CONTROLS   BIT32(2)
#define EXIT_HOST_64BIT            BIT32(9)
#define EXIT_ACK_INTERRUPT         BIT32(15)
#define EXIT_SAVE_PAT              BIT32(18)
#define EXIT_LOAD_PAT              BIT32(19)
#define EXIT_SAVE_EFER             BIT32(20)
#define EXIT_LOAD_EFER             BIT32(21)
#define EXIT_SAVE_PREEMPTION_TIMER BIT32(22)

/* VM-entry controls. */
#define ENTRY_LOAD_DEBUG_CONTROLS BIT32(2)
#define ENTRY_IA32E_GUEST         BIT32(9)
#define ENTRY_LOAD_PAT            BIT32(14)
#define ENTRY_LOAD_EFER           BIT32(15)

/* IA32_VMX_EPT_VPID_CAP. */
#define EPT_CAP_EXECUTE_ONLY      BIT64(0)
#define EPT_CAP_WALK_4            BIT64(6)
#define EPT_CAP_UC                BIT64(8)
#define EPT_CAP_WB                BIT64(14)
#define EPT_CAP_2M                BIT64(16)
#define EPT_CAP_1G                BIT64(17)
#define EPT_CAP_INVEPT            BIT64(20)
#define EPT_CAP_ACCESSED_DIRTY    BIT64(21)
#define EPT_CAP_INVEPT_SINGLE     BIT64(25)
#define EPT_CAP_INVEPT_ALL        BIT64(26)
#define EPT_CAP_INVVPID           BIT64(32)
#define EPT_CAP_INVVPID_ALL_TYPES (UINT64_C(0xf) << 40)

/* IA32_VMX_MISC. */
#define MISC_PREEMPTION_SHIFT_MASK UINT64_C(0x1f)
#define MISC_STORE_LMA             BIT64(5)
#define MISC_ACTIVITY_OFFERED      (UINT64_C(3) << 6) /* HLT and shutdown, not wait-for-SIPI */
#define MISC_CR3_TARGETS(m)        ((unsigned)((m) >> 16) & 0x1ffu)
#define MISC_VMWRITE_ANY           BIT64(29)
#define MISC_INJECT_LENGTH_0       BIT64(30)

/* VM-instruction error numbers, SDM "VM-Instruction Error Numbers". */
enum vm_instruction_error {
    VMERR_NONE = 0,
    VMERR_VMCALL_IN_ROOT = 1,
    VMERR_VMCLEAR_ADDRESS = 2,
    VMERR_VMCLEAR_VMXON_POINTER = 3,
    VMERR_VMLAUNCH_NOT_CLEAR = 4,
    VMERR_VMRESUME_NOT_LAUNCHED = 5,
    VMERR_ENTRY_CONTROLS = 7,
    VMERR_ENTRY_HOST_STATE = 8,
    VMERR_VMPTRLD_ADDRESS = 9,
    VMERR_VMPTRLD_VMXON_POINTER = 10,
    VMERR_VMPTRLD_REVISION = 11,
    VMERR_UNSUPPORTED_FIELD = 12,
    VMERR_READ_ONLY_FIELD = 13,
    VMERR_VMXON_IN_ROOT = 15,
    VMERR_ENTRY_MOV_SS = 26,
    VMERR_INVALID_OPERAND = 28,
};

/* Interruption information (exit, IDT-vectoring and entry formats). */
#define INTR_TYPE(i)        (((i) >> 8) & 7u)
#define INTR_ERROR_VALID    BIT32(11)
#define INTR_NMI_UNBLOCKING BIT32(12)
#define INTR_VALID          BIT32(31)
enum {
    INTR_TYPE_EXTERNAL = 0,
    INTR_TYPE_NMI = 2,
    INTR_TYPE_HARDWARE = 3,
    INTR_TYPE_SOFTWARE = 4,
    INTR_TYPE_PRIVILEGED_SOFTWARE = 5,
    INTR_TYPE_SOFTWARE_EXCEPTION = 6,
    INTR_TYPE_OTHER = 7
};

/* Guest interruptibility state. */
#define BLOCKING_BY_STI    BIT32(0)
#define BLOCKING_BY_MOV_SS BIT32(1)
#define BLOCKING_BY_NMI    BIT32(3)

/* Basic exit reasons, SDM "VMX Basic Exit Reasons", that the layer or its exits.def name. */
enum exit_reason {
    EXIT_EXCEPTION_OR_NMI = 0,
    EXIT_EXTERNAL_INTERRUPT = 1,
    EXIT_TRIPLE_FAULT = 2,
    EXIT_INIT = 3,
    EXIT_SIPI = 4,
    EXIT_INTERRUPT_WINDOW = 7,
    EXIT_NMI_WINDOW = 8,
    EXIT_TASK_SWITCH = 9,
    EXIT_CPUID = 10,
    EXIT_GETSEC = 11,
    EXIT_HLT = 12,
    EXIT_INVD = 13,
    EXIT_RDPMC = 15,
    EXIT_VMCALL = 18,
    EXIT_VMCLEAR = 19,
    EXIT_VMLAUNCH = 20,
    EXIT_VMPTRLD = 21,
    EXIT_VMPTRST = 22,
    EXIT_VMREAD = 23,
    EXIT_VMRESUME = 24,
    EXIT_VMWRITE = 25,
    EXIT_VMXOFF = 26,
    EXIT_VMXON = 27,
    EXIT_CR_ACCESS = 28,
    EXIT_MOV_DR = 29,
    EXIT_IO = 30,
    EXIT_RDMSR = 31,
    EXIT_WRMSR = 32,
    EXIT_ENTRY_GUEST_STATE = 33,
    EXIT_ENTRY_MSR_LOADING = 34,
    EXIT_MWAIT = 36,
    EXIT_MONITOR = 39,
    EXIT_PAUSE = 40,
    EXIT_EPT_VIOLATION = 48,
    EXIT_EPT_MISCONFIGURATION = 49,
    EXIT_INVEPT = 50,
    EXIT_PREEMPTION_TIMER = 52,
    EXIT_INVVPID = 53,
    EXIT_WBINVD = 54,
    EXIT_XSETBV = 55,
    EXIT_REASON_COUNT = 80,
};
#define EXIT_ENTRY_FAILURE BIT32(31)

#endif
