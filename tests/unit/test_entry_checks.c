/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Each rule of the VM-entry checks, broken alone on a vmcs12 that passes them all. A case names what it sets and the
 * error number that the SDM gives; 0 is a setting close to the rule that must still pass. The other group of checks
 * (host state for a control, controls for host state) must not notice.
 */
#include "unit.h"
#include "entry_baseline.h"

enum { SETTINGS_MAX = 5 };

struct entry_case {
    const char *name;
    enum vm_instruction_error expect;
    void (*adjust)(struct entry *);
    struct {
        int field_plus_1; /* 0 ends the list */
        uint64_t value;
    } set[SETTINGS_MAX];
};

#define SET(name, v)                                                                                                   \
    {                                                                                                                  \
        FIELD_##name + 1, (v)                                                                                          \
    }
#define OK                   VMERR_NONE
#define CTRL                 VMERR_ENTRY_CONTROLS
#define HOST                 VMERR_ENTRY_HOST_STATE
#define INJECT(type, vector) (INTR_VALID | (uint32_t)(type) << 8 | (uint32_t)(vector))

static void no_uncacheable(struct entry *e)
{
    e->offer.ept_vpid &= ~EPT_CAP_UC;
}

static void no_write_back(struct entry *e)
{
    e->offer.ept_vpid &= ~EPT_CAP_WB;
}

static void no_walk_4(struct entry *e)
{
    e->offer.ept_vpid &= ~EPT_CAP_WALK_4;
}

static void no_accessed_dirty(struct entry *e)
{
    e->offer.ept_vpid &= ~EPT_CAP_ACCESSED_DIRTY;
}

static void no_cr3_targets(struct entry *e)
{
    e->offer.misc &= ~(UINT64_C(0x1ff) << 16);
}

static void width_52(struct entry *e)
{
    e->limits.physical_width = 52;
}

static void width_36(struct entry *e)
{
    e->limits.physical_width = 36;
}

static void linear_57(struct entry *e)
{
    e->limits.linear_width = 57;
}

static void secondary_must_be_1(struct entry *e)
{
    e->offer.secondary.must_be_1 = SEC_EPT;
}

static void cet_supported(struct entry *e)
{
    e->offer.cr4_fixed1 |= BIT64(23);
}

static void cet_without_wp(struct entry *e)
{
    cet_supported(e);
    e->fields[FIELD_HOST_CR0] &= ~BIT64(16);
}

static void efer_without_nxe(struct entry *e)
{
    e->limits.efer_valid &= ~BIT64(11);
}

