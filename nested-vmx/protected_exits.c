/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exits of a protected vCPU, one handler per line of exits.def. The vCPU's VMCS is loaded and its registers are in the
 * processor and in cpu->gpr; an event whose delivery the exit interrupted waits in the VMCS already.
 */
#include <string.h>
#include "cloudvisor/host_cr.h"
#include "cloudvisor/host_exits.h"
#include "cloudvisor/host_memory.h"
#include "cloudvisor/log.h"
#include "cloudvisor/vm_answers.h"
#include "cloudvisor/vm_window.h"
#include "cloudvisor/vmcs01.h"
#include "ept-guard/vm_pages.h"
#include "nested-vmx/protected.h"

enum { MSR_X2APIC_FIRST = 0x800, MSR_X2APIC_ICR = 0x830 };

/* SDM "Exit Qualification for I/O Instructions". */
#define IO_BYTES(q)             (((unsigned)(q)&7u) + 1)
#define IO_IN(q)                (((q) >> 3 & 1) != 0)
#define IO_STRING(q)            (((q) >> 4 & 1) != 0)
#define IO_REP(q)               (((q) >> 5 & 1) != 0)
#define IO_PORT(q)              ((uint16_t)((q) >> 16))
#define INFO_ADDRESS_SIZE(info) ((info) >> 7 & 7u)
enum { ADDRESS_64 = 2 };
#define IO_SHOWN UINT64_C(0xffff000f) /* size, direction, port */

/* SDM "Exit Qualification for EPT Violations". */
enum { ACCESS_WRITE = 2, ACCESS_FETCH = 4, LINEAR_VALID = 0x80, TRANSLATED = 0x100 };

static uint64_t mask(unsigned bytes)
{
    return ~UINT64_C(0) >> (64 - 8 * bytes);
}

/* Not every handler needs to know everything. */
#define HANDLER(name)                                                                                                  \
    static void exit_##name(__attribute__((unused)) struct cpu *cpu, __attribute__((unused)) struct vmcs12 *v,         \
                            __attribute__((unused)) uint32_t reason)

/* Shows an instruction that the host carries out; the rule says what it may answer. */
static void show_instruction(struct cpu *cpu, struct vmcs12 *v, struct shown *s)
{
    enum { LENGTH = 2 };

    v->vcpu->accept = exit_rules[s->reason].accepts;
    v->vcpu->real_length = (unsigned)hw_vmread(VMCS_VM_EXIT_INSTRUCTION_LENGTH);
    s->rip_slot = WINDOW_IDLE_SLOT;
    s->length = LENGTH;
    protected_show(cpu, v, s);
}

HANDLER(show)
{
    struct shown s = { .reason = reason, .rip_slot = WINDOW_IDLE_SLOT };

    if (reason == EXIT_EXTERNAL_INTERRUPT || reason == EXIT_EXCEPTION_OR_NMI)
        s.interruption_info = (uint32_t)hw_vmread(VMCS_VM_EXIT_INTERRUPTION_INFO);
    protected_show(cpu, v, &s);
}

HANDLER(exception)
{
    if (INTR_TYPE((uint32_t)hw_vmread(VMCS_VM_EXIT_INTERRUPTION_INFO)) == INTR_TYPE_NMI)
        host_nmi_exit(cpu);
    else
        exit_show(cpu, v, reason);
}

HANDLER(nmi_window)
{
    if ((proc_controls(v) & PROC_NMI_WINDOW_EXITING) != 0)
        exit_show(cpu, v, reason);
    else
        host_nmi_window_exit(cpu);
}

HANDLER(triple_fault)
{
    protected_stop(cpu, v, VM_STOP_GUEST_RESET, 0);
}

HANDLER(cpuid)
{
    struct hw_cpuid r = vm_cpuid(v->vcpu, (uint32_t)cpu->gpr[RAX], (uint32_t)cpu->gpr[RCX], hw_vmread(VMCS_GUEST_CR4));

    cpu->gpr[RAX] = r.eax;
    cpu->gpr[RBX] = r.ebx;
    cpu->gpr[RCX] = r.ecx;
    cpu->gpr[RDX] = r.edx;
    host_skip_instruction();
}

HANDLER(undefined)
{
    host_inject_ud();
}

HANDLER(general_protection)
{
    host_inject_gp();
}

HANDLER(instruction)
{
    struct shown s = { .reason = reason };

    show_instruction(cpu, v, &s);
}

HANDLER(wbinvd)
{
    __asm__ volatile("wbinvd");
    host_skip_instruction();
}

