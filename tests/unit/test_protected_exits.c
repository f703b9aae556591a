/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exits of a protected vCPU: for every reason, what the host sees of a guest whose registers are full of secrets is
 * compared with an allow-list; all that is not in it is a constant. The rest of the reasons never reach the host.
 */
#include "protected.h"

#define WORD(value, bytes) ((value) & (~UINT64_C(0) >> (64 - 8 * (bytes))))
#define RIP                UINT64_C(0x100040)

/* What becomes of a reason, by a list of its own. */
enum fate { STOPS, KEPT, SEEN, ENDS };

static enum fate fate_of(uint32_t reason)
{
    switch (reason) {
    case EXIT_EXTERNAL_INTERRUPT:
    case EXIT_INTERRUPT_WINDOW:
    case EXIT_HLT:
    case EXIT_PAUSE:
    case EXIT_PREEMPTION_TIMER: return SEEN;
    case EXIT_TRIPLE_FAULT: return ENDS;
    case EXIT_NMI_WINDOW: /* the layer's own, if the host did not ask */
    case EXIT_CPUID:
    case EXIT_GETSEC:
    case EXIT_INVD:
    case EXIT_RDPMC:
    case EXIT_VMCALL:
    case EXIT_VMCLEAR:
    case EXIT_VMLAUNCH:
    case EXIT_VMPTRLD:
    case EXIT_VMPTRST:
    case EXIT_VMREAD:
    case EXIT_VMRESUME:
    case EXIT_VMWRITE:
    case EXIT_VMXOFF:
    case EXIT_VMXON:
    case EXIT_CR_ACCESS:
    case EXIT_IO: /* of a port that the policy does not have */
    case EXIT_RDMSR:
    case EXIT_WRMSR:
    case EXIT_MWAIT:
    case EXIT_MONITOR:
    case EXIT_INVEPT:
    case EXIT_INVVPID:
    case EXIT_WBINVD:
    case EXIT_XSETBV: return KEPT;
    default: return STOPS;
    }
}

static uint64_t qualification_for(uint32_t reason)
{
    switch (reason) {
    case EXIT_CR_ACCESS: return 8 | 1 << 4 | 3 << 8; /* MOV from CR8 to RBX */
    case EXIT_IO: return UINT64_C(0x1234) << 16;
    default: return PVM_SECRET;
    }
}

static void one_reason(void **state, uint32_t reason)
{
    struct sight s = sight_of(reason);
    struct outcome o;

    start_vm(state, 0);
    pvm_allow_wbinvd();
    pvm_fill_secrets();
    if (reason == EXIT_EXTERNAL_INTERRUPT)
        hw_vmwrite(VMCS_VM_EXIT_INTERRUPTION_INFO, INTR_VALID | 0x31);
    o = pvm_exits(reason, qualification_for(reason));
    s.info = reason == EXIT_EXTERNAL_INTERRUPT ? INTR_VALID | 0x31 : 0;
    s.length = reason == EXIT_HLT || reason == EXIT_PAUSE ? SHOWN_INSTRUCTION : 0;
    switch (fate_of(reason)) {
    case KEPT: assert_enters(o); break;
    case ENDS: assert_over(o, VM_STOP_GUEST_RESET); break;
    case STOPS: assert_over(o, VM_STOP_UNEXPECTED_EXIT); break;
    case SEEN: assert_outcome(o, EXITED, reason); assert_sight(&s);
    }
}

static void every_reason(void **state)
{
    for (uint32_t reason = 1; reason < EXIT_REASON_COUNT + 4; reason++) {
        if (reason == EXIT_EPT_VIOLATION || reason == EXIT_EPT_MISCONFIGURATION)
            continue; /* below; the layer's own EPT is never malformed */
        one_reason(state, reason);
        if (fate_of(reason) != STOPS)
            assert_true(exit_rules[reason].listed);
    }
}

static void failed_entries_stop_the_vm(void **state)
{
    start_vm(state, 0);
    assert_over(pvm_exits(EXIT_ENTRY_FAILURE | EXIT_ENTRY_GUEST_STATE, 0), VM_STOP_UNEXPECTED_EXIT);
    start_vm(state, 0);
    pvm_fill_secrets();
    hw_vmwrite(VMCS_VM_INSTRUCTION_ERROR, 7);
    nested_entry_refused(fake_cpu);
    assert_over((struct outcome){ EXITED, (unsigned)peek(VMCS_EXIT_REASON) }, VM_STOP_UNEXPECTED_EXIT);
}

