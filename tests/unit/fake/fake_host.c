/* SPDX-License-Identifier: GPL-2.0-only */
/* See fake_host.h. vmcs12.c is included, so that each start begins without what it remembers. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fake_host.h"
#include "nested-vmx/protected.h"
#include "cloudvisor/host_exits.h"
#include "cloudvisor/host_memory.h"
#include "cloudvisor/intercepts.h"
#include "cloudvisor/log.h"
#include "cloudvisor/power.h"
#include "cloudvisor/vmcs01.h"
#include "ept-guard/frames.h"
#include "ept-guard/host_ept.h"
#include "nested-vmx/nested_internal.h"
#include "nested-vmx/vmcs12.c"

enum { HOST_CPUS = 2, PHYSICAL_BITS = 40, POOL_PAGES = 3072 };
enum {
    INFO_REGISTER = 1 << 10,
    INFO_64BIT = 2 << 7,
    INFO_DS = 3 << 15,
    INFO_NO_INDEX = 1 << 22,
    INFO_NO_BASE = 1 << 27
};
#define HOST_RIP UINT64_C(0xffffffff80001000)

struct cpu *cpus[BOOT_CPU_MAX];
struct boot_info *boot;
struct host_calls host_calls;
void (*host_check_protected)(void);

static struct boot_info boot_info;
static struct cpu host_cpus[HOST_CPUS];
static jmp_buf aborted;

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "vmcs02: violated: %s\n", #condition);                                                     \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* ---- What else the layer consists of. ---- */

void vmexit_entry(void);
void vmexit_entry(void)
{
}

uint64_t cpu_idt[256][2];

/* A VMX abort ends in here, for good. */
void cpu_park(struct cpu *cpu)
{
    (void)cpu;
    longjmp(aborted, 1);
}

void power_guard_resets(void)
{
    intercepts_add_port(0x64);
}

void host_ept_access(struct cpu *cpu)
{
    (void)cpu;
    host_calls.ept_access++;
}

bool host_msr_access(struct cpu *cpu, uint32_t msr, bool write)
{
    (void)cpu;
    (void)msr;
    (void)write;
    host_calls.msr_access++;
    return true;
}

bool host_io_access(struct cpu *cpu, uint64_t qualification)
{
    (void)cpu;
    (void)qualification;
    host_calls.io_access++;
    return true;
}

void host_nmi_exit(struct cpu *cpu)
{
    (void)cpu;
    host_calls.nmi_exit++;
}

void host_nmi_window_exit(struct cpu *cpu)
{
    (void)cpu;
    host_calls.nmi_window++;
}

/* As the real one, for a processor in protected mode. */
void exit_reinject(void)
{
    uint32_t info = (uint32_t)hw_vmread(VMCS_IDT_VECTORING_INFO);

    host_calls.reinjected++;
    if ((info & INTR_VALID) == 0)
        return;
    hw_vmwrite(VMCS_VM_ENTRY_INTERRUPTION_INFO, info & ~INTR_NMI_UNBLOCKING);
    if ((info & INTR_ERROR_VALID) != 0)
        hw_vmwrite(VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE, hw_vmread(VMCS_IDT_VECTORING_ERROR_CODE));
}

/* ---- Start. ---- */

static struct hw_cpuid pretend_cpuid(uint32_t leaf, uint32_t subleaf)
{
    (void)subleaf;
    return (struct hw_cpuid){ .edx = leaf == 0x80000001 ? 1u << 20 : 0 };
}

static void write_vmcs01(struct cpu *cpu)
{
    vmcs01_init(cpu);
    hw_vmwrite(VMCS_GUEST_CR0, 0x80050033);
    hw_vmwrite(VMCS_CR0_READ_SHADOW, 0x80050033);
    hw_vmwrite(VMCS_GUEST_CR3, 0x2000);
    hw_vmwrite(VMCS_GUEST_CR4, 0x26a0);
    hw_vmwrite(VMCS_CR4_READ_SHADOW, 0x26a0);
    hw_vmwrite(VMCS_GUEST_IA32_EFER, 0xd01);
    hw_vmwrite(VMCS_GUEST_IA32_PAT, BASE_PAT);
    hw_vmwrite(VMCS_GUEST_CS_ACCESS_RIGHTS, 0xa09b);
    hw_vmwrite(VMCS_GUEST_SS_ACCESS_RIGHTS, 0xc093);
    hw_vmwrite(VMCS_GUEST_RFLAGS, 2);
    hw_vmwrite(VMCS_GUEST_RIP, HOST_RIP);
}

