/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exits of the host's VMs on the fake processor: every register that an exit loads or saves, MSR lists, NMIs, and
 * which exits the layer keeps to itself.
 */
#include "nested.h"
#include "cloudvisor/intercepts.h"
#include "cloudvisor/vmcs01.h"

enum {
    MSR_FS_BASE = 0xc0000100,
    MSR_GS_BASE = 0xc0000101,
    MSR_EFER = 0xc0000080,
    MSR_PAT = 0x277,
    MSR_DEBUGCTL = 0x1d9,
    MSR_SYSENTER_CS = 0x174,
    MSR_SYSENTER_ESP = 0x175,
    MSR_SYSENTER_EIP = 0x176,
    MSR_STAR = 0xc0000081
};

#define POISON UINT64_C(0x5a5a5a5a5a5a5a5a)

static void enter_once(void)
{
    host_vmxon();
    host_prepare_vmcs(0);
    assert_enters(launch());
}

static struct outcome halt(void)
{
    return host_vm_exits(EXIT_HLT, 0);
}

/* ---- What an exit loads: SDM "Loading Host State". ---- */

struct loaded {
    uint32_t encoding;
    uint64_t value;
};

/* Fills everything in vmcs01 that belongs to the host's state with nonsense, so that what is not loaded shows. */
static void poison_vmcs01(void)
{
    for (int i = 0; i < VMCS_FIELD_COUNT; i++)
        if (vmcs_fields[i].home == HOME_GUEST || vmcs_fields[i].home == HOME_SWITCHED)
            *fake_vmcs_field(fake_cpu->vmcs01, vmcs_fields[i].encoding) = POISON;
    *fake_vmcs_field(fake_cpu->vmcs01, VMCS_CR0_READ_SHADOW) = POISON;
    *fake_vmcs_field(fake_cpu->vmcs01, VMCS_CR4_READ_SHADOW) = POISON;
}

static void assert_loaded(const struct loaded *expected, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (hw_vmread(expected[i].encoding) != expected[i].value)
            fail_msg("field %#x is %#llx", expected[i].encoding, (unsigned long long)hw_vmread(expected[i].encoding));
}

static const struct loaded host_fields[] = {
    { VMCS_HOST_ES_SELECTOR, 0x8 },
    { VMCS_HOST_CS_SELECTOR, 0x10 },
    { VMCS_HOST_SS_SELECTOR, 0x18 },
    { VMCS_HOST_DS_SELECTOR, 0 },
    { VMCS_HOST_FS_SELECTOR, 0x28 },
    { VMCS_HOST_GS_SELECTOR, 0 },
    { VMCS_HOST_TR_SELECTOR, 0x40 },
    { VMCS_HOST_FS_BASE, 0x111000 },
    { VMCS_HOST_GS_BASE, 0x222000 },
    { VMCS_HOST_TR_BASE, 0x333000 },
    { VMCS_HOST_GDTR_BASE, 0x444000 },
    { VMCS_HOST_IDTR_BASE, 0x555000 },
    { VMCS_HOST_CR0, 0xe0050033 },
    { VMCS_HOST_CR3, 0x2000 },
    { VMCS_HOST_CR4, 0x26a0 },
    { VMCS_HOST_RSP, 0x666000 },
    { VMCS_HOST_IA32_SYSENTER_CS, 0x77 },
    { VMCS_HOST_IA32_SYSENTER_ESP, 0x888000 },
    { VMCS_HOST_IA32_SYSENTER_EIP, 0x999000 },
    { VMCS_HOST_IA32_EFER, 0xd01 },
    { VMCS_HOST_IA32_PAT, 0x0606060606060606 },
};

