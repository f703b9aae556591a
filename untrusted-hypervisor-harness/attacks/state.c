/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest has secrets in every register that there is. After each kind of exit that the host sees, the host looks at
 * all that it can read, and changes all that it can write: no secret shows, and nothing of it reaches the guest.
 */
#include "untrusted-hypervisor-harness/attacks/attack.h"

enum { TABLE_FIRST = 0x800, TABLE_MSR = 0x60, DR7_SECRET = 0xf0400, DR6_SECRET = 1, ROUNDS = 2 };

static const struct {
    uint32_t msr;
    uint8_t index; /* in the guest's table */
} msrs[] = { { MSR_STAR, 0 },         { MSR_LSTAR, 1 },       { MSR_CSTAR, 2 },     { MSR_FMASK, 3 },
             { MSR_FS_BASE, 4 },      { MSR_GS_BASE, 5 },     { MSR_KERNEL_GS, 6 }, { MSR_TSC_AUX, 7 },
             { MSR_SYSENTER_ESP, 8 }, { MSR_SYSENTER_EIP, 9 } };

struct debug_registers {
    uint64_t dr[4], dr6;
};

static struct debug_registers read_debug_registers(void)
{
    struct debug_registers d;

    __asm__ volatile("mov %%dr0, %0" : "=r"(d.dr[0]));
    __asm__ volatile("mov %%dr1, %0" : "=r"(d.dr[1]));
    __asm__ volatile("mov %%dr2, %0" : "=r"(d.dr[2]));
    __asm__ volatile("mov %%dr3, %0" : "=r"(d.dr[3]));
    __asm__ volatile("mov %%dr6, %0" : "=r"(d.dr6));
    return d;
}

#define FOR_EACH_YMM(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14) f(15)
#define STORE_YMM(n)    "vmovdqu %%ymm" #n ", 32*" #n "(%0)\n\t"
#define LOAD_YMM(n)     "vmovdqu (%0), %%ymm" #n "\n\t"

static void read_vectors(uint64_t to[64])
{
    __asm__ volatile(FOR_EACH_YMM(STORE_YMM) : : "r"(to) : "memory");
}

static void write_vectors(const uint64_t from[4])
{
    __asm__ volatile(FOR_EACH_YMM(LOAD_YMM) : : "r"(from) : "memory");
}

/* ---- Looking ---- */

static void shows(struct victim *vm, uint32_t reason, const char *where, uint64_t number, uint64_t value)
{
    if (vm->protected && vm->note[0]++ < 8)
        note("exit %u shows %lx in %s %lx", reason, value, where, number);
    else
        vm->note[0]++;
}

static void look(struct victim *vm, uint32_t reason, const char *where, uint64_t number, uint64_t value)
{
    if (victim_is_secret(vm, value))
        shows(vm, reason, where, number, value);
}

static void look_at_fields(struct victim *vm, uint32_t reason)
{
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++)
        if (vcpu_has(i))
            look(vm, reason, vmcs_field_names[i], 0, vcpu_get(i));
    if ((vcpu_get(FIELD_GUEST_RFLAGS) & RFLAGS_ARITHMETIC) != 0)
        shows(vm, reason, "RFLAGS", 0, vcpu_get(FIELD_GUEST_RFLAGS));
    if (vcpu_get(FIELD_GUEST_DR7) == DR7_SECRET)
        shows(vm, reason, "DR7", 0, DR7_SECRET);
}

static void look_at_processor(struct victim *vm, uint32_t reason)
{
    struct debug_registers d = read_debug_registers();
    uint64_t vectors[64];

    for (unsigned i = 0; i < 4; i++)
        look(vm, reason, "DR", i, d.dr[i]);
    if ((d.dr6 & DR6_SECRET) != 0)
        shows(vm, reason, "DR6", 0, d.dr6);
    look(vm, reason, "CR2", 0, cpu_read_cr2());
    for (unsigned i = 0; i < ARRAY_COUNT(msrs); i++) {
        uint64_t value = cpu_read_msr(msrs[i].msr), secret = vm->secret + TABLE_FIRST + TABLE_MSR + msrs[i].index;

        if (value == secret || value == (uint32_t)secret)
            shows(vm, reason, "MSR", msrs[i].msr, value);
    }
    read_vectors(vectors);
    for (unsigned i = 0; i < 64; i++)
        look(vm, reason, "YMM word", i, vectors[i]);
}

