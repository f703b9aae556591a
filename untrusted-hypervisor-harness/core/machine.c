/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Builds and enters the harness's world, and handles its exceptions. See machine.h and traps.h.
 */
#include "untrusted-hypervisor-harness/core/machine.h"
#include <stddef.h>
#include "untrusted-hypervisor-harness/core/console.h"

enum {
    PTE_PRESENT = 1,
    PTE_WRITE = 2,
    PTE_USER = 4,
    PTE_LARGE = 0x80,
    PIC_MASTER_MASK = 0x21,
    PIC_SLAVE_MASK = 0xa1,
    GDT_ENTRIES = 16,
    IDT_ENTRIES = 256,
    FIRST_EXTERNAL_VECTOR = 0x20,
    APIC_EOI = 0xfee000b0,
};

/* Pages of ARENA_PAGE_TABLES. */
enum {
    TABLE_PML4,
    TABLE_PDPT,
    TABLE_PD_FIRST,
    TABLE_WINDOW_PDPT = 6,
    TABLE_WINDOW_PD,
    TABLE_WINDOW_PT,
    TABLE_IDT,
    TABLE_WINDOW_MEMORY = 16
};

struct idt_entry {
    uint16_t offset_low;
    uint16_t selector;
    uint16_t flags;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};
_Static_assert(sizeof(struct idt_entry) == 16, "the architectural gate");

