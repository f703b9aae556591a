/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The demoted host's linear memory, as its own page tables translate it at this exit. Tables and contents are the
 * host's and may change at any time: every entry and every byte is read once into private memory. Frames that are not
 * the host's read as all-ones and swallow writes. vmcs01 must be the loaded VMCS.
 */
#ifndef CLOUDVISOR_HOST_MEMORY_H
#define CLOUDVISOR_HOST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include "cloudvisor/cpu.h"

struct host_fault {
    uint64_t address; /* for CR2 */
    uint32_t error;   /* page-fault error code */
};

/* Supervisor access to [linear, linear + size), size <= 4096. False: nothing or a part was done, see `fault`. */
bool host_read(uint64_t linear, void *to, size_t size, struct host_fault *fault);
bool host_write(uint64_t linear, const void *from, size_t size, struct host_fault *fault);

/* The physical address of `linear` for a supervisor access; no page is present in 32-bit paging, which is not walked. */
bool host_translate(uint64_t linear, bool write, hpa_t *pa, struct host_fault *fault);

/* Fetches up to `size` bytes at the host's CS:RIP; returns how many were readable. */
size_t host_fetch(void *to, size_t size);

/* Injects the #PF that `fault` describes. */
void host_inject_page_fault(const struct host_fault *fault);

/*
 * Physical memory of whoever runs: the host, or the protected vCPU whose VMCS is loaded. False: that page is not in
 * the VM's hands; its address is in the vCPU's refill_gpa, and refill is set. Within one frame.
 */
bool physical_read(hpa_t from, void *to, size_t size);

/* Physical memory of the host's; never the layer's. Within one frame. The caller does not hold layer_lock. */
void host_frame_read(hpa_t from, void *to, size_t size);
void host_frame_write(hpa_t to, const void *from, size_t size);

#endif
