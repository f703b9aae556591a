/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Building, running and ending victims. See victim.h.
 */
#include "untrusted-hypervisor-harness/attacks/victim.h"
#include "untrusted-hypervisor-harness/core/console.h"

enum {
    EPT_FIRST = 64, /* of the arena's EPT pages; those before are struct vcpu's */
    EPT_PAGES = 16,
    REGION_FIRST = 64, /* of the arena's VMX pages */
    EXITS_MAX = 20000,
    PTE_TABLE = 0x23, /* present, writable, accessed */
    PTE_LARGE = 0xe3, /* and dirty, 2 MiB */
    RIGHTS_CODE = 0xa09b,
    RIGHTS_DATA = 0xc093,
    REAP_PATIENCE = 100000,
};

const char *const stop_names[STOP_COUNT] = {
    [STOP_NONE] = "not stopped",
#define VM_STOP(name, text) [STOP_##name] = #name,
#include "cloudvisor/vm_stops.def"
#undef VM_STOP
};

#define PROGRAM(name)                                                                                                  \
    {                                                                                                                  \
        program_##name, program_##name##_end                                                                           \
    }
#define DECLARE(name) extern const uint8_t program_##name[], program_##name##_end[];
DECLARE(common)
DECLARE(pages)
DECLARE(writer)
DECLARE(events)
DECLARE(fault)
DECLARE(clock)
DECLARE(smp)
DECLARE(again)
DECLARE(sharing)
DECLARE(reader)
DECLARE(joiner)
DECLARE(ap)
DECLARE(state)

/* ---- What the layer tells ---- */

static uint64_t slot_word(uint64_t slot, enum hypercall_vm_word word)
{
    uint64_t value = 0;

    return vmx_hypercall(HYPERCALL_VM, slot, word, &value) ? value : 0;
}

/* The slot of the VM launched last, if it has a higher id than `*id`, which is set to its. */
static void find_last(uint64_t *slot, uint64_t *id)
{
    uint64_t value;

    for (uint64_t i = 0; vmx_hypercall(HYPERCALL_VM, i, VM_WORD_ID, &value); i++) {
        if (value <= *id)
            continue;
        *id = value;
        *slot = i;
    }
}

/* The victim's VM, once it was launched. */
static void find_slot(struct victim *vm)
{
    uint64_t id = vm->id_before;

    find_last(&vm->slot, &id);
    vm->id = id > vm->id_before ? id : 0;
}

uint64_t victim_word(const struct victim *vm, enum hypercall_vm_word word)
{
    return vm->id != 0 ? slot_word(vm->slot, word) : 0;
}

enum stop_reason victim_stop_reason(const struct victim *vm)
{
    uint64_t stop = victim_word(vm, VM_WORD_STOP);

    return stop < STOP_COUNT ? (enum stop_reason)stop : STOP_COUNT - 1;
}

/* ---- Building ---- */

static void copy_program(const struct victim *vm, uint64_t gpa, const uint8_t *begin, const uint8_t *end)
{
    copy_bytes(victim_page(vm, gpa), begin, (uint64_t)(end - begin));
}

static void build_program(const struct victim *vm, enum program_index program)
{
    const uint8_t *const programs[][2] = {
        [PROGRAM_PAGES] = PROGRAM(pages), [PROGRAM_WRITER] = PROGRAM(writer), [PROGRAM_EVENTS] = PROGRAM(events),
        [PROGRAM_FAULT] = PROGRAM(fault), [PROGRAM_CLOCK] = PROGRAM(clock),   [PROGRAM_SMP] = PROGRAM(smp),
        [PROGRAM_STATE] = PROGRAM(state), [PROGRAM_AGAIN] = PROGRAM(again),   [PROGRAM_SHARING] = PROGRAM(sharing),
    };

    copy_program(vm, GA_PROGRAM, programs[program][0], programs[program][1]);
    copy_program(vm, GA_COMMON, program_common, program_common_end);
    copy_program(vm, GA_AP_CODE, program_ap, program_ap_end);
}

