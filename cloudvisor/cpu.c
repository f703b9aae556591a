/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Demotion of a CPU: its record, VMX root mode, vmcs01 with the caller's state as the guest's. CPU 0 first sets up
 * what all CPUs share. Afterwards, what CPUs ask of each other: kicks, flushes, INIT and SIPI.
 */
#include <string.h>
#include "cloudvisor/apic.h"
#include "cloudvisor/flush.h"
#include "cloudvisor/intercepts.h"
#include "cloudvisor/log.h"
#include "cloudvisor/pool.h"
#include "cloudvisor/power.h"
#include "cloudvisor/vm_answers.h"
#include "cloudvisor/vmcs01.h"
#include "crypto/page_crypt.h"
#include "crypto/random.h"
#include "ept-guard/ept02.h"
#include "ept-guard/frames.h"
#include "ept-guard/host_ept.h"
#include "nested-vmx/nested.h"
#include "nested-vmx/vmcs_fields.h"

struct cpu *cpus[BOOT_CPU_MAX];
struct boot_info *boot;

static volatile uint32_t lock_held;
static volatile uint64_t flush_generation;

void cpu_enter_first(struct cpu *cpu);

enum { MSR_TSC_ADJUST = 0x3b, MSR_DEBUGCTL = 0x1d9, MSR_PAT = 0x277 };
enum { MSR_SYSENTER_CS = 0x174, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP };
enum msr { MSR_EFER = 0xc0000080, MSR_FS_BASE = 0xc0000100, MSR_GS_BASE };
#define FEATURE_CONTROL_LOCKED 1u
#define FEATURE_CONTROL_VMX    4u

void layer_lock(void)
{
    while (__atomic_exchange_n(&lock_held, 1, __ATOMIC_ACQUIRE) != 0) {
        while (lock_held != 0)
            hw_pause();
    }
}

void layer_unlock(void)
{
    __atomic_store_n(&lock_held, 0, __ATOMIC_RELEASE);
}

void vmcs_load(hpa_t vmcs)
{
    if (!hw_vmptrld(vmcs))
        cv_panic("VMPTRLD of %lx fails", vmcs.raw);
}

static bool init_frames(void)
{
    uint64_t frame_count = (boot->ram_top + PAGE_SIZE - 1) / PAGE_SIZE;
    void *table = pool_alloc_bytes(frames_table_bytes(frame_count));

    if (table == NULL)
        return false;
    frames_init(table, frame_count);
    for (unsigned i = 0; i < boot->memory_count && i < BOOT_MEMORY_MAX; i++) {
        if (boot->memory[i].kind == BOOT_MEMORY_RAM)
            frames_add_ram(boot->memory[i].base, boot->memory[i].size);
    }
    for (uint64_t at = 0; at < boot->region_size; at += PAGE_SIZE)
        cv_assert(frame_event(hpa(boot->region_base + at), FRAME_LAYER_TAKE));
    return true;
}

/* Address bits that select an encryption key: through them the same memory would appear at further addresses. */
static unsigned key_id_bits(void)
{
    enum { MSR_TME_ACTIVATE = 0x982, CPUID_7_ECX_TME = 1 << 13 };

    return (hw_cpuid(7, 0).ecx & CPUID_7_ECX_TME) != 0 ? (unsigned)(hw_rdmsr(MSR_TME_ACTIVATE) >> 32) & 15 : 0;
}

/* What all CPUs share; on the boot CPU, once. */
static enum demote_error init_shared(uint64_t boot_info_pa)
{
    struct mtrrs mtrrs;
    struct ept12_format format;
    bool trap;

    boot = phys_to_virt(hpa(boot_info_pa));
    if (boot->magic != BOOT_INFO_MAGIC || boot->cpu_count == 0 || boot->cpu_count > BOOT_CPU_MAX ||
        boot->free_offset > boot->region_size)
        return DEMOTE_BAD_BOOT_INFO;
    pool_init(hpa(boot->region_base + boot->free_offset), boot->region_size - boot->free_offset);
    vmx_caps_read(&caps_hw, hw_rdmsr);
    vmx_caps_offer(&caps_hw, &caps_offer);
    if ((hw_rdmsr(MSR_APIC_BASE) & UINT64_C(0x000ffffffffff000)) != APIC_PAGE)
        return DEMOTE_UNSUITABLE_CPU;
    physical_bits = (hw_cpuid(0x80000008, 0).eax & 0xff) - key_id_bits();
    mtrr_read(&mtrrs, physical_bits, hw_rdmsr);
    trap = boot->init_mode == BOOT_INIT_TRAP;
    format = ept12_format(&caps_offer, physical_bits);
    ept02_init(&format);
    if (!init_frames() || !intercepts_init(trap) ||
        !host_ept_init(&mtrrs, physical_bits, (caps_hw.ept_vpid & EPT_CAP_1G) != 0, trap) || !nested_init() ||
        !vm_answers_init())
        return DEMOTE_NO_MEMORY;
    cpu_init_idt();
    power_init();
    cv_log(LOG_INFO, "layer at %lx, %lu MiB, %u CPUs, TSC %u kHz, INIT and SIPI by %s", boot->region_base,
           boot->region_size >> 20, boot->cpu_count, boot->tsc_khz, trap ? "trapped ICR writes" : "VM exits");
    return DEMOTE_OK;
}

