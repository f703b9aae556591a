/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's VMX instructions but VMLAUNCH and VMRESUME: SDM "VMX Instruction Reference". Operands are the host's:
 * memory operands are read once, and a wrong one gets the fault or the error number that the processor would give.
 */
#include "cloudvisor/host_memory.h"
#include "cloudvisor/power.h"
#include "cloudvisor/vm.h"
#include "cloudvisor/vmcs01.h"
#include "nested-vmx/nested_internal.h"

#define ARITHMETIC_FLAGS UINT64_C(0x8d5)
#define FLAG_CF          UINT64_C(0x1)
#define FLAG_ZF          UINT64_C(0x40)

/* VM-exit instruction information, SDM "Format of the VM-Exit Instruction-Information Field". */
#define INFO_SCALE(i)         ((i)&3u)
#define INFO_REG1(i)          ((i) >> 3 & 15u)
#define INFO_ADDRESS_64(i)    (((i) >> 7 & 7u) == 2)
#define INFO_IS_REGISTER(i)   (((i) >> 10 & 1u) != 0)
#define INFO_SEGMENT(i)       ((i) >> 15 & 7u)
#define INFO_INDEX(i)         ((i) >> 18 & 15u)
#define INFO_INDEX_INVALID(i) (((i) >> 22 & 1u) != 0)
#define INFO_BASE(i)          ((i) >> 23 & 15u)
#define INFO_BASE_INVALID(i)  (((i) >> 27 & 1u) != 0)
#define INFO_REG2(i)          ((i) >> 28 & 15u)
enum { SEGMENT_SS = 2, SEGMENT_FS = 4, VECTOR_SS = 12, VECTOR_GP = 13 };

void vmx_finish(struct cpu *cpu, int result)
{
    uint64_t flags = 0;

    if (result == VMX_NO_RESULT)
        return;
    if (result != VMERR_NONE)
        flags = cpu->current != NULL ? FLAG_ZF : FLAG_CF;
    if (flags == FLAG_ZF) /* VMfailValid needs a current VMCS */
        vmcs12_write(cpu, cpu->current, FIELD_VM_INSTRUCTION_ERROR, (uint64_t)result);
    hw_vmwrite(VMCS_GUEST_RFLAGS, (hw_vmread(VMCS_GUEST_RFLAGS) & ~ARITHMETIC_FLAGS) | flags);
    host_skip_instruction();
}

struct entry_limits nested_limits(void)
{
    static uint64_t efer_valid; /* the same whichever CPU asks first */

    if (efer_valid == 0)
        efer_valid = EFER_LME | EFER_LMA | 1 | ((hw_cpuid(0x80000001, 0).edx >> 20 & 1) != 0 ? UINT64_C(0x800) : 0);
    return (struct entry_limits){ .efer_valid = efer_valid,
                                  .physical_width = (uint8_t)physical_bits,
                                  .linear_width = (hw_vmread(VMCS_GUEST_CR4) & CR4_LA57) != 0 ? 57 : 48 };
}

static uint64_t get_gpr(const struct cpu *cpu, unsigned reg)
{
    return reg == RSP ? hw_vmread(VMCS_GUEST_RSP) : cpu->gpr[reg];
}

static void set_gpr(struct cpu *cpu, unsigned reg, uint64_t value)
{
    if (reg == RSP)
        hw_vmwrite(VMCS_GUEST_RSP, value);
    else
        cpu->gpr[reg] = value;
}

