/* SPDX-License-Identifier: GPL-2.0-only */
/* See fake_protected.h. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include "fake_protected.h"
#include "cloudvisor/vm_answers.h"
#include "cloudvisor/vm_window.h"
#include "cloudvisor/vmcs01.h"
#include "ept-guard/frames.h"
#include "ept-guard/host_ept.h"
#include "nested-vmx/vmcs12.h"

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "protected vCPU: violated: %s\n", #condition);                                             \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { TABLES = 0x600000, STEPS_MAX = 16 };

const uint32_t pvm_msrs[VM_MSR_COUNT] = {
    0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102, 0xc0000103, 0x48
};
struct bundle_descriptor pvm_descriptor;
struct fake_ept12 pvm_ept12;

static uint64_t next_table;

/* ---- What must hold of a protected vCPU's VMCS when it is entered. ---- */

static void check_controls(const struct vm *vm)
{
    uint32_t pin = (uint32_t)hw_vmread(VMCS_PIN_BASED_CONTROLS),
             proc = (uint32_t)hw_vmread(VMCS_PROCESSOR_BASED_CONTROLS);
    uint32_t pins = PIN_EXTERNAL_INTERRUPT_EXITING | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS;
    uint32_t procs = PROC_HLT_EXITING | PROC_MWAIT_EXITING | PROC_RDPMC_EXITING | PROC_CR8_LOAD_EXITING |
                     PROC_CR8_STORE_EXITING | PROC_UNCONDITIONAL_IO_EXITING | PROC_MSR_BITMAPS | PROC_MONITOR_EXITING |
                     PROC_TSC_OFFSETTING | PROC_SECONDARY_CONTROLS;
    uint32_t windows = PROC_INTERRUPT_WINDOW_EXITING | PROC_NMI_WINDOW_EXITING | PROC_PAUSE_EXITING;

    REQUIRE((pin & ~(caps_hw.pin.must_be_1 | PIN_PREEMPTION_TIMER)) == (pins & ~caps_hw.pin.must_be_1));
    REQUIRE((proc & ~(caps_hw.proc.must_be_1 | windows)) == (procs & ~caps_hw.proc.must_be_1));
    REQUIRE(hw_vmread(VMCS_SECONDARY_CONTROLS) ==
            (SEC_EPT | SEC_VPID | SEC_UNRESTRICTED_GUEST | SEC_RDTSCP | SEC_INVPCID));
    REQUIRE(hw_vmread(VMCS_MSR_BITMAP) == vm_msr_bitmap().raw);
    REQUIRE(hw_vmread(VMCS_EPT_POINTER) == (vm->ept.root.raw | EPTP_WB_WALK_4));
    REQUIRE(hw_vmread(VMCS_TSC_OFFSET) == vm->tsc_offset);
    REQUIRE(hw_vmread(VMCS_EXCEPTION_BITMAP) == BIT32(18));
    REQUIRE(hw_vmread(VMCS_VM_EXIT_MSR_STORE_COUNT) == 0 && hw_vmread(VMCS_VM_EXIT_MSR_LOAD_COUNT) == 0);
    REQUIRE(hw_vmread(VMCS_VM_ENTRY_MSR_LOAD_COUNT) == 0 && hw_vmread(VMCS_CR3_TARGET_COUNT) == 0);
    REQUIRE(hw_vmread(VMCS_VMCS_LINK_POINTER) == UINT64_MAX);
    REQUIRE(hw_vmread(VMCS_CR0_GUEST_HOST_MASK) == CR0_NE);
    REQUIRE(hw_vmread(VMCS_CR4_GUEST_HOST_MASK) == ~CR4_PROTECTED);
}

static void check_world(void)
{
    const char *wrong = fake_world(HOST_RAM_BYTES);

    if (wrong != NULL) {
        fprintf(stderr, "%s\n", wrong);
        abort();
    }
}

static void check_entry(void)
{
    const struct vcpu *vcpu = fake_cpu->vcpu;
    uint32_t exits = (uint32_t)hw_vmread(VMCS_VM_EXIT_CONTROLS), entry = (uint32_t)hw_vmread(VMCS_VM_ENTRY_CONTROLS);

    REQUIRE(!fake_locked());
    REQUIRE(vcpu == fake_cpu->current->vcpu && vcpu->active_on == fake_cpu);
    REQUIRE(fake_loaded_vmcs().raw == vcpu->vmcs.raw && frame_state(vcpu->vmcs) == FRAME_LAYER);
    REQUIRE((fake_cpu->launch != 0) != *fake_launched());
    REQUIRE(vcpu->vm->vcpus[vcpu->index] == vcpu);
    REQUIRE(hw_vmread(VMCS_VPID) == VPID_LAYER + vcpu->vm->index * BUNDLE_VCPU_MAX + vcpu->index);
    REQUIRE((exits & (EXIT_HOST_64BIT | EXIT_SAVE_EFER | EXIT_LOAD_EFER | EXIT_SAVE_PAT | EXIT_LOAD_PAT)) ==
            (EXIT_HOST_64BIT | EXIT_SAVE_EFER | EXIT_LOAD_EFER | EXIT_SAVE_PAT | EXIT_LOAD_PAT));
    REQUIRE((entry & (ENTRY_LOAD_EFER | ENTRY_LOAD_PAT | ENTRY_LOAD_DEBUG_CONTROLS)) ==
            (ENTRY_LOAD_EFER | ENTRY_LOAD_PAT | ENTRY_LOAD_DEBUG_CONTROLS));
    check_controls(vcpu->vm);
    host_check_host_state();
    check_world();
}

