/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The launch descriptor's rules. Root-mode code that reads what an untrusted host wrote: no pointer, no allocation,
 * no loop without a constant bound, and no sum before its terms are known to be below BUNDLE_GPA_LIMIT.
 */
#include <stdbool.h>
#include "cloudvisor/bundle/bundle_check.h"

#define LOCAL_APIC_GPA 0xfee00000ull
#define LOW_MEMORY_END 0x100000ull

static bool all_zero(const uint8_t *bytes, size_t size)
{
    while (size && !bytes[size - 1])
        size--;
    return !size;
}

/* Whether the pages are aligned, at least one, and end below the limit. `end` is valid only then. */
static bool span_end(uint64_t gpa, uint64_t page_count, uint64_t *end)
{
    if (gpa % BUNDLE_PAGE_SIZE || !page_count || gpa >= BUNDLE_GPA_LIMIT ||
        page_count > (BUNDLE_GPA_LIMIT - gpa) / BUNDLE_PAGE_SIZE)
        return false;
    *end = gpa + page_count * BUNDLE_PAGE_SIZE;
    return true;
}

static bool windows_ascend(const struct bundle_window *windows, uint32_t count)
{
    uint64_t previous_end = 0, end;

    for (uint32_t i = 0; i < count; i++) {
        if (!span_end(windows[i].gpa, windows[i].page_count, &end) || windows[i].gpa < previous_end)
            return false;
        previous_end = end;
    }
    return true;
}

/* Both must have passed span_end. */
static bool overlaps(uint64_t a, uint64_t a_pages, uint64_t b, uint64_t b_pages)
{
    return a < b + b_pages * BUNDLE_PAGE_SIZE && b < a + a_pages * BUNDLE_PAGE_SIZE;
}

static bool in_ram(const struct bundle_descriptor *d, uint64_t start, uint64_t end)
{
    for (uint32_t i = 0; i < d->ram_count; i++)
        if (start >= d->ram[i].gpa && end <= d->ram[i].gpa + d->ram[i].page_count * BUNDLE_PAGE_SIZE)
            return true;
    return false;
}

static enum bundle_error check_ranges(const struct bundle_descriptor *d)
{
    uint64_t previous_end = 0, end;

    for (uint32_t i = 0; i < d->range_count; i++) {
        const struct bundle_range *range = &d->ranges[i];

        if (range->kind < BUNDLE_MEASURED || range->kind > BUNDLE_INPUT)
            return BUNDLE_BAD_RANGE_KIND;
        if (!span_end(range->gpa, range->page_count, &end) || range->gpa < previous_end)
            return BUNDLE_BAD_RANGE_ORDER;
        if (!in_ram(d, range->gpa, end))
            return BUNDLE_BAD_RANGE_OUTSIDE;
        previous_end = end;
    }
    return BUNDLE_OK;
}

/* Whether `size` bytes, at most a page, lie in one measured range. Ranges must have been checked. */
static bool measured(const struct bundle_descriptor *d, uint64_t gpa, uint64_t size)
{
    for (uint32_t i = 0; i < d->range_count; i++) {
        const struct bundle_range *range = &d->ranges[i];
        uint64_t end = range->gpa + (uint64_t)range->page_count * BUNDLE_PAGE_SIZE;

        if (range->kind == BUNDLE_MEASURED && gpa >= range->gpa && gpa < end && size <= end - gpa)
            return true;
    }
    return false;
}

/* Whether the pages are RAM that no range has. */
static bool free_ram(const struct bundle_descriptor *d, uint64_t gpa, uint64_t page_count)
{
    uint64_t end;

    if (!span_end(gpa, page_count, &end) || !in_ram(d, gpa, end))
        return false;
    for (uint32_t i = 0; i < d->range_count; i++)
        if (overlaps(d->ranges[i].gpa, d->ranges[i].page_count, gpa, page_count))
            return false;
    return true;
}

static enum bundle_error check_shared_pages(const struct bundle_descriptor *d)
{
    if (!free_ram(d, d->exit_window_gpa, BUNDLE_EXIT_WINDOW_PAGES))
        return BUNDLE_BAD_EXIT_WINDOW;
    if (!d->ap_start_gpa || d->ap_start_gpa >= LOW_MEMORY_END || !free_ram(d, d->ap_start_gpa, 1) ||
        overlaps(d->exit_window_gpa, BUNDLE_EXIT_WINDOW_PAGES, d->ap_start_gpa, 1))
        return BUNDLE_BAD_AP_PAGE;
    return BUNDLE_OK;
}

