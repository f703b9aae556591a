/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Building, changing, entering and restoring a VMCS. See vcpu.h.
 */
#include "untrusted-hypervisor-harness/core/vcpu.h"
#include <stddef.h>
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/vmx.h"

_Static_assert(offsetof(struct vcpu, host_rsp) == VCPU_HOST_RSP, "layout.h");
_Static_assert(offsetof(struct vcpu, exit_slot) == VCPU_EXIT_SLOT, "layout.h");
_Static_assert(offsetof(struct vcpu, rflags) == VCPU_RFLAGS, "layout.h");
_Static_assert(VMCS_FIELD_COUNT <= UINT8_MAX, "changed[] holds indices as bytes");

enum {
    EPT_POOL_PAGES = 64,
    WATCHDOG_TICKS = 200000,
    STACK_16 = 0x30000, /* base of SS in 16-bit modes */
    RIGHTS_UNUSABLE = 0x10000,
    RIGHTS_CODE64 = 0xa09b,
    RIGHTS_CODE32 = 0xc09b,
    RIGHTS_CODE16 = 0x009b,
    RIGHTS_DATA32 = 0xc093,
    RIGHTS_DATA16 = 0x0093,
    RIGHTS_V86 = 0x00f3,
    RIGHTS_TSS = 0x008b,
};

const char *const guest_memory_names[MEMORY_COUNT] = {
    [MEMORY_DIRECT] = "direct",           [MEMORY_IDENTITY_4K] = "identity-4k", [MEMORY_IDENTITY_2M] = "identity-2m",
    [MEMORY_IDENTITY_1G] = "identity-1g", [MEMORY_OFFSET_4K] = "offset-4k",     [MEMORY_OFFSET_2M] = "offset-2m",
};

const char *const vmcs_field_names[VMCS_FIELD_COUNT] = {
#define VMCS_FIELD(encoding, name, offered, home, group, shadow) [FIELD_##name] = #name,
#include "nested-vmx/vmcs_fields.def"
#undef VMCS_FIELD
};

bool vcpu_enter(struct vcpu *v, bool resume);
extern const uint8_t vcpu_exit[];

static bool is_offset(enum guest_memory kind)
{
    return kind == MEMORY_OFFSET_4K || kind == MEMORY_OFFSET_2M;
}

static bool needs_unrestricted(enum guest_mode mode)
{
    return mode == MODE_PROTECTED || mode == MODE_REAL;
}

bool vcpu_supported(enum guest_mode mode, enum guest_memory kind)
{
    if (kind != MEMORY_DIRECT && (vmx_offer.secondary.may_be_1 & SEC_EPT) == 0)
        return false;
    if (kind == MEMORY_IDENTITY_1G && (vmx_offer.ept_vpid & EPT_CAP_1G) == 0)
        return false;
    if (needs_unrestricted(mode))
        return is_offset(kind) && (vmx_offer.secondary.may_be_1 & SEC_UNRESTRICTED_GUEST) != 0;
    return true;
}

static bool is_ia32e(enum guest_mode mode)
{
    return mode == MODE_LONG || mode == MODE_COMPAT;
}

/* --- guest memory and EPT --- */

static void build_ept(struct vcpu *v)
{
    uint64_t flags = EPT_ALL | EPT_WB;

    if (v->kind == MEMORY_DIRECT)
        return;
    ept_init(&v->ept, 0, EPT_POOL_PAGES);
    switch (v->kind) {
    case MEMORY_IDENTITY_4K:
    case MEMORY_OFFSET_4K: ept_map_range(&v->ept, v->base, v->memory, GUEST_RAM_SIZE, EPT_LEVEL_4K, flags); break;
    case MEMORY_IDENTITY_2M:
    case MEMORY_OFFSET_2M: ept_map(&v->ept, v->base, v->memory, EPT_LEVEL_2M, flags); break;
    case MEMORY_IDENTITY_1G: ept_map(&v->ept, 0, 0, EPT_LEVEL_1G, flags); break;
    default: break;
    }
    ept_invalidate(); /* the pages held another EPT before */
}

/* --- the base --- */

static uint32_t offered(struct vmx_control_cap cap, uint32_t wanted)
{
    return cap.must_be_1 | (wanted & cap.may_be_1);
}

