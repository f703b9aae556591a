/* SPDX-License-Identifier: GPL-2.0-only */
/* SDM "EPT Translation Mechanism", "EPT-Induced VM Exits", "Accessed and Dirty Flags for EPT". */
#include "ept-guard/ept12.h"
#include "ept-guard/frames.h"

struct ept12_format ept12_format(const struct vmx_caps *offer, unsigned physical_bits)
{
    return (struct ept12_format){
        .reserved = EPT_ADDRESS & ~((UINT64_C(1) << physical_bits) - 1),
        .execute_only = (offer->ept_vpid & EPT_CAP_EXECUTE_ONLY) != 0,
        .large_2m = (offer->ept_vpid & EPT_CAP_2M) != 0,
        .large_1g = (offer->ept_vpid & EPT_CAP_1G) != 0,
    };
}

uint64_t ept12_read(hpa_t where)
{
    enum frame_state state = frame_state(where);

    return state == FRAME_HOST || state == FRAME_WATCHED ? phys_read64(where) : UINT64_MAX;
}

bool ept12_misconfigured(const struct ept12_format *format, uint64_t entry, unsigned level)
{
    bool large = (level == LEVEL_2M && format->large_2m) || (level == LEVEL_1G && format->large_1g);
    uint64_t rwx = entry & EPT_RWX, type = (entry & EPT_TYPE_MASK) >> 3;

    if (rwx == 0)
        return false;
    if ((rwx & (EPT_READ | EPT_WRITE)) == EPT_WRITE || (rwx == EPT_EXECUTE && !format->execute_only) ||
        (entry & format->reserved) != 0)
        return true;
    if (level == LEVEL_4K)
        return !memory_type_valid(type);
    if (large && (entry & EPT_LARGE) != 0)
        return !memory_type_valid(type) || (entry & EPT_ADDRESS & (ept_page_bytes(level) - 1)) != 0;
    return (entry & (EPT_TYPE_MASK | EPT_IGNORE_PAT | EPT_LARGE)) != 0;
}

/* Sets `flags` in the entry read as `entry`; false if the host changed it meanwhile. */
static bool set_flags(hpa_t where, uint64_t entry, uint64_t flags)
{
    return (entry & flags) == flags || phys_cmpxchg64(where, entry, entry | flags);
}

enum ept12_result ept12_walk(const struct ept12_format *format, uint64_t eptp12, l2gpa_t address, uint64_t access,
                             struct ept12_leaf *leaf)
{
    bool flags = (eptp12 & EPTP_ACCESSED_DIRTY) != 0;
    hpa_t table = hpa(eptp12 & EPT_ADDRESS);
    unsigned level = LEVEL_ROOT;
    hpa_t where;
    uint64_t entry;

    leaf->permissions = EPT_RWX;
    for (;; level--) {
        where = ept_entry_address(table, ept_index(address.raw, level));
        entry = ept12_read(where);
        if (ept12_misconfigured(format, entry, level))
            return EPT12_MISCONFIGURATION;
        leaf->permissions &= entry;
        if ((entry & EPT_RWX) == 0)
            return EPT12_VIOLATION;
        if (ept_is_leaf(entry, level))
            break;
        if (flags && !set_flags(where, entry, EPT_ACCESSED))
            return EPT12_RETRY;
        table = hpa(entry & EPT_ADDRESS);
    }
    leaf->entry = entry;
    leaf->level = level;
    if ((leaf->permissions & access) != access)
        return EPT12_VIOLATION;
    if (flags && !set_flags(where, entry, EPT_ACCESSED | ((access & EPT_WRITE) != 0 ? EPT_DIRTY : 0)))
        return EPT12_RETRY;
    leaf->dirty = !flags || (entry & EPT_DIRTY) != 0 || (access & EPT_WRITE) != 0;
    return EPT12_OK;
}
