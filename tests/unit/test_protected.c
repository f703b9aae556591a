/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A protected VM under a hostile hypervisor: launch and its failures, answers, events, controls, vmcs12s that move
 * between CPUs, further vCPUs, races, and the end. What exits show is in test_protected_exits.c.
 */
#include "protected.h"
#include "cloudvisor/pool.h"

#define IRQ(vector) (INTR_VALID | (vector))
#define NMI         (INTR_VALID | INTR_TYPE_NMI << 8 | 2)
#define GP_FAULT    (INTR_VALID | INTR_ERROR_VALID | INTR_TYPE_HARDWARE << 8 | GP)

/* ---- Launch. ---- */

static void assert_constants(void)
{
    static const struct {
        uint32_t field;
        uint64_t value;
    } constants[] = {
        { VMCS_GUEST_RIP, BUNDLE_ENTRY },
        { VMCS_GUEST_RSP, 0 },
        { VMCS_GUEST_RFLAGS, 2 },
        { VMCS_GUEST_CR0, 0x80010033 },
        { VMCS_CR0_READ_SHADOW, 0x80010033 },
        { VMCS_GUEST_CR3, 0x103000 },
        { VMCS_GUEST_CR4, 0x2020 },
        { VMCS_CR4_READ_SHADOW, 0x20 },
        { VMCS_GUEST_IA32_EFER, 0x500 },
        { VMCS_GUEST_IA32_PAT, UINT64_C(0x0007040600070406) },
        { VMCS_GUEST_IA32_DEBUGCTL, 0 },
        { VMCS_GUEST_DR7, 0x400 },
        { VMCS_GUEST_CS_SELECTOR, 0x10 },
        { VMCS_GUEST_CS_BASE, 0 },
        { VMCS_GUEST_CS_ACCESS_RIGHTS, 0xa09b },
        { VMCS_GUEST_SS_SELECTOR, 0x18 },
        { VMCS_GUEST_SS_ACCESS_RIGHTS, 0xc093 },
        { VMCS_GUEST_FS_BASE, 0 },
        { VMCS_GUEST_GS_BASE, 0 },
        { VMCS_GUEST_TR_BASE, 0 },
        { VMCS_GUEST_LDTR_BASE, 0 },
        { VMCS_GUEST_GDTR_BASE, 0x100800 },
        { VMCS_GUEST_GDTR_LIMIT, 0x1f },
        { VMCS_GUEST_IDTR_BASE, 0 },
        { VMCS_GUEST_IA32_SYSENTER_CS, 0 },
        { VMCS_GUEST_IA32_SYSENTER_ESP, 0 },
        { VMCS_GUEST_IA32_SYSENTER_EIP, 0 },
        { VMCS_GUEST_INTERRUPTIBILITY, 0 },
        { VMCS_GUEST_ACTIVITY_STATE, 0 },
        { VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS, 0 },
        { VMCS_VM_ENTRY_INTERRUPTION_INFO, 0 },
    };
    struct pvm_hardware guests = pvm_hardware();

    for (size_t i = 0; i < COUNT_OF(constants); i++)
        if (hw_vmread(constants[i].field) != constants[i].value)
            fail_msg("field %#x is %#lx", constants[i].field, hw_vmread(constants[i].field));
    assert_true((hw_vmread(VMCS_VM_ENTRY_CONTROLS) & ENTRY_IA32E_GUEST) != 0);
    for (unsigned i = 0; i < VM_MSR_COUNT; i++)
        assert_int_equal(guests.msr[i], 0);
    assert_true(guests.cr2 == 0 && guests.dr[0] == 0 && guests.dr[3] == 0 && guests.xcr0 == 1);
    for (unsigned i = 0; i < GPR_COUNT; i++)
        if (i != RDX)
            assert_int_equal(fake_cpu->gpr[i], i == RSI ? pvm_descriptor.entry_rsi : 0);
}

static void the_first_vcpu_starts_from_constants(void **state)
{
    (void)state;
    assert_constants();
    assert_int_equal(vm->state, VM_RUNNING);
    assert_int_equal(frame_state(hpa(HOST_VMCS(0))), FRAME_BOUND);
}

/* ---- Launches that are refused: the plain VM goes on with an error in RAX, and nothing has changed hands. ---- */

static void assert_refused(struct outcome o, uint64_t error, uint64_t rip)
{
    assert_enters(o);
    assert_null(fake_cpu->vcpu);
    assert_int_equal(fake_cpu->gpr[RAX], error);
    assert_int_equal(hw_vmread(VMCS_GUEST_RIP), rip + GUEST_INSTRUCTION);
    assert_int_equal(frame_state(hpa(HOST_VMCS(0))), FRAME_HOST);
    for (unsigned i = 0; i < VM_MAX; i++)
        assert_true(vms[i].state == VM_FREE || vms[i].state == VM_DEAD);
    assert_null(fake_world(HOST_RAM_BYTES));
}

static int start_plain(void **state)
{
    pvm_start_host(*(const bool *)*state, 0);
    assert_enters(launch());
    return 0;
}

static void assert_launch_fails(uint64_t rbx, uint64_t rcx, uint64_t error)
{
    uint64_t rip = hw_vmread(VMCS_GUEST_RIP);

    assert_refused(pvm_call(BUNDLE_CALL_LAUNCH, rbx, rcx), error, rip);
}

static void callers_must_be_64_bit_kernels(void **state)
{
    (void)state;
    hw_vmwrite(VMCS_GUEST_CS_ACCESS_RIGHTS, 0xc09b);
    assert_launch_fails(BUNDLE_DESCRIPTOR, PAGE_SIZE, BUNDLE_BAD_CALLER);
    hw_vmwrite(VMCS_GUEST_CS_ACCESS_RIGHTS, 0xa09b);
    hw_vmwrite(VMCS_GUEST_SS_ACCESS_RIGHTS, 0xc0f3);
    assert_launch_fails(BUNDLE_DESCRIPTOR, PAGE_SIZE, BUNDLE_BAD_CALLER);
}

static void descriptors_must_be_good(void **state)
{
    struct bundle_descriptor *d = phys_to_virt(hpa(PVM_FRAME(BUNDLE_DESCRIPTOR)));

    (void)state;
    assert_launch_fails(BUNDLE_DESCRIPTOR, PAGE_SIZE - 1, BUNDLE_BAD_SIZE);
    assert_launch_fails(0x102000, PAGE_SIZE, BUNDLE_BAD_MAGIC);
    d->vectors[0] = 1;
    assert_launch_fails(BUNDLE_DESCRIPTOR, PAGE_SIZE, BUNDLE_BAD_VECTORS);
    d->vectors[0] = 0;
    d->cpu_feature_count = 1;
    d->cpu_features[0] = (struct bundle_cpu_feature){ 7, 0, 1, 0x80000000 };
    assert_launch_fails(BUNDLE_DESCRIPTOR, PAGE_SIZE, BUNDLE_BAD_CPU_LACKS);
}

