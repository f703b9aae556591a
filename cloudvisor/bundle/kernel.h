/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The Linux/x86 boot protocol, as far as a bundle needs it: reads a bzImage's setup header and writes boot_params for
 * the 64-bit entry point.
 */
#ifndef BUNDLE_KERNEL_H
#define BUNDLE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KERNEL_ENTRY_OFFSET = 0x200, KERNEL_E820_MAX = 128 };

enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3 };

struct kernel_image {
    const uint8_t *file;
    size_t setup_bytes;     /* real-mode part, not used further */
    size_t protected_bytes; /* what is loaded at `load_gpa` */
    uint64_t load_gpa;
    uint64_t init_size; /* memory that the kernel needs from there on */
    uint32_t cmdline_max;
    uint64_t initrd_max; /* highest address of an initrd's last byte */
};

struct boot_inputs {
    uint64_t cmdline_gpa;
    uint64_t initrd_gpa;
    uint64_t initrd_bytes;
    uint64_t rsdp_gpa;
};

/* NULL, or what is wrong with the file. `file` must stay for as long as `kernel` is used. */
const char *kernel_read(const uint8_t *file, size_t size, struct kernel_image *kernel);

/* Fills a zeroed page. */
void kernel_boot_params(const struct kernel_image *kernel, const struct boot_inputs *inputs, uint8_t *page);

/* Appends to the memory map in boot_params; empty entries are left out. */
void kernel_add_e820(uint8_t *page, uint64_t start, uint64_t end, enum e820_type type);

#endif
