/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Family root: VMX instructions at the wrong privilege level and in the wrong mode, CR0, CR4 and EFER in VMX operation,
 * VMCALL in root mode, and what CPUID says.
 */
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/result.h"
#include "untrusted-hypervisor-harness/core/vcpu.h"
#include "untrusted-hypervisor-harness/core/vmx.h"
#include "untrusted-hypervisor-harness/suites/check.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

void run_in_user(uint64_t code, uint64_t stack_top, uint64_t rax);
void run_in_compatibility_mode(uint64_t code);

/* Memory operands are [rax]. */
static const struct instruction {
    const char *name, *code;
} instructions[] = {
    { "vmxon", "f3 0f c7 30" },     { "vmxoff", "0f 01 c4" },        { "vmclear", "66 0f c7 30" },
    { "vmptrld", "0f c7 30" },      { "vmptrst", "0f c7 38" },       { "vmread", "0f 78 c3" },
    { "vmwrite", "0f 79 c3" },      { "vmlaunch", "0f 01 c2" },      { "vmresume", "0f 01 c3" },
    { "invept", "66 0f 38 80 00" }, { "invvpid", "66 0f 38 81 00" }, { "vmcall", "0f 01 c1" },
};

struct jump {
    uint64_t code, rax;
    bool user;
};

static void do_jump(void *data)
{
    const struct jump *j = data;

    if (j->user)
        run_in_user(j->code, WINDOW(WINDOW_USER_STACK) + PAGE_SIZE, j->rax);
    else
        run_in_compatibility_mode(j->code);
}

/* UD2 follows, should the instruction succeed. */
static void put_code(uint64_t address, const char *hex)
{
    copy_bytes(assemble(physical_pointer(address), hex), "\x0f\x0b", 2);
}

/* One instruction in user mode, or in compatibility mode at ring 0. */
static void elsewhere(const struct instruction *i, const char *when, bool user, uint64_t operand)
{
    struct jump jump = { .user = user, .rax = operand };
    struct trap trap;

    if (user) {
        put_code(window_physical(WINDOW_USER), i->code);
        jump.code = WINDOW(WINDOW_USER);
    } else {
        put_code(ARENA(ARENA_SCRATCH), i->code);
        jump.code = ARENA(ARENA_SCRATCH);
    }
    if (!try_run(&trap, do_jump, &jump))
        RESULT(outcome_from_trap(&trap), "root.%s.%s.%s", user ? "user" : "compatibility", when, i->name);
}

static void every_instruction_elsewhere(const char *when)
{
    for (unsigned i = 0; i < ARRAY_COUNT(instructions); i++) {
        elsewhere(&instructions[i], when, true, WINDOW(WINDOW_USER_STACK));
        elsewhere(&instructions[i], when, false, 0);
    }
}

enum written_register { WRITE_CR0, WRITE_CR4, WRITE_EFER };

struct register_write {
    enum written_register which;
    uint64_t value;
};

static void do_register_write(void *data)
{
    const struct register_write *w = data;

    switch (w->which) {
    case WRITE_CR0: cpu_write_cr0(w->value); break;
    case WRITE_CR4: cpu_write_cr4(w->value); break;
    case WRITE_EFER: cpu_write_msr(MSR_EFER, w->value); break;
    }
}

static void write_register(const char *when, const char *name, enum written_register which, uint64_t value)
{
    struct register_write w = { which, value };
    struct trap trap;

    if (!try_run(&trap, do_register_write, &w)) {
        RESULT(outcome_from_trap(&trap), "root.%s.%s", when, name);
        return;
    }
    RESULT_TEXT("root.%s.%s ok cr0=%lx cr4=%lx efer=%lx", when, name, cpu_read_cr0(), cpu_read_cr4(),
                cpu_read_msr(MSR_EFER));
}