static void descriptors_must_be_in_the_hosts_memory(void **state)
{
    static const uint64_t frames[] = { FAKE_POOL_BASE, HOST_RAM_BYTES, UINT64_C(0xfee00000) };

    (void)state;
    assert_launch_fails(BUNDLE_DESCRIPTOR + 8, PAGE_SIZE, BUNDLE_BAD_HOST_MEMORY);
    assert_launch_fails(UINT64_C(1) << 40, PAGE_SIZE, BUNDLE_BAD_HOST_MEMORY);
    assert_launch_fails(UINT64_MAX << 12, PAGE_SIZE, BUNDLE_BAD_HOST_MEMORY);
    assert_launch_fails(0x900000, PAGE_SIZE, BUNDLE_BAD_HOST_MEMORY);
    for (size_t i = 0; i < COUNT_OF(frames); i++) {
        fake_ept12_map(&pvm_ept12, BUNDLE_DESCRIPTOR, LEVEL_4K, frames[i] | EPT_RWX);
        assert_launch_fails(BUNDLE_DESCRIPTOR, PAGE_SIZE, BUNDLE_BAD_HOST_MEMORY);
    }
}

static void a_launch_without_memory(void **state)
{
    (void)state;
    while (pool_alloc().raw != 0)
        continue;
    assert_launch_fails(BUNDLE_DESCRIPTOR, PAGE_SIZE, BUNDLE_BAD_MEMORY);
}

static void a_launch_without_randomness(void **state)
{
    (void)state;
    fake_randoms_left = 0;
    assert_launch_fails(BUNDLE_DESCRIPTOR, PAGE_SIZE, BUNDLE_BAD_MEMORY);
}

static void controls_of_the_launch(void **state)
{
    static const struct {
        uint32_t field;
        uint64_t value;
    } bad[] = { { VMCS_SECONDARY_CONTROLS, SEC_VPID },
                { VMCS_PIN_BASED_CONTROLS, (BASE_PIN & ~PIN_EXTERNAL_INTERRUPT_EXITING) } };

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        pvm_start_host(*(const bool *)*state, 0);
        if (bad[i].field == VMCS_PIN_BASED_CONTROLS)
            write_field(VMCS_VM_EXIT_CONTROLS, BASE_EXIT & ~EXIT_ACK_INTERRUPT);
        write_field(bad[i].field, bad[i].value);
        assert_enters(launch());
        assert_launch_fails(BUNDLE_DESCRIPTOR, PAGE_SIZE, BUNDLE_BAD_HOST_SETUP);
    }
}

/* Two CPUs have the same vmcs12 active, against the rules: only one of them can make it a protected vCPU's. */
static void a_region_is_bound_once(void **state)
{
    start_plain(state);
    host_switch_cpu(1);
    pvm_prepare_vmcs(0);
    assert_enters(launch());
    assert_int_equal(pvm_call(BUNDLE_CALL_LAUNCH, BUNDLE_DESCRIPTOR, PAGE_SIZE).what, EXITED);
    host_switch_cpu(0);
    memcpy(phys_to_virt(hpa(PVM_FRAME(BUNDLE_FREE))), &pvm_descriptor, sizeof(pvm_descriptor));
    assert_enters(pvm_call(BUNDLE_CALL_LAUNCH, BUNDLE_DESCRIPTOR, PAGE_SIZE));
    assert_null(fake_cpu->vcpu);
    assert_in_range(fake_cpu->gpr[RAX], 1, BUNDLE_BAD_DISABLED);
    assert_null(fake_world(HOST_RAM_BYTES));
}

static void other_calls_are_the_hosts(void **state)
{
    start_plain(state);
    assert_outcome(pvm_call(1, 2, 3), EXITED, EXIT_VMCALL);
    assert_int_equal(fake_cpu->gpr[RBX], 2);
}

/* The host moves RIP and injects during the launch: neither counts. */
static void nothing_of_the_host_counts_during_the_launch(void **state)
{
    (void)state;
    assert_outcome(pvm_call(BUNDLE_CALL_LAUNCH, BUNDLE_DESCRIPTOR, PAGE_SIZE), EXITED, EXIT_EPT_VIOLATION);
    for (struct outcome o = { EXITED, EXIT_EPT_VIOLATION }; o.what == EXITED; o = resume()) {
        assert_int_equal(o.number, EXIT_EPT_VIOLATION);
        write_field(VMCS_GUEST_RIP, 0x1234);
        write_field(VMCS_VM_ENTRY_INTERRUPTION_INFO, IRQ(0x31));
        fake_cpu->gpr[RSI] = 0x1234;
    }
    assert_non_null(fake_cpu->vcpu);
    assert_int_equal(hw_vmread(VMCS_GUEST_RIP), BUNDLE_ENTRY);
    assert_int_equal(hw_vmread(VMCS_VM_ENTRY_INTERRUPTION_INFO), 0);
    assert_int_equal(fake_cpu->gpr[RSI], pvm_descriptor.entry_rsi);
}

static void a_launch_that_is_tampered_with_shows_a_shutdown(void **state)
{
    (void)state;
    assert_outcome(pvm_call(BUNDLE_CALL_LAUNCH, BUNDLE_DESCRIPTOR, PAGE_SIZE), EXITED, EXIT_EPT_VIOLATION);
    fake_ept12_map(&pvm_ept12, BUNDLE_LONG_RANGE + 0x13000, LEVEL_4K, FAKE_POOL_BASE | EPT_RWX);
    assert_outcome(resume(), EXITED, EXIT_TRIPLE_FAULT);
    assert_null(fake_cpu->current->vcpu);
    assert_int_equal(vms[0].stop, VM_STOP_BAD_FRAME);
    assert_null(fake_world(HOST_RAM_BYTES));
}

/* ---- Answers. ---- */

static void moves_that_the_exit_does_not_allow(void **state)
{
    static const int64_t moves[] = { 1, -1, 3, 4, 0x1000, INT64_MIN };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(moves); i++) {
        start_vm(state, 0);
        exits_to_host(EXIT_HLT, 0);
        poke(VMCS_GUEST_RIP, IDLE_RIP + (uint64_t)moves[i]);
        assert_over(resume(), VM_STOP_BAD_ANSWER);
    }
}

