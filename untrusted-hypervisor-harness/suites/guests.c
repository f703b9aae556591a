/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The friendly suite: minimal guests in every mode with every kind of memory, and a hypervisor that does with their
 * exits what hypervisors do: answers them, skips instructions, repairs page tables and EPTs, injects interrupts.
 * Every exit that it takes is printed whole as notes, for a person to read.
 */
#include "cloudvisor/cvctl/exit_reasons.h"
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/exit_info.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/result.h"
#include "untrusted-hypervisor-harness/core/vmx.h"
#include "untrusted-hypervisor-harness/suites/check.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

#define SUITE "guests"

static struct vcpu vcpu;
static char name[64];

static char *append(char *to, const char *text)
{
    while (*text != '\0' && to < name + sizeof(name) - 1)
        *to++ = *text++;
    *to = '\0';
    return to;
}

/* "<what>.<mode>.<memory>" */
static const char *case_name(const char *what)
{
    append(append(append(append(append(name, what), "."), guest_mode_names[vcpu.mode]), "."),
           guest_memory_names[vcpu.kind]);
    return name;
}

/* Runs on, and dumps the exit. Returns the exit reason, or ~0 if there was none, which is a FAIL line already. */
static uint64_t run(const char *case_text)
{
    struct outcome o = vcpu_run(&vcpu);

    if (o.kind != OUTCOME_EXIT) {
        result_fail_begin(SUITE, case_text);
        outcome_print(&o);
        print_end_of_result();
        return UINT64_MAX;
    }
    exit_dump(&vcpu);
    return vcpu_get(FIELD_EXIT_REASON);
}

static bool run_until(const char *case_text, uint64_t expected)
{
    uint64_t reason = run(case_text);

    if (reason == expected)
        return true;
    if (reason != UINT64_MAX)
        result_expect(SUITE, case_text, "exit reason", reason, expected);
    return false;
}

static void skip_instruction(void)
{
    vmx_write(VMCS_GUEST_RIP, vcpu_get(FIELD_GUEST_RIP) + vcpu_get(FIELD_VM_EXIT_INSTRUCTION_LENGTH));
}

static bool is_16_bit(void)
{
    return vcpu.mode == MODE_REAL || vcpu.mode == MODE_V86;
}

/* --- compute --- */

enum { COMPUTE_WORDS = 16 };

/* Sums the words at the start of the data, stores the sum behind them, and exits by CPUID. */
static void compute(void)
{
    uint32_t *data = guest_pointer(vcpu.memory, GUEST_DATA), sum = 0;

    for (unsigned i = 0; i < COMPUTE_WORDS; i++)
        sum += data[i] = 0x01234567u * (i + 1);
    data[COMPUTE_WORDS] = 0;
    vcpu_set_code(&vcpu, is_16_bit() ? "be 00 00 b9 10 00 66 31 c0 66 03 04 83 c6 04 e2 f8 66 89 04 0f a2"
                                     : "be 00 00 02 00 b9 10 00 00 00 31 c0 03 06 83 c6 04 e2 f9 89 06 0f a2");
    if (run_until(case_name("compute"), EXIT_CPUID)) {
        if ((uint32_t)vcpu.reg[REG_RAX] != sum)
            result_expect(SUITE, name, "EAX", (uint32_t)vcpu.reg[REG_RAX], sum);
        else
            result_expect(SUITE, name, "the stored sum", data[COMPUTE_WORDS], sum);
    }
    vcpu_revert(&vcpu);
}

static void compute_everywhere(void)
{
    for (unsigned mode = 0; mode < MODE_COUNT; mode++)
        for (unsigned kind = 0; kind < MEMORY_COUNT; kind++) {
            vcpu.mode = mode;
            vcpu.kind = kind;
            if (!vcpu_supported(mode, kind)) {
                bool unpaged = mode == MODE_PROTECTED || mode == MODE_REAL;

                if (!unpaged || kind >= MEMORY_OFFSET_4K)
                    result_skip(SUITE, case_name("compute"), unpaged ? "unrestricted guest" : "EPT");
                continue;
            }
            vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), mode, kind);
            compute();
        }
}

/* --- single exits --- */

struct expectation {
    const char *name, *code;
    uint64_t reason, qualification;
    struct change change[3];
    uint8_t control; /* enum vmcs_index of a control field that must be able to hold control_bits, or 0 */
    uint32_t control_bits;
};

#define ANY               UINT64_MAX
#define WITH(field, bits) { SET_BITS(field, bits) }, FIELD_##field, bits