static void init_descriptors(struct cpu *cpu)
{
    uint64_t base = (uint64_t)&cpu->tss;

    cpu->gdt[SEL_CODE / 8] = UINT64_C(0x00af9b000000ffff);
    cpu->gdt[SEL_DATA / 8] = UINT64_C(0x00cf93000000ffff);
    cpu->gdt[SEL_TSS / 8] = (sizeof(cpu->tss) - 1) | (base & 0xffffff) << 16 | UINT64_C(0x8b) << 40 |
                            (base >> 24 & 0xff) << 56;
    cpu->gdt[SEL_TSS / 8 + 1] = base >> 32;
    cpu->tss.ist[0] = (uint64_t)cpu->ist_stack + IST_STACK_SIZE / 2;
    cpu->tss.ist[1] = (uint64_t)cpu->ist_stack + IST_STACK_SIZE;
    cpu->tss.iomap_base = sizeof(cpu->tss);
}

static struct cpu *create_cpu(uint64_t index)
{
    struct cpu *cpu = pool_alloc_bytes(sizeof(*cpu));

    if (cpu == NULL)
        return NULL;
    cpu->self = cpu;
    cpu->index = (uint32_t)index;
    cpu->apic_id = boot->apic_id[index];
    cpu->stack_top = (uint64_t)cpu->stack + STACK_SIZE;
    cpu->vmxon = pool_alloc();
    cpu->vmcs01 = pool_alloc();
    cpu->launch = 1;
    init_descriptors(cpu);
    if (cpu->vmxon.raw == 0 || cpu->vmcs01.raw == 0 || !nested_init_cpu(cpu))
        return NULL;
    *(uint32_t *)phys_to_virt(cpu->vmxon) = (uint32_t)caps_hw.basic & INT32_MAX;
    *(uint32_t *)phys_to_virt(cpu->vmcs01) = (uint32_t)caps_hw.basic & INT32_MAX;
    return cpu;
}

/*
 * Makes the crypto library usable in this CPU's root mode; on CPU 0 seeds the generator and tries page encryption. FS
 * base is root mode's meanwhile; SSE is on, as UEFI demands of firmware.
 */
static enum demote_error start_crypto(struct cpu *cpu)
{
    uint64_t fs_base = hw_rdmsr(MSR_FS_BASE);
    enum demote_error error = DEMOTE_OK;

    if (!crypto_cpu_init(&cpu->crypto))
        return DEMOTE_NO_RANDOM;
    if (cpu->index != 0)
        return DEMOTE_OK;
    hw_wrmsr(MSR_FS_BASE, (uint64_t)&cpu->crypto);
    crypto_begin(&cpu->crypto.interrupted);
    if (!random_init(NULL, 0))
        error = DEMOTE_NO_RANDOM;
    else if (!page_crypt_self_check())
        error = DEMOTE_CRYPTO_FAILED;
    crypto_end(&cpu->crypto.interrupted);
    hw_wrmsr(MSR_FS_BASE, fs_base);
    return error;
}

static bool enter_root(struct cpu *cpu)
{
    uint64_t feature_control = hw_rdmsr(MSR_FEATURE_CONTROL);

    if ((feature_control & FEATURE_CONTROL_LOCKED) == 0)
        hw_wrmsr(MSR_FEATURE_CONTROL, feature_control | FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX);
    else if ((feature_control & FEATURE_CONTROL_VMX) == 0)
        return false;
    hw_write_cr0((hw_read_cr0() | caps_hw.cr0_fixed0) & caps_hw.cr0_fixed1);
    hw_write_cr4((hw_read_cr4() | caps_hw.cr4_fixed0) & caps_hw.cr4_fixed1);
    return hw_vmxon(cpu->vmxon) && hw_vmclear(cpu->vmcs01) && hw_vmptrld(cpu->vmcs01);
}

struct __attribute__((packed)) descriptor_pointer {
    uint16_t limit;
    uint64_t base;
};

