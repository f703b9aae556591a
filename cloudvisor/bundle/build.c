/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The bundle's memory, in ascending order: the stub, the control pages (descriptor, page tables, GDT, boot_params,
 * command line, ACPI tables), the stub's RAM, the exit window, unmeasured input, the kernel, the initrd.
 * Accessed and dirty bits are set beforehand: the processor would set them otherwise, and change measured pages.
 */
#include <stdarg.h>
#include <string.h>
#include "cloudvisor/bundle/blobs.h"
#include "cloudvisor/bundle/build.h"
#include "cloudvisor/bundle/bundle_layout.h"
#include "cloudvisor/bundle/bytes.h"
#include "cloudvisor/bundle/kernel.h"

#define LARGE_PAGE      (2ull << 20)
#define MIB             (1ull << 20)
#define KERNEL_ROOM_MIB 32 /* left for the running kernel, and for the firmware before it */

/* Pages of the control segment. */
enum {
    PAGE_DESCRIPTOR,
    PAGE_TABLES, /* PML4, PDPT, four directories */
    PAGE_GDT = PAGE_TABLES + 6,
    PAGE_BOOT_PARAMS,
    PAGE_CMDLINE,
    PAGE_ACPI,
};

enum { PTE_PRESENT = 1, PTE_WRITE = 2, PTE_ACCESSED = 0x20, PTE_DIRTY = 0x40, PTE_LARGE = 0x80, GDT_BYTES = 32 };

_Static_assert(PAGE_ACPI *BUNDLE_PAGE_SIZE + ACPI_TABLES_MAX <= BUILD_CONTROL_BYTES, "the ACPI tables fit");
_Static_assert(LAYOUT_DESCRIPTOR_GPA + BUILD_CONTROL_BYTES <= LAYOUT_STUB_RAM_GPA, "control pages fit");

__attribute__((format(printf, 2, 3))) static bool refuse(char *message, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, BUILD_MESSAGE_MAX, format, arguments);
    va_end(arguments);
    return false;
}

static uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) / alignment * alignment;
}

static uint64_t control_gpa(unsigned page)
{
    return LAYOUT_DESCRIPTOR_GPA + (uint64_t)page * BUNDLE_PAGE_SIZE;
}

static uint8_t *control_page(struct build *build, unsigned page)
{
    return build->control + (size_t)page * BUNDLE_PAGE_SIZE;
}

/* Identity map of the first 4 GiB in pages of 2 MiB. */
static void put_page_tables(struct build *build)
{
    const uint64_t table = PTE_PRESENT | PTE_WRITE | PTE_ACCESSED, page = table | PTE_DIRTY | PTE_LARGE;
    uint8_t *pml4 = control_page(build, PAGE_TABLES), *pdpt = control_page(build, PAGE_TABLES + 1);

    put_le(pml4, 8, control_gpa(PAGE_TABLES + 1) | table);
    for (unsigned i = 0; i < 4; i++) {
        uint8_t *directory = control_page(build, PAGE_TABLES + 2 + i);

        put_le(pdpt + (size_t)8 * i, 8, control_gpa(PAGE_TABLES + 2 + i) | table);
        for (uint64_t j = 0; j < 512; j++)
            put_le(directory + 8 * j, 8, (i * 512 + j) * LARGE_PAGE | page);
    }
}

static void put_gdt(struct build *build)
{
    put_le(control_page(build, PAGE_GDT) + 0x10, 8, 0x00af9b000000ffff);
    put_le(control_page(build, PAGE_GDT) + 0x18, 8, 0x00cf93000000ffff);
}

static const struct blob *dsdt_of(const struct machine *machine)
{
    switch (machine->id) {
    case BUNDLE_PC: return &blob_dsdt_pc;
    case BUNDLE_Q35: return &blob_dsdt_q35;
    default: return &blob_dsdt_microvm;
    }
}

/* Returns the number of control pages in use, 0 if the ACPI tables don't fit. */
static unsigned put_acpi(const struct policy *policy, struct build *build)
{
    const struct blob *dsdt = dsdt_of(policy->machine);
    const struct acpi_inputs inputs = { .machine = policy->machine,
                                        .vcpu_count = policy->vcpu_count,
                                        .hpet = policy->devices & 1u << DEVICE_HPET,
                                        .rtc = policy->devices & 1u << DEVICE_RTC,
                                        .dsdt = dsdt->start,
                                        .dsdt_bytes = dsdt->size };
    size_t used = acpi_tables_build(&inputs, control_gpa(PAGE_ACPI), control_page(build, PAGE_ACPI));

    return used ? PAGE_ACPI + (unsigned)(align_up(used, BUNDLE_PAGE_SIZE) / BUNDLE_PAGE_SIZE) : 0;
}