static const struct entry_case cases[] = {
    { "baseline", OK, NULL, { { 0 } } },

    /* VM-execution controls. */
    { "secondary controls count as 0 while not activated",
      OK,
      NULL,
      { SET(PROCESSOR_BASED_CONTROLS, BASE_PROC & ~PROC_SECONDARY_CONTROLS), SET(SECONDARY_CONTROLS, UINT32_MAX),
        SET(VPID, 0), SET(EPT_POINTER, UINT64_MAX), SET(TSC_MULTIPLIER, 0) } },
    { "a secondary control that must be 1, not activated",
      OK,
      secondary_must_be_1,
      { SET(PROCESSOR_BASED_CONTROLS, BASE_PROC & ~PROC_SECONDARY_CONTROLS), SET(SECONDARY_CONTROLS, 0) } },
    { "a secondary control that must be 1", CTRL, secondary_must_be_1, { SET(SECONDARY_CONTROLS, SEC_VPID) } },
    { "4 CR3 targets", OK, NULL, { SET(CR3_TARGET_COUNT, 4) } },
    { "5 CR3 targets", CTRL, NULL, { SET(CR3_TARGET_COUNT, 5) } },
    { "2^32-1 CR3 targets", CTRL, NULL, { SET(CR3_TARGET_COUNT, UINT32_MAX) } },
    { "1 CR3 target where none is offered", CTRL, no_cr3_targets, { SET(CR3_TARGET_COUNT, 1) } },
    { "I/O bitmap A misaligned by 1", CTRL, NULL, { SET(IO_BITMAP_A, 0x2001) } },
    { "I/O bitmap A misaligned by 800h", CTRL, NULL, { SET(IO_BITMAP_A, 0x2800) } },
    { "I/O bitmap B misaligned", CTRL, NULL, { SET(IO_BITMAP_B, 0x3800) } },
    { "I/O bitmap A above the physical width", CTRL, NULL, { SET(IO_BITMAP_A, UINT64_C(1) << 40) } },
    { "I/O bitmap B above the physical width", CTRL, NULL, { SET(IO_BITMAP_B, UINT64_C(1) << 40) } },
    { "I/O bitmap A at the top of the physical width", OK, NULL, { SET(IO_BITMAP_A, (UINT64_C(1) << 40) - 4096) } },
    { "I/O bitmap B at bit 63", CTRL, NULL, { SET(IO_BITMAP_B, BIT64(63)) } },
    { "I/O bitmaps unused",
      OK,
      NULL,
      { SET(PROCESSOR_BASED_CONTROLS, BASE_PROC & ~PROC_IO_BITMAPS), SET(IO_BITMAP_A, UINT64_MAX),
        SET(IO_BITMAP_B, 1) } },
    { "I/O bitmaps with unconditional exiting are still checked",
      CTRL,
      NULL,
      { SET(PROCESSOR_BASED_CONTROLS, BASE_PROC | PROC_UNCONDITIONAL_IO_EXITING), SET(IO_BITMAP_A, 1) } },
    { "MSR bitmap misaligned", CTRL, NULL, { SET(MSR_BITMAP, 0x4010) } },
    { "MSR bitmap above the physical width", CTRL, NULL, { SET(MSR_BITMAP, UINT64_C(1) << 40) } },
    { "MSR bitmap above a smaller physical width", CTRL, width_36, { SET(MSR_BITMAP, UINT64_C(1) << 36) } },
    { "MSR bitmap below a larger physical width", OK, width_52, { SET(MSR_BITMAP, UINT64_C(1) << 51) } },
    { "MSR bitmap above the largest physical width", CTRL, width_52, { SET(MSR_BITMAP, UINT64_C(1) << 52) } },
    { "MSR bitmap unused",
      OK,
      NULL,
      { SET(PROCESSOR_BASED_CONTROLS, BASE_PROC & ~PROC_MSR_BITMAPS), SET(MSR_BITMAP, UINT64_MAX) } },
    { "MSR bitmap misaligned, I/O bitmaps unused",
      CTRL,
      NULL,
      { SET(PROCESSOR_BASED_CONTROLS, BASE_PROC & ~PROC_IO_BITMAPS), SET(MSR_BITMAP, 0x4010) } },
    { "virtual NMIs without NMI exiting",
      CTRL,
      NULL,
      { SET(PIN_BASED_CONTROLS, (BASE_PIN & ~PIN_NMI_EXITING) | PIN_VIRTUAL_NMIS) } },
    { "virtual NMIs with NMI exiting", OK, NULL, { SET(PIN_BASED_CONTROLS, BASE_PIN | PIN_VIRTUAL_NMIS) } },
    { "NMI window without virtual NMIs",
      CTRL,
      NULL,
      { SET(PROCESSOR_BASED_CONTROLS, BASE_PROC | PROC_NMI_WINDOW_EXITING) } },
    { "NMI window with virtual NMIs",
      OK,
      NULL,
      { SET(PROCESSOR_BASED_CONTROLS, BASE_PROC | PROC_NMI_WINDOW_EXITING),
        SET(PIN_BASED_CONTROLS, BASE_PIN | PIN_VIRTUAL_NMIS) } },
    { "VPID 0", CTRL, NULL, { SET(VPID, 0) } },
    { "VPID FFFFh", OK, NULL, { SET(VPID, 0xffff) } },
    { "VPID 0, unused", OK, NULL, { SET(VPID, 0), SET(SECONDARY_CONTROLS, BASE_SECONDARY & ~SEC_VPID) } },
    { "unrestricted guest without EPT", CTRL, NULL, { SET(SECONDARY_CONTROLS, SEC_UNRESTRICTED_GUEST) } },
    { "EPT without unrestricted guest", OK, NULL, { SET(SECONDARY_CONTROLS, SEC_EPT) } },
    { "TSC multiplier 0",
      CTRL,
      NULL,
      { SET(SECONDARY_CONTROLS, BASE_SECONDARY | SEC_TSC_SCALING), SET(TSC_MULTIPLIER, 0) } },
    { "TSC multiplier 1",
      OK,
      NULL,
      { SET(SECONDARY_CONTROLS, BASE_SECONDARY | SEC_TSC_SCALING), SET(TSC_MULTIPLIER, 1) } },
    { "TSC multiplier 0, unused", OK, NULL, { SET(TSC_MULTIPLIER, 0) } },

    /* EPT pointer. */
    { "EPTP unused", OK, NULL, { SET(SECONDARY_CONTROLS, SEC_VPID), SET(EPT_POINTER, UINT64_MAX) } },
    { "EPTP uncacheable", OK, NULL, { SET(EPT_POINTER, BASE_EPTP & ~UINT64_C(7)) } },
    { "EPTP uncacheable, not offered", CTRL, no_uncacheable, { SET(EPT_POINTER, BASE_EPTP & ~UINT64_C(7)) } },
    { "EPTP write-back, not offered", CTRL, no_write_back, { { 0 } } },
    { "EPTP write-combining", CTRL, NULL, { SET(EPT_POINTER, 0x100059) } },
    { "EPTP memory type 2", CTRL, NULL, { SET(EPT_POINTER, 0x10005a) } },
    { "EPTP memory type 3", CTRL, NULL, { SET(EPT_POINTER, 0x10005b) } },
    { "EPTP write-through", CTRL, NULL, { SET(EPT_POINTER, 0x10005c) } },
    { "EPTP write-protected", CTRL, NULL, { SET(EPT_POINTER, 0x10005d) } },
    { "EPTP memory type 7", CTRL, NULL, { SET(EPT_POINTER, 0x10005f) } },
    { "EPTP walk length 1", CTRL, NULL, { SET(EPT_POINTER, 0x100046) } },
    { "EPTP walk length 3", CTRL, NULL, { SET(EPT_POINTER, 0x100056) } },
    { "EPTP walk length 5", CTRL, NULL, { SET(EPT_POINTER, 0x100066) } },
    { "EPTP walk length 8", CTRL, NULL, { SET(EPT_POINTER, 0x10007e) } },
    { "EPTP walk length 4, not offered", CTRL, no_walk_4, { { 0 } } },
    { "EPTP without accessed and dirty flags", OK, NULL, { SET(EPT_POINTER, 0x10001e) } },
    { "EPTP without accessed and dirty flags, which are not offered",
      OK,
      no_accessed_dirty,
      { SET(EPT_POINTER, 0x10001e) } },
    { "EPTP with accessed and dirty flags, not offered", CTRL, no_accessed_dirty, { { 0 } } },
    { "EPTP supervisor shadow stacks", CTRL, NULL, { SET(EPT_POINTER, BASE_EPTP | BIT64(7)) } },
    { "EPTP reserved bit 8", CTRL, NULL, { SET(EPT_POINTER, BASE_EPTP | BIT64(8)) } },
    { "EPTP reserved bit 9", CTRL, NULL, { SET(EPT_POINTER, BASE_EPTP | BIT64(9)) } },
    { "EPTP reserved bit 10", CTRL, NULL, { SET(EPT_POINTER, BASE_EPTP | BIT64(10)) } },
    { "EPTP reserved bit 11", CTRL, NULL, { SET(EPT_POINTER, BASE_EPTP | BIT64(11)) } },
    { "EPTP bit 12", OK, NULL, { SET(EPT_POINTER, BASE_EPTP | BIT64(12)) } },
    { "EPTP top bit of the physical width", OK, NULL, { SET(EPT_POINTER, BASE_EPTP | BIT64(39)) } },
    { "EPTP above the physical width", CTRL, NULL, { SET(EPT_POINTER, BASE_EPTP | BIT64(40)) } },
    { "EPTP bit 63", CTRL, NULL, { SET(EPT_POINTER, BASE_EPTP | BIT64(63)) } },

    /* VM-exit controls. */
    { "saving the preemption timer without using it",
      CTRL,
      NULL,
      { SET(VM_EXIT_CONTROLS, BASE_EXIT | EXIT_SAVE_PREEMPTION_TIMER) } },
    { "saving the preemption timer",
      OK,
      NULL,
      { SET(VM_EXIT_CONTROLS, BASE_EXIT | EXIT_SAVE_PREEMPTION_TIMER),
        SET(PIN_BASED_CONTROLS, BASE_PIN | PIN_PREEMPTION_TIMER) } },
    { "the preemption timer without saving it",
      OK,
      NULL,
      { SET(PIN_BASED_CONTROLS, BASE_PIN | PIN_PREEMPTION_TIMER) } },

    /* MSR lists. */
    { "exit store list misaligned by 8", CTRL, NULL, { SET(VM_EXIT_MSR_STORE_ADDR, 0x5008) } },
    { "exit store list misaligned by 1", CTRL, NULL, { SET(VM_EXIT_MSR_STORE_ADDR, 0x5001) } },
    { "exit load list misaligned", CTRL, NULL, { SET(VM_EXIT_MSR_LOAD_ADDR, 0x6008) } },
    { "entry load list misaligned", CTRL, NULL, { SET(VM_ENTRY_MSR_LOAD_ADDR, 0x7ff4) } },
    { "exit store list above the physical width", CTRL, NULL, { SET(VM_EXIT_MSR_STORE_ADDR, BIT64(40)) } },
    { "exit load list above the physical width", CTRL, NULL, { SET(VM_EXIT_MSR_LOAD_ADDR, BIT64(40)) } },
    { "entry load list above the physical width", CTRL, NULL, { SET(VM_ENTRY_MSR_LOAD_ADDR, BIT64(63)) } },
    { "exit store list ends at the physical width", OK, NULL, { SET(VM_EXIT_MSR_STORE_ADDR, BIT64(40) - 32) } },
    { "exit store list crosses the physical width", CTRL, NULL, { SET(VM_EXIT_MSR_STORE_ADDR, BIT64(40) - 16) } },
    { "exit load list ends at the physical width", OK, NULL, { SET(VM_EXIT_MSR_LOAD_ADDR, BIT64(40) - 32) } },
    { "exit load list crosses the physical width", CTRL, NULL, { SET(VM_EXIT_MSR_LOAD_ADDR, BIT64(40) - 16) } },
    { "entry load list ends at the physical width", OK, NULL, { SET(VM_ENTRY_MSR_LOAD_ADDR, BIT64(40) - 32) } },
    { "entry load list crosses the physical width", CTRL, NULL, { SET(VM_ENTRY_MSR_LOAD_ADDR, BIT64(40) - 16) } },
    { "list whose size does not fit 32 bits",
      CTRL,
      width_36,
      { SET(VM_ENTRY_MSR_LOAD_COUNT, UINT32_C(0x10000000)), SET(VM_ENTRY_MSR_LOAD_ADDR, UINT64_C(0xf00000010)) } },
    { "longest list announced",
      OK,
      width_36,
      { SET(VM_EXIT_MSR_LOAD_COUNT, 512), SET(VM_EXIT_MSR_LOAD_ADDR, BIT64(36) - 8192) } },
    { "longest list announced, crossing the physical width",
      CTRL,
      width_36,
      { SET(VM_EXIT_MSR_LOAD_COUNT, 512), SET(VM_EXIT_MSR_LOAD_ADDR, BIT64(36) - 8176) } },
    { "longer exit store list", CTRL, NULL, { SET(VM_EXIT_MSR_STORE_COUNT, 513) } },
    { "longer exit load list", CTRL, NULL, { SET(VM_EXIT_MSR_LOAD_COUNT, 513) } },
    { "longer entry load list", CTRL, NULL, { SET(VM_ENTRY_MSR_LOAD_COUNT, 513) } },
    { "list of 2^32-1", CTRL, NULL, { SET(VM_EXIT_MSR_LOAD_COUNT, UINT32_MAX), SET(VM_EXIT_MSR_LOAD_ADDR, 0) } },
    { "list at address 0", OK, NULL, { SET(VM_EXIT_MSR_STORE_ADDR, 0) } },
    { "entry load list misaligned, the others empty",
      CTRL,
      NULL,
      { SET(VM_EXIT_MSR_STORE_COUNT, 0), SET(VM_EXIT_MSR_LOAD_COUNT, 0), SET(VM_ENTRY_MSR_LOAD_ADDR, 0x7008) } },
    { "empty exit store list", OK, NULL, { SET(VM_EXIT_MSR_STORE_COUNT, 0), SET(VM_EXIT_MSR_STORE_ADDR, UINT64_MAX) } },
    { "empty exit load list", OK, NULL, { SET(VM_EXIT_MSR_LOAD_COUNT, 0), SET(VM_EXIT_MSR_LOAD_ADDR, UINT64_MAX) } },
    { "empty entry load list", OK, NULL, { SET(VM_ENTRY_MSR_LOAD_COUNT, 0), SET(VM_ENTRY_MSR_LOAD_ADDR, UINT64_MAX) } },

    /* Event injection: the processor's to check, but for what it may have and the layer does not offer. */
    { "garbage without the valid bit",
      OK,
      NULL,
      { SET(VM_ENTRY_INTERRUPTION_INFO, 0x7fffffff), SET(VM_ENTRY_EXCEPTION_ERROR_CODE, UINT32_MAX),
        SET(VM_ENTRY_INSTRUCTION_LENGTH, UINT32_MAX) } },
    { "external interrupt", OK, NULL, { SET(VM_ENTRY_INTERRUPTION_INFO, INJECT(INTR_TYPE_EXTERNAL, 0x30)) } },
    { "software exception", OK, NULL, { SET(VM_ENTRY_INTERRUPTION_INFO, INJECT(INTR_TYPE_SOFTWARE_EXCEPTION, 3)) } },
    { "pending monitor trap", CTRL, NULL, { SET(VM_ENTRY_INTERRUPTION_INFO, INJECT(INTR_TYPE_OTHER, 0)) } },
    { "pending monitor trap with vector 1",
      CTRL,
      NULL,
      { SET(VM_ENTRY_INTERRUPTION_INFO, INJECT(INTR_TYPE_OTHER, 1)) } },

    /* Host control registers and MSRs. */
    { "host CR0.PE = 0", HOST, NULL, { SET(HOST_CR0, 0x80050032) } },
    { "host CR0.NE = 0", HOST, NULL, { SET(HOST_CR0, 0x80050013) } },
    { "host CR0.PG = 0", HOST, NULL, { SET(HOST_CR0, 0x00050033) } },
    { "host CR0 bit 32", HOST, NULL, { SET(HOST_CR0, UINT64_C(0x180050033)) } },
    { "host CR0 bit 63", HOST, NULL, { SET(HOST_CR0, UINT64_C(0x8000000080050033)) } },
    { "host CR0 with CD and NW", OK, NULL, { SET(HOST_CR0, 0xe0050033) } },
    { "host CR4.VMXE = 0", HOST, NULL, { SET(HOST_CR4, 0x6a0) } },
    { "host CR4 with an unsupported bit", HOST, NULL, { SET(HOST_CR4, 0x26a0 | BIT64(15)) } },
    { "host CR4 bit 25", HOST, NULL, { SET(HOST_CR4, 0x26a0 | BIT64(25)) } },
    { "host CR4 bit 63", HOST, NULL, { SET(HOST_CR4, 0x26a0 | BIT64(63)) } },
    { "host CR4.PCIDE in 64-bit mode", OK, NULL, { SET(HOST_CR4, 0x26a0 | BIT64(17)) } },
    { "host CR4.CET with CR0.WP", OK, cet_supported, { SET(HOST_CR4, 0x26a0 | BIT64(23)) } },
    { "host CR4.CET without CR0.WP", HOST, cet_without_wp, { SET(HOST_CR4, 0x26a0 | BIT64(23)) } },
    { "host CR0.WP = 0 without CR4.CET", OK, cet_without_wp, { { 0 } } },
    { "host CR3 with low bits", OK, NULL, { SET(HOST_CR3, 0xfff) } },
    { "host CR3 top bit of the physical width", OK, NULL, { SET(HOST_CR3, BIT64(39)) } },
    { "host CR3 above the physical width", HOST, NULL, { SET(HOST_CR3, BIT64(40)) } },
    { "host CR3 bit 52", HOST, width_52, { SET(HOST_CR3, BIT64(52)) } },
    { "host CR3 bit 63", HOST, NULL, { SET(HOST_CR3, BIT64(63)) } },
    { "host EFER not loaded",
      OK,
      NULL,
      { SET(VM_EXIT_CONTROLS, BASE_EXIT & ~EXIT_LOAD_EFER), SET(HOST_IA32_EFER, UINT64_MAX) } },
    { "host EFER without SCE and NXE", OK, NULL, { SET(HOST_IA32_EFER, 0x500) } },
    { "host EFER.LMA = 0", HOST, NULL, { SET(HOST_IA32_EFER, 0x901) } },
    { "host EFER.LME = 0", HOST, NULL, { SET(HOST_IA32_EFER, 0xc01) } },
    { "host EFER.LMA = LME = 0", HOST, NULL, { SET(HOST_IA32_EFER, 0x801) } },
    { "host EFER reserved bit 1", HOST, NULL, { SET(HOST_IA32_EFER, 0xd03) } },
    { "host EFER reserved bit 9", HOST, NULL, { SET(HOST_IA32_EFER, 0xf01) } },
    { "host EFER reserved bit 63", HOST, NULL, { SET(HOST_IA32_EFER, BIT64(63) | 0xd01) } },
    { "host EFER.NXE without support", HOST, efer_without_nxe, { { 0 } } },
    { "host PAT not loaded",
      OK,
      NULL,
      { SET(VM_EXIT_CONTROLS, BASE_EXIT & ~EXIT_LOAD_PAT), SET(HOST_IA32_PAT, UINT64_MAX) } },

    /* Host selectors. */
    { "host CS 0", HOST, NULL, { SET(HOST_CS_SELECTOR, 0) } },
    { "host TR 0", HOST, NULL, { SET(HOST_TR_SELECTOR, 0) } },
    { "host SS 0", OK, NULL, { SET(HOST_SS_SELECTOR, 0) } },
    { "host DS, ES, FS and GS FFF8h",
      OK,
      NULL,
      { SET(HOST_DS_SELECTOR, 0xfff8), SET(HOST_ES_SELECTOR, 0xfff8), SET(HOST_FS_SELECTOR, 0xfff8),
        SET(HOST_GS_SELECTOR, 0xfff8) } },

    /* Address-space size. */
    { "32-bit guest of a 64-bit hypervisor", OK, NULL, { SET(VM_ENTRY_CONTROLS, BASE_ENTRY & ~ENTRY_IA32E_GUEST) } },
    { "host CR4.PAE = 0 in 64-bit mode", HOST, NULL, { SET(HOST_CR4, 0x2680) } },
    { "host RSP is not checked", OK, NULL, { SET(HOST_RSP, UINT64_C(0x5555555555555555)) } },
    { "host SYSENTER_CS is not checked", OK, NULL, { SET(HOST_IA32_SYSENTER_CS, 0xffffffff) } },
    { "host RIP canonical for 57 bits", OK, linear_57, { SET(HOST_RIP, UINT64_C(0xff00000000000000)) } },
};

