/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Launch calls that must be refused, each with its number and with nothing claimed, and a host that changes the bundle
 * between two slices of the launch. The control: the same VM launches when nothing is forged.
 */
#include "untrusted-hypervisor-harness/attacks/attack.h"

enum { CALLER = 64, CPU_LACKS = 66, HOST_MEMORY = 68 }; /* cloudvisor/bundle/bundle_errors.def */

struct forged_launch {
    void (*forge)(struct victim *vm);
    uint64_t answer;
};

/* The plain run: a decent launch, which must work; a plain VM is left. Once is enough. */
static enum attack_result control(struct victim *vm)
{
    static bool started;

    if (started)
        return ATTACK_SUCCEEDS;
    vmx_clear(vm->v.region);
    victim_build(vm, 0, PROGRAM_PAGES, true, 0);
    started = victim_start(vm) && victim_word(vm, VM_WORD_STATE) == 2;
    if (!victim_end(vm))
        return ATTACK_BROKEN;
    victim_build(vm, 0, PROGRAM_PAGES, false, 0);
    return started ? ATTACK_SUCCEEDS : ATTACK_BROKEN;
}

static enum attack_result refused(struct victim *vm)
{
    const struct forged_launch *f = attack_now->argument;
    uint32_t code;

    if (!vm->protected)
        return control(vm);
    f->forge(vm);
    code = victim_run(vm);
    if (code == REPORT_READY)
        return ATTACK_SUCCEEDS;
    if (code != RUN_LAUNCH_ERROR || vm->launch_answer != f->answer || vm->id != 0) {
        note("report %x, answer %lu, VM %lu", code, vm->launch_answer, vm->id);
        return ATTACK_BROKEN;
    }
    return victim_page(vm, GA_PROGRAM)[0] != 0 ? ATTACK_REFUSED : ATTACK_BROKEN;
}

#define FORGE(name, statement)                                                                                         \
    static void forge_##name(struct victim *vm)                                                                        \
    {                                                                                                                  \
        struct bundle_descriptor *d = vm->descriptor;                                                                  \
                                                                                                                       \
        statement;                                                                                                     \
    }

FORGE(magic, d->magic++)
FORGE(version, d->version++)
FORGE(size, d->size--)
FORGE(place, d->gpa += PAGE_SIZE)
FORGE(flags, d->flags = 8)
FORGE(machine, d->machine = 4)
FORGE(no_vcpus, d->vcpu_count = 0)
FORGE(vcpus, d->vcpu_count = BUNDLE_VCPU_MAX + 1)
FORGE(ranges, d->range_count = BUNDLE_RANGE_MAX + 1)
FORGE(ram_count, d->ram_count = UINT32_MAX)
FORGE(reserved, d->reserved[3] = 1)
FORGE(padding, d->padding[sizeof(d->padding) - 1] = 1)
FORGE(ram, d->ram[0].page_count = BUNDLE_GPA_LIMIT)
FORGE(ram_wraps, d->ram[0].page_count = UINT64_MAX / PAGE_SIZE)
FORGE(kind, d->ranges[1].kind = 4)
FORGE(order, d->ranges[1].gpa = GA_GDT)
FORGE(outside, d->ranges[2].gpa = GA_RAM_SIZE)
FORGE(range_wraps, d->ranges[2].page_count = UINT32_MAX)
FORGE(unmeasured, d->ranges[0].kind = BUNDLE_INPUT)
FORGE(entry, d->entry_rip = GA_SECRET)
FORGE(tables, d->cr3 = GA_SECRET)
FORGE(gdt, d->gdt_limit = 0xffff)
FORGE(window, d->exit_window_gpa = GA_PROGRAM)
FORGE(window_end, d->exit_window_gpa = GA_RAM_SIZE - PAGE_SIZE)
FORGE(ap_page, d->ap_start_gpa = GA_RAM_SIZE)
FORGE(ap_page_measured, d->ap_start_gpa = GA_PROGRAM)
FORGE(mmio_in_ram, d->mmio[0].gpa = GA_SECRET)
FORGE(mmio_apic, d->mmio[0].gpa = 0xfee00000)
FORGE(ports, d->ports[0].last = PORT_REPORT - 1)
FORGE(vectors, d->vectors[0] |= 1u << 14)
FORGE(feature, (d->cpu_feature_count = 1, d->cpu_features[0] = (struct bundle_cpu_feature){ 1, 0, 4, 1 }))
FORGE(lacking, (d->cpu_feature_count = 1, d->cpu_features[0] = (struct bundle_cpu_feature){ 1, 0, 2, 1u << 5 }))

/* The launch code's operands: mov ebx, imm32 at 5, mov ecx, imm32 at 10. */
static void set_operand(const struct victim *vm, unsigned at, uint32_t value)
{
    copy_bytes((uint8_t *)victim_page(vm, GA_COMMON) + COMMON_LAUNCH + at + 1, &value, sizeof(value));
}

static void forge_operand_size(struct victim *vm)
{
    set_operand(vm, 10, 4095);
}

static void forge_unaligned(struct victim *vm)
{
    set_operand(vm, 5, GA_DESCRIPTOR + 8);
}

static void forge_unmapped(struct victim *vm)
{
    set_operand(vm, 5, GA_MMIO);
}