struct trap_frame {
    uint64_t registers[15];
    uint64_t vector, error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

bool try_begin(struct cpu *cpu, void (*body)(void *), void *argument);
void run_on_stack(uint64_t stack_top, void (*body)(void *), void *argument);
uint64_t trap_entry(const struct trap_frame *frame, struct cpu *cpu);

void copy_bytes(void *to, const void *from, uint64_t size)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

void fill_bytes(void *to, uint8_t value, uint64_t size)
{
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
}

/* The compiler may call these for structures. */
void *memcpy(void *to, const void *from, size_t size)
{
    copy_bytes(to, from, size);
    return to;
}

void *memset(void *to, int value, size_t size)
{
    fill_bytes(to, (uint8_t)value, size);
    return to;
}

void clear_pages(uint64_t address, unsigned count)
{
    uint64_t words = count * (PAGE_SIZE / 8);

    __asm__ volatile("rep stosq" : "+D"(address), "+c"(words) : "a"(0) : "memory");
}

static uint64_t *table(unsigned index)
{
    return physical_pointer(arena_page(ARENA_PAGE_TABLES, index));
}

static uint64_t table_entry(unsigned index, uint64_t flags)
{
    return arena_page(ARENA_PAGE_TABLES, index) | flags;
}

uint64_t window_physical(enum window_page page)
{
    return arena_page(ARENA_PAGE_TABLES, TABLE_WINDOW_MEMORY + page);
}

static void build_window(void)
{
    static const uint8_t rights[WINDOW_PAGE_COUNT] = {
        [WINDOW_WRITABLE] = PTE_PRESENT | PTE_WRITE,        [WINDOW_READ_ONLY] = PTE_PRESENT,
        [WINDOW_USER] = PTE_PRESENT | PTE_WRITE | PTE_USER, [WINDOW_USER_STACK] = PTE_PRESENT | PTE_WRITE | PTE_USER,
        [WINDOW_LAST_PRESENT] = PTE_PRESENT | PTE_WRITE,    [WINDOW_MISSING] = 0,
    };

    table(TABLE_PML4)[1] = table_entry(TABLE_WINDOW_PDPT, PTE_PRESENT | PTE_WRITE | PTE_USER);
    table(TABLE_WINDOW_PDPT)[0] = table_entry(TABLE_WINDOW_PD, PTE_PRESENT | PTE_WRITE | PTE_USER);
    table(TABLE_WINDOW_PD)[0] = table_entry(TABLE_WINDOW_PT, PTE_PRESENT | PTE_WRITE | PTE_USER);
    for (unsigned page = 0; page < WINDOW_PAGE_COUNT; page++)
        table(TABLE_WINDOW_PT)[page] = window_physical(page) | rights[page];
}

static void build_page_tables(void)
{
    clear_pages(ARENA(ARENA_PAGE_TABLES), TABLE_WINDOW_MEMORY + WINDOW_PAGE_COUNT);
    table(TABLE_PML4)[0] = table_entry(TABLE_PDPT, PTE_PRESENT | PTE_WRITE);
    for (unsigned gib = 0; gib < 4; gib++) {
        table(TABLE_PDPT)[gib] = table_entry(TABLE_PD_FIRST + gib, PTE_PRESENT | PTE_WRITE);
        for (unsigned i = 0; i < 512; i++)
            table(TABLE_PD_FIRST + gib)[i] = (gib * HUGE_PAGE_SIZE + i * LARGE_PAGE_SIZE) | PTE_PRESENT | PTE_WRITE |
                                             PTE_LARGE;
    }
    build_window();
}

static void build_idt(void)
{
    struct idt_entry *idt = physical_pointer(arena_page(ARENA_PAGE_TABLES, TABLE_IDT));

    for (unsigned i = 0; i < IDT_ENTRIES; i++) {
        uint64_t stub = (uint64_t)(uintptr_t)trap_stubs + i * TRAP_STUB_SIZE;

        idt[i] = (struct idt_entry){ .offset_low = (uint16_t)stub,
                                     .selector = SELECTOR_CODE64,
                                     .flags = 0x8e01, /* present, DPL 0, interrupt gate, IST1 */
                                     .offset_middle = (uint16_t)(stub >> 16),
                                     .offset_high = (uint32_t)(stub >> 32) };
    }
}

/* Base bits of a descriptor, SDM "Segment Descriptors". */
static uint64_t descriptor_base(uint64_t base)
{
    return (base & 0xffffff) << 16 | (base & 0xff000000) << 32;
}

static void build_cpu(unsigned index)
{
    struct cpu *cpu = physical_pointer(cpu_block(index));
    uint64_t tss = (uint64_t)(uintptr_t)&cpu->tss;

    fill_bytes(cpu, 0, CPU_BLOCK_SIZE);
    cpu->index = index;
    cpu->gdt[SELECTOR_CODE64 / 8] = cpu->gdt[SELECTOR_CODE64_ALT / 8] = UINT64_C(0x00af9b000000ffff);
    cpu->gdt[SELECTOR_DATA / 8] = cpu->gdt[SELECTOR_DATA_ALT / 8] = UINT64_C(0x00cf93000000ffff);
    cpu->gdt[SELECTOR_CODE32 / 8] = UINT64_C(0x00cf9b000000ffff);
    cpu->gdt[SELECTOR_USER_DATA / 8] = UINT64_C(0x00cff3000000ffff);
    cpu->gdt[SELECTOR_USER_CODE / 8] = UINT64_C(0x00affb000000ffff);
    cpu->gdt[SELECTOR_TSS / 8] = UINT64_C(0x0000890000000067) | descriptor_base(tss);
    cpu->gdt[SELECTOR_TSS / 8 + 1] = tss >> 32;
    cpu->tss.rsp[0] = cpu->tss.ist[0] = cpu_block(index) + CPU_TRAP_STACK_TOP;
    cpu->tss.io_map_base = sizeof(struct tss);
}

void machine_build(void)
{
    build_page_tables();
    build_idt();
    for (unsigned index = 0; index < CPU_COUNT_MAX; index++)
        build_cpu(index);
}

static void load_segments(uint16_t code, uint16_t data)
{
    __asm__ volatile("pushq %q0\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\n\t"
                     "movl %1, %%ds\n\t"
                     "movl %1, %%es\n\t"
                     "movl %1, %%ss\n\t"
                     "movl %2, %%fs\n\t"
                     "movl %2, %%gs\n\t"
                     :
                     : "r"((uint64_t)code), "r"((uint32_t)data), "r"(0)
                     : "rax", "memory");
}

static void load_task_register(struct cpu *cpu)
{
    cpu->gdt[SELECTOR_TSS / 8] &= ~(UINT64_C(2) << 40); /* LTR wants a TSS that is not busy */
    __asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS) : "memory");
}

void machine_restore(void)
{
    struct cpu *cpu = this_cpu();
    uint64_t cr4 = cpu_read_cr4();

    cpu_write_gdtr((struct descriptor_table){ sizeof(cpu->gdt) - 1, (uint64_t)(uintptr_t)cpu->gdt });
    cpu_write_idtr((struct descriptor_table){ IDT_ENTRIES * sizeof(struct idt_entry) - 1,
                                              arena_page(ARENA_PAGE_TABLES, TABLE_IDT) });
    load_segments(SELECTOR_CODE64, SELECTOR_DATA);
    load_task_register(cpu);
    cpu_write_cr0(MACHINE_CR0);
    cpu_write_cr3(arena_page(ARENA_PAGE_TABLES, TABLE_PML4));
    cpu_write_cr4(MACHINE_CR4 | (cr4 & CR4_VMXE));
    cpu_write_msr(MSR_EFER, MACHINE_EFER);
    cpu_write_msr(MSR_PAT, MACHINE_PAT);
    cpu_write_dr7(0x400);
}

