/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Printing VM exits. See exit_info.h.
 */
#include "cloudvisor/cvctl/exit_reasons.h"
#include "untrusted-hypervisor-harness/core/exit_info.h"
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/vmx.h"

/* Fields that are defined for a basic exit reason. */
enum { HAS_LENGTH = 1, HAS_INFO = 2 };

static const uint8_t defined[EXIT_REASON_COUNT] = {
    [EXIT_TASK_SWITCH] = HAS_LENGTH,
    [EXIT_CPUID] = HAS_LENGTH,
    [EXIT_GETSEC] = HAS_LENGTH,
    [EXIT_HLT] = HAS_LENGTH,
    [EXIT_INVD] = HAS_LENGTH,
    [EXIT_INVLPG] = HAS_LENGTH,
    [EXIT_RDPMC] = HAS_LENGTH,
    [EXIT_RDTSC] = HAS_LENGTH,
    [EXIT_RSM] = HAS_LENGTH,
    [EXIT_VMCALL] = HAS_LENGTH,
    [EXIT_VMCLEAR] = HAS_LENGTH | HAS_INFO,
    [EXIT_VMLAUNCH] = HAS_LENGTH,
    [EXIT_VMPTRLD] = HAS_LENGTH | HAS_INFO,
    [EXIT_VMPTRST] = HAS_LENGTH | HAS_INFO,
    [EXIT_VMREAD] = HAS_LENGTH | HAS_INFO,
    [EXIT_VMRESUME] = HAS_LENGTH,
    [EXIT_VMWRITE] = HAS_LENGTH | HAS_INFO,
    [EXIT_VMXOFF] = HAS_LENGTH,
    [EXIT_VMXON] = HAS_LENGTH | HAS_INFO,
    [EXIT_CR_ACCESS] = HAS_LENGTH,
    [EXIT_MOV_DR] = HAS_LENGTH,
    [EXIT_IO] = HAS_LENGTH,
    [EXIT_RDMSR] = HAS_LENGTH,
    [EXIT_WRMSR] = HAS_LENGTH,
    [EXIT_MWAIT] = HAS_LENGTH,
    [EXIT_MONITOR] = HAS_LENGTH,
    [EXIT_PAUSE] = HAS_LENGTH,
    [EXIT_GDTR_IDTR] = HAS_LENGTH | HAS_INFO,
    [EXIT_LDTR_TR] = HAS_LENGTH | HAS_INFO,
    [EXIT_INVEPT] = HAS_LENGTH | HAS_INFO,
    [EXIT_RDTSCP] = HAS_LENGTH,
    [EXIT_INVVPID] = HAS_LENGTH | HAS_INFO,
    [EXIT_WBINVD] = HAS_LENGTH,
    [EXIT_XSETBV] = HAS_LENGTH,
    [EXIT_RDRAND] = HAS_LENGTH | HAS_INFO,
    [EXIT_INVPCID] = HAS_LENGTH | HAS_INFO,
    [EXIT_RDSEED] = HAS_LENGTH | HAS_INFO,
    [EXIT_XSAVES] = HAS_LENGTH | HAS_INFO,
    [EXIT_XRSTORS] = HAS_LENGTH | HAS_INFO,
};

#define IO_STRING          BIT64(4)
#define CR_ACCESS_LMSW_MEM UINT64_C(0x70)
#define EPT_LINEAR_VALID   BIT64(7)

static bool is_software_event(uint64_t info)
{
    unsigned type = INTR_TYPE((uint32_t)info);

    return (info & INTR_VALID) != 0 && type >= INTR_TYPE_SOFTWARE && type <= INTR_TYPE_SOFTWARE_EXCEPTION;
}

static bool has_linear_address(unsigned reason, uint64_t qualification)
{
    return (reason == EXIT_CR_ACCESS && (qualification & CR_ACCESS_LMSW_MEM) == CR_ACCESS_LMSW_MEM) ||
           (reason == EXIT_IO && (qualification & IO_STRING) != 0) ||
           (reason == EXIT_EPT_VIOLATION && (qualification & EPT_LINEAR_VALID) != 0);
}

static void print_if_set(const char *name, uint64_t value)
{
    if (value != 0)
        print(" %s=%lx", name, value);
}

static void print_event(const char *name, uint64_t info, enum vmcs_index error_code)
{
    if ((info & INTR_VALID) == 0)
        return;
    print(" %s=%lx", name, info);
    if ((info & INTR_ERROR_VALID) != 0)
        print(":%lx", vcpu_get(error_code));
}

static void print_guest_state(void)
{
    print(" rip=%lx rfl=%lx", vcpu_get(FIELD_GUEST_RIP), vcpu_get(FIELD_GUEST_RFLAGS));
    print_if_set("intb", vcpu_get(FIELD_GUEST_INTERRUPTIBILITY));
    print_if_set("act", vcpu_get(FIELD_GUEST_ACTIVITY_STATE));
    print_if_set("pdbg", vcpu_get(FIELD_GUEST_PENDING_DEBUG_EXCEPTIONS));
    print_if_set("entry-event", vcpu_get(FIELD_VM_ENTRY_INTERRUPTION_INFO));
}

