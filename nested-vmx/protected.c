/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ways into and out of a protected vCPU: launch, start of further vCPUs, entry with the check of the host's answer,
 * and what the host is shown of an exit.
 */
#include <string.h>
#include "cloudvisor/host_exits.h"
#include "cloudvisor/log.h"
#include "cloudvisor/vm_answers.h"
#include "cloudvisor/vm_window.h"
#include "cloudvisor/vmcs01.h"
#include "ept-guard/frames.h"
#include "ept-guard/vm_pages.h"
#include "nested-vmx/protected.h"

#define CR0_START UINT64_C(0x80010033) /* PG, WP, NE, ET, MP, PE */
#define PAT_RESET UINT64_C(0x0007040600070406)
enum { VECTOR_GP = 13, VECTOR_MC = 18, VIOLATION_WRITE = 0x182 };

const struct exit_rule exit_rules[EXIT_REASON_COUNT] = {
#define EXIT_RULE(reason, handler, shows, accepts, text) [EXIT_##reason] = { (shows), (accepts), true },
#include "nested-vmx/exits.def"
#undef EXIT_RULE
};

/* ---- The frozen context ---- */

static void show_field(struct vmcs12 *v, int index, uint64_t value)
{
    v->field[index] = value;
    hw_vmwrite(vmcs_fields[index].encoding, value);
}

static void show_segment(struct vmcs12 *v, unsigned segment, uint64_t selector, uint32_t limit, uint32_t rights)
{
    show_field(v, FIELD_GUEST_ES_SELECTOR + (int)segment, selector);
    show_field(v, FIELD_GUEST_ES_BASE + (int)segment, 0);
    show_field(v, FIELD_GUEST_ES_LIMIT + (int)segment, limit);
    show_field(v, FIELD_GUEST_ES_ACCESS_RIGHTS + (int)segment, rights);
}

/* What the host sees of the guest's state from now on; CR0, CR4, EFER stay as it knows them. v->vmcs02 is loaded. */
static void freeze(struct vmcs12 *v, const struct vm *vm)
{
    uint64_t cr0 = hw_vmread(VMCS_GUEST_CR0), cr4 = hw_vmread(VMCS_GUEST_CR4);

    for (int i = 0; i < VMCS_FIELD_COUNT; i++) {
        if (vmcs_fields[i].home == HOME_GUEST && vmcs12_offers(i))
            show_field(v, i, 0);
    }
    show_segment(v, CS, 0x10, UINT32_MAX, RIGHTS_CODE_64);
    for (enum segment i = ES; i <= GS; i++) {
        if (i != CS)
            show_segment(v, i, 0x18, UINT32_MAX, RIGHTS_DATA);
    }
    show_segment(v, LDTR, 0, 0, RIGHTS_UNUSABLE);
    show_segment(v, TR, 0, 0x67, RIGHTS_TSS);
    show_field(v, FIELD_GUEST_CR0, cr0);
    show_field(v, FIELD_GUEST_CR4, cr4);
    show_field(v, FIELD_GUEST_CR3, vm->descriptor->exit_window_gpa);
}

_Static_assert(FIELD_VM_EXIT_INSTRUCTION_INFO - FIELD_EXIT_REASON == 6, "exit information lies together");
_Static_assert(FIELD_GUEST_LINEAR_ADDRESS - FIELD_EXIT_QUALIFICATION == 5, "and the natural-width part of it");

static void clear_exit_information(uint64_t *field)
{
    memset(&field[FIELD_EXIT_REASON], 0, 7 * sizeof(field[0]));
    memset(&field[FIELD_EXIT_QUALIFICATION], 0, 6 * sizeof(field[0]));
}

/* The registers that the rule of this exit names; all others are 0. */
static void show_registers(struct cpu *cpu, const struct shown *s, unsigned shows)
{
    memset(cpu->gpr, 0, sizeof(cpu->gpr));
    cpu->gpr[RAX] = (shows & SHOW_RAX) != 0 ? s->rax : 0;
    cpu->gpr[RCX] = (shows & SHOW_RCX) != 0 ? s->rcx : 0;
    cpu->gpr[RDX] = (shows & SHOW_RDX) != 0 ? s->rdx : 0;
    cpu->gpr[RDI] = (shows & SHOW_RDI) != 0 ? s->rdi : 0;
}

/*
 * Interruptibility for the host: the guest's own, and blocking by STI while an event of the layer's waits, so that the
 * host brings no second one.
 */
