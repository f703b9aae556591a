/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Family operand: the forms in which VMX instructions name registers and memory. Where an instruction is emulated,
 * someone has to compute its operands from the exit's information; here every general register, base, index, scale,
 * displacement, segment and address size comes up once.
 *
 * The code is assembled into a page below 2 GiB and called as a function: RDI = address, RSI = a second value.
 */
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/result.h"
#include "untrusted-hypervisor-harness/core/vcpu.h"
#include "untrusted-hypervisor-harness/core/vmx.h"
#include "untrusted-hypervisor-harness/suites/check.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

#define CODE_PAGE     ARENA(ARENA_SCRATCH)
#define DATA_PAGE     (ARENA(ARENA_SCRATCH) + PAGE_SIZE)
#define NON_CANONICAL UINT64_C(0x800000000000)

struct call {
    uint64_t rdi, rsi, rax;
};

static void do_call(void *data)
{
    struct call *c = data;
    uint64_t (*code)(uint64_t, uint64_t) = (uint64_t(*)(uint64_t, uint64_t))(uintptr_t)CODE_PAGE;

    c->rax = code(c->rdi, c->rsi);
}

/* Runs the code with RET behind it. False, and the line is printed, if it raised an exception. */
static bool call(const char *name, const char *hex, struct call *c)
{
    struct trap trap;

    copy_bytes(assemble(physical_pointer(CODE_PAGE), hex), "\xc3", 1);
    if (try_run(&trap, do_call, c))
        return true;
    RESULT(outcome_from_trap(&trap), "operand.%s", name);
    return false;
}

/* --- memory: where does VMPTRST write? --- */

struct memory_case {
    const char *name, *code;
    uint64_t rdi, rsi;
};

static const struct memory_case memory_cases[] = {
    { "base.rdi", "0f c7 3f", DATA_PAGE + 0x100, 0 },
    { "base.rax", "48 89 f8 0f c7 38", DATA_PAGE + 0x108, 0 },
    { "base.rcx", "48 89 f9 0f c7 39", DATA_PAGE + 0x110, 0 },
    { "base.rdx", "48 89 fa 0f c7 3a", DATA_PAGE + 0x118, 0 },
    { "base.rbx", "53 48 89 fb 0f c7 3b 5b", DATA_PAGE + 0x120, 0 },
    { "base.rbp", "55 48 89 fd 0f c7 7d 00 5d", DATA_PAGE + 0x128, 0 },
    { "base.rsi", "0f c7 3e", 0, DATA_PAGE + 0x130 },
    { "base.r8", "49 89 f8 41 0f c7 38", DATA_PAGE + 0x138, 0 },
    { "base.r9", "49 89 f9 41 0f c7 39", DATA_PAGE + 0x140, 0 },
    { "base.r10", "49 89 fa 41 0f c7 3a", DATA_PAGE + 0x148, 0 },
    { "base.r11", "49 89 fb 41 0f c7 3b", DATA_PAGE + 0x150, 0 },
    { "base.r12", "41 54 49 89 fc 41 0f c7 3c 24 41 5c", DATA_PAGE + 0x158, 0 },
    { "base.r13", "41 55 49 89 fd 41 0f c7 7d 00 41 5d", DATA_PAGE + 0x160, 0 },
    { "base.r14", "41 56 49 89 fe 41 0f c7 3e 41 5e", DATA_PAGE + 0x168, 0 },
    { "base.r15", "41 57 49 89 ff 41 0f c7 3f 41 5f", DATA_PAGE + 0x170, 0 },
    { "disp8", "0f c7 7f 08", DATA_PAGE + 0x180, 0 },
    { "disp8.negative", "0f c7 7f f8", DATA_PAGE + 0x198, 0 },
    { "disp32", "0f c7 bf 00 02 00 00", DATA_PAGE, 0 },
    { "disp32.negative", "0f c7 bf 00 fe ff ff", DATA_PAGE + 0x408, 0 },
    { "index.scale-1", "0f c7 3c 37", DATA_PAGE, 0x210 },
    { "index.scale-2", "0f c7 3c 77", DATA_PAGE, 0x10c },
    { "index.scale-4", "0f c7 3c b7", DATA_PAGE, 0x88 },
    { "index.scale-8.disp8", "0f c7 7c f7 28", DATA_PAGE, 0x40 },
    { "index.negative", "0f c7 3c f7", DATA_PAGE + 0x500, (uint64_t)-0x18 },
    { "index.r14", "41 56 49 89 f6 42 0f c7 3c 37 41 5e", DATA_PAGE, 0x238 },
    { "index.r12", "41 54 49 89 f4 42 0f c7 3c 27 41 5c", DATA_PAGE, 0x240 },
    { "index.rbp", "55 48 89 f5 0f c7 3c 2f 5d", DATA_PAGE, 0x248 },
    { "index.no-base", "0f c7 3c f5 00 10 40 08", 0, 0x4a },
    { "absolute", "0f c7 3c 25 58 12 40 08", 0, 0 },
    { "rip-relative", "0f c7 3d 59 12 00 00", 0, 0 },
    { "address-32", "67 0f c7 3f", (DATA_PAGE + 0x268) | BIT64(40), 0 },
    { "address-32.index", "67 0f c7 3c b7", DATA_PAGE | BIT64(33), 0x9c | BIT64(40) },
    { "address-32.wraps", "67 0f c7 bf 00 10 40 08", 0x278 | BIT64(34), 0 },
    { "fs", "64 0f c7 3f", 0x280, 0 },
    { "gs.disp8", "65 0f c7 7f 08", 0x280, 0 },
    { "cs-is-ignored", "2e 0f c7 3f", DATA_PAGE + 0x290, 0 },
    { "fs.address-32", "64 67 0f c7 3f", 0x298 | BIT64(35), 0 },
    { "rex-w", "48 0f c7 3f", DATA_PAGE + 0x2a0, 0 },
};

