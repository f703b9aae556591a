/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The exit window: four pages of guest memory that the host sees, whose contents never change. Three are page tables
 * (identity map of 1 GiB), one is code: eight MOVs between RAX and [RDI], of which the host is shown the one that
 * stands for the guest's access to a device.
 */
#ifndef CLOUDVISOR_VM_WINDOW_H
#define CLOUDVISOR_VM_WINDOW_H

#include <stdint.h>

enum { WINDOW_CODE_PAGE = 3, WINDOW_SLOT_BYTES = 4, WINDOW_IDLE_SLOT = 8 };

#define WINDOW_CODE_GPA(window) ((window) + WINDOW_CODE_PAGE * UINT64_C(4096))

/* Slot n stores, slot 4 + n loads 1 << n bytes; NOPs behind them. */
static const uint8_t vm_window_code[8 * WINDOW_SLOT_BYTES] = {
    0x88, 0x07, 0x90, 0x90, 0x66, 0x89, 0x07, 0x90, 0x89, 0x07, 0x90, 0x90, 0x48, 0x89, 0x07, 0x90,
    0x8a, 0x07, 0x90, 0x90, 0x66, 0x8b, 0x07, 0x90, 0x8b, 0x07, 0x90, 0x90, 0x48, 0x8b, 0x07, 0x90,
};

static inline unsigned vm_window_length(unsigned slot)
{
    return (slot & 1) != 0 ? 3 : 2;
}

#endif
