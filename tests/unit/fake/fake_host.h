/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A demoted hypervisor on the fake processor: executes VMX instructions the way a processor in VMX non-root mode
 * would (VMCS shadowing included), and looks at what came of them. After each entry that succeeds, everything that
 * must hold of a vmcs02 is checked.
 *
 * Its RAM: page tables at 2000h and 3000h (identity), operands at 9000h, the VMXON region at A000h, VMCS regions from
 * 100000h, bitmaps from 200000h, EPT12s from 300000h, MSR lists from 400000h.
 */
#ifndef TESTS_UNIT_FAKE_HOST_H
#define TESTS_UNIT_FAKE_HOST_H

#include "entry_baseline.h"
#include "fake_layer.h"

#define HOST_RAM_BYTES  (UINT64_C(64) << 20)
#define HOST_OPERAND    UINT64_C(0x9000)
#define HOST_VMXON      UINT64_C(0xa000)
#define HOST_VMCS(i)    (UINT64_C(0x100000) + 4096 * (uint64_t)(i))
#define HOST_MSR_BITMAP UINT64_C(0x200000)
#define HOST_IO_BITMAP  UINT64_C(0x201000)
#define HOST_EPT12(i)   (UINT64_C(0x300000) + 4096 * (uint64_t)(i))
#define HOST_MSR_LIST   UINT64_C(0x400000)
#define HOST_EXIT_RIP   UINT64_C(0xffffffff81234000)

struct outcome {
    enum { SUCCEEDED, FAILED_INVALID, FAILED_VALID, FAULTED, ENTERED, EXITED, ABORTED } what;
    unsigned number; /* error number, vector, or basic exit reason */
};

/* Both CPUs in 64-bit mode at CPL 0, not in VMX operation; CPU 0 runs. */
void host_start(bool shadowing);
void host_switch_cpu(unsigned index);

/* VMXON, VMCLEAR, VMPTRLD with this memory operand; VMPTRST, VMXOFF, VMLAUNCH, VMRESUME and others with none. */
struct outcome host_instruction(uint32_t reason, uint64_t operand);
/* Any instruction with this instruction information and displacement. */
struct outcome host_raw_instruction(uint32_t reason, uint32_t info, uint64_t displacement);
struct outcome host_invalidate(uint32_t reason, uint64_t type, uint64_t first, uint64_t second);
struct outcome host_vmread(uint64_t encoding, uint64_t *value);
struct outcome host_vmwrite(uint64_t encoding, uint64_t value);

/* VMXON, VMCLEAR, VMPTRLD of region `i`, and all fields of the baseline, with EPT12 `i` and no MSR lists. */
void host_prepare_vmcs(unsigned i);
bool host_try_prepare_vmcs(unsigned i); /* false if any of it fails */
void host_vmxon(void);

/* An exit of the VM that runs: `reason` with what else the test wrote into the loaded vmcs02. */
struct outcome host_vm_exits(uint32_t reason, uint64_t qualification);

/* An NMI for the host while its VM runs; the entry that the processor refuses with an error number. */
struct outcome host_vm_nmi(void);
struct outcome host_entry_refused(uint64_t error);

/* What must hold of a vmcs02 when it is entered; aborts if it does not. */
void host_check_vmcs02(void);
void host_check_host_state(void); /* part of it: where exits end up */

/* Likewise of a protected vCPU's VMCS, which is loaded. */
extern void (*host_check_protected)(void);

/* How often the layer did the host's work for a VM, by kind; for exits that it keeps. */
struct host_calls {
    unsigned ept_access, msr_access, io_access, nmi_exit, nmi_window, reinjected;
};
extern struct host_calls host_calls;

#endif