/* UEFI's segments are flat; a null selector is unusable. */
static void copy_segments(void)
{
    struct descriptor_pointer gdtr, idtr;
    uint16_t selectors[GS + 1];

    __asm__ volatile("mov %%es, %0; mov %%cs, %1; mov %%ss, %2; mov %%ds, %3; mov %%fs, %4; mov %%gs, %5"
                     : "=m"(selectors[ES]), "=m"(selectors[CS]), "=m"(selectors[SS]), "=m"(selectors[DS]),
                       "=m"(selectors[FS]), "=m"(selectors[GS]));
    for (enum segment i = ES; i <= GS; i++) {
        uint64_t base = i == FS ? hw_rdmsr(MSR_FS_BASE) : i == GS ? hw_rdmsr(MSR_GS_BASE) : 0;
        uint32_t rights = i == CS ? 0xa09b : 0xc093;

        host_set_segment(i, selectors[i], base, UINT32_MAX, (selectors[i] & ~3u) != 0 ? rights : 0x10000);
    }
    __asm__ volatile("sgdt %0; sidt %1" : "=m"(gdtr), "=m"(idtr));
    hw_vmwrite(VMCS_GUEST_GDTR_BASE, gdtr.base);
    hw_vmwrite(VMCS_GUEST_GDTR_LIMIT, gdtr.limit);
    hw_vmwrite(VMCS_GUEST_IDTR_BASE, idtr.base);
    hw_vmwrite(VMCS_GUEST_IDTR_LIMIT, idtr.limit);
}

/* What layer_entry pushed on the caller's stack, lowest address first. */
struct caller_frame {
    uint64_t gpr[GPR_COUNT], rflags, return_address;
};

/* The caller's state becomes the host's: it continues behind its call with RAX = 0. */
static void copy_caller(struct cpu *cpu, uint64_t frame_pa, uint64_t caller_cr3, uint64_t cr0, uint64_t cr4)
{
    const struct caller_frame *frame = phys_to_virt(hpa(frame_pa));

    copy_segments();
    hw_vmwrite(VMCS_GUEST_CR0, cr0 | CR0_NE);
    hw_vmwrite(VMCS_CR0_READ_SHADOW, cr0);
    hw_vmwrite(VMCS_GUEST_CR3, caller_cr3);
    hw_vmwrite(VMCS_GUEST_CR4, cr4 | CR4_VMXE);
    hw_vmwrite(VMCS_CR4_READ_SHADOW, cr4);
    hw_vmwrite(VMCS_GUEST_IA32_EFER, hw_rdmsr(MSR_EFER));
    hw_vmwrite(VMCS_GUEST_IA32_PAT, hw_rdmsr(MSR_PAT));
    hw_vmwrite(VMCS_GUEST_IA32_DEBUGCTL, hw_rdmsr(MSR_DEBUGCTL));
    hw_vmwrite(VMCS_GUEST_IA32_SYSENTER_CS, hw_rdmsr(MSR_SYSENTER_CS));
    hw_vmwrite(VMCS_GUEST_IA32_SYSENTER_ESP, hw_rdmsr(MSR_SYSENTER_ESP));
    hw_vmwrite(VMCS_GUEST_IA32_SYSENTER_EIP, hw_rdmsr(MSR_SYSENTER_EIP));
    hw_vmwrite(VMCS_GUEST_DR7, hw_read_dr7());
    hw_vmwrite(VMCS_VM_ENTRY_CONTROLS, hw_vmread(VMCS_VM_ENTRY_CONTROLS) | ENTRY_IA32E_GUEST);
    hw_vmwrite(VMCS_GUEST_RIP, frame->return_address);
    hw_vmwrite(VMCS_GUEST_RSP, frame_pa + sizeof(*frame));
    hw_vmwrite(VMCS_GUEST_RFLAGS, frame->rflags);
    memcpy(cpu->gpr, frame->gpr, sizeof(cpu->gpr));
    cpu->gpr[RAX] = DEMOTE_OK;
}

