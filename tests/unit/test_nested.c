/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Nested VMX on the fake processor: the life of a VMCS, each instruction's errors, what reaches vmcs02 and what never
 * does, exits, and two CPUs. Each case runs with hardware VMCS shadowing and without.
 */
#include "nested.h"
#include "cloudvisor/intercepts.h"
#include "cloudvisor/pool.h"
#include "cloudvisor/vmcs01.h"
#include "ept-guard/frames.h"
#include "ept-guard/host_ept.h"

/* ---- VMX operation. ---- */

static void outside_vmx_operation_all_is_ud(void **state)
{
    static const uint32_t reasons[] = { EXIT_VMXOFF,  EXIT_VMCLEAR,  EXIT_VMPTRLD,  EXIT_VMPTRST, EXIT_VMREAD,
                                        EXIT_VMWRITE, EXIT_VMLAUNCH, EXIT_VMRESUME, EXIT_INVEPT,  EXIT_INVVPID };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        assert_faults(host_instruction(reasons[i], 0), UD);
    hw_vmwrite(VMCS_CR4_READ_SHADOW, 0x6a0); /* CR4.VMXE = 0 */
    assert_faults(host_instruction(EXIT_VMXON, HOST_VMXON), UD);
}

static void modes_and_privilege(void **state)
{
    (void)state;
    hw_vmwrite(VMCS_GUEST_SS_ACCESS_RIGHTS, 0xc0f3); /* CPL 3 */
    assert_faults(host_instruction(EXIT_VMXON, HOST_VMXON), GP);
    hw_vmwrite(VMCS_GUEST_SS_ACCESS_RIGHTS, 0xc093);
    hw_vmwrite(VMCS_GUEST_CS_ACCESS_RIGHTS, 0xc09b); /* compatibility mode */
    assert_faults(host_instruction(EXIT_VMXON, HOST_VMXON), UD);
    hw_vmwrite(VMCS_GUEST_CS_ACCESS_RIGHTS, 0xa09b);
    hw_vmwrite(VMCS_GUEST_IA32_EFER, 0x801); /* 32-bit protected mode */
    assert_faults(host_instruction(EXIT_VMXON, HOST_VMXON), UD);
    hw_vmwrite(VMCS_GUEST_IA32_EFER, 0xd01);
    host_vmxon();
    hw_vmwrite(VMCS_GUEST_SS_ACCESS_RIGHTS, 0xc0f3);
    assert_faults(host_instruction(EXIT_VMXOFF, 0), GP);
}

static void vmxon_checks_its_region(void **state)
{
    (void)state;
    assert_invalid(host_instruction(EXIT_VMXON, HOST_VMXON + 1));
    assert_invalid(host_instruction(EXIT_VMXON, UINT64_C(1) << 40));
    assert_invalid(host_instruction(EXIT_VMXON, HOST_MSR_LIST)); /* revision 0 */
    assert_invalid(host_instruction(EXIT_VMXON, FAKE_POOL_BASE));
    assert_invalid(host_instruction(EXIT_VMXON, 0xfee00000));
    assert_succeeds(host_instruction(EXIT_VMXON, HOST_VMXON));
    assert_invalid(host_instruction(EXIT_VMXON, HOST_VMXON)); /* no current VMCS */
    host_prepare_vmcs(0);
    assert_fails(host_instruction(EXIT_VMXON, HOST_VMXON), VMERR_VMXON_IN_ROOT);
    assert_succeeds(host_instruction(EXIT_VMXOFF, 0));
    assert_faults(host_instruction(EXIT_VMXOFF, 0), UD);
}

static void operands_that_are_not_mapped(void **state)
{
    (void)state;
    phys_write64(hpa(0x3000), 0);
    assert_faults(host_instruction(EXIT_VMXON, HOST_VMXON), PF);
    assert_int_equal(hw_read_cr2(), HOST_OPERAND);
    phys_write64(hpa(0x3000), 0x87);
    hw_vmwrite(VMCS_GUEST_DS_BASE, 0x1000); /* ignored in 64-bit mode */
    host_vmxon();
    phys_write64(hpa(0x3000), 0x85); /* read-only */
    assert_faults(host_instruction(EXIT_VMPTRST, 0), PF);
}

/* ---- VMCS regions. ---- */

static void vmclear_and_vmptrld_check_the_region(void **state)
{
    (void)state;
    host_vmxon();
    assert_invalid(host_instruction(EXIT_VMCLEAR, HOST_VMCS(0) + 8));
    assert_invalid(host_instruction(EXIT_VMPTRLD, HOST_VMCS(0) + 8));
    host_prepare_vmcs(0);
    assert_fails(host_instruction(EXIT_VMCLEAR, HOST_VMCS(1) + 8), VMERR_VMCLEAR_ADDRESS);
    assert_fails(host_instruction(EXIT_VMCLEAR, UINT64_C(1) << 40), VMERR_VMCLEAR_ADDRESS);
    assert_fails(host_instruction(EXIT_VMCLEAR, HOST_VMXON), VMERR_VMCLEAR_VMXON_POINTER);
    assert_fails(host_instruction(EXIT_VMPTRLD, HOST_VMCS(1) + 8), VMERR_VMPTRLD_ADDRESS);
    assert_fails(host_instruction(EXIT_VMPTRLD, UINT64_C(1) << 63), VMERR_VMPTRLD_ADDRESS);
    assert_fails(host_instruction(EXIT_VMPTRLD, HOST_VMXON), VMERR_VMPTRLD_VMXON_POINTER);
    assert_fails(host_instruction(EXIT_VMPTRLD, HOST_MSR_LIST), VMERR_VMPTRLD_REVISION);
    assert_fails(host_instruction(EXIT_VMPTRLD, FAKE_POOL_BASE), VMERR_VMPTRLD_REVISION);
    assert_fails(host_instruction(EXIT_VMPTRLD, 0xfee00000), VMERR_VMPTRLD_REVISION);
    assert_succeeds(host_instruction(EXIT_VMCLEAR, FAKE_POOL_BASE)); /* swallowed */
    assert_succeeds(host_instruction(EXIT_VMCLEAR, 0xfee00000));
}

static void vmptrst_stores_the_pointer(void **state)
{
    (void)state;
    host_vmxon();
    assert_succeeds(host_instruction(EXIT_VMPTRST, 0));
    assert_int_equal(phys_read64(hpa(HOST_OPERAND)), UINT64_MAX);
    host_prepare_vmcs(3);
    assert_succeeds(host_instruction(EXIT_VMPTRST, 0));
    assert_int_equal(phys_read64(hpa(HOST_OPERAND)), HOST_VMCS(3));
    assert_succeeds(host_instruction(EXIT_VMCLEAR, HOST_VMCS(3)));
    assert_succeeds(host_instruction(EXIT_VMPTRST, 0));
    assert_int_equal(phys_read64(hpa(HOST_OPERAND)), UINT64_MAX);
}

/* Every offered field keeps what was written, cut to its width, through VMCLEAR and back. */
static void fields_keep_their_values(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    for (int i = 0; i < VMCS_FIELD_COUNT; i++)
        if (vmcs12_offers(i))
            write_field(vmcs_fields[i].encoding,
                        UINT64_C(0xa5a5a5a500000000) * (unsigned)i + 0x01010101u * (unsigned)i);
    host_prepare_vmcs(1);
    assert_succeeds(host_instruction(EXIT_VMCLEAR, HOST_VMCS(0)));
    assert_succeeds(host_instruction(EXIT_VMPTRLD, HOST_VMCS(0)));
    for (int i = 0; i < VMCS_FIELD_COUNT; i++) {
        uint64_t written = UINT64_C(0xa5a5a5a500000000) * (unsigned)i + 0x01010101u * (unsigned)i;
        uint32_t encoding = vmcs_fields[i].encoding;

        if (!vmcs12_offers(i))
            continue;
        if (read_field(encoding) != vmcs_field_merge(encoding, 0, written))
            fail_msg("field %#x", encoding);
        if (VMCS_ENCODING_WIDTH(encoding) == VMCS_WIDTH_64)
            assert_int_equal(read_field(encoding + 1), written >> 32);
    }
    assert_succeeds(host_instruction(EXIT_VMPTRLD, HOST_VMCS(1)));
    assert_int_equal(read_field(VMCS_HOST_RIP), HOST_EXIT_RIP);
}

