/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The capability MSRs that the layer announces: exact values for a known processor, nothing hidden shines through
 * whatever the processor has, and no MSR answers that the announcements say is missing.
 */
#include "unit.h"
#include "processors.h"

/* Capability MSRs that the layer knows by their place only. */
enum {
    MSR_VMX_PROC = 0x482,
    MSR_VMX_EXIT = 0x483,
    MSR_VMX_ENTRY = 0x484,
    MSR_VMX_MISC = 0x485,
    MSR_VMX_CR0_FIXED0 = 0x486,
    MSR_VMX_CR0_FIXED1 = 0x487,
    MSR_VMX_CR4_FIXED0 = 0x488,
    MSR_VMX_CR4_FIXED1 = 0x489,
    MSR_VMX_VMCS_ENUM = 0x48a,
    MSR_VMX_TRUE_PROC = 0x48e,
    MSR_VMX_TRUE_EXIT = 0x48f,
};

/* What the layer never offers, and so never names. */
#define PIN_POSTED_INTERRUPTS       BIT32(7)
#define PROC_TERTIARY_CONTROLS      BIT32(17)
#define PROC_TPR_SHADOW             BIT32(21)
#define SEC_APIC_ACCESS             BIT32(0)
#define SEC_X2APIC_MODE             BIT32(4)
#define SEC_APIC_REGISTER           BIT32(8)
#define SEC_VIRTUAL_INTERRUPT       BIT32(9)
#define SEC_VM_FUNCTIONS            BIT32(13)
#define SEC_ENCLS_EXITING           BIT32(15)
#define SEC_PML                     BIT32(17)
#define SEC_EPT_VIOLATION_VE        BIT32(18)
#define SEC_CONCEAL_VMX_FROM_PT     BIT32(19)
#define EXIT_LOAD_PERF_GLOBAL_CTRL  BIT32(12)
#define ENTRY_TO_SMM                BIT32(10)
#define ENTRY_DEACTIVATE_DUAL       BIT32(11)
#define ENTRY_LOAD_PERF_GLOBAL_CTRL BIT32(13)
#define EPT_CAP_ADVANCED_EXIT       BIT64(22)

static struct vmx_caps offer_of(struct vmx_caps hw)
{
    struct vmx_caps offer;

    vmx_caps_offer(&hw, &offer);
    return offer;
}

static void broadwell_is_offered_exactly(void **state)
{
    static const struct {
        uint32_t msr;
        uint64_t value;
    } expected[] = {
        { MSR_VMX_BASIC, UINT64_C(0x00d8100000435631) },
        { MSR_VMX_PIN, UINT64_C(0x0000007f00000016) },
        { MSR_VMX_PROC, UINT64_C(0xf7d9fffe0401e172) },
        { MSR_VMX_EXIT, UINT64_C(0x007fefff00036fff) },
        { MSR_VMX_ENTRY, UINT64_C(0x0000d3ff000011ff) },
        { MSR_VMX_MISC, UINT64_C(0x00000000200400e0) },
        { MSR_VMX_CR0_FIXED0, 0x80000021 },
        { MSR_VMX_CR0_FIXED1, 0xffffffff },
        { MSR_VMX_CR4_FIXED0, 0x2000 },
        { MSR_VMX_CR4_FIXED1, 0x3767ff },
        { MSR_VMX_VMCS_ENUM, 0x32 },
        { MSR_VMX_SECONDARY, UINT64_C(0x00011cee00000000) },
        { MSR_VMX_EPT_VPID, UINT64_C(0x00000f0106334141) },
        { MSR_VMX_TRUE_PIN, UINT64_C(0x0000007f00000016) },
        { MSR_VMX_TRUE_PROC, UINT64_C(0xf7d9fffe04006172) },
        { MSR_VMX_TRUE_EXIT, UINT64_C(0x007fefff00036ffb) },
        { MSR_VMX_TRUE_ENTRY, UINT64_C(0x0000d3ff000011fb) },
    };
    struct vmx_caps offer = offer_of(processor_broadwell());

    (void)state;
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        uint64_t value = 0;

        if (!vmx_caps_msr(&offer, expected[i].msr, &value) || value != expected[i].value)
            fail_msg("MSR %#x is %#llx", expected[i].msr, (unsigned long long)value);
    }
}