HANDLER(vmcall)
{
    cpu->gpr[RAX] = (uint32_t)cpu->gpr[RAX] == BUNDLE_CALL_LAUNCH ? BUNDLE_BAD_LAUNCHED : UINT64_MAX;
    host_skip_instruction();
}

HANDLER(cr)
{
    host_cr_access(cpu);
}

HANDLER(xsetbv)
{
    host_finish_instruction(vm_xsetbv((uint32_t)cpu->gpr[RCX], cpu->gpr[RDX] << 32 | (uint32_t)cpu->gpr[RAX]));
}

/* ---- Ports ---- */

bool protected_in_kernel_64(void)
{
    return (hw_vmread(VMCS_GUEST_CS_ACCESS_RIGHTS) & BIT32(13)) != 0 &&
           (hw_vmread(VMCS_GUEST_SS_ACCESS_RIGHTS) >> 5 & 3) == 0;
}

bool protected_string_done(struct vcpu *vcpu, uint64_t gpr[GPR_COUNT], uint64_t value)
{
    bool in = IO_IN(vcpu->string), down = (hw_vmread(VMCS_GUEST_RFLAGS) & RFLAGS_DF) != 0;
    unsigned bytes = IO_BYTES(vcpu->string);
    uint8_t *page;

    if (in) {
        layer_lock();
        page = vm_pages_view(vcpu->vm, vcpu->string_gpa);
        if (page != NULL) /* else the host took the page meanwhile: the element is read once more */
            memcpy(page + (vcpu->string_gpa & (PAGE_SIZE - 1)), &value, bytes);
        layer_unlock();
        if (page == NULL)
            return false;
    }
    gpr[in ? RDI : RSI] += down ? -(uint64_t)bytes : bytes;
    return !IO_REP(vcpu->string) || --gpr[RCX] == 0;
}

/* Finds the memory operand of INS or OUTS and reads it for OUTS; false: the exit is dealt with. */
static bool string_operand(struct cpu *cpu, struct vmcs12 *v, uint64_t qualification, uint64_t *value)
{
    uint64_t linear = hw_vmread(VMCS_GUEST_LINEAR_ADDRESS);
    unsigned bytes = IO_BYTES(qualification);
    struct vcpu *vcpu = v->vcpu;
    struct host_fault fault;
    hpa_t gpa;

    vcpu->refill = false;
    vcpu->string = qualification;
    if (!protected_in_kernel_64() || INFO_ADDRESS_SIZE(hw_vmread(VMCS_VM_EXIT_INSTRUCTION_INFO)) != ADDRESS_64 ||
        (linear & (PAGE_SIZE - 1)) + bytes > PAGE_SIZE) {
        protected_stop(cpu, v, VM_STOP_BAD_INSTRUCTION, qualification);
    } else if (host_translate(linear, IO_IN(qualification), &gpa, &fault) && physical_read(gpa, value, bytes)) {
        vcpu->string_gpa = gpa.raw;
        return true;
    } else if (vcpu->refill) {
        protected_ask(cpu, v, vcpu->refill_gpa, 0);
    } else {
        host_inject_page_fault(&fault);
    }
    return false;
}

/* A port that is not in the policy: nothing is there. */
static void absent_port(struct cpu *cpu, struct vcpu *vcpu, uint64_t qualification)
{
    unsigned bytes = IO_BYTES(qualification);

    if (IO_STRING(qualification) && !protected_string_done(vcpu, cpu->gpr, UINT64_MAX))
        return;
    if (IO_IN(qualification) && !IO_STRING(qualification))
        cpu->gpr[RAX] = bytes == 4 ? UINT32_MAX : cpu->gpr[RAX] | mask(bytes);
    host_skip_instruction();
}

HANDLER(io)
{
    uint64_t qualification = hw_vmread(VMCS_EXIT_QUALIFICATION), value = cpu->gpr[RAX];
    struct shown s = { .reason = reason, .qualification = qualification & IO_SHOWN };
    bool in = IO_IN(qualification), string = IO_STRING(qualification);
    struct vcpu *vcpu = v->vcpu;

    if (string && !string_operand(cpu, v, qualification, &value))
        return;
    vcpu->answer_bytes = IO_BYTES(qualification);
    if (!vm_has_ports(vcpu->vm, IO_PORT(qualification), vcpu->answer_bytes)) {
        absent_port(cpu, vcpu, qualification);
        return;
    }
    s.rax = in ? 0 : value & mask(vcpu->answer_bytes);
    show_instruction(cpu, v, &s);
    vcpu->accept &= ~(uint32_t)((string || !in ? ACCEPT_RAX : 0) | (string ? 0 : ACCEPT_STRING));
}

