/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VMX instructions of the harness. See vmx.h.
 *
 * Each instruction is a function that try_run() can call; it leaves RFLAGS in its argument. The arithmetic flags are
 * all set before the instruction, so that an instruction that forgets to clear one is seen.
 */
#include "untrusted-hypervisor-harness/core/vmx.h"
#include <stddef.h>
#include "cloudvisor/hypercall.h"
#include "untrusted-hypervisor-harness/core/console.h"

struct vmx_caps vmx_offer, vmx_hardware;
bool vmx_under_layer;
uint32_t vmx_revision;
unsigned vmx_address_bits;

enum { FEATURE_CONTROL_LOCKED = 1, FEATURE_CONTROL_VMX = 4, CPUID_1_ECX_VMX = 1 << 5 };

struct operation {
    void *memory;
    uint64_t operand[2];
    uint64_t rflags;
};

#define SET_ARITHMETIC_FLAGS "pushfq\n\torl $0x8d5, (%%rsp)\n\tpopfq\n\t"
#define KEEP_FLAGS           "\n\tpushfq\n\tpopq %0"

/* A VMX instruction with one memory operand. */
#define MEMORY_INSTRUCTION(name)                                                                                       \
    static void do_##name(void *data)                                                                                  \
    {                                                                                                                  \
        struct operation *op = data;                                                                                   \
        __asm__ volatile(SET_ARITHMETIC_FLAGS #name " (%1)" KEEP_FLAGS                                                 \
                         : "=&r"(op->rflags)                                                                           \
                         : "r"(op->memory)                                                                             \
                         : "memory", "cc");                                                                            \
    }