/* ---- The bundle in the host's memory. ---- */

static struct hw_cpuid pretend_cpuid(uint32_t leaf, uint32_t subleaf)
{
    if (leaf == 0xd && subleaf < 2)
        return (struct hw_cpuid){ .eax = subleaf == 0 ? 7 : 0, .ebx = 832, .ecx = 832 };
    if (leaf == 0xd && subleaf == 2)
        return (struct hw_cpuid){ .eax = 256, .ebx = 576 };
    if (leaf == 0 || leaf == 0x80000000)
        return (struct hw_cpuid){ .eax = leaf + 0x16 };
    return (struct hw_cpuid){ .eax = leaf == 1 ? 0x306d4 : 0, .edx = leaf == 0x80000001 ? 1u << 20 : 0 };
}

/* Identity page tables for the first gigabyte: root in the measured page that the descriptor names. */
static void write_page_tables(void)
{
    const uint64_t pdpt = BUNDLE_LONG_RANGE, directory = BUNDLE_LONG_RANGE + 0x1000;

    phys_write64(hpa(PVM_FRAME(pvm_descriptor.cr3)), pdpt | 3);
    phys_write64(hpa(PVM_FRAME(pdpt)), directory | 3);
    for (unsigned i = 0; i < 512; i++)
        phys_write64(hpa(PVM_FRAME(directory) + 8 * i), ept_page_bytes(LEVEL_2M) * i | 0x83);
}

static void map_ram(void)
{
    for (unsigned i = 0; i < pvm_descriptor.ram_count; i++) {
        for (uint64_t n = 0; n < pvm_descriptor.ram[i].page_count; n++) {
            uint64_t gpa = pvm_descriptor.ram[i].gpa + n * PAGE_SIZE;

            fake_ept12_map(&pvm_ept12, gpa, LEVEL_4K, PVM_FRAME(gpa) | EPT_RWX | EPT_TYPE(TYPE_WB));
        }
    }
}

static void set_host_registers(void)
{
    const uint64_t dr[4] = { 0x1000, 0x2000, 0x3000, 0x4000 };

    for (unsigned i = 0; i < VM_MSR_COUNT; i++)
        fake_msr_set(pvm_msrs[i], 0x1111 * (i + UINT64_C(1)));
    hw_write_cr2(0xc2000);
    hw_write_breakpoints(dr);
    REQUIRE(hw_xsetbv_safe(0, 7));
}

static void host_writes(uint64_t encoding, uint64_t value)
{
    REQUIRE(host_vmwrite(encoding, value).what == SUCCEEDED);
}

void pvm_prepare_vmcs(unsigned i)
{
    REQUIRE(pvm_try_prepare_vmcs(i));
}

bool pvm_try_prepare_vmcs(unsigned i)
{
    if (!host_try_prepare_vmcs(i))
        return false;
    host_writes(VMCS_EPT_POINTER, PVM_EPTP);
    host_writes(VMCS_GUEST_CS_ACCESS_RIGHTS, 0xa09b);
    host_writes(VMCS_GUEST_SS_ACCESS_RIGHTS, 0xc093);
    host_writes(VMCS_GUEST_RFLAGS, 2);
    host_writes(VMCS_GUEST_CR4, 0x2020);
    return true;
}

void pvm_start_host(bool shadowing, uint32_t flags)
{
    host_start(shadowing);
    fake_vm_forget();
    host_check_protected = check_entry;
    fake_cpuid = pretend_cpuid;
    set_host_registers();
    REQUIRE(vm_answers_init());
    next_table = TABLES;
    pvm_ept12 = (struct fake_ept12){ HOST_EPT12(0), &next_table };
    fake_descriptor(&pvm_descriptor);
    pvm_descriptor.flags = flags;
    REQUIRE(bundle_check(&pvm_descriptor, BUNDLE_DESCRIPTOR, sizeof(pvm_descriptor)) == BUNDLE_OK);
    memcpy(phys_to_virt(hpa(PVM_FRAME(BUNDLE_DESCRIPTOR))), &pvm_descriptor, sizeof(pvm_descriptor));
    write_page_tables();
    map_ram();
    host_switch_cpu(1);
    host_vmxon();
    host_switch_cpu(0);
    host_vmxon();
    pvm_prepare_vmcs(0);
}

/* ---- Calls. ---- */

struct outcome pvm_call(uint64_t rax, uint64_t rbx, uint64_t rcx)
{
    fake_cpu->gpr[RAX] = rax;
    fake_cpu->gpr[RBX] = rbx;
    fake_cpu->gpr[RCX] = rcx;
    hw_vmwrite(VMCS_VM_EXIT_INSTRUCTION_LENGTH, 3);
    return host_vm_exits(EXIT_VMCALL, 0);
}