static void give(struct cpu *cpu, struct vmcs12 *v, const struct shown *s, uint64_t rflags, uint64_t interruptibility)
{
    struct vcpu *vcpu = v->vcpu;
    uint64_t window = vcpu->vm->descriptor->exit_window_gpa;

    show_registers(cpu, s, exit_rules[s->reason].shows);
    vcpu->accept = vcpu->accept & exit_rules[s->reason].accepts;
    vcpu->shown_rip = WINDOW_CODE_GPA(window) + s->rip_slot * WINDOW_SLOT_BYTES;
    vcpu->shown_length = s->length;
    clear_exit_information(v->field);
    v->field[FIELD_VM_EXIT_INTERRUPTION_INFO] = s->interruption_info;
    v->field[FIELD_VM_EXIT_INSTRUCTION_LENGTH] = s->length;
    v->field[FIELD_GUEST_PHYSICAL_ADDRESS] = s->gpa;
    vmcs_load(v->vmcs02);
    hw_vmwrite(VMCS_VM_ENTRY_CONTROLS, v->field[FIELD_VM_ENTRY_CONTROLS]); /* the mode is the host's once it reset it */
    show_field(v, FIELD_GUEST_RIP, vcpu->shown_rip);
    show_field(v, FIELD_GUEST_RSP, 0);
    show_field(v, FIELD_GUEST_RFLAGS, RFLAGS_FIXED | (rflags & RFLAGS_IF));
    show_field(v, FIELD_GUEST_INTERRUPTIBILITY, interruptibility);
    exit_give_to_host(cpu, v, s->reason, s->qualification);
}

void protected_show(struct cpu *cpu, struct vmcs12 *v, const struct shown *s)
{
    struct vcpu *vcpu = v->vcpu;
    uint64_t rflags = hw_vmread(VMCS_GUEST_RFLAGS), interruptibility = hw_vmread(VMCS_GUEST_INTERRUPTIBILITY);

    if ((hw_vmread(VMCS_VM_ENTRY_INTERRUPTION_INFO) & INTR_VALID) != 0)
        interruptibility |= BLOCKING_BY_STI;
    memcpy(vcpu->regs.gpr, cpu->gpr, sizeof(cpu->gpr));
    vm_registers_save(vcpu);
    cpu->vcpu = NULL;
    give(cpu, v, s, rflags, interruptibility);
}

static const struct shown shutdown = { .reason = EXIT_TRIPLE_FAULT, .rip_slot = WINDOW_IDLE_SLOT };

static struct shown violation(uint64_t gpa, uint64_t permissions)
{
    return (struct shown){ .reason = EXIT_EPT_VIOLATION,
                           .qualification = VIOLATION_WRITE | permissions << 3,
                           .gpa = gpa & ~(uint64_t)(PAGE_SIZE - 1),
                           .rip_slot = WINDOW_IDLE_SLOT };
}

void protected_ask(struct cpu *cpu, struct vmcs12 *v, uint64_t gpa, uint64_t permissions)
{
    struct shown s = violation(gpa, permissions);

    v->vcpu->refill = true;
    v->vcpu->refill_gpa = gpa;
    v->vcpu->accept = 0;
    protected_show(cpu, v, &s);
}

/* The vmcs12 is the host's again, with an ordinary VM in the state that the host was shown. */
static void unbind(struct vmcs12 *v)
{
    hw_vmclear(v->vcpu->vmcs);
    layer_lock();
    v->vcpu->active_on = NULL;
    vm_unbind(v->vcpu);
    layer_unlock();
    v->vcpu = NULL;
    v->dirty = DIRTY_ALL;
    v->switched_known = false;
}

void protected_stop(struct cpu *cpu, struct vmcs12 *v, enum vm_stop why, uint64_t detail)
{
    layer_lock();
    vm_stop(v->vcpu->vm, why, detail);
    layer_unlock();
    protected_show(cpu, v, &shutdown);
    unbind(v);
}

/* An exit without an entry: the vCPU's registers are not in the processor, and no event may come. */
static void give_unentered(struct cpu *cpu, struct vmcs12 *v, const struct shown *s)
{
    v->vcpu->accept = 0;
    give(cpu, v, s, 0, s->reason == EXIT_TRIPLE_FAULT ? 0 : BLOCKING_BY_STI);
}

/* ---- Start states ---- */