static bool look_at_everything(struct victim *vm, uint32_t reason)
{
    for (unsigned i = 0; i < REG_COUNT; i++)
        look(vm, reason, "register", i, vm->v.reg[i]);
    look_at_fields(vm, reason);
    look_at_processor(vm, reason);
    vm->note[1] |= UINT64_C(1) << (reason & 63);
    return true;
}

#define SEEN(reason) (UINT64_C(1) << EXIT_##reason)

/* Every kind of exit must have been there. */
static enum attack_result exposed(struct victim *vm)
{
    static const uint64_t all = SEEN(HLT) | SEEN(IO) | SEEN(RDMSR) | SEEN(WRMSR) | SEEN(PAUSE) | SEEN(PREEMPTION_TIMER);
    uint64_t expected = all | (vm->protected ? SEEN(EPT_VIOLATION) : SEEN(CPUID));

    victim_map(vm, GA_FRESH, 0, 0);
    victim_map(vm, GA_FRESH + PAGE_SIZE, 0, 0);
    ept_invalidate();
    __asm__ volatile("mov %0, %%dr6" : : "r"(UINT64_C(0xffff0ff0)));
    vm->before_answer = look_at_everything;
    if (!victim_start(vm))
        return ATTACK_BROKEN;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t code = victim_run(vm);

        if (code != REPORT_OK) {
            note("report %x after exit %u", code, vm->last_exit);
            return attack_outcome(vm, code);
        }
    }
    if ((vm->note[1] & expected) != expected) {
        note("exits seen: %lx of %lx", vm->note[1], expected);
        return ATTACK_BROKEN;
    }
    return vm->note[0] != 0 ? ATTACK_SUCCEEDS : ATTACK_NOTHING;
}

/* ---- Changing ---- */

/* The registers that the answer to the exit stands in. */
static unsigned answered(uint32_t reason)
{
    uint64_t qualification = vcpu_get(FIELD_EXIT_QUALIFICATION);

    if (reason == EXIT_RDMSR)
        return 1u << REG_RAX | 1u << REG_RDX;
    if (reason == EXIT_IO)
        return (qualification & 8) != 0 ? 1u << REG_RAX : 0;
    return reason == EXIT_EPT_VIOLATION && (qualification & 2) == 0 ? 1u << REG_RAX : 0;
}

static bool change_registers(struct victim *vm, uint32_t reason)
{
    unsigned keep = answered(reason);

    for (unsigned i = 0; i < REG_COUNT; i++)
        if ((keep >> i & 1) == 0)
            vm->v.reg[i] = UINT64_C(0x1111111111111111) * (i + 1);
    return true;
}

/* Answers of one byte may hold anything above it. */
static bool change_upper_bytes(struct victim *vm, uint32_t reason)
{
    uint64_t qualification = vcpu_get(FIELD_EXIT_QUALIFICATION);

    if (reason == EXIT_IO && (qualification & 15) == 8)
        vm->v.reg[REG_RAX] ^= UINT64_C(0x1111111111111100);
    if (reason == EXIT_IO && (qualification & 15) == 11)
        vm->v.reg[REG_RAX] ^= UINT64_C(0x1111111100000000);
    if (reason == EXIT_RDMSR)
        vm->v.reg[REG_RDX] ^= UINT64_C(0x1111111100000000);
    return vm->protected || change_registers(vm, reason);
}

static bool change_processor(struct victim *vm, uint32_t reason)
{
    static const uint64_t junk[4] = { 0x1111, 0x2222, 0x3333, 0x4444 };

    (void)vm, (void)reason;
    __asm__ volatile("mov %0, %%dr0; mov %0, %%dr1; mov %0, %%dr2; mov %0, %%dr3" : : "r"(UINT64_C(0x5555)));
    __asm__ volatile("mov %0, %%dr6" : : "r"(UINT64_C(0xffff0ff0)));
    cpu_write_cr2(0x6666);
    for (unsigned i = 0; i < ARRAY_COUNT(msrs); i++)
        cpu_write_msr(msrs[i].msr, 0x7777);
    __asm__ volatile("xsetbv" : : "a"(7), "d"(0), "c"(0));
    write_vectors(junk);
    __asm__ volatile("xsetbv" : : "a"(3), "d"(0), "c"(0));
    return true;
}