/* Each exit is shown alone: nothing is left of the one before, nor of the plain VM that made the launch call. */
static void nothing_is_left_of_what_was_shown_before(void **state)
{
    struct sight s = sight_of(EXIT_PREEMPTION_TIMER);
    struct outcome o;

    pvm_start_host(*(const bool *)*state, 0);
    hosts = pvm_hardware();
    assert_enters(launch());
    for (int i = 0; i < VMCS_FIELD_COUNT; i++)
        if ((vmcs_fields[i].home == HOME_GUEST || vmcs_fields[i].home == HOME_EXIT) && vmcs12_offers(i) &&
            i != FIELD_GUEST_CR0 && i != FIELD_GUEST_CR4 && i != FIELD_GUEST_CS_ACCESS_RIGHTS &&
            i != FIELD_GUEST_SS_ACCESS_RIGHTS && i != FIELD_VM_INSTRUCTION_ERROR)
            hw_vmwrite(vmcs_fields[i].encoding, PVM_SECRET);
    assert_outcome(host_vm_exits(EXIT_HLT, PVM_SECRET), EXITED, EXIT_HLT);
    assert_enters(resume());
    o = pvm_call(BUNDLE_CALL_LAUNCH, BUNDLE_DESCRIPTOR, PAGE_SIZE);
    while (o.what == EXITED)
        o = resume();
    exits_to_host(EXIT_IO, UINT64_C(0x3f8) << 16);
    assert_enters(resume());
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, UINT64_C(1) << 32 | 0x2000);
    fake_ept12_map(&pvm_ept12, UINT64_C(1) << 32 | 0x2000, LEVEL_4K, 0);
    exits_to_host(EXIT_EPT_VIOLATION, 0x182);
    fake_ept12_map(&pvm_ept12, UINT64_C(1) << 32 | 0x2000, LEVEL_4K, PVM_FRAME(BUNDLE_HIGH + 0x2000) | EPT_RWX);
    assert_enters(resume());
    hw_vmwrite(VMCS_VM_EXIT_INTERRUPTION_INFO, INTR_VALID | 0x31);
    exits_to_host(EXIT_EXTERNAL_INTERRUPT, 0);
    assert_enters(resume());
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    assert_sight(&s);
}

/* ---- What the layer does alone. ---- */

static void assert_injected(uint32_t info)
{
    assert_int_equal(hw_vmread(VMCS_VM_ENTRY_INTERRUPTION_INFO), info);
    assert_int_equal(hw_vmread(VMCS_GUEST_RIP), RIP);
}

static void vmx_instructions_are_undefined(void **state)
{
    static const uint8_t reasons[] = { EXIT_GETSEC,  EXIT_VMCLEAR, EXIT_VMLAUNCH, EXIT_VMPTRLD, EXIT_VMPTRST,
                                       EXIT_VMREAD,  EXIT_VMWRITE, EXIT_VMRESUME, EXIT_VMXOFF,  EXIT_VMXON,
                                       EXIT_MONITOR, EXIT_MWAIT,   EXIT_INVEPT,   EXIT_INVVPID };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(reasons); i++) {
        hw_vmwrite(VMCS_GUEST_RIP, RIP);
        assert_enters(pvm_exits(reasons[i], 0));
        assert_injected(INTR_VALID | INTR_TYPE_HARDWARE << 8 | UD);
    }
}

static void performance_counters_fault(void **state)
{
    (void)state;
    hw_vmwrite(VMCS_GUEST_RIP, RIP);
    assert_enters(pvm_exits(EXIT_RDPMC, 0));
    assert_injected(INTR_VALID | INTR_ERROR_VALID | INTR_TYPE_HARDWARE << 8 | GP);
}

static void a_second_launch_is_refused(void **state)
{
    (void)state;
    pvm_fill_secrets();
    hw_vmwrite(VMCS_GUEST_RIP, RIP);
    fake_cpu->gpr[RAX] = BUNDLE_CALL_LAUNCH;
    assert_enters(pvm_exits(EXIT_VMCALL, 0));
    assert_int_equal(fake_cpu->gpr[RAX], BUNDLE_BAD_LAUNCHED);
    assert_int_equal(fake_cpu->gpr[RBX], PVM_SECRET);
    assert_int_equal(hw_vmread(VMCS_GUEST_RIP), RIP + GUEST_INSTRUCTION);
    fake_cpu->gpr[RAX] = BUNDLE_CALL_AP_START;
    assert_enters(pvm_exits(EXIT_VMCALL, 0));
    assert_int_equal(fake_cpu->gpr[RAX], UINT64_MAX);
    fake_cpu->gpr[RAX] = 0;
    assert_enters(pvm_exits(EXIT_VMCALL, 0));
    assert_int_equal(fake_cpu->gpr[RAX], UINT64_MAX);
}

static void cpuid_is_the_layers(void **state)
{
    (void)state;
    fake_cpu->gpr[RAX] = PVM_SECRET << 32 | 1;
    fake_cpu->gpr[RCX] = 0;
    assert_enters(pvm_exits(EXIT_CPUID, 0));
    assert_int_equal(fake_cpu->gpr[RAX], 0x306d4);
    assert_true((fake_cpu->gpr[RCX] >> 31 & 1) != 0);
    assert_int_equal(hw_vmread(VMCS_GUEST_RIP), BUNDLE_ENTRY + GUEST_INSTRUCTION);
}

static void control_registers_are_the_layers(void **state)
{
    (void)state;
    fake_cpu->gpr[RBX] = 0x26a0; /* VMXE: not for guests */
    assert_enters(pvm_exits(EXIT_CR_ACCESS, 4 | 3 << 8));
    assert_int_equal(hw_vmread(VMCS_VM_ENTRY_INTERRUPTION_INFO) & 0xff, GP);
    fake_cpu->gpr[RBX] = 0x6a0;
    assert_enters(pvm_exits(EXIT_CR_ACCESS, 4 | 3 << 8));
    assert_int_equal(hw_vmread(VMCS_CR4_READ_SHADOW), 0x6a0);
    assert_int_equal(hw_vmread(VMCS_GUEST_CR4), 0x26a0);
    fake_cpu->gpr[RBX] = PVM_SECRET;
    assert_enters(pvm_exits(EXIT_CR_ACCESS, 8 | 1 << 4 | 3 << 8));
    assert_int_equal(fake_cpu->gpr[RBX], 0);
}

