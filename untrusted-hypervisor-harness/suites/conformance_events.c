/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Family event: event injection. Every type with characteristic vectors, with and without an error code, into each
 * mode; the rules on the interruption information; deliveries that fault, and what IDT-vectoring information says.
 *
 * Type 7 is left out: Bochs 2.7 stops on it where the monitor trap flag is not supported.
 */
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/exit_info.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/vmx.h"
#include "untrusted-hypervisor-harness/suites/check.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

#define EVENT(type, vector) (INTR_VALID | (type) << 8 | (vector))

static struct vcpu vcpu;

static const uint8_t vectors[] = { 0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 14, 15, 17, 18, 20, 21, 31, 32, 0x50, 0xff };

enum { TYPE_LAST = 6 };

static void inject(unsigned type, unsigned vector, bool error_code)
{
    vcpu_set(&vcpu, FIELD_VM_ENTRY_INTERRUPTION_INFO, EVENT(type, vector) | (error_code ? INTR_ERROR_VALID : 0));
    vcpu_set(&vcpu, FIELD_VM_ENTRY_EXCEPTION_ERROR_CODE, 0x1234);
    vcpu_set(&vcpu, FIELD_VM_ENTRY_INSTRUCTION_LENGTH, 2);
    vcpu_set(&vcpu, FIELD_GUEST_RFLAGS, vcpu.field[FIELD_GUEST_RFLAGS] | RFLAGS_IF);
    print("event.%s.type-%u.vector-%x%s ", guest_mode_names[vcpu.mode], type, vector, error_code ? ".error-code" : "");
    run_result(&vcpu, vcpu_run(&vcpu));
    vcpu_revert(&vcpu);
}

static void every_event(void)
{
    for (unsigned type = 0; type <= TYPE_LAST; type++)
        for (unsigned i = 0; i < ARRAY_COUNT(vectors); i++) {
            inject(type, vectors[i], false);
            inject(type, vectors[i], true);
        }
}

#define INJECT(info)     SET(VM_ENTRY_INTERRUPTION_INFO, info)
#define ERROR_CODE(code) SET(VM_ENTRY_EXCEPTION_ERROR_CODE, code)
#define LENGTH(length)   SET(VM_ENTRY_INSTRUCTION_LENGTH, length)
#define INTERRUPTS_ON    SET_BITS(GUEST_RFLAGS, RFLAGS_IF)
#define INTERCEPT(bits)  SET(EXCEPTION_BITMAP, bits)
#define NO_STACK         SET(GUEST_RSP, GUEST_MISSING + 0x1000)

