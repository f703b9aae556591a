/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Families vmread and vmwrite: every encoding from 0 to 7fffh, each field of the table with values that its width
 * cuts, high halves, and encodings with bits above the 15th.
 *
 * Fields that the layer hides exist on the bare processor; they are left out of the sweep in both runs.
 */
#include "untrusted-hypervisor-harness/core/result.h"
#include "untrusted-hypervisor-harness/core/vmx.h"
#include "untrusted-hypervisor-harness/suites/check.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

static const uint16_t hidden_fields[] = {
#define VMCS_HIDDEN(encoding, name) (encoding),
#include "untrusted-hypervisor-harness/core/hidden_fields.def"
#undef VMCS_HIDDEN
};
enum { HIDDEN_COUNT = sizeof(hidden_fields) / sizeof(hidden_fields[0]), ENCODING_END = 0x8000 };

static bool is_hidden(uint32_t encoding)
{
    int index = vmcs_field_lookup(encoding);

    for (unsigned i = 0; i < HIDDEN_COUNT; i++)
        if ((encoding & ~1u) == hidden_fields[i])
            return true;
    return index >= 0 && !vmx_caps_offers(&vmx_offer, vmcs_fields[index].offered);
}

/* Runs of encodings with one outcome become one line. */
struct sweep {
    const char *name;
    uint32_t first;
    struct outcome outcome;
};

static bool same_outcome(struct outcome a, struct outcome b)
{
    return a.kind == b.kind && a.error == b.error && a.trap.vector == b.trap.vector;
}

static void sweep_flush(const struct sweep *s, uint32_t end)
{
    if (s->first < end)
        RESULT(s->outcome, "%s.%x-%x", s->name, s->first, end - 1);
}

static void sweep_step(struct sweep *s, uint32_t encoding, struct outcome o)
{
    if (s->first < encoding && same_outcome(s->outcome, o))
        return;
    sweep_flush(s, encoding);
    s->first = encoding;
    s->outcome = o;
}

static void sweep_skip(struct sweep *s, uint32_t encoding)
{
    sweep_flush(s, encoding);
    s->first = encoding + 1;
}

static void sweep_vmread(void)
{
    struct sweep s = { .name = "vmread" };

    for (uint32_t e = 0; e < ENCODING_END; e++) {
        uint64_t value = 0;

        if (is_hidden(e))
            sweep_skip(&s, e);
        else
            sweep_step(&s, e, try_vmread(e, &value));
    }
    sweep_flush(&s, ENCODING_END);
}

static void sweep_vmwrite(void)
{
    struct sweep s = { .name = "vmwrite" };

    for (uint32_t e = 0; e < ENCODING_END; e++) {
        if (is_hidden(e))
            sweep_skip(&s, e);
        else
            sweep_step(&s, e, try_vmwrite(e, 0));
    }
    sweep_flush(&s, ENCODING_END);
}

static void write_and_read(uint32_t encoding, uint64_t value)
{
    uint64_t back = UINT64_C(0x5a5a5a5a5a5a5a5a);
    struct outcome wrote = try_vmwrite(encoding, value), read = try_vmread(encoding, &back);

    print("field.%s%s.%lx ", vmcs_field_names[vmcs_field_lookup(encoding)], (encoding & 1) != 0 ? ".high" : "", value);
    outcome_print(&wrote);
    print(" ");
    outcome_print(&read);
    RESULT_TEXT(" %lx", back);
}

static const uint64_t field_values[] = { UINT64_C(0x0123456789abcdef), UINT64_MAX, 0 };
enum { FIELD_VALUE_COUNT = sizeof(field_values) / sizeof(field_values[0]) };

/* The halves of a 64-bit field must not disturb each other. */
static void write_halves(uint32_t encoding)
{
    uint64_t back = 0;

    try_vmwrite(encoding, UINT64_C(0x1111111122222222));
    write_and_read(encoding + 1, UINT64_C(0xaaaaaaaa33333333));
    try_vmread(encoding, &back);
    RESULT_TEXT("field.%s.after-high %lx", vmcs_field_names[vmcs_field_lookup(encoding)], back);
    for (unsigned v = 0; v < FIELD_VALUE_COUNT; v++)
        write_and_read(encoding + 1, field_values[v]);
}