static const struct loaded loaded_state[] = {
    { VMCS_GUEST_ES_SELECTOR, 0x8 },
    { VMCS_GUEST_ES_BASE, 0 },
    { VMCS_GUEST_ES_LIMIT, UINT32_MAX },
    { VMCS_GUEST_ES_ACCESS_RIGHTS, 0xc093 },
    { VMCS_GUEST_CS_SELECTOR, 0x10 },
    { VMCS_GUEST_CS_BASE, 0 },
    { VMCS_GUEST_CS_LIMIT, UINT32_MAX },
    { VMCS_GUEST_CS_ACCESS_RIGHTS, 0xa09b },
    { VMCS_GUEST_SS_SELECTOR, 0x18 },
    { VMCS_GUEST_SS_BASE, 0 },
    { VMCS_GUEST_SS_LIMIT, UINT32_MAX },
    { VMCS_GUEST_SS_ACCESS_RIGHTS, 0xc093 },
    { VMCS_GUEST_DS_SELECTOR, 0 },
    { VMCS_GUEST_DS_BASE, 0 },
    { VMCS_GUEST_DS_ACCESS_RIGHTS, 0x10000 },
    { VMCS_GUEST_FS_SELECTOR, 0x28 },
    { VMCS_GUEST_FS_BASE, 0x111000 },
    { VMCS_GUEST_FS_ACCESS_RIGHTS, 0xc093 },
    { VMCS_GUEST_GS_SELECTOR, 0 },
    { VMCS_GUEST_GS_BASE, 0x222000 },
    { VMCS_GUEST_GS_ACCESS_RIGHTS, 0x10000 },
    { VMCS_GUEST_LDTR_SELECTOR, 0 },
    { VMCS_GUEST_LDTR_ACCESS_RIGHTS, 0x10000 },
    { VMCS_GUEST_TR_SELECTOR, 0x40 },
    { VMCS_GUEST_TR_BASE, 0x333000 },
    { VMCS_GUEST_TR_LIMIT, 0x67 },
    { VMCS_GUEST_TR_ACCESS_RIGHTS, 0x8b },
    { VMCS_GUEST_GDTR_BASE, 0x444000 },
    { VMCS_GUEST_GDTR_LIMIT, 0xffff },
    { VMCS_GUEST_IDTR_BASE, 0x555000 },
    { VMCS_GUEST_IDTR_LIMIT, 0xffff },
    { VMCS_GUEST_CR0, 0x80050033 }, /* CD and NW are the VM's */
    { VMCS_CR0_READ_SHADOW, 0x80050033 },
    { VMCS_GUEST_CR3, 0x2000 },
    { VMCS_GUEST_CR4, 0x26a0 },
    { VMCS_CR4_READ_SHADOW, 0x26a0 },
    { VMCS_GUEST_RSP, 0x666000 },
    { VMCS_GUEST_RIP, HOST_EXIT_RIP },
    { VMCS_GUEST_RFLAGS, 2 },
    { VMCS_GUEST_DR7, 0x400 },
    { VMCS_GUEST_IA32_DEBUGCTL, 0 },
    { VMCS_GUEST_IA32_SYSENTER_CS, 0x77 },
    { VMCS_GUEST_IA32_SYSENTER_ESP, 0x888000 },
    { VMCS_GUEST_IA32_SYSENTER_EIP, 0x999000 },
    { VMCS_GUEST_IA32_EFER, 0xd01 },
    { VMCS_GUEST_IA32_PAT, 0x0606060606060606 },
    { VMCS_GUEST_INTERRUPTIBILITY, 0 },
    { VMCS_GUEST_ACTIVITY_STATE, 0 },
    { VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS, 0 },
};

static void prepare_host_fields(void)
{
    host_vmxon();
    host_prepare_vmcs(0);
    for (size_t i = 0; i < COUNT_OF(host_fields); i++)
        write_field(host_fields[i].encoding, host_fields[i].value);
}

static void exits_load_all_host_state(void **state)
{
    (void)state;
    prepare_host_fields();
    assert_enters(launch());
    poison_vmcs01();
    assert_outcome(halt(), EXITED, EXIT_HLT);
    assert_loaded(loaded_state, COUNT_OF(loaded_state));
    assert_enters(resume());
    hw_vmwrite(VMCS_GUEST_CR0, 0xe0000031);
    assert_outcome(halt(), EXITED, EXIT_HLT);
    assert_int_equal(hw_vmread(VMCS_GUEST_CR0), 0xe0050033);
    assert_int_equal(hw_vmread(VMCS_CR0_READ_SHADOW), 0xe0050033);
}

/* A failed entry loads host state, too; what its VMCS does not load stays as the hypervisor had it. */
static void failed_entries_load_all_host_state(void **state)
{
    (void)state;
    prepare_host_fields();
    write_field(VMCS_VM_EXIT_CONTROLS, BASE_EXIT & ~(EXIT_LOAD_EFER | EXIT_LOAD_PAT));
    assert_enters(launch());
    poison_vmcs01();
    *fake_vmcs_field(fake_cpu->vmcs01, VMCS_GUEST_CR0) = 0x80000033;
    *fake_vmcs_field(fake_cpu->vmcs01, VMCS_GUEST_IA32_EFER) = 0xd00;
    *fake_vmcs_field(fake_cpu->vmcs01, VMCS_GUEST_IA32_PAT) = 0x0707070707070707;
    assert_outcome(host_vm_exits(EXIT_ENTRY_FAILURE | EXIT_ENTRY_GUEST_STATE, 2), EXITED, EXIT_ENTRY_GUEST_STATE);
    for (size_t i = 0; i < COUNT_OF(loaded_state); i++)
        if (loaded_state[i].encoding != VMCS_GUEST_IA32_EFER && loaded_state[i].encoding != VMCS_GUEST_IA32_PAT)
            assert_loaded(&loaded_state[i], 1);
    assert_int_equal(hw_vmread(VMCS_GUEST_IA32_EFER), 0xd00);
    assert_int_equal(hw_vmread(VMCS_GUEST_IA32_PAT), 0x0707070707070707);
    assert_int_equal(read_field(VMCS_EXIT_QUALIFICATION), 2);
}