/* Reads or writes the memory operand, in 64-bit mode; false after injecting the fault that it causes. */
static bool access_operand(struct cpu *cpu, uint32_t info, void *buffer, size_t size, bool write)
{
    uint64_t linear = hw_vmread(VMCS_EXIT_QUALIFICATION);
    struct entry_limits limits = nested_limits();
    unsigned segment = INFO_SEGMENT(info);
    struct host_fault fault;

    if (!INFO_BASE_INVALID(info))
        linear += get_gpr(cpu, INFO_BASE(info));
    if (!INFO_INDEX_INVALID(info))
        linear += get_gpr(cpu, INFO_INDEX(info)) << INFO_SCALE(info);
    if (!INFO_ADDRESS_64(info))
        linear = (uint32_t)linear;
    if (segment >= SEGMENT_FS)
        linear += hw_vmread(VMCS_GUEST_ES_BASE + 2 * segment);
    if (!entry_canonical(linear, &limits) || !entry_canonical(linear + size - 1, &limits))
        host_inject_exception(segment == SEGMENT_SS ? VECTOR_SS : VECTOR_GP, true, 0);
    else if (write ? host_write(linear, buffer, size, &fault) : host_read(linear, buffer, size, &fault))
        return true;
    else
        host_inject_page_fault(&fault);
    return false;
}

static bool read_operand(struct cpu *cpu, uint32_t info, void *to, size_t size)
{
    return access_operand(cpu, info, to, size, false);
}

static bool region_address_valid(uint64_t address)
{
    return (address & (PAGE_SIZE - 1)) == 0 && address >> physical_bits == 0;
}

static uint32_t region_revision(uint64_t address)
{
    uint32_t revision;

    host_frame_read(hpa(address), &revision, sizeof(revision));
    return revision;
}

/* Bits that MOV to CR0 and CR4 must have had for VMXON; unrestricted guest doesn't matter here. */
static bool vmxon_registers_valid(void)
{
    uint64_t cr0 = hw_vmread(VMCS_CR0_READ_SHADOW) & CR0_NE;
    uint64_t cr4 = hw_vmread(VMCS_GUEST_CR4);

    cr0 |= hw_vmread(VMCS_GUEST_CR0) & ~CR0_NE;
    return (caps_offer.cr0_fixed0 & ~cr0) == 0 && (cr0 & ~caps_offer.cr0_fixed1) == 0 &&
           (caps_offer.cr4_fixed0 & ~cr4) == 0 && (cr4 & ~caps_offer.cr4_fixed1) == 0;
}

/* In VMX operation CR0.PE and CR0.PG are fixed, too; host_cr.c sees every attempt to change a bit in the mask. */
static void own_cr0_bits(uint64_t mask)
{
    uint64_t ne = hw_vmread(VMCS_CR0_READ_SHADOW) & CR0_NE;

    hw_vmwrite(VMCS_CR0_READ_SHADOW, (hw_vmread(VMCS_GUEST_CR0) & ~CR0_NE) | ne);
    hw_vmwrite(VMCS_CR0_GUEST_HOST_MASK, mask);
}

static int vmxon(struct cpu *cpu, uint32_t info)
{
    uint64_t region;

    if (cpu->vmx_on)
        return VMERR_VMXON_IN_ROOT;
    if (!vmxon_registers_valid()) {
        host_inject_gp();
        return VMX_NO_RESULT;
    }
    if (!read_operand(cpu, info, &region, sizeof(region)))
        return VMX_NO_RESULT;
    if (!region_address_valid(region) || region_revision(region) != VMCS12_REVISION)
        return VMERR_VMPTRLD_REVISION; /* no number shows, since there is no current VMCS */
    cpu->vmx_on = true;
    cpu->vmxon_pointer = region;
    own_cr0_bits(CR0_NE | CR0_PE | CR0_PG);
    power_guard_resets();
    return VMERR_NONE;
}

static bool any_in_vmx_operation(void)
{
    for (unsigned i = 0; i < boot->cpu_count; i++) {
        if (cpus[i] != NULL && cpus[i]->vmx_on)
            return true;
    }
    return false;
}

static int vmxoff(struct cpu *cpu)
{
    vmcs12_release_all(cpu);
    cpu->vmx_on = false;
    own_cr0_bits(CR0_NE);
    if (!any_in_vmx_operation()) /* KVM does so after its last VM */
        vm_end_all(VM_STOP_HOST_GONE, false);
    if (cpu->init_request)
        cpu->attention = 1;
    return VMERR_NONE;
}