static void control_registers(const char *when, bool vmxe)
{
    uint64_t cr4 = MACHINE_CR4 | (vmxe ? CR4_VMXE : 0);

    write_register(when, "cr0.same", WRITE_CR0, MACHINE_CR0);
    write_register(when, "cr0.ne-clear", WRITE_CR0, MACHINE_CR0 & ~CR0_NE);
    write_register(when, "cr0.wp-clear", WRITE_CR0, MACHINE_CR0 & ~CR0_WP);
    write_register(when, "cr0.pg-clear", WRITE_CR0, MACHINE_CR0 & ~CR0_PG);
    write_register(when, "cr0.nw", WRITE_CR0, MACHINE_CR0 | CR0_NW);
    write_register(when, "cr0.bit-32", WRITE_CR0, MACHINE_CR0 | BIT64(32));
    write_register(when, "cr0.ts", WRITE_CR0, MACHINE_CR0 | CR0_TS);
    write_register(when, "cr0.back", WRITE_CR0, MACHINE_CR0);
    write_register(when, "cr4.same", WRITE_CR4, cr4);
    write_register(when, "cr4.pge", WRITE_CR4, cr4 | CR4_PGE);
    write_register(when, "cr4.pae-clear", WRITE_CR4, cr4 & ~CR4_PAE);
    write_register(when, "cr4.bit-31", WRITE_CR4, cr4 | BIT64(31));
    write_register(when, "cr4.smxe", WRITE_CR4, cr4 | CR4_SMXE);
    write_register(when, "cr4.back", WRITE_CR4, cr4);
    write_register(when, "efer.same", WRITE_EFER, MACHINE_EFER);
    write_register(when, "efer.no-sce", WRITE_EFER, MACHINE_EFER & ~EFER_SCE);
    write_register(when, "efer.lme-clear", WRITE_EFER, MACHINE_EFER & ~EFER_LME);
    write_register(when, "efer.back", WRITE_EFER, MACHINE_EFER);
}

/*
 * VMCALL in root mode needs a launched VMCS here: with a clear one Bochs 2.7 stops, since it takes the instruction
 * for the activation of the dual-monitor treatment, which it does not implement.
 */
static void vmcall_in_root(void)
{
    static struct vcpu vcpu;

    RESULT(try_vmcall(0), "root.vmcall.no-vmcs");
    vcpu_init(&vcpu, vmx_page(VMX_PAGE_VMCS), MODE_LONG, MEMORY_DIRECT);
    vcpu_run(&vcpu);
    RESULT(try_vmcall(0), "root.vmcall.launched");
    RESULT(try_vmlaunch(), "root.vmlaunch.launched");
    vmx_clear(vcpu.region);
    vmx_load(vcpu.region);
    RESULT(try_vmresume(), "root.vmresume.after-vmclear");
    vmx_unload();
}

/*
 * Feature words. Left out is what the layer hides on purpose: safer-mode extensions, the debug store, processor trace.
 */
static void cpuid_features(void)
{
    static const struct {
        uint32_t leaf;
        struct cpuid_result compared; /* bits */
    } leaves[] = {
        { 1, { UINT32_MAX, 0, ~(BIT32(2) | BIT32(4) | BIT32(6)), ~BIT32(21) } },
        { 7, { 0, ~BIT32(25), UINT32_MAX, UINT32_MAX } },
        { 0x80000001, { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX } },
        { 0x80000008, { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX } },
    };

    for (unsigned i = 0; i < ARRAY_COUNT(leaves); i++) {
        struct cpuid_result r = cpu_cpuid(leaves[i].leaf, 0), bits = leaves[i].compared;

        RESULT_TEXT("root.cpuid.%x %x %x %x %x", leaves[i].leaf, r.eax & bits.eax, r.ebx & bits.ebx, r.ecx & bits.ecx,
                    r.edx & bits.edx);
    }
}

void conformance_root(void)
{
    cpuid_features();
    every_instruction_elsewhere("without-vmxe");
    RESULT(try_vmcall(0), "root.vmcall.without-vmxe");
    control_registers("outside", false);
    cpu_write_cr4(MACHINE_CR4 | CR4_VMXE);
    every_instruction_elsewhere("with-vmxe");
    RESULT(try_vmcall(0), "root.vmcall.with-vmxe");
    control_registers("vmxe", true);
    write_register("vmxe", "cr4.vmxe-clear", WRITE_CR4, MACHINE_CR4);
    vmx_enable();
    every_instruction_elsewhere("in-root");
    control_registers("in-root", true);
    write_register("in-root", "cr4.vmxe-clear", WRITE_CR4, MACHINE_CR4);
    vmcall_in_root();
    vmx_disable();
}