static void offering_an_offer_changes_nothing(void **state)
{
    struct vmx_caps once = offer_of(processor_broadwell());
    struct vmx_caps twice = offer_of(once);

    (void)state;
    assert_memory_equal(&once, &twice, sizeof(once));
    once = offer_of(processor_everything());
    twice = offer_of(once);
    assert_memory_equal(&once, &twice, sizeof(once));
}

/* Every control that a vmcs12 may never switch on, whatever the processor can. */
static void hidden_controls_stay_hidden(void **state)
{
    const uint32_t hidden_pin = PIN_POSTED_INTERRUPTS;
    const uint32_t hidden_proc = PROC_TPR_SHADOW | PROC_TERTIARY_CONTROLS | PROC_MONITOR_TRAP_FLAG;
    const uint32_t hidden_secondary = SEC_APIC_ACCESS | SEC_X2APIC_MODE | SEC_APIC_REGISTER | SEC_VIRTUAL_INTERRUPT |
                                      SEC_VM_FUNCTIONS | SEC_VMCS_SHADOWING | SEC_ENCLS_EXITING | SEC_PML |
                                      SEC_EPT_VIOLATION_VE | SEC_CONCEAL_VMX_FROM_PT | SEC_USER_WAIT_PAUSE |
                                      BIT32(22) /* mode-based execute */ | BIT32(23) /* sub-page */ |
                                      BIT32(24) /* PT uses GPA */ | BIT32(27) | BIT32(28) | BIT32(30) | BIT32(31);
    const uint32_t hidden_exit = EXIT_LOAD_PERF_GLOBAL_CTRL | UINT32_C(0xff800000);
    const uint32_t hidden_entry = ENTRY_TO_SMM | ENTRY_DEACTIVATE_DUAL | ENTRY_LOAD_PERF_GLOBAL_CTRL |
                                  UINT32_C(0xffff0000);
    struct vmx_caps offer = offer_of(processor_everything());

    (void)state;
    assert_int_equal(offer.pin.may_be_1 & hidden_pin, 0);
    assert_int_equal(offer.proc.may_be_1 & hidden_proc, 0);
    assert_int_equal(offer.secondary.may_be_1 & hidden_secondary, 0);
    assert_int_equal(offer.exit.may_be_1 & hidden_exit, 0);
    assert_int_equal(offer.entry.may_be_1 & hidden_entry, 0);
    assert_int_equal(offer.default_pin.may_be_1, offer.pin.may_be_1);
    assert_int_equal(offer.default_proc.may_be_1, offer.proc.may_be_1);
    assert_int_equal(offer.default_exit.may_be_1, offer.exit.may_be_1);
    assert_int_equal(offer.default_entry.may_be_1, offer.entry.may_be_1);
}

static void hidden_capabilities_stay_hidden(void **state)
{
    struct vmx_caps offer = offer_of(processor_everything());

    (void)state;
    assert_int_equal(offer.basic & BIT64(48), 0); /* 32-bit addresses */
    assert_int_equal(offer.basic & BIT64(49), 0); /* dual-monitor treatment */
    assert_int_equal(offer.basic & BIT64(56), 0); /* exceptions with any error code */
    assert_int_equal(offer.basic >> 57, 0);
    assert_int_equal(offer.basic & 0x7fffffff, VMCS12_REVISION);
    assert_int_equal(offer.basic >> 32 & 0x1fff, 4096);
    assert_int_equal(offer.misc >> 25 & 7, 0);   /* lists of at most 512 MSRs */
    assert_int_equal(offer.misc & BIT64(14), 0); /* processor trace in VMX operation */
    assert_int_equal(offer.misc & BIT64(15), 0); /* RDMSR of IA32_SMBASE in SMM */
    assert_int_equal(offer.misc & BIT64(28), 0); /* SMM monitor */
    assert_int_equal(offer.misc >> 32, 0);
    assert_int_equal(offer.ept_vpid & BIT64(7), 0);  /* 5-level EPT */
    assert_int_equal(offer.ept_vpid & BIT64(23), 0); /* supervisor shadow stacks */
    assert_int_equal(offer.ept_vpid & EPT_CAP_ADVANCED_EXIT, 0);
    assert_int_equal(offer.vmcs_enum & ~UINT64_C(0x3fe), 0);
}