static void build_page_tables(const struct victim *vm)
{
    victim_page(vm, GA_PML4)[0] = GA_PDPT | PTE_TABLE;
    victim_page(vm, GA_PDPT)[0] = GA_PD | PTE_TABLE;
    for (unsigned i = 0; i < 512; i++)
        victim_page(vm, GA_PD)[i] = i * LARGE_PAGE_SIZE | PTE_LARGE;
}

static bool pushes_error_code(unsigned vector)
{
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
}

/* push 0 (where the processor pushes no error code); push vector; jmp to the common handler. */
static void build_vectors(const struct victim *vm)
{
    uint64_t *idt = victim_page(vm, GA_IDT);

    for (unsigned vector = 0; vector < 256; vector++) {
        uint64_t target = GA_STUBS + vector * 16u;
        uint8_t *code = (uint8_t *)victim_page(vm, GA_STUBS) + vector * 16u;
        uint32_t distance;

        idt[vector * 2] = UINT64_C(0x00008e0000100000) | (target & 0xffff) | (target & 0xffff0000) << 32;
        code[0] = pushes_error_code(vector) ? 0x90 : 0x6a;
        code[1] = pushes_error_code(vector) ? 0x90 : 0;
        code[2] = 0x68;
        copy_bytes(&code[3], &vector, sizeof(vector));
        code[7] = 0xe9;
        distance = (uint32_t)(GA_COMMON + COMMON_HANDLER - (target + 12));
        copy_bytes(&code[8], &distance, sizeof(distance));
    }
}

static void build_parameters(const struct victim *vm, uint64_t word)
{
    uint64_t *gdt = victim_page(vm, GA_GDT), *parameters = victim_page(vm, GA_PARAMETERS);
    struct descriptor_table idt = { 0xfff, GA_IDT };

    gdt[2] = UINT64_C(0x00af9b000000ffff);
    gdt[3] = UINT64_C(0x00cf93000000ffff);
    parameters[0] = vm->seed;
    parameters[1] = word;
    copy_bytes((uint8_t *)parameters + (GA_IDT_POINTER - GA_PARAMETERS), &idt, sizeof(idt));
}

static void build_descriptor(struct bundle_descriptor *d)
{
    *d = (struct bundle_descriptor){ .magic = BUNDLE_MAGIC,
                                     .version = BUNDLE_VERSION,
                                     .size = sizeof(*d),
                                     .gpa = GA_DESCRIPTOR,
                                     .machine = BUNDLE_PC,
                                     .vcpu_count = VICTIM_VCPUS,
                                     .range_count = 3,
                                     .ram_count = 1,
                                     .mmio_count = 1,
                                     .port_count = 1,
                                     .entry_rip = GA_PROGRAM,
                                     .entry_rsi = GA_PARAMETERS,
                                     .cr3 = GA_PML4,
                                     .gdt_gpa = GA_GDT,
                                     .gdt_limit = 0x1f,
                                     .ap_start_gpa = GA_AP_START,
                                     .exit_window_gpa = GA_WINDOW,
                                     .vectors = { UINT64_C(0x00ff000000000000) } };
    d->ranges[0] = (struct bundle_range){ GA_GDT, 7, BUNDLE_MEASURED };
    d->ranges[1] = (struct bundle_range){ GA_AP_CODE, 1, BUNDLE_MEASURED };
    d->ranges[2] = (struct bundle_range){ GA_PROGRAM, 4, BUNDLE_MEASURED };
    d->ram[0] = (struct bundle_window){ 0, GA_RAM_SIZE / PAGE_SIZE };
    d->mmio[0] = (struct bundle_window){ GA_MMIO, 1 };
    d->ports[0] = (struct bundle_ports){ PORT_REPORT, PORT_LAST };
}