static const struct expectation expectations[] = {
    { "cpuid", "0f a2", EXIT_CPUID, 0, { { 0 } }, 0, 0 },
    { "hlt", "f4", EXIT_HLT, 0, { { 0 } }, 0, 0 },
    { "vmcall", "0f 01 c1", EXIT_VMCALL, 0, { { 0 } }, 0, 0 },
    { "port-read", "e4 80", EXIT_IO, 0x800048, WITH(PROCESSOR_BASED_CONTROLS, PROC_UNCONDITIONAL_IO_EXITING) },
    { "port-write", "e6 80", EXIT_IO, 0x800040, WITH(PROCESSOR_BASED_CONTROLS, PROC_UNCONDITIONAL_IO_EXITING) },
    { "msr-read", "0f 32", EXIT_RDMSR, 0, { { 0 } }, 0, 0 },
    { "msr-write", "0f 30", EXIT_WRMSR, 0, { { 0 } }, 0, 0 },
    { "cr0-write",
      "0f 22 c0",
      EXIT_CR_ACCESS,
      0,
      { SET(CR0_GUEST_HOST_MASK, CR0_NE), SET(CR0_READ_SHADOW, CR0_NE) },
      0,
      0 },
    { "cr3-read", "0f 20 d8", EXIT_CR_ACCESS, 0x13, WITH(PROCESSOR_BASED_CONTROLS, PROC_CR3_STORE_EXITING) },
    { "cr4-write",
      "0f 22 e0",
      EXIT_CR_ACCESS,
      4,
      { SET(CR4_GUEST_HOST_MASK, CR4_VMXE), SET(CR4_READ_SHADOW, CR4_VMXE) },
      0,
      0 },
    { "dr-read", "0f 21 f8", EXIT_MOV_DR, 0x17, WITH(PROCESSOR_BASED_CONTROLS, PROC_MOV_DR_EXITING) },
    { "rdtsc", "0f 31", EXIT_RDTSC, 0, WITH(PROCESSOR_BASED_CONTROLS, PROC_RDTSC_EXITING) },
    { "invlpg", "0f 01 3f", EXIT_INVLPG, ANY, WITH(PROCESSOR_BASED_CONTROLS, PROC_INVLPG_EXITING) },
    { "pause", "f3 90", EXIT_PAUSE, 0, WITH(PROCESSOR_BASED_CONTROLS, PROC_PAUSE_EXITING) },
    { "sgdt", "0f 01 07", EXIT_GDTR_IDTR, 0, WITH(SECONDARY_CONTROLS, SEC_DESCRIPTOR_EXITING) },
    { "wbinvd", "0f 09", EXIT_WBINVD, 0, WITH(SECONDARY_CONTROLS, SEC_WBINVD_EXITING) },
    { "rdrand", "0f c7 f0", EXIT_RDRAND, 0, WITH(SECONDARY_CONTROLS, SEC_RDRAND_EXITING) },
    { "xsetbv", "0f 01 d1", EXIT_XSETBV, 0, { SET_BITS(GUEST_CR4, CR4_OSXSAVE) }, 0, 0 },
    { "undefined", "0f 0b", EXIT_EXCEPTION_OR_NMI, 0, { SET(EXCEPTION_BITMAP, BIT32(6)) }, 0, 0 },
    { "breakpoint", "cc", EXIT_EXCEPTION_OR_NMI, 0, { SET(EXCEPTION_BITMAP, BIT32(3)) }, 0, 0 },
    { "interrupt-window", "fb 90 90", EXIT_INTERRUPT_WINDOW, 0,
      WITH(PROCESSOR_BASED_CONTROLS, PROC_INTERRUPT_WINDOW_EXITING) },
    { "preemption-timer", "eb fe", EXIT_PREEMPTION_TIMER, 0, { SET(PREEMPTION_TIMER_VALUE, 1000) }, 0, 0 },
    { "triple-fault", "0f 0b", EXIT_TRIPLE_FAULT, 0, { SET(GUEST_IDTR_LIMIT, 0) }, 0, 0 },
};

static uint32_t may_be_1(unsigned field)
{
    switch (field) {
    case FIELD_PROCESSOR_BASED_CONTROLS: return vmx_offer.proc.may_be_1;
    case FIELD_SECONDARY_CONTROLS: return vmx_offer.secondary.may_be_1;
    default: return UINT32_MAX;
    }
}

static void expect_exit(const struct expectation *e)
{
    bool comparable;

    case_name(e->name);
    if ((e->control_bits & ~may_be_1(e->control)) != 0) {
        result_skip(SUITE, name, "a control that the processor does not offer");
        return;
    }
    vcpu_set_code(&vcpu, e->code);
    if (!check_apply(&vcpu, e->change, &comparable))
        result_skip(SUITE, name, "a VMCS field that the processor does not offer");
    else if (run_until(name, e->reason))
        result_expect(SUITE, name, "qualification", e->qualification == ANY ? ANY : vcpu_get(FIELD_EXIT_QUALIFICATION),
                      e->qualification);
    vcpu_revert(&vcpu);
}