/* Must-be-1 bits are the processor's: dropping one would promise a setting that it does not have. */
static void must_be_1_bits_are_kept(void **state)
{
    struct vmx_caps hw = processor_broadwell();
    struct vmx_caps offer = offer_of(hw);

    (void)state;
    assert_int_equal(offer.pin.must_be_1, hw.pin.must_be_1);
    assert_int_equal(offer.proc.must_be_1, hw.proc.must_be_1);
    assert_int_equal(offer.exit.must_be_1, hw.exit.must_be_1 | EXIT_HOST_64BIT); /* 64-bit hypervisors only */
    assert_int_equal(offer.entry.must_be_1, hw.entry.must_be_1);
    assert_int_equal(offer.pin.must_be_1 & ~offer.pin.may_be_1, 0);
    assert_int_equal(offer.proc.must_be_1 & ~offer.proc.may_be_1, 0);
    assert_int_equal(offer.exit.must_be_1 & ~offer.exit.may_be_1, 0);
    assert_int_equal(offer.entry.must_be_1 & ~offer.entry.may_be_1, 0);
    hw.secondary.may_be_1 = 0;
    assert_int_equal(offer_of(hw).secondary.may_be_1, 0);
}

/* An offer never exceeds the processor, bit by bit. */
static void nothing_is_offered_that_the_processor_lacks(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 32; bit++) {
        struct vmx_caps hw = processor_everything();
        uint32_t lacks = BIT32(bit);

        hw.pin.may_be_1 &= ~lacks | hw.pin.must_be_1;
        hw.proc.may_be_1 &= ~lacks | hw.proc.must_be_1;
        hw.secondary.may_be_1 &= ~lacks;
        hw.exit.may_be_1 &= ~lacks | hw.exit.must_be_1;
        hw.entry.may_be_1 &= ~lacks | hw.entry.must_be_1;
        hw.ept_vpid &= ~(BIT64(bit) | BIT64(bit + 32));
        struct vmx_caps offer = offer_of(hw);

        assert_int_equal(offer.pin.may_be_1 & ~hw.pin.may_be_1, 0);
        assert_int_equal(offer.proc.may_be_1 & ~hw.proc.may_be_1, 0);
        assert_int_equal(offer.secondary.may_be_1 & ~hw.secondary.may_be_1, 0);
        assert_int_equal(offer.exit.may_be_1 & ~hw.exit.may_be_1, 0);
        assert_int_equal(offer.entry.may_be_1 & ~hw.entry.may_be_1, 0);
        assert_int_equal(offer.ept_vpid & ~hw.ept_vpid, 0);
    }
}

static bool exists(const struct vmx_caps *caps, uint32_t msr)
{
    uint64_t value;

    return vmx_caps_msr(caps, msr, &value);
}

static void missing_msrs_do_not_answer(void **state)
{
    struct vmx_caps offer = offer_of(processor_everything());

    (void)state;
    for (uint32_t msr = MSR_VMX_BASIC; msr <= MSR_VMX_TRUE_ENTRY; msr++)
        assert_true(exists(&offer, msr));
    for (uint32_t msr = MSR_VMX_VMFUNC; msr < 0x4a0; msr++)
        assert_false(exists(&offer, msr));
    assert_false(exists(&offer, MSR_VMX_BASIC - 1));
    assert_false(exists(&offer, MSR_FEATURE_CONTROL));
    assert_false(exists(&offer, UINT32_MAX));

    offer.basic &= ~BIT64(55);
    for (uint32_t msr = MSR_VMX_TRUE_PIN; msr <= MSR_VMX_TRUE_ENTRY; msr++)
        assert_false(exists(&offer, msr));
    offer.secondary.may_be_1 &= ~(SEC_EPT | SEC_VPID);
    assert_false(exists(&offer, MSR_VMX_EPT_VPID));
    offer.secondary.may_be_1 |= SEC_VPID;
    assert_true(exists(&offer, MSR_VMX_EPT_VPID));
    offer.default_proc.may_be_1 &= ~PROC_SECONDARY_CONTROLS;
    assert_false(exists(&offer, MSR_VMX_SECONDARY));
}

/* vmx_caps_read of a processor must give back what its MSRs say, and read none that it lacks. */
static struct vmx_caps pretended;

static uint64_t read_pretended(uint32_t msr)
{
    uint64_t value = 0;

    if (!vmx_caps_msr(&pretended, msr, &value))
        fail_msg("MSR %#x does not exist", msr);
    return value;
}