static void an_interrupt_is_no_instruction_to_skip(void **state)
{
    static const uint32_t reasons[] = { EXIT_PREEMPTION_TIMER, EXIT_INTERRUPT_WINDOW };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(reasons); i++) {
        start_vm(state, 0);
        exits_to_host(reasons[i], 0);
        answer_skip(SHOWN_INSTRUCTION);
        assert_over(resume(), VM_STOP_BAD_ANSWER);
    }
}

static void a_page_that_is_asked_for_is_no_instruction_to_skip(void **state)
{
    (void)state;
    phys_write64(fake_ept12_entry(&pvm_ept12, BUNDLE_FREE, LEVEL_4K), 0);
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, BUNDLE_FREE);
    exits_to_host(EXIT_EPT_VIOLATION, 0x181);
    answer_skip(SHOWN_INSTRUCTION);
    assert_over(resume(), VM_STOP_BAD_ANSWER);
}

static void a_retry_takes_nothing(void **state)
{
    (void)state;
    pvm_fill_secrets();
    fake_cpu->gpr[RCX] = 0x802;
    exits_to_host(EXIT_RDMSR, 0);
    for (unsigned i = 0; i < GPR_COUNT; i++)
        fake_cpu->gpr[i] = 0x1234;
    assert_enters(resume());
    assert_int_equal(fake_cpu->gpr[RAX], PVM_SECRET);
    assert_int_equal(fake_cpu->gpr[RDX], PVM_SECRET);
    assert_int_equal(hw_vmread(VMCS_GUEST_RIP), BUNDLE_ENTRY);
}

/* An answer holds for one exit: after an NMI in between, it is none any more. */
static void an_answer_comes_once(void **state)
{
    (void)state;
    fake_cpu->gpr[RCX] = 0x802;
    exits_to_host(EXIT_RDMSR, 0);
    answer_skip(SHOWN_INSTRUCTION);
    assert_enters(resume());
    assert_outcome(host_vm_nmi(), EXITED, EXIT_EXCEPTION_OR_NMI);
    answer_skip(SHOWN_INSTRUCTION);
    assert_over(resume(), VM_STOP_BAD_ANSWER);
}

static void skipping_ends_the_interrupt_shadow(void **state)
{
    (void)state;
    hw_vmwrite(VMCS_GUEST_RFLAGS, 2 | RFLAGS_IF);
    hw_vmwrite(VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_BY_STI);
    exits_to_host(EXIT_HLT, 0);
    answer_skip(SHOWN_INSTRUCTION);
    write_field(VMCS_VM_ENTRY_INTERRUPTION_INFO, IRQ(0x31));
    assert_enters(resume());
    assert_int_equal(hw_vmread(VMCS_GUEST_INTERRUPTIBILITY), 0);
    assert_int_equal(hw_vmread(VMCS_GUEST_RIP), BUNDLE_ENTRY + GUEST_INSTRUCTION);
}

/* Everything else that the host writes into its vmcs12 is not looked at. */
static void other_fields_have_no_effect(void **state)
{
    (void)state;
    pvm_fill_secrets();
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    for (int i = 0; i < VMCS_FIELD_COUNT; i++)
        if (vmcs_fields[i].home == HOME_GUEST && vmcs12_offers(i) && i != FIELD_GUEST_RIP)
            poke(vmcs_fields[i].encoding, 0x1234);
    assert_enters(resume());
    for (int i = 0; i < VMCS_FIELD_COUNT; i++)
        if (vmcs_fields[i].home == HOME_GUEST && vmcs12_offers(i))
            assert_int_not_equal(hw_vmread(vmcs_fields[i].encoding), 0x1234);
    assert_int_equal(hw_vmread(VMCS_GUEST_RSP), PVM_SECRET);
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    assert_int_equal(peek(VMCS_GUEST_RIP), IDLE_RIP);
}

/* ---- Events. ---- */

enum { OPEN, CLOSED, SHADOW_STI, SHADOW_SS, NMI_BLOCKED };

/* The guest exits at `reason` in this state of interruptibility; the host injects. */
static struct outcome inject_after(void **state, uint32_t flags, uint32_t reason, unsigned guest, uint32_t info)
{
    static const unsigned blocking[] = {
        [SHADOW_STI] = BLOCKING_BY_STI, [SHADOW_SS] = BLOCKING_BY_MOV_SS, [NMI_BLOCKED] = BLOCKING_BY_NMI
    };

    start_vm(state, flags);
    hw_vmwrite(VMCS_GUEST_RFLAGS, guest == CLOSED ? 2 : 2 | RFLAGS_IF);
    hw_vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocking[guest]);
    fake_cpu->gpr[RCX] = 0x802;
    exits_to_host(reason, 0);
    poke(VMCS_VM_ENTRY_INTERRUPTION_INFO, info);
    return resume();
}

static void assert_accepted(struct outcome o, uint32_t info)
{
    assert_enters(o);
    assert_int_equal(hw_vmread(VMCS_VM_ENTRY_INTERRUPTION_INFO), info);
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    assert_enters(resume()); /* not a second time */
    assert_int_equal(hw_vmread(VMCS_VM_ENTRY_INTERRUPTION_INFO) & INTR_VALID, 0);
}

static void interrupts_by_vector(void **state)
{
    for (uint32_t vector = 0; vector < 256; vector++) {
        struct outcome o = inject_after(state, 0, EXIT_PREEMPTION_TIMER, OPEN, IRQ(vector));

        if (vector >= 0x20 && vector != 0x80)
            assert_accepted(o, IRQ(vector));
        else
            assert_over(o, VM_STOP_BAD_EVENT);
    }
}

static void interrupts_only_when_the_guest_takes_them(void **state)
{
    assert_over(inject_after(state, 0, EXIT_PREEMPTION_TIMER, CLOSED, IRQ(0x31)), VM_STOP_BAD_EVENT);
    assert_over(inject_after(state, 0, EXIT_PREEMPTION_TIMER, SHADOW_STI, IRQ(0x31)), VM_STOP_BAD_EVENT);
    assert_over(inject_after(state, 0, EXIT_PREEMPTION_TIMER, SHADOW_SS, IRQ(0x31)), VM_STOP_BAD_EVENT);
    assert_accepted(inject_after(state, 0, EXIT_PREEMPTION_TIMER, NMI_BLOCKED, IRQ(0x31)), IRQ(0x31));
}

