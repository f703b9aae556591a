/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the layer answers itself. Everything here is input from the host: a wrong operand gets the processor's answer
 * (#GP, #UD), never an assertion.
 */
#include "cloudvisor/apic.h"
#include "cloudvisor/decode.h"
#include "cloudvisor/flush.h"
#include "cloudvisor/host_cr.h"
#include "cloudvisor/host_exits.h"
#include "cloudvisor/host_memory.h"
#include "cloudvisor/hypercall.h"
#include "cloudvisor/intercepts.h"
#include "cloudvisor/log.h"
#include "cloudvisor/power.h"
#include "cloudvisor/vm.h"
#include "cloudvisor/vmcs01.h"
#include "ept-guard/ept02.h"
#include "ept-guard/frames.h"
#include "ept-guard/host_ept.h"
#include "nested-vmx/nested.h"
#include "nested-vmx/vmcs_fields.h"

enum { MSR_TSC = 0x10, MSR_TSC_ADJUST = 0x3b, MSR_BIOS_UPDT_TRIG = 0x79, MSR_MISC_ENABLE = 0x1a0 };
#define APIC_BASE_ADDRESS      UINT64_C(0x000ffffffffff000)
#define APIC_BASE_ENABLE       UINT64_C(0x800)
#define MISC_ENABLE_XD_DISABLE (UINT64_C(1) << 34)
#define CPUID_1_ECX_SMX        BIT32(6)
#define CPUID_1_ECX_OSXSAVE    BIT32(27)
#define CPUID_1_ECX_DS         (BIT32(2) | BIT32(4)) /* DTES64, DS-CPL */
#define CPUID_1_EDX_DS         BIT32(21)
#define CPUID_6_EAX_HFI        BIT32(19)
#define CPUID_7_ECX_OSPKE      BIT32(4)
#define CR4_PKE                UINT64_C(0x400000)
#define CPUID_7_EBX_PT         BIT32(25)

static uint64_t edx_eax(const struct cpu *cpu)
{
    return cpu->gpr[RDX] << 32 | (uint32_t)cpu->gpr[RAX];
}

static void cpuid_exit(struct cpu *cpu)
{
    uint32_t leaf = (uint32_t)cpu->gpr[RAX], subleaf = (uint32_t)cpu->gpr[RCX];
    struct hw_cpuid r = hw_cpuid(leaf, subleaf);

    if (leaf == 1) {
        r.ecx &= ~(CPUID_1_ECX_SMX | CPUID_1_ECX_DS);
        r.edx &= ~CPUID_1_EDX_DS;
        if ((hw_vmread(VMCS_GUEST_CR4) & CR4_OSXSAVE) == 0) /* root mode has it on, and CR4.PKE off */
            r.ecx &= ~CPUID_1_ECX_OSXSAVE;
    } else if (leaf == 6) {
        r.eax &= ~CPUID_6_EAX_HFI;
    } else if (leaf == 7 && subleaf == 0) {
        r.ebx &= ~CPUID_7_EBX_PT;
        if ((hw_vmread(VMCS_GUEST_CR4) & CR4_PKE) != 0)
            r.ecx |= CPUID_7_ECX_OSPKE;
    } else if (leaf == 0x14) {
        r = (struct hw_cpuid){ 0 };
    }
    cpu->gpr[RAX] = r.eax;
    cpu->gpr[RBX] = r.ebx;
    cpu->gpr[RCX] = r.ecx;
    cpu->gpr[RDX] = r.edx;
    host_skip_instruction();
}

/* Sums a counter over CPUs: the 64-bit word `index` of struct cpu. */
static uint64_t sum(size_t index)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < boot->cpu_count; i++)
        total += cpus[i] != NULL ? ((const uint64_t *)cpus[i])[index] : 0;
    return total;
}

/* Everything is in registers, and nothing here is secret, so that any privilege level may ask. */
static bool hypercall(struct cpu *cpu)
{
    uint64_t rbx = cpu->gpr[RBX], rcx = cpu->gpr[RCX];

    switch ((uint32_t)cpu->gpr[RAX] & ~HYPERCALL_MAGIC_MASK) {
    case HYPERCALL_VERSION: cpu->gpr[RBX] = LAYER_VERSION; return true;
    case HYPERCALL_STAT:
        if (rbx >= STAT_COUNT)
            return false;
        cpus[0]->stats[STAT_ept_bytes] = ept_table_count() * PAGE_SIZE;
        cpus[0]->stats[STAT_vmcs_shadowing] = nested_shadowing();
        cpu->gpr[RBX] = sum(offsetof(struct cpu, stats) / 8 + rbx);
        return true;
    case HYPERCALL_EXITS:
        if (rbx >= EXIT_REASON_COUNT || rcx < 1 || rcx > LEVEL_COUNT)
            return false;
        cpu->gpr[RBX] = sum(offsetof(struct cpu, exits) / 8 + (rcx - 1) * EXIT_REASON_COUNT + rbx);
        return true;
    case HYPERCALL_LOG: return log_read(rbx, &cpu->gpr[RBX], &cpu->gpr[RCX]);
    case HYPERCALL_VM: return vm_word(rbx, rcx, &cpu->gpr[RBX]);
    default: return false;
    }
}