void vmcs_load(hpa_t vmcs)
{
    REQUIRE(hw_vmptrld(vmcs));
}

void host_switch_cpu(unsigned index)
{
    fake_switch_cpu(index, &host_cpus[index]);
}

/* Forgets what the included files remember of the start before. */
static void forget(void)
{
    fake_ept02_forget();
    read_write_count = shadow_count = exit_count = copied_count = 0;
    memset(&host_calls, 0, sizeof(host_calls));
}

static void start_layer(bool shadowed)
{
    struct mtrrs m = { .cap = 0x508, .default_type = 0xc06, .address_mask = ((UINT64_C(1) << PHYSICAL_BITS) - 4096) };
    struct ept12_format f;

    boot_info = (struct boot_info){ .shadowing = shadowed, .root_cr3 = 0x1000, .cpu_count = HOST_CPUS };
    boot = &boot_info;
    physical_bits = PHYSICAL_BITS;
    caps_hw = processor_broadwell();
    vmx_caps_offer(&caps_hw, &caps_offer);
    f = ept12_format(&caps_offer, PHYSICAL_BITS);
    ept02_init(&f);
    if (!intercepts_init(true) || !host_ept_init(&m, PHYSICAL_BITS, true, true) || !nested_init())
        abort();
}

void host_start(bool shadowed)
{
    forget();
    fake_layer_start(HOST_RAM_BYTES, POOL_PAGES);
    start_layer(shadowed);
    fake_cpuid = pretend_cpuid;
    memset(host_cpus, 0, sizeof(host_cpus));
    for (unsigned i = 0; i < HOST_CPUS; i++) {
        host_cpus[i].self = cpus[i] = &host_cpus[i];
        host_cpus[i].index = i;
        host_switch_cpu(i);
        host_cpus[i].vmcs01 = pool_alloc();
        REQUIRE(nested_init_cpu(&host_cpus[i]));
        hw_vmptrld(host_cpus[i].vmcs01);
        write_vmcs01(&host_cpus[i]);
    }
    host_switch_cpu(0);
    phys_write64(hpa(0x2000), 0x3007);
    phys_write64(hpa(0x3000), 0x87);
    for (unsigned i = 0; i < 128; i++)
        *(uint32_t *)phys_to_virt(hpa(HOST_VMCS(i))) = VMCS12_REVISION;
    *(uint32_t *)phys_to_virt(hpa(HOST_VMXON)) = VMCS12_REVISION;
}

/* ---- Instructions. ---- */

/* What the fake processor shows after the layer handled an exit: looks at vmcs01, or at the vmcs02 that is entered. */
static struct outcome look(uint64_t rip_before, unsigned length)
{
    uint64_t rip, flags, info;

    if (fake_cpu->in_l2 && fake_cpu->vcpu != NULL) {
        REQUIRE(host_check_protected != NULL);
        host_check_protected();
        return (struct outcome){ ENTERED, 0 };
    }
    if (fake_cpu->in_l2) {
        REQUIRE(fake_loaded_vmcs().raw == fake_cpu->current->vmcs02.raw);
        host_check_vmcs02();
        return (struct outcome){ ENTERED, 0 };
    }
    REQUIRE(fake_loaded_vmcs().raw == fake_cpu->vmcs01.raw);
    rip = hw_vmread(VMCS_GUEST_RIP);
    flags = hw_vmread(VMCS_GUEST_RFLAGS);
    info = hw_vmread(VMCS_VM_ENTRY_INTERRUPTION_INFO);
    hw_vmwrite(VMCS_VM_ENTRY_INTERRUPTION_INFO, 0);
    if ((info & INTR_VALID) != 0) {
        REQUIRE(rip == rip_before);
        return (struct outcome){ FAULTED, (unsigned)info & 0xff };
    }
    if (rip != rip_before + length)
        return (struct outcome){ EXITED, (unsigned)fake_cpu->current->field[FIELD_EXIT_REASON] & 0xffff };
    if ((flags & 1) != 0)
        return (struct outcome){ FAILED_INVALID, 0 };
    if ((flags & 0x40) != 0)
        return (struct outcome){ FAILED_VALID, (unsigned)fake_cpu->current->field[FIELD_VM_INSTRUCTION_ERROR] };
    return (struct outcome){ SUCCEEDED, 0 };
}

struct outcome host_raw_instruction(uint32_t reason, uint32_t info, uint64_t displacement)
{
    uint64_t rip = hw_vmread(VMCS_GUEST_RIP);