static void high_halves_leave_the_low_ones(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    write_field(VMCS_TSC_OFFSET, UINT64_C(0x1111111122222222));
    write_field(VMCS_TSC_OFFSET + 1, UINT64_C(0x99999999abcdef01));
    assert_int_equal(read_field(VMCS_TSC_OFFSET), UINT64_C(0xabcdef0122222222));
}

static void unsupported_fields(void **state)
{
    uint64_t value;

    (void)state;
    host_vmxon();
    assert_invalid(host_vmread(VMCS_GUEST_RIP, &value));
    assert_invalid(host_vmwrite(VMCS_GUEST_RIP, 0));
    host_prepare_vmcs(0);
    for (uint64_t encoding = 0; encoding <= 0x8100; encoding++) {
        int index = vmcs_field_lookup(encoding);

        if (index >= 0 && vmcs12_offers(index))
            continue;
        assert_fails(host_vmread(encoding, &value), VMERR_UNSUPPORTED_FIELD);
        assert_fails(host_vmwrite(encoding, 0), VMERR_UNSUPPORTED_FIELD);
    }
    assert_fails(host_vmread(UINT64_C(0x100000000) | VMCS_GUEST_RIP, &value), VMERR_UNSUPPORTED_FIELD);
    assert_fails(host_vmread(VMCS_TSC_MULTIPLIER, &value), VMERR_UNSUPPORTED_FIELD); /* a Broadwell has none */
}

static void read_only_fields(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    write_field(VMCS_IO_RCX, 5); /* IA32_VMX_MISC[29] allows it */
    assert_int_equal(read_field(VMCS_IO_RCX), 5);
    caps_offer.misc &= ~MISC_VMWRITE_ANY;
    assert_fails(host_vmwrite(VMCS_IO_RCX, 6), VMERR_READ_ONLY_FIELD);
    assert_int_equal(read_field(VMCS_IO_RCX), 5);
}

/* What a region in memory holds is the host's: values too wide for their field are cut. */
static void regions_are_cut_to_the_width_of_fields(void **state)
{
    (void)state;
    host_vmxon();
    for (uint64_t at = 8; at < 4096; at += 8)
        phys_write64(hpa(HOST_VMCS(0) + at), UINT64_MAX);
    assert_succeeds(host_instruction(EXIT_VMPTRLD, HOST_VMCS(0)));
    for (int i = 0; i < VMCS_FIELD_COUNT; i++)
        if (vmcs12_offers(i) &&
            read_field(vmcs_fields[i].encoding) != vmcs_field_merge(vmcs_fields[i].encoding, 0, UINT64_MAX))
            fail_msg("field %#x", vmcs_fields[i].encoding);
    assert_fails(resume(), VMERR_VMRESUME_NOT_LAUNCHED); /* FFFFFFFFh is no launch state */
    assert_fails(launch(), VMERR_ENTRY_CONTROLS);
}

/* VMCLEAR reaches the launch state in memory of a VMCS that is not active, too. */
static void vmclear_of_an_inactive_vmcs(void **state)
{
    (void)state;
    host_vmxon();
    launched_vmcs(0);
    for (unsigned i = 1; i < 40; i++) /* push it out of its slot */
        launched_vmcs(i);
    assert_succeeds(host_instruction(EXIT_VMCLEAR, HOST_VMCS(0)));
    assert_succeeds(host_instruction(EXIT_VMPTRLD, HOST_VMCS(0)));
    assert_fails(resume(), VMERR_VMRESUME_NOT_LAUNCHED);
    assert_enters(launch());
}

/* Slots go by their last use: what the host keeps using stays, the current VMCS most of all. */
static void slots_go_by_their_last_use(void **state)
{
    unsigned clears;

    (void)state;
    host_vmxon();
    launched_vmcs(0);
    launched_vmcs(1);
    for (unsigned i = 2; i < 60; i++) {
        launched_vmcs(i);
        assert_succeeds(host_instruction(EXIT_VMPTRLD, HOST_VMCS(1)));
        clears = fake_counts.vmclear;
        assert_enters(resume());
        assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
        assert_int_equal(fake_counts.vmclear, clears);
    }
    phys_write64(hpa(HOST_VMCS(1) + 8), 0); /* memory is not looked at while it is active */
    assert_enters(resume());
}

/* Exactly the fields that the table names are served by the shadow VMCS, and only while there is a current VMCS. */
static void shadowing_follows_the_table(void **state)
{
    enum { VMREAD_BITMAP = 0x2026, VMWRITE_BITMAP = 0x2028 };
    const bool shadowing = *(const bool *)*state;
    const uint8_t *reads, *writes;

    host_vmxon();
    assert_int_equal(hw_vmread(VMCS_SECONDARY_CONTROLS) & SEC_VMCS_SHADOWING, 0);
    host_prepare_vmcs(0);
    assert_int_equal((hw_vmread(VMCS_SECONDARY_CONTROLS) & SEC_VMCS_SHADOWING) != 0, shadowing);
    assert_int_equal(hw_vmread(VMCS_SECONDARY_CONTROLS) & SEC_EPT, SEC_EPT);
    if (!shadowing)
        return;
    assert_int_equal(hw_vmread(VMCS_VMCS_LINK_POINTER), fake_cpu->current->shadow.raw);
    assert_int_equal(*(const uint32_t *)phys_to_virt(fake_cpu->current->shadow), 0x8000002b);
    assert_int_equal(*(const uint32_t *)phys_to_virt(fake_cpu->current->vmcs02), 0x2b);
    reads = phys_to_virt(hpa(hw_vmread(VMREAD_BITMAP)));
    writes = phys_to_virt(hpa(hw_vmread(VMWRITE_BITMAP)));
    for (unsigned encoding = 0; encoding <= 0x7fff; encoding++) {
        int index = vmcs_field_lookup(encoding);
        enum vmcs_shadow shadow = index >= 0 && vmcs12_offers(index) && (encoding & 1) == 0 ? vmcs_fields[index].shadow
                                                                                            : SHADOW_NO;

        assert_int_equal(reads[encoding / 8] >> (encoding % 8) & 1, shadow == SHADOW_NO);
        assert_int_equal(writes[encoding / 8] >> (encoding % 8) & 1, shadow != SHADOW_RW);
    }
    assert_succeeds(host_instruction(EXIT_VMCLEAR, HOST_VMCS(0)));
    assert_int_equal(hw_vmread(VMCS_SECONDARY_CONTROLS) & SEC_VMCS_SHADOWING, 0);
    assert_int_equal(hw_vmread(VMCS_VMCS_LINK_POINTER), UINT64_MAX);
}

/* ---- Entries. ---- */

static void launch_states(void **state)
{
    (void)state;
    host_vmxon();
    assert_invalid(launch());
    host_prepare_vmcs(0);
    assert_fails(resume(), VMERR_VMRESUME_NOT_LAUNCHED);
    assert_enters(launch());
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    assert_fails(launch(), VMERR_VMLAUNCH_NOT_CLEAR);
    assert_enters(resume());
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    assert_succeeds(host_instruction(EXIT_VMPTRLD, HOST_VMCS(0)));
    assert_fails(launch(), VMERR_VMLAUNCH_NOT_CLEAR);
    assert_succeeds(host_instruction(EXIT_VMCLEAR, HOST_VMCS(0)));
    assert_succeeds(host_instruction(EXIT_VMPTRLD, HOST_VMCS(0)));
    assert_fails(resume(), VMERR_VMRESUME_NOT_LAUNCHED);
    assert_enters(launch());
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
}