static void reading_gives_the_processor(void **state)
{
    struct vmx_caps caps;

    (void)state;
    pretended = processor_broadwell();
    vmx_caps_read(&caps, read_pretended);
    assert_memory_equal(&caps, &pretended, sizeof(caps));
}

static void reading_spares_missing_msrs(void **state)
{
    struct vmx_caps caps;

    (void)state;
    pretended = processor_broadwell();
    pretended.basic &= ~BIT64(55);
    pretended.pin = pretended.default_pin;
    pretended.proc = pretended.default_proc;
    pretended.exit = pretended.default_exit;
    pretended.entry = pretended.default_entry;
    pretended.secondary.may_be_1 &= ~(SEC_EPT | SEC_VPID);
    pretended.ept_vpid = 0;
    vmx_caps_read(&caps, read_pretended);
    assert_memory_equal(&caps, &pretended, sizeof(caps));

    pretended.proc.may_be_1 &= ~PROC_SECONDARY_CONTROLS;
    pretended.default_proc = pretended.proc;
    pretended.secondary = (struct vmx_control_cap){ 0, 0 };
    vmx_caps_read(&caps, read_pretended);
    assert_memory_equal(&caps, &pretended, sizeof(caps));
}

static void controls_keep_both_rules(void **state)
{
    struct vmx_control_cap cap = { .must_be_1 = 0x16, .may_be_1 = 0x3f };

    (void)state;
    assert_true(vmx_control_valid(cap, 0x16));
    assert_true(vmx_control_valid(cap, 0x3f));
    assert_false(vmx_control_valid(cap, 0x14));
    assert_false(vmx_control_valid(cap, 0x56));
    assert_false(vmx_control_valid(cap, 0));
}

/* Each condition of the table's 'offered' column hangs on the control that the SDM names. */
static void fields_exist_with_their_control(void **state)
{
    static const struct {
        enum vmcs_offer what;
        size_t word;
        uint32_t control;
    } expected[] = {
        { OFFER_PLE, offsetof(struct vmx_caps, secondary), SEC_PAUSE_LOOP_EXITING },
        { OFFER_XSAVES, offsetof(struct vmx_caps, secondary), SEC_XSAVES },
        { OFFER_TSC_SCALING, offsetof(struct vmx_caps, secondary), SEC_TSC_SCALING },
        { OFFER_PREEMPTION_TIMER, offsetof(struct vmx_caps, pin), PIN_PREEMPTION_TIMER },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        struct vmx_caps caps = offer_of(processor_everything());
        struct vmx_control_cap *cap = (struct vmx_control_cap *)(void *)((char *)&caps + expected[i].word);

        assert_true(vmx_caps_offers(&caps, expected[i].what));
        cap->may_be_1 &= ~expected[i].control;
        assert_false(vmx_caps_offers(&caps, expected[i].what));
        assert_true(vmx_caps_offers(&caps, OFFER_ALWAYS));
    }
}

static void fields_of_cr3_targets_exist_if_any_is_offered(void **state)
{
    struct vmx_caps caps = offer_of(processor_everything());

    (void)state;
    assert_true(vmx_caps_offers(&caps, OFFER_CR3_TARGETS));
    caps.misc ^= UINT64_C(5) << 16; /* 1 instead of 4 */
    assert_true(vmx_caps_offers(&caps, OFFER_CR3_TARGETS));
    caps.misc &= ~(UINT64_C(0x1ff) << 16);
    assert_false(vmx_caps_offers(&caps, OFFER_CR3_TARGETS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broadwell_is_offered_exactly),
        cmocka_unit_test(offering_an_offer_changes_nothing),
        cmocka_unit_test(hidden_controls_stay_hidden),
        cmocka_unit_test(hidden_capabilities_stay_hidden),
        cmocka_unit_test(must_be_1_bits_are_kept),
        cmocka_unit_test(nothing_is_offered_that_the_processor_lacks),
        cmocka_unit_test(missing_msrs_do_not_answer),
        cmocka_unit_test(reading_gives_the_processor),
        cmocka_unit_test(reading_spares_missing_msrs),
        cmocka_unit_test(controls_keep_both_rules),
        cmocka_unit_test(fields_exist_with_their_control),
        cmocka_unit_test(fields_of_cr3_targets_exist_if_any_is_offered),
    };

    return cmocka_run_group_tests_name("caps", tests, NULL, NULL);
}