static void nmis_by_policy(void **state)
{
    assert_over(inject_after(state, 0, EXIT_PREEMPTION_TIMER, OPEN, NMI), VM_STOP_BAD_EVENT);
    assert_accepted(inject_after(state, BUNDLE_FLAG_NMI, EXIT_PREEMPTION_TIMER, OPEN, NMI), NMI);
    assert_accepted(inject_after(state, BUNDLE_FLAG_NMI, EXIT_PREEMPTION_TIMER, CLOSED, NMI), NMI);
    for (unsigned guest = SHADOW_STI; guest <= NMI_BLOCKED; guest++)
        assert_over(inject_after(state, BUNDLE_FLAG_NMI, EXIT_PREEMPTION_TIMER, guest, NMI), VM_STOP_BAD_EVENT);
}

static void general_protection_only_for_msrs(void **state)
{
    static const uint32_t others[] = { EXIT_PREEMPTION_TIMER, EXIT_HLT, EXIT_PAUSE };

    assert_accepted(inject_after(state, 0, EXIT_RDMSR, OPEN, GP_FAULT), GP_FAULT);
    assert_accepted(inject_after(state, 0, EXIT_WRMSR, CLOSED, GP_FAULT), GP_FAULT);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        assert_over(inject_after(state, 0, others[i], OPEN, GP_FAULT), VM_STOP_BAD_EVENT);
}

static void general_protection_has_error_0_and_no_skip(void **state)
{
    start_vm(state, 0);
    fake_cpu->gpr[RCX] = 0x802;
    exits_to_host(EXIT_RDMSR, 0);
    poke(VMCS_VM_ENTRY_INTERRUPTION_INFO, GP_FAULT);
    poke(VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE, 8);
    assert_over(resume(), VM_STOP_BAD_EVENT);
    start_vm(state, 0);
    fake_cpu->gpr[RCX] = 0x802;
    exits_to_host(EXIT_RDMSR, 0);
    answer_skip(SHOWN_INSTRUCTION);
    poke(VMCS_VM_ENTRY_INTERRUPTION_INFO, GP_FAULT);
    assert_over(resume(), VM_STOP_BAD_EVENT);
}

/* Types and vectors that no policy allows; the entry checks of the SDM refuse some before. */
static void no_other_event_ever(void **state)
{
    static const uint32_t events[] = {
        INTR_VALID | 3 << 8 | 1,          INTR_VALID | 3 << 8 | 6,          INTR_VALID | 3 << 8 | 7,
        INTR_VALID | 0x800 | 3 << 8 | 14, INTR_VALID | 0x800 | 3 << 8 | 17, INTR_VALID | 4 << 8 | 0x80,
        INTR_VALID | 6 << 8 | 3,          INTR_VALID | 5 << 8 | 1,          INTR_VALID | 3 << 8 | 18,
    };

    for (size_t i = 0; i < COUNT_OF(events); i++) {
        struct outcome o;

        start_vm(state, BUNDLE_FLAG_NMI);
        fake_cpu->gpr[RCX] = 0x802;
        exits_to_host(EXIT_RDMSR, 0);
        poke(VMCS_VM_ENTRY_INSTRUCTION_LENGTH, 2);
        poke(VMCS_VM_ENTRY_INTERRUPTION_INFO, events[i]);
        o = resume();
        assert_int_not_equal(o.what, ENTERED);
        if (o.what == EXITED)
            assert_over(o, VM_STOP_BAD_EVENT);
        else
            assert_fails(o, VMERR_ENTRY_CONTROLS);
    }
}

static void an_interrupted_delivery_is_the_layers_to_repeat(void **state)
{
    static const uint32_t events[] = { IRQ(0x31), INTR_VALID | INTR_ERROR_VALID | 3 << 8 | 14, NMI };

    for (size_t i = 0; i < COUNT_OF(events); i++) {
        struct sight s = sight_of(EXIT_EPT_VIOLATION);

        start_vm(state, BUNDLE_FLAG_NMI);
        pvm_fill_secrets();
        phys_write64(fake_ept12_entry(&pvm_ept12, BUNDLE_FREE, LEVEL_4K), 0);
        hw_vmwrite(VMCS_GUEST_RFLAGS, 2 | RFLAGS_IF);
        hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, BUNDLE_FREE);
        hw_vmwrite(VMCS_IDT_VECTORING_INFO, events[i]);
        hw_vmwrite(VMCS_IDT_VECTORING_ERROR_CODE, PVM_SECRET);
        exits_to_host(EXIT_EPT_VIOLATION, 0x182);
        s.qualification = 0x182;
        s.gpa = BUNDLE_FREE;
        s.rflags = RFLAGS_IF;
        s.interruptibility = BLOCKING_BY_STI; /* so that the host brings no second one */
        assert_sight(&s);
        fake_ept12_map(&pvm_ept12, BUNDLE_FREE, LEVEL_4K, PVM_FRAME(BUNDLE_FREE) | EPT_RWX);
        assert_enters(resume());
        assert_int_equal(hw_vmread(VMCS_VM_ENTRY_INTERRUPTION_INFO), events[i]);
        if ((events[i] & INTR_ERROR_VALID) != 0)
            assert_int_equal(hw_vmread(VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE), (uint32_t)PVM_SECRET);
    }
}

static void no_second_event_over_one_that_waits(void **state)
{
    start_vm(state, BUNDLE_FLAG_NMI);
    hw_vmwrite(VMCS_GUEST_RFLAGS, 2 | RFLAGS_IF);
    hw_vmwrite(VMCS_IDT_VECTORING_INFO, IRQ(0x31));
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    poke(VMCS_VM_ENTRY_INTERRUPTION_INFO, IRQ(0x32));
    assert_over(resume(), VM_STOP_BAD_EVENT);
}

/* An event that was accepted stays while a page is asked for once more; the host sees that it can bring none. */
static void an_accepted_event_waits_for_the_page(void **state)
{
    (void)state;
    phys_write64(fake_ept12_entry(&pvm_ept12, BUNDLE_FREE, LEVEL_4K), 0);
    hw_vmwrite(VMCS_GUEST_RFLAGS, 2 | RFLAGS_IF);
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, BUNDLE_FREE);
    exits_to_host(EXIT_EPT_VIOLATION, 0x182);
    poke(VMCS_VM_ENTRY_INTERRUPTION_INFO, IRQ(0x31));
    assert_outcome(resume(), EXITED, EXIT_EPT_VIOLATION);
    assert_int_equal(peek(VMCS_GUEST_RFLAGS), 2);
    assert_outcome(resume(), EXITED, EXIT_EPT_VIOLATION);
    fake_ept12_map(&pvm_ept12, BUNDLE_FREE, LEVEL_4K, PVM_FRAME(BUNDLE_FREE) | EPT_RWX);
    assert_enters(resume());
    assert_int_equal(hw_vmread(VMCS_VM_ENTRY_INTERRUPTION_INFO), IRQ(0x31));
}