static void vmcall_exit(struct cpu *cpu)
{
    if (((uint32_t)cpu->gpr[RAX] & HYPERCALL_MAGIC_MASK) != HYPERCALL_MAGIC) {
        nested_instruction(cpu, EXIT_VMCALL);
        return;
    }
    cpu->gpr[RAX] = hypercall(cpu) ? 0 : UINT64_MAX;
    host_skip_instruction();
}

static bool mtrr_access(struct cpu *cpu, uint32_t msr, bool write, uint64_t *value)
{
    uint64_t *mtrr = mtrr_register(host_ept_mtrrs(), msr);

    if (mtrr == NULL)
        return false;
    if (!write) {
        *value = *mtrr;
        return true;
    }
    if (!mtrr_write_valid(host_ept_mtrrs(), msr, *value))
        return false;
    if (*mtrr != *value) {
        layer_lock();
        *mtrr = *value;
        host_ept_rebuild();
        flush_all_cpus(cpu);
        layer_unlock();
    }
    return true;
}

/* The local APIC stays where it is: moved over RAM it would hide memory, moved elsewhere it would escape the trap. */
static bool apic_base_write(uint64_t value)
{
    uint64_t old = hw_rdmsr(MSR_APIC_BASE);

    if (((value ^ old) & APIC_BASE_ADDRESS) != 0 ||
        ((value & APIC_BASE_ENABLE) == 0 && (old & APIC_BASE_X2APIC) == 0)) { /* the layer's kicks need it */
        cv_log_limited(LOG_INFO, "host moves its local APIC or switches it off with %lx: refused", value);
        return false;
    }
    if (!hw_wrmsr_safe(MSR_APIC_BASE, value))
        return false;
    if ((value & APIC_BASE_ENABLE) == 0) /* on its way from x2APIC to xAPIC mode: go there at once */
        hw_wrmsr(MSR_APIC_BASE, value | APIC_BASE_ENABLE);
    return true;
}

static bool msr_value(struct cpu *cpu, uint32_t msr, bool write, uint64_t *value)
{
    if (msr == MSR_APIC_BASE)
        return write && apic_base_write(*value);
    if (msr == MSR_MISC_ENABLE) /* root mode's page tables need the execute-disable bit */
        return write && (*value & MISC_ENABLE_XD_DISABLE) == 0 && hw_wrmsr_safe(msr, *value);
    if (msr == MSR_TSC || msr == MSR_TSC_ADJUST) /* the clock of protected VMs only runs forward */
        return write && !vm_any() && hw_wrmsr_safe(msr, *value);
    if (msr == MSR_X2APIC_ICR)
        return write && apic_host_x2apic_icr(cpu, *value);
    if (msr == MSR_FEATURE_CONTROL && !write)
        return hw_rdmsr_safe(msr, value);
    if (msr >= MSR_VMX_BASIC && msr <= MSR_VMX_VMFUNC && !write)
        return vmx_caps_msr(&caps_offer, msr, value);
    if (msr == MSR_BIOS_UPDT_TRIG && write) {
        cv_log_limited(LOG_INFO, "microcode update by the host: refused");
        return true; /* as on a processor that has this revision already */
    }
    return mtrr_access(cpu, msr, write, value);
}

bool host_msr_access(struct cpu *cpu, uint32_t msr, bool write)
{
    uint64_t value = edx_eax(cpu);

    if (!msr_value(cpu, msr, write, &value))
        return false;
    if (!write) {
        cpu->gpr[RAX] = (uint32_t)value;
        cpu->gpr[RDX] = value >> 32;
    }
    return true;
}

/* SDM "Exit Qualification for I/O Instructions". */
#define IO_BYTES(q)  (((unsigned)(q)&7u) + 1)
#define IO_IN(q)     (((q) >> 3 & 1) != 0)
#define IO_STRING(q) (((q) >> 4 & 1) != 0)
#define IO_PORT(q)   ((uint16_t)((q) >> 16))