/* MSRs that the exit controls don't load keep what the VM had, but for the mode. */
static void unloaded_msrs_stay_the_vms(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    write_field(VMCS_VM_EXIT_CONTROLS, BASE_EXIT & ~(EXIT_LOAD_EFER | EXIT_LOAD_PAT));
    assert_enters(launch());
    hw_vmwrite(VMCS_GUEST_IA32_EFER, 0x801);
    hw_vmwrite(VMCS_GUEST_IA32_PAT, 0x0404040404040404);
    assert_outcome(halt(), EXITED, EXIT_HLT);
    assert_int_equal(hw_vmread(VMCS_GUEST_IA32_EFER), 0xd01);
    assert_int_equal(hw_vmread(VMCS_GUEST_IA32_PAT), 0x0404040404040404);
}

/* ---- What an exit saves: SDM "Saving Guest State". ---- */

static void debug_controls_are_saved_on_demand(void **state)
{
    (void)state;
    enter_once();
    hw_vmwrite(VMCS_GUEST_DR7, 0x455);
    hw_vmwrite(VMCS_GUEST_IA32_DEBUGCTL, 3);
    assert_outcome(halt(), EXITED, EXIT_HLT);
    assert_int_equal(read_field(VMCS_GUEST_DR7), 0); /* as the host wrote it */
    write_field(VMCS_VM_EXIT_CONTROLS, BASE_EXIT | EXIT_SAVE_DEBUG_CONTROLS);
    assert_enters(resume());
    hw_vmwrite(VMCS_GUEST_DR7, 0x455);
    hw_vmwrite(VMCS_GUEST_IA32_DEBUGCTL, 3);
    assert_outcome(halt(), EXITED, EXIT_HLT);
    assert_int_equal(read_field(VMCS_GUEST_DR7), 0x455);
    assert_int_equal(read_field(VMCS_GUEST_IA32_DEBUGCTL), 3);
}

static void efer_and_pat_are_saved_on_demand(void **state)
{
    static const uint32_t saves[] = { 0, EXIT_SAVE_EFER, EXIT_SAVE_PAT, EXIT_SAVE_EFER | EXIT_SAVE_PAT };

    (void)state;
    host_vmxon();
    launched_vmcs(0);
    for (size_t i = 0; i < COUNT_OF(saves); i++) {
        write_field(VMCS_VM_EXIT_CONTROLS, (BASE_EXIT & ~(EXIT_SAVE_EFER | EXIT_SAVE_PAT)) | saves[i]);
        write_field(VMCS_GUEST_IA32_EFER, 0xd01);
        write_field(VMCS_GUEST_IA32_PAT, BASE_PAT);
        assert_enters(resume());
        hw_vmwrite(VMCS_GUEST_IA32_EFER, 0x500);
        hw_vmwrite(VMCS_GUEST_IA32_PAT, 0x0505050505050505);
        assert_outcome(halt(), EXITED, EXIT_HLT);
        assert_int_equal(read_field(VMCS_GUEST_IA32_EFER), saves[i] & EXIT_SAVE_EFER ? 0x500 : 0xd01);
        assert_int_equal(read_field(VMCS_GUEST_IA32_PAT), saves[i] & EXIT_SAVE_PAT ? 0x0505050505050505 : BASE_PAT);
    }
}