static void msrs_are_the_layers(void **state)
{
    (void)state;
    fake_cpu->gpr[RCX] = 0x1b;
    assert_enters(pvm_exits(EXIT_RDMSR, 0));
    assert_int_equal(fake_cpu->gpr[RAX], 0xfee00d00);
    assert_int_equal(fake_cpu->gpr[RDX], 0);
    fake_cpu->gpr[RCX] = 0x3a;
    hw_vmwrite(VMCS_GUEST_RIP, RIP);
    assert_enters(pvm_exits(EXIT_RDMSR, 0));
    assert_injected(INTR_VALID | INTR_ERROR_VALID | INTR_TYPE_HARDWARE << 8 | GP);
    fake_cpu->gpr[RCX] = 0x277;
    fake_cpu->gpr[RAX] = 0x01040506;
    fake_cpu->gpr[RDX] = 0x06060606;
    assert_enters(pvm_exits(EXIT_WRMSR, 0));
    assert_int_equal(hw_vmread(VMCS_GUEST_IA32_PAT), UINT64_C(0x0606060601040506));
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    assert_int_equal(peek(VMCS_GUEST_IA32_PAT), BASE_PAT);
}

static void xcr0_is_the_guests_own(void **state)
{
    (void)state;
    fake_cpu->gpr[RCX] = fake_cpu->gpr[RDX] = 0;
    fake_cpu->gpr[RAX] = 3;
    assert_enters(pvm_exits(EXIT_XSETBV, 0));
    assert_int_equal(hw_xgetbv(0), 3);
    hw_vmwrite(VMCS_GUEST_RIP, RIP);
    fake_cpu->gpr[RAX] = 0x203; /* PKRU is not offered */
    assert_enters(pvm_exits(EXIT_XSETBV, 0));
    assert_injected(INTR_VALID | INTR_ERROR_VALID | INTR_TYPE_HARDWARE << 8 | GP);
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    assert_registers_of_host();
    assert_enters(resume());
    assert_int_equal(hw_xgetbv(0), 3);
}

/* Registers that the host changes meanwhile are its own; the guest finds its. */
static void the_guest_finds_its_registers_again(void **state)
{
    struct pvm_hardware guests;

    (void)state;
    pvm_fill_secrets();
    guests = pvm_hardware();
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    for (unsigned i = 0; i < GPR_COUNT; i++)
        fake_cpu->gpr[i] = 0x1234;
    hw_write_cr2(0x1234);
    fake_vectors.component[2] = 0x1234;
    for (unsigned i = 0; i < VM_MSR_COUNT; i++)
        fake_msr_set(pvm_msrs[i], 0x1234);
    assert_enters(resume());
    for (unsigned i = 0; i < GPR_COUNT; i++)
        assert_int_equal(fake_cpu->gpr[i], PVM_SECRET);
    hosts = pvm_hardware();
    assert_memory_equal(&hosts, &guests, sizeof(guests));
    assert_int_equal(hw_vmread(VMCS_GUEST_FS_BASE), PVM_SECRET);
}

/* ---- Interrupts, windows and NMIs. ---- */

static void interruptibility_is_the_guests_real_one(void **state)
{
    struct sight s = sight_of(EXIT_PREEMPTION_TIMER);

    (void)state;
    pvm_fill_secrets();
    hw_vmwrite(VMCS_GUEST_RFLAGS, 2 | RFLAGS_IF | RFLAGS_AC);
    hw_vmwrite(VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_BY_NMI);
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    s.rflags = RFLAGS_IF;
    s.interruptibility = BLOCKING_BY_NMI;
    assert_sight(&s);
}

static void the_hosts_nmi_is_an_exit(void **state)
{
    struct sight s = sight_of(EXIT_EXCEPTION_OR_NMI);

    (void)state;
    pvm_fill_secrets();
    assert_outcome(host_vm_nmi(), EXITED, EXIT_EXCEPTION_OR_NMI);
    s.info = INTR_VALID | INTR_TYPE_NMI << 8 | 2;
    assert_sight(&s);
    assert_enters(resume());
    assert_int_equal(fake_cpu->gpr[RAX], PVM_SECRET);
}

static void an_nmi_that_exits_is_noted_for_the_host(void **state)
{
    (void)state;
    hw_vmwrite(VMCS_VM_EXIT_INTERRUPTION_INFO, INTR_VALID | INTR_TYPE_NMI << 8 | 2);
    assert_enters(pvm_exits(EXIT_EXCEPTION_OR_NMI, 0));
    assert_int_equal(host_calls.nmi_exit, 1);
}