bool host_io_access(struct cpu *cpu, uint64_t qualification)
{
    unsigned bytes = IO_BYTES(qualification);
    uint64_t mask = UINT32_MAX >> (32 - 8 * bytes);
    uint16_t port = IO_PORT(qualification);

    if (IO_STRING(qualification))
        return false;
    if (IO_IN(qualification)) {
        uint64_t old = bytes == 4 ? 0 : cpu->gpr[RAX] & ~mask;

        cpu->gpr[RAX] = old | power_host_in(port, bytes, hw_in(port, bytes));
    } else if (power_host_out(port, bytes, (uint32_t)(cpu->gpr[RAX] & mask))) {
        hw_out(port, bytes, (uint32_t)cpu->gpr[RAX]);
    }
    return true;
}

/* True if the exit interrupted an IRET that had already unblocked NMIs (SDM, exit qualification, bit 12). */
static bool iret_unblocked_nmi(void)
{
    enum { NMI_UNBLOCKING = 0x1000 };

    return (uint32_t)hw_vmread(VMCS_EXIT_REASON) == EXIT_EPT_VIOLATION &&
           (hw_vmread(VMCS_EXIT_QUALIFICATION) & NMI_UNBLOCKING) != 0;
}

void exit_reinject(void)
{
    uint32_t info = (uint32_t)hw_vmread(VMCS_IDT_VECTORING_INFO);
    uint64_t blocking = hw_vmread(VMCS_GUEST_INTERRUPTIBILITY);

    if ((info & INTR_VALID) == 0) {
        if (iret_unblocked_nmi())
            hw_vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocking | BLOCKING_BY_NMI);
        return;
    }
    if (INTR_TYPE(info) == INTR_TYPE_NMI) /* an entry injects no NMI while NMIs are blocked */
        hw_vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocking & ~(uint64_t)BLOCKING_BY_NMI);
    if ((hw_vmread(VMCS_GUEST_CR0) & CR0_PE) == 0)
        info &= ~INTR_ERROR_VALID; /* real mode pushes no error codes, and an entry refuses to */
    hw_vmwrite(VMCS_VM_ENTRY_INTERRUPTION_INFO, info & ~INTR_NMI_UNBLOCKING);
    if ((info & INTR_ERROR_VALID) != 0)
        hw_vmwrite(VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE, hw_vmread(VMCS_IDT_VECTORING_ERROR_CODE));
    if (INTR_TYPE(info) >= INTR_TYPE_SOFTWARE && INTR_TYPE(info) <= INTR_TYPE_SOFTWARE_EXCEPTION)
        hw_vmwrite(VMCS_VM_ENTRY_INSTRUCTION_LENGTH, hw_vmread(VMCS_VM_EXIT_INSTRUCTION_LENGTH));
}

/* A plain store of the host's: carried out if it is for the trapped local APIC, dropped if for the layer's memory. */
static void store(struct cpu *cpu, hpa_t address, bool to_apic)
{
    uint32_t rights = (uint32_t)hw_vmread(VMCS_GUEST_CS_ACCESS_RIGHTS);
    enum decode_mode mode = (rights & BIT32(13)) != 0 ? DECODE_64 : (rights & BIT32(14)) != 0 ? DECODE_32 : DECODE_16;
    uint8_t bytes[INSTRUCTION_MAX] = { 0 };
    unsigned available = (unsigned)host_fetch(bytes, sizeof(bytes));
    struct decoded d;

    if ((hw_vmread(VMCS_IDT_VECTORING_INFO) & INTR_VALID) != 0 ||
        decode_instruction(bytes, available, mode, &d) != DECODE_OK || d.kind != DECODE_STORE || d.reg == RSP ||
        (to_apic && d.size != 4)) {
        cv_log_limited(LOG_ERROR, "host writes to %lx with bytes %02x %02x %02x %02x: not supported", address.raw,
                       bytes[0], bytes[1], bytes[2], bytes[3]);
        host_inject_gp();
        return;
    }
    if (to_apic)
        apic_host_write(cpu, (uint32_t)address.raw & 0xfff, (uint32_t)decode_store_value(&d, cpu->gpr[d.reg]));
    host_skip_bytes(d.length);
}

void host_ept_access(struct cpu *cpu)
{
    hpa_t address = hpa(hw_vmread(VMCS_GUEST_PHYSICAL_ADDRESS));
    bool write = (hw_vmread(VMCS_EXIT_QUALIFICATION) & EPT_WRITE) != 0;
    enum host_ept_answer answer;

    layer_lock();
    answer = host_ept_violation(address, write);
    if (answer == HOST_EPT_FULL) {
        ept02_make_room();
        answer = host_ept_violation(address, write);
    }
    layer_unlock();
    if (answer == HOST_EPT_FULL)
        cv_panic("no memory for the host's EPT");
    if (frame_state(address) == FRAME_LAYER) {
        cpu_count_stat(cpu, write ? STAT_layer_writes : STAT_layer_reads);
        cv_log_limited(LOG_INFO, "host %s the layer's memory at %lx", write ? "writes to" : "reads", address.raw);
    }
    if (answer == HOST_EPT_TRAPPED || answer == HOST_EPT_LAYER)
        store(cpu, address, answer == HOST_EPT_TRAPPED);
    else if (answer == HOST_EPT_OUTSIDE)
        host_inject_gp();
    else
        exit_reinject();
}