static void print_information(const struct vcpu *v, unsigned reason, uint64_t qualification)
{
    uint64_t info = vcpu_get(FIELD_VM_EXIT_INTERRUPTION_INFO), idt = vcpu_get(FIELD_IDT_VECTORING_INFO);

    print_event("int", info, FIELD_VM_EXIT_INTERRUPTION_ERROR_CODE);
    print_event("idt", idt, FIELD_IDT_VECTORING_ERROR_CODE);
    if ((defined[reason] & HAS_LENGTH) != 0 || is_software_event(info) || is_software_event(idt))
        print(" len=%lx", vcpu_get(FIELD_VM_EXIT_INSTRUCTION_LENGTH));
    if ((defined[reason] & HAS_INFO) != 0 ||
        (reason == EXIT_IO && (qualification & IO_STRING) != 0 && (vmx_offer.basic & BIT64(54)) != 0))
        print(" info=%lx", vcpu_get(FIELD_VM_EXIT_INSTRUCTION_INFO));
    if (has_linear_address(reason, qualification))
        print(" gla=%lx", vcpu_get(FIELD_GUEST_LINEAR_ADDRESS));
    if (reason == EXIT_EPT_VIOLATION || reason == EXIT_EPT_MISCONFIGURATION)
        print(" gpa=+%lx", vcpu_get(FIELD_GUEST_PHYSICAL_ADDRESS) - v->base);
}

void exit_print(const struct vcpu *v)
{
    uint64_t full = vcpu_get(FIELD_EXIT_REASON), qualification = vcpu_get(FIELD_EXIT_QUALIFICATION);
    unsigned reason = (unsigned)full & 0xffff;

    print("%s %u", (full & EXIT_ENTRY_FAILURE) != 0 ? "entry-exit" : "exit", reason);
    print_if_set("high", full & 0x7fff0000);
    print_if_set("q", qualification);
    if ((full & EXIT_ENTRY_FAILURE) != 0 || reason >= EXIT_REASON_COUNT)
        return;
    print_information(v, reason, qualification);
    print_guest_state();
}

void exit_dump(const struct vcpu *v)
{
    static const uint8_t shown[] = { FIELD_GUEST_RIP,
                                     FIELD_GUEST_RSP,
                                     FIELD_GUEST_RFLAGS,
                                     FIELD_GUEST_CR0,
                                     FIELD_GUEST_CR3,
                                     FIELD_GUEST_CR4,
                                     FIELD_GUEST_INTERRUPTIBILITY,
                                     FIELD_GUEST_ACTIVITY_STATE,
                                     FIELD_GUEST_PENDING_DEBUG_EXCEPTIONS,
                                     FIELD_VM_ENTRY_INTERRUPTION_INFO };

    print("# %s", guest_mode_names[v->mode]);
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        if (vmcs_fields[i].home == HOME_EXIT && vcpu_has(i) && vcpu_get(i) != 0)
            print(" %s=%lx", vmcs_field_names[i], vcpu_get(i));
    for (unsigned i = 0; i < sizeof(shown); i++)
        print(" %s=%lx", vmcs_field_names[shown[i]], vcpu_get(shown[i]));
    print("\n");
}

/* Bytes of a stack word of an interrupt frame in the mode that the guest is in now. */
static unsigned frame_word_size(void)
{
    if ((vcpu_get(FIELD_VM_ENTRY_CONTROLS) & ENTRY_IA32E_GUEST) != 0)
        return 8;
    return (vcpu_get(FIELD_GUEST_CR0) & CR0_PE) != 0 ? 4 : 2;
}

static void print_frame(const struct vcpu *v)
{
    unsigned size = frame_word_size(), words = size == 8 ? 6 : 4;
    uint64_t linear = vcpu_get(FIELD_GUEST_RSP) + (size == 8 ? 0 : vcpu_get(FIELD_GUEST_SS_BASE));

    for (unsigned i = 0; i < words && linear + size <= GUEST_RAM_SIZE; i++, linear += size) {
        uint64_t word = 0;

        copy_bytes(&word, guest_pointer(v->memory, linear), size);
        print("%c%lx", i == 0 ? '=' : ',', word);
    }
}

/* A handler's first instruction is VMCALL; its address tells the vector. */
static void print_handler(const struct vcpu *v)
{
    uint64_t linear = vcpu_get(FIELD_GUEST_RIP) + vcpu_get(FIELD_GUEST_CS_BASE) - GUEST_HANDLERS;

    if (vcpu_get(FIELD_EXIT_REASON) != EXIT_VMCALL || linear >= 256 * GUEST_HANDLER_SIZE)
        return;
    print(" handler=%lx frame", linear / GUEST_HANDLER_SIZE);
    print_frame(v);
}

void run_print(const struct vcpu *v, struct outcome o)
{
    if (o.kind != OUTCOME_EXIT) {
        outcome_print(&o);
        return;
    }
    exit_print(v);
    print_handler(v);
}

void run_result(const struct vcpu *v, struct outcome o)
{
    run_print(v, o);
    print_end_of_result();
}