static void a_machine_check_is_the_hosts(void **state)
{
    struct sight s = sight_of(EXIT_EXCEPTION_OR_NMI);

    (void)state;
    pvm_fill_secrets();
    s.info = INTR_VALID | INTR_TYPE_HARDWARE << 8 | 18;
    hw_vmwrite(VMCS_VM_EXIT_INTERRUPTION_INFO, s.info);
    exits_to_host(EXIT_EXCEPTION_OR_NMI, 0);
    assert_sight(&s);
}

static void nmi_windows_are_for_those_who_asked(void **state)
{
    (void)state;
    assert_enters(pvm_exits(EXIT_NMI_WINDOW, 0));
    assert_int_equal(host_calls.nmi_window, 1);
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    write_field(VMCS_PIN_BASED_CONTROLS, BASE_PIN | PIN_VIRTUAL_NMIS);
    write_field(VMCS_PROCESSOR_BASED_CONTROLS, BASE_PROC | PROC_NMI_WINDOW_EXITING);
    assert_enters(resume());
    assert_true((hw_vmread(VMCS_PROCESSOR_BASED_CONTROLS) & PROC_NMI_WINDOW_EXITING) != 0);
    exits_to_host(EXIT_NMI_WINDOW, 0);
    assert_int_equal(host_calls.nmi_window, 1);
}

/* ---- Ports. ---- */

static uint64_t port(uint16_t number, unsigned bytes, bool in)
{
    return (bytes - 1) | (in ? 8 : 0) | (uint64_t)number << 16;
}

static void ports_show_what_is_written_and_no_more(void **state)
{
    (void)state;
    for (unsigned bytes = 1; bytes <= 4; bytes *= 2) {
        struct sight s = sight_of(EXIT_IO);

        start_vm(state, 0);
        pvm_fill_secrets();
        exits_to_host(EXIT_IO, port(0x3f8, bytes, false) | 0x40); /* the immediate form */
        s.qualification = port(0x3f8, bytes, false);
        s.length = SHOWN_INSTRUCTION;
        s.rax = WORD(PVM_SECRET, bytes);
        assert_sight(&s);
        fake_cpu->gpr[RAX] = 0x1234567890abcdef;
        answer_skip(SHOWN_INSTRUCTION);
        assert_enters(resume());
        assert_int_equal(fake_cpu->gpr[RAX], PVM_SECRET);
        assert_int_equal(hw_vmread(VMCS_GUEST_RIP), BUNDLE_ENTRY + GUEST_INSTRUCTION);
    }
}

static void ports_take_what_was_read_and_no_more(void **state)
{
    const uint64_t answer = 0x1234567890abcdef;

    (void)state;
    for (unsigned bytes = 1; bytes <= 4; bytes *= 2) {
        struct sight s = sight_of(EXIT_IO);

        start_vm(state, 0);
        pvm_fill_secrets();
        exits_to_host(EXIT_IO, port(0x3f8, bytes, true));
        s.qualification = port(0x3f8, bytes, true);
        s.length = SHOWN_INSTRUCTION;
        assert_sight(&s);
        for (unsigned i = 0; i < GPR_COUNT; i++)
            fake_cpu->gpr[i] = answer;
        answer_skip(SHOWN_INSTRUCTION);
        assert_enters(resume());
        assert_int_equal(fake_cpu->gpr[RAX],
                         WORD(answer, bytes) | (bytes < 4 ? PVM_SECRET & ~WORD(UINT64_MAX, bytes) : 0));
        for (unsigned i = 1; i < GPR_COUNT; i++)
            assert_int_equal(fake_cpu->gpr[i], PVM_SECRET);
    }
}

static void other_ports_read_as_ones(void **state)
{
    (void)state;
    for (unsigned bytes = 1; bytes <= 4; bytes *= 2) {
        fake_cpu->gpr[RAX] = 0;
        hw_vmwrite(VMCS_GUEST_RIP, RIP);
        assert_enters(pvm_exits(EXIT_IO, port(0x3fd, 4, false)));
        assert_int_equal(fake_cpu->gpr[RAX], 0);
        assert_enters(pvm_exits(EXIT_IO, port(0xcf8, bytes, true)));
        assert_int_equal(fake_cpu->gpr[RAX], WORD(UINT64_MAX, bytes));
        assert_int_equal(hw_vmread(VMCS_GUEST_RIP), RIP + 2 * GUEST_INSTRUCTION);
    }
}

/* ---- Strings. ---- */

enum { STRING = 0x10, REP = 0x20 };
#define BUFFER UINT64_C(0x300ffc)

static void touch_page(uint64_t gpa)
{
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, gpa);
    assert_enters(pvm_exits(EXIT_EPT_VIOLATION, 0x182));
}

enum { ADDRESS_SIZE_64 = 2 << 7 };

static void outs(uint64_t linear, uint64_t count)
{
    fake_cpu->gpr[RCX] = count;
    fake_cpu->gpr[RSI] = linear;
    hw_vmwrite(VMCS_GUEST_LINEAR_ADDRESS, linear);
    hw_vmwrite(VMCS_VM_EXIT_INSTRUCTION_INFO, ADDRESS_SIZE_64);
}