static void build_memory(struct victim *vm, enum program_index program, uint64_t word)
{
    clear_pages(vm->memory, GA_RAM_SIZE / PAGE_SIZE);
    build_page_tables(vm);
    build_vectors(vm);
    build_parameters(vm, word);
    build_program(vm, program);
    vm->descriptor = (struct bundle_descriptor *)victim_page(vm, GA_DESCRIPTOR);
    build_descriptor(vm->descriptor);
}

void victim_map(struct victim *vm, uint64_t gpa, uint64_t frame, uint64_t flags)
{
    ept_map(&vm->v.ept, gpa, frame, EPT_LEVEL_4K, flags);
}

bool victim_bring(struct victim *vm, uint64_t gpa)
{
    if (gpa >= GA_RAM_SIZE)
        return false;
    gpa &= ~(PAGE_SIZE - 1);
    victim_map(vm, gpa, vm->memory + gpa, EPT_ALL | EPT_WB);
    ept_invalidate();
    return true;
}

static void build_ept(struct victim *vm)
{
    ept_init(&vm->v.ept, EPT_FIRST + vm->index * EPT_PAGES, EPT_PAGES);
    ept_map_range(&vm->v.ept, 0, vm->memory, GA_RAM_SIZE, EPT_LEVEL_4K, EPT_ALL | EPT_WB);
    ept_invalidate();
    vcpu_set_base(&vm->v, FIELD_EPT_POINTER, ept_pointer(&vm->v.ept));
}

static void set_segment(struct vcpu *v, unsigned segment, uint64_t selector, uint64_t rights)
{
    vcpu_set_base(v, FIELD_GUEST_ES_SELECTOR + segment, selector);
    vcpu_set_base(v, FIELD_GUEST_ES_ACCESS_RIGHTS + segment, rights);
}

/* x2APIC accesses exit, other MSRs are the guest's own in a plain VM. */
static void build_controls(struct vcpu *v)
{
    uint8_t *msrs = physical_pointer(vmx_page(VMX_PAGE_MSR_BITMAP));

    clear_pages(vmx_page(VMX_PAGE_MSR_BITMAP), 1);
    fill_bytes(&msrs[0x100], 0xff, 32);
    fill_bytes(&msrs[2048 + 0x100], 0xff, 32);
    vcpu_set_base(v, FIELD_PIN_BASED_CONTROLS, v->field[FIELD_PIN_BASED_CONTROLS] | PIN_EXTERNAL_INTERRUPT_EXITING);
    vcpu_set_base(v, FIELD_PROCESSOR_BASED_CONTROLS,
                  v->field[FIELD_PROCESSOR_BASED_CONTROLS] | PROC_UNCONDITIONAL_IO_EXITING | PROC_MSR_BITMAPS |
                      PROC_PAUSE_EXITING | PROC_TSC_OFFSETTING);
    vcpu_set_base(v, FIELD_SECONDARY_CONTROLS,
                  v->field[FIELD_SECONDARY_CONTROLS] | SEC_UNRESTRICTED_GUEST | SEC_RDTSCP);
    vcpu_set_base(v, FIELD_VM_EXIT_CONTROLS, v->field[FIELD_VM_EXIT_CONTROLS] | EXIT_ACK_INTERRUPT);
}

static void build_state(struct vcpu *v, uint64_t rip, uint64_t cr3)
{
    for (unsigned s = 0; s < 6; s++)
        set_segment(v, s, s == 1 ? 0x10 : 0x18, s == 1 ? RIGHTS_CODE : RIGHTS_DATA);
    vcpu_set_base(v, FIELD_GUEST_TR_SELECTOR, 0);
    vcpu_set_base(v, FIELD_GUEST_TR_BASE, 0);
    vcpu_set_base(v, FIELD_GUEST_GDTR_BASE, GA_GDT);
    vcpu_set_base(v, FIELD_GUEST_GDTR_LIMIT, 0x1f);
    vcpu_set_base(v, FIELD_GUEST_IDTR_BASE, GA_IDT);
    vcpu_set_base(v, FIELD_GUEST_CR3, cr3);
    vcpu_set_base(v, FIELD_GUEST_RIP, rip);
    vcpu_set_base(v, FIELD_GUEST_RSP, GA_STACK_TOP);
}

