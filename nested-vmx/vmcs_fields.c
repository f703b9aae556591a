/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The field table as data, and the look-up by encoding that VMREAD and VMWRITE use.
 */
#include "nested-vmx/vmcs_fields.h"

const struct vmcs_field vmcs_fields[VMCS_FIELD_COUNT] = {
#define VMCS_FIELD(enc, name, offer, hm, group, shd)                                                                   \
    [FIELD_##name] = {                                                                                                 \
        .encoding = (enc), .offered = (offer), .home = HOME_##hm, .dirty = DIRTY_##group, .shadow = SHADOW_##shd       \
    },
#include "nested-vmx/vmcs_fields.def"
#undef VMCS_FIELD
};

/* Width, type and index of an encoding as one small number: 4 * 4 * 64 slots, 0 = no field, else index + 1. */
#define SLOT(e) (VMCS_ENCODING_WIDTH(e) << 8 | VMCS_ENCODING_TYPE(e) << 6 | ((e) >> 1 & 0x3f))

static const uint8_t slots[1024] = {
#define VMCS_FIELD(enc, name, offer, hm, group, shd) [SLOT(enc)] = FIELD_##name + 1,
#include "nested-vmx/vmcs_fields.def"
#undef VMCS_FIELD
};

_Static_assert(VMCS_FIELD_COUNT < 255, "indices must fit the look-up table");

int vmcs_field_lookup(uint64_t encoding)
{
    bool high_of_64 = VMCS_ENCODING_HIGH(encoding) != 0 && VMCS_ENCODING_WIDTH(encoding) == VMCS_WIDTH_64;

    if (encoding > 0x7fff || (encoding & 0x1380) != 0)
        return -1;
    if (VMCS_ENCODING_HIGH(encoding) != 0 && !high_of_64)
        return -1;
    return (int)slots[SLOT(encoding)] - 1;
}

uint64_t vmcs_field_merge(uint32_t encoding, uint64_t old, uint64_t value)
{
    if (VMCS_ENCODING_HIGH(encoding))
        return (old & UINT32_MAX) | value << 32;
    switch (VMCS_ENCODING_WIDTH(encoding)) {
    case VMCS_WIDTH_16: return value & UINT16_MAX;
    case VMCS_WIDTH_32: return value & UINT32_MAX;
    default: return value;
    }
}

uint64_t vmcs_field_extract(uint32_t encoding, uint64_t value)
{
    return VMCS_ENCODING_HIGH(encoding) ? value >> 32 : value;
}