/* IA32_VMX_MISC[5]: the entry control follows the VM's mode. */
static void the_mode_is_stored_into_the_entry_controls(void **state)
{
    (void)state;
    enter_once();
    hw_vmwrite(VMCS_VM_ENTRY_CONTROLS, hw_vmread(VMCS_VM_ENTRY_CONTROLS) & ~(uint64_t)ENTRY_IA32E_GUEST);
    assert_outcome(halt(), EXITED, EXIT_HLT);
    assert_int_equal(read_field(VMCS_VM_ENTRY_CONTROLS), BASE_ENTRY & ~ENTRY_IA32E_GUEST);
    assert_enters(resume());
    hw_vmwrite(VMCS_VM_ENTRY_CONTROLS, hw_vmread(VMCS_VM_ENTRY_CONTROLS) | ENTRY_IA32E_GUEST);
    assert_outcome(halt(), EXITED, EXIT_HLT);
    assert_int_equal(read_field(VMCS_VM_ENTRY_CONTROLS), BASE_ENTRY);
    caps_offer.misc &= ~MISC_STORE_LMA;
    assert_enters(resume());
    hw_vmwrite(VMCS_VM_ENTRY_CONTROLS, hw_vmread(VMCS_VM_ENTRY_CONTROLS) & ~(uint64_t)ENTRY_IA32E_GUEST);
    assert_outcome(halt(), EXITED, EXIT_HLT);
    assert_int_equal(read_field(VMCS_VM_ENTRY_CONTROLS), BASE_ENTRY);
}

static void mappings_of_vpid_0_are_flushed(void **state)
{
    unsigned before;

    (void)state;
    enter_once();
    before = fake_counts.invvpid;
    assert_outcome(halt(), EXITED, EXIT_HLT);
    assert_int_equal(fake_counts.invvpid, before);
    write_field(VMCS_SECONDARY_CONTROLS, SEC_EPT);
    assert_enters(resume());
    before = fake_counts.invvpid;
    assert_outcome(halt(), EXITED, EXIT_HLT);
    assert_int_equal(fake_counts.invvpid, before + 1);
}

static void waiting_work_is_noticed(void **state)
{
    (void)state;
    enter_once();
    assert_outcome(halt(), EXITED, EXIT_HLT);
    assert_int_equal(fake_cpu->attention, 0);
    assert_enters(resume());
    fake_cpu->host_nmi = 1;
    assert_outcome(halt(), EXITED, EXIT_HLT);
    assert_int_equal(fake_cpu->attention, 1);
}

/* ---- MSR lists. ---- */

static void set_list_entry(unsigned i, uint64_t msr, uint64_t value)
{
    phys_write64(hpa(HOST_MSR_LIST + 16 * i), msr);
    phys_write64(hpa(HOST_MSR_LIST + 16 * i + 8), value);
}

static void enter_with_lists(uint32_t address, uint32_t count, uint64_t entries)
{
    host_vmxon();
    host_prepare_vmcs(0);
    write_field(address, HOST_MSR_LIST);
    write_field(count, entries);
    assert_enters(launch());
}

/* MSRs that live in a VMCS are stored from vmcs02 and loaded into vmcs01. */
static void lists_know_msrs_of_the_vmcs(void **state)
{
    static const struct {
        uint32_t msr, encoding;
        uint64_t value;
        bool loadable;
    } msrs[] = {
        { MSR_EFER, VMCS_GUEST_IA32_EFER, 0xd00, true },
        { MSR_PAT, VMCS_GUEST_IA32_PAT, 0x0101010101010101, true },
        { MSR_DEBUGCTL, VMCS_GUEST_IA32_DEBUGCTL, 3, true },
        { MSR_SYSENTER_CS, VMCS_GUEST_IA32_SYSENTER_CS, UINT32_MAX, true },
        { MSR_SYSENTER_ESP, VMCS_GUEST_IA32_SYSENTER_ESP, UINT64_C(0xffff800000000000), true },
        { MSR_SYSENTER_EIP, VMCS_GUEST_IA32_SYSENTER_EIP, UINT64_C(0x7fffffffffff), true },
        { MSR_FS_BASE, VMCS_GUEST_FS_BASE, 0x1000, false },
        { MSR_GS_BASE, VMCS_GUEST_GS_BASE, 0x2000, false },
    };

    for (size_t i = 0; i < COUNT_OF(msrs); i++) {
        host_start(*(const bool *)*state);
        set_list_entry(0, msrs[i].msr, POISON);
        enter_with_lists(VMCS_VM_EXIT_MSR_STORE_ADDR, VMCS_VM_EXIT_MSR_STORE_COUNT, 1);
        hw_vmwrite(msrs[i].encoding, msrs[i].value);
        assert_outcome(halt(), EXITED, EXIT_HLT);
        assert_int_equal(phys_read64(hpa(HOST_MSR_LIST + 8)), msrs[i].value);

        host_start(*(const bool *)*state);
        set_list_entry(0, msrs[i].msr, msrs[i].value);
        enter_with_lists(VMCS_VM_EXIT_MSR_LOAD_ADDR, VMCS_VM_EXIT_MSR_LOAD_COUNT, 1);
        if (msrs[i].loadable) {
            assert_outcome(halt(), EXITED, EXIT_HLT);
            assert_int_equal(hw_vmread(msrs[i].encoding), msrs[i].value);
        } else {
            assert_outcome(halt(), ABORTED, 0);
        }
    }
}