static void refused_entries(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    hw_vmwrite(VMCS_GUEST_INTERRUPTIBILITY, BLOCKING_BY_MOV_SS);
    assert_fails(launch(), VMERR_ENTRY_MOV_SS);
    hw_vmwrite(VMCS_GUEST_INTERRUPTIBILITY, 0);
    write_field(VMCS_PIN_BASED_CONTROLS, 0);
    assert_fails(launch(), VMERR_ENTRY_CONTROLS);
    write_field(VMCS_PIN_BASED_CONTROLS, BASE_PIN);
    write_field(VMCS_HOST_CR0, 0);
    assert_fails(launch(), VMERR_ENTRY_HOST_STATE);
    write_field(VMCS_HOST_CR0, 0x80050033);
    static const uint32_t counts[] = { VMCS_VM_ENTRY_MSR_LOAD_COUNT, VMCS_VM_EXIT_MSR_LOAD_COUNT,
                                       VMCS_VM_EXIT_MSR_STORE_COUNT };
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        write_field(counts[i], 513); /* more than announced */
        assert_fails(launch(), VMERR_ENTRY_CONTROLS);
        write_field(counts[i], 0);
    }
    assert_enters(launch());
}

/* Each control word, flipped bit by bit: an entry happens only if the offer and the rules allow it. */
static void entries_follow_the_checks(void **state)
{
    static const int words[] = { FIELD_PIN_BASED_CONTROLS, FIELD_PROCESSOR_BASED_CONTROLS, FIELD_SECONDARY_CONTROLS,
                                 FIELD_VM_EXIT_CONTROLS, FIELD_VM_ENTRY_CONTROLS };
    struct entry_limits limits;

    (void)state;
    host_vmxon();
    launched_vmcs(0);
    limits = nested_limits();
    for (size_t i = 0; i < COUNT_OF(words); i++)
        for (unsigned bit = 0; bit < 32; bit++) {
            uint32_t encoding = vmcs_fields[words[i]].encoding;
            uint64_t old = read_field(encoding);
            const uint64_t *f = fake_cpu->current->field;
            struct outcome o;

            write_field(encoding, old ^ BIT32(bit));
            o = resume();
            if (o.what == ENTERED) {
                assert_int_equal(entry_check_controls(f, &caps_offer, &limits), VMERR_NONE);
                assert_int_equal(entry_check_host_state(f, &caps_offer, &limits), VMERR_NONE);
                assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
            } else {
                assert_int_equal(o.what, FAILED_VALID);
                assert_true(o.number == VMERR_ENTRY_CONTROLS || o.number == VMERR_ENTRY_HOST_STATE);
            }
            write_field(encoding, old);
            assert_enters(resume());
            assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
        }
}

static void controls_reach_the_processor(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    write_field(VMCS_EXCEPTION_BITMAP, 0x12345678);
    write_field(VMCS_TSC_OFFSET, 0x1234);
    write_field(VMCS_CR0_GUEST_HOST_MASK, 0x60000000);
    write_field(VMCS_CR4_READ_SHADOW, 0x20);
    write_field(VMCS_VPID, 7);
    write_field(VMCS_VM_ENTRY_INTERRUPTION_INFO, 0x80000030);
    assert_enters(launch());
    assert_int_equal(hw_vmread(VMCS_EXCEPTION_BITMAP), 0x12345678);
    assert_int_equal(hw_vmread(VMCS_TSC_OFFSET), 0x1234);
    assert_int_equal(hw_vmread(VMCS_CR0_GUEST_HOST_MASK), 0x60000000);
    assert_int_equal(hw_vmread(VMCS_CR4_READ_SHADOW), 0x20);
    assert_int_equal(hw_vmread(VMCS_VPID), 7);
    assert_int_equal(hw_vmread(VMCS_VM_ENTRY_INTERRUPTION_INFO), 0x80000030);
    assert_int_equal(hw_vmread(VMCS_PROCESSOR_BASED_CONTROLS) & PROC_HLT_EXITING, PROC_HLT_EXITING);
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    assert_int_equal(read_field(VMCS_VM_ENTRY_INTERRUPTION_INFO), 0x30); /* bit 31 is cleared by an exit */
    assert_enters(resume());
    assert_int_equal(hw_vmread(VMCS_VM_ENTRY_INTERRUPTION_INFO) & INTR_VALID, 0);
}

/* State that the controls do not load is the hypervisor's own, and what is loaded is the VM's, whatever its value. */
static void switched_state(void **state)
{
    static const uint64_t values[] = { 0x501, 0xd01, UINT64_MAX, 0 };

    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        write_field(VMCS_GUEST_IA32_EFER, values[i]);
        write_field(VMCS_GUEST_IA32_PAT, values[i]);
        write_field(VMCS_GUEST_DR7, values[i]);
        write_field(VMCS_VM_ENTRY_CONTROLS, BASE_ENTRY | ENTRY_LOAD_DEBUG_CONTROLS);
        assert_enters(i == 0 ? launch() : resume());
        assert_int_equal(hw_vmread(VMCS_GUEST_IA32_EFER), values[i]);
        assert_int_equal(hw_vmread(VMCS_GUEST_IA32_PAT), values[i]);
        assert_int_equal(hw_vmread(VMCS_GUEST_DR7), values[i]);
        assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    }
    write_field(VMCS_VM_ENTRY_CONTROLS, BASE_ENTRY & ~(ENTRY_LOAD_PAT | ENTRY_LOAD_EFER));
    hw_vmwrite(VMCS_GUEST_DR7, 0x455);
    assert_enters(resume());
    assert_int_equal(hw_vmread(VMCS_GUEST_IA32_PAT), BASE_PAT);
    assert_int_equal(hw_vmread(VMCS_GUEST_IA32_EFER) & EFER_LMA, EFER_LMA);
    assert_int_equal(hw_vmread(VMCS_GUEST_DR7), 0x455);
}

/* A fresh vmcs02 must not keep what an invalid value meant to replace. */
static void invalid_values_reach_the_processor_at_once(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    write_field(VMCS_GUEST_IA32_PAT, UINT64_MAX);
    write_field(VMCS_GUEST_IA32_EFER, UINT64_MAX);
    assert_enters(launch());
    assert_int_equal(hw_vmread(VMCS_GUEST_IA32_PAT), UINT64_MAX);
    assert_int_equal(hw_vmread(VMCS_GUEST_IA32_EFER), UINT64_MAX);
}

static void vpid_is_always_in_force(void **state)
{
    unsigned before;

    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    write_field(VMCS_SECONDARY_CONTROLS, SEC_EPT);
    write_field(VMCS_VPID, 5);
    before = fake_counts.invvpid;
    assert_enters(launch());
    assert_int_equal(hw_vmread(VMCS_VPID), VPID_UNTAGGED);
    assert_true(fake_counts.invvpid > before);
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    write_field(VMCS_SECONDARY_CONTROLS, SEC_EPT | SEC_VPID);
    for (uint64_t vpid = VPID_LAYER; vpid <= VPID_HOST; vpid += 0xfff) {
        write_field(VMCS_VPID, vpid);
        before = fake_counts.invvpid;
        assert_enters(resume());
        assert_int_equal(hw_vmread(VMCS_VPID), VPID_UNTAGGED);
        assert_int_equal(fake_counts.invvpid, before + 1);
        assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    }
    write_field(VMCS_VPID, VPID_LAYER - 1);
    before = fake_counts.invvpid;
    assert_enters(resume());
    assert_int_equal(hw_vmread(VMCS_VPID), VPID_LAYER - 1);
    assert_int_equal(fake_counts.invvpid, before);
}