static void write_constants(const struct vcpu *vcpu)
{
    static const uint16_t zeroed[] = { VMCS_GUEST_CR0, VMCS_GUEST_IA32_DEBUGCTL, VMCS_GUEST_IA32_SYSENTER_CS,
                                       VMCS_GUEST_IA32_SYSENTER_ESP, VMCS_GUEST_IA32_SYSENTER_EIP };
    uint32_t secondary = SEC_EPT | SEC_VPID | SEC_UNRESTRICTED_GUEST | SEC_RDTSCP | SEC_INVPCID;

    vmcs_zero_controls();
    for (unsigned i = 0; i < sizeof(zeroed) / sizeof(zeroed[0]); i++)
        hw_vmwrite(zeroed[i], 0);
    hw_vmwrite(VMCS_EXCEPTION_BITMAP, BIT32(VECTOR_MC));
    hw_vmwrite(VMCS_SECONDARY_CONTROLS, control_value(caps_hw.secondary, secondary));
    hw_vmwrite(VMCS_VM_ENTRY_CONTROLS,
               control_value(caps_hw.entry, ENTRY_LOAD_EFER | ENTRY_LOAD_PAT | ENTRY_LOAD_DEBUG_CONTROLS));
    hw_vmwrite(VMCS_MSR_BITMAP, vm_msr_bitmap().raw);
    hw_vmwrite(VMCS_EPT_POINTER, vcpu->vm->ept.root.raw | EPTP_WB_WALK_4);
    hw_vmwrite(VMCS_VPID, VPID_LAYER + vcpu->vm->index * BUNDLE_VCPU_MAX + vcpu->index);
    hw_vmwrite(VMCS_CR0_GUEST_HOST_MASK, CR0_NE);
    hw_vmwrite(VMCS_CR4_GUEST_HOST_MASK, ~CR4_PROTECTED);
    hw_vmwrite(VMCS_GUEST_IA32_PAT, PAT_RESET);
}

/* From the state after INIT to the first vCPU's at the bundle's entry point, in 64-bit mode. */
static void write_launch_state(struct vcpu *vcpu)
{
    const struct bundle_descriptor *d = vcpu->vm->descriptor;

    for (enum segment i = ES; i <= GS; i++)
        host_set_segment(i, 0x18, 0, UINT32_MAX, RIGHTS_DATA);
    host_set_segment(CS, 0x10, 0, UINT32_MAX, RIGHTS_CODE_64);
    hw_vmwrite(VMCS_GUEST_GDTR_BASE, d->gdt_gpa);
    hw_vmwrite(VMCS_GUEST_GDTR_LIMIT, d->gdt_limit);
    hw_vmwrite(VMCS_GUEST_CR0, CR0_START);
    hw_vmwrite(VMCS_CR0_READ_SHADOW, CR0_START);
    hw_vmwrite(VMCS_GUEST_CR3, d->cr3);
    hw_vmwrite(VMCS_GUEST_CR4, CR4_PAE | CR4_VMXE);
    hw_vmwrite(VMCS_CR4_READ_SHADOW, CR4_PAE);
    hw_vmwrite(VMCS_GUEST_IA32_EFER, EFER_LME | EFER_LMA);
    hw_vmwrite(VMCS_VM_ENTRY_CONTROLS, hw_vmread(VMCS_VM_ENTRY_CONTROLS) | ENTRY_IA32E_GUEST);
    hw_vmwrite(VMCS_GUEST_RIP, d->entry_rip);
    vcpu->regs.gpr[RSI] = d->entry_rsi;
}

/* Fills the vCPU's VMCS, which is loaded afterwards. */
static void start(struct cpu *cpu, struct vcpu *vcpu)
{
    *(uint32_t *)phys_to_virt(vcpu->vmcs) = (uint32_t)caps_hw.basic & INT32_MAX;
    hw_vmclear(vcpu->vmcs);
    vmcs_load(vcpu->vmcs);
    vcpu->vmcs_launched = false;
    vcpu->host_state_of = NULL;
    vm_registers_reset(vcpu);
    write_constants(vcpu);
    vmcs01_set_start_state(cpu, vcpu->start_vector);
    memcpy(vcpu->regs.gpr, cpu->gpr, sizeof(cpu->gpr));
    if (vcpu->index == 0)
        write_launch_state(vcpu);
}

/* ---- Entry ---- */