/* ---- Controls. ---- */

static void controls_that_end_the_vm(void **state)
{
    static const struct {
        uint32_t field;
        uint64_t value;
    } bad[] = { { VMCS_SECONDARY_CONTROLS, SEC_VPID },
                { VMCS_PIN_BASED_CONTROLS, (BASE_PIN & ~PIN_EXTERNAL_INTERRUPT_EXITING) } };

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        start_vm(state, 0);
        exits_to_host(EXIT_PREEMPTION_TIMER, 0);
        poke(VMCS_VM_EXIT_CONTROLS, BASE_EXIT & ~EXIT_ACK_INTERRUPT);
        poke(bad[i].field, bad[i].value);
        assert_over(resume(), VM_STOP_BAD_CONTROLS);
    }
}

/* host_check_protected compares every control with what the layer wants, whatever the host has. */
static void controls_that_have_no_effect(void **state)
{
    static const struct {
        uint32_t field;
        uint64_t value;
    } ignored[] = { { VMCS_TSC_OFFSET, 0x1234567 },
                    { VMCS_PROCESSOR_BASED_CONTROLS, 0x04006172u | PROC_SECONDARY_CONTROLS },
                    { VMCS_PROCESSOR_BASED_CONTROLS, BASE_PROC | PROC_TSC_OFFSETTING | PROC_RDTSC_EXITING },
                    { VMCS_PROCESSOR_BASED_CONTROLS, BASE_PROC | PROC_INVLPG_EXITING | PROC_CR3_LOAD_EXITING },
                    { VMCS_PROCESSOR_BASED_CONTROLS, BASE_PROC | PROC_MONITOR_TRAP_FLAG },
                    { VMCS_SECONDARY_CONTROLS, SEC_EPT | SEC_DESCRIPTOR_EXITING },
                    { VMCS_EXCEPTION_BITMAP, UINT32_MAX },
                    { VMCS_CR0_GUEST_HOST_MASK, UINT64_MAX },
                    { VMCS_CR4_GUEST_HOST_MASK, UINT64_MAX },
                    { VMCS_VPID, 77 },
                    { VMCS_MSR_BITMAP, HOST_MSR_BITMAP + 0x4000 },
                    { VMCS_VM_ENTRY_MSR_LOAD_COUNT, 1 } };

    (void)state;
    phys_write64(hpa(HOST_MSR_LIST), 0xc0000082);
    phys_write64(hpa(HOST_MSR_LIST + 8), 0x1234);
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    write_field(VMCS_VM_ENTRY_MSR_LOAD_ADDR, HOST_MSR_LIST);
    for (size_t i = 0; i < COUNT_OF(ignored); i++) {
        struct outcome o;

        poke(ignored[i].field, ignored[i].value);
        o = resume();
        if (o.what == FAILED_VALID) /* the host is not offered that control */
            start_vm(state, 0);
        else
            assert_enters(o);
        assert_int_equal(fake_msr_get(0xc0000082), 0);
        exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    }
}

/* Another root is as good: what is IN stays, the rest is looked for there. */
static void another_ept12_changes_nothing(void **state)
{
    (void)state;
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    poke(VMCS_EPT_POINTER, HOST_EPT12(3) | 0x5e);
    assert_enters(resume());
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, BUNDLE_FREE);
    exits_to_host(EXIT_EPT_VIOLATION, 0x181);
}

/* MSRs that the host stores and loads at an exit are its own. */
static void msr_lists_at_exits_see_the_hosts_values(void **state)
{
    (void)state;
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    phys_write64(hpa(HOST_MSR_LIST), 0xc0000082);
    phys_write64(hpa(HOST_MSR_LIST + 16), 0xc0000100); /* FS_BASE */
    poke(VMCS_VM_EXIT_MSR_STORE_ADDR, HOST_MSR_LIST);
    poke(VMCS_VM_EXIT_MSR_STORE_COUNT, 2);
    assert_enters(resume());
    pvm_fill_secrets();
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    assert_int_equal(phys_read64(hpa(HOST_MSR_LIST + 8)), hosts.msr[VM_LSTAR]);
    assert_int_equal(phys_read64(hpa(HOST_MSR_LIST + 24)), 0);
}

/* ---- vmcs12s that move. ---- */

/* Like assert_over, with another vCPU in the processor: both pretended CPUs have the same MSRs. */
static void assert_ended(struct outcome o, enum vm_stop why)
{
    assert_outcome(o, EXITED, EXIT_TRIPLE_FAULT);
    assert_int_equal(vm->stop, why);
    assert_null(fake_cpu->current->vcpu);
    for (unsigned i = 0; i < GPR_COUNT; i++)
        assert_int_equal(fake_cpu->gpr[i], 0);
}

static void a_vcpu_moves_with_its_vmcs12(void **state)
{
    (void)state;
    pvm_fill_secrets();
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    assert_succeeds(host_instruction(EXIT_VMCLEAR, HOST_VMCS(0)));
    assert_null(vcpu->active_on);
    assert_false(fake_vmcs_active(vcpu->vmcs));
    assert_int_equal(frame_state(hpa(HOST_VMCS(0))), FRAME_BOUND);
    host_switch_cpu(1);
    assert_succeeds(host_instruction(EXIT_VMPTRLD, HOST_VMCS(0)));
    assert_enters(launch());
    assert_ptr_equal(fake_cpu->vcpu, vcpu);
    assert_int_equal(fake_cpu->gpr[RBX], PVM_SECRET);
    assert_int_equal(hw_vmread(VMCS_HOST_GS_BASE), (uint64_t)fake_cpu);
}

static void the_region_tells_nothing(void **state)
{
    (void)state;
    pvm_fill_secrets();
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    assert_succeeds(host_instruction(EXIT_VMCLEAR, HOST_VMCS(0)));
    for (unsigned i = 0; i < PAGE_SIZE; i += 8)
        assert_no_secret(phys_read64(hpa(HOST_VMCS(0) + i)), -1);
}

static void one_cpu_at_a_time(void **state)
{
    (void)state;
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    host_switch_cpu(1);
    host_prepare_vmcs(2);
    assert_fails(host_instruction(EXIT_VMPTRLD, HOST_VMCS(0)), VMERR_VMPTRLD_ADDRESS);
    assert_succeeds(host_instruction(EXIT_VMCLEAR, HOST_VMCS(0))); /* of another CPU's: no effect on it */
    assert_fails(host_instruction(EXIT_VMPTRLD, HOST_VMCS(0)), VMERR_VMPTRLD_ADDRESS);
    host_switch_cpu(0);
    assert_enters(resume());
}