/* SDM "VMX Aborts": what a list may not hold. The layer survives, the CPU of the host's does not. */
static void bad_lists_stop_the_cpu(void **state)
{
    static const struct {
        uint64_t msr, value;
        bool store_too; /* bad in a store list as well */
    } bad[] = {
        { 0x800, 0, true },
        { 0x8ff, 0, true },
        { 0x830, 0, true },
        { 0x200, 0, true },                        /* MTRRs are kept apart */
        { 0x1b, 0xfee00900, false },               /* IA32_APIC_BASE: only writes are the layer's */
        { 0x12345678, 0, true },                   /* raises #GP */
        { MSR_STAR | UINT64_C(1) << 32, 0, true }, /* reserved bits */
        { MSR_EFER, 0x501 | 2, false },
        { MSR_EFER, 0x001, false },
        { MSR_PAT, 2, false },
        { MSR_DEBUGCTL, 4, false },
        { MSR_SYSENTER_CS, UINT64_C(0x100000000), false },
        { MSR_SYSENTER_ESP, UINT64_C(0x800000000000), false },
        { MSR_SYSENTER_EIP, UINT64_C(0x8000000000000000), false },
    };

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        host_start(*(const bool *)*state);
        fake_msr_set(MSR_STAR, 0);
        fake_msr_set(0x1b, 0xfee00900);
        set_list_entry(0, MSR_STAR, 0);
        set_list_entry(1, bad[i].msr, bad[i].value);
        enter_with_lists(VMCS_VM_EXIT_MSR_LOAD_ADDR, VMCS_VM_EXIT_MSR_LOAD_COUNT, 2);
        assert_outcome(halt(), ABORTED, 0);

        host_start(*(const bool *)*state);
        fake_msr_set(MSR_STAR, 0);
        fake_msr_set(0x1b, 0xfee00900);
        set_list_entry(0, MSR_STAR, 0);
        set_list_entry(1, bad[i].msr, bad[i].value);
        enter_with_lists(VMCS_VM_EXIT_MSR_STORE_ADDR, VMCS_VM_EXIT_MSR_STORE_COUNT, 2);
        assert_int_equal(halt().what, bad[i].store_too ? ABORTED : EXITED);
    }
}

static void the_neighbours_of_x2apic_msrs_are_allowed(void **state)
{
    (void)state;
    fake_msr_set(0x7ff, 0);
    fake_msr_set(0x900, 0);
    set_list_entry(0, 0x7ff, 1);
    set_list_entry(1, 0x900, 2);
    enter_with_lists(VMCS_VM_EXIT_MSR_LOAD_ADDR, VMCS_VM_EXIT_MSR_LOAD_COUNT, 2);
    assert_outcome(halt(), EXITED, EXIT_HLT);
    assert_int_equal(fake_msr_get(0x7ff), 1);
    assert_int_equal(fake_msr_get(0x900), 2);
}

/* ---- NMIs. ---- */

static void exceptions_are_reflected(void **state)
{
    (void)state;
    enter_once();
    hw_vmwrite(VMCS_VM_EXIT_INTERRUPTION_INFO, 0x80000b0e);
    hw_vmwrite(VMCS_VM_EXIT_INTERRUPTION_ERROR_CODE, 5);
    assert_outcome(host_vm_exits(EXIT_EXCEPTION_OR_NMI, 0x1234), EXITED, EXIT_EXCEPTION_OR_NMI);
    assert_int_equal(read_field(VMCS_VM_EXIT_INTERRUPTION_INFO), 0x80000b0e);
    assert_int_equal(read_field(VMCS_VM_EXIT_INTERRUPTION_ERROR_CODE), 5);
    assert_int_equal(read_field(VMCS_EXIT_QUALIFICATION), 0x1234);
    assert_int_equal(hw_vmread(VMCS_GUEST_INTERRUPTIBILITY), 0);
    assert_int_equal(host_calls.nmi_exit, 0);
}

/* An NMI may be a kick of the layer's: it is looked at before anything reaches the host. */
static void nmis_are_looked_at_first(void **state)
{
    uint64_t kept;

    (void)state;
    enter_once();
    kept = fake_cpu->stats[STAT_vm_exits_kept];
    hw_vmwrite(VMCS_VM_EXIT_INTERRUPTION_INFO, 0x80000202);
    assert_enters(host_vm_exits(EXIT_EXCEPTION_OR_NMI, 0));
    assert_int_equal(host_calls.nmi_exit, 1);
    assert_int_equal(host_calls.reinjected, 1);
    assert_int_equal(fake_cpu->stats[STAT_vm_exits_kept], kept + 1);
}