struct vm *pvm_launch(void)
{
    struct outcome o;

    REQUIRE(host_instruction(EXIT_VMLAUNCH, 0).what == ENTERED);
    o = pvm_call(BUNDLE_CALL_LAUNCH, BUNDLE_DESCRIPTOR, sizeof(pvm_descriptor));
    for (unsigned i = 0; i < STEPS_MAX && o.what == EXITED && o.number == EXIT_EPT_VIOLATION; i++)
        o = host_instruction(EXIT_VMRESUME, 0);
    REQUIRE(o.what == ENTERED && fake_cpu->vcpu != NULL);
    return fake_cpu->vcpu->vm;
}

struct outcome pvm_guest_starts_second(uint8_t vector)
{
    fake_cpu->gpr[RCX] = 0x830;
    fake_cpu->gpr[RAX] = 0x600u | vector;
    fake_cpu->gpr[RDX] = 1;
    return pvm_exits(EXIT_WRMSR, 0);
}

struct outcome pvm_bring_second(void)
{
    pvm_prepare_vmcs(1);
    REQUIRE(host_instruction(EXIT_VMLAUNCH, 0).what == ENTERED);
    return pvm_call(BUNDLE_CALL_AP_START, 0, 0);
}

/* ---- The guest. ---- */

static bool is_mode(int field)
{
    switch (field) {
    case FIELD_GUEST_CR0:
    case FIELD_GUEST_CR3:
    case FIELD_GUEST_CR4:
    case FIELD_GUEST_CS_BASE:
    case FIELD_GUEST_CS_ACCESS_RIGHTS:
    case FIELD_GUEST_SS_ACCESS_RIGHTS:
    case FIELD_GUEST_IA32_EFER:
    case FIELD_GUEST_IA32_DEBUGCTL:
    case FIELD_GUEST_RFLAGS:
    case FIELD_GUEST_RIP:
    case FIELD_GUEST_INTERRUPTIBILITY:
    case FIELD_GUEST_ACTIVITY_STATE:
    case FIELD_GUEST_PENDING_DEBUG_EXCEPTIONS:
    case FIELD_PREEMPTION_TIMER_VALUE: return true;
    default: return false;
    }
}

void pvm_fill_secrets(void)
{
    const uint64_t dr[4] = { PVM_SECRET, PVM_SECRET, PVM_SECRET, PVM_SECRET };

    for (unsigned i = 0; i < GPR_COUNT; i++)
        fake_cpu->gpr[i] = PVM_SECRET;
    for (int i = 0; i < VMCS_FIELD_COUNT; i++) {
        uint8_t home = vmcs_fields[i].home;

        if ((home == HOME_GUEST || home == HOME_SWITCHED || home == HOME_EXIT) && !is_mode(i))
            hw_vmwrite(vmcs_fields[i].encoding, PVM_SECRET);
    }
    hw_vmwrite(VMCS_GUEST_RFLAGS, 0x2 | RFLAGS_AC | 0x8d5);
    for (unsigned i = 0; i < VM_MSR_COUNT; i++)
        fake_msr_set(pvm_msrs[i], PVM_SECRET);
    hw_write_cr2(PVM_SECRET);
    hw_write_breakpoints(dr);
    hw_write_dr6(0xe00f);
    REQUIRE(hw_xsetbv_safe(0, 7));
    for (unsigned i = 0; i < 3; i++)
        fake_vectors.component[i] = PVM_SECRET;
    fake_vectors.mxcsr = (uint32_t)PVM_SECRET & 0xffff;
}

struct outcome pvm_exits(uint32_t reason, uint64_t qualification)
{
    hw_vmwrite(VMCS_VM_EXIT_INSTRUCTION_LENGTH, 3);
    return host_vm_exits(reason, qualification);
}

static void skip_wbinvd(int number, siginfo_t *info, void *context)
{
    ucontext_t *c = context;
    const uint8_t *code = (const uint8_t *)(uintptr_t)c->uc_mcontext.gregs[REG_RIP];

    (void)number;
    (void)info;
    if (code[0] != 0x0f || code[1] != 0x09)
        abort();
    c->uc_mcontext.gregs[REG_RIP] += 2;
}

void pvm_allow_wbinvd(void)
{
    struct sigaction action = { .sa_sigaction = skip_wbinvd, .sa_flags = SA_SIGINFO };

    REQUIRE(sigaction(SIGSEGV, &action, NULL) == 0);
}

struct pvm_hardware pvm_hardware(void)
{
    struct pvm_hardware h = {
        .cr2 = hw_read_cr2(), .dr6 = hw_read_dr6(), .xcr0 = hw_xgetbv(0), .vectors = fake_vectors
    };

    for (unsigned i = 0; i < VM_MSR_COUNT; i++)
        h.msr[i] = fake_msr_get(pvm_msrs[i]);
    hw_read_breakpoints(h.dr);
    return h;
}