static void print_where(uint64_t pointer)
{
    uint64_t *word = physical_pointer(DATA_PAGE);

    for (unsigned i = 0; i < PAGE_SIZE / sizeof(*word); i++)
        if (word[i] == pointer)
            print(" +%lx", i * sizeof(*word));
    print_end_of_result();
}

static void memory_operands(uint64_t region)
{
    cpu_write_msr(MSR_FS_BASE, DATA_PAGE);
    cpu_write_msr(MSR_GS_BASE, DATA_PAGE);
    for (unsigned i = 0; i < ARRAY_COUNT(memory_cases); i++) {
        struct call c = { .rdi = memory_cases[i].rdi, .rsi = memory_cases[i].rsi };

        clear_pages(DATA_PAGE, 1);
        if (!call(memory_cases[i].name, memory_cases[i].code, &c))
            continue;
        print("operand.%s written-at", memory_cases[i].name);
        print_where(region);
    }
    cpu_write_msr(MSR_FS_BASE, 0);
    cpu_write_msr(MSR_GS_BASE, 0);
}

/* On the stack: push rax; vmptrst [rsp]; pop rax. And below it. */
static void stack_operands(uint64_t region)
{
    struct call c = { .rdi = 0 };

    if (call("base.rsp", "50 0f c7 3c 24 58", &c))
        RESULT_TEXT("operand.base.rsp %s", c.rax == region ? "written" : "elsewhere");
    c.rsi = 8;
    if (call("base.rsp.index", "50 50 0f c7 3c 34 58 58", &c))
        RESULT_TEXT("operand.base.rsp.index %s", c.rax == region ? "written" : "elsewhere");
}

/* --- faults of the stack segment --- */

/* [rbp] lies in the stack segment: #SS, not #GP, where the address is not canonical. */
static const struct memory_case stack_faults[] = {
    { "ss.vmclear", "55 48 89 fd 66 0f c7 75 00 5d", NON_CANONICAL, 0 },
    { "ss.vmptrld", "55 48 89 fd 0f c7 75 00 5d", NON_CANONICAL, 0 },
    { "ss.vmptrst", "55 48 89 fd 0f c7 7d 00 5d", NON_CANONICAL, 0 },
    { "ss.vmread", "55 48 89 fd 0f 78 75 00 5d", NON_CANONICAL, VMCS_GUEST_RIP },
    { "ss.vmwrite", "55 48 89 fd 0f 79 75 00 5d", NON_CANONICAL, VMCS_GUEST_RIP },
    { "ss.invept", "55 48 89 fd 66 0f 38 80 75 00 5d", NON_CANONICAL, 2 },
    { "ss.invvpid", "55 48 89 fd 66 0f 38 81 75 00 5d", NON_CANONICAL, 2 },
    { "ss.fs-override", "55 48 89 fd 64 0f c7 75 00 5d", NON_CANONICAL, 0 },
    { "ss.overflow", "55 48 89 fd 0f c7 75 7f 5d", NON_CANONICAL - 0x7f, 0 },
    { "ss.last-bytes", "55 48 89 fd 0f c7 75 00 5d", NON_CANONICAL - 4, 0 },
};

static void faults_of_the_stack(void)
{
    for (unsigned i = 0; i < ARRAY_COUNT(stack_faults); i++) {
        struct call c = { .rdi = stack_faults[i].rdi, .rsi = stack_faults[i].rsi };

        if (call(stack_faults[i].name, stack_faults[i].code, &c))
            RESULT_TEXT("operand.%s no fault", stack_faults[i].name);
    }
}

/* --- registers of VMREAD, VMWRITE and INVEPT --- */

enum { RAX = 0, RSI = 6, RDI = 7, REGISTERS = 16 };

static uint8_t *code_end;

static void emit(uint8_t byte)
{
    *code_end++ = byte;
}

/* An instruction with registers: prefix REX, opcode bytes, ModRM. */
static void emit_registers(bool wide, uint16_t opcode, unsigned reg, unsigned rm)
{
    emit((uint8_t)(0x40 | (wide ? 8 : 0) | (reg >> 3) << 2 | rm >> 3));
    if (opcode > 0xff)
        emit((uint8_t)(opcode >> 8));
    emit((uint8_t)opcode);
    emit((uint8_t)(0xc0 | (reg & 7) << 3 | (rm & 7)));
}