    hw_vmwrite(VMCS_VM_EXIT_INSTRUCTION_LENGTH, 4);
    hw_vmwrite(VMCS_VM_EXIT_INSTRUCTION_INFO, info);
    hw_vmwrite(VMCS_EXIT_QUALIFICATION, displacement);
    if (setjmp(aborted) != 0)
        return (struct outcome){ ABORTED, 0 };
    nested_instruction(fake_cpu, reason);
    return look(rip, 4);
}

static struct outcome execute(uint32_t reason, uint32_t info)
{
    return host_raw_instruction(reason, info, HOST_OPERAND);
}

struct outcome host_instruction(uint32_t reason, uint64_t operand)
{
    phys_write64(hpa(HOST_OPERAND), operand);
    return execute(reason, INFO_64BIT | INFO_DS | INFO_NO_BASE | INFO_NO_INDEX);
}

struct outcome host_invalidate(uint32_t reason, uint64_t type, uint64_t first, uint64_t second)
{
    phys_write64(hpa(HOST_OPERAND), first);
    phys_write64(hpa(HOST_OPERAND + 8), second);
    fake_cpu->gpr[RAX] = type;
    return execute(reason, INFO_64BIT | INFO_DS | INFO_NO_BASE | INFO_NO_INDEX);
}

/* SDM "VMREAD", "VMWRITE" in VMX non-root operation: served by the shadow VMCS if its bitmap says so. */
static bool shadow_serves(uint64_t encoding, uint32_t bitmap_field)
{
    const uint8_t *bitmap;

    if ((hw_vmread(VMCS_SECONDARY_CONTROLS) & SEC_VMCS_SHADOWING) == 0 || encoding > 0x7fff || !fake_cpu->vmx_on)
        return false;
    bitmap = phys_to_virt(hpa(hw_vmread(bitmap_field)));
    return (bitmap[encoding / 8] >> (encoding % 8) & 1) == 0;
}

static uint64_t *shadow_field(uint64_t encoding)
{
    return fake_vmcs_field(hpa(hw_vmread(VMCS_VMCS_LINK_POINTER)), (uint32_t)encoding);
}

struct outcome host_vmread(uint64_t encoding, uint64_t *value)
{
    struct outcome o;

    if (shadow_serves(encoding, VMREAD_BITMAP)) {
        *value = *shadow_field(encoding);
        return (struct outcome){ SUCCEEDED, 0 };
    }
    fake_cpu->gpr[RAX] = encoding;
    o = execute(EXIT_VMREAD, INFO_REGISTER | RBX << 3 | (uint32_t)RAX << 28);
    *value = fake_cpu->gpr[RBX];
    return o;
}

struct outcome host_vmwrite(uint64_t encoding, uint64_t value)
{
    if (shadow_serves(encoding, VMWRITE_BITMAP)) {
        *shadow_field(encoding) = vmcs_field_merge((uint32_t)encoding, 0, value);
        return (struct outcome){ SUCCEEDED, 0 };
    }
    fake_cpu->gpr[RAX] = encoding;
    fake_cpu->gpr[RBX] = value;
    return execute(EXIT_VMWRITE, INFO_REGISTER | RBX << 3 | (uint32_t)RAX << 28);
}

void host_vmxon(void)
{
    REQUIRE(host_instruction(EXIT_VMXON, HOST_VMXON).what == SUCCEEDED);
}

void host_prepare_vmcs(unsigned i)
{
    REQUIRE(host_try_prepare_vmcs(i));
}

bool host_try_prepare_vmcs(unsigned i)
{
    struct entry e;

    entry_baseline(&e);
    e.fields[FIELD_EPT_POINTER] = HOST_EPT12(i) | 0x5e;
    e.fields[FIELD_MSR_BITMAP] = HOST_MSR_BITMAP;
    e.fields[FIELD_IO_BITMAP_A] = HOST_IO_BITMAP;
    e.fields[FIELD_IO_BITMAP_B] = HOST_IO_BITMAP + 4096;
    e.fields[FIELD_VM_EXIT_MSR_STORE_COUNT] = e.fields[FIELD_VM_EXIT_MSR_LOAD_COUNT] = 0;
    e.fields[FIELD_VM_ENTRY_MSR_LOAD_COUNT] = 0;
    e.fields[FIELD_HOST_RIP] = HOST_EXIT_RIP;
    e.fields[FIELD_HOST_CR3] = 0x2000;
    e.fields[FIELD_GUEST_IA32_EFER] = 0xd01;
    e.fields[FIELD_GUEST_IA32_PAT] = BASE_PAT;
    if (host_instruction(EXIT_VMCLEAR, HOST_VMCS(i)).what != SUCCEEDED ||
        host_instruction(EXIT_VMPTRLD, HOST_VMCS(i)).what != SUCCEEDED)
        return false;
    for (int field = 0; field < VMCS_FIELD_COUNT; field++)
        if (vmcs12_offers(field) && host_vmwrite(vmcs_fields[field].encoding, e.fields[field]).what != SUCCEEDED)
            return false;
    return true;
}