static void run_case(void **state)
{
    const struct entry_case *c = *state;
    struct entry e, before;
    enum vm_instruction_error controls, host;

    entry_baseline(&e);
    if (c->adjust != NULL)
        c->adjust(&e);
    for (int i = 0; i < SETTINGS_MAX && c->set[i].field_plus_1 != 0; i++)
        e.fields[c->set[i].field_plus_1 - 1] = c->set[i].value;
    before = e;
    controls = entry_check_controls(e.fields, &e.offer, &e.limits);
    host = entry_check_host_state(e.fields, &e.offer, &e.limits);
    assert_int_equal(controls, c->expect == CTRL ? CTRL : OK);
    assert_int_equal(host, c->expect == HOST ? HOST : OK);
    assert_memory_equal(&e, &before, sizeof(e));
}

/* Each bit of each control word flipped: the offer decides, but for the rules that name two controls. */
static const struct control_word {
    const char *name;
    int field;
    size_t cap;
    uint32_t breaks_rule; /* bits whose flip breaks a rule other than the offer */
} control_words[] = {
    { "pin-based", FIELD_PIN_BASED_CONTROLS, offsetof(struct vmx_caps, pin), 0 },
    { "primary", FIELD_PROCESSOR_BASED_CONTROLS, offsetof(struct vmx_caps, proc), PROC_NMI_WINDOW_EXITING },
    { "secondary", FIELD_SECONDARY_CONTROLS, offsetof(struct vmx_caps, secondary), SEC_EPT },
    { "exit", FIELD_VM_EXIT_CONTROLS, offsetof(struct vmx_caps, exit), EXIT_SAVE_PREEMPTION_TIMER },
    { "entry", FIELD_VM_ENTRY_CONTROLS, offsetof(struct vmx_caps, entry), 0 },
};