static void base_controls(struct vcpu *v)
{
    uint64_t *f = v->field;
    uint32_t secondary = 0;

    if (v->kind != MEMORY_DIRECT)
        secondary |= SEC_EPT;
    if (needs_unrestricted(v->mode))
        secondary |= SEC_UNRESTRICTED_GUEST;
    f[FIELD_PIN_BASED_CONTROLS] = offered(vmx_offer.pin, PIN_PREEMPTION_TIMER);
    f[FIELD_PROCESSOR_BASED_CONTROLS] = offered(vmx_offer.proc, PROC_HLT_EXITING | PROC_SECONDARY_CONTROLS);
    f[FIELD_SECONDARY_CONTROLS] = offered(vmx_offer.secondary, secondary);
    f[FIELD_VM_EXIT_CONTROLS] = offered(vmx_offer.exit, EXIT_SAVE_DEBUG_CONTROLS | EXIT_HOST_64BIT | EXIT_SAVE_PAT |
                                                            EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER);
    f[FIELD_VM_ENTRY_CONTROLS] = offered(vmx_offer.entry, ENTRY_LOAD_DEBUG_CONTROLS | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER |
                                                              (is_ia32e(v->mode) ? ENTRY_IA32E_GUEST : 0));
    f[FIELD_EPT_POINTER] = ept_pointer(&v->ept);
    f[FIELD_MSR_BITMAP] = vmx_page(VMX_PAGE_MSR_BITMAP);
    f[FIELD_IO_BITMAP_A] = vmx_page(VMX_PAGE_IO_BITMAP_A);
    f[FIELD_IO_BITMAP_B] = vmx_page(VMX_PAGE_IO_BITMAP_B);
    f[FIELD_VM_ENTRY_MSR_LOAD_ADDR] = vmx_page(VMX_PAGE_MSR_ENTRY_LOAD);
    f[FIELD_VM_EXIT_MSR_STORE_ADDR] = vmx_page(VMX_PAGE_MSR_EXIT_STORE);
    f[FIELD_VM_EXIT_MSR_LOAD_ADDR] = vmx_page(VMX_PAGE_MSR_EXIT_LOAD);
    f[FIELD_VMCS_LINK_POINTER] = UINT64_MAX;
    f[FIELD_PREEMPTION_TIMER_VALUE] = WATCHDOG_TICKS;
    f[FIELD_VPID] = 1;
}

static void base_host(struct vcpu *v)
{
    struct cpu *cpu = this_cpu();
    uint64_t *f = v->field;

    f[FIELD_HOST_CR0] = cpu_read_cr0();
    f[FIELD_HOST_CR3] = cpu_read_cr3();
    f[FIELD_HOST_CR4] = cpu_read_cr4();
    f[FIELD_HOST_CS_SELECTOR] = SELECTOR_CODE64;
    f[FIELD_HOST_SS_SELECTOR] = f[FIELD_HOST_DS_SELECTOR] = f[FIELD_HOST_ES_SELECTOR] = SELECTOR_DATA;
    f[FIELD_HOST_TR_SELECTOR] = SELECTOR_TSS;
    f[FIELD_HOST_TR_BASE] = (uint64_t)(uintptr_t)&cpu->tss;
    f[FIELD_HOST_GDTR_BASE] = (uint64_t)(uintptr_t)cpu->gdt;
    f[FIELD_HOST_IDTR_BASE] = cpu_read_idtr().base;
    f[FIELD_HOST_IA32_PAT] = MACHINE_PAT;
    f[FIELD_HOST_IA32_EFER] = MACHINE_EFER;
    f[FIELD_HOST_RSP] = cpu_block((unsigned)cpu->index) + CPU_EXIT_STACK_TOP;
    f[FIELD_HOST_RIP] = (uint64_t)(uintptr_t)vcpu_exit;
    v->exit_slot = physical_pointer(f[FIELD_HOST_RSP]);
}

/* The fields of one segment register lie apart by 2 in the encoding, so by 1 in the table, from those of ES. */
static void base_segment(struct vcpu *v, unsigned segment, uint16_t selector, uint64_t linear, uint32_t limit,
                         uint32_t rights)
{
    v->field[FIELD_GUEST_ES_SELECTOR + segment] = selector;
    v->field[FIELD_GUEST_ES_BASE + segment] = linear;
    v->field[FIELD_GUEST_ES_LIMIT + segment] = limit;
    v->field[FIELD_GUEST_ES_ACCESS_RIGHTS + segment] = rights;
}

