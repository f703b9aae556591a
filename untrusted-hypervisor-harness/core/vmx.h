/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMX instructions of the harness. The try_ forms catch exceptions and say what happened; the others are for places
 * where anything but success would be a fault of the harness, and end the run then.
 */
#ifndef HARNESS_VMX_H
#define HARNESS_VMX_H

#include <stdbool.h>
#include <stdint.h>
#include "nested-vmx/vmcs_fields.h"
#include "nested-vmx/vmx_caps.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/outcome.h"

/* Pages of ARENA_VMX_PAGES. */
enum vmx_page {
    VMX_PAGE_VMXON, /* one per CPU */
    VMX_PAGE_VMXON_LAST = VMX_PAGE_VMXON + CPU_COUNT_MAX - 1,
    VMX_PAGE_VMCS, /* the one that guests run with */
    VMX_PAGE_VMCS_OTHER,
    VMX_PAGE_VMCS_THIRD,
    VMX_PAGE_MSR_BITMAP,
    VMX_PAGE_IO_BITMAP_A,
    VMX_PAGE_IO_BITMAP_B,
    VMX_PAGE_MSR_ENTRY_LOAD,
    VMX_PAGE_MSR_EXIT_STORE,
    VMX_PAGE_MSR_EXIT_LOAD,
    VMX_PAGE_SPARE,
    VMX_PAGE_COUNT,
};

static inline uint64_t vmx_page(enum vmx_page page)
{
    return arena_page(ARENA_VMX_PAGES, page);
}

/*
 * What may be relied on: the processor's capabilities reduced to what the layer offers, so that a run on the bare
 * processor and one under the layer make the same cases. `vmx_hardware` is what the MSRs really said.
 */
extern struct vmx_caps vmx_offer, vmx_hardware;
extern bool vmx_under_layer;  /* a layer answers hypercalls */
extern uint32_t vmx_revision; /* for VMCS regions */
extern unsigned vmx_address_bits;

/* Reads the capabilities and unlocks IA32_FEATURE_CONTROL. False, with a note, if the CPU has no usable VMX. */
bool vmx_probe(void);

/* Sets CR4.VMXE and executes VMXON with this CPU's region; VMXOFF and clears it again. */
void vmx_enable(void);
void vmx_disable(void);

/* A region with the right revision and nothing else in it. */
void vmx_format_region(uint64_t region);

struct outcome try_vmxon(const void *operand);
struct outcome try_vmclear(const void *operand);
struct outcome try_vmptrld(const void *operand);
struct outcome try_vmptrst(void *operand);
struct outcome try_vmxoff(void);
struct outcome try_vmlaunch(void);
struct outcome try_vmresume(void);
struct outcome try_vmlaunch_after_mov_ss(void);
struct outcome try_vmcall(uint32_t eax);
struct outcome try_vmread(uint64_t encoding, uint64_t *value);
struct outcome try_vmread_memory(uint64_t encoding, void *operand);
struct outcome try_vmwrite(uint64_t encoding, uint64_t value);
struct outcome try_vmwrite_memory(uint64_t encoding, const void *operand);
struct outcome try_invept(uint64_t type, const void *descriptor);
struct outcome try_invvpid(uint64_t type, const void *descriptor);

/* Variants with a pointer to memory that holds the region's address. */
struct outcome try_vmclear_region(uint64_t region);
struct outcome try_vmptrld_region(uint64_t region);

uint64_t vmx_read(uint32_t encoding);
void vmx_write(uint32_t encoding, uint64_t value);
void vmx_clear(uint64_t region);
void vmx_load(uint64_t region);
/* Makes no VMCS current. */
void vmx_unload(void);

/* Hypercall of the layer; false without a layer or on an unknown function. Not in VMX operation of our own. */
bool vmx_hypercall(uint32_t function, uint64_t rbx, uint64_t rcx, uint64_t *result);

#endif