struct control_bit {
    const struct control_word *word;
    unsigned bit;
};

static void run_control_bit(void **state)
{
    const struct control_bit *c = *state;
    const struct vmx_control_cap *cap;
    uint32_t bit = BIT32(c->bit);
    struct entry e;
    bool good;

    entry_baseline(&e);
    cap = (const struct vmx_control_cap *)(const void *)((const char *)&e.offer + c->word->cap);
    e.fields[c->word->field] ^= bit;
    good = (e.fields[c->word->field] & bit) != 0 ? (cap->may_be_1 & bit) != 0 : (cap->must_be_1 & bit) == 0;
    good = good && (c->word->breaks_rule & bit) == 0;
    assert_int_equal(entry_check_controls(e.fields, &e.offer, &e.limits), good ? OK : CTRL);
    assert_int_equal(entry_check_host_state(e.fields, &e.offer, &e.limits), OK);
}

static void run_pat_byte(void **state)
{
    unsigned shift = 8 * (unsigned)(uintptr_t)*state;
    struct entry e;

    entry_baseline(&e);
    for (uint64_t type = 0; type < 256; type++) {
        bool good = type == 0 || type == 1 || (type >= 4 && type <= 7);

        e.fields[FIELD_HOST_IA32_PAT] = (BASE_PAT & ~(UINT64_C(0xff) << shift)) | type << shift;
        if (entry_check_host_state(e.fields, &e.offer, &e.limits) != (good ? OK : HOST))
            fail_msg("type %u", (unsigned)type);
    }
}

