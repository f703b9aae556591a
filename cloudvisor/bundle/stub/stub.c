/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From the PVH entry to the launch call. What start_info says is not looked at: all there is to know is in the
 * descriptor. No measured page may be written, or the digest would differ.
 */
#include "cloudvisor/bundle/bundle_layout.h"
#include "cloudvisor/bundle/stub/stub.h"

#define MSR_EFER      0xc0000080u
#define EFER_LMA      (1u << 10)
#define COM1          0x3f8
#define IDT_ENTRIES   256
#define NO_LAYER_UD   (~0ull)
#define KVM_ERROR_MIN (-4095ll)

struct idt_entry {
    uint16_t offset_low;
    uint16_t selector;
    uint16_t attributes;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};

struct __attribute__((packed)) idt_pointer {
    uint16_t limit;
    uint64_t base;
};

static struct idt_entry idt[IDT_ENTRIES];

/* What the code in the AP start page takes from the first vCPU; entry.S has the same list. */
struct __attribute__((packed)) ap_variables {
    uint32_t cr0, cr3, cr4, efer;
    uint32_t target;
    uint16_t target_selector;
    uint16_t gdt_limit;
    uint32_t gdt;
};

extern const uint8_t stub_exceptions[], stub_interrupt[];
extern const uint8_t stub_ap_start[], stub_ap_start_end[], stub_ap_variables[], stub_ap_long_mode[], stub_ap_gdt[];
uint64_t stub_call_layer(uint64_t gpa, uint64_t size);
_Noreturn void stub_enter_kernel(uint64_t entry, uint64_t boot_params);
_Noreturn void stub_main(void);

static const struct {
    uint64_t value;
    const char *text;
} reasons[] = {
#define BUNDLE_ERROR(name, value, text) { value, text },
#include "cloudvisor/bundle/bundle_errors.def"
#undef BUNDLE_ERROR
};

static void console_init(void)
{
    outb(COM1 + 1, 0);    /* no interrupts */
    outb(COM1 + 3, 0x80); /* divisor: 115200 */
    outb(COM1, 1);
    outb(COM1 + 1, 0);
    outb(COM1 + 3, 3); /* 8N1 */
    outb(COM1 + 2, 7); /* FIFOs on and empty */
    outb(COM1 + 4, 3);
}

static void print(const char *text)
{
    for (; *text; text++) {
        for (int i = 0; i < 100000 && !(inb(COM1 + 5) & 0x20); i++)
            ;
        outb(COM1, (uint8_t)*text);
    }
}

static void print_hex(uint64_t value)
{
    char text[17];
    int at = 16;

    text[at] = '\0';
    do {
        text[--at] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value);
    print(text + at);
}

static _Noreturn void halt(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

_Noreturn void stub_unexpected_exception(uint64_t vector)
{
    print("cloudvisor bundle: unexpected exception 0x");
    print_hex(vector);
    print(", halted\r\n");
    halt();
}

static void set_gate(unsigned vector, uint64_t handler)
{
    idt[vector] = (struct idt_entry){ .offset_low = (uint16_t)handler,
                                      .selector = 0x10,
                                      .attributes = 0x8e00,
                                      .offset_middle = (uint16_t)(handler >> 16),
                                      .offset_high = (uint32_t)(handler >> 32) };
}

static void load_idt(void)
{
    struct idt_pointer pointer = { sizeof(idt) - 1, (uint64_t)idt };

    for (unsigned vector = 0; vector < IDT_ENTRIES; vector++)
        set_gate(vector, vector < 32 ? (uint64_t)stub_exceptions + 16ull * vector : (uint64_t)stub_interrupt);
    __asm__ volatile("lidt %0" : : "m"(pointer) : "memory");
}

/* APs are to come to their call in this CPU's mode. Page tables: those that the layer puts in the exit window. */
static void place_ap_start(uint32_t gpa, uint64_t page_tables)
{
    uint8_t *page = (uint8_t *)(uint64_t)gpa;
    struct ap_variables *variables = (struct ap_variables *)(page + (stub_ap_variables - stub_ap_start));

    for (uint32_t i = 0; i < BUNDLE_PAGE_SIZE; i++)
        page[i] = i < (uint32_t)(stub_ap_start_end - stub_ap_start) ? stub_ap_start[i] : 0;
    variables->cr0 = (uint32_t)read_cr0();
    variables->cr3 = (uint32_t)page_tables;
    variables->cr4 = (uint32_t)read_cr4();
    variables->efer = (uint32_t)read_msr(MSR_EFER) & ~EFER_LMA;
    variables->target = gpa + (uint32_t)(stub_ap_long_mode - stub_ap_start);
    variables->gdt = gpa + (uint32_t)(stub_ap_gdt - stub_ap_start);
}

static void print_reason(uint64_t answer)
{
    print("cloudvisor bundle: not launched as a protected VM: ");
    if (answer == NO_LAYER_UD) {
        print("no hypervisor took the launch call");
    } else if ((int64_t)answer < 0 && (int64_t)answer >= KVM_ERROR_MIN) {
        print("this hypervisor runs without CloudVisor (answer -");
        print_hex(-answer);
        print("h)");
    } else {
        for (unsigned i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
            if (reasons[i].value == answer)
                print(reasons[i].text);
        print(" (reason ");
        print_hex(answer);
        print("h)");
    }
}

_Noreturn void stub_main(void)
{
    const struct bundle_descriptor *descriptor = (const struct bundle_descriptor *)LAYOUT_DESCRIPTOR_GPA;
    uint64_t answer;

    console_init();
    load_idt();
    quiet_devices(descriptor->machine);
    apic_quiet();
    place_ap_start(descriptor->ap_start_gpa, descriptor->exit_window_gpa);

    answer = stub_call_layer(LAYOUT_DESCRIPTOR_GPA, sizeof(*descriptor));
    print_reason(answer);
    if (descriptor->flags & BUNDLE_FLAG_ALLOW_PLAIN) {
        print("; test bundle, going on unprotected\r\n");
        stub_enter_kernel(descriptor->entry_rip, descriptor->entry_rsi);
    }
    print("; halted\r\n");
    halt();
}