static void strings_show_one_element(void **state)
{
    struct sight s = sight_of(EXIT_IO);

    (void)state;
    touch_page(BUFFER);
    *(uint32_t *)vm_pages_view(vm, BUFFER) = 0;
    *(uint32_t *)((uint8_t *)vm_pages_view(vm, BUFFER) + (BUFFER & 0xfff)) = 0x44332211;
    pvm_fill_secrets();
    outs(BUFFER, 2);
    exits_to_host(EXIT_IO, port(0x3f8, 2, false) | STRING | REP);
    s.qualification = port(0x3f8, 2, false);
    s.length = SHOWN_INSTRUCTION;
    s.rax = 0x2211;
    assert_sight(&s);
    answer_skip(SHOWN_INSTRUCTION);
    assert_enters(resume());
    assert_int_equal(fake_cpu->gpr[RCX], 1);
    assert_int_equal(fake_cpu->gpr[RSI], BUFFER + 2);
    assert_int_equal(hw_vmread(VMCS_GUEST_RIP), BUNDLE_ENTRY);
    hw_vmwrite(VMCS_GUEST_LINEAR_ADDRESS, BUFFER + 2);
    hw_vmwrite(VMCS_VM_EXIT_INSTRUCTION_INFO, ADDRESS_SIZE_64);
    exits_to_host(EXIT_IO, port(0x3f8, 2, false) | STRING | REP);
    assert_int_equal(fake_cpu->gpr[RAX], 0x4433);
    answer_skip(SHOWN_INSTRUCTION);
    assert_enters(resume());
    assert_int_equal(fake_cpu->gpr[RCX], 0);
    assert_int_equal(hw_vmread(VMCS_GUEST_RIP), BUNDLE_ENTRY + GUEST_INSTRUCTION);
}

static void strings_take_one_element(void **state)
{
    uint8_t *page;

    (void)state;
    touch_page(BUFFER);
    page = vm_pages_view(vm, BUFFER & ~UINT64_C(0xfff));
    memset(page, 0x11, PAGE_SIZE);
    pvm_fill_secrets();
    hw_vmwrite(VMCS_GUEST_RFLAGS, 2 | RFLAGS_DF);
    hw_vmwrite(VMCS_GUEST_LINEAR_ADDRESS, BUFFER);
    hw_vmwrite(VMCS_VM_EXIT_INSTRUCTION_INFO, ADDRESS_SIZE_64);
    exits_to_host(EXIT_IO, port(0x3f8, 2, true) | STRING);
    assert_int_equal(fake_cpu->gpr[RAX], 0);
    fake_cpu->gpr[RAX] = 0x1234567890abcdef;
    answer_skip(SHOWN_INSTRUCTION);
    assert_enters(resume());
    assert_int_equal(*(const uint32_t *)(page + 0xffc), 0x1111cdef);
    assert_int_equal(fake_cpu->gpr[RAX], PVM_SECRET);
    assert_int_equal(fake_cpu->gpr[RDI], PVM_SECRET - 2);
    assert_int_equal(fake_cpu->gpr[RCX], PVM_SECRET);
}

/* The host takes the page between exit and answer: nothing is written, and the element is read once more. */
static void a_string_whose_page_is_gone_waits(void **state)
{
    (void)state;
    touch_page(BUFFER);
    hw_vmwrite(VMCS_GUEST_LINEAR_ADDRESS, BUFFER);
    hw_vmwrite(VMCS_VM_EXIT_INSTRUCTION_INFO, ADDRESS_SIZE_64);
    exits_to_host(EXIT_IO, port(0x3f8, 2, true) | STRING);
    assert_int_equal(host_ept_violation(hpa(PVM_FRAME(BUFFER & ~UINT64_C(0xfff))), false), HOST_EPT_MAPPED);
    answer_skip(SHOWN_INSTRUCTION);
    assert_enters(resume());
    assert_int_equal(hw_vmread(VMCS_GUEST_RIP), BUNDLE_ENTRY);
    assert_int_equal(fake_page(vm, BUFFER, NULL), FAKE_OUT);
    assert_outcome(pvm_exits(EXIT_IO, port(0x3f8, 2, true) | STRING), EXITED, EXIT_EPT_VIOLATION);
    assert_enters(resume());
    exits_to_host(EXIT_IO, port(0x3f8, 2, true) | STRING);
}

/* With a 67h prefix only the low halves of RSI, RDI and RCX count: not carried out. */
static void strings_with_short_addresses_stop_the_vm(void **state)
{
    (void)state;
    touch_page(BUFFER);
    outs(BUFFER, 2);
    hw_vmwrite(VMCS_VM_EXIT_INSTRUCTION_INFO, 1 << 7);
    assert_over(pvm_exits(EXIT_IO, port(0x3f8, 2, false) | STRING | REP), VM_STOP_BAD_INSTRUCTION);
}

static void strings_over_a_page_end_stop_the_vm(void **state)
{
    (void)state;
    touch_page(BUFFER);
    hw_vmwrite(VMCS_GUEST_LINEAR_ADDRESS, BUFFER + 1);
    hw_vmwrite(VMCS_VM_EXIT_INSTRUCTION_INFO, ADDRESS_SIZE_64);
    assert_over(pvm_exits(EXIT_IO, port(0x3f8, 4, true) | STRING), VM_STOP_BAD_INSTRUCTION);
}

