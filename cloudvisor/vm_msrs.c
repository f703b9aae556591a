/* SPDX-License-Identifier: GPL-2.0-only */
/* MSRs of a protected VM: the few that a guest may change, constants for what systems read at start, else #GP. */
#include <string.h>
#include "cloudvisor/intercepts.h"
#include "cloudvisor/pool.h"
#include "cloudvisor/vm_answers.h"
#include "cloudvisor/vmcs01.h"
#include "nested-vmx/entry_checks.h"

enum { MSR_TSC = 0x10, MSR_APIC_BASE = 0x1b, MSR_PAT = 0x277, MSR_TSC_DEADLINE = 0x6e0, MSR_EFER = (int)0xc0000080 };
#define EFER_WRITABLE UINT64_C(0x901) /* SCE, LME, NXE */
#define APIC_BASE_BSP UINT64_C(0x100)

/*
 * Read and written without an exit, since vm_registers.c or the VMCS switches them: SPEC_CTRL; SYSENTER_CS, ESP, EIP;
 * STAR, LSTAR, CSTAR, FMASK; FS_BASE, GS_BASE, KERNEL_GS_BASE, TSC_AUX.
 */
static const uint32_t passed_through[] = { 0x48,       0x174,      0x175,      0x176,      0xc0000081, 0xc0000082,
                                           0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103 };

/* Where a write of the same value is nothing, and any other #GP unless it is ignored. */
static const struct {
    uint32_t msr;
    bool ignores_writes;
    uint64_t value;
} constants[] = {
    { 0x17, false, 0 },                    /* IA32_PLATFORM_ID */
    { MSR_APIC_BASE, false, 0xfee00c00 },  /* x2APIC mode */
    { 0x8b, true, UINT64_C(0x100000000) }, /* IA32_BIOS_SIGN_ID: revision 1 */
    { 0xfe, false, 0x400 },                /* IA32_MTRRCAP: write-combining, no ranges */
    { 0x1a0, false, 0x1801 },              /* IA32_MISC_ENABLE: fast strings, neither BTS nor PEBS */
    { 0x1d9, false, 0 },                   /* IA32_DEBUGCTL */
    { 0x2ff, true, 0x806 },                /* IA32_MTRR_DEF_TYPE: on, write-back, so that the PAT is used */
};

/* The processor's own, which keep nothing: bits that are seen, bits that may be set. */
static const struct {
    uint32_t msr;
    uint64_t readable, writable;
} processor[] = {
    { 0x49, 0, 1 }, /* IA32_PRED_CMD: IBPB */
    /* IA32_ARCH_CAPABILITIES: RDCL_NO, IBRS_ALL, RSBA; SSB_NO, MDS_NO, PSCHANGE_MC_NO; TAA_NO; SBDR_SSDP_NO, */
    /* FBSDP_NO, PSDP_NO; FB_CLEAR; RRSBA, BHI_NO; PBRSB_NO; GDS_NO, RFDS_NO, RFDS_CLEAR; none with an MSR to it */
    { 0x10a, 0x1d1ae177, 0 },
    { 0x10b, 0, 1 }, /* IA32_FLUSH_CMD: L1D_FLUSH */
};

static hpa_t bitmap;

bool vm_answers_init(void)
{
    uint8_t *bits;
    unsigned byte;

    bitmap = pool_alloc();
    if (!vm_registers_init() || bitmap.raw == 0)
        return false;
    bits = memset(phys_to_virt(bitmap), 0xff, PAGE_SIZE);
    for (unsigned i = 0; i < 2 * sizeof(passed_through) / sizeof(passed_through[0]); i++)
        if (msr_bitmap_byte(passed_through[i / 2], i % 2 != 0, &byte))
            bits[byte] &= (uint8_t) ~(1u << (passed_through[i / 2] & 7));
    return true;
}

hpa_t vm_msr_bitmap(void)
{
    return bitmap;
}

/* LMA is the processor's; LME stays while paging is on. */
static bool efer_valid(uint64_t old, uint64_t value)
{
    return (value & ~(EFER_WRITABLE | EFER_LMA)) == 0 &&
           (((old ^ value) & EFER_LME) == 0 || (hw_vmread(VMCS_GUEST_CR0) & CR0_PG) == 0);
}

/* EFER or PAT. */
static bool vmcs_msr(uint32_t field, bool write, uint64_t *value)
{
    uint64_t old = hw_vmread(field);

    if (!write) {
        *value = old;
        return true;
    }
    if (field == VMCS_GUEST_IA32_PAT ? !entry_pat_valid(*value) : !efer_valid(old, *value))
        return false;
    hw_vmwrite(field, field == VMCS_GUEST_IA32_PAT ? *value : (*value & EFER_WRITABLE) | (old & EFER_LMA));
    return true;
}

static bool constant_msr(const struct vcpu *vcpu, unsigned i, bool write, uint64_t *value)
{
    bool bsp = constants[i].msr == MSR_APIC_BASE && vcpu->index == 0;
    uint64_t constant = constants[i].value | (bsp ? APIC_BASE_BSP : 0);

    if (write)
        return constants[i].ignores_writes || *value == constant;
    *value = constant;
    return true;
}

static bool processor_msr(unsigned i, bool write, uint64_t *value)
{
    if (write)
        return (*value & ~processor[i].writable) == 0 && processor[i].writable != 0 &&
               hw_wrmsr_safe(processor[i].msr, *value);
    if (processor[i].readable == 0 || !hw_rdmsr_safe(processor[i].msr, value))
        return false;
    *value &= processor[i].readable;
    return true;
}

static bool answer(const struct vcpu *vcpu, uint32_t msr, bool write, uint64_t *value)
{
    for (unsigned i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
        if (constants[i].msr == msr)
            return constant_msr(vcpu, i, write, value);
    for (unsigned i = 0; i < sizeof(processor) / sizeof(processor[0]); i++)
        if (processor[i].msr == msr)
            return processor_msr(i, write, value);
    if (msr == MSR_PAT || msr == (uint32_t)MSR_EFER)
        return vmcs_msr(msr == MSR_PAT ? VMCS_GUEST_IA32_PAT : VMCS_GUEST_IA32_EFER, write, value);
    if (msr != MSR_TSC || write)
        return false;
    *value = hw_rdtsc() + hw_vmread(VMCS_TSC_OFFSET);
    return true;
}

enum vm_msr_answer vm_msr_access(const struct vcpu *vcpu, uint32_t msr, bool write, uint64_t *value)
{
    if (msr >> 8 == 8 || msr == MSR_TSC_DEADLINE) /* 800h to 8FFh: x2APIC */
        return VM_MSR_HOST;
    return answer(vcpu, msr, write, value) ? VM_MSR_DONE : VM_MSR_FAULT;
}
