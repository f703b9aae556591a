/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of protected vCPUs have in common: a launched VM, and what the host sees of it. */
#ifndef TESTS_UNIT_PROTECTED_H
#define TESTS_UNIT_PROTECTED_H

#include "nested.h"
#include "fake_protected.h"
#include "cloudvisor/vm_window.h"
#include "cloudvisor/vmcs01.h"
#include "ept-guard/frames.h"
#include "ept-guard/host_ept.h"
#include "nested-vmx/protected.h"

enum { GUEST_INSTRUCTION = 3, SHOWN_INSTRUCTION = 2 };
#define WINDOW_RIP(slot) (WINDOW_CODE_GPA((uint64_t)BUNDLE_WINDOW) + (slot)*UINT64_C(4))
#define IDLE_RIP         WINDOW_RIP(8)

static struct vm *vm;
static struct vcpu *vcpu;
static struct pvm_hardware hosts;

static inline void start_vm(void **state, uint32_t flags)
{
    pvm_start_host(*(const bool *)*state, flags);
    hosts = pvm_hardware();
    vm = pvm_launch();
    vcpu = vm->vcpus[0];
}

/* What the host may see of an exit; everything else is a constant. */
struct sight {
    uint32_t reason, info;
    uint64_t qualification, gpa, rip, rax, rcx, rdx, rdi, rflags;
    unsigned length, interruptibility;
};

/* VMREAD and VMWRITE of a host that keeps its general registers. */
static inline uint64_t peek(uint64_t encoding)
{
    uint64_t gpr[GPR_COUNT], value;

    memcpy(gpr, fake_cpu->gpr, sizeof(gpr));
    value = read_field(encoding);
    memcpy(fake_cpu->gpr, gpr, sizeof(gpr));
    return value;
}

static inline void poke(uint64_t encoding, uint64_t value)
{
    uint64_t gpr[GPR_COUNT];

    memcpy(gpr, fake_cpu->gpr, sizeof(gpr));
    write_field(encoding, value);
    memcpy(fake_cpu->gpr, gpr, sizeof(gpr));
}

/* The frozen context, written down a second time. */
static inline uint64_t frozen(int field, const struct sight *s)
{
    static const uint32_t rights[] = { 0xc093, 0xa09b, 0xc093, 0xc093, 0xc093, 0xc093, 0x10000, 0x8b };

    if (field >= FIELD_GUEST_ES_SELECTOR && field <= FIELD_GUEST_GS_SELECTOR)
        return field == FIELD_GUEST_CS_SELECTOR ? 0x10 : 0x18;
    if (field >= FIELD_GUEST_ES_LIMIT && field <= FIELD_GUEST_GS_LIMIT)
        return UINT32_MAX;
    if (field >= FIELD_GUEST_ES_ACCESS_RIGHTS && field <= FIELD_GUEST_TR_ACCESS_RIGHTS)
        return rights[field - FIELD_GUEST_ES_ACCESS_RIGHTS];
    switch (field) {
    case FIELD_GUEST_TR_LIMIT: return 0x67;
    case FIELD_GUEST_CR0: return 0x80000031;
    case FIELD_GUEST_CR3: return BUNDLE_WINDOW;
    case FIELD_GUEST_CR4: return 0x2020;
    case FIELD_GUEST_RIP: return s->rip;
    case FIELD_GUEST_RFLAGS: return 2 | s->rflags;
    case FIELD_GUEST_INTERRUPTIBILITY: return s->interruptibility;
    case FIELD_EXIT_REASON: return s->reason;
    case FIELD_EXIT_QUALIFICATION: return s->qualification;
    case FIELD_GUEST_PHYSICAL_ADDRESS: return s->gpa;
    case FIELD_VM_EXIT_INTERRUPTION_INFO: return s->info;
    case FIELD_VM_EXIT_INSTRUCTION_LENGTH: return s->length;
    default: return 0;
    }
}