static const struct entry_case rule_cases[] = {
    { "not-valid", { INJECT(EVENT(INTR_TYPE_SOFTWARE, 0x50) & ~INTR_VALID) } },
    { "not-valid.garbage", { INJECT(0x7fffffff) } },
    { "error-code.high", { INJECT(EVENT(INTR_TYPE_HARDWARE, 13) | INTR_ERROR_VALID), ERROR_CODE(0x10000) } },
    { "error-code.bit-31", { INJECT(EVENT(INTR_TYPE_HARDWARE, 13) | INTR_ERROR_VALID), ERROR_CODE(0x80000000) } },
    { "error-code.ffff", { INJECT(EVENT(INTR_TYPE_HARDWARE, 13) | INTR_ERROR_VALID), ERROR_CODE(0xffff) } },
    { "error-code.unused-high", { INJECT(EVENT(INTR_TYPE_HARDWARE, 6)), ERROR_CODE(0xffffffff) } },
    { "length.0.int", { INJECT(EVENT(INTR_TYPE_SOFTWARE, 0x50)), LENGTH(0) } },
    { "length.0.int3", { INJECT(EVENT(INTR_TYPE_SOFTWARE_EXCEPTION, 3)), LENGTH(0) } },
    { "length.0.int1", { INJECT(EVENT(INTR_TYPE_PRIVILEGED_SOFTWARE, 1)), LENGTH(0) } },
    { "length.1.int3", { INJECT(EVENT(INTR_TYPE_SOFTWARE_EXCEPTION, 3)), LENGTH(1) } },
    { "length.15", { INJECT(EVENT(INTR_TYPE_SOFTWARE, 0x50)), LENGTH(15) } },
    { "length.16", { INJECT(EVENT(INTR_TYPE_SOFTWARE, 0x50)), LENGTH(16) } },
    { "length.ffffffff", { INJECT(EVENT(INTR_TYPE_SOFTWARE, 0x50)), LENGTH(0xffffffff) } },
    { "length.unused-16", { INJECT(EVENT(INTR_TYPE_HARDWARE, 6)), LENGTH(16) } },
    { "intercepted-vector.not-by-injection", { INJECT(EVENT(INTR_TYPE_HARDWARE, 6)), INTERCEPT(BIT32(6)) } },
    { "df.no-error-code", { INJECT(EVENT(INTR_TYPE_HARDWARE, 8)) } },
    { "df.error-code", { INJECT(EVENT(INTR_TYPE_HARDWARE, 8) | INTR_ERROR_VALID), ERROR_CODE(0) } },
    { "external.if-clear", { INJECT(EVENT(INTR_TYPE_EXTERNAL, 0x50)) } },
    { "nmi.if-clear", { INJECT(EVENT(INTR_TYPE_NMI, 2)) } },
    { "nmi.virtual",
      { INJECT(EVENT(INTR_TYPE_NMI, 2)), SET_BITS(PIN_BASED_CONTROLS, PIN_NMI_EXITING | PIN_VIRTUAL_NMIS) } },
    { "nmi.exiting", { INJECT(EVENT(INTR_TYPE_NMI, 2)), SET_BITS(PIN_BASED_CONTROLS, PIN_NMI_EXITING) } },
    { "with-tf", { INJECT(EVENT(INTR_TYPE_HARDWARE, 6)), SET_BITS(GUEST_RFLAGS, RFLAGS_TF) } },
    { "with-rf", { INJECT(EVENT(INTR_TYPE_HARDWARE, 6)), SET_BITS(GUEST_RFLAGS, RFLAGS_RF) } },
    { "with-interrupt-window",
      { INJECT(EVENT(INTR_TYPE_SOFTWARE, 0x50)), LENGTH(2), INTERRUPTS_ON,
        SET_BITS(PROCESSOR_BASED_CONTROLS, PROC_INTERRUPT_WINDOW_EXITING) } },
    { "with-preemption-timer-0",
      { INJECT(EVENT(INTR_TYPE_SOFTWARE, 0x50)), LENGTH(2), SET(PREEMPTION_TIMER_VALUE, 0) } },
    { "with-pending-debug", { INJECT(EVENT(INTR_TYPE_HARDWARE, 6)), SET(GUEST_PENDING_DEBUG_EXCEPTIONS, 0x1001) } },
    { "idt-limit.external.intercepted",
      { INJECT(EVENT(INTR_TYPE_EXTERNAL, 0x50)), INTERRUPTS_ON, SET(GUEST_IDTR_LIMIT, 0x3f), INTERCEPT(BIT32(13)) } },
    { "idt-limit.int.intercepted",
      { INJECT(EVENT(INTR_TYPE_SOFTWARE, 0x50)), LENGTH(2), SET(GUEST_IDTR_LIMIT, 0x3f), INTERCEPT(BIT32(13)) } },
    { "idt-limit.int3.intercepted",
      { INJECT(EVENT(INTR_TYPE_SOFTWARE_EXCEPTION, 3)), LENGTH(1), SET(GUEST_IDTR_LIMIT, 0x7), INTERCEPT(BIT32(13)) } },
    { "idt-limit.int1.intercepted",
      { INJECT(EVENT(INTR_TYPE_PRIVILEGED_SOFTWARE, 1)), LENGTH(1), SET(GUEST_IDTR_LIMIT, 0x3),
        INTERCEPT(BIT32(13)) } },
    { "idt-limit.ud.intercepted",
      { INJECT(EVENT(INTR_TYPE_HARDWARE, 6)), SET(GUEST_IDTR_LIMIT, 0x17), INTERCEPT(BIT32(13)) } },
    { "idt-limit.pf.intercepted",
      { INJECT(EVENT(INTR_TYPE_HARDWARE, 14) | INTR_ERROR_VALID), ERROR_CODE(7), SET(GUEST_IDTR_LIMIT, 0x37),
        INTERCEPT(BIT32(13) | BIT32(8)) } },
    { "idt-limit.gp.df-intercepted",
      { INJECT(EVENT(INTR_TYPE_HARDWARE, 13) | INTR_ERROR_VALID), ERROR_CODE(0), SET(GUEST_IDTR_LIMIT, 0x33),
        INTERCEPT(BIT32(8)) } },
    { "idt-limit.nmi.intercepted",
      { INJECT(EVENT(INTR_TYPE_NMI, 2)), SET(GUEST_IDTR_LIMIT, 0x7), INTERCEPT(BIT32(13)) } },
    { "idt-limit.ud.not-intercepted", { INJECT(EVENT(INTR_TYPE_HARDWARE, 6)), SET(GUEST_IDTR_LIMIT, 0x2f) } },
    { "idt-limit.triple-fault", { INJECT(EVENT(INTR_TYPE_HARDWARE, 6)), SET(GUEST_IDTR_LIMIT, 0) } },
    { "no-stack.external.pf-intercepted",
      { INJECT(EVENT(INTR_TYPE_EXTERNAL, 0x50)), INTERRUPTS_ON, NO_STACK, INTERCEPT(BIT32(14)) } },
    { "no-stack.ud.pf-intercepted", { INJECT(EVENT(INTR_TYPE_HARDWARE, 6)), NO_STACK, INTERCEPT(BIT32(14)) } },
    { "no-stack.pf.intercepted",
      { INJECT(EVENT(INTR_TYPE_HARDWARE, 14) | INTR_ERROR_VALID), ERROR_CODE(0), NO_STACK, INTERCEPT(BIT32(14)) } },
    { "no-stack.pf.df-intercepted",
      { INJECT(EVENT(INTR_TYPE_HARDWARE, 14) | INTR_ERROR_VALID), ERROR_CODE(0), NO_STACK, INTERCEPT(BIT32(8)) } },
};