void host_nmi_exit(struct cpu *cpu)
{
    cpu_unblock_nmis();
    log_halt_after_panic();
    if (__atomic_exchange_n(&cpu->kick_pending, 0, __ATOMIC_SEQ_CST) == 0) {
        cpu->host_nmi = 1;
        cpu->attention = 1;
    }
}

void host_nmi_window_exit(struct cpu *cpu)
{
    host_set_nmi_window(false);
    if (cpu->host_nmi)
        cpu->attention = 1;
}

/* The host's triple fault resets the machine: make a real one. */
static void triple_fault_exit(void)
{
    static const uint8_t no_idt[10];

    cv_log(LOG_INFO, "the host's triple fault resets the machine");
    vm_end_all(VM_STOP_HOST_RESET, true);
    __asm__ volatile("lidt %0; int3" : : "m"(no_idt));
}

static void sipi_exit(struct cpu *cpu)
{
    cpu->waits_for_sipi = 0;
    vmcs01_set_start_state(cpu, (uint8_t)hw_vmread(VMCS_EXIT_QUALIFICATION));
}

static _Noreturn void unexpected_exit(struct cpu *cpu, uint32_t reason)
{
    cv_panic("CPU %u: unexpected exit %x qualification %lx rip %lx instruction error %lu", cpu->index, reason,
             hw_vmread(VMCS_EXIT_QUALIFICATION), hw_vmread(VMCS_GUEST_RIP), hw_vmread(VMCS_VM_INSTRUCTION_ERROR));
}

void host_exit(struct cpu *cpu, uint32_t reason)
{
    vm_reap();
    switch (reason) {
    case EXIT_EXCEPTION_OR_NMI: host_nmi_exit(cpu); break;
    case EXIT_TRIPLE_FAULT: triple_fault_exit(); break;
    case EXIT_INIT: /* served at once, or behind VMXOFF */
        cpu->init_request = 1;
        cpu->attention = 1;
        break;
    case EXIT_SIPI: sipi_exit(cpu); break;
    case EXIT_NMI_WINDOW: host_nmi_window_exit(cpu); break;
    case EXIT_TASK_SWITCH: host_inject_gp(); break;
    case EXIT_CPUID: cpuid_exit(cpu); break;
    case EXIT_INVD:
        __asm__ volatile("wbinvd");
        host_skip_instruction();
        break;
    case EXIT_VMCALL: vmcall_exit(cpu); break;
    case EXIT_VMCLEAR ... EXIT_VMXON:
    case EXIT_INVEPT:
    case EXIT_INVVPID: nested_instruction(cpu, reason); break;
    case EXIT_CR_ACCESS: host_cr_access(cpu); break;
    case EXIT_IO: host_finish_instruction(host_io_access(cpu, hw_vmread(VMCS_EXIT_QUALIFICATION))); break;
    case EXIT_RDMSR:
    case EXIT_WRMSR:
        host_finish_instruction(host_msr_access(cpu, (uint32_t)cpu->gpr[RCX], reason == EXIT_WRMSR));
        break;
    case EXIT_EPT_VIOLATION: host_ept_access(cpu); break;
    case EXIT_XSETBV: host_finish_instruction(hw_xsetbv_safe((uint32_t)cpu->gpr[RCX], edx_eax(cpu))); break;
    default:
        if (reason == EXIT_EPT_MISCONFIGURATION || (reason & EXIT_ENTRY_FAILURE) != 0)
            unexpected_exit(cpu, reason);
        host_inject_ud(); /* GETSEC, VMFUNC, or an instruction newer than this layer */
        break;
    }
}

void exit_handle(struct cpu *cpu);
void exit_handle(struct cpu *cpu)
{
    uint32_t reason = (uint32_t)hw_vmread(VMCS_EXIT_REASON);
    uint32_t basic = reason & 0xffff;

    cpu->launch = 0;
    cpu->exits[cpu->in_l2][basic < EXIT_REASON_COUNT ? basic : 0]++;
    if (cpu->in_l2) {
        nested_exit(cpu, reason);
    } else {
        cpu->vmcs01_launched = true;
        host_exit(cpu, reason);
    }
}

void entry_failed(struct cpu *cpu);
void entry_failed(struct cpu *cpu)
{
    if (!cpu->in_l2)
        unexpected_exit(cpu, EXIT_ENTRY_FAILURE);
    nested_entry_refused(cpu);
}