static void a_slot_that_is_needed_frees_the_vcpu(void **state)
{
    (void)state;
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    for (unsigned i = 0; i < VMCS12_PER_CPU; i++)
        host_prepare_vmcs(10 + i);
    assert_null(vcpu->active_on);
    assert_succeeds(host_instruction(EXIT_VMPTRLD, HOST_VMCS(0)));
    assert_enters(resume());
    assert_ptr_equal(fake_cpu->vcpu, vcpu);
}

static void a_write_to_the_region_ends_the_vcpu(void **state)
{
    (void)state;
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    assert_int_equal(host_ept_violation(hpa(HOST_VMCS(0)), true), HOST_EPT_MAPPED);
    assert_over(resume(), VM_STOP_HOST_GONE);
}

static void a_lost_vcpu_ends_the_vm_only_when_it_is_run(void **state)
{
    (void)state;
    assert_outcome(pvm_guest_starts_second(0x9a), EXITED, EXIT_WRMSR);
    answer_skip(SHOWN_INSTRUCTION);
    host_switch_cpu(1);
    assert_enters(pvm_bring_second());
    assert_outcome(pvm_exits(EXIT_PREEMPTION_TIMER, 0), EXITED, EXIT_PREEMPTION_TIMER);
    assert_int_equal(host_ept_violation(hpa(HOST_VMCS(1)), true), HOST_EPT_MAPPED);
    host_switch_cpu(0);
    assert_enters(resume());
    host_switch_cpu(1);
    assert_ended(resume(), VM_STOP_HOST_GONE);
    host_switch_cpu(0);
    assert_ended(pvm_exits(EXIT_EPT_VIOLATION, 0x181), VM_STOP_HOST_GONE);
}

/* ---- Further vCPUs. ---- */

static void the_second_vcpu_starts_at_the_guests_vector(void **state)
{
    struct sight s = sight_of(EXIT_WRMSR);

    (void)state;
    pvm_fill_secrets();
    assert_outcome(pvm_guest_starts_second(0x9a), EXITED, EXIT_WRMSR);
    s.rcx = 0x830;
    s.rax = 0x600 | BUNDLE_AP_PAGE / PAGE_SIZE; /* where the call is made; not where the guest wants it to start */
    s.rdx = 1;
    s.length = SHOWN_INSTRUCTION;
    assert_sight(&s);
    host_switch_cpu(1);
    hosts = pvm_hardware();
    assert_enters(pvm_bring_second());
    assert_ptr_equal(fake_cpu->vcpu, vm->vcpus[1]);
    assert_int_equal(hw_vmread(VMCS_GUEST_CS_BASE), 0x9a000);
    assert_int_equal(hw_vmread(VMCS_GUEST_CS_SELECTOR), 0x9a00);
    assert_int_equal(hw_vmread(VMCS_GUEST_RIP), 0);
    assert_int_equal(hw_vmread(VMCS_GUEST_CR0), 0x30);
    assert_int_equal(hw_vmread(VMCS_GUEST_IA32_EFER), 0);
    assert_int_equal(hw_vmread(VMCS_GUEST_RFLAGS), 2);
    assert_int_equal(fake_cpu->gpr[RSI], 0);
    assert_int_equal(fake_cpu->gpr[RDX], 0x306d4);
    assert_int_equal(hw_vmread(VMCS_VM_ENTRY_CONTROLS) & ENTRY_IA32E_GUEST, 0);
    assert_int_equal(vm->vcpus[1]->state, VCPU_RUNS);
}

static void assert_no_ap(struct outcome o)
{
    assert_enters(o);
    assert_null(fake_cpu->vcpu);
    assert_int_equal(fake_cpu->gpr[RAX], UINT64_MAX);
    assert_int_equal(frame_state(hpa(fake_cpu->current->region)), FRAME_HOST);
}

static void nobody_is_brought_who_was_not_called(void **state)
{
    (void)state;
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    host_switch_cpu(1);
    assert_no_ap(pvm_bring_second());
}

static void a_plain_vm_without_the_vms_memory_is_none_of_its_vcpus(void **state)
{
    (void)state;
    assert_outcome(pvm_guest_starts_second(0x9a), EXITED, EXIT_WRMSR);
    host_switch_cpu(1);
    pvm_prepare_vmcs(1);
    write_field(VMCS_EPT_POINTER, HOST_EPT12(1) | 0x5e);
    assert_enters(launch());
    assert_no_ap(pvm_call(BUNDLE_CALL_AP_START, 0, 0));
    hw_vmwrite(VMCS_GUEST_SS_ACCESS_RIGHTS, 0xc0f3);
    assert_no_ap(pvm_call(BUNDLE_CALL_AP_START, 0, 0));
}

static void a_running_vcpu_is_not_started_again(void **state)
{
    (void)state;
    assert_outcome(pvm_guest_starts_second(0x9a), EXITED, EXIT_WRMSR);
    host_switch_cpu(1);
    assert_enters(pvm_bring_second());
    host_switch_cpu(0);
    answer_skip(SHOWN_INSTRUCTION);
    assert_enters(resume());
    assert_enters(pvm_guest_starts_second(0x77)); /* stays inside */
    assert_int_equal(vm->vcpus[1]->start_vector, 0x9a);
    host_switch_cpu(1);
    assert_outcome(pvm_exits(EXIT_PREEMPTION_TIMER, 0), EXITED, EXIT_PREEMPTION_TIMER);
    pvm_prepare_vmcs(2);
    assert_enters(launch());
    assert_no_ap(pvm_call(BUNDLE_CALL_AP_START, 0, 0));
}

enum icr_fate { INSIDE, SHOWN };

static void sends(uint64_t icr, enum icr_fate expected)
{
    struct outcome o;

    fake_cpu->gpr[RCX] = 0x830;
    fake_cpu->gpr[RAX] = (uint32_t)icr;
    fake_cpu->gpr[RDX] = icr >> 32;
    o = pvm_exits(EXIT_WRMSR, 0);
    if (expected == INSIDE) {
        assert_enters(o);
        return;
    }
    assert_outcome(o, EXITED, EXIT_WRMSR);
    assert_int_equal(fake_cpu->gpr[RAX], (uint32_t)icr);
    answer_skip(SHOWN_INSTRUCTION);
    assert_enters(resume());
}