uint64_t cpu_demote(uint64_t boot_info_pa, uint64_t index, uint64_t caller_frame, uint64_t caller_cr3)
{
    uint64_t cr0 = hw_read_cr0(), cr4 = hw_read_cr4();
    enum demote_error error = index == 0 ? init_shared(boot_info_pa) : DEMOTE_OK;
    struct cpu *cpu;

    if (error != DEMOTE_OK)
        return error;
    if (index >= boot->cpu_count || cpus[index] != NULL)
        return DEMOTE_BAD_BOOT_INFO;
    layer_lock();
    cpu = create_cpu(index);
    error = cpu == NULL ? DEMOTE_NO_MEMORY : start_crypto(cpu);
    layer_unlock();
    if (error != DEMOTE_OK)
        return error;
    if (!enter_root(cpu))
        return DEMOTE_VMXON_FAILED;
    vmcs01_init(cpu);
    vmcs01_set_start_state(cpu, 0);
    copy_caller(cpu, caller_frame, caller_cr3, cr0, cr4);
    hw_wrmsr(MSR_GS_BASE, (uint64_t)cpu);
    apic_read_logical_id(cpu);
    if (!hw_rdmsr_safe(MSR_TSC_ADJUST, &cpu->tsc_adjust))
        cpu->tsc_adjust = 0;
    cpu->stats[STAT_cpus_demoted] = 1;
    cpu->stats[STAT_layer_bytes] = index == 0 ? boot->region_size : 0;
    cpus[index] = cpu;
    cpu->exit_tsc = hw_rdtsc();
    cv_log(LOG_INFO, "CPU %u (APIC id %x) is demoted", cpu->index, cpu->apic_id);
    cpu_enter_first(cpu);
    return DEMOTE_VMLAUNCH_FAILED;
}

void cpu_kick(struct cpu *cpu, struct cpu *target)
{
    __atomic_store_n(&target->attention, 1, __ATOMIC_SEQ_CST);
    if (__atomic_exchange_n(&target->kick_pending, 1, __ATOMIC_SEQ_CST) == 0) {
        cpu_count_stat(cpu, STAT_kicks);
        apic_send_nmi(target->apic_id);
    }
}

static void flush_own(struct cpu *cpu)
{
    uint64_t generation = flush_generation;

    hw_invept(HW_INVEPT_ALL, 0);
    cpu->flushed = generation;
}

/* Waits until `other` has left non-root mode or flushed. A kick may be lost while the host fiddles with its APIC. */
static void wait_for_flush(struct cpu *other, uint64_t generation)
{
    enum { KICK_PATIENCE = 10000000 };
    uint64_t start = hw_rdtsc();

    while (other->in_guest && !other->waits_for_sipi && other->flushed < generation) {
        if (hw_rdtsc() - start > KICK_PATIENCE) {
            other->kick_pending = 1;
            apic_send_nmi(other->apic_id);
            start = hw_rdtsc();
        }
        hw_pause();
    }
}

void flush_all_cpus(struct cpu *cpu)
{
    uint64_t generation = __atomic_add_fetch(&flush_generation, 1, __ATOMIC_SEQ_CST);

    for (unsigned i = 0; i < boot->cpu_count; i++) {
        struct cpu *other = cpus[i];

        if (other == NULL || other == cpu)
            continue;
        __atomic_store_n(&other->attention, 1, __ATOMIC_SEQ_CST);
        if (other->in_guest)
            cpu_kick(cpu, other);
        wait_for_flush(other, generation);
    }
    flush_own(cpu);
    ept_reap();
}

/* Waits in root mode for the SIPI behind the last INIT, then starts the host's code at its vector. */
static void wait_for_sipi(struct cpu *cpu)
{
    uint32_t sipi;

    cpu->waits_for_sipi = 1;
    do {
        cpu->attention = 0;
        if (cpu->sipi_request == 0)
            cpu_park(cpu);
        flush_own(cpu);
        cpu->init_request = 0; /* whoever sends INIT takes an earlier SIPI back before */
        sipi = __atomic_exchange_n(&cpu->sipi_request, 0, __ATOMIC_SEQ_CST);
    } while (sipi == 0);
    cpu->waits_for_sipi = 0;
    cpu->host_nmi = 0;
    vmcs01_set_start_state(cpu, (uint8_t)sipi);
    cv_log(LOG_DEBUG, "CPU %u starts at %x000", cpu->index, sipi & 0xff);
}

/* Where INIT and SIPI exit: the processor waits in non-root mode. */
static void wait_for_hardware_sipi(struct cpu *cpu)
{
    cpu->init_request = 0;
    cpu->host_nmi = 0;
    cpu->waits_for_sipi = 1;
    hw_vmwrite(VMCS_GUEST_ACTIVITY_STATE, ACTIVITY_WAIT_FOR_SIPI);
}

void cpu_serve_requests(struct cpu *cpu)
{
    log_halt_after_panic();
    __atomic_store_n(&cpu->attention, 0, __ATOMIC_SEQ_CST);
    flush_own(cpu);
    if (cpu->init_request && !cpu->vmx_on && !cpu->in_l2) {
        if (boot->init_mode == BOOT_INIT_TRAP)
            wait_for_sipi(cpu);
        else
            wait_for_hardware_sipi(cpu);
    }
    if (__atomic_exchange_n(&cpu->host_nmi, 0, __ATOMIC_SEQ_CST) != 0)
        nested_deliver_nmi(cpu);
}
