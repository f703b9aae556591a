/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libFuzzer target: a protected VM with two vCPUs under a hostile hypervisor on two CPUs. The input is a list of moves:
 * the host resumes, moves and edits vmcs12s, remaps, takes, copies and swaps frames, calls from plain VMs; the guest
 * exits for any reason, and writes its memory. After every move all parties must agree about every frame, every VMCS
 * that is entered must keep the rules of host_check_protected, the host sees no register that exits.def does not name,
 * and the guest reads what it wrote.
 */
#include "fuzz.h"
#include "fake_protected.h"
#include "cloudvisor/vmcs01.h"
#include "ept-guard/frames.h"
#include "ept-guard/host_ept.h"
#include "nested-vmx/protected.h"

enum { STEPS_MAX = 80, PAGES = 8, COPIES = 4, REGIONS = 4 };

static bool alive[2]; /* a VMX abort stops a CPU for good */
static uint64_t written[PAGES], id;
static uint8_t copies[COPIES][PAGE_SIZE];

static uint64_t page_of(uint64_t choice)
{
    return choice % PAGES < 6 ? BUNDLE_FREE + choice % PAGES * PAGE_SIZE
                              : BUNDLE_DESCRIPTOR + (choice % PAGES - 6) * PAGE_SIZE;
}

static void check_all(void)
{
    const char *wrong = fake_world(HOST_RAM_BYTES);

    if (wrong != NULL) {
        fprintf(stderr, "%s\n", wrong);
        abort();
    }
}

/* ---- The guest. ---- */

/* A word at the end of a page of its own: there, it is what was written last. */
static void guest_access(struct input *in)
{
    uint64_t choice = take(in, 1) % 6;
    uint64_t *page = vm_pages_view(fake_cpu->vcpu->vm, page_of(choice));

    if (page == NULL || fake_cpu->vcpu->vm->id != id || fake_cpu->vcpu->vm->state != VM_RUNNING)
        return;
    require(page[511] == written[choice]);
    page[511] = ++written[choice];
}

static struct outcome guest_exit(struct input *in)
{
    static const uint64_t io_size[] = { 0, 1, 3, 3 };
    uint64_t choice = take(in, 1);
    uint32_t reason = choice < 128 ? EXIT_EPT_VIOLATION : choice & 63;
    uint64_t qualification = take(in, choice & 1 ? 1 : 4);

    if (reason == EXIT_EPT_MISCONFIGURATION) /* of the layer's own tables: never */
        reason = EXIT_EXTERNAL_INTERRUPT;
    pvm_fill_secrets();
    if (reason == EXIT_RDMSR || reason == EXIT_WRMSR)
        fake_cpu->gpr[RCX] = choice & 64 ? take(in, 4) : 0x800 + (take(in, 1) & 0x3f);
    if (reason == EXIT_WRMSR || reason == EXIT_VMCALL || reason == EXIT_CPUID) {
        fake_cpu->gpr[RAX] = take(in, 4);
        fake_cpu->gpr[RDX] = take(in, 1) & 3;
    }
    if (reason == EXIT_IO)
        qualification = (qualification & 0x38) | io_size[qualification & 3] | UINT64_C(0x3f8) << 16;
    hw_vmwrite(VMCS_GUEST_RIP, BUNDLE_ENTRY);
    hw_vmwrite(VMCS_GUEST_RFLAGS, 2 | (choice & 32 ? RFLAGS_IF : 0));
    hw_vmwrite(VMCS_GUEST_LINEAR_ADDRESS, page_of(choice) + 8 * (qualification & 63));
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, choice & 4 ? page_of(choice >> 3) : take(in, 5));
    hw_vmwrite(VMCS_IDT_VECTORING_INFO, choice & 8 ? INTR_VALID | (qualification & 0xff) : 0);
    if (reason == EXIT_EXTERNAL_INTERRUPT || reason == EXIT_EXCEPTION_OR_NMI)
        hw_vmwrite(VMCS_VM_EXIT_INTERRUPTION_INFO, INTR_VALID | (qualification & 0x7ff));
    return pvm_exits(reason, qualification);
}

/* Registers that the rule of the exit does not name are 0. */
static void check_sight(struct outcome o)
{
    unsigned shows = exit_rules[o.number].shows;

    for (unsigned i = 0; i < GPR_COUNT; i++) {
        if ((i == RAX && (shows & SHOW_RAX) != 0) || (i == RCX && (shows & SHOW_RCX) != 0) ||
            (i == RDX && (shows & SHOW_RDX) != 0) || (i == RDI && (shows & SHOW_RDI) != 0))
            continue;
        require(fake_cpu->gpr[i] == 0);
    }
    require(fake_cpu->current->field[FIELD_GUEST_RSP] == 0);
    require(fake_cpu->current->field[FIELD_GUEST_CR3] == BUNDLE_WINDOW || fake_cpu->current->vcpu == NULL);
}

static struct outcome guest_moves(struct input *in)
{
    struct outcome o;