/* The guest's memory map: the first two megabytes in pieces, then RAM as the descriptor lists it. */
static void put_memory_map(const struct policy *policy, const struct bundle_descriptor *d, unsigned control_pages,
                           uint8_t *boot_params)
{
    const uint64_t input_end = LAYOUT_INPUT_GPA + policy->input_size, acpi = control_gpa(PAGE_ACPI);

    kernel_add_e820(boot_params, 0, LAYOUT_AP_START_GPA, E820_RAM);
    kernel_add_e820(boot_params, LAYOUT_AP_START_GPA, LAYOUT_AP_START_GPA + BUNDLE_PAGE_SIZE, E820_RESERVED);
    kernel_add_e820(boot_params, LAYOUT_AP_START_GPA + BUNDLE_PAGE_SIZE, d->ram[0].page_count * BUNDLE_PAGE_SIZE,
                    E820_RAM);
    kernel_add_e820(boot_params, LAYOUT_STUB_GPA, acpi, E820_RESERVED);
    kernel_add_e820(boot_params, acpi, control_gpa(control_pages), E820_ACPI);
    kernel_add_e820(boot_params, control_gpa(control_pages), input_end, E820_RESERVED);
    for (uint32_t i = 1; i < d->ram_count; i++)
        kernel_add_e820(boot_params, i == 1 ? input_end : d->ram[i].gpa,
                        d->ram[i].gpa + d->ram[i].page_count * BUNDLE_PAGE_SIZE, E820_RAM);
}

static void add_range(struct bundle_descriptor *d, uint64_t gpa, uint64_t end, enum bundle_range_kind kind)
{
    if (gpa < end)
        d->ranges[d->range_count++] = (struct bundle_range){
            gpa, (uint32_t)(align_up(end - gpa, BUNDLE_PAGE_SIZE) / BUNDLE_PAGE_SIZE), kind
        };
}

/* A measured range with contents. */
static void add_segment(struct build *build, uint64_t gpa, const uint8_t *bytes, uint64_t size)
{
    if (!size)
        return;
    build->image.segments[build->image.segment_count++] = (struct image_segment){ gpa, bytes, size };
    add_range(&build->descriptor, gpa, gpa + size, BUNDLE_MEASURED);
}

static void copy_policy(const struct policy *policy, struct bundle_descriptor *d)
{
    d->machine = policy->machine->id;
    d->vcpu_count = policy->vcpu_count;
    d->flags |= (policy->debug ? BUNDLE_FLAG_DEBUG : 0u) | (policy->nmi ? BUNDLE_FLAG_NMI : 0u);
    d->virtio_kinds = policy->virtio_kinds;
    d->ram_count = machine_ram(policy->machine, policy->memory, d->ram);
    d->mmio_count = policy->mmio_count;
    d->port_count = policy->port_count;
    d->cpu_feature_count = policy->cpu_feature_count;
    memcpy(d->mmio, policy->mmio, sizeof(d->mmio));
    memcpy(d->ports, policy->ports, sizeof(d->ports));
    memcpy(d->cpu_features, policy->cpu_features, sizeof(d->cpu_features));
    memcpy(d->vectors, policy->vectors, sizeof(d->vectors));
}

static void fill_start(const struct kernel_image *kernel, struct bundle_descriptor *d)
{
    d->magic = BUNDLE_MAGIC;
    d->version = BUNDLE_VERSION;
    d->size = sizeof(*d);
    d->gpa = LAYOUT_DESCRIPTOR_GPA;
    d->entry_rip = kernel->load_gpa + KERNEL_ENTRY_OFFSET;
    d->entry_rsi = control_gpa(PAGE_BOOT_PARAMS);
    d->cr3 = control_gpa(PAGE_TABLES);
    d->gdt_gpa = control_gpa(PAGE_GDT);
    d->gdt_limit = GDT_BYTES - 1;
    d->ap_start_gpa = LAYOUT_AP_START_GPA;
    d->exit_window_gpa = LAYOUT_EXIT_WINDOW_GPA;
}

