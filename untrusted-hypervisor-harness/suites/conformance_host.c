/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Family after: the processor's state after a VM exit, as the host-state area and the exit controls say, and the guest
 * state that the exit saved.
 */
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/exit_info.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/vmx.h"
#include "untrusted-hypervisor-harness/suites/check.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

static struct vcpu vcpu;

struct seen {
    uint64_t cr0, cr3, cr4, efer, pat, dr7, debugctl, fs_base, gs_base, sysenter_esp, sysenter_eip, sysenter_cs;
    uint64_t rflags, cr2, cr8;
    uint16_t cs, ds, es, fs, gs, ss, tr, ldtr;
    struct descriptor_table gdtr, idtr;
};

static void look(struct seen *s)
{
    s->rflags = cpu_interrupts_off();
    s->cr0 = cpu_read_cr0();
    s->cr3 = cpu_read_cr3();
    s->cr4 = cpu_read_cr4();
    s->cr8 = cpu_read_cr8();
    s->efer = cpu_read_msr(MSR_EFER);
    s->pat = cpu_read_msr(MSR_PAT);
    s->dr7 = cpu_read_dr7();
    s->debugctl = cpu_read_msr(MSR_DEBUGCTL);
    s->fs_base = cpu_read_msr(MSR_FS_BASE);
    s->gs_base = cpu_read_msr(MSR_GS_BASE);
    s->sysenter_cs = cpu_read_msr(MSR_SYSENTER_CS);
    s->sysenter_esp = cpu_read_msr(MSR_SYSENTER_ESP);
    s->sysenter_eip = cpu_read_msr(MSR_SYSENTER_EIP);
    s->cs = cpu_read_cs();
    s->ds = cpu_read_ds();
    s->es = cpu_read_es();
    s->fs = cpu_read_fs();
    s->gs = cpu_read_gs();
    s->ss = cpu_read_ss();
    s->tr = cpu_read_tr();
    s->ldtr = cpu_read_ldtr();
    s->gdtr = cpu_read_gdtr();
    s->idtr = cpu_read_idtr();
}

static void print_seen(const struct seen *s)
{
    print(" cr0=%lx cr3=", s->cr0);
    address_print(s->cr3);
    print(" cr4=%lx cr8=%lx efer=%lx pat=%lx dr7=%lx dbg=%lx", s->cr4, s->cr8, s->efer, s->pat, s->dr7, s->debugctl);
    print(" fsb=%lx gsb=%lx", s->fs_base, s->gs_base);
    print(" sys=%lx,%lx,%lx", s->sysenter_cs, s->sysenter_esp, s->sysenter_eip);
    print(" sel=%x,%x,%x,%x,%x,%x,%x,%x", s->es, s->cs, s->ss, s->ds, s->fs, s->gs, s->ldtr, s->tr);
    print(" gdtr=");
    address_print(s->gdtr.base);
    print(":%x idtr=", s->gdtr.limit);
    address_print(s->idtr.base);
    print(":%x if=%lx", s->idtr.limit, s->rflags & RFLAGS_IF);
}

/* What a guest may change before it exits. */
static const char dirty_64[] = "0f 20 e0 0c 80 0f 22 e0 "                            /* CR4.PGE */
                               "b8 55 04 00 00 0f 23 f8 "                            /* DR7 */
                               "b9 00 01 00 c0 b8 78 56 00 00 31 d2 0f 30 "          /* FS base */
                               "b9 74 01 00 00 b8 99 00 00 00 0f 30 "                /* SYSENTER_CS */
                               "b9 77 02 00 00 b8 06 06 06 06 ba 06 06 06 06 0f 30 " /* PAT */
                               "b9 80 00 00 c0 0f 32 83 f0 01 0f 30 "                /* EFER.SCE */
                               "31 c0 b0 03 44 0f 22 c0 "                            /* CR8 */
                               "fb 90";                                              /* IF */

#define NO_SAVE_OR_LOAD (EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER)