uint64_t victim_region(unsigned index, unsigned n)
{
    return arena_page(ARENA_VMX_PAGES, REGION_FIRST + index * VICTIM_VCPUS + n);
}

void victim_build(struct victim *vm, unsigned index, enum program_index program, bool protected, uint64_t word)
{
    static uint64_t built;

    fill_bytes(vm, 0, sizeof(*vm));
    vm->index = index;
    vm->protected = protected;
    vm->memory = VICTIM_MEMORY(index);
    vm->seed = ++built << 16;
    vm->secret = vm->seed ^ SECRET_KEY;
    vm->bring = victim_bring;
    find_last(&vm->slot, &vm->id_before);
    vcpu_init_at(&vm->v, victim_region(index, 0), MODE_LONG, MEMORY_OFFSET_4K, ARENA(ARENA_GUEST));
    build_memory(vm, program, word);
    build_ept(vm);
    build_controls(&vm->v);
    build_state(&vm->v, protected ? GA_COMMON + COMMON_LAUNCH : GA_PROGRAM, GA_PML4);
    fill_bytes(vm->v.reg, 0, sizeof(vm->v.reg));
}

void victim_place(uint64_t frame, enum helper helper)
{
    const uint8_t *const helpers[][2] = {
        [HELPER_READ] = PROGRAM(reader), [HELPER_JOIN] = PROGRAM(joiner), [HELPER_LAUNCH] = PROGRAM(common)
    };

    copy_bytes(physical_pointer(frame), helpers[helper][0], (uint64_t)(helpers[helper][1] - helpers[helper][0]));
}

void victim_build_second(struct victim *vm, uint64_t region, uint64_t rip, uint64_t cr3)
{
    vcpu_init_at(&vm->second, region, MODE_LONG, MEMORY_OFFSET_4K, ARENA(ARENA_GUEST));
    vcpu_set_base(&vm->second, FIELD_EPT_POINTER, ept_pointer(&vm->v.ept));
    build_controls(&vm->second);
    build_state(&vm->second, rip, cr3);
    fill_bytes(vm->second.reg, 0, sizeof(vm->second.reg));
}

/* ---- Running ---- */

void victim_skip(void)
{
    vmx_write(VMCS_GUEST_RIP, vcpu_get(FIELD_GUEST_RIP) + vcpu_get(FIELD_VM_EXIT_INSTRUCTION_LENGTH));
}

static void answer_port(struct vcpu *v)
{
    uint64_t qualification = vcpu_get(FIELD_EXIT_QUALIFICATION);

    if ((qualification & 8) != 0)
        v->reg[REG_RAX] = (qualification & 7) == 3 ? ANSWER_IN
                                                   : (v->reg[REG_RAX] & ~UINT64_C(0xff)) | (ANSWER_IN & 0xff);
    victim_skip();
}

/* Programs access the device by instructions of two bytes, which a processor does not tell for violations. */
static bool answer_memory(struct victim *vm)
{
    uint64_t gpa = vcpu_get(FIELD_GUEST_PHYSICAL_ADDRESS);

    if (gpa < GA_MMIO || gpa >= GA_MMIO + PAGE_SIZE)
        return vm->bring(vm, gpa);
    if ((vcpu_get(FIELD_EXIT_QUALIFICATION) & 2) == 0)
        vm->v.reg[REG_RAX] = ANSWER_LOAD;
    vmx_write(VMCS_GUEST_RIP, vcpu_get(FIELD_GUEST_RIP) + 2);
    return true;
}