/* The operand of VMCLEAR and VMPTRLD; `bad_address` is followed by the error for the VMXON region. */
static int read_region(struct cpu *cpu, uint32_t info, uint64_t *region, int bad_address)
{
    if (!read_operand(cpu, info, region, sizeof(*region)))
        return VMX_NO_RESULT;
    if (!region_address_valid(*region))
        return bad_address;
    return *region == cpu->vmxon_pointer ? bad_address + 1 : VMERR_NONE;
}

static int vmclear(struct cpu *cpu, uint32_t info)
{
    uint64_t region;
    int result = read_region(cpu, info, &region, VMERR_VMCLEAR_ADDRESS);

    if (result == VMERR_NONE)
        vmcs12_clear(cpu, region);
    return result;
}

static int vmptrld(struct cpu *cpu, uint32_t info)
{
    uint64_t region;
    int result = read_region(cpu, info, &region, VMERR_VMPTRLD_ADDRESS);
    struct vmcs12 *v;

    if (result != VMERR_NONE)
        return result;
    if (region_revision(region) != VMCS12_REVISION)
        return VMERR_VMPTRLD_REVISION;
    v = vmcs12_activate(cpu, region);
    if (v == NULL)
        return VMERR_VMPTRLD_ADDRESS;
    vmcs12_set_current(cpu, v);
    return VMERR_NONE;
}

static int vmptrst(struct cpu *cpu, uint32_t info)
{
    uint64_t region = cpu->current != NULL ? cpu->current->region : NO_VMCS;

    return access_operand(cpu, info, &region, sizeof(region), true) ? VMERR_NONE : VMX_NO_RESULT;
}

/* The field that a VMREAD or VMWRITE names, or -1 if there is none, or no current VMCS. */
static int named_field(const struct cpu *cpu, uint64_t encoding)
{
    int index = vmcs_field_lookup(encoding);

    return cpu->current != NULL && index >= 0 && vmcs12_offers(index) ? index : -1;
}

static int vmread(struct cpu *cpu, uint32_t info)
{
    uint64_t encoding = get_gpr(cpu, INFO_REG2(info)), value;
    int index = named_field(cpu, encoding);

    if (index < 0)
        return VMERR_UNSUPPORTED_FIELD;
    value = vmcs_field_extract((uint32_t)encoding, vmcs12_read(cpu, cpu->current, index));
    if (INFO_IS_REGISTER(info))
        set_gpr(cpu, INFO_REG1(info), value);
    else if (!access_operand(cpu, info, &value, sizeof(value), true))
        return VMX_NO_RESULT;
    return VMERR_NONE;
}

static int vmwrite(struct cpu *cpu, uint32_t info)
{
    uint64_t encoding = get_gpr(cpu, INFO_REG2(info)), value, old;
    int index = named_field(cpu, encoding);

    if (cpu->current == NULL)
        return VMERR_UNSUPPORTED_FIELD;
    if (INFO_IS_REGISTER(info))
        value = get_gpr(cpu, INFO_REG1(info));
    else if (!read_operand(cpu, info, &value, sizeof(value)))
        return VMX_NO_RESULT;
    if (index < 0)
        return VMERR_UNSUPPORTED_FIELD;
    if (vmcs_fields[index].home == HOME_EXIT && (caps_offer.misc & MISC_VMWRITE_ANY) == 0)
        return VMERR_READ_ONLY_FIELD;
    old = VMCS_ENCODING_HIGH(encoding) ? vmcs12_read(cpu, cpu->current, index) : 0;
    vmcs12_write(cpu, cpu->current, index, vmcs_field_merge((uint32_t)encoding, old, value));
    return VMERR_NONE;
}

