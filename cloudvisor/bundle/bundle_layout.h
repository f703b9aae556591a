/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where cvbundle puts things in guest-physical memory. Shared with the stub and its linker script; the layer doesn't
 * depend on it. From 1 MiB to 2 MiB everything is reserved in the guest's memory map.
 */
#ifndef BUNDLE_LAYOUT_H
#define BUNDLE_LAYOUT_H

#define LAYOUT_AP_START_GPA    0x8000   /* Linux leaves the first 64 KiB alone */
#define LAYOUT_STUB_GPA        0x100000 /* measured: code and constants, with the PVH entry first */
#define LAYOUT_DESCRIPTOR_GPA  0x110000 /* measured, with page tables, GDT, boot_params, command line, ACPI behind */
#define LAYOUT_STUB_RAM_GPA    0x180000 /* zero range: the stub's stack and variables */
#define LAYOUT_STUB_RAM_END    0x190000
#define LAYOUT_EXIT_WINDOW_GPA 0x1c0000
#define LAYOUT_INPUT_GPA       0x200000 /* unmeasured input, if the policy has any */
#define LAYOUT_KERNEL_MIN_GPA  0x1000000

#endif