/* SDM "Checks on Guest Non-Register State": what the processor has to see is none, or one that it refuses. */
static void link_pointers(void **state)
{
    static const struct {
        uint64_t link;
        bool good;
    } links[] = {
        { UINT64_MAX, true },
        { HOST_VMCS(5), true },  /* an ordinary VMCS: shadowing is off, so it is one that may be named */
        { HOST_VMCS(0), false }, /* the current one */
        { HOST_VMCS(5) + 8, false },
        { HOST_VMCS(5) | UINT64_C(1) << 40, false },
        { HOST_MSR_LIST, false }, /* revision 0 */
        { FAKE_POOL_BASE, false },
        { 0, false },
    };

    (void)state;
    host_vmxon();
    launched_vmcs(0);
    for (size_t i = 0; i < COUNT_OF(links); i++) {
        uint64_t seen;

        write_field(VMCS_VMCS_LINK_POINTER, links[i].link);
        assert_enters(resume());
        seen = hw_vmread(VMCS_VMCS_LINK_POINTER);
        assert_int_equal(seen == UINT64_MAX, links[i].good);
        assert_true(seen == UINT64_MAX || ((seen & 0xfff) != 0 && seen < 4096));
        assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    }
    write_field(VMCS_VMCS_LINK_POINTER, 8);
    assert_enters(resume());
    assert_outcome(host_vm_exits(EXIT_ENTRY_GUEST_STATE | EXIT_ENTRY_FAILURE, 4), EXITED, EXIT_ENTRY_GUEST_STATE);
    assert_int_equal(read_field(VMCS_EXIT_QUALIFICATION), 4);
    assert_int_equal(read_field(VMCS_EXIT_REASON), EXIT_ENTRY_GUEST_STATE | EXIT_ENTRY_FAILURE);
}

/* An entry that fails leaves the launch state, and the next one loads everything anew. */
static void failed_entries_can_be_repeated(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    write_field(VMCS_GUEST_IA32_EFER, 0x501);
    assert_enters(launch());
    assert_outcome(host_vm_exits(EXIT_ENTRY_GUEST_STATE | EXIT_ENTRY_FAILURE, 0), EXITED, EXIT_ENTRY_GUEST_STATE);
    assert_fails(resume(), VMERR_VMRESUME_NOT_LAUNCHED);
    write_field(VMCS_GUEST_IA32_EFER, 0xd01); /* what the hypervisor has itself */
    assert_enters(launch());
    assert_int_equal(hw_vmread(VMCS_GUEST_IA32_EFER), 0xd01);
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    assert_enters(resume());
}

static void entries_that_the_processor_refuses(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    assert_enters(launch());
    assert_outcome(host_entry_refused(VMERR_ENTRY_CONTROLS), FAILED_VALID, VMERR_ENTRY_CONTROLS);
    assert_enters(launch());
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    assert_enters(resume());
}

static void entries_without_memory_are_refused(void **state)
{
    (void)state;
    host_vmxon();
    launched_vmcs(0);
    host_prepare_vmcs(1);
    ept02_make_room(); /* nothing is left to be dropped for it */
    while (pool_alloc().raw != 0)
        ;
    write_field(VMCS_EPT_POINTER, HOST_EPT12(9) | 0x1e);
    assert_fails(launch(), VMERR_ENTRY_CONTROLS);
    assert_succeeds(host_instruction(EXIT_VMPTRLD, HOST_VMCS(0)));
    assert_enters(resume());
}

static void waiting_for_sipi_is_not_entered(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    write_field(VMCS_GUEST_ACTIVITY_STATE, 3);
    assert_outcome(launch(), EXITED, EXIT_ENTRY_GUEST_STATE);
    assert_int_equal(read_field(VMCS_EXIT_REASON), EXIT_ENTRY_GUEST_STATE | EXIT_ENTRY_FAILURE);
    assert_int_equal(read_field(VMCS_EXIT_QUALIFICATION), 0);
    write_field(VMCS_GUEST_ACTIVITY_STATE, 1);
    assert_enters(launch());
    assert_int_equal(hw_vmread(VMCS_GUEST_ACTIVITY_STATE), 1);
}

/* SDM "Loading Guest Control Registers, Debug Registers, and MSRs": EFER without "load IA32_EFER". */
static void efer_follows_the_mode(void **state)
{
    static const struct {
        uint32_t ia32e;
        uint64_t cr0, efer;
    } modes[] = {
        { ENTRY_IA32E_GUEST, 0x80000031, 0xd01 },
        { 0, 0x80000031, 0x801 }, /* LMA and LME go with paging */
        { 0, 0x30, 0x901 },       /* without paging LME stays */
        { ENTRY_IA32E_GUEST, 0x80000031, 0xd01 },
    };

    (void)state;
    host_vmxon();
    launched_vmcs(0);
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        write_field(VMCS_VM_ENTRY_CONTROLS, (BASE_ENTRY & ~(ENTRY_LOAD_EFER | ENTRY_IA32E_GUEST)) | modes[i].ia32e);
        write_field(VMCS_GUEST_CR0, modes[i].cr0);
        assert_enters(resume());
        assert_int_equal(hw_vmread(VMCS_GUEST_IA32_EFER), modes[i].efer);
        assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    }
}

/* A PAE guest without EPT has its PDPTEs in memory; the processor takes them from vmcs02. */
static void pdptes_come_from_memory_without_ept(void **state)
{
    (void)state;
    host_vmxon();
    for (uint64_t i = 0; i < 4; i++)
        phys_write64(hpa(HOST_MSR_LIST + 0x20 + 8 * i), 0x1000 * i + 1);
    host_prepare_vmcs(0);
    write_field(VMCS_SECONDARY_CONTROLS, SEC_VPID);
    write_field(VMCS_GUEST_CR3, HOST_MSR_LIST + 0x20);
    write_field(VMCS_GUEST_CR4, 0x2020);
    write_field(VMCS_VM_ENTRY_CONTROLS, BASE_ENTRY & ~ENTRY_IA32E_GUEST);
    write_field(VMCS_GUEST_PDPTE0, 0x77);
    assert_enters(launch());
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(hw_vmread(VMCS_GUEST_PDPTE0 + 2 * i), 0x1000 * i + 1);
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    for (unsigned i = 0; i < 4; i++) { /* no PAE, no paging, long mode, EPT: what the host wrote stays */
        write_field(VMCS_GUEST_CR4, i == 0 ? 0x2000 : 0x2020);
        write_field(VMCS_GUEST_CR0, i == 1 ? 0x31 : 0x80000031);
        write_field(VMCS_VM_ENTRY_CONTROLS, i == 2 ? BASE_ENTRY : BASE_ENTRY & ~ENTRY_IA32E_GUEST);
        write_field(VMCS_SECONDARY_CONTROLS, i == 3 ? SEC_VPID | SEC_EPT : SEC_VPID);
        write_field(VMCS_GUEST_PDPTE0, 0x77);
        assert_enters(resume());
        assert_int_equal(hw_vmread(VMCS_GUEST_PDPTE0), 0x77);
        assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    }
}

static void the_preemption_timer(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    write_field(VMCS_PREEMPTION_TIMER_VALUE, 1000);
    assert_enters(launch());
    assert_int_equal(hw_vmread(VMCS_PIN_BASED_CONTROLS) & PIN_PREEMPTION_TIMER, 0);
    assert_int_equal(hw_vmread(VMCS_VM_EXIT_CONTROLS) & EXIT_SAVE_PREEMPTION_TIMER, 0);
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    write_field(VMCS_PIN_BASED_CONTROLS, BASE_PIN | PIN_PREEMPTION_TIMER);
    for (unsigned save = 0; save < 2; save++) {
        write_field(VMCS_VM_EXIT_CONTROLS, BASE_EXIT | (save ? EXIT_SAVE_PREEMPTION_TIMER : 0));
        assert_enters(resume());
        assert_int_equal(hw_vmread(VMCS_PREEMPTION_TIMER_VALUE), 1000);
        assert_true((hw_vmread(VMCS_PIN_BASED_CONTROLS) & PIN_PREEMPTION_TIMER) != 0);
        assert_true((hw_vmread(VMCS_VM_EXIT_CONTROLS) & EXIT_SAVE_PREEMPTION_TIMER) != 0);
        hw_vmwrite(VMCS_PREEMPTION_TIMER_VALUE, 400);
        assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
        assert_int_equal(read_field(VMCS_PREEMPTION_TIMER_VALUE), save ? 400 : 1000);
    }
}

