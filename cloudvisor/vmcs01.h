/* SPDX-License-Identifier: GPL-2.0-only */
/* The VMCS in which the demoted host runs: its set-up, and the few changes that the layer makes to it later. */
#ifndef CLOUDVISOR_VMCS01_H
#define CLOUDVISOR_VMCS01_H

#include "cloudvisor/cpu.h"
#include "nested-vmx/vmx_caps.h"

/* The processor's capabilities and what is offered of them; the same on every CPU, checked at demotion. */
extern struct vmx_caps caps_hw, caps_offer;
extern unsigned physical_bits;

/* From VPID_LAYER on they are the layer's: protected vCPUs first, VMs without a tag of their own, the host. */
enum { VPID_LAYER = 0xf000, VPID_UNTAGGED = 0xfffe, VPID_HOST = 0xffff };

enum { ACTIVITY_WAIT_FOR_SIPI = 3 };

#define CR0_PE      UINT64_C(0x1)
#define CR0_EM      UINT64_C(0x4)
#define CR0_TS      UINT64_C(0x8)
#define CR0_NE      UINT64_C(0x20)
#define CR0_WP      UINT64_C(0x10000)
#define CR0_NW      UINT64_C(0x20000000)
#define CR0_CD      UINT64_C(0x40000000)
#define CR0_PG      UINT64_C(0x80000000)
#define CR4_PSE     UINT64_C(0x10)
#define CR4_PAE     UINT64_C(0x20)
#define CR4_OSFXSR  UINT64_C(0x200)
#define CR4_LA57    UINT64_C(0x1000)
#define CR4_VMXE    UINT64_C(0x2000)
#define CR4_SMXE    UINT64_C(0x4000)
#define CR4_PCIDE   UINT64_C(0x20000)
#define CR4_OSXSAVE UINT64_C(0x40000)
#define CR4_SMAP    UINT64_C(0x200000)
/* What a protected guest may set: no MCE, LA57, VMXE, SMXE, PKE, CET. */
#define CR4_PROTECTED UINT64_C(0x370fbf)
#define EFER_LME      UINT64_C(0x100)
#define EFER_LMA      UINT64_C(0x400)
#define RFLAGS_FIXED  UINT64_C(0x2)
#define RFLAGS_TF     UINT64_C(0x100)
#define RFLAGS_IF     UINT64_C(0x200)
#define RFLAGS_DF     UINT64_C(0x400)
#define RFLAGS_RF     UINT64_C(0x10000) /* faults push it set */
#define RFLAGS_AC     UINT64_C(0x40000)

/* Pins, processor, secondary, exit and entry controls with what the CPU insists on. */
uint32_t control_value(struct vmx_control_cap cap, uint32_t wanted);

/* Writes 0 to controls that a VMCS of the layer's does not use, and no link pointer. */
void vmcs_zero_controls(void);

/* Fills the loaded, cleared vmcs01 with controls and root-mode state; the host's own state comes from the caller. */
void vmcs01_init(struct cpu *cpu);

/* The state of a CPU after INIT and SIPI with `vector` (SDM "Processor State After Reset", INIT column). */
void vmcs01_set_start_state(struct cpu *cpu, uint8_t vector);

/* Access rights of the segments that the SDM loads at a VM exit. */
#define RIGHTS_CODE_64  0xa09bu
#define RIGHTS_DATA     0xc093u
#define RIGHTS_TSS      0x8bu
#define RIGHTS_UNUSABLE 0x10000u

/* Segments in the order of their VMCS fields; writes one into the loaded VMCS. */
enum segment { ES, CS, SS, DS, FS, GS, LDTR, TR };
void host_set_segment(enum segment index, uint64_t selector, uint64_t base, uint32_t limit, uint32_t rights);

/* Injects a fault at the next entry: into the host, or its VM if that one's VMCS is loaded. */
void host_inject_exception(unsigned vector, bool has_error, uint32_t error);
void host_inject_gp(void);
void host_inject_ud(void);
void host_inject_nmi(struct cpu *cpu);

/* Has the loaded VMCS exit as soon as an NMI can be delivered. */
void host_set_nmi_window(bool on);

/* Moves the host behind the instruction that exited. */
void host_skip_instruction(void);
void host_skip_bytes(uint64_t length);

/* Behind the instruction if it is done, else #GP(0). */
void host_finish_instruction(bool done);

#endif