/* What the firmware's world consists of, as far as the harness changes it. */
struct firmware_world {
    uint64_t cr0, cr3, cr4, efer, pat, flags;
    uint16_t cs, ds, tr;
    struct descriptor_table gdtr, idtr;
    uint8_t pic_master, pic_slave;
};

static void firmware_save(struct firmware_world *w)
{
    w->flags = cpu_interrupts_off();
    w->cr0 = cpu_read_cr0();
    w->cr3 = cpu_read_cr3();
    w->cr4 = cpu_read_cr4();
    w->efer = cpu_read_msr(MSR_EFER);
    w->pat = cpu_read_msr(MSR_PAT);
    w->gdtr = cpu_read_gdtr();
    w->idtr = cpu_read_idtr();
    w->cs = cpu_read_cs();
    w->ds = cpu_read_ds();
    w->tr = cpu_read_tr();
    w->pic_master = cpu_in8(PIC_MASTER_MASK);
    w->pic_slave = cpu_in8(PIC_SLAVE_MASK);
}

static void firmware_restore(const struct firmware_world *w)
{
    cpu_write_cr3(w->cr3);
    cpu_write_cr4(w->cr4);
    cpu_write_cr0(w->cr0);
    cpu_write_msr(MSR_EFER, w->efer);
    cpu_write_msr(MSR_PAT, w->pat);
    cpu_write_gdtr(w->gdtr);
    cpu_write_idtr(w->idtr);
    load_segments(w->cs, w->ds);
    cpu_out8(PIC_MASTER_MASK, w->pic_master);
    cpu_out8(PIC_SLAVE_MASK, w->pic_slave);
    cpu_interrupts_restore(w->flags);
}

struct machine_call {
    void (*body)(void *);
    void *argument;
};

static void run_in_world(void *data)
{
    const struct machine_call *call = data;

    machine_restore();
    call->body(call->argument);
}

void machine_run(unsigned index, void (*body)(void *), void *argument)
{
    struct firmware_world firmware;
    struct machine_call call = { body, argument };

    firmware_save(&firmware);
    if (index == 0) {
        cpu_out8(PIC_MASTER_MASK, 0xff);
        cpu_out8(PIC_SLAVE_MASK, 0xff);
    }
    run_on_stack(cpu_block(index) + CPU_MAIN_STACK_TOP, run_in_world, &call);
    firmware_restore(&firmware);
}

bool try_run(struct trap *trap, void (*body)(void *), void *argument)
{
    struct cpu *cpu = this_cpu();

    cpu->try_trap = trap;
    return try_begin(cpu, body, argument);
}

bool traps_interrupt_arrived(uint8_t vector)
{
    uint64_t *word = &this_cpu()->arrived[vector / 64], bit = UINT64_C(1) << vector % 64;
    bool arrived = (*word & bit) != 0;

    *word &= ~bit;
    return arrived;
}

static void accept_interrupt(struct cpu *cpu, uint64_t vector)
{
    cpu->arrived[vector / 64] |= UINT64_C(1) << vector % 64;
    *(volatile uint32_t *)physical_pointer(APIC_EOI) = 0;
}

/* Called by traps.S. Returns the stack pointer of the try_run() that is to be left, or 0 to go on. */
uint64_t trap_entry(const struct trap_frame *frame, struct cpu *cpu)
{
    if (frame->vector >= FIRST_EXTERNAL_VECTOR && cpu->try_rsp == 0) {
        accept_interrupt(cpu, frame->vector);
        return 0;
    }
    if (cpu->try_rsp == 0)
        harness_abort("exception %lu error %lx rip %lx cr2 %lx rsp %lx", frame->vector, frame->error_code, frame->rip,
                      cpu_read_cr2(), frame->rsp);
    *cpu->try_trap = (struct trap){ frame->vector, frame->error_code, cpu_read_cr2(), frame->rip };
    return cpu->try_rsp;
}