static int invept(struct cpu *cpu, uint32_t info)
{
    uint64_t type = get_gpr(cpu, INFO_REG2(info)), descriptor[2];
    struct entry_limits limits = nested_limits();

    if (type != HW_INVEPT_SINGLE && type != HW_INVEPT_ALL)
        return VMERR_INVALID_OPERAND;
    if (!read_operand(cpu, info, descriptor, sizeof(descriptor)))
        return VMX_NO_RESULT;
    if (type == HW_INVEPT_SINGLE && !entry_eptp_valid(descriptor[0], &caps_offer, &limits))
        return VMERR_INVALID_OPERAND;
    layer_lock();
    ept02_mark_stale(type == HW_INVEPT_ALL ? 0 : descriptor[0]);
    layer_unlock();
    hw_invept(HW_INVEPT_ALL, 0); /* this CPU's, even if another one gets to compare the trees first */
    return VMERR_NONE;
}

static int invvpid(struct cpu *cpu, uint32_t info)
{
    uint64_t type = get_gpr(cpu, INFO_REG2(info)), descriptor[2];
    struct entry_limits limits = nested_limits();
    uint16_t vpid;

    if (type > HW_INVVPID_SINGLE_GLOBAL)
        return VMERR_INVALID_OPERAND;
    if (!read_operand(cpu, info, descriptor, sizeof(descriptor)))
        return VMX_NO_RESULT;
    vpid = (uint16_t)descriptor[0];
    if (descriptor[0] >> 16 != 0 || (vpid == 0 && type != HW_INVVPID_ALL) ||
        (type == HW_INVVPID_ADDRESS && !entry_canonical(descriptor[1], &limits)))
        return VMERR_INVALID_OPERAND;
    hw_invvpid((enum hw_invalidate)type, vpid >= VPID_LAYER ? VPID_UNTAGGED : vpid, descriptor[1]);
    return VMERR_NONE;
}

/*
 * #UD and #GP come before everything else; the processor itself has seen that CR4.VMXE is 1, since it always is.
 * Hosts are 64-bit, as the capability MSRs say: outside 64-bit mode there are no VMX instructions.
 */
static bool may_execute(struct cpu *cpu, uint32_t reason)
{
    bool enabled = reason == EXIT_VMXON ? (hw_vmread(VMCS_CR4_READ_SHADOW) & CR4_VMXE) != 0 : cpu->vmx_on;

    if (!enabled || (hw_vmread(VMCS_GUEST_IA32_EFER) & EFER_LMA) == 0 ||
        (hw_vmread(VMCS_GUEST_CS_ACCESS_RIGHTS) & BIT32(13)) == 0) {
        host_inject_ud();
        return false;
    }
    if ((hw_vmread(VMCS_GUEST_SS_ACCESS_RIGHTS) >> 5 & 3) != 0) {
        host_inject_gp();
        return false;
    }
    return true;
}

static int execute(struct cpu *cpu, uint32_t reason)
{
    uint32_t info = (uint32_t)hw_vmread(VMCS_VM_EXIT_INSTRUCTION_INFO);

    switch (reason) {
    case EXIT_VMXON: return vmxon(cpu, info);
    case EXIT_VMXOFF: return vmxoff(cpu);
    case EXIT_VMCLEAR: return vmclear(cpu, info);
    case EXIT_VMPTRLD: return vmptrld(cpu, info);
    case EXIT_VMPTRST: return vmptrst(cpu, info);
    case EXIT_VMREAD: return vmread(cpu, info);
    case EXIT_VMWRITE: return vmwrite(cpu, info);
    case EXIT_INVEPT: return invept(cpu, info);
    case EXIT_INVVPID: return invvpid(cpu, info);
    default: return VMERR_VMCALL_IN_ROOT;
    }
}

void nested_instruction(struct cpu *cpu, uint32_t reason)
{
    bool enters = reason == EXIT_VMLAUNCH || reason == EXIT_VMRESUME;

    if (may_execute(cpu, reason))
        vmx_finish(cpu, enters ? nested_enter(cpu, reason == EXIT_VMLAUNCH) : execute(cpu, reason));
}