/* Reserved bits of the interruption information. */
static void reserved_bits(const char *prefix)
{
    for (unsigned bit = 12; bit <= 30; bit++) {
        vcpu_set(&vcpu, FIELD_VM_ENTRY_INTERRUPTION_INFO, EVENT(INTR_TYPE_HARDWARE, 6) | BIT32(bit));
        print("%s.reserved-%u ", prefix, bit);
        run_result(&vcpu, vcpu_run(&vcpu));
        vcpu_revert(&vcpu);
    }
}

/* The EPT lacks the page that the delivery needs: EPT violation during event delivery. */
static void ept_hole(const char *name, uint64_t page, uint32_t info, bool long_mode)
{
    uint64_t *entry, saved;

    if (!vcpu_supported(long_mode ? MODE_LONG : MODE_PAGED, MEMORY_OFFSET_4K))
        return;
    entry = ept_entry(&vcpu.ept, page, EPT_LEVEL_4K);
    saved = *entry;
    *entry = 0;
    ept_invalidate();
    vcpu_set(&vcpu, FIELD_VM_ENTRY_INTERRUPTION_INFO, info);
    vcpu_set(&vcpu, FIELD_VM_ENTRY_EXCEPTION_ERROR_CODE, 4);
    vcpu_set(&vcpu, FIELD_VM_ENTRY_INSTRUCTION_LENGTH, 2);
    vcpu_set(&vcpu, FIELD_GUEST_RFLAGS, vcpu.field[FIELD_GUEST_RFLAGS] | RFLAGS_IF);
    print("event.%s.ept-hole.%s ", guest_mode_names[vcpu.mode], name);
    run_print(&vcpu, vcpu_run(&vcpu));
    *entry = saved;
    print(" ");
    /* Inject again what was interrupted, as a hypervisor does. */
    vcpu_set(&vcpu, FIELD_VM_ENTRY_INTERRUPTION_INFO, vcpu_get(FIELD_IDT_VECTORING_INFO));
    run_result(&vcpu, vcpu_run(&vcpu));
    vcpu_revert(&vcpu);
}

static void ept_holes(bool long_mode)
{
    uint64_t idt = long_mode ? GUEST_IDT64 : GUEST_IDT32;

    ept_hole("idt.external", idt, EVENT(INTR_TYPE_EXTERNAL, 0x50), long_mode);
    ept_hole("idt.nmi", idt, EVENT(INTR_TYPE_NMI, 2), long_mode);
    ept_hole("idt.ud", idt, EVENT(INTR_TYPE_HARDWARE, 6), long_mode);
    ept_hole("idt.gp", idt, EVENT(INTR_TYPE_HARDWARE, 13) | INTR_ERROR_VALID, long_mode);
    ept_hole("idt.int", idt, EVENT(INTR_TYPE_SOFTWARE, 0x50), long_mode);
    ept_hole("idt.int3", idt, EVENT(INTR_TYPE_SOFTWARE_EXCEPTION, 3), long_mode);
    ept_hole("stack.external", GUEST_STACK_TOP - PAGE_SIZE, EVENT(INTR_TYPE_EXTERNAL, 0x50), long_mode);
    ept_hole("stack.pf", GUEST_STACK_TOP - PAGE_SIZE, EVENT(INTR_TYPE_HARDWARE, 14) | INTR_ERROR_VALID, long_mode);
    ept_hole("gdt.external", GUEST_GDT, EVENT(INTR_TYPE_EXTERNAL, 0x50), long_mode);
    ept_hole("handler.external", GUEST_HANDLERS, EVENT(INTR_TYPE_EXTERNAL, 0x50), long_mode);
}

void conformance_events(void)
{
    static const struct {
        uint8_t mode, kind;
        const char *rules;
    } guests[] = {
        { MODE_LONG, MEMORY_OFFSET_4K, "event.long.rule" },
        { MODE_COMPAT, MEMORY_DIRECT, "event.compat.rule" },
        { MODE_PAGED, MEMORY_OFFSET_4K, "event.paged.rule" },
        { MODE_PROTECTED, MEMORY_OFFSET_4K, "event.protected.rule" },
        { MODE_REAL, MEMORY_OFFSET_4K, "event.real.rule" },
        { MODE_V86, MEMORY_DIRECT, "event.v86.rule" },
    };

    vmx_enable();
    for (unsigned g = 0; g < ARRAY_COUNT(guests); g++) {
        if (!vcpu_supported(guests[g].mode, guests[g].kind))
            continue;
        vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), guests[g].mode, guests[g].kind);
        every_event();
        check_cases(&vcpu, guests[g].rules, rule_cases, ARRAY_COUNT(rule_cases));
        reserved_bits(guests[g].rules);
        if (guests[g].mode == MODE_LONG || guests[g].mode == MODE_PAGED)
            ept_holes(guests[g].mode == MODE_LONG);
    }
    vmx_disable();
}