/* One without operands. */
#define PLAIN_INSTRUCTION(name)                                                                                        \
    static void do_##name(void *data)                                                                                  \
    {                                                                                                                  \
        struct operation *op = data;                                                                                   \
        __asm__ volatile(SET_ARITHMETIC_FLAGS #name KEEP_FLAGS : "=&r"(op->rflags) : : "memory", "cc");                \
    }
/* One with a register (operand[0]) and a memory operand. */
#define TYPED_INSTRUCTION(name)                                                                                        \
    static void do_##name(void *data)                                                                                  \
    {                                                                                                                  \
        struct operation *op = data;                                                                                   \
        __asm__ volatile(SET_ARITHMETIC_FLAGS #name " (%2), %1" KEEP_FLAGS                                             \
                         : "=&r"(op->rflags)                                                                           \
                         : "r"(op->operand[0]), "r"(op->memory)                                                        \
                         : "memory", "cc");                                                                            \
    }

MEMORY_INSTRUCTION(vmxon)
MEMORY_INSTRUCTION(vmclear)
MEMORY_INSTRUCTION(vmptrld)
MEMORY_INSTRUCTION(vmptrst)
PLAIN_INSTRUCTION(vmxoff)
PLAIN_INSTRUCTION(vmlaunch)
PLAIN_INSTRUCTION(vmresume)
TYPED_INSTRUCTION(invept)
TYPED_INSTRUCTION(invvpid)

static void do_vmcall(void *data)
{
    struct operation *op = data;

    __asm__ volatile(SET_ARITHMETIC_FLAGS "vmcall" KEEP_FLAGS
                     : "=&r"(op->rflags), "+a"(op->operand[0]), "+b"(op->operand[1])
                     : "c"(op->memory)
                     : "memory", "cc");
}

static void do_vmlaunch_after_mov_ss(void *data)
{
    struct operation *op = data;

    __asm__ volatile("movl %%ss, %%eax\n\t" SET_ARITHMETIC_FLAGS "movl %%eax, %%ss\n\tvmlaunch" KEEP_FLAGS
                     : "=&r"(op->rflags)
                     :
                     : "rax", "memory", "cc");
}

static void do_vmread(void *data)
{
    struct operation *op = data;

    __asm__ volatile(SET_ARITHMETIC_FLAGS "vmread %2, %1" KEEP_FLAGS
                     : "=&r"(op->rflags), "+r"(op->operand[1])
                     : "r"(op->operand[0])
                     : "cc");
}

static void do_vmread_memory(void *data)
{
    struct operation *op = data;

    __asm__ volatile(SET_ARITHMETIC_FLAGS "vmread %1, (%2)" KEEP_FLAGS
                     : "=&r"(op->rflags)
                     : "r"(op->operand[0]), "r"(op->memory)
                     : "memory", "cc");
}

static void do_vmwrite(void *data)
{
    struct operation *op = data;

    __asm__ volatile(SET_ARITHMETIC_FLAGS "vmwrite %2, %1" KEEP_FLAGS
                     : "=&r"(op->rflags)
                     : "r"(op->operand[0]), "r"(op->operand[1])
                     : "cc");
}

static void do_vmwrite_memory(void *data)
{
    struct operation *op = data;

    __asm__ volatile(SET_ARITHMETIC_FLAGS "vmwrite (%2), %1" KEEP_FLAGS
                     : "=&r"(op->rflags)
                     : "r"(op->operand[0]), "r"(op->memory)
                     : "memory", "cc");
}

static struct outcome try_operation(void (*instruction)(void *), struct operation *op)
{
    struct trap trap;

    if (!try_run(&trap, instruction, op))
        return outcome_from_trap(&trap);
    return outcome_from_flags(op->rflags);
}

static struct outcome try_memory(void (*instruction)(void *), const void *memory)
{
    struct operation op = { .memory = (void *)(uintptr_t)memory };

    return try_operation(instruction, &op);
}

static struct outcome try_typed(void (*instruction)(void *), uint64_t operand, const void *memory)
{
    struct operation op = { .memory = (void *)(uintptr_t)memory, .operand = { operand, 0 } };

    return try_operation(instruction, &op);
}

struct outcome try_vmxon(const void *operand)
{
    return try_memory(do_vmxon, operand);
}
struct outcome try_vmclear(const void *operand)
{
    return try_memory(do_vmclear, operand);
}
struct outcome try_vmptrld(const void *operand)
{
    return try_memory(do_vmptrld, operand);
}
struct outcome try_vmptrst(void *operand)
{
    return try_memory(do_vmptrst, operand);
}
struct outcome try_vmxoff(void)
{
    return try_memory(do_vmxoff, NULL);
}
struct outcome try_vmlaunch(void)
{
    return try_memory(do_vmlaunch, NULL);
}
struct outcome try_vmresume(void)
{
    return try_memory(do_vmresume, NULL);
}
struct outcome try_vmlaunch_after_mov_ss(void)
{
    return try_memory(do_vmlaunch_after_mov_ss, NULL);
}
struct outcome try_vmcall(uint32_t eax)
{
    return try_typed(do_vmcall, eax, NULL);
}
struct outcome try_invept(uint64_t type, const void *descriptor)
{
    return try_typed(do_invept, type, descriptor);
}
struct outcome try_invvpid(uint64_t type, const void *descriptor)
{
    return try_typed(do_invvpid, type, descriptor);
}
struct outcome try_vmclear_region(uint64_t region)
{
    return try_vmclear(&region);
}
struct outcome try_vmptrld_region(uint64_t region)
{
    return try_vmptrld(&region);
}

struct outcome try_vmread_memory(uint64_t encoding, void *operand)
{
    return try_typed(do_vmread_memory, encoding, operand);
}

struct outcome try_vmwrite_memory(uint64_t encoding, const void *operand)
{
    return try_typed(do_vmwrite_memory, encoding, operand);
}

struct outcome try_vmread(uint64_t encoding, uint64_t *value)
{
    struct operation op = { .operand = { encoding, *value } };
    struct outcome o = try_operation(do_vmread, &op);

    *value = op.operand[1];
    return o;
}

struct outcome try_vmwrite(uint64_t encoding, uint64_t value)
{
    struct operation op = { .operand = { encoding, value } };

    return try_operation(do_vmwrite, &op);
}

static void must_succeed(struct outcome o, const char *what, uint64_t operand)
{
    if (o.kind == OUTCOME_SUCCEED)
        return;
    print("\n%s %lx: ", what, operand);
    outcome_print(&o);
    harness_abort("the harness needs this to succeed");
}

uint64_t vmx_read(uint32_t encoding)
{
    uint64_t value;
    uint8_t failed;

    __asm__ volatile("vmread %2, %0\n\tsetbe %1" : "=r"(value), "=qm"(failed) : "r"((uint64_t)encoding) : "cc");
    if (failed)
        harness_abort("VMREAD %x failed", encoding);
    return value;
}

void vmx_write(uint32_t encoding, uint64_t value)
{
    uint8_t failed;

    __asm__ volatile("vmwrite %2, %1\n\tsetbe %0" : "=qm"(failed) : "r"((uint64_t)encoding), "r"(value) : "cc");
    if (failed)
        must_succeed(try_vmwrite(encoding, value), "VMWRITE", encoding);
}

void vmx_clear(uint64_t region)
{
    must_succeed(try_vmclear(&region), "VMCLEAR", region);
}

void vmx_load(uint64_t region)
{
    must_succeed(try_vmptrld(&region), "VMPTRLD", region);
}

void vmx_unload(void)
{
    uint64_t region;

    must_succeed(try_vmptrst(&region), "VMPTRST", 0);
    if (region != UINT64_MAX)
        vmx_clear(region);
}

void vmx_format_region(uint64_t region)
{
    clear_pages(region, 1);
    *(uint32_t *)physical_pointer(region) = vmx_revision;
}

static bool unlock_vmx(void)
{
    uint64_t control = cpu_read_msr(MSR_FEATURE_CONTROL);

    if ((control & FEATURE_CONTROL_LOCKED) == 0)
        cpu_write_msr(MSR_FEATURE_CONTROL, control | FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX);
    return (cpu_read_msr(MSR_FEATURE_CONTROL) & FEATURE_CONTROL_VMX) != 0;
}

bool vmx_probe(void)
{
    uint64_t version;

    if ((cpu_cpuid(1, 0).ecx & CPUID_1_ECX_VMX) == 0) {
        note("the CPU has no VMX");
        return false;
    }
    if (!unlock_vmx()) {
        note("IA32_FEATURE_CONTROL is locked without VMX");
        return false;
    }
    vmx_address_bits = cpu_cpuid(0x80000008, 0).eax & 0xff;
    vmx_caps_read(&vmx_hardware, cpu_read_msr);
    vmx_caps_offer(&vmx_hardware, &vmx_offer);
    vmx_revision = (uint32_t)vmx_hardware.basic & 0x7fffffff;
    vmx_under_layer = vmx_hypercall(HYPERCALL_VERSION, 0, 0, &version);
    return true;
}

void vmx_enable(void)
{
    uint64_t region = vmx_page(VMX_PAGE_VMXON) + this_cpu()->index * PAGE_SIZE;

    unlock_vmx(); /* the MSR is each CPU's own */
    cpu_write_cr4(cpu_read_cr4() | CR4_VMXE);
    vmx_format_region(region);
    must_succeed(try_vmxon(&region), "VMXON", region);
}

void vmx_disable(void)
{
    must_succeed(try_vmxoff(), "VMXOFF", 0);
    cpu_write_cr4(cpu_read_cr4() & ~CR4_VMXE);
}

bool vmx_hypercall(uint32_t function, uint64_t rbx, uint64_t rcx, uint64_t *result)
{
    struct operation op = { .memory = physical_pointer(rcx), .operand = { HYPERCALL_MAGIC | function, rbx } };
    struct trap trap;

    if (!try_run(&trap, do_vmcall, &op))
        return false;
    *result = op.operand[1];
    return op.operand[0] == 0;
}
