/* SPDX-License-Identifier: GPL-2.0-only */
/* SDM "Hierarchical Paging Structures: an Overview"; permissions as for a supervisor data access. */
#include <string.h>
#include "cloudvisor/host_memory.h"
#include "cloudvisor/vmcs01.h"
#include "ept-guard/frames.h"
#include "ept-guard/host_ept.h"
#include "ept-guard/vm_pages.h"
#include "nested-vmx/vmcs_fields.h"

#define PTE_PRESENT UINT64_C(1)
#define PTE_WRITE   UINT64_C(2)
#define PTE_USER    UINT64_C(4)
#define PTE_LARGE   UINT64_C(0x80)
#define PTE_ADDRESS UINT64_C(0x000ffffffffff000)
enum { PF_PRESENT = 1, PF_WRITE = 2 };

static bool frame_is_hosts(hpa_t pa)
{
    enum frame_state state = frame_state(pa);

    return state == FRAME_HOST || state == FRAME_WATCHED || state == FRAME_BOUND;
}

/* The lock keeps the frame the host's until the copy is done. */
void host_frame_read(hpa_t from, void *to, size_t size)
{
    layer_lock();
    if (frame_is_hosts(from))
        memcpy(to, phys_to_virt(from), size);
    else
        memset(to, 0xff, size);
    layer_unlock();
}

void host_frame_write(hpa_t to, const void *from, size_t size)
{
    layer_lock();
    if (frame_state(to) == FRAME_WATCHED)
        host_ept_violation(to, true);
    if (frame_is_hosts(to))
        memcpy(phys_to_virt(to), from, size);
    layer_unlock();
}

bool physical_read(hpa_t from, void *to, size_t size)
{
    struct vcpu *vcpu = this_cpu()->vcpu;
    const uint8_t *page;

    if (vcpu == NULL) {
        host_frame_read(from, to, size);
        return true;
    }
    layer_lock();
    page = vm_pages_view(vcpu->vm, from.raw);
    if (page != NULL)
        memcpy(to, page + (from.raw & (PAGE_SIZE - 1)), size);
    layer_unlock();
    vcpu->refill = page == NULL;
    vcpu->refill_gpa = from.raw;
    return page != NULL;
}

bool host_translate(uint64_t linear, bool write, hpa_t *pa, struct host_fault *fault)
{
    uint64_t cr0 = hw_vmread(VMCS_GUEST_CR0), cr4 = hw_vmread(VMCS_GUEST_CR4), entry = hw_vmread(VMCS_GUEST_CR3);
    bool at_cpl_3 = (hw_vmread(VMCS_GUEST_SS_ACCESS_RIGHTS) >> 5 & 3) == 3;
    bool smap = (cr4 & CR4_SMAP) != 0 && !at_cpl_3 && (hw_vmread(VMCS_GUEST_RFLAGS) & RFLAGS_AC) == 0;
    bool writable = true, user = true;
    unsigned shift = (cr4 & CR4_LA57) != 0 ? 57 : 48;

    *pa = hpa(linear);
    *fault = (struct host_fault){ linear, write ? PF_WRITE : 0 };
    if ((cr0 & CR0_PG) == 0)
        return true;
    if ((hw_vmread(VMCS_GUEST_IA32_EFER) & EFER_LMA) == 0)
        return false;
    do {
        shift -= 9;
        if (!physical_read(hpa((entry & PTE_ADDRESS) + (linear >> shift & 511) * 8), &entry, sizeof(entry)) ||
            (entry & PTE_PRESENT) == 0)
            return false;
        writable = writable && (entry & PTE_WRITE) != 0;
        user = user && (entry & PTE_USER) != 0;
    } while (shift > 12 && (entry & PTE_LARGE) == 0);
    fault->error |= PF_PRESENT;
    *pa = hpa((entry & PTE_ADDRESS & ~((UINT64_C(1) << shift) - 1)) | (linear & ((UINT64_C(1) << shift) - 1)));
    return (writable || !write || (cr0 & CR0_WP) == 0) && !(user && smap);
}

/* Bytes from `linear` to the end of its page, at most `size`. */
static size_t within_page(uint64_t linear, size_t size)
{
    size_t left = (size_t)(PAGE_SIZE - (linear & (PAGE_SIZE - 1)));

    return size < left ? size : left;
}

bool host_read(uint64_t linear, void *to, size_t size, struct host_fault *fault)
{
    size_t first = within_page(linear, size);
    hpa_t a, b;

    if (!host_translate(linear, false, &a, fault))
        return false;
    if (first < size && !host_translate(linear + first, false, &b, fault))
        return false;
    return physical_read(a, to, first) && (first == size || physical_read(b, (uint8_t *)to + first, size - first));
}

bool host_write(uint64_t linear, const void *from, size_t size, struct host_fault *fault)
{
    size_t first = within_page(linear, size);
    hpa_t a, b;

    if (!host_translate(linear, true, &a, fault))
        return false;
    if (first < size && !host_translate(linear + first, true, &b, fault))
        return false;
    host_frame_write(a, from, first);
    if (first < size)
        host_frame_write(b, (const uint8_t *)from + first, size - first);
    return true;
}

/* An instruction fetch: SMAP and write protection don't matter, so any mapping will do. */
size_t host_fetch(void *to, size_t size)
{
    uint64_t linear = hw_vmread(VMCS_GUEST_CS_BASE) + hw_vmread(VMCS_GUEST_RIP);
    size_t first = within_page(linear, size);
    struct host_fault fault;

    if (!host_read(linear, to, first, &fault))
        return 0;
    return first < size && host_read(linear + first, (uint8_t *)to + first, size - first, &fault) ? size : first;
}

void host_inject_page_fault(const struct host_fault *fault)
{
    hw_write_cr2(fault->address);
    host_inject_exception(14, true, fault->error);
}