/* Of the host's controls only windows, the timer and pauses count. The vCPU's VMCS is loaded. */
static void write_controls(const struct vmcs12 *v)
{
    uint32_t windows = PROC_INTERRUPT_WINDOW_EXITING | PROC_NMI_WINDOW_EXITING | PROC_PAUSE_EXITING;
    uint32_t pin = PIN_EXTERNAL_INTERRUPT_EXITING | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS |
                   (pin_controls(v) & PIN_PREEMPTION_TIMER);
    uint32_t proc = PROC_HLT_EXITING | PROC_MWAIT_EXITING | PROC_RDPMC_EXITING | PROC_CR8_LOAD_EXITING |
                    PROC_CR8_STORE_EXITING | PROC_UNCONDITIONAL_IO_EXITING | PROC_MSR_BITMAPS | PROC_MONITOR_EXITING |
                    PROC_TSC_OFFSETTING | PROC_SECONDARY_CONTROLS | (proc_controls(v) & windows);
    uint32_t exits = EXIT_HOST_64BIT | EXIT_SAVE_EFER | EXIT_LOAD_EFER | EXIT_SAVE_PAT | EXIT_LOAD_PAT |
                     EXIT_SAVE_DEBUG_CONTROLS | (exit_controls(v) & EXIT_ACK_INTERRUPT);

    if ((pin & PIN_PREEMPTION_TIMER) != 0)
        exits |= EXIT_SAVE_PREEMPTION_TIMER;
    hw_vmwrite(VMCS_PIN_BASED_CONTROLS, control_value(caps_hw.pin, pin));
    hw_vmwrite(VMCS_PROCESSOR_BASED_CONTROLS, control_value(caps_hw.proc, proc));
    hw_vmwrite(VMCS_VM_EXIT_CONTROLS, control_value(caps_hw.exit, exits));
}

/* Whether a protected VM can run with these controls of the host's. */
static bool controls_suit(const struct vmcs12 *v)
{
    return (secondary_controls(v) & SEC_EPT) != 0 && (secondary_controls(v) & SEC_TSC_SCALING) == 0 &&
           (pin_controls(v) & PIN_EXTERNAL_INTERRUPT_EXITING) != 0;
}

static void take_registers(struct vcpu *vcpu, const uint64_t answer[GPR_COUNT])
{
    uint64_t *gpr = vcpu->regs.gpr;

    if ((vcpu->accept & ACCEPT_RAX) != 0) {
        uint64_t mask = ~UINT64_C(0) >> (64 - 8 * vcpu->answer_bytes);

        gpr[RAX] = (answer[RAX] & mask) | (vcpu->answer_bytes < 4 ? gpr[RAX] & ~mask : 0);
    }
    if ((vcpu->accept & ACCEPT_EDX_EAX) != 0) {
        gpr[RAX] = (uint32_t)answer[RAX];
        gpr[RDX] = (uint32_t)answer[RDX];
    }
    if ((vcpu->accept & ACCEPT_LOAD) != 0)
        gpr[vcpu->mmio.reg] = decode_load_result(&vcpu->mmio, gpr[vcpu->mmio.reg], answer[RAX]);
}

/* The host's answer to the last exit, with the vCPU's VMCS loaded; false: it is none that the exit allows. */
static bool take_answer(const struct cpu *cpu, const struct vmcs12 *v)
{
    struct vcpu *vcpu = v->vcpu;
    uint64_t rip = v->field[FIELD_GUEST_RIP];

    if (rip == vcpu->shown_rip)
        return true;
    if ((vcpu->accept & ACCEPT_SKIP) == 0 || rip != vcpu->shown_rip + vcpu->shown_length)
        return false;
    take_registers(vcpu, cpu->gpr);
    if ((vcpu->accept & ACCEPT_STRING) == 0 || protected_string_done(vcpu, vcpu->regs.gpr, cpu->gpr[RAX]))
        host_skip_bytes(vcpu->real_length);
    vcpu->accept = 0; /* done: it can't fault any more */
    return true;
}