static void emit_move(unsigned to, unsigned from)
{
    emit_registers(true, 0x89, from, to);
}

enum { STORE = 0x89, LOAD = 0x8b, VMREAD = 0x0f78, VMWRITE = 0x0f79 };

/* mov [DATA_PAGE], r or back: the register under test may be RSP, so that it can't be pushed. */
static void emit_saved(uint8_t opcode, unsigned r)
{
    uint32_t address = DATA_PAGE;

    emit((uint8_t)(0x48 | (r >> 3) << 2));
    emit(opcode);
    emit((uint8_t)((r & 7) << 3 | 4));
    emit(0x25);
    copy_bytes(code_end, &address, sizeof(address));
    code_end += sizeof(address);
}

static void run_register_case(const char *name, unsigned r, uint64_t rdi, uint64_t rsi)
{
    struct call c = { .rdi = rdi, .rsi = rsi };
    struct trap trap;

    emit(0xc3);
    if (!try_run(&trap, do_call, &c))
        RESULT(outcome_from_trap(&trap), "operand.%s.r%u", name, r);
    else
        RESULT_TEXT("operand.%s.r%u rax=%lx field=%lx", name, r, c.rax, vmx_read(VMCS_GUEST_IA32_SYSENTER_ESP));
}

/* vmread r, encoding */
static void vmread_into(unsigned r)
{
    code_end = physical_pointer(CODE_PAGE);
    emit_move(RAX, RSI);
    emit_saved(STORE, r);
    emit_registers(false, VMREAD, r == RAX ? RSI : RAX, r);
    emit_move(RAX, r);
    if (r != RAX)
        emit_saved(LOAD, r);
    vmx_write(VMCS_GUEST_IA32_SYSENTER_ESP, UINT64_C(0x1122334455667788) + r);
    run_register_case("vmread.into", r, 0, VMCS_GUEST_IA32_SYSENTER_ESP);
}

/* vmread rax or rsi, r */
static void vmread_by(unsigned r)
{
    unsigned into = r == RAX ? RSI : RAX;

    code_end = physical_pointer(CODE_PAGE);
    emit_saved(STORE, r);
    emit_move(r, RSI);
    emit_registers(false, VMREAD, r, into);
    emit_move(RAX, into);
    if (r != RAX)
        emit_saved(LOAD, r);
    run_register_case("vmread.by", r, 0, VMCS_GUEST_IA32_SYSENTER_ESP);
}

/* vmwrite encoding, r */
static void vmwrite_from(unsigned r)
{
    code_end = physical_pointer(CODE_PAGE);
    emit_move(RAX, RSI);
    emit_saved(STORE, r);
    emit_move(r, RDI);
    emit_registers(false, VMWRITE, r == RAX ? RSI : RAX, r);
    emit_saved(LOAD, r);
    emit_move(RAX, RDI);
    run_register_case("vmwrite.from", r, UINT64_C(0x8877665544332211) + r, VMCS_GUEST_IA32_SYSENTER_ESP);
}

/* vmwrite r, rdi or rax */
static void vmwrite_by(unsigned r)
{
    code_end = physical_pointer(CODE_PAGE);
    emit_move(RAX, RDI);
    emit_saved(STORE, r);
    emit_move(r, RSI);
    emit_registers(false, VMWRITE, r, r == RAX ? RDI : RAX);
    emit_saved(LOAD, r);
    emit_move(RAX, RDI);
    run_register_case("vmwrite.by", r, UINT64_C(0x0102030405060708) + r, VMCS_GUEST_IA32_SYSENTER_ESP);
}

/* invept r, [rdi]; pushf; pop rax: the type in each register */
static void invept_by(unsigned r, uint64_t type)
{
    static const uint64_t descriptor[2];

    if (r == RDI)
        return;
    code_end = physical_pointer(CODE_PAGE);
    emit_saved(STORE, r);
    emit_move(r, RSI);
    emit(0x66);
    emit((uint8_t)(0x40 | (r >> 3) << 2));
    emit(0x0f);
    emit(0x38);
    emit(0x80);
    emit((uint8_t)((r & 7) << 3 | RDI));
    emit_saved(LOAD, r);
    emit(0x9c);
    emit(0x58);
    run_register_case(type == 2 ? "invept.type-2.by" : "invept.type-9.by", r, (uint64_t)(uintptr_t)descriptor, type);
}

static void every_register(void)
{
    for (unsigned r = 0; r < REGISTERS; r++) {
        vmread_into(r);
        vmread_by(r);
        vmwrite_from(r);
        vmwrite_by(r);
        if ((vmx_offer.ept_vpid & EPT_CAP_INVEPT_ALL) != 0) {
            invept_by(r, 2);
            invept_by(r, 9);
        }
    }
}

void conformance_operands(void)
{
    uint64_t region = vmx_page(VMX_PAGE_VMCS);

    vmx_enable();
    vmx_format_region(region);
    vmx_clear(region);
    vmx_load(region);
    memory_operands(region);
    stack_operands(region);
    faults_of_the_stack();
    vmx_load(region);
    every_register();
    vmx_disable();
}