static void interprocessor_interrupts(void **state)
{
    (void)state;
    sends(0x40 | UINT64_C(1) << 32, SHOWN);   /* fixed */
    sends(0xc40fc, SHOWN);                    /* all but self */
    sends(0x500 | UINT64_C(1) << 32, SHOWN);  /* INIT of one that waits for it */
    sends(0x500 | UINT64_C(2) << 32, INSIDE); /* there is no third */
    sends(0x600 | UINT64_C(0xffffffff) << 32, INSIDE);
    sends(0x500, INSIDE);   /* itself */
    sends(0xc4500, INSIDE); /* INIT to all but self */
    assert_int_equal(vm->vcpus[1]->state, VCPU_ABSENT);
    sends(0x400 | UINT64_C(1) << 32, SHOWN); /* NMI: the policy has them */
    start_vm(state, 0);
    sends(0x400 | UINT64_C(1) << 32, INSIDE);
    sends(0xc4400, INSIDE);
}

/* The first vCPU was lost while another one runs: it can't begin the bundle a second time. */
static void the_first_vcpu_is_never_started_by_another(void **state)
{
    (void)state;
    assert_outcome(pvm_guest_starts_second(0x9a), EXITED, EXIT_WRMSR);
    host_switch_cpu(1);
    assert_enters(pvm_bring_second());
    assert_int_equal(host_ept_violation(hpa(HOST_VMCS(0)), true), HOST_EPT_MAPPED);
    assert_int_equal(vcpu->state, VCPU_ABSENT);
    sends(0x69a, INSIDE);
    assert_int_equal(vcpu->state, VCPU_ABSENT);
}

/* ---- Races: what another CPU does the moment that the lock is free. ---- */

static struct outcome raced;

static void other_cpu_brings_it_too(void)
{
    host_switch_cpu(1);
    raced = pvm_call(BUNDLE_CALL_AP_START, 0, 0);
    host_switch_cpu(0);
}

static void two_vmcs12s_for_one_vcpu(void **state)
{
    (void)state;
    assert_outcome(pvm_guest_starts_second(0x9a), EXITED, EXIT_WRMSR);
    for (unsigned i = 0; i < 2; i++) {
        host_switch_cpu(i);
        pvm_prepare_vmcs(1 + i);
        assert_enters(launch());
    }
    host_switch_cpu(0);
    fake_on_unlock = other_cpu_brings_it_too;
    assert_enters(pvm_call(BUNDLE_CALL_AP_START, 0, 0));
    assert_ptr_equal(fake_cpu->vcpu, vm->vcpus[1]);
    assert_int_equal(vm->vcpus[1]->region, HOST_VMCS(1));
    assert_enters(raced);
    host_switch_cpu(1);
    assert_null(fake_cpu->vcpu);
}

static void other_cpu_takes_the_region(void)
{
    assert_int_equal(host_ept_violation(hpa(HOST_VMCS(1)), true), HOST_EPT_MAPPED);
}

static void a_region_that_is_lost_before_the_start(void **state)
{
    (void)state;
    assert_outcome(pvm_guest_starts_second(0x9a), EXITED, EXIT_WRMSR);
    host_switch_cpu(1);
    pvm_prepare_vmcs(1);
    assert_enters(launch());
    fake_on_unlock = other_cpu_takes_the_region;
    assert_over(pvm_call(BUNDLE_CALL_AP_START, 0, 0), VM_STOP_HOST_GONE);
}

/* A vCPU whose region was taken, and that the guest starts again, waits until the old vmcs12 is cleared. */
static void a_vcpu_is_not_on_two_cpus(void **state)
{
    (void)state;
    assert_outcome(pvm_guest_starts_second(0x9a), EXITED, EXIT_WRMSR);
    host_switch_cpu(1);
    assert_enters(pvm_bring_second());
    assert_int_equal(host_ept_violation(hpa(HOST_VMCS(1)), true), HOST_EPT_MAPPED);
    host_switch_cpu(0);
    answer_skip(SHOWN_INSTRUCTION);
    assert_enters(resume());
    assert_outcome(pvm_guest_starts_second(0x77), EXITED, EXIT_WRMSR);
    pvm_prepare_vmcs(2);
    assert_enters(launch());
    assert_no_ap(pvm_call(BUNDLE_CALL_AP_START, 0, 0));
}

/* The VM is stopped elsewhere while this CPU is about to bring a page. */
static void a_page_comes_too_late(void **state)
{
    (void)state;
    phys_write64(fake_ept12_entry(&pvm_ept12, BUNDLE_FREE, LEVEL_4K), 0);
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, BUNDLE_FREE);
    exits_to_host(EXIT_EPT_VIOLATION, 0x181);
    vm_stop(vm, VM_STOP_GUEST_RESET, 0);
    fake_ept12_map(&pvm_ept12, BUNDLE_FREE, LEVEL_4K, PVM_FRAME(BUNDLE_FREE) | EPT_RWX);
    assert_over(resume(), VM_STOP_GUEST_RESET);
    assert_int_equal(frame_state(hpa(PVM_FRAME(BUNDLE_FREE))), FRAME_HOST);
    assert_null(fake_world(HOST_RAM_BYTES));
}

/* ---- The end. ---- */

static void after_the_shutdown_the_vmcs12_is_a_plain_vms(void **state)
{
    (void)state;
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    poke(VMCS_EXCEPTION_BITMAP, 0x1234);
    assert_enters(resume());
    pvm_fill_secrets();
    assert_over(pvm_exits(EXIT_TRIPLE_FAULT, 0), VM_STOP_GUEST_RESET);
    assert_false(fake_vmcs_active(vcpu->vmcs)); /* its page is freed soon */
    assert_int_equal(frame_state(hpa(HOST_VMCS(0))), FRAME_HOST);
    while (vm->state != VM_FREE)
        vm_reap();
    assert_null(fake_world(HOST_RAM_BYTES));
    assert_enters(resume());
    assert_null(fake_cpu->vcpu);
    assert_int_equal(hw_vmread(VMCS_EXCEPTION_BITMAP), 0x1234);
    assert_int_equal(hw_vmread(VMCS_GUEST_CR3), BUNDLE_WINDOW);
    for (int i = 0; i < VMCS_FIELD_COUNT; i++)
        if (vmcs_fields[i].home == HOME_GUEST && vmcs12_offers(i))
            assert_no_secret(hw_vmread(vmcs_fields[i].encoding), i);
    assert_outcome(host_vm_exits(EXIT_CPUID, 0), EXITED, EXIT_CPUID);
}