/* One round with `change` at every exit; a guest that starts anew was led astray. */
static enum attack_result round_with(struct victim *vm, bool (*change)(struct victim *, uint32_t))
{
    uint32_t code;

    vm->after_answer = change;
    code = victim_run(vm);
    vm->after_answer = NULL;
    if (code == REPORT_OK) /* what was changed last counts, too */
        code = victim_run(vm);
    return code == REPORT_READY ? ATTACK_SUCCEEDS : attack_outcome(vm, code);
}

static enum attack_result registers(struct victim *vm)
{
    return victim_start(vm) ? round_with(vm, change_registers) : ATTACK_BROKEN;
}

static enum attack_result upper_bytes(struct victim *vm)
{
    return victim_start(vm) ? round_with(vm, change_upper_bytes) : ATTACK_BROKEN;
}

static enum attack_result processor(struct victim *vm)
{
    enum attack_result result = victim_start(vm) ? round_with(vm, change_processor) : ATTACK_BROKEN;

    __asm__ volatile("xsetbv" : : "a"(7), "d"(0), "c"(0));
    return result;
}

/* ---- Each field of the guest's state, one at a time, at every exit ---- */

static bool change_field(struct victim *vm, uint32_t reason)
{
    (void)reason;
    vmx_write(vmcs_fields[vm->note[0]].encoding, vcpu_get((enum vmcs_index)vm->note[0]) ^ 0x11);
    return true;
}

/* RIP is the only field that an answer is in; no plain guest stands a change of it or of the others in the list. */
static enum attack_result one_field(struct victim *vm, unsigned field)
{
    uint64_t before = vcpu_get(field);
    enum attack_result result;

    vm->note[0] = field;
    result = round_with(vm, change_field);
    if (result == ATTACK_NOTHING) {
        vmx_write(vmcs_fields[field].encoding, before);
        return result;
    }
    if (vm->protected && (field != FIELD_GUEST_RIP || victim_stop_reason(vm) != STOP_BAD_ANSWER))
        note("with %s changed: %s", vmcs_field_names[field], stop_names[victim_stop_reason(vm)]);
    if (!victim_end(vm))
        return ATTACK_SUCCEEDS;
    victim_build(vm, 0, PROGRAM_STATE, vm->protected, 0);
    return victim_start(vm) ? result : ATTACK_BROKEN;
}

static enum attack_result fields(struct victim *vm)
{
    enum { HARMFUL = 10 };
    unsigned count[ATTACK_BROKEN + 1] = { 0 };

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    for (unsigned i = 0; i < VMCS_FIELD_COUNT; i++) {
        uint8_t home = vmcs_fields[i].home;

        if (vcpu_has(i) && (home == HOME_GUEST || home == HOME_SWITCHED))
            count[one_field(vm, i)]++;
    }
    if (count[ATTACK_BROKEN] != 0)
        return ATTACK_BROKEN;
    if (!vm->protected)
        return count[ATTACK_SUCCEEDS] >= HARMFUL ? ATTACK_SUCCEEDS : ATTACK_NOTHING;
    return count[ATTACK_SUCCEEDS] != 0 || count[ATTACK_STOPPED] != 1 ? ATTACK_SUCCEEDS : ATTACK_NOTHING;
}

#define NOTHING(label, function)                                                                                       \
    {                                                                                                                  \
        .name = (label), .run = (function), .program = PROGRAM_STATE, .expected = ATTACK_NOTHING                       \
    }

static const struct attack attacks[] = {
    NOTHING("state.seen", exposed),
    NOTHING("state.registers-changed", registers),
    NOTHING("state.answers-too-wide", upper_bytes),
    NOTHING("state.processor-changed", processor),
    NOTHING("state.fields-changed", fields),
};

void attacks_state(void)
{
    attack_run_all(attacks, ARRAY_COUNT(attacks));
}