static bool event_allowed(const struct vcpu *vcpu, uint32_t info, uint64_t error_code)
{
    uint64_t interruptibility = hw_vmread(VMCS_GUEST_INTERRUPTIBILITY);
    bool shadow = (interruptibility & (BLOCKING_BY_STI | BLOCKING_BY_MOV_SS)) != 0;

    if ((hw_vmread(VMCS_VM_ENTRY_INTERRUPTION_INFO) & INTR_VALID) != 0)
        return false;
    if (info == (INTR_VALID | INTR_ERROR_VALID | INTR_TYPE_HARDWARE << 8 | VECTOR_GP))
        return (vcpu->accept & ACCEPT_GP) != 0 && error_code == 0;
    if (info == (INTR_VALID | INTR_TYPE_NMI << 8 | 2))
        return (vcpu->vm->descriptor->flags & BUNDLE_FLAG_NMI) != 0 && !shadow &&
               (interruptibility & BLOCKING_BY_NMI) == 0;
    return (info & ~UINT32_C(0xff)) == INTR_VALID && vm_has_vector(vcpu->vm, (uint8_t)info) && !shadow &&
           (hw_vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF) != 0;
}

/* The event that the host injects; false: it must not. */
static bool take_event(struct vmcs12 *v)
{
    uint32_t info = (uint32_t)v->field[FIELD_VM_ENTRY_INTERRUPTION_INFO];

    if ((info & INTR_VALID) == 0)
        return true;
    if (!event_allowed(v->vcpu, info, v->field[FIELD_VM_ENTRY_EXCEPTION_ERROR_CODE]))
        return false;
    hw_vmwrite(VMCS_VM_ENTRY_INTERRUPTION_INFO, info);
    hw_vmwrite(VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE, 0);
    return true;
}

/* How far the host has turned this CPU's counter: writes of the counter are in this MSR, too. */
static uint64_t tsc_turned(const struct cpu *cpu)
{
    enum { MSR_TSC_ADJUST = 0x3b };
    uint64_t adjust;

    return hw_rdmsr_safe(MSR_TSC_ADJUST, &adjust) ? adjust - cpu->tsc_adjust : 0;
}

/* Loads the vCPU's VMCS and gives it what changed; the reason why the VM must stop, or VM_STOP_NONE. */
static enum vm_stop prepare(struct cpu *cpu, struct vmcs12 *v)
{
    struct vcpu *vcpu = v->vcpu;

    if (!controls_suit(v))
        return VM_STOP_BAD_CONTROLS;
    vmcs_load(vcpu->vmcs);
    if (vcpu->host_state_of != cpu) {
        cpu_write_host_state(cpu);
        hw_invvpid(HW_INVVPID_SINGLE, (uint16_t)hw_vmread(VMCS_VPID), 0);
        hw_vmwrite(VMCS_TSC_OFFSET, vcpu->vm->tsc_offset - tsc_turned(cpu));
        vcpu->host_state_of = cpu;
        v->dirty |= DIRTY_CONTROLS;
    }
    if ((v->dirty & DIRTY_CONTROLS) != 0)
        write_controls(v);
    v->dirty = 0;
    if ((pin_controls(v) & PIN_PREEMPTION_TIMER) != 0)
        hw_vmwrite(VMCS_PREEMPTION_TIMER_VALUE, v->field[FIELD_PREEMPTION_TIMER_VALUE]);
    if (!take_answer(cpu, v))
        return VM_STOP_BAD_ANSWER;
    return take_event(v) ? VM_STOP_NONE : VM_STOP_BAD_EVENT;
}

/* The page that the host was asked for; true if it has to be asked once more. */
static bool refill(struct vmcs12 *v, uint64_t *permissions)
{
    struct vcpu *vcpu = v->vcpu;
    enum vm_page_answer answer;

    if (!vcpu->refill)
        return false;
    layer_lock();
    answer = vm_pages_touch(vcpu->vm, v->field[FIELD_EPT_POINTER], vcpu->refill_gpa, false, permissions);
    if (answer == VM_PAGE_OUTSIDE)
        vm_stop(vcpu->vm, VM_STOP_BAD_ACCESS, vcpu->refill_gpa);
    layer_unlock();
    vcpu->refill = answer == VM_PAGE_ABSENT;
    return vcpu->refill;
}

/* Enters the vCPU, whose VMCS is loaded. */
static void enter(struct cpu *cpu, struct vcpu *vcpu)
{
    memcpy(cpu->gpr, vcpu->regs.gpr, sizeof(cpu->gpr));
    vm_registers_load(vcpu);
    cpu->vcpu = vcpu;
    cpu->in_l2 = true;
    cpu->launch = !vcpu->vmcs_launched;
    cpu_count_stat(cpu, STAT_vm_entries);
}