/* ---- MSRs that are the host's. ---- */

static void x2apic_reads(void **state)
{
    struct sight s = sight_of(EXIT_RDMSR);

    (void)state;
    pvm_fill_secrets();
    fake_cpu->gpr[RCX] = PVM_SECRET << 32 | 0x802;
    exits_to_host(EXIT_RDMSR, PVM_SECRET);
    s.rcx = 0x802;
    s.length = SHOWN_INSTRUCTION;
    assert_sight(&s);
    for (unsigned i = 0; i < GPR_COUNT; i++)
        fake_cpu->gpr[i] = 0x1234567890abcdef;
    answer_skip(SHOWN_INSTRUCTION);
    assert_enters(resume());
    assert_int_equal(fake_cpu->gpr[RAX], 0x90abcdef);
    assert_int_equal(fake_cpu->gpr[RDX], 0x90abcdef);
    assert_int_equal(fake_cpu->gpr[RBX], PVM_SECRET);
    assert_int_equal(fake_cpu->gpr[RCX], PVM_SECRET << 32 | 0x802);
}

static void x2apic_writes(void **state)
{
    struct sight s = sight_of(EXIT_WRMSR);

    (void)state;
    pvm_fill_secrets();
    fake_cpu->gpr[RCX] = 0x6e0;
    exits_to_host(EXIT_WRMSR, PVM_SECRET);
    s.rcx = 0x6e0;
    s.rax = s.rdx = (uint32_t)PVM_SECRET;
    s.length = SHOWN_INSTRUCTION;
    assert_sight(&s);
    fake_cpu->gpr[RAX] = fake_cpu->gpr[RDX] = 0x1234;
    answer_skip(SHOWN_INSTRUCTION);
    assert_enters(resume());
    assert_int_equal(fake_cpu->gpr[RAX], PVM_SECRET);
    assert_int_equal(fake_cpu->gpr[RDX], PVM_SECRET);
}

/* ---- Memory. ---- */

static void a_missing_page_is_asked_for_and_taken_at_the_next_entry(void **state)
{
    struct sight s = sight_of(EXIT_EPT_VIOLATION);
    hpa_t frame;

    (void)state;
    phys_write64(fake_ept12_entry(&pvm_ept12, 0x300000, LEVEL_4K), PVM_FRAME(0x300000) | EPT_READ);
    pvm_fill_secrets();
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, 0x300abc);
    exits_to_host(EXIT_EPT_VIOLATION, 0x181);
    s.qualification = 0x182 | EPT_READ << 3; /* a write, whatever it was */
    s.gpa = 0x300000;
    assert_sight(&s);
    assert_outcome(resume(), EXITED, EXIT_EPT_VIOLATION); /* not yet */
    s.interruptibility = BLOCKING_BY_STI;                 /* nor an event */
    assert_sight(&s);
    fake_ept12_map(&pvm_ept12, 0x300000, LEVEL_4K, PVM_FRAME(0x300000) | EPT_RWX);
    assert_enters(resume());
    assert_int_equal(fake_page(vm, 0x300000, &frame), FAKE_IN);
    assert_int_equal(frame.raw, PVM_FRAME(0x300000));
    assert_int_equal(fake_cpu->gpr[RBX], PVM_SECRET);
    assert_int_equal(hw_vmread(VMCS_GUEST_RIP), BUNDLE_ENTRY);
}

static void a_page_that_is_there_is_taken_at_once(void **state)
{
    (void)state;
    pvm_fill_secrets();
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, 0x300abc);
    assert_enters(pvm_exits(EXIT_EPT_VIOLATION, 0x181));
    assert_int_equal(fake_page(vm, 0x300000, NULL), FAKE_IN);
    assert_int_equal(fake_cpu->gpr[RBX], PVM_SECRET);
}

static void an_asked_page_can_be_forged_no_more_than_others(void **state)
{
    uint64_t frame = PVM_FRAME(0x300000);

    (void)state;
    touch_page(0x300000);
    assert_int_equal(host_ept_violation(hpa(frame), true), HOST_EPT_MAPPED);
    phys_write64(fake_ept12_entry(&pvm_ept12, 0x300000, LEVEL_4K), 0);
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, 0x300000);
    exits_to_host(EXIT_EPT_VIOLATION, 0x181);
    phys_write64(hpa(frame), 0);
    fake_ept12_map(&pvm_ept12, 0x300000, LEVEL_4K, frame | EPT_RWX);
    assert_over(resume(), VM_STOP_FORGED_PAGE);
}

static void place_code(const uint8_t *code, size_t size)
{
    memcpy((uint8_t *)vm_pages_view(vm, BUNDLE_ENTRY & ~0xfff) + (BUNDLE_ENTRY & 0xfff), code, size);
    hw_vmwrite(VMCS_GUEST_RIP, BUNDLE_ENTRY);
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, BUNDLE_DEVICE + 0x10);
}