static void exits_in(enum guest_mode mode, enum guest_memory kind)
{
    if (!vcpu_supported(mode, kind))
        return;
    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), mode, kind);
    for (unsigned i = 0; i < ARRAY_COUNT(expectations); i++)
        if (mode != MODE_REAL || expectations[i].reason != EXIT_TRIPLE_FAULT)
            expect_exit(&expectations[i]);
}

/* --- a session: several exits of one guest, each answered --- */

/* cpuid; mov ebx, eax; in al, 80h; add ebx, eax; rdmsr; add eax, ebx; out 80h, al; hlt */
static const char session_code[] = "0f a2 89 c3 31 c0 e4 80 01 c3 31 c9 0f 32 01 d8 e6 80 f4";

static void session(void)
{
    vcpu_set_code(&vcpu, session_code);
    vcpu_set(&vcpu, FIELD_PROCESSOR_BASED_CONTROLS,
             vcpu.field[FIELD_PROCESSOR_BASED_CONTROLS] | PROC_UNCONDITIONAL_IO_EXITING);
    case_name("session");
    if (!run_until(name, EXIT_CPUID))
        goto out;
    vcpu.reg[REG_RAX] = 0x11;
    skip_instruction();
    if (!run_until(name, EXIT_IO))
        goto out;
    vcpu.reg[REG_RAX] = 0x22;
    skip_instruction();
    if (!run_until(name, EXIT_RDMSR))
        goto out;
    vcpu.reg[REG_RAX] = 0x44;
    vcpu.reg[REG_RDX] = 0;
    skip_instruction();
    if (!run_until(name, EXIT_IO))
        goto out;
    skip_instruction();
    if (run_until(name, EXIT_HLT))
        result_expect(SUITE, name, "AL", vcpu.reg[REG_RAX] & 0xff, 0x77);
out:
    vcpu_revert(&vcpu);
}

/* --- interrupts --- */

/* Opens a window, injects into it, and expects the handler. */
static void interrupt_window(void)
{
    enum { VECTOR = 0x50 };

    case_name("interrupt-into-window");
    vcpu_set_code(&vcpu, "fb 90 90 90");
    vcpu_set(&vcpu, FIELD_PROCESSOR_BASED_CONTROLS,
             vcpu.field[FIELD_PROCESSOR_BASED_CONTROLS] | PROC_INTERRUPT_WINDOW_EXITING);
    if (run_until(name, EXIT_INTERRUPT_WINDOW)) {
        vmx_write(VMCS_PROCESSOR_BASED_CONTROLS, vcpu.field[FIELD_PROCESSOR_BASED_CONTROLS]);
        vmx_write(VMCS_VM_ENTRY_INTERRUPTION_INFO, INTR_VALID | VECTOR);
        if (run_until(name, EXIT_VMCALL))
            result_expect(SUITE, name, "the handler's address",
                          vcpu_get(FIELD_GUEST_RIP) + vcpu_get(FIELD_GUEST_CS_BASE),
                          GUEST_HANDLERS + VECTOR * GUEST_HANDLER_SIZE);
    }
    vcpu_revert(&vcpu);
}

/* --- memory --- */

/* #PF exits: the hypervisor maps the page in the guest's tables, and the guest goes on. */
static void repair_guest_page(void)
{
    uint64_t *pt = guest_pointer(vcpu.memory, GUEST_PT), saved = pt[GUEST_MISSING / PAGE_SIZE];

    case_name("repair-guest-page");
    *(uint32_t *)guest_pointer(vcpu.memory, GUEST_DATA) = 0xfeedf00d;
    vcpu_set_code(&vcpu, "be 00 00 03 00 8b 06");
    vcpu_set(&vcpu, FIELD_EXCEPTION_BITMAP, BIT32(14));
    if (run_until(name, EXIT_EXCEPTION_OR_NMI)) {
        pt[GUEST_MISSING / PAGE_SIZE] = (vcpu.base + GUEST_DATA) | 7;
        if (run_until(name, EXIT_VMCALL))
            result_expect(SUITE, name, "EAX", vcpu.reg[REG_RAX], 0xfeedf00d);
    }
    pt[GUEST_MISSING / PAGE_SIZE] = saved;
    vcpu_revert(&vcpu);
}

enum { REPAIR_PAGES = 16 };