enum { SEGMENT_ES, SEGMENT_CS, SEGMENT_SS, SEGMENT_DS, SEGMENT_FS, SEGMENT_GS, SEGMENT_LDTR, SEGMENT_TR };

static void base_segments_flat(struct vcpu *v)
{
    bool is_long = v->mode == MODE_LONG;

    for (unsigned s = SEGMENT_ES; s <= SEGMENT_GS; s++)
        base_segment(v, s, GUEST_DATA32, 0, UINT32_MAX, RIGHTS_DATA32);
    base_segment(v, SEGMENT_CS, is_long ? GUEST_CODE64 : GUEST_CODE32, 0, UINT32_MAX,
                 is_long ? RIGHTS_CODE64 : RIGHTS_CODE32);
}

static void base_segments_16(struct vcpu *v)
{
    bool v86 = v->mode == MODE_V86;

    for (unsigned s = SEGMENT_ES; s <= SEGMENT_GS; s++)
        base_segment(v, s, 0, 0, 0xffff, v86 ? RIGHTS_V86 : RIGHTS_DATA16);
    base_segment(v, SEGMENT_DS, GUEST_DATA >> 4, GUEST_DATA, 0xffff, v86 ? RIGHTS_V86 : RIGHTS_DATA16);
    base_segment(v, SEGMENT_CS, GUEST_CODE >> 4, GUEST_CODE, 0xffff, v86 ? RIGHTS_V86 : RIGHTS_CODE16);
    base_segment(v, SEGMENT_SS, STACK_16 >> 4, STACK_16, 0xffff, v86 ? RIGHTS_V86 : RIGHTS_DATA16);
}

static void base_segments(struct vcpu *v)
{
    bool flat = v->mode != MODE_REAL && v->mode != MODE_V86;

    if (flat)
        base_segments_flat(v);
    else
        base_segments_16(v);
    base_segment(v, SEGMENT_LDTR, 0, 0, 0, RIGHTS_UNUSABLE);
    base_segment(v, SEGMENT_TR, GUEST_TSS_SELECTOR, is_ia32e(v->mode) ? GUEST_TSS64 : GUEST_TSS, 0x67, RIGHTS_TSS);
    v->field[FIELD_GUEST_GDTR_BASE] = GUEST_GDT;
    v->field[FIELD_GUEST_GDTR_LIMIT] = GUEST_GDT_LIMIT;
    v->field[FIELD_GUEST_IDTR_BASE] = v->mode == MODE_REAL ? GUEST_IVT : is_ia32e(v->mode) ? GUEST_IDT64 : GUEST_IDT32;
    v->field[FIELD_GUEST_IDTR_LIMIT] = v->mode == MODE_REAL ? 0x3ff : is_ia32e(v->mode) ? 0xfff : 0x7ff;
    v->field[FIELD_GUEST_RIP] = flat ? GUEST_CODE : 0;
    v->field[FIELD_GUEST_RSP] = flat ? GUEST_STACK_TOP : GUEST_STACK_TOP - STACK_16;
}

struct paging {
    uint64_t cr0, cr4, efer, cr3;
};

static const struct paging paging[MODE_COUNT] = {
    [MODE_LONG] = { CR0_PE | CR0_PG, CR4_PAE, EFER_LME | EFER_LMA | EFER_NXE, GUEST_PML4 },
    [MODE_COMPAT] = { CR0_PE | CR0_PG, CR4_PAE, EFER_LME | EFER_LMA | EFER_NXE, GUEST_PML4 },
    [MODE_PAE] = { CR0_PE | CR0_PG, CR4_PAE, EFER_NXE, GUEST_PAE_PDPT },
    [MODE_PAGED] = { CR0_PE | CR0_PG, 0, 0, GUEST_PD32 },
    [MODE_PROTECTED] = { CR0_PE, 0, 0, 0 },
    [MODE_REAL] = { 0, 0, 0, 0 },
    [MODE_V86] = { CR0_PE | CR0_PG, 0, 0, GUEST_PD32 },
};

