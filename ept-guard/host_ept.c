/* SPDX-License-Identifier: GPL-2.0-only */
/* The host's EPT. Nothing is mapped at first; each violation maps the largest page that fits around the address. */
#include <string.h>
#include "cloudvisor/pool.h"
#include "ept-guard/frames.h"
#include "ept-guard/host_ept.h"
#include "ept-guard/vm_pages.h"
#include "nested-vmx/nested.h"

enum { DECOY_MAX = 8 };
#define APIC_PAGE UINT64_C(0xfee00000)

static struct {
    struct ept ept;
    struct mtrrs mtrrs;
    unsigned physical_bits;
    unsigned level_max;
    bool trap_apic;
    hpa_t decoy;
    uint64_t decoys[DECOY_MAX];
    unsigned decoy_count;
} host;

bool host_ept_init(const struct mtrrs *mtrrs, unsigned physical_bits, bool page_1g, bool trap_apic)
{
    host.mtrrs = *mtrrs;
    host.physical_bits = physical_bits;
    host.level_max = page_1g ? LEVEL_1G : LEVEL_2M;
    host.trap_apic = trap_apic;
    host.decoy = pool_alloc();
    if (host.decoy.raw == 0 || !ept_create(&host.ept))
        return false;
    memset(phys_to_virt(host.decoy), 0xff, 4096);
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

enum host_ept_answer host_ept_violation(hpa_t address, bool write)
{
    uint64_t permissions = EPT_RWX;
    unsigned type, level;

    if (address.raw >> host.physical_bits != 0)
        return HOST_EPT_OUTSIDE;
    if (write && frame_state(address) == FRAME_WATCHED)
        nested_frame_written(address);
    vm_frame_touched(address);
    if (!frame_event(address, write ? FRAME_HOST_WRITE : FRAME_HOST_READ))
        return HOST_EPT_LAYER;
    if (host_ept_has_trapped(hpa(address.raw & ~UINT64_C(0xfff)), 4096)) {
        if (write)
            return HOST_EPT_TRAPPED;
        permissions = EPT_READ;
    }
    if (frame_state(address) == FRAME_WATCHED)
        permissions = EPT_READ | EPT_EXECUTE;
    level = fitting_level(address.raw, &type);
    if (!ept_map(&host.ept, address.raw, level,
                 (address.raw & ~(ept_page_bytes(level) - 1)) | permissions | EPT_TYPE(type)))
        return HOST_EPT_FULL;
    return HOST_EPT_MAPPED;
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

bool host_ept_map_decoy(hpa_t address, bool write)
{
    uint64_t page = address.raw & ~UINT64_C(0xfff);

    if (host.decoy_count == DECOY_MAX)
        host_ept_remove_decoys();
    host.decoys[host.decoy_count++] = page;
    return ept_map(&host.ept, page, LEVEL_4K,
                   host.decoy.raw | EPT_READ | EPT_EXECUTE | (write ? EPT_WRITE : 0) | EPT_TYPE(TYPE_WB));
}

void host_ept_remove_decoys(void)
{
    while (host.decoy_count > 0)
        ept_unmap(&host.ept, host.decoys[--host.decoy_count], LEVEL_4K);
    hw_invept(HW_INVEPT_SINGLE, host_ept_pointer());
    memset(phys_to_virt(host.decoy), 0xff, 4096);
}

struct mtrrs *host_ept_mtrrs(void)
{
    return &host.mtrrs;
}

void host_ept_rebuild(void)
{
    ept_clear(&host.ept);
}