static inline void assert_no_secret(uint64_t value, int field)
{
    for (unsigned shift = 0; shift <= 48; shift += 8)
        if ((value >> shift & 0xffff) == 0x5ec2 || (value >> shift & 0xffff) == 0xc25e)
            fail_msg("the host sees a secret in %#x: %#lx", field < 0 ? 0 : vmcs_fields[field].encoding, value);
}

static inline void assert_registers_of_host(void)
{
    struct pvm_hardware now = pvm_hardware();

    assert_memory_equal(now.msr, hosts.msr, sizeof(hosts.msr));
    assert_memory_equal(now.dr, hosts.dr, sizeof(hosts.dr));
    assert_int_equal(now.cr2, hosts.cr2);
    assert_int_equal(now.dr6, hosts.dr6);
    assert_int_equal(now.xcr0, hosts.xcr0);
    for (unsigned i = 0; i < FAKE_COMPONENTS; i++)
        assert_int_equal(now.vectors.component[i], 0);
    assert_int_equal(now.vectors.mxcsr, 0x1f80);
    assert_int_equal(now.vectors.fcw, 0x37f);
}

/* The complete state that the host can look at after an exit. */
static inline void assert_sight(const struct sight *s)
{
    const uint64_t shown[GPR_COUNT] = { [RAX] = s->rax, [RCX] = s->rcx, [RDX] = s->rdx, [RDI] = s->rdi };

    assert_null(fake_cpu->vcpu);
    for (unsigned i = 0; i < GPR_COUNT; i++)
        assert_int_equal(fake_cpu->gpr[i], shown[i]);
    for (int i = 0; i < VMCS_FIELD_COUNT; i++) {
        uint8_t home = vmcs_fields[i].home;
        uint64_t value;

        if (!vmcs12_offers(i))
            continue;
        value = peek(vmcs_fields[i].encoding);
        if (home == HOME_GUEST || home == HOME_EXIT) {
            if (value != frozen(i, s))
                fail_msg("field %#x is %#lx, not %#lx", vmcs_fields[i].encoding, value, frozen(i, s));
        } else {
            assert_no_secret(value, i);
        }
    }
    assert_registers_of_host();
    assert_false((peek(VMCS_VM_ENTRY_INTERRUPTION_INFO) & INTR_VALID) != 0);
}

static inline struct sight sight_of(uint32_t reason)
{
    return (struct sight){ .reason = reason, .rip = IDLE_RIP };
}

/* The VM is over: one shutdown, then the vmcs12 is a plain VM's again. */
static inline void assert_over(struct outcome o, enum vm_stop why)
{
    struct sight s = sight_of(EXIT_TRIPLE_FAULT);

    assert_outcome(o, EXITED, EXIT_TRIPLE_FAULT);
    assert_int_equal(vm->stop, why);
    assert_int_equal(vm->state, VM_DEAD);
    s.interruptibility = (unsigned)peek(VMCS_GUEST_INTERRUPTIBILITY);
    s.rflags = peek(VMCS_GUEST_RFLAGS) & RFLAGS_IF;
    assert_sight(&s);
    assert_null(fake_cpu->current->vcpu);
}

/* An exit that the host sees and answers by its next entry. */
static inline void exits_to_host(uint32_t reason, uint64_t qualification)
{
    assert_outcome(pvm_exits(reason, qualification), EXITED, reason);
}

static inline void answer_skip(unsigned length)
{
    poke(VMCS_GUEST_RIP, peek(VMCS_GUEST_RIP) + length);
}

/* Runs `count` tests of a launched VM, each without hardware VMCS shadowing and with it. */
static int start_protected_test(void **state)
{
    start_vm(state, BUNDLE_FLAG_NMI);
    return 0;
}

static inline int run_protected_tests(const char *name, const struct nested_test *tests, size_t count,
                                      CMFixtureFunction setup)
{
    static const bool shadowing[] = { false, true };
    struct group g = { 0 };

    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < 2; j++) {
            group_add(&g, tests[i].run, &shadowing[j], "%s%s", tests[i].name, shadowing[j] ? ", shadowing" : "");
            g.tests[g.count - 1].setup_func = setup;
        }
    return group_run(&g, name);
}

#endif