static void exit_controls_that_pass_through(void **state)
{
    (void)state;
    host_vmxon();
    launched_vmcs(0);
    for (unsigned ack = 0; ack < 2; ack++) {
        write_field(VMCS_VM_EXIT_CONTROLS, (BASE_EXIT & ~EXIT_ACK_INTERRUPT) | (ack ? EXIT_ACK_INTERRUPT : 0));
        assert_enters(resume());
        assert_int_equal((hw_vmread(VMCS_VM_EXIT_CONTROLS) & EXIT_ACK_INTERRUPT) != 0, ack);
        assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    }
    for (unsigned ia32e = 0; ia32e < 2; ia32e++) {
        write_field(VMCS_VM_ENTRY_CONTROLS, (BASE_ENTRY & ~ENTRY_IA32E_GUEST) | (ia32e ? ENTRY_IA32E_GUEST : 0));
        assert_enters(resume());
        assert_int_equal((hw_vmread(VMCS_VM_ENTRY_CONTROLS) & ENTRY_IA32E_GUEST) != 0, ia32e);
        assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    }
}

static void events_reach_the_processor(void **state)
{
    (void)state;
    host_vmxon();
    launched_vmcs(0);
    write_field(VMCS_VM_ENTRY_INTERRUPTION_INFO, 0x80000b0e);
    write_field(VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE, 0x15);
    write_field(VMCS_VM_ENTRY_INSTRUCTION_LENGTH, 3);
    assert_enters(resume());
    assert_int_equal(hw_vmread(VMCS_VM_ENTRY_INTERRUPTION_INFO), 0x80000b0e);
    assert_int_equal(hw_vmread(VMCS_VM_ENTRY_EXCEPTION_ERROR_CODE), 0x15);
    assert_int_equal(hw_vmread(VMCS_VM_ENTRY_INSTRUCTION_LENGTH), 3);
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    write_field(VMCS_VM_ENTRY_INTERRUPTION_INFO, 0x80000021);
    assert_enters(resume());
    assert_int_equal(hw_vmread(VMCS_VM_ENTRY_INTERRUPTION_INFO), 0x80000021);
}

/* What no VMWRITE changed is not merged again: the steady state of a VM costs few accesses to its VMCS. */
static void an_unchanged_vmcs_is_not_merged_again(void **state)
{
    unsigned before;

    (void)state;
    host_vmxon();
    launched_vmcs(0);
    assert_enters(resume());
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    before = fake_counts.vmwrites;
    assert_enters(resume());
    assert_true(fake_counts.vmwrites - before < 15);
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    write_field(VMCS_VM_ENTRY_INTERRUPTION_INFO, 0x80000030); /* an event alone */
    before = fake_counts.vmwrites;
    assert_enters(resume());
    assert_true(fake_counts.vmwrites - before < 20);
}

static void trees_are_given_back(void **state)
{
    struct ept02 *first, *second;

    (void)state;
    host_vmxon();
    launched_vmcs(0);
    first = fake_cpu->current->ept02;
    assert_int_equal(first->users, 1);
    write_field(VMCS_EPT_POINTER, HOST_EPT12(7) | 0x1e);
    assert_enters(resume());
    second = fake_cpu->current->ept02;
    assert_ptr_not_equal(first, second);
    assert_int_equal(first->users, 0);
    assert_int_equal(hw_vmread(VMCS_EPT_POINTER), ept02_pointer(second));
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    write_field(VMCS_SECONDARY_CONTROLS, SEC_VPID);
    assert_enters(resume());
    assert_int_equal(second->users, 0);
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    write_field(VMCS_SECONDARY_CONTROLS, BASE_SECONDARY);
    assert_enters(resume());
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    assert_int_equal(second->users, 1);
    assert_succeeds(host_instruction(EXIT_VMCLEAR, HOST_VMCS(0)));
    assert_int_equal(second->users, 0);
}

static void unused_bitmaps_are_not_watched(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    write_field(VMCS_PROCESSOR_BASED_CONTROLS, BASE_PROC & ~(PROC_IO_BITMAPS | PROC_MSR_BITMAPS));
    assert_enters(launch());
    assert_int_equal(frame_state(hpa(HOST_MSR_BITMAP)), FRAME_HOST);
    assert_int_equal(frame_state(hpa(HOST_IO_BITMAP)), FRAME_HOST);
    assert_int_equal(frame_state(hpa(HOST_IO_BITMAP + 4096)), FRAME_HOST);
}

static void entries_and_exits_are_counted(void **state)
{
    (void)state;
    host_vmxon();
    launched_vmcs(0);
    assert_enters(resume());
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    assert_int_equal(fake_cpu->stats[STAT_vm_entries], 2);
    assert_int_equal(fake_cpu->stats[STAT_vm_exits], 2);
    assert_int_equal(fake_cpu->stats[STAT_bitmap_merges], 1);
}

/* ---- Bitmaps and lists. ---- */

static uint8_t *msr_bitmap_of_vmcs02(void)
{
    return phys_to_virt(hpa(hw_vmread(VMCS_MSR_BITMAP)));
}

/* The host's bitmap may change at any time; the next entry sees it, and the layer's bits stay. */
static void bitmaps_follow_the_hosts_memory(void **state)
{
    uint8_t *hosts = phys_to_virt(hpa(HOST_MSR_BITMAP));
    uint64_t merges;

    (void)state;
    host_vmxon();
    hosts[100] = 0x5a;
    host_prepare_vmcs(0);
    assert_enters(launch());
    assert_int_equal(msr_bitmap_of_vmcs02()[100], 0x5a);
    assert_int_equal(frame_state(hpa(HOST_MSR_BITMAP)), FRAME_WATCHED);
    merges = fake_cpu->stats[STAT_bitmap_merges];
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    assert_enters(resume());
    assert_int_equal(fake_cpu->stats[STAT_bitmap_merges], merges); /* nothing changed */
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    assert_int_equal(host_ept_violation(hpa(HOST_MSR_BITMAP + 8), true), HOST_EPT_MAPPED);
    hosts[100] = 0xa5;
    assert_enters(resume());
    assert_int_equal(msr_bitmap_of_vmcs02()[100], 0xa5);
    assert_int_equal(frame_state(hpa(HOST_MSR_BITMAP)), FRAME_WATCHED);
}