static void a_vm_can_be_launched_again(void **state)
{
    uint64_t first = vm->id, vmcs = vcpu->vmcs.raw;

    (void)state;
    pvm_fill_secrets();
    assert_over(pvm_exits(EXIT_TRIPLE_FAULT, 0), VM_STOP_GUEST_RESET);
    while (vm->state != VM_FREE)
        vm_reap();
    memcpy(phys_to_virt(hpa(PVM_FRAME(BUNDLE_DESCRIPTOR))), &pvm_descriptor, sizeof(pvm_descriptor));
    write_field(VMCS_GUEST_CS_ACCESS_RIGHTS, 0xa09b);
    assert_enters(resume());
    for (struct outcome o = pvm_call(BUNDLE_CALL_LAUNCH, BUNDLE_DESCRIPTOR, PAGE_SIZE); o.what != ENTERED;)
        o = resume();
    assert_non_null(fake_cpu->vcpu);
    assert_int_equal(fake_cpu->vcpu->vm->id, first + 1);
    for (unsigned i = 0; i < 2; i++) /* the first one's VMCS, full of secrets, is one of the second's */
        if (fake_cpu->vcpu->vm->vcpus[i]->vmcs.raw == vmcs)
            vmcs = 0;
    assert_int_equal(vmcs, 0);
    assert_constants();
}

/* The VMCS of a vCPU that is over is no processor's any more when its page is freed: the next VM may get it. */
static void the_other_vcpus_see_the_end_at_their_next_exit(void **state)
{
    (void)state;
    assert_outcome(pvm_guest_starts_second(0x9a), EXITED, EXIT_WRMSR);
    answer_skip(SHOWN_INSTRUCTION);
    host_switch_cpu(1);
    assert_enters(pvm_bring_second());
    host_switch_cpu(0);
    assert_enters(resume());
    assert_ended(pvm_exits(EXIT_TRIPLE_FAULT, 0), VM_STOP_GUEST_RESET);
    for (unsigned i = 0; i < 200; i++)
        vm_reap();
    assert_int_equal(vm->state, VM_DEAD);
    host_switch_cpu(1);
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, BUNDLE_RAM_START);
    assert_ended(pvm_exits(EXIT_EPT_VIOLATION, 0x184), VM_STOP_GUEST_RESET);
    vm_reap();
    assert_int_equal(vm->state, VM_FREE);
}

static void vmxoff_of_all_cpus_ends_everything(void **state)
{
    (void)state;
    exits_to_host(EXIT_PREEMPTION_TIMER, 0);
    assert_succeeds(host_instruction(EXIT_VMXOFF, 0));
    assert_null(vcpu->active_on);
    assert_int_equal(vm->state, VM_RUNNING);
    host_switch_cpu(1);
    assert_succeeds(host_instruction(EXIT_VMXOFF, 0));
    assert_int_equal(vm->stop, VM_STOP_HOST_GONE);
}

/* What KVM writes at a reset: the VM that goes on in the vmcs12 starts in that mode, not in the protected one's. */
static void a_reset_by_the_host_keeps_its_mode(void **state)
{
    uint64_t controls;

    (void)state;
    exits_to_host(EXIT_HLT, 0);
    controls = peek(VMCS_VM_ENTRY_CONTROLS);
    assert_true((controls & ENTRY_IA32E_GUEST) != 0);
    poke(VMCS_VM_ENTRY_CONTROLS, controls & ~(uint64_t)ENTRY_IA32E_GUEST);
    poke(VMCS_GUEST_RIP, 0xfff0);
    assert_over(resume(), VM_STOP_BAD_ANSWER);
    assert_true((peek(VMCS_VM_ENTRY_CONTROLS) & ENTRY_IA32E_GUEST) == 0);
}

int main(void)
{
    static const struct nested_test refusals[] = {
        TEST(callers_must_be_64_bit_kernels),
        TEST(descriptors_must_be_good),
        TEST(descriptors_must_be_in_the_hosts_memory),
        TEST(a_launch_without_memory),
        TEST(a_launch_without_randomness),
        TEST(controls_of_the_launch),
        TEST(a_region_is_bound_once),
        TEST(other_calls_are_the_hosts),
        TEST(nothing_of_the_host_counts_during_the_launch),
        TEST(a_launch_that_is_tampered_with_shows_a_shutdown),
    };
    static const struct nested_test tests[] = {
        TEST(the_first_vcpu_starts_from_constants),
        TEST(moves_that_the_exit_does_not_allow),
        TEST(an_interrupt_is_no_instruction_to_skip),
        TEST(a_page_that_is_asked_for_is_no_instruction_to_skip),
        TEST(a_retry_takes_nothing),
        TEST(an_answer_comes_once),
        TEST(skipping_ends_the_interrupt_shadow),
        TEST(other_fields_have_no_effect),
        TEST(interrupts_by_vector),
        TEST(interrupts_only_when_the_guest_takes_them),
        TEST(nmis_by_policy),
        TEST(general_protection_only_for_msrs),
        TEST(general_protection_has_error_0_and_no_skip),
        TEST(no_other_event_ever),
        TEST(an_interrupted_delivery_is_the_layers_to_repeat),
        TEST(no_second_event_over_one_that_waits),
        TEST(an_accepted_event_waits_for_the_page),
        TEST(controls_that_end_the_vm),
        TEST(controls_that_have_no_effect),
        TEST(another_ept12_changes_nothing),
        TEST(msr_lists_at_exits_see_the_hosts_values),
        TEST(a_vcpu_moves_with_its_vmcs12),
        TEST(the_region_tells_nothing),
        TEST(one_cpu_at_a_time),
        TEST(a_slot_that_is_needed_frees_the_vcpu),
        TEST(a_write_to_the_region_ends_the_vcpu),
        TEST(a_lost_vcpu_ends_the_vm_only_when_it_is_run),
        TEST(the_second_vcpu_starts_at_the_guests_vector),
        TEST(nobody_is_brought_who_was_not_called),
        TEST(a_plain_vm_without_the_vms_memory_is_none_of_its_vcpus),
        TEST(a_running_vcpu_is_not_started_again),
        TEST(interprocessor_interrupts),
        TEST(the_first_vcpu_is_never_started_by_another),
        TEST(two_vmcs12s_for_one_vcpu),
        TEST(a_region_that_is_lost_before_the_start),
        TEST(a_vcpu_is_not_on_two_cpus),
        TEST(a_page_comes_too_late),
        TEST(after_the_shutdown_the_vmcs12_is_a_plain_vms),
        TEST(a_vm_can_be_launched_again),
        TEST(the_other_vcpus_see_the_end_at_their_next_exit),
        TEST(vmxoff_of_all_cpus_ends_everything),
        TEST(a_reset_by_the_host_keeps_its_mode),
    };

    return run_protected_tests("protected: refusals", refusals, COUNT_OF(refusals), start_plain) +
           run_protected_tests("protected", tests, COUNT_OF(tests), start_protected_test);
}
