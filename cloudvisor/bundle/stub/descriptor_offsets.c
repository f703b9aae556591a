/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers that entry.S needs from the C headers; the compiler's output of this file becomes descriptor_offsets.h. */
#include "cloudvisor/bundle/bundle_format.h"

#define DEFINE(name, value) __asm__ volatile("\n#define " #name " %c0" : : "i"(value))

void descriptor_offsets(void);

void descriptor_offsets(void)
{
    DEFINE(DESCRIPTOR_CR3, offsetof(struct bundle_descriptor, cr3));
    DEFINE(DESCRIPTOR_GDT_GPA, offsetof(struct bundle_descriptor, gdt_gpa));
    DEFINE(DESCRIPTOR_GDT_LIMIT, offsetof(struct bundle_descriptor, gdt_limit));
    DEFINE(BUNDLE_CALL_LAUNCH_NUMBER, BUNDLE_CALL_LAUNCH);
    DEFINE(BUNDLE_CALL_AP_START_NUMBER, BUNDLE_CALL_AP_START);
}
