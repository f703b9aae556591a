/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * bzImage in, boot_params out. Source of the offsets: Documentation/x86/boot.rst and zero-page.rst of Linux. The
 * setup header keeps its offsets in boot_params.
 */
#include <string.h>
#include "cloudvisor/bundle/bytes.h"
#include "cloudvisor/bundle/kernel.h"

enum {
    SETUP_SECTS = 0x1f1,
    JUMP_LENGTH = 0x201,
    HEADER_MAGIC = 0x202,
    PROTOCOL = 0x206,
    LOADER_TYPE = 0x210,
    LOAD_FLAGS = 0x211,
    CODE32_START = 0x214,
    RAMDISK_IMAGE = 0x218,
    RAMDISK_SIZE = 0x21c,
    CMDLINE_POINTER = 0x228,
    INITRD_MAX = 0x22c,
    XLOADFLAGS = 0x236,
    CMDLINE_SIZE = 0x238,
    PREFERRED_ADDRESS = 0x258,
    INIT_SIZE = 0x260,
    HEADER_END = 0x264,

    ZERO_RSDP = 0x70,
    ZERO_E820_COUNT = 0x1e8,
    ZERO_E820 = 0x2d0,
    ZERO_HEADER_END_MAX = 0x290,

    SECTOR = 512,
    FLAG_LOADED_HIGH = 1 << 0,
    XFLAG_64BIT_ENTRY = 1 << 0,
    LOADER_UNDEFINED = 0xff,
};

const char *kernel_read(const uint8_t *file, size_t size, struct kernel_image *kernel)
{
    unsigned sectors;

    if (size < 2 * SECTOR || get_le(file + HEADER_MAGIC, 4) != 0x53726448)
        return "not a Linux bzImage";
    if (get_le(file + PROTOCOL, 2) < 0x20c || !(get_le(file + XLOADFLAGS, 2) & XFLAG_64BIT_ENTRY))
        return "the kernel has no 64-bit entry point (boot protocol 2.12 or later)";
    if (!(file[LOAD_FLAGS] & FLAG_LOADED_HIGH))
        return "the kernel doesn't load above 1 MiB";
    sectors = file[SETUP_SECTS] ? file[SETUP_SECTS] : 4;
    kernel->file = file;
    kernel->setup_bytes = (size_t)(sectors + 1) * SECTOR;
    if (size <= kernel->setup_bytes + KERNEL_ENTRY_OFFSET)
        return "the kernel file is cut short";
    kernel->protected_bytes = size - kernel->setup_bytes;
    kernel->load_gpa = get_le(file + PREFERRED_ADDRESS, 8);
    kernel->init_size = get_le(file + INIT_SIZE, 4);
    kernel->cmdline_max = (uint32_t)get_le(file + CMDLINE_SIZE, 4);
    kernel->initrd_max = get_le(file + INITRD_MAX, 4);
    if (kernel->init_size < kernel->protected_bytes)
        kernel->init_size = kernel->protected_bytes;
    return NULL;
}

void kernel_boot_params(const struct kernel_image *kernel, const struct boot_inputs *inputs, uint8_t *page)
{
    size_t header_end = HEADER_MAGIC + (size_t)kernel->file[JUMP_LENGTH];

    if (header_end < HEADER_END)
        header_end = HEADER_END;
    if (header_end > ZERO_HEADER_END_MAX)
        header_end = ZERO_HEADER_END_MAX;
    memcpy(page + SETUP_SECTS, kernel->file + SETUP_SECTS, header_end - SETUP_SECTS);
    page[LOADER_TYPE] = LOADER_UNDEFINED;
    put_le(page + CODE32_START, 4, kernel->load_gpa);
    put_le(page + RAMDISK_IMAGE, 4, inputs->initrd_gpa);
    put_le(page + RAMDISK_SIZE, 4, inputs->initrd_bytes);
    put_le(page + CMDLINE_POINTER, 4, inputs->cmdline_gpa);
    put_le(page + ZERO_RSDP, 8, inputs->rsdp_gpa);
}

void kernel_add_e820(uint8_t *page, uint64_t start, uint64_t end, enum e820_type type)
{
    uint8_t count = page[ZERO_E820_COUNT];
    uint8_t *entry = page + ZERO_E820 + (size_t)count * 20;

    if (start >= end || count >= KERNEL_E820_MAX)
        return;
    put_le(entry, 8, start);
    put_le(entry + 8, 8, end - start);
    put_le(entry + 16, 4, type);
    page[ZERO_E820_COUNT] = (uint8_t)(count + 1);
}