/* Enters the vCPU unless the host's answer, or a page that it was to bring, forbids it. */
static void resume(struct cpu *cpu, struct vmcs12 *v)
{
    struct vcpu *vcpu = v->vcpu;
    enum vm_stop stop = vcpu->state == VCPU_RUNS ? prepare(cpu, v) : VM_STOP_HOST_GONE;
    uint64_t permissions = 0;
    struct shown s;

    if (stop != VM_STOP_NONE) {
        layer_lock();
        vm_stop(vcpu->vm, stop, v->field[FIELD_GUEST_RIP]);
        layer_unlock();
    } else if (refill(v, &permissions)) {
        s = violation(vcpu->refill_gpa, permissions);
        give_unentered(cpu, v, &s);
        return;
    }
    if (vcpu->vm->state == VM_RUNNING) {
        enter(cpu, vcpu);
    } else {
        give_unentered(cpu, v, &shutdown);
        unbind(v);
    }
}

/* The first entry of a vCPU that is bound to `v`. */
static void begin(struct cpu *cpu, struct vmcs12 *v)
{
    start(cpu, v->vcpu);
    v->vcpu->shown_rip = v->field[FIELD_GUEST_RIP];
    v->field[FIELD_VM_ENTRY_INTERRUPTION_INFO] = 0;
    resume(cpu, v);
}

/* One slice of the launch; the vCPU starts when it is done. */
static void launch(struct cpu *cpu, struct vmcs12 *v)
{
    struct vm *vm = v->vcpu->vm;
    uint64_t gpa = 0, permissions = 0;
    enum vm_page_answer answer;
    struct shown s;

    layer_lock();
    answer = vm_launch_step(vm, v->field[FIELD_EPT_POINTER], &gpa, &permissions);
    layer_unlock();
    s = violation(gpa, permissions);
    if (answer == VM_PAGE_ABSENT)
        give_unentered(cpu, v, &s);
    else if (answer == VM_PAGE_MAPPED)
        begin(cpu, v);
    else
        resume(cpu, v); /* shows that it was stopped */
}

void protected_enter(struct cpu *cpu, struct vmcs12 *v)
{
    if (v->vcpu->vm->state == VM_LAUNCHING)
        launch(cpu, v);
    else
        resume(cpu, v);
}

void protected_entry_refused(struct cpu *cpu, struct vmcs12 *v)
{
    cv_log(LOG_ERROR, "the processor refuses a protected vCPU with error %lu", hw_vmread(VMCS_VM_INSTRUCTION_ERROR));
    protected_stop(cpu, v, VM_STOP_UNEXPECTED_EXIT, EXIT_ENTRY_FAILURE);
}

void protected_exit(struct cpu *cpu, struct vmcs12 *v, uint32_t reason)
{
    v->vcpu->vmcs_launched = true;
    if ((reason & EXIT_ENTRY_FAILURE) != 0) {
        protected_stop(cpu, v, VM_STOP_UNEXPECTED_EXIT, reason);
        return;
    }
    exit_reinject();
    v->vcpu->accept = 0;
    protected_dispatch(cpu, v, reason);
    if (cpu->vcpu != NULL)
        cpu_count_stat(cpu, STAT_vm_exits_kept);
}

void protected_nmi(struct cpu *cpu, struct vmcs12 *v)
{
    struct shown s = { .reason = EXIT_EXCEPTION_OR_NMI,
                       .interruption_info = INTR_VALID | INTR_TYPE_NMI << 8 | 2,
                       .rip_slot = WINDOW_IDLE_SLOT };

    v->vcpu->accept = 0;
    protected_show(cpu, v, &s);
}

/* ---- Binding ---- */

bool protected_activate(struct cpu *cpu, struct vmcs12 *v)
{
    struct vcpu *vcpu;
    bool ok;

    layer_lock();
    vcpu = vm_bound(v->region);
    ok = vcpu == NULL || vcpu->active_on == NULL;
    if (vcpu != NULL && ok)
        vcpu->active_on = cpu;
    layer_unlock();
    v->vcpu = ok ? vcpu : NULL;
    return ok;
}

void protected_deactivate(struct vmcs12 *v)
{
    if (v->vcpu == NULL)
        return;
    hw_vmclear(v->vcpu->vmcs);
    v->vcpu->vmcs_launched = false;
    layer_lock();
    v->vcpu->active_on = NULL;
    layer_unlock();
    v->vcpu = NULL;
}