static void answer_xsetbv(const struct vcpu *v)
{
    __asm__ volatile("xsetbv" : : "a"((uint32_t)v->reg[REG_RAX]), "d"(0), "c"(0));
    victim_skip();
}

bool victim_answer(struct victim *vm, uint32_t reason)
{
    struct vcpu *v = &vm->v;

    switch (reason) {
    case EXIT_EXTERNAL_INTERRUPT: *(volatile uint32_t *)physical_pointer(0xfee000b0) = 0; return true;
    case EXIT_PREEMPTION_TIMER: return true;
    case EXIT_EPT_MISCONFIGURATION: return vm->bring(vm, vcpu_get(FIELD_GUEST_PHYSICAL_ADDRESS));
    case EXIT_EPT_VIOLATION: return answer_memory(vm);
    case EXIT_IO: answer_port(v); return true;
    case EXIT_RDMSR:
        v->reg[REG_RAX] = ANSWER_LOW;
        v->reg[REG_RDX] = ANSWER_HIGH;
        victim_skip();
        return true;
    case EXIT_XSETBV: answer_xsetbv(v); return true;
    case EXIT_CPUID: v->reg[REG_RBX] = 0; /* fall through */
    case EXIT_HLT:
    case EXIT_PAUSE:
    case EXIT_WRMSR: victim_skip(); return true;
    default: return false;
    }
}

/* The report that the victim stands at, or 0. */
static uint32_t report(struct victim *vm, uint32_t reason)
{
    uint64_t qualification = vcpu_get(FIELD_EXIT_QUALIFICATION);

    if (reason != EXIT_IO || (qualification & 8) != 0)
        return 0;
    if (qualification >> 16 == PORT_REPORT)
        return (uint32_t)vm->v.reg[REG_RAX];
    vm->launch_answer = vm->v.reg[REG_RAX];
    return qualification >> 16 == PORT_LAUNCH_ERROR ? RUN_LAUNCH_ERROR : 0;
}

static uint32_t run(struct victim *vm)
{
    for (unsigned i = 0; i < EXITS_MAX; i++) {
        uint32_t code;

        if (vcpu_run(&vm->v).kind != OUTCOME_EXIT)
            return RUN_REFUSED;
        vm->last_exit = (uint32_t)vcpu_get(FIELD_EXIT_REASON);
        vm->exits++;
        if (vm->last_exit == EXIT_TRIPLE_FAULT || (vm->last_exit & EXIT_ENTRY_FAILURE) != 0)
            return RUN_DOWN;
        code = report(vm, vm->last_exit);
        if (vm->before_answer != NULL && !vm->before_answer(vm, vm->last_exit))
            return RUN_OTHER;
        if (!victim_answer(vm, vm->last_exit))
            return RUN_OTHER;
        if (vm->after_answer != NULL && !vm->after_answer(vm, vm->last_exit))
            return RUN_OTHER;
        if (code != 0)
            return code;
    }
    return RUN_ENDLESS;
}

uint32_t victim_run(struct victim *vm)
{
    uint32_t code = run(vm);

    if (vm->protected && vm->id == 0)
        find_slot(vm);
    return code;
}

bool victim_start(struct victim *vm)
{
    uint32_t code = victim_run(vm);

    if (code == REPORT_READY || (code == REPORT_OK && vm->protected == (victim_word(vm, VM_WORD_STATE) == 2)))
        return true;
    note("the victim does not start: %x, exit %x qualification %lx gpa %lx, launch answer %lu, stop %s", code,
         vm->last_exit, vcpu_get(FIELD_EXIT_QUALIFICATION), vcpu_get(FIELD_GUEST_PHYSICAL_ADDRESS), vm->launch_answer,
         stop_names[victim_stop_reason(vm)]);
    return false;
}