static bool check_inputs(const struct build_inputs *inputs, struct kernel_image *kernel, uint64_t *initrd_gpa,
                         char *message)
{
    const char *wrong = kernel_read(inputs->kernel, inputs->kernel_bytes, kernel);
    struct bundle_window ram[BUNDLE_RAM_MAX];
    uint64_t low_end, end;

    if (wrong)
        return refuse(message, "%s", wrong);
    if (strlen(inputs->cmdline) > kernel->cmdline_max || strlen(inputs->cmdline) >= BUNDLE_PAGE_SIZE)
        return refuse(message, "the command line is longer than the kernel's %u characters", kernel->cmdline_max);
    if (kernel->load_gpa < LAYOUT_KERNEL_MIN_GPA || kernel->load_gpa % BUNDLE_PAGE_SIZE || kernel->load_gpa > 1u << 30)
        return refuse(message, "the kernel wants to be loaded at 0x%llx, not between 16 MiB and 1 GiB",
                      (unsigned long long)kernel->load_gpa);
    machine_ram(inputs->policy->machine, inputs->policy->memory, ram);
    low_end = ram[1].gpa + ram[1].page_count * BUNDLE_PAGE_SIZE;
    *initrd_gpa = align_up(kernel->load_gpa + kernel->init_size, LARGE_PAGE);
    end = *initrd_gpa + inputs->initrd_bytes + KERNEL_ROOM_MIB * MIB;
    if (end > low_end)
        return refuse(message, "the kernel and the initrd need at least %llu MiB of memory",
                      (unsigned long long)(align_up(end, MIB) / MIB));
    if (inputs->initrd_bytes && *initrd_gpa + inputs->initrd_bytes - 1 > kernel->initrd_max)
        return refuse(message, "the initrd is too large for the kernel");
    return true;
}

static void put_kernel_arguments(const struct build_inputs *inputs, const struct kernel_image *kernel,
                                 uint64_t initrd_gpa, unsigned control_pages, struct build *build)
{
    const struct boot_inputs boot = { .cmdline_gpa = control_gpa(PAGE_CMDLINE),
                                      .initrd_gpa = inputs->initrd_bytes ? initrd_gpa : 0,
                                      .initrd_bytes = inputs->initrd_bytes,
                                      .rsdp_gpa = control_gpa(PAGE_ACPI) };
    uint8_t *boot_params = control_page(build, PAGE_BOOT_PARAMS);

    kernel_boot_params(kernel, &boot, boot_params);
    put_memory_map(inputs->policy, &build->descriptor, control_pages, boot_params);
    memcpy(control_page(build, PAGE_CMDLINE), inputs->cmdline, strlen(inputs->cmdline));
}

bool build_bundle(const struct build_inputs *inputs, struct build *build, char message[BUILD_MESSAGE_MAX])
{
    struct bundle_descriptor *d = &build->descriptor;
    struct kernel_image kernel;
    uint64_t initrd_gpa = 0;
    unsigned control_pages;
    enum bundle_error error;

    memset(build, 0, sizeof(*build));
    if (!check_inputs(inputs, &kernel, &initrd_gpa, message))
        return false;
    control_pages = put_acpi(inputs->policy, build);
    if (!control_pages)
        return refuse(message, "the ACPI tables don't fit");
    fill_start(&kernel, d);
    d->flags = inputs->allow_plain ? BUNDLE_FLAG_ALLOW_PLAIN : 0;
    copy_policy(inputs->policy, d);
    put_page_tables(build);
    put_gdt(build);
    put_kernel_arguments(inputs, &kernel, initrd_gpa, control_pages, build);

    add_segment(build, LAYOUT_STUB_GPA, blob_stub.start, blob_stub.size);
    add_segment(build, LAYOUT_DESCRIPTOR_GPA, build->control, (uint64_t)control_pages * BUNDLE_PAGE_SIZE);
    add_range(d, LAYOUT_STUB_RAM_GPA, LAYOUT_STUB_RAM_END, BUNDLE_ZERO);
    add_range(d, LAYOUT_INPUT_GPA, LAYOUT_INPUT_GPA + inputs->policy->input_size, BUNDLE_INPUT);
    add_segment(build, kernel.load_gpa, kernel.file + kernel.setup_bytes, kernel.protected_bytes);
    add_range(d, kernel.load_gpa + align_up(kernel.protected_bytes, BUNDLE_PAGE_SIZE),
              kernel.load_gpa + align_up(kernel.init_size, BUNDLE_PAGE_SIZE), BUNDLE_ZERO);
    add_segment(build, initrd_gpa, inputs->initrd, inputs->initrd_bytes);

    error = bundle_check(d, d->gpa, sizeof(*d));
    if (error)
        return refuse(message, "the bundle would be refused at launch (reason %d): check the windows in the policy",
                      (int)error);
    memcpy(control_page(build, PAGE_DESCRIPTOR), d, sizeof(*d));
    build->image.pvh_entry = LAYOUT_STUB_GPA;
    build->image.descriptor_gpa = d->gpa;
    return image_digest(&build->image, d, build->image.digest) || refuse(message, "a measured page has no contents");
}