/* MOV between [RAX] and every width of RDX or DX: the opcode, and the slot that stands for it. */
static const struct {
    uint8_t code[4], size, bytes, slot;
    bool load;
} moves[] = {
    { { 0x88, 0x10 }, 2, 1, 0, false },      { { 0x66, 0x89, 0x10 }, 3, 2, 1, false },
    { { 0x89, 0x10 }, 2, 4, 2, false },      { { 0x48, 0x89, 0x10 }, 3, 8, 3, false },
    { { 0x8a, 0x10 }, 2, 1, 4, true },       { { 0x66, 0x8b, 0x10 }, 3, 2, 5, true },
    { { 0x8b, 0x10 }, 2, 4, 6, true },       { { 0x48, 0x8b, 0x10 }, 3, 8, 7, true },
    { { 0x0f, 0xb6, 0x10 }, 3, 1, 4, true }, { { 0x48, 0x0f, 0xbf, 0x10 }, 4, 2, 5, true },
};

static void device_registers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(moves); i++) {
        struct sight s = sight_of(EXIT_EPT_VIOLATION);

        start_vm(state, 0);
        pvm_fill_secrets();
        place_code(moves[i].code, moves[i].size);
        exits_to_host(EXIT_EPT_VIOLATION, 0x180 | (moves[i].load ? 1 : 2));
        s.qualification = 0x180 | (moves[i].load ? 1 : 2);
        s.gpa = BUNDLE_DEVICE + 0x10;
        s.rip = WINDOW_RIP(moves[i].slot);
        s.length = moves[i].bytes == 2 || moves[i].bytes == 8 ? 3 : 2;
        s.rax = moves[i].load ? 0 : WORD(PVM_SECRET, moves[i].bytes);
        s.rdi = BUNDLE_WINDOW + 0x10;
        assert_sight(&s);
    }
}

static void device_registers_answer(void **state)
{
    const uint64_t answer = 0x1234567890ab8def;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(moves); i++) {
        uint64_t old = PVM_SECRET, expected = old;

        start_vm(state, 0);
        pvm_fill_secrets();
        place_code(moves[i].code, moves[i].size);
        exits_to_host(EXIT_EPT_VIOLATION, 0x180 | (moves[i].load ? 1 : 2));
        for (unsigned r = 0; r < GPR_COUNT; r++)
            fake_cpu->gpr[r] = answer;
        answer_skip(moves[i].bytes == 2 || moves[i].bytes == 8 ? 3 : 2);
        assert_enters(resume());
        if (moves[i].load)
            expected = WORD(answer, moves[i].bytes) |
                       (moves[i].bytes < 4 ? old & ~WORD(UINT64_MAX, moves[i].bytes) : 0);
        expected = i == 8 ? 0xef : i == 9 ? UINT64_C(0xffffffffffff8def) : expected;
        assert_int_equal(fake_cpu->gpr[RDX], expected);
        fake_cpu->gpr[RDX] = PVM_SECRET;
        for (unsigned r = 0; r < GPR_COUNT; r++)
            assert_int_equal(fake_cpu->gpr[r], PVM_SECRET);
        assert_int_equal(hw_vmread(VMCS_GUEST_RIP), BUNDLE_ENTRY + moves[i].size);
    }
}

static void a_device_behind_a_misconfigured_leaf(void **state)
{
    struct sight s = sight_of(EXIT_EPT_MISCONFIGURATION);

    (void)state;
    fake_ept12_map(&pvm_ept12, BUNDLE_DEVICE, LEVEL_4K, EPT_WRITE | EPT_EXECUTE);
    pvm_fill_secrets();
    place_code(moves[2].code, 2);
    assert_outcome(pvm_exits(EXIT_EPT_VIOLATION, 0x182), EXITED, EXIT_EPT_MISCONFIGURATION);
    s.gpa = BUNDLE_DEVICE + 0x10;
    s.rip = WINDOW_RIP(2);
    s.length = 2;
    s.rax = (uint32_t)PVM_SECRET;
    s.rdi = BUNDLE_WINDOW + 0x10;
    assert_sight(&s);
}

static void outside_of_everything_there_is_nothing(void **state)
{
    (void)state;
    pvm_fill_secrets();
    place_code(moves[6].code, 2);
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, UINT64_C(0xfee00020));
    assert_enters(pvm_exits(EXIT_EPT_VIOLATION, 0x181));
    assert_int_equal(fake_cpu->gpr[RDX], UINT32_MAX);
    assert_int_equal(hw_vmread(VMCS_GUEST_RIP), BUNDLE_ENTRY + 2);
    place_code(moves[2].code, 2);
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, UINT64_C(0xfee00020));
    assert_enters(pvm_exits(EXIT_EPT_VIOLATION, 0x182));
    assert_int_equal(hw_vmread(VMCS_GUEST_RIP), BUNDLE_ENTRY + 2);
}

static void shared_pages_are_nothing_to_the_guest(void **state)
{
    (void)state;
    pvm_fill_secrets();
    place_code(moves[2].code, 2);
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, BUNDLE_WINDOW + 0x3000);
    assert_enters(pvm_exits(EXIT_EPT_VIOLATION, 0x182));
    assert_memory_equal(phys_to_virt(hpa(PVM_FRAME(BUNDLE_WINDOW + 0x3000))), vm_window_code, sizeof(vm_window_code));
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, BUNDLE_AP_PAGE);
    assert_enters(pvm_exits(EXIT_EPT_VIOLATION, 0x181));
}