static struct outcome look_after_exit(uint64_t rip)
{
    if (fake_cpu->in_l2)
        return look(rip, 0);
    REQUIRE(fake_loaded_vmcs().raw == fake_cpu->vmcs01.raw);
    return (struct outcome){ EXITED, (unsigned)fake_cpu->current->field[FIELD_EXIT_REASON] & 0xffff };
}

struct outcome host_vm_exits(uint32_t reason, uint64_t qualification)
{
    uint64_t rip = hw_vmread(VMCS_GUEST_RIP);

    hw_vmwrite(VMCS_EXIT_REASON, reason);
    hw_vmwrite(VMCS_EXIT_QUALIFICATION, qualification);
    if ((reason & EXIT_ENTRY_FAILURE) == 0)
        *fake_launched() = true;
    if ((reason & EXIT_ENTRY_FAILURE) == 0)
        hw_vmwrite(VMCS_VM_ENTRY_INTERRUPTION_INFO, hw_vmread(VMCS_VM_ENTRY_INTERRUPTION_INFO) & ~(uint64_t)INTR_VALID);
    if (setjmp(aborted) != 0)
        return (struct outcome){ ABORTED, 0 };
    fake_cpu->launch = 0; /* as the dispatcher of exits does */
    nested_exit(fake_cpu, reason);
    return look_after_exit(rip);
}

struct outcome host_vm_nmi(void)
{
    uint64_t rip = hw_vmread(VMCS_GUEST_RIP);

    if (setjmp(aborted) != 0)
        return (struct outcome){ ABORTED, 0 };
    nested_deliver_nmi(fake_cpu);
    return look_after_exit(rip);
}

struct outcome host_entry_refused(uint64_t error)
{
    uint64_t rip = *fake_vmcs_field(fake_cpu->vmcs01, VMCS_GUEST_RIP);

    hw_vmwrite(VMCS_VM_INSTRUCTION_ERROR, error);
    nested_entry_refused(fake_cpu);
    return look(rip, 4);
}

/* ---- What must hold of a vmcs02. ---- */

static bool layers_page(uint64_t address)
{
    return (address & 0xfff) == 0 && frame_state(hpa(address)) == FRAME_LAYER;
}

static bool contains(uint64_t page, hpa_t layers)
{
    const uint64_t *have = phys_to_virt(hpa(page)), *need = phys_to_virt(layers);

    for (unsigned i = 0; i < 512; i++)
        if ((need[i] & ~have[i]) != 0)
            return false;
    return true;
}

static void check_bitmaps(uint32_t proc)
{
    if (proc & PROC_MSR_BITMAPS) {
        REQUIRE(layers_page(hw_vmread(VMCS_MSR_BITMAP)));
        REQUIRE(contains(hw_vmread(VMCS_MSR_BITMAP), intercepts_msr_bitmap()));
    }
    REQUIRE((proc & PROC_IO_BITMAPS) != 0 || (proc & PROC_UNCONDITIONAL_IO_EXITING) != 0);
    if (proc & PROC_IO_BITMAPS) {
        REQUIRE(layers_page(hw_vmread(VMCS_IO_BITMAP_A)) && layers_page(hw_vmread(VMCS_IO_BITMAP_B)));
        REQUIRE(contains(hw_vmread(VMCS_IO_BITMAP_A), intercepts_io_bitmap(0)));
        REQUIRE(contains(hw_vmread(VMCS_IO_BITMAP_B), intercepts_io_bitmap(1)));
    }
}

/* Neither list may name an MSR that the layer keeps. */
static void check_lists(void)
{
    uint64_t count = hw_vmread(VMCS_VM_ENTRY_MSR_LOAD_COUNT);
    const struct msr_entry *list;

    REQUIRE(hw_vmread(VMCS_VM_EXIT_MSR_STORE_COUNT) == 0 && hw_vmread(VMCS_VM_EXIT_MSR_LOAD_COUNT) == 0);
    REQUIRE(count <= MSR_LIST_MAX);
    if (count == 0)
        return;
    REQUIRE(layers_page(hw_vmread(VMCS_VM_ENTRY_MSR_LOAD_ADDR)));
    list = phys_to_virt(hpa(hw_vmread(VMCS_VM_ENTRY_MSR_LOAD_ADDR)));
    for (uint64_t i = 0; i < count; i++)
        REQUIRE(!intercepts_known_msr(list[i].msr, true));
}

