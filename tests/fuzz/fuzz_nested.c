/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libFuzzer target: a hostile hypervisor on two CPUs, with VMCS shadowing or without. The input is a list of VMX
 * instructions, exits of its VMs, and writes to its own memory: VMCS regions, EPT12s, bitmaps, lists, page tables. The
 * layer must neither stop nor touch memory that is not RAM, and every vmcs02 that is entered must keep the rules of
 * host_check_vmcs02.
 */
#include "fuzz.h"
#include "fake_host.h"
#include "cloudvisor/vmcs01.h"
#include "ept-guard/frames.h"
#include "ept-guard/host_ept.h"

enum { STEPS_MAX = 120, REGIONS = 80 };

static bool alive[2]; /* a VMX abort stops a CPU for good */

static uint64_t any_address(struct input *in)
{
    uint64_t choice = take(in, 2);

    switch (choice & 7) {
    case 0: return HOST_VMCS(choice >> 3 & 127);
    case 1: return HOST_EPT12(choice >> 3 & 63);
    case 2: return HOST_MSR_BITMAP + (choice >> 3) * 16;
    case 3: return HOST_MSR_LIST + (choice >> 3) * 16;
    case 4: return FAKE_POOL_BASE + (choice >> 3) * 4096;
    case 5: return HOST_VMXON;
    case 6: return HOST_RAM_BYTES + (choice >> 3) * 4096;
    default: return take(in, 8);
    }
}

/* Encodings of offered fields mostly, and values that are close to good ones. */
static void any_vmwrite(struct input *in)
{
    uint64_t choice = take(in, 2), value = take(in, 1);
    uint64_t encoding = choice & 0x8000 ? take(in, 8) : vmcs_fields[choice % VMCS_FIELD_COUNT].encoding;
    uint64_t old = 0;

    if (value < 64)
        value = host_vmread(encoding, &old).what == SUCCEEDED ? old ^ UINT64_C(1) << value : value;
    else
        value = value < 128 ? any_address(in) : take(in, value < 192 ? 2 : 8);
    host_vmwrite(encoding, value);
}

/* A VMCS that would work, with a page in its EPT12; launched at once. */
static struct outcome host_good_vmcs(unsigned i, struct input *in)
{
    uint64_t page = any_address(in) & ~UINT64_C(0x3fffffff);

    phys_write64(hpa(HOST_EPT12(i)), (HOST_EPT12(i) + 0x80000) | EPT_RWX);
    phys_write64(hpa(HOST_EPT12(i) + 0x80000), page | EPT_LARGE | EPT_RWX);
    if (!fake_cpu->vmx_on || !host_try_prepare_vmcs(i))
        return (struct outcome){ SUCCEEDED, 0 };
    return host_instruction(EXIT_VMLAUNCH, 0);
}

/* The host runs: an instruction, or a write to its own memory as its EPT lets it. */
static struct outcome host_step(struct input *in)
{
    static const uint32_t plain[] = { EXIT_VMPTRST,  EXIT_VMXOFF,   EXIT_VMLAUNCH, EXIT_VMRESUME,
                                      EXIT_VMLAUNCH, EXIT_VMRESUME, EXIT_VMCALL,   EXIT_VMRESUME };
    static const uint32_t pointed[] = { EXIT_VMXON, EXIT_VMCLEAR, EXIT_VMPTRLD, EXIT_VMPTRLD };
    uint64_t choice = take(in, 1), address, value;

    switch (choice & 15) {
    case 0:
    case 1: return host_instruction(plain[choice >> 4 & 7], 0);
    case 2:
    case 3: return host_instruction(pointed[choice >> 4 & 3], any_address(in));
    case 4: return host_invalidate(EXIT_INVEPT, choice >> 4 & 3, take(in, 8), 0);
    case 5: return host_invalidate(EXIT_INVVPID, choice >> 4 & 7, take(in, 4), take(in, 8));
    case 6: return host_vmread(take(in, 2), &value);
    case 7:
    case 8:
    case 9:
    case 10: any_vmwrite(in); break;
    case 11: return host_good_vmcs((unsigned)(choice >> 4) + 16 * (unsigned)fake_cpu->index, in);
    default:
        address = any_address(in) & ~UINT64_C(7);
        value = choice & 16 ? take(in, 8) : any_address(in) | take(in, 1);
        if (host_ept_violation(hpa(address), true) == HOST_EPT_MAPPED && frame_state(hpa(address)) == FRAME_HOST)
            phys_write64(hpa(address), value);
    }
    return (struct outcome){ SUCCEEDED, 0 };
}

/* The VM runs until something exits. */
static struct outcome vm_step(struct input *in)
{
    static const uint8_t reasons[] = { EXIT_EPT_VIOLATION,
                                       EXIT_CPUID,
                                       EXIT_WRMSR,
                                       EXIT_RDMSR,
                                       EXIT_IO,
                                       EXIT_HLT,
                                       EXIT_EXCEPTION_OR_NMI,
                                       EXIT_NMI_WINDOW,
                                       EXIT_PREEMPTION_TIMER,
                                       EXIT_VMCALL };
    uint64_t choice = take(in, 1), qualification = take(in, 2);
    uint32_t reason = reasons[choice % sizeof(reasons)];

    if (choice < 8)
        return host_vm_nmi();
    if (choice >= 240)
        reason = EXIT_ENTRY_FAILURE | (choice & 1 ? EXIT_ENTRY_GUEST_STATE : EXIT_ENTRY_MSR_LOADING);
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, take(in, 3) << 12);
    hw_vmwrite(VMCS_VM_EXIT_INTERRUPTION_INFO, take(in, 2) | (choice & 16 ? INTR_VALID : 0));
    hw_vmwrite(VMCS_GUEST_RIP, qualification * 3);
    fake_cpu->gpr[RCX] = qualification;
    return host_vm_exits(reason, qualification);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, size };
    uint64_t options = take(&in, 1);

    host_start(options & 1);
    alive[0] = alive[1] = true;
    for (unsigned i = 0; i < 2 && (options & 2) != 0; i++) {
        host_switch_cpu(i);
        host_vmxon();
    }
    for (unsigned i = 0; i < STEPS_MAX && in.size != 0; i++) {
        unsigned cpu = (unsigned)take(&in, 1) & 1;
        struct outcome o;

        if (!alive[cpu])
            continue;
        host_switch_cpu(cpu);
        o = fake_cpu->in_l2 ? vm_step(&in) : host_step(&in);
        alive[cpu] = o.what != ABORTED;
        /* The tables that operands are read through stay as they are: what they may be is host_memory's own target. */
        phys_write64(hpa(0x2000), 0x3007);
        phys_write64(hpa(0x3000), 0x87);
        if (!fake_cpu->in_l2)
            hw_vmwrite(VMCS_GUEST_CR3, 0x2000);
    }
    return 0;
}