/* The controls alone decide whether a bitmap is used; its contents are there at the first entry that uses it. */
static void bitmaps_can_be_switched(void **state)
{
    static const uint32_t io_modes[] = { PROC_IO_BITMAPS, 0, PROC_UNCONDITIONAL_IO_EXITING, PROC_IO_BITMAPS };

    (void)state;
    for (uint64_t i = 0; i < 2; i++)
        *(uint8_t *)phys_to_virt(hpa(HOST_IO_BITMAP + 4096 * i + 4095)) = (uint8_t)(0x11 + i);
    *(uint8_t *)phys_to_virt(hpa(HOST_MSR_BITMAP + 4095)) = 0x33;
    host_vmxon();
    launched_vmcs(0);
    for (size_t i = 0; i < COUNT_OF(io_modes); i++)
        for (unsigned msr = 0; msr < 2; msr++) {
            uint32_t proc;
            const uint8_t *a, *b;

            write_field(VMCS_PROCESSOR_BASED_CONTROLS, (BASE_PROC & ~(PROC_IO_BITMAPS | PROC_MSR_BITMAPS)) |
                                                           io_modes[i] | (msr ? PROC_MSR_BITMAPS : 0));
            assert_enters(resume());
            proc = (uint32_t)hw_vmread(VMCS_PROCESSOR_BASED_CONTROLS);
            a = phys_to_virt(hpa(hw_vmread(VMCS_IO_BITMAP_A)));
            b = phys_to_virt(hpa(hw_vmread(VMCS_IO_BITMAP_B)));
            assert_int_equal((proc & PROC_MSR_BITMAPS) != 0, msr);
            if (msr)
                assert_int_equal(msr_bitmap_of_vmcs02()[4095], 0x33);
            assert_int_equal((proc & PROC_UNCONDITIONAL_IO_EXITING) != 0, io_modes[i] == PROC_UNCONDITIONAL_IO_EXITING);
            if ((proc & PROC_IO_BITMAPS) != 0) {
                assert_int_equal(a[4095], io_modes[i] == PROC_IO_BITMAPS ? 0x11 : 0);
                assert_int_equal(b[4095], io_modes[i] == PROC_IO_BITMAPS ? 0x12 : 0);
            }
            assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
        }
}

/* Each of the three frames is watched: a change of any is seen, no VM keeps write access, and other CPUs flush. */
static void all_bitmap_frames_are_watched(void **state)
{
    static const uint64_t frames[] = { HOST_MSR_BITMAP, HOST_IO_BITMAP, HOST_IO_BITMAP + 4096 };
    uint64_t merges;
    unsigned flushes, level;

    (void)state;
    host_vmxon();
    map_in_ept12(0, EPT_RWX);
    host_prepare_vmcs(1); /* a VM that has these frames as its memory */
    write_field(VMCS_EPT_POINTER, HOST_EPT12(0) | 0x5e);
    write_field(VMCS_PROCESSOR_BASED_CONTROLS, BASE_PROC & ~(PROC_IO_BITMAPS | PROC_MSR_BITMAPS));
    assert_enters(launch());
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, HOST_MSR_BITMAP);
    assert_enters(host_vm_exits(EXIT_EPT_VIOLATION, EPT_WRITE));
    assert_int_not_equal(ept_find(&fake_cpu->current->ept02->tree, HOST_MSR_BITMAP, &level), 0);
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    flushes = fake_flushes;
    host_prepare_vmcs(0);
    write_field(VMCS_EPT_POINTER, HOST_EPT12(0) | 0x5e);
    assert_enters(launch());
    assert_true(fake_flushes > flushes);
    for (size_t i = 0; i < COUNT_OF(frames); i++) {
        assert_int_equal(frame_state(hpa(frames[i])), FRAME_WATCHED);
        assert_int_equal(ept_find(&fake_cpu->current->ept02->tree, frames[i], &level) & EPT_WRITE, 0);
    }
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    for (size_t i = 0; i < COUNT_OF(frames); i++) {
        merges = fake_cpu->stats[STAT_bitmap_merges];
        assert_int_equal(host_ept_violation(hpa(frames[i] + 16), true), HOST_EPT_MAPPED);
        assert_enters(resume());
        assert_int_equal(fake_cpu->stats[STAT_bitmap_merges], merges + 1);
        assert_int_equal(frame_state(hpa(frames[i])), FRAME_WATCHED);
        assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    }
    merges = fake_cpu->stats[STAT_bitmap_merges];
    flushes = fake_flushes;
    assert_enters(resume());
    assert_int_equal(fake_cpu->stats[STAT_bitmap_merges], merges);
    assert_int_equal(fake_flushes, flushes);
}

static void bitmaps_outside_the_hosts_ram(void **state)
{
    static const uint64_t places[] = { FAKE_POOL_BASE, 0xfee00000, HOST_RAM_BYTES, UINT64_C(0xfffffff000) };

    (void)state;
    host_vmxon();
    for (unsigned i = 0; i < COUNT_OF(places); i++) {
        host_prepare_vmcs(i);
        write_field(VMCS_MSR_BITMAP, places[i]);
        write_field(VMCS_IO_BITMAP_A, places[i]);
        assert_enters(launch());
        assert_int_equal(msr_bitmap_of_vmcs02()[17], 0xff); /* reads as all-ones: everything exits */
        assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    }
}

static void one_page_for_all_bitmaps(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    write_field(VMCS_MSR_BITMAP, HOST_VMCS(0)); /* even its own region */
    write_field(VMCS_IO_BITMAP_A, HOST_VMCS(0));
    write_field(VMCS_IO_BITMAP_B, HOST_VMCS(0));
    assert_enters(launch());
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    assert_succeeds(host_instruction(EXIT_VMCLEAR, HOST_VMCS(0)));
}

static void set_list_entry(unsigned i, uint32_t msr, uint64_t value)
{
    phys_write64(hpa(HOST_MSR_LIST + 16 * i), msr);
    phys_write64(hpa(HOST_MSR_LIST + 16 * i + 8), value);
}

static void entry_lists_are_copied(void **state)
{
    const struct msr_entry *list;

    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    set_list_entry(0, 0xc0000081, 1);
    set_list_entry(1, 0xc0000082, 2);
    write_field(VMCS_VM_ENTRY_MSR_LOAD_ADDR, HOST_MSR_LIST);
    write_field(VMCS_VM_ENTRY_MSR_LOAD_COUNT, 2);
    assert_enters(launch());
    assert_int_equal(hw_vmread(VMCS_VM_ENTRY_MSR_LOAD_COUNT), 2);
    list = phys_to_virt(hpa(hw_vmread(VMCS_VM_ENTRY_MSR_LOAD_ADDR)));
    assert_int_equal(list[0].msr, 0xc0000081);
    assert_int_equal(list[0].value, 1);
    assert_int_equal(list[1].msr, 0xc0000082);
    assert_int_equal(list[1].value, 2);
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    for (unsigned i = 2; i < 512; i++)
        set_list_entry(i, 0xc0000081, i);
    write_field(VMCS_VM_ENTRY_MSR_LOAD_COUNT, 512); /* the longest that is announced */
    assert_enters(resume());
    assert_int_equal(list[511].value, 511);
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    set_list_entry(1, 0x1b, 0); /* IA32_APIC_BASE is the layer's */
    assert_outcome(resume(), EXITED, EXIT_ENTRY_MSR_LOADING);
    assert_int_equal(hw_vmread(VMCS_GUEST_RIP), HOST_EXIT_RIP);
    assert_int_equal(read_field(VMCS_EXIT_QUALIFICATION), 2);
}

static void exit_lists(void **state)
{
    (void)state;
    host_vmxon();
    fake_msr_set(0xc0000102, 0x77);
    fake_msr_set(0xc0000103, 0x88);
    set_list_entry(0, 0xc0000102, 0);
    set_list_entry(1, 0xc0000103, 0x99);
    host_prepare_vmcs(0);
    write_field(VMCS_VM_EXIT_MSR_STORE_ADDR, HOST_MSR_LIST);
    write_field(VMCS_VM_EXIT_MSR_STORE_COUNT, 1);
    write_field(VMCS_VM_EXIT_MSR_LOAD_ADDR, HOST_MSR_LIST + 16);
    write_field(VMCS_VM_EXIT_MSR_LOAD_COUNT, 1);
    assert_enters(launch());
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    assert_int_equal(phys_read64(hpa(HOST_MSR_LIST + 8)), 0x77);
    assert_int_equal(fake_msr_get(0xc0000103), 0x99);
    set_list_entry(1, 0x1b, 0);
    assert_enters(resume());
    assert_outcome(host_vm_exits(EXIT_HLT, 0), ABORTED, 0);
}

/* ---- Exits. ---- */