static const struct entry_case cases[] = {
    { "plain", { { 0 } } },
    { "selectors",
      { SET(HOST_CS_SELECTOR, SELECTOR_CODE64_ALT), SET(HOST_SS_SELECTOR, SELECTOR_DATA_ALT),
        SET(HOST_FS_SELECTOR, SELECTOR_DATA), SET(HOST_GS_SELECTOR, SELECTOR_DATA_ALT), SET(HOST_ES_SELECTOR, 0) } },
    { "bases", { SET(HOST_FS_BASE, 0x123456789abc), SET(HOST_GS_BASE, UINT64_C(0xffff8000deadbeef)) } },
    { "bases-and-selectors",
      { SET(HOST_FS_SELECTOR, SELECTOR_DATA), SET(HOST_FS_BASE, 0x1000), SET(HOST_GS_BASE, 0x2000) } },
    { "sysenter",
      { SET(HOST_IA32_SYSENTER_CS, 0x1234), SET(HOST_IA32_SYSENTER_ESP, 0x1111),
        SET(HOST_IA32_SYSENTER_EIP, 0x2222) } },
    { "pat", { SET(HOST_IA32_PAT, UINT64_C(0x0606060606060606)) } },
    { "pat.not-loaded", { CLEAR_BITS(VM_EXIT_CONTROLS, EXIT_LOAD_PAT) } },
    { "efer.not-loaded", { CLEAR_BITS(VM_EXIT_CONTROLS, EXIT_LOAD_EFER) } },
    { "efer.no-sce", { CLEAR_BITS(HOST_IA32_EFER, EFER_SCE) } },
    { "neither-saved-nor-loaded", { CLEAR_BITS(VM_EXIT_CONTROLS, NO_SAVE_OR_LOAD) } },
    { "debug.not-saved", { CLEAR_BITS(VM_EXIT_CONTROLS, EXIT_SAVE_DEBUG_CONTROLS) } },
    { "debug.not-loaded-at-entry",
      { CLEAR_BITS(VM_ENTRY_CONTROLS, ENTRY_LOAD_DEBUG_CONTROLS), SET(GUEST_DR7, 0x455) } },
    { "entry.pat-not-loaded", { CLEAR_BITS(VM_ENTRY_CONTROLS, ENTRY_LOAD_PAT), SET(GUEST_IA32_PAT, 0) } },
    { "entry.efer-not-loaded", { CLEAR_BITS(VM_ENTRY_CONTROLS, ENTRY_LOAD_EFER), SET(GUEST_IA32_EFER, 0) } },
    { "cr0.ts", { SET_BITS(HOST_CR0, CR0_TS) } },
    { "cr0.kept-bits", { FLIP_BITS(HOST_CR0, CR0_ET | CR0_CD | CR0_NW | 0x1ff20040) } },
    { "cr4.pge", { SET_BITS(HOST_CR4, CR4_PGE) } },
    { "cr4.osxsave", { SET_BITS(HOST_CR4, CR4_OSXSAVE) } },
    { "guest.cr0-kept-bits", { FLIP_BITS(GUEST_CR0, CR0_CD | CR0_NW) } },
    { "bad-guest-state",
      { SET(GUEST_RFLAGS, 0), SET(HOST_FS_BASE, 0x4000), SET(HOST_IA32_PAT, UINT64_C(0x0606060606060606)) } },
};

static const uint8_t saved[] = {
    FIELD_GUEST_CR0,         FIELD_GUEST_CR3,
    FIELD_GUEST_CR4,         FIELD_GUEST_DR7,
    FIELD_GUEST_RSP,         FIELD_GUEST_IA32_DEBUGCTL,
    FIELD_GUEST_IA32_PAT,    FIELD_GUEST_IA32_EFER,
    FIELD_GUEST_FS_BASE,     FIELD_GUEST_IA32_SYSENTER_CS,
    FIELD_VM_ENTRY_CONTROLS,
};

