/* SPDX-License-Identifier: GPL-2.0-only */
/* A launch descriptor that bundle_check accepts, for tests to break. */
#ifndef BUNDLE_SAMPLE_H
#define BUNDLE_SAMPLE_H

#include <string.h>
#include "cloudvisor/bundle/bundle_check.h"

#define SAMPLE_GPA 0x110000ull

static inline void sample_descriptor(struct bundle_descriptor *d)
{
    memset(d, 0, sizeof(*d));
    d->magic = BUNDLE_MAGIC;
    d->version = BUNDLE_VERSION;
    d->size = sizeof(*d);
    d->gpa = SAMPLE_GPA;
    d->machine = BUNDLE_PC;
    d->vcpu_count = 2;
    d->entry_rip = 0x1000200;
    d->entry_rsi = 0x113000;
    d->cr3 = 0x111000;
    d->gdt_gpa = 0x112000;
    d->gdt_limit = 31;
    d->ap_start_gpa = 0x8000;
    d->exit_window_gpa = 0x1c0000;
    d->virtio_kinds = 4;
    d->vectors[0] = 0xffffffff00000000ull;
    d->range_count = 4;
    d->ranges[0] = (struct bundle_range){ 0x110000, 4, BUNDLE_MEASURED };
    d->ranges[1] = (struct bundle_range){ 0x180000, 16, BUNDLE_ZERO };
    d->ranges[2] = (struct bundle_range){ 0x200000, 1, BUNDLE_INPUT };
    d->ranges[3] = (struct bundle_range){ 0x1000000, 100, BUNDLE_MEASURED };
    d->ram_count = 3;
    d->ram[0] = (struct bundle_window){ 0, 0xa0 };
    d->ram[1] = (struct bundle_window){ 0x100000, 0xff00 };
    d->ram[2] = (struct bundle_window){ 0x100000000, 0x100 };
    d->mmio_count = 2;
    d->mmio[0] = (struct bundle_window){ 0xe0000000, 0x100 };
    d->mmio[1] = (struct bundle_window){ 0xfec00000, 1 };
    d->port_count = 2;
    d->ports[0] = (struct bundle_ports){ 0x3f8, 0x3ff };
    d->ports[1] = (struct bundle_ports){ 0xcf8, 0xcff };
    d->cpu_feature_count = 1;
    d->cpu_features[0] = (struct bundle_cpu_feature){ 1, 0, 2, 1u << 21 };
}

#endif