static void the_hosts_nmis_are_exits_of_its_vm(void **state)
{
    (void)state;
    enter_once();
    hw_vmwrite(VMCS_VM_ENTRY_INTERRUPTION_INFO, 0x80000b0d); /* an event on its way in */
    hw_vmwrite(VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE, 0x10);
    hw_vmwrite(VMCS_VM_ENTRY_INSTRUCTION_LENGTH, 2);
    hw_vmwrite(VMCS_VM_EXIT_INTERRUPTION_ERROR_CODE, 99);
    assert_outcome(host_vm_nmi(), EXITED, EXIT_EXCEPTION_OR_NMI);
    assert_int_equal(read_field(VMCS_VM_EXIT_INTERRUPTION_INFO), 0x80000202);
    assert_int_equal(read_field(VMCS_VM_EXIT_INTERRUPTION_ERROR_CODE), 0);
    assert_int_equal(read_field(VMCS_IDT_VECTORING_INFO), 0x80000b0d);
    assert_int_equal(read_field(VMCS_IDT_VECTORING_ERROR_CODE), 0x10);
    assert_int_equal(read_field(VMCS_VM_EXIT_INSTRUCTION_LENGTH), 2);
    assert_int_equal(read_field(VMCS_EXIT_QUALIFICATION), 0);
    assert_int_equal(hw_vmread(VMCS_GUEST_INTERRUPTIBILITY), BLOCKING_BY_NMI);
    assert_int_equal(*fake_vmcs_field(fake_cpu->current->vmcs02, VMCS_VM_ENTRY_INTERRUPTION_INFO) & INTR_VALID, 0);
    assert_enters(resume());
    assert_outcome(host_vm_nmi(), EXITED, EXIT_EXCEPTION_OR_NMI);
    assert_int_equal(read_field(VMCS_IDT_VECTORING_INFO), 0);
}

static void without_nmi_exiting_the_vm_gets_it(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    write_field(VMCS_PIN_BASED_CONTROLS, BASE_PIN & ~PIN_NMI_EXITING);
    assert_enters(launch());
    assert_enters(host_vm_nmi());
    assert_int_equal(hw_vmread(VMCS_VM_ENTRY_INTERRUPTION_INFO), 0x80000202);
    hw_vmwrite(VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_BY_NMI); /* it runs its handler */
    assert_outcome(halt(), EXITED, EXIT_HLT);
    assert_int_equal(hw_vmread(VMCS_GUEST_INTERRUPTIBILITY), BLOCKING_BY_NMI);
    write_field(VMCS_GUEST_INTERRUPTIBILITY, 0);
    assert_enters(resume());
    assert_outcome(halt(), EXITED, EXIT_HLT);
    assert_int_equal(hw_vmread(VMCS_GUEST_INTERRUPTIBILITY), 0);
}

static void nmi_windows(void **state)
{
    (void)state;
    enter_once();
    assert_enters(host_vm_exits(EXIT_NMI_WINDOW, 0)); /* the layer's own */
    assert_int_equal(host_calls.nmi_window, 1);
    assert_outcome(halt(), EXITED, EXIT_HLT);
    write_field(VMCS_PIN_BASED_CONTROLS, BASE_PIN | PIN_VIRTUAL_NMIS);
    write_field(VMCS_PROCESSOR_BASED_CONTROLS, BASE_PROC | PROC_NMI_WINDOW_EXITING);
    assert_enters(resume());
    assert_outcome(host_vm_exits(EXIT_NMI_WINDOW, 0), EXITED, EXIT_NMI_WINDOW);
    assert_int_equal(host_calls.nmi_window, 1);
}

/* ---- Intercepts of the layer's. ---- */

static void set_bit(uint64_t bitmap, unsigned bit)
{
    ((uint8_t *)phys_to_virt(hpa(bitmap)))[bit / 8] |= (uint8_t)(1u << (bit % 8));
}

#define PORT(port, bytes) ((uint64_t)(port) << 16 | ((bytes)-1))