void host_check_host_state(void)
{
    REQUIRE(hw_vmread(VMCS_HOST_RIP) == (uint64_t)vmexit_entry);
    REQUIRE(hw_vmread(VMCS_HOST_RSP) == (uint64_t)(fake_cpu->gpr + GPR_COUNT));
    REQUIRE(hw_vmread(VMCS_HOST_GS_BASE) == (uint64_t)fake_cpu);
    REQUIRE(hw_vmread(VMCS_HOST_CR3) == boot->root_cr3);
    REQUIRE(hw_vmread(VMCS_HOST_IDTR_BASE) == (uint64_t)cpu_idt);
}

void host_check_vmcs02(void)
{
    const uint32_t secondary_needed = SEC_EPT | SEC_VPID;
    uint32_t pin = (uint32_t)hw_vmread(VMCS_PIN_BASED_CONTROLS),
             proc = (uint32_t)hw_vmread(VMCS_PROCESSOR_BASED_CONTROLS);
    uint32_t secondary = (uint32_t)hw_vmread(VMCS_SECONDARY_CONTROLS),
             exits = (uint32_t)hw_vmread(VMCS_VM_EXIT_CONTROLS);
    uint32_t entry = (uint32_t)hw_vmread(VMCS_VM_ENTRY_CONTROLS);
    uint64_t eptp = hw_vmread(VMCS_EPT_POINTER), link = hw_vmread(VMCS_VMCS_LINK_POINTER);

    REQUIRE(!fake_locked());
    REQUIRE((fake_cpu->launch != 0) != *fake_launched());
    REQUIRE(vmx_control_valid(caps_hw.pin, pin) && vmx_control_valid(caps_hw.proc, proc));
    REQUIRE(vmx_control_valid(caps_hw.secondary, secondary));
    REQUIRE(vmx_control_valid(caps_hw.exit, exits) && vmx_control_valid(caps_hw.entry, entry));
    REQUIRE((pin & ~(caps_offer.pin.may_be_1)) == 0 && (pin & PIN_NMI_EXITING) != 0);
    REQUIRE((proc & PROC_SECONDARY_CONTROLS) != 0 && (proc & ~caps_offer.proc.may_be_1) == 0);
    REQUIRE((secondary & secondary_needed) == secondary_needed && (secondary & ~caps_offer.secondary.may_be_1) == 0);
    REQUIRE((exits & EXIT_HOST_64BIT) != 0 &&
            (exits & (EXIT_SAVE_EFER | EXIT_LOAD_EFER)) == (EXIT_SAVE_EFER | EXIT_LOAD_EFER));
    REQUIRE((entry & ENTRY_LOAD_EFER) != 0 && (entry & ~caps_offer.entry.may_be_1) == 0);
    REQUIRE(layers_page(eptp & EPT_ADDRESS));
    REQUIRE(hw_vmread(VMCS_VPID) != 0 && hw_vmread(VMCS_VPID) != VPID_HOST);
    REQUIRE(link == UINT64_MAX || (link & 0xfff) != 0);
    check_bitmaps(proc);
    check_lists();
    host_check_host_state();
}

/* Weak: without protected VMs. */
__attribute__((weak)) bool protected_call(struct cpu *cpu, struct vmcs12 *v)
{
    (void)cpu, (void)v;
    return false;
}

__attribute__((weak)) void protected_enter(struct cpu *cpu, struct vmcs12 *v)
{
    (void)cpu, (void)v;
    abort();
}

__attribute__((weak)) void protected_exit(struct cpu *cpu, struct vmcs12 *v, uint32_t reason)
{
    (void)cpu, (void)v, (void)reason;
    abort();
}

__attribute__((weak)) void protected_nmi(struct cpu *cpu, struct vmcs12 *v)
{
    (void)cpu, (void)v;
    abort();
}

__attribute__((weak)) void protected_entry_refused(struct cpu *cpu, struct vmcs12 *v)
{
    (void)cpu, (void)v;
    abort();
}

__attribute__((weak)) bool protected_activate(struct cpu *cpu, struct vmcs12 *v)
{
    (void)cpu, (void)v;
    return true;
}

__attribute__((weak)) void protected_deactivate(struct vmcs12 *v)
{
    (void)v;
}

__attribute__((weak)) void vm_end_all(enum vm_stop why, bool scrub)
{
    (void)why, (void)scrub;
}