/* Outside RAM nothing is fetched, no table is walked, and no event is delivered through it. */
static void only_data_lies_outside(void **state)
{
    static const uint64_t qualifications[] = { 0x184, 0x80, 0x81, 0x82, 0x1, 0x4 };
    static const uint64_t places[] = { BUNDLE_DEVICE, UINT64_C(0xfee00000), 0xa0000, BUNDLE_WINDOW };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(qualifications); i++)
        for (size_t j = 0; j < COUNT_OF(places); j++) {
            start_vm(state, 0);
            pvm_fill_secrets();
            hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, places[j]);
            assert_over(pvm_exits(EXIT_EPT_VIOLATION, qualifications[i]), VM_STOP_BAD_ACCESS);
        }
}

static void an_event_is_not_delivered_through_a_device(void **state)
{
    (void)state;
    place_code(moves[6].code, 2);
    hw_vmwrite(VMCS_IDT_VECTORING_INFO, INTR_VALID | 0x31);
    assert_over(pvm_exits(EXIT_EPT_VIOLATION, 0x182), VM_STOP_BAD_ACCESS);
}

static void what_the_layer_cannot_decode_stops_the_vm(void **state)
{
    static const uint8_t codes[][4] = { { 0x87, 0x10 }, { 0x01, 0x10 }, { 0x89, 0x20 }, { 0xa4 }, { 0xff, 0xff } };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        start_vm(state, 0);
        pvm_fill_secrets();
        place_code(codes[i], 4);
        assert_over(pvm_exits(EXIT_EPT_VIOLATION, 0x182), VM_STOP_BAD_INSTRUCTION);
    }
}

static void accesses_over_a_page_end_stop_the_vm(void **state)
{
    (void)state;
    place_code(moves[3].code, 3);
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, BUNDLE_DEVICE + 0xff9);
    assert_over(pvm_exits(EXIT_EPT_VIOLATION, 0x182), VM_STOP_BAD_INSTRUCTION);
}

/* The page with the code, or a table above it, is at the host's: it is asked for first. */
static void code_that_is_out_is_asked_for(void **state)
{
    static const uint64_t pages[] = { BUNDLE_ENTRY & ~0xfff, 0x103000, BUNDLE_LONG_RANGE, BUNDLE_LONG_RANGE + 0x1000 };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(pages); i++) {
        struct sight s = sight_of(EXIT_EPT_VIOLATION);

        start_vm(state, 0);
        pvm_fill_secrets();
        place_code(moves[6].code, 2);
        assert_int_equal(host_ept_violation(hpa(PVM_FRAME(pages[i])), false), HOST_EPT_MAPPED);
        exits_to_host(EXIT_EPT_VIOLATION, 0x181);
        s.qualification = 0x182;
        s.gpa = pages[i];
        assert_sight(&s);
        assert_enters(resume());
        exits_to_host(EXIT_EPT_VIOLATION, 0x181);
        assert_int_equal(peek(VMCS_GUEST_RIP), WINDOW_RIP(6));
    }
}

int main(void)
{
    static const struct nested_test tests[] = {
        TEST(every_reason),
        TEST(failed_entries_stop_the_vm),
        TEST(nothing_is_left_of_what_was_shown_before),
        TEST(vmx_instructions_are_undefined),
        TEST(performance_counters_fault),
        TEST(a_second_launch_is_refused),
        TEST(cpuid_is_the_layers),
        TEST(control_registers_are_the_layers),
        TEST(msrs_are_the_layers),
        TEST(xcr0_is_the_guests_own),
        TEST(the_guest_finds_its_registers_again),
        TEST(interruptibility_is_the_guests_real_one),
        TEST(the_hosts_nmi_is_an_exit),
        TEST(an_nmi_that_exits_is_noted_for_the_host),
        TEST(a_machine_check_is_the_hosts),
        TEST(nmi_windows_are_for_those_who_asked),
        TEST(ports_show_what_is_written_and_no_more),
        TEST(ports_take_what_was_read_and_no_more),
        TEST(other_ports_read_as_ones),
        TEST(strings_show_one_element),
        TEST(strings_take_one_element),
        TEST(a_string_whose_page_is_gone_waits),
        TEST(strings_over_a_page_end_stop_the_vm),
        TEST(strings_with_short_addresses_stop_the_vm),
        TEST(x2apic_reads),
        TEST(x2apic_writes),
        TEST(a_missing_page_is_asked_for_and_taken_at_the_next_entry),
        TEST(a_page_that_is_there_is_taken_at_once),
        TEST(an_asked_page_can_be_forged_no_more_than_others),
        TEST(device_registers),
        TEST(device_registers_answer),
        TEST(a_device_behind_a_misconfigured_leaf),
        TEST(outside_of_everything_there_is_nothing),
        TEST(shared_pages_are_nothing_to_the_guest),
        TEST(only_data_lies_outside),
        TEST(an_event_is_not_delivered_through_a_device),
        TEST(what_the_layer_cannot_decode_stops_the_vm),
        TEST(accesses_over_a_page_end_stop_the_vm),
        TEST(code_that_is_out_is_asked_for),
    };

    return run_protected_tests("protected_exits", tests, COUNT_OF(tests), start_protected_test);
}
