/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory of protected VMs. One record per guest frame number of a VM's RAM is the truth:
 *   EMPTY            the VM never touched it: reads as zero
 *   IN(frame)        it is in a frame that nobody else maps
 *   OUT(seal)        the host has it, encrypted; the seal verifies what comes back
 *   SHARED           the host's by design (exit window, AP start page): never the VM's
 * Who touches takes, in place: the host's touch of a frame that is IN encrypts it and hands it over; the VM's touch of
 * a page that is not IN takes the frame that EPT12 offers. What is IN stays mapped whatever EPT12 says meanwhile, so
 * that remapping, forgotten or forged INVEPTs and stale translations of the host's have no effect.
 * Callers hold layer_lock.
 */
#ifndef EPT_GUARD_VM_PAGES_H
#define EPT_GUARD_VM_PAGES_H

#include "cloudvisor/vm.h"
#include "ept-guard/ept12.h"

enum vm_page_answer {
    VM_PAGE_MAPPED,  /* the access can be repeated */
    VM_PAGE_ABSENT,  /* the host must bring writable memory */
    VM_PAGE_OUTSIDE, /* not the VM's RAM */
    VM_PAGE_STOPPED, /* the VM was stopped */
};

/* Makes the records for the RAM of vm->descriptor and an empty EPT. False: no memory; vm_pages_destroy tidies up. */
bool vm_pages_create(struct vm *vm);
void vm_pages_destroy(struct vm *vm);

/*
 * The VM touches `gpa`: takes the frame that `eptp12` offers, if the page is not IN. `keep`: as it is, for the launch,
 * which hashes it then. `*permissions`: what EPT12 allows there if the answer is VM_PAGE_ABSENT.
 */
enum vm_page_answer vm_pages_touch(struct vm *vm, uint64_t eptp12, uint64_t gpa, bool keep, uint64_t *permissions);

/* Declares a page of RAM SHARED; before the VM runs. */
void vm_pages_share(struct vm *vm, uint64_t gpa);

/* Has reads of a page outside RAM give ones, whatever the instruction. False: the pool is empty. */
bool vm_pages_map_absent(struct vm *vm, uint64_t gpa);

/* Where a page that is IN lies for root mode, or NULL. */
void *vm_pages_view(struct vm *vm, uint64_t gpa);

/* The host (or a plain VM, or the layer for it) is about to touch the frame: afterwards it is the host's. */
void vm_frame_touched(hpa_t pa);

/* A dead VM: unmaps all; then, in slices of `budget` records, scrubs its frames. True when none is left. */
void vm_pages_unmap_all(struct vm *vm);
bool vm_pages_reap(struct vm *vm, unsigned budget);

#endif