uint32_t victim_run_second(struct victim *vm)
{
    for (unsigned i = 0; i < EXITS_MAX; i++) {
        uint32_t reason;

        if (vcpu_run(&vm->second).kind != OUTCOME_EXIT)
            return RUN_REFUSED;
        reason = (uint32_t)vcpu_get(FIELD_EXIT_REASON);
        if (reason == EXIT_TRIPLE_FAULT || (reason & EXIT_ENTRY_FAILURE) != 0)
            return RUN_DOWN;
        if (reason == EXIT_EPT_VIOLATION && vm->bring(vm, vcpu_get(FIELD_GUEST_PHYSICAL_ADDRESS)))
            continue;
        if (reason == EXIT_PREEMPTION_TIMER)
            continue;
        if (reason != EXIT_IO)
            return RUN_OTHER;
        victim_skip();
        vm->launch_answer = vm->second.reg[REG_RAX];
        return vcpu_get(FIELD_EXIT_QUALIFICATION) >> 16 == PORT_REPORT ? (uint32_t)vm->second.reg[REG_RAX]
                                                                       : RUN_LAUNCH_ERROR;
    }
    return RUN_ENDLESS;
}

/* ---- The end ---- */

/* The next word from `from` whose high half is that of secrets, or `end`. */
static uint64_t next_candidate(uint64_t from, uint64_t end)
{
    uint64_t at = from, count = (end - from) / 4;
    bool found;

    __asm__ volatile("repne scasl" : "+D"(at), "+c"(count), "=@ccz"(found) : "a"(SECRET_KEY >> 32) : "memory");
    return found && at > from ? at - 4 : end;
}

/* What may hold secrets: the CPUs' own stacks, and the region of a vmcs12, whose touch ends the VM. */
static bool leave_out(const struct victim *vm, uint64_t address)
{
    uint64_t own = (uint64_t)(uintptr_t)vm;

    return (address >= ARENA(ARENA_CPUS) && address < ARENA(ARENA_EPT_PAGES)) ||
           (address >= own && address < own + sizeof(*vm));
}

uint64_t victim_search(const struct victim *vm, uint64_t from, uint64_t bytes)
{
    for (uint64_t at = from, end = from + bytes; at < end; at += 4) {
        if (at < ARENA(ARENA_CPUS) && end > ARENA(ARENA_CPUS)) {
            uint64_t found = victim_search(vm, at, ARENA(ARENA_CPUS) - at);

            if (found != 0)
                return found;
            at = ARENA(ARENA_EPT_PAGES);
        }
        at = next_candidate(at, end);
        if (at < end && at % 8 == 4 && !leave_out(vm, at) &&
            victim_is_secret(vm, *(uint64_t *)physical_pointer(at - 4)))
            return at - 4;
    }
    return 0;
}

static bool frames_are_clean(const struct victim *vm)
{
    uint64_t found = victim_search(vm, ARENA(ARENA_GUEST), SPARE_MEMORY + SPARE_SIZE - ARENA(ARENA_GUEST));

    if (found == 0)
        return true;
    note("a secret lies at %lx", found);
    return false;
}

bool victim_end(struct victim *vm)
{
    uint64_t state = 1;

    vmx_clear(vm->v.region);
    if (vm->second.region != 0)
        vmx_clear(vm->second.region);
    if (!vm->protected)
        return true;
    if (vm->id == 0)
        find_slot(vm);
    if (vm->id == 0)
        return true;
    *(volatile uint64_t *)physical_pointer(vm->v.region) = 0;
    for (unsigned n = 0; n < VICTIM_VCPUS; n++)
        *(volatile uint64_t *)physical_pointer(victim_region(vm->index, n)) = 0;
    for (unsigned i = 0; i < REAP_PATIENCE && state != 0; i++)
        state = victim_word(vm, VM_WORD_STATE);
    if (state != 0 || victim_word(vm, VM_WORD_FRAMES) != 0)
        note("the VM keeps state %lu with %lu frames", state, victim_word(vm, VM_WORD_FRAMES));
    return state == 0 && victim_word(vm, VM_WORD_FRAMES) == 0 && frames_are_clean(vm);
}
