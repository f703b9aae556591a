/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Judges a launch descriptor. Pure and freestanding: the layer, cvbundle and the tests use the same code. Whoever
 * wrote the descriptor is not trusted; the caller passes a copy, or a page that is already claimed, so that it can't
 * change underway.
 */
#ifndef BUNDLE_CHECK_H
#define BUNDLE_CHECK_H

#include "cloudvisor/bundle/bundle_format.h"

enum bundle_error {
    BUNDLE_OK = 0,
#define BUNDLE_ERROR(name, value, text) BUNDLE_BAD_##name = (value),
#include "cloudvisor/bundle/bundle_errors.def"
#undef BUNDLE_ERROR
};

/*
 * `gpa` and `size` are the operands of the launch call. On BUNDLE_OK: all counts are within their arrays; all ranges,
 * the exit window and the AP start page are in RAM, below BUNDLE_GPA_LIMIT, and disjoint; the descriptor, the entry
 * point, boot_params, the top page table and the GDT are in measured ranges.
 */
enum bundle_error bundle_check(const struct bundle_descriptor *descriptor, uint64_t gpa, uint64_t size);

#endif
