/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Registers that the processor does not switch between a protected VM and its host, debug registers among them. The
 * vector state is exchanged with every component that is offered, whatever XCR0 has at the time: a guest that clears
 * a bit of XCR0 leaves that component's registers as they are.
 */
#include <string.h>
#include "cloudvisor/log.h"
#include "cloudvisor/vm_answers.h"

enum { XCR0_ALLOWED = 0xe7, XSAVE_HEAD_BYTES = 576 }; /* x87, SSE, AVX, AVX-512 */

static const uint32_t msr_numbers[VM_MSR_COUNT] = {
    [VM_STAR] = 0xc0000081,           [VM_LSTAR] = 0xc0000082,   [VM_CSTAR] = 0xc0000083, [VM_FMASK] = 0xc0000084,
    [VM_KERNEL_GS_BASE] = 0xc0000102, [VM_TSC_AUX] = 0xc0000103, [VM_SPEC_CTRL] = 0x48,
};
static bool msr_exists[VM_MSR_COUNT];

/* The head of an XSAVE area with everything in its initial state: MXCSR, and no component in XSTATE_BV. */
static const uint32_t initial_state[XSAVE_HEAD_BYTES / 4] __attribute__((aligned(64))) = { [6] = 0x1f80 };

uint32_t vm_xcr0_offer, vm_xsave_bytes;

bool vm_registers_init(void)
{
    uint64_t value;

    for (unsigned i = 0; i < VM_MSR_COUNT; i++)
        msr_exists[i] = hw_rdmsr_safe(msr_numbers[i], &value);
    vm_xcr0_offer = hw_cpuid(0xd, 0).eax & XCR0_ALLOWED;
    vm_xsave_bytes = XSAVE_HEAD_BYTES;
    for (unsigned i = 2; vm_xcr0_offer >> i != 0; i++) {
        struct hw_cpuid component = hw_cpuid(0xd, i);

        if ((vm_xcr0_offer >> i & 1) != 0 && component.ebx + component.eax > vm_xsave_bytes)
            vm_xsave_bytes = component.ebx + component.eax;
    }
    return vm_xsave_bytes <= XSTATE_BYTES;
}

void vm_registers_reset(struct vcpu *vcpu)
{
    vcpu->regs = (struct vcpu_registers){ .guest = { .dr6 = 0xffff0ff0, .xcr0 = 1 }, .xstate = vcpu->regs.xstate };
    memcpy(vcpu->regs.xstate, initial_state, sizeof(initial_state));
}

static void set_xcr0(uint64_t value)
{
    if (hw_xgetbv(0) != value && !hw_xsetbv_safe(0, value))
        cv_panic("XCR0 refuses %lx", value);
}

static void exchange_vectors(void *out, const void *in, uint64_t xcr0)
{
    set_xcr0(vm_xcr0_offer);
    if (out != NULL)
        hw_xsave(out, vm_xcr0_offer);
    hw_xrstor(in, vm_xcr0_offer);
    set_xcr0(xcr0);
}

static void exchange(struct switched_registers *out, const struct switched_registers *in)
{
    for (unsigned i = 0; i < VM_MSR_COUNT; i++) {
        out->msr[i] = msr_exists[i] ? hw_rdmsr(msr_numbers[i]) : in->msr[i];
        if (out->msr[i] != in->msr[i])
            hw_wrmsr(msr_numbers[i], in->msr[i]);
    }
    out->dr6 = hw_read_dr6();
    if (out->dr6 != in->dr6)
        hw_write_dr6(in->dr6);
    hw_read_breakpoints(out->dr);
    if (memcmp(out->dr, in->dr, sizeof(in->dr)) != 0)
        hw_write_breakpoints(in->dr);
    out->cr2 = hw_read_cr2();
    hw_write_cr2(in->cr2);
    out->xcr0 = hw_xgetbv(0);
}

void vm_registers_load(struct vcpu *vcpu)
{
    exchange(&vcpu->regs.host, &vcpu->regs.guest);
    exchange_vectors(NULL, vcpu->regs.xstate, vcpu->regs.guest.xcr0);
}

void vm_registers_save(struct vcpu *vcpu)
{
    exchange(&vcpu->regs.guest, &vcpu->regs.host);
    exchange_vectors(vcpu->regs.xstate, initial_state, vcpu->regs.host.xcr0);
}

/* The processor knows which sets of components there are. */
bool vm_xsetbv(uint32_t index, uint64_t value)
{
    return (value & ~(uint64_t)vm_xcr0_offer) == 0 && hw_xsetbv_safe(index, value);
}