static enum bundle_error check_interfaces(const struct bundle_descriptor *d)
{
    if (!windows_ascend(d->mmio, d->mmio_count))
        return BUNDLE_BAD_MMIO;
    for (uint32_t i = 0; i < d->mmio_count; i++) {
        if (overlaps(d->mmio[i].gpa, d->mmio[i].page_count, LOCAL_APIC_GPA, 1))
            return BUNDLE_BAD_MMIO;
        for (uint32_t j = 0; j < d->ram_count; j++)
            if (overlaps(d->mmio[i].gpa, d->mmio[i].page_count, d->ram[j].gpa, d->ram[j].page_count))
                return BUNDLE_BAD_MMIO;
    }
    for (uint32_t i = 0; i < d->port_count; i++)
        if (d->ports[i].first > d->ports[i].last || (i && d->ports[i].first <= d->ports[i - 1].last))
            return BUNDLE_BAD_PORTS;
    if (d->vectors[0] & 0xffffffffull)
        return BUNDLE_BAD_VECTORS;
    for (uint32_t i = 0; i < d->cpu_feature_count; i++)
        if (d->cpu_features[i].reg > 3 || !d->cpu_features[i].mask)
            return BUNDLE_BAD_CPU_FEATURE;
    return BUNDLE_OK;
}

static enum bundle_error check_form(const struct bundle_descriptor *d, uint64_t gpa, uint64_t size)
{
    if (d->magic != BUNDLE_MAGIC)
        return BUNDLE_BAD_MAGIC;
    if (d->version != BUNDLE_VERSION)
        return BUNDLE_BAD_VERSION;
    if (size != sizeof(*d) || d->size != sizeof(*d))
        return BUNDLE_BAD_SIZE;
    if (gpa % BUNDLE_PAGE_SIZE || d->gpa != gpa)
        return BUNDLE_BAD_PLACE;
    if (d->flags & ~(uint32_t)BUNDLE_FLAG_ALL)
        return BUNDLE_BAD_FLAGS;
    if (d->machine < BUNDLE_MICROVM || d->machine > BUNDLE_Q35)
        return BUNDLE_BAD_MACHINE;
    if (!d->vcpu_count || d->vcpu_count > BUNDLE_VCPU_MAX || !d->range_count || d->range_count > BUNDLE_RANGE_MAX ||
        !d->ram_count || d->ram_count > BUNDLE_RAM_MAX || d->mmio_count > BUNDLE_MMIO_MAX ||
        d->port_count > BUNDLE_PORT_MAX || d->cpu_feature_count > BUNDLE_CPU_MAX)
        return BUNDLE_BAD_COUNT;
    return BUNDLE_OK;
}

#define UNUSED_ZERO(array, count)                                                                                      \
    all_zero((const uint8_t *)&(array)[count], sizeof(array) - (count) * sizeof((array)[0]))

enum bundle_error bundle_check(const struct bundle_descriptor *d, uint64_t gpa, uint64_t size)
{
    enum bundle_error error = check_form(d, gpa, size);

    if (error)
        return error;
    if (!UNUSED_ZERO(d->ranges, d->range_count) || !UNUSED_ZERO(d->ram, d->ram_count) ||
        !UNUSED_ZERO(d->mmio, d->mmio_count) || !UNUSED_ZERO(d->ports, d->port_count) ||
        !UNUSED_ZERO(d->cpu_features, d->cpu_feature_count) || !UNUSED_ZERO(d->reserved, 0) ||
        !UNUSED_ZERO(d->padding, 0))
        return BUNDLE_BAD_NOT_ZERO;
    if (!windows_ascend(d->ram, d->ram_count))
        return BUNDLE_BAD_RAM;
    error = check_ranges(d);
    if (error)
        return error;
    if (!measured(d, d->gpa, sizeof(*d)))
        return BUNDLE_BAD_UNMEASURED_DESCRIPTOR;
    if (!measured(d, d->entry_rip, 1) || !measured(d, d->entry_rsi, BUNDLE_PAGE_SIZE) || d->cr3 % BUNDLE_PAGE_SIZE ||
        !measured(d, d->cr3, BUNDLE_PAGE_SIZE) || d->gdt_limit >= BUNDLE_PAGE_SIZE ||
        !measured(d, d->gdt_gpa, (uint64_t)d->gdt_limit + 1))
        return BUNDLE_BAD_UNMEASURED_START;
    error = check_shared_pages(d);
    return error ? error : check_interfaces(d);
}
