/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What vmcs_fields.def generates: encodings (VMCS_<NAME>), dense indices (FIELD_<NAME>), and the policy table.
 */
#ifndef NESTED_VMX_VMCS_FIELDS_H
#define NESTED_VMX_VMCS_FIELDS_H

#include <stdbool.h>
#include <stdint.h>
#include "nested-vmx/vmx_caps.h"

enum {
#define VMCS_FIELD(encoding, name, offered, home, group, shadow) VMCS_##name = (encoding),
#include "nested-vmx/vmcs_fields.def"
#undef VMCS_FIELD
};

enum vmcs_index {
#define VMCS_FIELD(encoding, name, offered, home, group, shadow) FIELD_##name,
#include "nested-vmx/vmcs_fields.def"
#undef VMCS_FIELD
    VMCS_FIELD_COUNT,
};

enum vmcs_home { HOME_GUEST, HOME_SWITCHED, HOME_CTRL, HOME_COPIED, HOME_HOST, HOME_EXIT };
enum vmcs_shadow { SHADOW_NO, SHADOW_R, SHADOW_RW };

/* Dirty groups: what has to be checked and merged again before the next entry. */
#define DIRTY_NONE     0u
#define DIRTY_CONTROLS BIT32(0)
#define DIRTY_BITMAPS  BIT32(1)
#define DIRTY_HOST     BIT32(2)
#define DIRTY_EVENT    BIT32(3)
#define DIRTY_ALL      (DIRTY_CONTROLS | DIRTY_BITMAPS | DIRTY_HOST | DIRTY_EVENT)

struct vmcs_field {
    uint16_t encoding;
    uint8_t offered; /* enum vmcs_offer */
    uint8_t home;    /* enum vmcs_home */
    uint8_t dirty;   /* DIRTY_* */
    uint8_t shadow;  /* enum vmcs_shadow */
};

extern const struct vmcs_field vmcs_fields[VMCS_FIELD_COUNT];

/* SDM "Field Encoding in VMCS": bit 0 access type, 9:1 index, 11:10 type, 14:13 width. */
enum { VMCS_WIDTH_16, VMCS_WIDTH_64, VMCS_WIDTH_32, VMCS_WIDTH_NATURAL };
#define VMCS_ENCODING_HIGH(e)  ((e)&1u)
#define VMCS_ENCODING_WIDTH(e) (((e) >> 13) & 3u)
#define VMCS_ENCODING_TYPE(e)  (((e) >> 10) & 3u)

/* Index of `encoding` (the high half of a 64-bit field gives its field), or -1 if the layer never offers it. */
int vmcs_field_lookup(uint64_t encoding);

/* `value` cut to what a VMWRITE through `encoding` stores, merged into `old` for the high half of a 64-bit field. */
uint64_t vmcs_field_merge(uint32_t encoding, uint64_t old, uint64_t value);

/* What a VMREAD through `encoding` returns of the full `value`. */
uint64_t vmcs_field_extract(uint32_t encoding, uint64_t value);

#endif