static void base_guest(struct vcpu *v)
{
    const struct paging *p = &paging[v->mode];
    uint64_t *f = v->field;

    f[FIELD_GUEST_CR0] = p->cr0 | CR0_ET | CR0_NE | CR0_WP;
    f[FIELD_GUEST_CR4] = p->cr4 | CR4_VMXE | CR4_OSFXSR;
    f[FIELD_GUEST_IA32_EFER] = p->efer;
    f[FIELD_GUEST_CR3] = (p->cr0 & CR0_PG) != 0 ? v->base + p->cr3 : 0;
    f[FIELD_GUEST_PDPTE0] = v->mode == MODE_PAE ? (v->base + GUEST_PD) | 1 : 0;
    f[FIELD_GUEST_IA32_PAT] = MACHINE_PAT;
    f[FIELD_GUEST_DR7] = 0x400;
    f[FIELD_GUEST_RFLAGS] = RFLAGS_1 | (v->mode == MODE_V86 ? RFLAGS_VM | 0x3000 : 0);
    base_segments(v);
}

/* --- use --- */

static void write_base(struct vcpu *v)
{
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        if (vcpu_has(i) && vmcs_fields[i].home != HOME_EXIT)
            vmx_write(vmcs_fields[i].encoding, v->field[i]);
}

void vcpu_init_at(struct vcpu *v, uint64_t region, enum guest_mode mode, enum guest_memory kind, uint64_t memory)
{
    fill_bytes(v, 0, sizeof(*v));
    v->region = region;
    v->mode = mode;
    v->kind = kind;
    v->memory = memory;
    v->base = is_offset(kind) ? 0 : v->memory;
    guest_build(v->memory, v->base);
    build_ept(v);
    base_controls(v);
    base_host(v);
    base_guest(v);
    vmx_format_region(region);
    vmx_clear(region);
    vmx_load(region);
    write_base(v);
    vcpu_set_code(v, "");
}

void vcpu_init(struct vcpu *v, uint64_t region, enum guest_mode mode, enum guest_memory kind)
{
    vcpu_init_at(v, region, mode, kind, ARENA(ARENA_GUEST));
}

void vcpu_take(struct vcpu *v)
{
    vmx_load(v->region);
    base_host(v);
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        if (vcpu_has(i) && vmcs_fields[i].home == HOME_HOST)
            vmx_write(vmcs_fields[i].encoding, v->field[i]);
    v->launched = false;
}

static unsigned hex_digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

uint8_t *assemble(uint8_t *to, const char *hex)
{
    for (; *hex != '\0'; hex += hex[2] == ' ' ? 3 : 2)
        *to++ = (uint8_t)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
    return to;
}

static void set_registers(struct vcpu *v)
{
    static const uint64_t fixed[REG_COUNT] = {
        [REG_RAX] = 0,
        [REG_RCX] = 0,
        [REG_RDX] = 0x80,
        [REG_RBX] = GUEST_DATA,
        [REG_RSI] = GUEST_DATA + 0x100,
        [REG_RDI] = GUEST_DATA + 0x200,
    };
    static const uint64_t fixed_16[REG_COUNT] = {
        [REG_RDX] = 0x80, [REG_RBX] = 0, [REG_RSI] = 0x100, [REG_RDI] = 0x200
    };
    bool is_16 = v->mode == MODE_REAL || v->mode == MODE_V86;

    copy_bytes(v->reg, is_16 ? fixed_16 : fixed, sizeof(v->reg));
}

void vcpu_set_code(struct vcpu *v, const char *hex)
{
    copy_bytes(assemble(guest_pointer(v->memory, GUEST_CODE), hex), "\x0f\x01\xc1", 3); /* VMCALL */
    set_registers(v);
}

void vcpu_set(struct vcpu *v, enum vmcs_index field, uint64_t value)
{
    if (v->change_count == VCPU_CHANGES_MAX)
        harness_abort("too many changes in one case");
    v->changed[v->change_count++] = (uint8_t)field;
    v->virtual_nmis |= field == FIELD_PIN_BASED_CONTROLS && (value & PIN_VIRTUAL_NMIS) != 0;
    vmx_write(vmcs_fields[field].encoding, value);
}

void vcpu_set_base(struct vcpu *v, enum vmcs_index field, uint64_t value)
{
    v->field[field] = value;
    vmx_write(vmcs_fields[field].encoding, value);
}

uint64_t vcpu_get(enum vmcs_index field)
{
    return vmx_read(vmcs_fields[field].encoding);
}

/* An injected NMI leaves NMIs blocked in root mode, too, until an IRET. */
static void unblock_nmis(void)
{
    __asm__ volatile("movq %%rsp, %%rdx\n\t"
                     "movl %%ss, %%eax\n\t"
                     "pushq %%rax\n\t"
                     "pushq %%rdx\n\t"
                     "pushfq\n\t"
                     "movl %%cs, %%eax\n\t"
                     "pushq %%rax\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "iretq\n"
                     "1:"
                     :
                     :
                     : "rax", "rdx", "memory", "cc");
}

