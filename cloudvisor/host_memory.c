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

/* How the host's paging mode walks: from which level, how many index bits a level, how large an entry. */
struct paging {
    unsigned levels, index_bits, entry_bytes;
    bool write_protect, smap;
};

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

static struct paging paging_mode(void)
{
    uint64_t cr0 = hw_vmread(VMCS_GUEST_CR0), cr4 = hw_vmread(VMCS_GUEST_CR4);
    bool long_mode = (hw_vmread(VMCS_GUEST_IA32_EFER) & EFER_LMA) != 0;
    struct paging mode = { .levels = 0,
                           .index_bits = 9,
                           .entry_bytes = 8,
                           .write_protect = (cr0 & UINT64_C(0x10000)) != 0,
                           .smap = (cr4 & CR4_SMAP) != 0 && (hw_vmread(VMCS_GUEST_RFLAGS) & RFLAGS_AC) == 0 };

    if ((cr0 & CR0_PG) == 0)
        return mode;
    if (long_mode) {
        mode.levels = (cr4 & CR4_LA57) != 0 ? 5 : 4;
    } else if ((cr4 & CR4_PAE) != 0) {
        mode.levels = 3;
    } else {
        mode.levels = 2;
        mode.index_bits = 10;
        mode.entry_bytes = 4;
    }
    return mode;
}

static bool fail(struct host_fault *fault, uint64_t linear, uint32_t error)
{
    fault->address = linear;
    fault->error = error;
    return false;
}

/* Translates `linear`; large pages of 32-bit paging use 4 MiB without PSE-36. */
bool host_translate(uint64_t linear, bool write, hpa_t *pa, struct host_fault *fault)
{
    struct paging mode = paging_mode();
    uint64_t table = hw_vmread(VMCS_GUEST_CR3) & PTE_ADDRESS, entry = 0;
    uint32_t access = write ? PF_WRITE : 0;
    bool writable = true, user = true;
    unsigned level = mode.levels, shift = 12;

    *pa = hpa(linear);
    if (level == 0)
        return true;
    if (mode.levels == 3)
        table = hw_vmread(VMCS_GUEST_CR3) & UINT64_C(0xffffffe0);
    for (; level > 0; level--) {
        uint64_t mask = mode.levels == 3 && level == 3 ? 3 : (UINT64_C(1) << mode.index_bits) - 1;
        bool pdpte = mode.levels == 3 && level == 3;

        shift = 12 + mode.index_bits * (level - 1);
        entry = 0;
        if (!physical_read(hpa(table + (linear >> shift & mask) * mode.entry_bytes), &entry, mode.entry_bytes) ||
            (entry & PTE_PRESENT) == 0)
            return fail(fault, linear, access);
        writable = writable && (pdpte || (entry & PTE_WRITE) != 0);
        user = user && (pdpte || (entry & PTE_USER) != 0);
        if (level > 1 && !pdpte && (entry & PTE_LARGE) != 0)
            break;
        table = entry & PTE_ADDRESS;
    }
    if ((write && !writable && mode.write_protect) || (user && mode.smap))
        return fail(fault, linear, access | PF_PRESENT);
    *pa = hpa((entry & PTE_ADDRESS & ~((UINT64_C(1) << shift) - 1)) | (linear & ((UINT64_C(1) << shift) - 1)));
    return true;
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