    guest_access(in);
    o = (take(in, 1) & 15) == 0 ? host_vm_nmi() : guest_exit(in);
    if (o.what == EXITED)
        check_sight(o);
    return o;
}

/* ---- The host. ---- */

static void host_edits_vmcs12(struct input *in)
{
    uint64_t choice = take(in, 1), value = take(in, choice & 1 ? 1 : 4), old = 0;
    uint64_t encoding = vmcs_fields[take(in, 1) % VMCS_FIELD_COUNT].encoding;

    if (fake_cpu->current == NULL)
        return;
    switch (choice >> 4 & 7) {
    case 0: host_vmwrite(VMCS_VM_ENTRY_INTERRUPTION_INFO, INTR_VALID | (value & 0xfff)); break;
    case 1: host_vmwrite(encoding, value); break;
    case 2: host_vmwrite(VMCS_EPT_POINTER, HOST_EPT12(choice & 1) | 0x5e); break;
    default: /* an answer */
        host_vmread(VMCS_GUEST_RIP, &old);
        host_vmwrite(VMCS_GUEST_RIP, old + (value & 7 ? 2 : value & 0xf));
    }
    fake_cpu->gpr[RAX] = value;
}

static void host_remaps(struct input *in)
{
    uint64_t choice = take(in, 1), other = take(in, 1);
    uint64_t frame = other & 128 ? PVM_FRAME(page_of(other)) : HOST_VMCS(other % REGIONS);

    frame = other & 64 ? PVM_FRAME(page_of(choice)) : frame;
    fake_ept12_map(&pvm_ept12, page_of(choice), LEVEL_4K, frame | (choice & 128 ? EPT_RWX : EPT_RWX & other));
}

/* Reads and writes as its EPT lets it. */
static void host_touches(struct input *in)
{
    uint64_t choice = take(in, 1), frame = choice & 8 ? HOST_VMCS(choice % REGIONS) : PVM_FRAME(page_of(choice));
    uint8_t *copy = copies[choice >> 4 & 3];
    bool write = (choice & 128) != 0;

    if (host_ept_violation(hpa(frame), write) != HOST_EPT_MAPPED || frame_state(hpa(frame)) != FRAME_HOST)
        return;
    if (write)
        memcpy(phys_to_virt(hpa(frame)), copy, PAGE_SIZE);
    else
        memcpy(copy, phys_to_virt(hpa(frame)), PAGE_SIZE);
}

static struct outcome plain_vm(struct input *in)
{
    uint64_t choice = take(in, 1);

    if (choice < 128)
        return pvm_call(choice & 1 ? BUNDLE_CALL_AP_START : BUNDLE_CALL_LAUNCH, BUNDLE_DESCRIPTOR, PAGE_SIZE);
    hw_vmwrite(VMCS_GUEST_PHYSICAL_ADDRESS, page_of(choice));
    return host_vm_exits(choice & 64 ? EXIT_EPT_VIOLATION : EXIT_CPUID, choice & 1 ? 0x181 : 0x182);
}

static struct outcome host_moves(struct input *in)
{
    uint64_t choice = take(in, 1);
    uint64_t region = HOST_VMCS(choice >> 4 & 3);

    switch (choice & 15) {
    case 0: return host_instruction(EXIT_VMCLEAR, region);
    case 1: return host_instruction(EXIT_VMPTRLD, region);
    case 2: pvm_try_prepare_vmcs((unsigned)(choice >> 4 & 3)); break;
    case 3:
    case 4: host_edits_vmcs12(in); break;
    case 5: host_remaps(in); break;
    case 6:
    case 7: host_touches(in); break;
    case 8: vm_reap(); break;
    case 9: return host_invalidate(EXIT_INVEPT, 2, 0, 0);
    case 10: return host_instruction(EXIT_VMLAUNCH, 0);
    default: return host_instruction(EXIT_VMRESUME, 0);
    }
    return (struct outcome){ SUCCEEDED, 0 };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, size };
    uint64_t options = take(&in, 1);

    pvm_start_host(options & 1, options & 2 ? BUNDLE_FLAG_NMI : 0);
    memset(written, 0, sizeof(written));
    memset(copies, 0, sizeof(copies));
    alive[0] = alive[1] = true;
    id = pvm_launch()->id;
    pvm_allow_wbinvd();
    for (unsigned i = 0; i < STEPS_MAX && in.size != 0; i++) {
        unsigned cpu = take(&in, 1) < 64;
        struct outcome o;

        if (!alive[cpu])
            continue;
        host_switch_cpu(cpu);
        o = !fake_cpu->in_l2 ? host_moves(&in) : fake_cpu->vcpu != NULL ? guest_moves(&in) : plain_vm(&in);
        alive[cpu] = o.what != ABORTED;
        check_all();
        phys_write64(hpa(0x2000), 0x3007); /* as in fuzz_nested.c */
        phys_write64(hpa(0x3000), 0x87);
        if (!fake_cpu->in_l2)
            hw_vmwrite(VMCS_GUEST_CR3, 0x2000);
    }
    return 0;
}