/* Port 64h is the layer's (reset); 7FFEh to 8001h are made its own here. */
static void ports_of_the_layer(void **state)
{
    static const struct {
        const char *name;
        uint64_t access;
        int hosts_bit; /* in the host's bitmaps, or -1 */
        bool kept;
    } ports[] = {
        { "not the layer's", PORT(0x80, 1), -1, false },
        { "the layer's", PORT(0x64, 1), -1, true },
        { "the layer's, host's bit", PORT(0x64, 1), 0x64, false },
        { "the layer's, host's neighbour bit", PORT(0x64, 1), 0x65, true },
        { "the layer's, host's bit in the second byte", PORT(0x64, 2), 0x65, false },
        { "the layer's in the last of 4 bytes", PORT(0x61, 4), -1, true },
        { "the layer's, host's bit in the last byte", PORT(0x61, 4), 0x64, false },
        { "end of bitmap A", PORT(0x7fff, 1), -1, true },
        { "end of bitmap A, host's bit", PORT(0x7fff, 1), 0x7fff, false },
        { "start of bitmap B", PORT(0x8000, 1), -1, true },
        { "start of bitmap B, host's bit", PORT(0x8000, 1), 0x8000, false },
        { "across, host's bit in B", PORT(0x7fff, 2), 0x8000, false },
        { "across, no bit of the host's", PORT(0x7fff, 2), 0x8002, true },
        { "wrapping", PORT(0xffff, 2), -1, false },
    };

    for (size_t i = 0; i < COUNT_OF(ports); i++) {
        struct outcome o;

        host_start(*(const bool *)*state);
        if (ports[i].hosts_bit >= 0)
            set_bit(HOST_IO_BITMAP, (unsigned)ports[i].hosts_bit);
        enter_once();
        for (uint16_t port = 0x7ffe; port <= 0x8001; port++)
            intercepts_add_port(port);
        intercepts_add_port(0);
        hw_vmwrite(VMCS_VM_EXIT_INSTRUCTION_LENGTH, 2);
        hw_vmwrite(VMCS_GUEST_RIP, 0x1000);
        hw_vmwrite(VMCS_GUEST_CS_ACCESS_RIGHTS, 0xa09b);
        merge_bitmaps(fake_cpu, fake_cpu->current);
        o = host_vm_exits(EXIT_IO, ports[i].access);
        if ((o.what != EXITED) != ports[i].kept || host_calls.io_access != ports[i].kept)
            fail_msg("%s", ports[i].name);
        if (ports[i].kept)
            assert_int_equal(*fake_vmcs_field(fake_cpu->current->vmcs02, VMCS_GUEST_RIP), 0x1002);
        else
            assert_int_equal(read_field(VMCS_EXIT_QUALIFICATION), ports[i].access);
    }
}

static void ports_without_bitmaps(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    write_field(VMCS_PROCESSOR_BASED_CONTROLS, BASE_PROC & ~PROC_IO_BITMAPS);
    assert_enters(launch());
    hw_vmwrite(VMCS_GUEST_CS_ACCESS_RIGHTS, 0xa09b);
    assert_int_equal(host_vm_exits(EXIT_IO, PORT(0x64, 1)).what, ENTERED);
    assert_int_equal(host_calls.io_access, 1);
    assert_outcome(halt(), EXITED, EXIT_HLT);
    write_field(VMCS_PROCESSOR_BASED_CONTROLS, (BASE_PROC & ~PROC_IO_BITMAPS) | PROC_UNCONDITIONAL_IO_EXITING);
    assert_enters(resume());
    assert_outcome(host_vm_exits(EXIT_IO, PORT(0x64, 1)), EXITED, EXIT_IO);
    assert_int_equal(host_calls.io_access, 1);
}

static void msrs_of_the_layer(void **state)
{
    static const struct {
        uint32_t msr;
        bool write, bitmap, hosts_bit, kept;
    } accesses[] = {
        { 0x1b, true, true, false, true },         { 0x1b, true, true, true, false },
        { 0x1b, true, false, false, false }, /* without bitmaps each access exits */
        { 0x1b, false, true, false, false }, /* reads are not the layer's: the host must have asked */
        { 0x480, false, true, false, true },       { 0x480, false, true, true, false },
        { 0x40000000, false, true, false, false }, /* has no bit, always exits */
        { 0xc0000080, true, true, true, false },
    };

    for (size_t i = 0; i < COUNT_OF(accesses); i++) {
        uint32_t index = (accesses[i].msr & 0x1fff) + (accesses[i].msr >> 31 ? 8192 : 0);
        uint32_t reason = accesses[i].write ? EXIT_WRMSR : EXIT_RDMSR;

        host_start(*(const bool *)*state);
        if (accesses[i].hosts_bit)
            set_bit(HOST_MSR_BITMAP + (accesses[i].write ? 2048 : 0), index);
        host_vmxon();
        host_prepare_vmcs(0);
        if (!accesses[i].bitmap)
            write_field(VMCS_PROCESSOR_BASED_CONTROLS, BASE_PROC & ~PROC_MSR_BITMAPS);
        assert_enters(launch());
        fake_cpu->gpr[RCX] = accesses[i].msr;
        if ((host_vm_exits(reason, 0).what != EXITED) != accesses[i].kept || host_calls.msr_access != accesses[i].kept)
            fail_msg("access %u", (unsigned)i);
    }
}

