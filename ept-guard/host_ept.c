/* SPDX-License-Identifier: GPL-2.0-only */
/* The host's EPT. Nothing is mapped at first; each violation maps the largest page that fits around the address. */
#include <string.h>
#include "cloudvisor/pool.h"
#include "ept-guard/frames.h"
#include "ept-guard/host_ept.h"
#include "ept-guard/vm_pages.h"
#include "nested-vmx/nested.h"

#define APIC_PAGE UINT64_C(0xfee00000)

static struct {
    struct ept ept;
    struct mtrrs mtrrs;
    unsigned physical_bits;
    unsigned level_max;
    bool trap_apic;
    hpa_t ones; /* what the host reads where the layer's memory is */
} host;

bool host_ept_init(const struct mtrrs *mtrrs, unsigned physical_bits, bool page_1g, bool trap_apic)
{
    host.mtrrs = *mtrrs;
    host.physical_bits = physical_bits;
    host.level_max = page_1g ? LEVEL_1G : LEVEL_2M;
    host.trap_apic = trap_apic;
    host.ones = pool_alloc();
    if (host.ones.raw == 0 || !ept_create(&host.ept))
        return false;
    memset(phys_to_virt(host.ones), 0xff, 4096);
    return true;
}

uint64_t host_ept_pointer(void)
{
    return host.ept.root.raw | EPTP_WB_WALK_4;
}

bool host_ept_has_trapped(hpa_t page, uint64_t bytes)
{
    return host.trap_apic && page.raw <= APIC_PAGE && APIC_PAGE - page.raw < bytes;
}

/* The largest level at which the page around `address` has one type and one treatment. */
static unsigned fitting_level(uint64_t address, unsigned *type)
{
    unsigned level = host.level_max;

    for (; level > LEVEL_4K; level--) {
        hpa_t page = hpa(address & ~(ept_page_bytes(level) - 1));

        if (frames_unrestricted(page, ept_page_bytes(level)) && !host_ept_has_trapped(page, ept_page_bytes(level)) &&
            mtrr_type(&host.mtrrs, page.raw, ept_page_bytes(level), type))
            return level;
    }
    mtrr_type(&host.mtrrs, address & ~UINT64_C(0xfff), 4096, type);
    return LEVEL_4K;
}

static enum host_ept_answer map(uint64_t address, unsigned level, uint64_t leaf)
{
    return ept_map(&host.ept, address, level, leaf) ? HOST_EPT_MAPPED : HOST_EPT_FULL;
}

enum host_ept_answer host_ept_violation(hpa_t address, bool write)
{
    uint64_t permissions = EPT_RWX;
    unsigned type, level;

    if (address.raw >> host.physical_bits != 0)
        return HOST_EPT_OUTSIDE;
    if (write && frame_state(address) == FRAME_WATCHED)
        nested_frame_written(address);
    if (write || frame_state(address) != FRAME_BOUND) /* reading all of memory must not end a VM */
        vm_frame_touched(address);
    if (!frame_event(address, write ? FRAME_HOST_WRITE : FRAME_HOST_READ)) {
        if (write)
            return HOST_EPT_LAYER;
        return map(address.raw, LEVEL_4K, host.ones.raw | EPT_READ | EPT_EXECUTE | EPT_TYPE(TYPE_WB));
    }
    if (host_ept_has_trapped(hpa(address.raw & ~UINT64_C(0xfff)), 4096)) {
        if (write)
            return HOST_EPT_TRAPPED;
        permissions = EPT_READ;
    }
    if (frame_state(address) == FRAME_WATCHED)
        permissions = EPT_READ | EPT_EXECUTE;
    level = fitting_level(address.raw, &type);
    return map(address.raw, level, (address.raw & ~(ept_page_bytes(level) - 1)) | permissions | EPT_TYPE(type));
}

bool host_ept_watch(hpa_t frame)
{
    if (!frame_event(frame, FRAME_WATCH))
        return false;
    if (host_ept_violation(frame, false) != HOST_EPT_MAPPED)
        host_ept_rebuild(); /* the pool is empty: unmapped is as good as read-only */
    return true;
}

void host_ept_remove(hpa_t page, unsigned level)
{
    if (!ept_unmap(&host.ept, page.raw, level))
        host_ept_rebuild(); /* the pool is empty: what is unmapped is mapped again on demand */
}

struct mtrrs *host_ept_mtrrs(void)
{
    return &host.mtrrs;
}

void host_ept_rebuild(void)
{
    ept_clear(&host.ept);
}