static const struct named_field {
    const char *name;
    int field;
} canonical_fields[] = {
    { "FS base", FIELD_HOST_FS_BASE },
    { "GS base", FIELD_HOST_GS_BASE },
    { "TR base", FIELD_HOST_TR_BASE },
    { "GDTR base", FIELD_HOST_GDTR_BASE },
    { "IDTR base", FIELD_HOST_IDTR_BASE },
    { "SYSENTER_ESP", FIELD_HOST_IA32_SYSENTER_ESP },
    { "SYSENTER_EIP", FIELD_HOST_IA32_SYSENTER_EIP },
    { "RIP", FIELD_HOST_RIP },
}, selector_fields[] = {
    { "ES", FIELD_HOST_ES_SELECTOR }, { "CS", FIELD_HOST_CS_SELECTOR }, { "SS", FIELD_HOST_SS_SELECTOR },
    { "DS", FIELD_HOST_DS_SELECTOR }, { "FS", FIELD_HOST_FS_SELECTOR }, { "GS", FIELD_HOST_GS_SELECTOR },
    { "TR", FIELD_HOST_TR_SELECTOR },
};

static void run_canonical(void **state)
{
    static const struct {
        uint64_t value;
        bool good_48;
        bool good_57;
    } samples[] = {
        { 0, true, true },
        { UINT64_C(0x00007fffffffffff), true, true },
        { UINT64_C(0x0000800000000000), false, true },
        { UINT64_C(0x00ffffffffffffff), false, true },
        { UINT64_C(0x0100000000000000), false, false },
        { UINT64_C(0x8000000000000000), false, false },
        { UINT64_C(0x7fffffffffffffff), false, false },
        { UINT64_C(0xfeffffffffffffff), false, false },
        { UINT64_C(0xff00000000000000), false, true },
        { UINT64_C(0xffff7fffffffffff), false, true },
        { UINT64_C(0xffff800000000000), true, true },
        { UINT64_MAX, true, true },
    };
    const struct named_field *field = *state;
    struct entry e;

    entry_baseline(&e);
    for (size_t i = 0; i < COUNT_OF(samples); i++) {
        e.fields[field->field] = samples[i].value;
        e.limits.linear_width = 48;
        assert_int_equal(entry_check_host_state(e.fields, &e.offer, &e.limits), samples[i].good_48 ? OK : HOST);
        e.limits.linear_width = 57;
        assert_int_equal(entry_check_host_state(e.fields, &e.offer, &e.limits), samples[i].good_57 ? OK : HOST);
    }
}