struct entry {
    struct vcpu *v;
    bool exited;
};

static void do_enter(void *data)
{
    struct entry *e = data;

    e->exited = vcpu_enter(e->v, e->v->launched);
}

struct outcome vcpu_run(struct vcpu *v)
{
    struct entry e = { .v = v };
    struct trap trap;

    if (!try_run(&trap, do_enter, &e))
        return outcome_from_trap(&trap);
    if (!e.exited)
        return outcome_from_flags(v->rflags);
    unblock_nmis();
    if ((vcpu_get(FIELD_EXIT_REASON) & EXIT_ENTRY_FAILURE) == 0)
        v->launched = v->has_run = true;
    return (struct outcome){ .kind = OUTCOME_EXIT };
}

void vcpu_enter_again(struct vcpu *v)
{
    if (!vcpu_enter(v, true))
        harness_abort("VMRESUME failed: %lx", vcpu_get(FIELD_VM_INSTRUCTION_ERROR));
}

/* What VM exits save, or guests of the tests change while they stay in their segments. */
static const uint8_t saved_fields[] = {
    FIELD_GUEST_RIP,
    FIELD_GUEST_RSP,
    FIELD_GUEST_RFLAGS,
    FIELD_GUEST_INTERRUPTIBILITY,
    FIELD_GUEST_ACTIVITY_STATE,
    FIELD_GUEST_PENDING_DEBUG_EXCEPTIONS,
    FIELD_GUEST_CR0,
    FIELD_GUEST_CR3,
    FIELD_GUEST_CR4,
    FIELD_GUEST_IA32_EFER,
    FIELD_GUEST_DR7,
    FIELD_VM_ENTRY_CONTROLS,
    FIELD_VM_ENTRY_INTERRUPTION_INFO,
    FIELD_GUEST_IA32_DEBUGCTL,
    FIELD_GUEST_CS_ACCESS_RIGHTS, /* real mode on Bochs: a VM exit saves 93h */
};

static void write_back(struct vcpu *v, unsigned field)
{
    if (vcpu_has(field))
        vmx_write(vmcs_fields[field].encoding, v->field[field]);
}

static void write_back_guest(struct vcpu *v)
{
    bool same_segments = vcpu_get(FIELD_GUEST_CS_SELECTOR) == v->field[FIELD_GUEST_CS_SELECTOR] &&
                         vcpu_get(FIELD_GUEST_SS_SELECTOR) == v->field[FIELD_GUEST_SS_SELECTOR];

    for (unsigned i = 0; i < sizeof(saved_fields); i++)
        write_back(v, saved_fields[i]);
    for (unsigned i = 0; !same_segments && i < VMCS_FIELD_COUNT; i++)
        if (vmcs_fields[i].home == HOME_GUEST)
            write_back(v, i);
}

/*
 * Bochs 2.7 never clears blocking by virtual NMI at a VM entry that says there is none: only an IRET in a guest with
 * virtual NMIs does. A guest of our own executes one, so that cases don't depend on those before them.
 */
static void forget_virtual_nmi_blocking(uint64_t region)
{
    static struct vcpu cleaner;

    vcpu_init_at(&cleaner, vmx_page(VMX_PAGE_VMCS_THIRD), MODE_LONG, MEMORY_DIRECT, ARENA(ARENA_GUEST_ALT));
    vcpu_set_base(&cleaner, FIELD_PIN_BASED_CONTROLS,
                  cleaner.field[FIELD_PIN_BASED_CONTROLS] | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
    /* mov rax, rsp; push 10h; push rax; pushf; push 8; lea rax, [rip + 3]; push rax; iretq */
    vcpu_set_code(&cleaner, "48 89 e0 6a 10 50 9c 6a 08 48 8d 05 03 00 00 00 50 48 cf");
    vcpu_run(&cleaner);
    vmx_clear(cleaner.region);
    vmx_load(region);
}

void vcpu_revert(struct vcpu *v)
{
    if (v->has_run)
        write_back_guest(v);
    while (v->change_count > 0)
        write_back(v, v->changed[--v->change_count]);
    if (v->virtual_nmis)
        forget_virtual_nmi_blocking(v->region);
    v->has_run = v->virtual_nmis = false;
    set_registers(v);
}