/* The vCPU takes the place of the vmcs12's VM. v->vmcs02 is loaded. */
static bool bind(struct vmcs12 *v, struct vcpu *vcpu)
{
    if (!vm_bind(vcpu, v->region))
        return false;
    ept02_put(v->ept02);
    v->ept02 = NULL;
    v->refill = false;
    v->vcpu = vcpu;
    freeze(v, vcpu->vm);
    return true;
}

/* ---- Calls ---- */

static void answer_call(struct cpu *cpu, uint64_t answer)
{
    cpu->gpr[RAX] = answer;
    host_skip_instruction();
}

/* Copies a page of the plain VM. False: EPT12 does not map it. */
static bool read_descriptor(const struct vmcs12 *v, uint64_t gpa, struct bundle_descriptor *copy)
{
    struct ept12_leaf leaf;
    hpa_t frame;

    if (gpa % PAGE_SIZE != 0 || gpa >= BUNDLE_GPA_LIMIT ||
        ept12_walk(ept02_format(), v->field[FIELD_EPT_POINTER], l2gpa(gpa), EPT_READ, &leaf) != EPT12_OK)
        return false;
    frame = hpa((leaf.entry & EPT_ADDRESS) + (gpa & (ept_page_bytes(leaf.level) - 1)));
    vm_frame_touched(frame);
    if (frame_state(frame) != FRAME_HOST && frame_state(frame) != FRAME_WATCHED)
        return false;
    memcpy(copy, phys_to_virt(frame), sizeof(*copy));
    return true;
}

/* Everything that can be refused before anything changes hands. Holds the lock. */
static uint64_t begin_launch(struct cpu *cpu, struct vmcs12 *v)
{
    static struct bundle_descriptor copy;
    enum bundle_error error;
    struct vm *vm;

    if (!protected_in_kernel_64())
        return BUNDLE_BAD_CALLER;
    if (v->ept02 == NULL || !controls_suit(v))
        return BUNDLE_BAD_HOST_SETUP;
    if (!read_descriptor(v, cpu->gpr[RBX], &copy))
        return BUNDLE_BAD_HOST_MEMORY;
    error = bundle_check(&copy, cpu->gpr[RBX], cpu->gpr[RCX]);
    if (error != BUNDLE_OK)
        return error;
    if (!vm_cpuid_satisfies(&copy))
        return BUNDLE_BAD_CPU_LACKS;
    vm = vm_create(&copy);
    if (vm == NULL)
        return BUNDLE_BAD_MEMORY;
    vm->tsc_offset = (proc_controls(v) & PROC_TSC_OFFSETTING) != 0 ? v->field[FIELD_TSC_OFFSET] : 0;
    vm->tsc_offset += tsc_turned(cpu);
    if (bind(v, vm->vcpus[0]))
        return BUNDLE_OK;
    vm_stop(vm, VM_STOP_BAD_CONTROLS, v->region);
    return BUNDLE_BAD_HOST_SETUP;
}

static void launch_call(struct cpu *cpu, struct vmcs12 *v)
{
    uint64_t answer;

    layer_lock();
    answer = begin_launch(cpu, v);
    layer_unlock();
    if (answer != BUNDLE_OK) {
        cv_log_limited(LOG_INFO, "a launch is refused with reason %lu", answer);
        answer_call(cpu, answer);
        return;
    }
    launch(cpu, v);
}

static void ap_call(struct cpu *cpu, struct vmcs12 *v)
{
    struct vcpu *vcpu = NULL;
    bool bound = false;

    layer_lock();
    if (v->ept02 != NULL && protected_in_kernel_64() && controls_suit(v))
        vcpu = vm_awaited(v->field[FIELD_EPT_POINTER]);
    if (vcpu != NULL)
        bound = bind(v, vcpu);
    if (bound)
        vcpu->state = VCPU_RUNS;
    layer_unlock();
    if (!bound) {
        answer_call(cpu, UINT64_MAX);
        return;
    }
    begin(cpu, v);
}

bool protected_call(struct cpu *cpu, struct vmcs12 *v)
{
    switch ((uint32_t)cpu->gpr[RAX]) {
    case BUNDLE_CALL_LAUNCH: launch_call(cpu, v); return true;
    case BUNDLE_CALL_AP_START: ap_call(cpu, v); return true;
    default: return false;
    }
}