static void run_selector(void **state)
{
    const struct named_field *field = *state;
    struct entry e;

    entry_baseline(&e);
    for (uint64_t low = 1; low < 8; low++) {
        e.fields[field->field] = 0x50 | low;
        assert_int_equal(entry_check_host_state(e.fields, &e.offer, &e.limits), HOST);
    }
    e.fields[field->field] = 0x50;
    assert_int_equal(entry_check_host_state(e.fields, &e.offer, &e.limits), OK);
}

static void inactive_secondary_controls_are_zero(void **state)
{
    struct entry e;

    (void)state;
    entry_baseline(&e);
    assert_int_equal(entry_secondary_controls(e.fields), BASE_SECONDARY);
    e.fields[FIELD_PROCESSOR_BASED_CONTROLS] &= ~(uint64_t)PROC_SECONDARY_CONTROLS;
    assert_int_equal(entry_secondary_controls(e.fields), 0);
}

int main(void)
{
    static struct control_bit bits[COUNT_OF(control_words) * 32];
    struct group g = { 0 };

    for (size_t i = 0; i < COUNT_OF(cases); i++)
        group_add(&g, run_case, &cases[i], "%s", cases[i].name);
    for (size_t i = 0; i < COUNT_OF(bits); i++) {
        bits[i] = (struct control_bit){ &control_words[i / 32], i % 32 };
        group_add(&g, run_control_bit, &bits[i], "%s control bit %u flipped", bits[i].word->name, bits[i].bit);
    }
    for (uintptr_t byte = 0; byte < 8; byte++)
        group_add(&g, run_pat_byte, (const void *)byte, "host PAT byte %u", (unsigned)byte);
    for (size_t i = 0; i < COUNT_OF(canonical_fields); i++)
        group_add(&g, run_canonical, &canonical_fields[i], "host %s canonical", canonical_fields[i].name);
    for (size_t i = 0; i < COUNT_OF(selector_fields); i++)
        group_add(&g, run_selector, &selector_fields[i], "host %s selector", selector_fields[i].name);
    group_add(&g, inactive_secondary_controls_are_zero, NULL, "inactive secondary controls are zero");
    return group_run(&g, "entry_checks");
}
