/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libFuzzer target: VMREAD and VMWRITE of any encoding. What the look-up finds fits the encoding, and a value that
 * was merged in reads back cut to the field's width.
 */
#include "fuzz.h"
#include "nested-vmx/vmcs_fields.h"

static void check_field(uint32_t encoding, const struct vmcs_field *field, uint64_t old, uint64_t value)
{
    static const uint64_t masks[] = { UINT16_MAX, UINT64_MAX, UINT32_MAX, UINT64_MAX };
    uint64_t mask = encoding & 1 ? UINT32_MAX : masks[VMCS_ENCODING_WIDTH(encoding)];
    uint64_t merged = vmcs_field_merge(encoding, old, value);

    require((field->encoding | (encoding & 1)) == encoding);
    require(vmcs_field_extract(encoding, merged) == (value & mask));
    if (encoding & 1)
        require((merged & UINT32_MAX) == (old & UINT32_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, size };

    while (in.size != 0) {
        uint64_t encoding = take(&in, size & 1 ? 2 : 8);
        uint64_t old = take(&in, 8), value = take(&in, 8);
        int index = vmcs_field_lookup(encoding);

        require(index >= -1 && index < VMCS_FIELD_COUNT);
        require(index < 0 || encoding <= 0x7fff);
        if (index >= 0)
            check_field((uint32_t)encoding, &vmcs_fields[index], old, value);
    }
    return 0;
}