static void exits_show_the_host_what_happened(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    assert_enters(launch());
    hw_vmwrite(VMCS_GUEST_RIP, 0x1000);
    hw_vmwrite(VMCS_GUEST_CR3, 0x5000);
    hw_vmwrite(VMCS_VM_EXIT_INSTRUCTION_LENGTH, 2);
    hw_vmwrite(VMCS_IDT_VECTORING_INFO, 0x80000030);
    assert_outcome(host_vm_exits(EXIT_CPUID, 0x1234), EXITED, EXIT_CPUID);
    assert_int_equal(hw_vmread(VMCS_GUEST_RIP), HOST_EXIT_RIP);
    assert_int_equal(read_field(VMCS_GUEST_RIP), 0x1000);
    assert_int_equal(read_field(VMCS_GUEST_CR3), 0x5000);
    assert_int_equal(read_field(VMCS_EXIT_REASON), EXIT_CPUID);
    assert_int_equal(read_field(VMCS_EXIT_QUALIFICATION), 0x1234);
    assert_int_equal(read_field(VMCS_VM_EXIT_INSTRUCTION_LENGTH), 2);
    assert_int_equal(read_field(VMCS_IDT_VECTORING_INFO), 0x80000030);
    write_field(VMCS_GUEST_RIP, 0x1002);
    assert_enters(resume());
    assert_int_equal(hw_vmread(VMCS_GUEST_RIP), 0x1002);
}

static void exits_load_the_host_state(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    write_field(VMCS_HOST_RSP, 0x1230);
    write_field(VMCS_HOST_GS_BASE, 0x4560);
    assert_enters(launch());
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    assert_int_equal(hw_vmread(VMCS_GUEST_RSP), 0x1230);
    assert_int_equal(hw_vmread(VMCS_GUEST_GS_BASE), 0x4560);
    assert_int_equal(hw_vmread(VMCS_GUEST_RFLAGS), 2);
    assert_int_equal(hw_vmread(VMCS_GUEST_CS_SELECTOR), 0x10);
    assert_int_equal(hw_vmread(VMCS_GUEST_DR7), 0x400);
    assert_int_equal(hw_vmread(VMCS_GUEST_IA32_EFER), 0xd01);
    assert_int_equal(hw_vmread(VMCS_GUEST_CR3), 0x2000);
    assert_false(fake_cpu->in_l2);
}

static void saved_state_follows_the_controls(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    write_field(VMCS_VM_EXIT_CONTROLS, BASE_EXIT & ~EXIT_SAVE_PAT);
    assert_enters(launch());
    hw_vmwrite(VMCS_GUEST_IA32_PAT, 0x0606060606060606);
    hw_vmwrite(VMCS_GUEST_IA32_EFER, 0x501);
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    assert_int_equal(read_field(VMCS_GUEST_IA32_PAT), BASE_PAT);
    assert_int_equal(read_field(VMCS_GUEST_IA32_EFER), 0x501);
}

static void violations_that_ept12_explains_are_kept(void **state)
{
    (void)state;
    host_vmxon();
    map_in_ept12(0, EPT_RWX);
    host_prepare_vmcs(0);
    assert_enters(launch());
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, 0x5000);
    assert_enters(host_vm_exits(EXIT_EPT_VIOLATION, EPT_READ));
    assert_int_equal(host_calls.reinjected, 1);
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, UINT64_C(0x40005000));
    assert_outcome(host_vm_exits(EXIT_EPT_VIOLATION, EPT_WRITE | 0x38), EXITED, EXIT_EPT_VIOLATION);
    assert_int_equal(read_field(VMCS_EXIT_QUALIFICATION), EPT_WRITE);
    assert_int_equal(read_field(VMCS_GUEST_PHYSICAL_ADDRESS), 0x40005000);
    phys_write64(hpa(HOST_EPT12(0) + 0x80008), UINT64_C(0x40000000) | EPT_LARGE | EPT_WRITE);
    assert_enters(resume());
    assert_outcome(host_vm_exits(EXIT_EPT_VIOLATION, EPT_WRITE), EXITED, EXIT_EPT_MISCONFIGURATION);
}

/* After the host repaired EPT12, the resume fills EPT02 without another exit. */
static void repaired_violations_are_refilled(void **state)
{
    struct vmcs12 *v;
    uint64_t fills;
    unsigned level;

    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    assert_enters(launch());
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, 0x5000);
    assert_outcome(host_vm_exits(EXIT_EPT_VIOLATION, EPT_READ), EXITED, EXIT_EPT_VIOLATION);
    map_in_ept12(0, EPT_RWX);
    assert_enters(resume());
    v = fake_cpu->current;
    assert_int_not_equal(ept_find(&v->ept02->tree, 0x5000, &level), 0);
    fills = fake_cpu->stats[STAT_ept02_fills];
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    assert_enters(resume());
    assert_int_equal(fake_cpu->stats[STAT_ept02_fills], fills); /* only once */
}

static void vms_without_ept_use_the_hosts(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    write_field(VMCS_SECONDARY_CONTROLS, SEC_VPID);
    assert_enters(launch());
    assert_int_equal(hw_vmread(VMCS_EPT_POINTER), host_ept_pointer());
    assert_int_equal(hw_vmread(VMCS_SECONDARY_CONTROLS) & SEC_UNRESTRICTED_GUEST, 0);
    assert_enters(host_vm_exits(EXIT_EPT_VIOLATION, EPT_READ));
    assert_int_equal(host_calls.ept_access, 1);
}

static void intercepts_of_the_layer_are_kept(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    write_field(VMCS_PROCESSOR_BASED_CONTROLS, BASE_PROC);
    assert_enters(launch());
    fake_cpu->gpr[RCX] = 0x1b;
    assert_enters(host_vm_exits(EXIT_WRMSR, 0));
    assert_int_equal(host_calls.msr_access, 1);
    ((uint8_t *)phys_to_virt(hpa(HOST_MSR_BITMAP + 2048)))[0x1b / 8] = 1 << (0x1b % 8);
    assert_outcome(host_vm_exits(EXIT_WRMSR, 0), EXITED, EXIT_WRMSR);
    assert_int_equal(host_calls.msr_access, 1);
}

/* ---- INVEPT and INVVPID. ---- */

static void invept_checks_its_operands(void **state)
{
    (void)state;
    host_vmxon();
    assert_invalid(host_invalidate(EXIT_INVEPT, 0, 0, 0));
    host_prepare_vmcs(0);
    assert_fails(host_invalidate(EXIT_INVEPT, 0, 0, 0), VMERR_INVALID_OPERAND);
    assert_fails(host_invalidate(EXIT_INVEPT, 3, 0, 0), VMERR_INVALID_OPERAND);
    assert_fails(host_invalidate(EXIT_INVEPT, 1, 0, 0), VMERR_INVALID_OPERAND);
    assert_fails(host_invalidate(EXIT_INVEPT, 1, HOST_EPT12(0) | 0x9e, 0), VMERR_INVALID_OPERAND);
    assert_succeeds(host_invalidate(EXIT_INVEPT, 1, HOST_EPT12(0) | 0x1e, 0));
    assert_succeeds(host_invalidate(EXIT_INVEPT, 2, UINT64_MAX, 0));
}

static void invvpid_checks_its_operands(void **state)
{
    (void)state;
    host_vmxon();
    host_prepare_vmcs(0);
    assert_fails(host_invalidate(EXIT_INVVPID, 4, 1, 0), VMERR_INVALID_OPERAND);
    assert_fails(host_invalidate(EXIT_INVVPID, 1, 0, 0), VMERR_INVALID_OPERAND);
    assert_fails(host_invalidate(EXIT_INVVPID, 1, 0x10001, 0), VMERR_INVALID_OPERAND);
    assert_fails(host_invalidate(EXIT_INVVPID, 0, 1, UINT64_C(0x800000000000)), VMERR_INVALID_OPERAND);
    assert_succeeds(host_invalidate(EXIT_INVVPID, 0, 1, UINT64_C(0x7fffffffffff)));
    assert_succeeds(host_invalidate(EXIT_INVVPID, 1, 1, 0));
    assert_succeeds(host_invalidate(EXIT_INVVPID, 2, 0, 0));
    assert_succeeds(host_invalidate(EXIT_INVVPID, 3, 0xffff, 0));
}