static void each_field(void)
{
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        uint32_t encoding = vmcs_fields[i].encoding;

        if (is_hidden(encoding))
            continue;
        for (unsigned v = 0; v < FIELD_VALUE_COUNT; v++)
            write_and_read(encoding, field_values[v]);
        if (VMCS_ENCODING_WIDTH(encoding) == VMCS_WIDTH_64)
            write_halves(encoding);
    }
}

static void wide_encodings(void)
{
    for (unsigned bit = 15; bit < 64; bit++) {
        uint64_t encoding = VMCS_GUEST_RIP | BIT64(bit), value = 0;

        RESULT(try_vmread(encoding, &value), "vmread.wide.%lx", encoding);
        RESULT(try_vmwrite(encoding, 0), "vmwrite.wide.%lx", encoding);
    }
}

static void without_current_vmcs(void)
{
    uint64_t value = 0;

    vmx_unload();
    RESULT(try_vmread(VMCS_GUEST_RIP, &value), "vmread.no-vmcs");
    RESULT(try_vmread(0x7ffe, &value), "vmread.no-vmcs.bad-field");
    RESULT(try_vmwrite(VMCS_GUEST_RIP, 0), "vmwrite.no-vmcs");
    RESULT(try_vmwrite(VMCS_EXIT_REASON, 0), "vmwrite.no-vmcs.read-only");
}

static void memory_operands(void)
{
    static const struct {
        const char *name;
        uint64_t address;
    } operands[] = {
        { "writable", WINDOW(WINDOW_WRITABLE) },    { "unaligned", WINDOW(WINDOW_WRITABLE) + 3 },
        { "read-only", WINDOW(WINDOW_READ_ONLY) },  { "missing", WINDOW(WINDOW_MISSING) },
        { "crossing", WINDOW(WINDOW_MISSING) - 4 }, { "non-canonical", UINT64_C(0x800000000000) },
    };

    for (unsigned i = 0; i < sizeof(operands) / sizeof(operands[0]); i++) {
        void *memory = physical_pointer(operands[i].address);

        RESULT(try_vmread_memory(VMCS_GUEST_RIP, memory), "vmread.memory.%s", operands[i].name);
        RESULT(try_vmread_memory(0x7ffe, memory), "vmread.memory.%s.bad-field", operands[i].name);
        RESULT(try_vmwrite_memory(VMCS_GUEST_RIP, memory), "vmwrite.memory.%s", operands[i].name);
        RESULT(try_vmwrite_memory(0x7ffe, memory), "vmwrite.memory.%s.bad-field", operands[i].name);
    }
}

static void memory_values(void)
{
    uint64_t memory = UINT64_C(0x1122334455667788);

    try_vmwrite(VMCS_GUEST_CS_SELECTOR, 0xabcd);
    RESULT(try_vmread_memory(VMCS_GUEST_CS_SELECTOR, &memory), "vmread.memory.16-bit");
    RESULT_TEXT("vmread.memory.16-bit.value %lx", memory);
    memory = UINT64_C(0x1122334455667788);
    RESULT(try_vmwrite_memory(VMCS_GUEST_RSP, &memory), "vmwrite.memory.natural");
    memory = 0;
    try_vmread(VMCS_GUEST_RSP, &memory);
    RESULT_TEXT("vmwrite.memory.natural.value %lx", memory);
}

void conformance_fields(void)
{
    vmx_enable();
    vmx_format_region(vmx_page(VMX_PAGE_VMCS));
    vmx_clear(vmx_page(VMX_PAGE_VMCS));
    vmx_load(vmx_page(VMX_PAGE_VMCS));
    sweep_vmread();
    sweep_vmwrite();
    each_field();
    wide_encodings();
    memory_operands();
    memory_values();
    without_current_vmcs();
    vmx_disable();
}
