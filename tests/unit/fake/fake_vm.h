/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Protected VMs for tests: the real vm.c, vm_pages.c and page_crypt.c over the fake hardware, what a hostile host does
 * around them, and one look at all parties at once.
 */
#ifndef TESTS_UNIT_FAKE_VM_H
#define TESTS_UNIT_FAKE_VM_H

#include "cloudvisor/vm.h"
#include "ept-guard/vm_pages.h"
#include "fake_layer.h"

/* No VM was ever made; random bytes and the cipher work. After fake_layer_start. */
void fake_vm_forget(void);

/* How many more calls of the random source and of the cipher's encryption succeed. */
extern unsigned fake_randoms_left, fake_seals_left;

/* The record of a page of RAM, and the frame of one that is IN. NONE: the VM has no RAM there. */
enum fake_page { FAKE_EMPTY, FAKE_IN, FAKE_OUT, FAKE_SHARED, FAKE_NONE };
enum fake_page fake_page(const struct vm *vm, uint64_t gpa, hpa_t *frame);

/* The next version that a page would be sealed with, less one. */
uint32_t fake_page_version(const struct vm *vm, uint64_t gpa);
void fake_page_set_version(const struct vm *vm, uint64_t gpa, uint32_t version);

/*
 * Compares everybody's view of every frame of [0, ram_bytes): records, frame states and owners, the VMs' EPTs, the
 * host's EPT, all EPT02s, counters. NULL, or what is wrong.
 */
const char *fake_world(uint64_t ram_bytes);

/* A descriptor that bundle_check likes: two vCPUs, three pieces of RAM, ranges of every kind. */
enum {
    BUNDLE_DESCRIPTOR = 0x101000,
    BUNDLE_ENTRY = 0x100040,
    BUNDLE_INPUT_PAGE = 0x120000,
    BUNDLE_ZERO_PAGE = 0x110000,
    BUNDLE_LONG_RANGE = 0x130000,
    BUNDLE_LONG_PAGES = 20,
    BUNDLE_WINDOW = 0x1c0000,
    BUNDLE_AP_PAGE = 0x8000,
    BUNDLE_LOW_END = 0x9f000,
    BUNDLE_RAM_START = 0x100000,
    BUNDLE_RAM_END = 0x800000,
    BUNDLE_FREE = 0x300000, /* in no range */
};
#define BUNDLE_HIGH     UINT64_C(0x100000000)
#define BUNDLE_HIGH_END UINT64_C(0x100003000)
#define BUNDLE_DEVICE   UINT64_C(0xfeb00000)
void fake_descriptor(struct bundle_descriptor *d);

/* ---- The host's EPT12s: tables are taken one after the other from `*next`. ---- */

struct fake_ept12 {
    uint64_t root, *next;
};

/* The entry of `level` for `gpa`, with tables that allow everything on the way; and a leaf there. */
hpa_t fake_ept12_entry(const struct fake_ept12 *ept12, uint64_t gpa, unsigned level);
void fake_ept12_map(const struct fake_ept12 *ept12, uint64_t gpa, unsigned level, uint64_t leaf);

#endif