static void invept_takes_effect(void **state)
{
    unsigned level;

    (void)state;
    host_vmxon();
    map_in_ept12(0, EPT_RWX);
    host_prepare_vmcs(0);
    assert_enters(launch());
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, 0x5000);
    assert_enters(host_vm_exits(EXIT_EPT_VIOLATION, EPT_READ));
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    map_in_ept12(0, 0);
    assert_succeeds(host_invalidate(EXIT_INVEPT, 1, HOST_EPT12(0) | 0x1e, 0));
    assert_enters(resume());
    assert_int_equal(ept_find(&fake_cpu->current->ept02->tree, 0x5000, &level), 0);
}

/* ---- Two CPUs. ---- */

/* Both CPUs run VMs on one EPT12 and execute INVEPT; the one that enters second must have flushed, too. */
static void invept_flushes_each_cpu_that_executes_it(void **state)
{
    unsigned before;

    (void)state;
    map_in_ept12(0, EPT_RWX);
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        host_switch_cpu(cpu);
        assert_succeeds(host_instruction(EXIT_VMXON, HOST_VMXON));
        host_prepare_vmcs(cpu);
        write_field(VMCS_EPT_POINTER, HOST_EPT12(0) | 0x5e);
        assert_enters(launch());
        hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, 0x5000);
        assert_enters(host_vm_exits(EXIT_EPT_VIOLATION, EPT_READ));
        assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    }
    map_in_ept12(0, 0);
    before = fake_counts.invept_single + fake_counts.invept_all;
    assert_succeeds(host_invalidate(EXIT_INVEPT, 1, HOST_EPT12(0) | 0x5e, 0));
    host_switch_cpu(0);
    assert_succeeds(host_invalidate(EXIT_INVEPT, 1, HOST_EPT12(0) | 0x5e, 0));
    assert_enters(resume());
    assert_true(fake_counts.invept_single + fake_counts.invept_all > before);
    host_switch_cpu(1);
    assert_enters(resume());
    assert_true(fake_counts.invept_single + fake_counts.invept_all >= before + 2);
}

/* Against the rules: two copies that know nothing of each other, and neither disturbs the other. */
static void a_vmcs_on_two_cpus_is_two_copies(void **state)
{
    (void)state;
    host_vmxon();
    launched_vmcs(0);
    host_switch_cpu(1);
    assert_succeeds(host_instruction(EXIT_VMXON, HOST_VMXON));
    assert_succeeds(host_instruction(EXIT_VMPTRLD, HOST_VMCS(0)));
    assert_ptr_not_equal(cpus[0]->current, cpus[1]->current);
    assert_int_not_equal(cpus[0]->current->vmcs02.raw, cpus[1]->current->vmcs02.raw);
    assert_succeeds(host_instruction(EXIT_VMCLEAR, HOST_VMCS(0))); /* changes nothing over there */
    host_switch_cpu(0);
    assert_enters(resume());
    assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    assert_succeeds(host_instruction(EXIT_VMCLEAR, HOST_VMCS(0)));
    host_switch_cpu(1);
    assert_succeeds(host_instruction(EXIT_VMPTRLD, HOST_VMCS(0)));
    assert_int_equal(read_field(VMCS_EXIT_REASON), EXIT_HLT);
    assert_enters(launch());
}

static void vmxoff_gives_everything_back(void **state)
{
    (void)state;
    host_vmxon();
    launched_vmcs(0);
    launched_vmcs(1);
    write_field(VMCS_GUEST_RIP, 0x7777);
    assert_succeeds(host_instruction(EXIT_VMXOFF, 0));
    assert_faults(host_instruction(EXIT_VMPTRST, 0), UD);
    assert_int_equal(hw_vmread(VMCS_SECONDARY_CONTROLS) & SEC_VMCS_SHADOWING, 0);
    host_switch_cpu(1);
    assert_succeeds(host_instruction(EXIT_VMXON, HOST_VMXON));
    assert_succeeds(host_instruction(EXIT_VMPTRLD, HOST_VMCS(1)));
    assert_int_equal(read_field(VMCS_GUEST_RIP), 0x7777);
}

/* ---- More than there is room for. ---- */

static void more_vmcss_than_slots(void **state)
{
    (void)state;
    host_vmxon();
    for (unsigned i = 0; i < 100; i++) {
        host_prepare_vmcs(i);
        write_field(VMCS_GUEST_RIP, i);
        assert_enters(launch());
        assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    }
    for (unsigned i = 0; i < 100; i++) {
        assert_succeeds(host_instruction(EXIT_VMPTRLD, HOST_VMCS(i)));
        assert_int_equal(read_field(VMCS_GUEST_RIP), i);
        assert_enters(resume());
        assert_outcome(host_vm_exits(EXIT_HLT, 0), EXITED, EXIT_HLT);
    }
}

int main(void)
{
    static const struct nested_test tests[] = {
        TEST(outside_vmx_operation_all_is_ud),
        TEST(modes_and_privilege),
        TEST(vmxon_checks_its_region),
        TEST(operands_that_are_not_mapped),
        TEST(vmclear_and_vmptrld_check_the_region),
        TEST(vmptrst_stores_the_pointer),
        TEST(fields_keep_their_values),
        TEST(high_halves_leave_the_low_ones),
        TEST(unsupported_fields),
        TEST(read_only_fields),
        TEST(regions_are_cut_to_the_width_of_fields),
        TEST(vmclear_of_an_inactive_vmcs),
        TEST(slots_go_by_their_last_use),
        TEST(shadowing_follows_the_table),
        TEST(launch_states),
        TEST(refused_entries),
        TEST(entries_follow_the_checks),
        TEST(controls_reach_the_processor),
        TEST(switched_state),
        TEST(invalid_values_reach_the_processor_at_once),
        TEST(vpid_is_always_in_force),
        TEST(link_pointers),
        TEST(failed_entries_can_be_repeated),
        TEST(entries_that_the_processor_refuses),
        TEST(entries_without_memory_are_refused),
        TEST(waiting_for_sipi_is_not_entered),
        TEST(efer_follows_the_mode),
        TEST(pdptes_come_from_memory_without_ept),
        TEST(the_preemption_timer),
        TEST(exit_controls_that_pass_through),
        TEST(events_reach_the_processor),
        TEST(an_unchanged_vmcs_is_not_merged_again),
        TEST(trees_are_given_back),
        TEST(unused_bitmaps_are_not_watched),
        TEST(entries_and_exits_are_counted),
        TEST(bitmaps_can_be_switched),
        TEST(all_bitmap_frames_are_watched),
        TEST(bitmaps_follow_the_hosts_memory),
        TEST(bitmaps_outside_the_hosts_ram),
        TEST(one_page_for_all_bitmaps),
        TEST(entry_lists_are_copied),
        TEST(exit_lists),
        TEST(exits_show_the_host_what_happened),
        TEST(exits_load_the_host_state),
        TEST(saved_state_follows_the_controls),
        TEST(violations_that_ept12_explains_are_kept),
        TEST(repaired_violations_are_refilled),
        TEST(vms_without_ept_use_the_hosts),
        TEST(intercepts_of_the_layer_are_kept),
        TEST(invept_checks_its_operands),
        TEST(invvpid_checks_its_operands),
        TEST(invept_takes_effect),
        TEST(invept_flushes_each_cpu_that_executes_it),
        TEST(a_vmcs_on_two_cpus_is_two_copies),
        TEST(vmxoff_gives_everything_back),
        TEST(more_vmcss_than_slots),
    };
    return run_nested_tests("nested", tests, COUNT_OF(tests));
}