/* ---- MSRs ---- */

/*
 * NMIs between vCPUs as the policy says. INIT and SIPI of the guest: the first ones start a vCPU, which the host begins
 * at the AP start page; later ones stay inside. True if the host shall see the write, with `*icr` changed.
 */
static bool start_vcpu(struct vm *vm, uint64_t *icr)
{
    enum {
        DELIVERY_NMI = 4,
        DELIVERY_INIT = 5,
        DELIVERY_STARTUP = 6,
        DESTINATIONS = 0xc0800
    }; /* logical, shorthands */
    unsigned delivery = (unsigned)(*icr >> 8) & 7;
    bool physical = (*icr & DESTINATIONS) == 0;
    uint64_t target = *icr >> 32;

    if (delivery == DELIVERY_NMI) /* the host could not bring it */
        return (vm->descriptor->flags & BUNDLE_FLAG_NMI) != 0;
    if (delivery != DELIVERY_INIT && delivery != DELIVERY_STARTUP)
        return true;
    if (!physical || target == 0 || target >= vm->descriptor->vcpu_count ||
        vm->vcpus[target]->state >= VCPU_LAUNCHES) /* the first one begins with the bundle, once */
        return false;
    if (delivery == DELIVERY_STARTUP) {
        vm->vcpus[target]->start_vector = (uint8_t)*icr;
        vm->vcpus[target]->state = VCPU_WAITS;
        *icr = (*icr & ~UINT64_C(0xff)) | vm->descriptor->ap_start_gpa / PAGE_SIZE;
    }
    return true;
}

static void show_msr(struct cpu *cpu, struct vmcs12 *v, uint32_t reason, uint32_t msr, uint64_t value)
{
    struct shown s = { .reason = reason, .rcx = msr, .rax = (uint32_t)value, .rdx = value >> 32 };
    struct vm *vm = v->vcpu->vm;
    uint64_t permissions = 0, eptp12 = v->field[FIELD_EPT_POINTER];
    bool show = true;

    if (reason == EXIT_WRMSR && msr == MSR_X2APIC_ICR) {
        layer_lock();
        show = start_vcpu(vm, &value);
        if (show) /* so that the new vCPU's host can be told from others (vm_awaited) */
            vm_pages_touch(vm, eptp12, vm->descriptor->gpa, false, &permissions);
        layer_unlock();
        s.rax = (uint32_t)value;
    }
    if (show)
        show_instruction(cpu, v, &s);
    else
        host_skip_instruction();
}

HANDLER(msr)
{
    uint64_t value = cpu->gpr[RDX] << 32 | (uint32_t)cpu->gpr[RAX];
    uint32_t msr = (uint32_t)cpu->gpr[RCX];
    enum vm_msr_answer answer = vm_msr_access(v->vcpu, msr, reason == EXIT_WRMSR, &value);

    if (answer == VM_MSR_HOST) {
        show_msr(cpu, v, reason, msr, value);
        return;
    }
    if (answer == VM_MSR_DONE && reason == EXIT_RDMSR) {
        cpu->gpr[RAX] = (uint32_t)value;
        cpu->gpr[RDX] = value >> 32;
    }
    host_finish_instruction(answer == VM_MSR_DONE);
}

/* ---- Memory ---- */

/* The instruction at RIP; false after the VM was stopped or the host asked for the page that holds it. */
static bool decode_mmio(struct cpu *cpu, struct vmcs12 *v, uint64_t gpa, struct decoded *d)
{
    uint8_t bytes[INSTRUCTION_MAX] = { 0 };
    uint32_t rights = (uint32_t)hw_vmread(VMCS_GUEST_CS_ACCESS_RIGHTS);
    enum decode_mode mode = (rights & BIT32(13)) != 0 ? DECODE_64 : (rights & BIT32(14)) != 0 ? DECODE_32 : DECODE_16;
    unsigned available;

    v->vcpu->refill = false;
    available = (unsigned)host_fetch(bytes, sizeof(bytes));
    if (decode_instruction(bytes, available, mode, d) == DECODE_OK && d->kind != DECODE_XCHG && d->reg != RSP &&
        (gpa & (PAGE_SIZE - 1)) + d->size <= PAGE_SIZE) {
        v->vcpu->refill = false; /* what lies behind the instruction does not matter */
        return true;
    }
    if (v->vcpu->refill) { /* a page of the guest's tables or code is not there */
        protected_ask(cpu, v, v->vcpu->refill_gpa, 0);
        return false;
    }
    cv_log_limited(LOG_ERROR, "VM %lu accesses a device at %lx with bytes %02x %02x %02x %02x: not supported",
                   v->vcpu->vm->id, gpa, bytes[0], bytes[1], bytes[2], bytes[3]);
    protected_stop(cpu, v, VM_STOP_BAD_INSTRUCTION, gpa);
    return false;
}

