/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libFuzzer target: bundle_check on any page, half the time one that starts from a sound descriptor with some bytes
 * changed. What it accepts is checked again page by page, the slow way.
 */
#include <stdbool.h>
#include <stdlib.h>
#include "sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static bool in_ram(const struct bundle_descriptor *d, uint64_t gpa)
{
    for (uint32_t i = 0; i < d->ram_count; i++)
        if (gpa >= d->ram[i].gpa && (gpa - d->ram[i].gpa) / BUNDLE_PAGE_SIZE < d->ram[i].page_count)
            return true;
    return false;
}

static uint32_t owners(const struct bundle_descriptor *d, uint64_t gpa)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < d->range_count; i++)
        count += gpa >= d->ranges[i].gpa && (gpa - d->ranges[i].gpa) / BUNDLE_PAGE_SIZE < d->ranges[i].page_count;
    count += gpa >= d->exit_window_gpa && (gpa - d->exit_window_gpa) / BUNDLE_PAGE_SIZE < BUNDLE_EXIT_WINDOW_PAGES;
    return count + (gpa / BUNDLE_PAGE_SIZE == d->ap_start_gpa / BUNDLE_PAGE_SIZE);
}

static void check_page(const struct bundle_descriptor *d, uint64_t gpa)
{
    require(gpa % BUNDLE_PAGE_SIZE == 0 && gpa < BUNDLE_GPA_LIMIT);
    require(in_ram(d, gpa) && owners(d, gpa) == 1);
}

static void check_accepted(const struct bundle_descriptor *d)
{
    require(d->range_count <= BUNDLE_RANGE_MAX && d->ram_count <= BUNDLE_RAM_MAX && d->mmio_count <= BUNDLE_MMIO_MAX);
    require(d->port_count <= BUNDLE_PORT_MAX && d->cpu_feature_count <= BUNDLE_CPU_MAX);
    for (uint32_t i = 0; i < d->range_count; i++) {
        check_page(d, d->ranges[i].gpa);
        check_page(d, d->ranges[i].gpa + (d->ranges[i].page_count - 1ull) * BUNDLE_PAGE_SIZE);
    }
    for (uint64_t i = 0; i < BUNDLE_EXIT_WINDOW_PAGES; i++)
        check_page(d, d->exit_window_gpa + i * BUNDLE_PAGE_SIZE);
    check_page(d, d->ap_start_gpa);
    for (uint32_t i = 0; i < d->mmio_count; i++)
        require(!in_ram(d, d->mmio[i].gpa));
    require(owners(d, d->gpa) == 1 && owners(d, d->cr3) == 1 && owners(d, d->entry_rip) == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bundle_descriptor d;

    if (size && data[0] & 1) {
        sample_descriptor(&d);
        for (size_t i = 1; i + 4 <= size; i += 4) /* offset, bits to flip */
            ((uint8_t *)&d)[((size_t)data[i] | (size_t)data[i + 1] << 8) % sizeof(d)] ^= (uint8_t)(data[i + 2] ^
                                                                                                   data[i + 3]);
    } else {
        memset(&d, 0, sizeof(d));
        memcpy(&d, data, size < sizeof(d) ? size : sizeof(d));
    }
    if (bundle_check(&d, d.gpa, sizeof(d)) == BUNDLE_OK)
        check_accepted(&d);
    return 0;
}