/* EPT violations, one for each page that the guest touches; each is repaired without INVEPT. */
static void repair_ept_pages(void)
{
    unsigned violations = 0;
    uint64_t reason;

    case_name("repair-ept");
    for (unsigned i = 0; i < REPAIR_PAGES; i++) {
        *ept_entry(&vcpu.ept, GUEST_DATA + i * PAGE_SIZE, EPT_LEVEL_4K) = 0;
        *(uint8_t *)guest_pointer(vcpu.memory, GUEST_DATA + i * PAGE_SIZE) = (uint8_t)(i + 1);
    }
    ept_invalidate();
    /* mov esi, 20000h; mov ecx, 16; xor eax, eax; add al, [rsi]; add esi, 1000h; loop */
    vcpu_set_code(&vcpu, "be 00 00 02 00 b9 10 00 00 00 31 c0 02 06 81 c6 00 10 00 00 e2 f6");
    while ((reason = run(name)) == EXIT_EPT_VIOLATION && violations < 2 * REPAIR_PAGES) {
        uint64_t gpa = vcpu_get(FIELD_GUEST_PHYSICAL_ADDRESS) & ~(PAGE_SIZE - 1);

        violations++;
        ept_map(&vcpu.ept, gpa, vcpu.memory + gpa, EPT_LEVEL_4K, EPT_ALL | EPT_WB);
    }
    if (reason != EXIT_VMCALL || violations != REPAIR_PAGES)
        result_expect(SUITE, name, "the number of violations", violations, REPAIR_PAGES);
    else
        result_expect(SUITE, name, "AL", vcpu.reg[REG_RAX] & 0xff, REPAIR_PAGES * (REPAIR_PAGES + 1) / 2);
    vcpu_revert(&vcpu);
}

static void misconfigured_ept(void)
{
    uint64_t *entry = ept_entry(&vcpu.ept, GUEST_DATA, EPT_LEVEL_4K), saved = *entry;

    case_name("ept-misconfiguration");
    *entry = (saved & ~EPT_ALL) | EPT_WRITE;
    ept_invalidate();
    vcpu_set_code(&vcpu, "be 00 00 02 00 8b 06");
    if (run_until(name, EXIT_EPT_MISCONFIGURATION))
        result_expect(SUITE, name, "guest-physical address", vcpu_get(FIELD_GUEST_PHYSICAL_ADDRESS), GUEST_DATA);
    *entry = saved;
    vcpu_revert(&vcpu);
}

/* --- stepping --- */

static void single_step(void)
{
    unsigned steps = 0;

    case_name("single-step");
    vcpu_set_code(&vcpu, "90 90 90 90 90");
    vcpu_set(&vcpu, FIELD_EXCEPTION_BITMAP, BIT32(1));
    vcpu_set(&vcpu, FIELD_GUEST_RFLAGS, vcpu.field[FIELD_GUEST_RFLAGS] | RFLAGS_TF);
    while (run(name) == EXIT_EXCEPTION_OR_NMI && steps < 20)
        steps++;
    result_expect(SUITE, name, "the number of steps", steps, 5);
    vcpu_revert(&vcpu);
}

/* --- two virtual CPUs in turns on one processor --- */

static void two_vmcs(void)
{
    static struct vcpu other;
    unsigned turns = 0;

    vcpu_init(&other, vmx_page(VMX_PAGE_VMCS_OTHER), MODE_LONG, MEMORY_DIRECT);
    vcpu_set_code(&other, "83 c0 01 0f a2 eb f9"); /* add eax, 1; cpuid; jmp back */
    vmx_load(vcpu.region);
    vcpu_set_code(&vcpu, "83 c0 01 0f a2 eb f9");
    for (; turns < 8; turns++) {
        struct vcpu *v = turns % 2 == 0 ? &vcpu : &other;

        vmx_load(v->region);
        if (vcpu_run(v).kind != OUTCOME_EXIT || vcpu_get(FIELD_EXIT_REASON) != EXIT_CPUID)
            break;
        vmx_write(VMCS_GUEST_RIP, vcpu_get(FIELD_GUEST_RIP) + 2);
    }
    if (turns < 8)
        result_expect(SUITE, "two-vmcs", "the number of turns", turns, 8);
    else
        result_expect(SUITE, "two-vmcs", "the sum of both counters", vcpu.reg[REG_RAX] + other.reg[REG_RAX], 8);
    vmx_clear(other.region);
    vmx_load(vcpu.region);
    vcpu_revert(&vcpu);
}

void suite_guests(void)
{
    vmx_enable();
    compute_everywhere();
    exits_in(MODE_LONG, MEMORY_DIRECT);
    exits_in(MODE_PAGED, MEMORY_OFFSET_2M);
    exits_in(MODE_REAL, MEMORY_OFFSET_4K);
    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_DIRECT);
    session();
    interrupt_window();
    repair_guest_page();
    single_step();
    two_vmcs();
    if (vcpu_supported(MODE_LONG, MEMORY_OFFSET_4K)) {
        vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_OFFSET_4K);
        session();
        interrupt_window();
        repair_ept_pages();
        misconfigured_ept();
        single_step();
    } else {
        result_skip(SUITE, "repair-ept", "EPT");
    }
    vmx_disable();
}