static void run_one(const char *prefix, const struct entry_case *c)
{
    struct seen seen;
    bool comparable;

    vcpu_set_code(&vcpu, dirty_64);
    if (check_apply(&vcpu, c->change, &comparable)) {
        struct outcome o = vcpu_run(&vcpu);

        look(&seen);
        machine_restore();
        print("%s.%s ", prefix, c->name);
        run_print(&vcpu, o);
        print_seen(&seen);
        print_end_of_result();
        print("%s.%s.saved", prefix, c->name);
        for (unsigned i = 0; i < sizeof(saved); i++)
            print(" %lx", vcpu_get(saved[i]));
        print_end_of_result();
    }
    vcpu_revert(&vcpu);
    vcpu_set_base(&vcpu, FIELD_GUEST_IA32_PAT, vcpu.field[FIELD_GUEST_IA32_PAT]);
    vcpu_set_base(&vcpu, FIELD_GUEST_FS_BASE, vcpu.field[FIELD_GUEST_FS_BASE]);
    vcpu_set_base(&vcpu, FIELD_GUEST_IA32_SYSENTER_CS, vcpu.field[FIELD_GUEST_IA32_SYSENTER_CS]);
    cpu_write_cr8(0);
    cpu_write_msr(MSR_FS_BASE, 0);
    cpu_write_msr(MSR_GS_BASE, 0);
}

/* Every field of the guest-state area after one VMCALL, in each mode: what entry loaded and exit saved. */
static void saved_state(enum guest_mode mode, enum guest_memory kind)
{
    if (!vcpu_supported(mode, kind))
        return;
    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), mode, kind);
    vcpu_run(&vcpu);
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        if (vcpu_has(i) && vmcs_fields[i].home == HOME_GUEST) {
            print("after.%s.%s ", guest_mode_names[mode], vmcs_field_names[i]);
            if (i == FIELD_PREEMPTION_TIMER_VALUE)
                print("%s", vcpu_get(i) == vcpu.field[i] ? "unchanged" : "changed");
            else
                print("%lx", vcpu_get(i));
            print_end_of_result();
        }
}

/* With the control set, the timer's value is saved: it has gone down, to 0 if it expired. */
static void timer_is_saved(void)
{
    vcpu_set(&vcpu, FIELD_VM_EXIT_CONTROLS, vcpu.field[FIELD_VM_EXIT_CONTROLS] | EXIT_SAVE_PREEMPTION_TIMER);
    print("after.timer.saved ");
    run_print(&vcpu, vcpu_run(&vcpu));
    print(" %s",
          vcpu_get(FIELD_PREEMPTION_TIMER_VALUE) < vcpu.field[FIELD_PREEMPTION_TIMER_VALUE] ? "less" : "not less");
    print_end_of_result();
    vcpu_revert(&vcpu);
    vcpu_set_code(&vcpu, "eb fe");
    vcpu_set(&vcpu, FIELD_VM_EXIT_CONTROLS, vcpu.field[FIELD_VM_EXIT_CONTROLS] | EXIT_SAVE_PREEMPTION_TIMER);
    vcpu_set(&vcpu, FIELD_PREEMPTION_TIMER_VALUE, 1000);
    print("after.timer.expired ");
    run_print(&vcpu, vcpu_run(&vcpu));
    print(" %lx", vcpu_get(FIELD_PREEMPTION_TIMER_VALUE));
    print_end_of_result();
    vcpu_revert(&vcpu);
}

void conformance_host(void)
{
    vmx_enable();
    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_DIRECT);
    clear_pages(vmx_page(VMX_PAGE_MSR_BITMAP), 1);
    vcpu_set_base(&vcpu, FIELD_PROCESSOR_BASED_CONTROLS,
                  vcpu.field[FIELD_PROCESSOR_BASED_CONTROLS] | (vmx_offer.proc.may_be_1 & PROC_MSR_BITMAPS));
    for (unsigned i = 0; i < ARRAY_COUNT(cases); i++)
        run_one("after", &cases[i]);
    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_DIRECT);
    if (vcpu_has(FIELD_PREEMPTION_TIMER_VALUE))
        timer_is_saved();
    saved_state(MODE_LONG, MEMORY_OFFSET_4K);
    saved_state(MODE_COMPAT, MEMORY_DIRECT);
    saved_state(MODE_PAE, MEMORY_OFFSET_4K);
    saved_state(MODE_PAGED, MEMORY_DIRECT);
    saved_state(MODE_REAL, MEMORY_OFFSET_4K);
    saved_state(MODE_V86, MEMORY_DIRECT);
    vmx_disable();
    machine_restore();
}