/*
 * Outside RAM and windows there is nothing: loads give ones, stores vanish. Below 1 MiB kernels look for firmware
 * tables with all kinds of instructions.
 */
static bool absent_low_page(struct vm *vm, uint64_t gpa)
{
    enum { LOW_END = 0x100000 };
    bool ok;

    if (gpa >= LOW_END || vm_has_mmio(vm, gpa, 1)) /* windows are whole pages */
        return false;
    layer_lock();
    ok = vm->state == VM_RUNNING && vm_pages_map_absent(vm, gpa);
    layer_unlock();
    return ok;
}

static void outside_ram(struct cpu *cpu, struct vmcs12 *v, uint64_t gpa, bool write)
{
    struct vcpu *vcpu = v->vcpu;
    struct ept12_leaf leaf;
    struct shown s;
    struct decoded d;
    unsigned slot;
    bool load, fast;

    if ((!write && absent_low_page(vcpu->vm, gpa)) || !decode_mmio(cpu, v, gpa, &d))
        return;
    load = d.kind == DECODE_LOAD;
    if (!vm_has_mmio(vcpu->vm, gpa, d.size)) {
        if (load)
            cpu->gpr[d.reg] = decode_load_result(&d, cpu->gpr[d.reg], UINT64_MAX);
        host_skip_bytes(d.length);
        return;
    }
    layer_lock();
    fast = ept12_walk(ept02_format(), v->field[FIELD_EPT_POINTER], l2gpa(gpa), EPT_READ, &leaf) ==
           EPT12_MISCONFIGURATION;
    layer_unlock();
    slot = (unsigned)__builtin_ctz(d.size) + (load ? 4 : 0);
    s = (struct shown){ .reason = fast ? EXIT_EPT_MISCONFIGURATION : EXIT_EPT_VIOLATION,
                        .qualification = fast ? 0 : LINEAR_VALID | TRANSLATED | (load ? 1 : ACCESS_WRITE),
                        .gpa = gpa,
                        .rip_slot = slot,
                        .length = vm_window_length(slot),
                        .rax = load ? 0 : decode_store_value(&d, cpu->gpr[d.reg]),
                        .rdi = vcpu->vm->descriptor->exit_window_gpa + (gpa & (PAGE_SIZE - 1)) };
    vcpu->mmio = d;
    vcpu->real_length = d.length;
    vcpu->accept = ACCEPT_SKIP | (load ? ACCEPT_LOAD : 0);
    protected_show(cpu, v, &s);
}

HANDLER(memory)
{
    uint64_t qualification = hw_vmread(VMCS_EXIT_QUALIFICATION), gpa = hw_vmread(VMCS_GUEST_PHYSICAL_ADDRESS);
    bool operand = (qualification & (ACCESS_FETCH | LINEAR_VALID | TRANSLATED)) == (LINEAR_VALID | TRANSLATED);
    enum vm_page_answer answer = VM_PAGE_STOPPED;
    uint64_t permissions = 0;

    if (reason == EXIT_EPT_MISCONFIGURATION)
        cv_panic("a protected VM's EPT is malformed at %lx", gpa);
    layer_lock();
    if (v->vcpu->vm->state == VM_RUNNING)
        answer = vm_pages_touch(v->vcpu->vm, v->field[FIELD_EPT_POINTER], gpa, false, &permissions);
    layer_unlock();
    if (answer == VM_PAGE_ABSENT)
        protected_ask(cpu, v, gpa, permissions);
    else if (answer == VM_PAGE_OUTSIDE && operand && (hw_vmread(VMCS_VM_ENTRY_INTERRUPTION_INFO) & INTR_VALID) == 0)
        outside_ram(cpu, v, gpa, (qualification & ACCESS_WRITE) != 0);
    else if (answer != VM_PAGE_MAPPED)
        protected_stop(cpu, v, VM_STOP_BAD_ACCESS, gpa);
}

void protected_dispatch(struct cpu *cpu, struct vmcs12 *v, uint32_t reason)
{
    switch (reason) {
#define EXIT_RULE(name, handler, shows, accepts, text)                                                                 \
    case EXIT_##name:                                                                                                  \
        exit_##handler(cpu, v, reason);                                                                                \
        break;
#include "nested-vmx/exits.def"
#undef EXIT_RULE
    default: protected_stop(cpu, v, VM_STOP_UNEXPECTED_EXIT, reason); break;
    }
}