/* ---- EPT violations. ---- */

static void violations_show_what_ept12_allows(void **state)
{
    static const uint64_t permissions[] = { EPT_READ, EPT_READ | EPT_WRITE, EPT_READ | EPT_EXECUTE, EPT_EXECUTE };

    (void)state;
    enter_once();
    for (size_t i = 0; i < COUNT_OF(permissions); i++) {
        uint64_t access = EPT_RWX & ~permissions[i];

        map_in_ept12(0, permissions[i]);
        hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, 0x6000);
        hw_vmwrite(VMCS_GUEST_LINEAR_ADDRESS, 0x7777);
        assert_outcome(host_vm_exits(EXIT_EPT_VIOLATION, 0x1b8 | access), EXITED, EXIT_EPT_VIOLATION);
        assert_int_equal(read_field(VMCS_EXIT_QUALIFICATION), 0x180 | access | permissions[i] << 3);
        assert_int_equal(read_field(VMCS_GUEST_LINEAR_ADDRESS), 0x7777);
        map_in_ept12(0, EPT_RWX);
        assert_succeeds(host_invalidate(EXIT_INVEPT, 2, 0, 0));
        assert_enters(resume());
    }
}

/* The refill on the resume serves the access that failed, at its address. */
static void refills_serve_the_failed_access(void **state)
{
    unsigned level;

    (void)state;
    enter_once();
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, UINT64_C(0x40006000));
    assert_outcome(host_vm_exits(EXIT_EPT_VIOLATION, EPT_WRITE), EXITED, EXIT_EPT_VIOLATION);
    phys_write64(hpa(HOST_EPT12(0)), (HOST_EPT12(0) + 0x80000) | EPT_RWX);
    phys_write64(hpa(HOST_EPT12(0) + 0x80008), UINT64_C(0x80000000) | EPT_LARGE | EPT_RWX);
    assert_enters(resume());
    assert_int_equal(ept_find(&fake_cpu->current->ept02->tree, UINT64_C(0x40006000), &level) & EPT_RWX, EPT_RWX);
    assert_int_equal(phys_read64(hpa(HOST_EPT12(0) + 0x80008)) & EPT_DIRTY, EPT_DIRTY);
}

static void exits_that_stay_are_counted(void **state)
{
    uint64_t kept;

    (void)state;
    map_in_ept12(0, EPT_RWX);
    enter_once();
    kept = fake_cpu->stats[STAT_vm_exits_kept];
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, 0x5000);
    assert_enters(host_vm_exits(EXIT_EPT_VIOLATION, EPT_READ));
    fake_cpu->gpr[RCX] = 0x1b;
    assert_int_equal(host_vm_exits(EXIT_WRMSR, 0).what, ENTERED);
    assert_int_equal(fake_cpu->stats[STAT_vm_exits_kept], kept + 2);
    assert_int_equal(fake_cpu->stats[STAT_vm_exits], 0);
}

int main(void)
{
    static const struct nested_test tests[] = {
        TEST(exits_load_all_host_state),
        TEST(failed_entries_load_all_host_state),
        TEST(unloaded_msrs_stay_the_vms),
        TEST(debug_controls_are_saved_on_demand),
        TEST(efer_and_pat_are_saved_on_demand),
        TEST(the_mode_is_stored_into_the_entry_controls),
        TEST(mappings_of_vpid_0_are_flushed),
        TEST(waiting_work_is_noticed),
        TEST(lists_know_msrs_of_the_vmcs),
        TEST(bad_lists_stop_the_cpu),
        TEST(the_neighbours_of_x2apic_msrs_are_allowed),
        TEST(exceptions_are_reflected),
        TEST(nmis_are_looked_at_first),
        TEST(the_hosts_nmis_are_exits_of_its_vm),
        TEST(without_nmi_exiting_the_vm_gets_it),
        TEST(nmi_windows),
        TEST(ports_of_the_layer),
        TEST(ports_without_bitmaps),
        TEST(msrs_of_the_layer),
        TEST(violations_show_what_ept12_allows),
        TEST(refills_serve_the_failed_access),
        TEST(exits_that_stay_are_counted),
    };

    return run_nested_tests("nested_exits", tests, COUNT_OF(tests));
}