/* Ring 3, with a page table that lets it run and a privilege level that lets it report. */
static void forge_ring_3(struct victim *vm)
{
    victim_page(vm, GA_PML4)[0] |= 4;
    victim_page(vm, GA_PDPT)[0] |= 4;
    victim_page(vm, GA_PD)[0] |= 4;
    vcpu_set_base(&vm->v, FIELD_GUEST_CS_SELECTOR, 0x13);
    vcpu_set_base(&vm->v, FIELD_GUEST_CS_ACCESS_RIGHTS, 0xa0fb);
    vcpu_set_base(&vm->v, FIELD_GUEST_SS_SELECTOR, 0x1b);
    vcpu_set_base(&vm->v, FIELD_GUEST_SS_ACCESS_RIGHTS, 0xc0f3);
    vcpu_set_base(&vm->v, FIELD_GUEST_RFLAGS, 0x3002);
}

static void forge_32_bit(struct victim *vm)
{
    vcpu_set_base(&vm->v, FIELD_GUEST_CS_ACCESS_RIGHTS, 0xc09b);
}

/* ---- Between slices: a page is missing, so that the host gets the CPU in the middle ---- */

struct change {
    uint64_t missing, changed;
};

static bool change_now(struct victim *vm, uint64_t gpa)
{
    const struct change *c = attack_now->argument;

    if (gpa == c->missing && vm->note[0]++ == 0)
        victim_page(vm, c->changed)[20] ^= 1;
    return victim_bring(vm, gpa);
}

static enum attack_result changed(struct victim *vm)
{
    const struct change *c = attack_now->argument;
    uint32_t code;

    if (!vm->protected)
        return control(vm);
    vm->bring = change_now;
    victim_map(vm, c->missing, 0, 0);
    ept_invalidate();
    code = victim_run(vm);
    if (vm->note[0] == 0)
        return ATTACK_BROKEN;
    return code == REPORT_READY ? ATTACK_SUCCEEDS : attack_outcome(vm, code);
}

/* The guest that runs makes the call again. A plain guest becomes a protected one by it. */
static enum attack_result again(struct victim *vm)
{
    uint32_t code;

    if (!victim_start(vm))
        return ATTACK_BROKEN;
    code = victim_run(vm);
    if (!vm->protected) {
        vm->protected = true;
        return code == REPORT_READY ? ATTACK_SUCCEEDS : ATTACK_BROKEN;
    }
    return attack_outcome(vm, code);
}

#define REFUSED(label, function, number)                                                                               \
    {                                                                                                                  \
        .name = "launch." label, .run = refused, .program = PROGRAM_PAGES, .expected = ATTACK_REFUSED,                 \
        .argument = &(const struct forged_launch)                                                                      \
        {                                                                                                              \
            .forge = forge_##function, .answer = (number)                                                              \
        }                                                                                                              \
    }
#define CHANGED(label, page_missing, page_changed, why)                                                                \
    {                                                                                                                  \
        .name = "launch." label, .run = changed, .program = PROGRAM_PAGES, .expected = ATTACK_STOPPED,                 \
        .stop = STOP_##why, .argument = &(const struct change)                                                         \
        {                                                                                                              \
            .missing = (page_missing), .changed = (page_changed)                                                       \
        }                                                                                                              \
    }

static const struct attack attacks[] = {
    REFUSED("size", size, 1),
    REFUSED("operand-size", operand_size, 1),
    REFUSED("place", place, 2),
    REFUSED("magic", magic, 3),
    REFUSED("version", version, 4),
    REFUSED("flags", flags, 5),
    REFUSED("machine", machine, 6),
    REFUSED("no-vcpus", no_vcpus, 7),
    REFUSED("too-many-vcpus", vcpus, 7),
    REFUSED("too-many-ranges", ranges, 7),
    REFUSED("too-much-ram", ram_count, 7),
    REFUSED("reserved", reserved, 8),
    REFUSED("padding", padding, 8),
    REFUSED("ram-too-high", ram, 9),
    REFUSED("ram-wraps", ram_wraps, 9),
    REFUSED("range-kind", kind, 10),
    REFUSED("range-order", order, 11),
    REFUSED("range-wraps", range_wraps, 11),
    REFUSED("range-outside", outside, 12),
    REFUSED("descriptor-unmeasured", unmeasured, 13),
    REFUSED("entry-unmeasured", entry, 14),
    REFUSED("tables-unmeasured", tables, 14),
    REFUSED("gdt-too-long", gdt, 14),
    REFUSED("window-measured", window, 15),
    REFUSED("window-beyond-ram", window_end, 15),
    REFUSED("ap-page-too-high", ap_page, 16),
    REFUSED("ap-page-measured", ap_page_measured, 16),
    REFUSED("mmio-in-ram", mmio_in_ram, 17),
    REFUSED("mmio-at-apic", mmio_apic, 17),
    REFUSED("ports", ports, 18),
    REFUSED("vectors", vectors, 19),
    REFUSED("feature-malformed", feature, 20),
    REFUSED("feature-lacking", lacking, CPU_LACKS),
    REFUSED("from-ring-3", ring_3, CALLER),
    REFUSED("from-32-bit-code", 32_bit, CALLER),
    REFUSED("unaligned", unaligned, HOST_MEMORY),
    REFUSED("unmapped", unmapped, HOST_MEMORY),
    CHANGED("descriptor-changed", GA_GDT, GA_DESCRIPTOR, LAUNCH_CHANGED),
    CHANGED("claimed-page-changed", GA_PROGRAM, GA_PARAMETERS, FORGED_PAGE),
    { .name = "launch.again", .run = again, .program = PROGRAM_AGAIN, .expected = ATTACK_NOTHING },
};

void attacks_launch(void)
{
    attack_run_all(attacks, ARRAY_COUNT(attacks));
}
