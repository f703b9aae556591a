/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libFuzzer target: a valid vmcs12 with any fields overwritten, on a processor with any capabilities. The checks end
 * with one of their numbers, and they are monotonic: less offered, or fewer address bits, never makes a bad vmcs12
 * good; taking away the event, the lists or the EPT never makes a good one bad.
 */
#include "fuzz.h"
#include "entry_baseline.h"

static enum vm_instruction_error controls(const struct entry *e)
{
    return entry_check_controls(e->fields, &e->offer, &e->limits);
}

static enum vm_instruction_error host(const struct entry *e)
{
    return entry_check_host_state(e->fields, &e->offer, &e->limits);
}

static void parse(struct entry *e, struct input *in)
{
    static const uint8_t widths[] = { 32, 36, 39, 46, 52 };
    uint64_t options = take(in, 2);

    entry_baseline(e);
    e->limits.linear_width = options & 2 ? 57 : 48;
    e->limits.physical_width = widths[(options >> 2 & 7) % 5];
    if (options & 0x20)
        e->offer.misc ^= take(in, 8);
    if (options & 0x40)
        e->offer.ept_vpid &= take(in, 8);
    if (options & 0x80)
        e->offer.secondary.may_be_1 = (uint32_t)take(in, 4);
    while (in->size != 0) {
        unsigned index = (unsigned)take(in, 1) % VMCS_FIELD_COUNT;
        uint64_t old = e->fields[index];
        unsigned how = (unsigned)take(in, 1);

        /* Small changes reach further than random ones. */
        if (how < 64)
            e->fields[index] = old ^ UINT64_C(1) << how;
        else
            e->fields[index] = take(in, how < 128 ? 2 : how < 192 ? 4 : 8);
    }
}

/* What a good vmcs12 has to satisfy, said again in other words. */
static void check_good(const struct entry *e)
{
    const uint64_t *f = e->fields;
    uint32_t info = (uint32_t)f[FIELD_VM_ENTRY_INTERRUPTION_INFO];
    uint64_t limit = UINT64_C(1) << e->limits.physical_width;

    require((f[FIELD_PIN_BASED_CONTROLS] & ~(uint64_t)e->offer.pin.may_be_1 & UINT32_MAX) == 0);
    require((f[FIELD_VM_EXIT_CONTROLS] & ~(uint64_t)e->offer.exit.may_be_1 & UINT32_MAX) == 0);
    require((f[FIELD_VM_ENTRY_CONTROLS] & ~(uint64_t)e->offer.entry.may_be_1 & UINT32_MAX) == 0);
    require((entry_secondary_controls(f) & ~e->offer.secondary.may_be_1) == 0);
    if (f[FIELD_PROCESSOR_BASED_CONTROLS] & PROC_MSR_BITMAPS)
        require(f[FIELD_MSR_BITMAP] < limit && f[FIELD_MSR_BITMAP] % 4096 == 0);
    if (entry_secondary_controls(f) & SEC_EPT)
        require(f[FIELD_EPT_POINTER] < limit && (f[FIELD_EPT_POINTER] & 0xf80) == 0);
    if (f[FIELD_VM_ENTRY_MSR_LOAD_COUNT] & UINT32_MAX)
        require(f[FIELD_VM_ENTRY_MSR_LOAD_ADDR] < limit && f[FIELD_VM_ENTRY_MSR_LOAD_ADDR] % 16 == 0);
    if (info & INTR_VALID)
        require(INTR_TYPE(info) != 7);
}

static void check_monotonic(const struct entry *good)
{
    struct entry e = *good;

    e.limits.physical_width = 52;
    require(controls(&e) == VMERR_NONE);
    e = *good;
    e.fields[FIELD_VM_ENTRY_INTERRUPTION_INFO] &= ~(uint64_t)INTR_VALID;
    require(controls(&e) == VMERR_NONE);
    e.fields[FIELD_VM_EXIT_MSR_STORE_COUNT] = e.fields[FIELD_VM_EXIT_MSR_LOAD_COUNT] = 0;
    e.fields[FIELD_VM_ENTRY_MSR_LOAD_COUNT] = 0;
    require(controls(&e) == VMERR_NONE);
    if (e.offer.secondary.must_be_1 == 0) {
        e.fields[FIELD_SECONDARY_CONTROLS] &= ~(uint64_t)(SEC_EPT | SEC_UNRESTRICTED_GUEST);
        require(controls(&e) == VMERR_NONE);
    }
}

static void check_less_offered(const struct entry *bad)
{
    struct entry e = *bad;

    e.offer.secondary.may_be_1 &= UINT32_C(0x5a5a5a5a);
    e.offer.exit.may_be_1 &= e.offer.exit.must_be_1 | UINT32_C(0x5a5a5a5a);
    e.offer.ept_vpid = 0;
    e.offer.misc &= ~MISC_INJECT_LENGTH_0;
    e.limits.physical_width = 32;
    require(controls(&e) == VMERR_ENTRY_CONTROLS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, size };
    struct entry e, before;

    parse(&e, &in);
    before = e;
    require(controls(&e) == VMERR_NONE || controls(&e) == VMERR_ENTRY_CONTROLS);
    require(host(&e) == VMERR_NONE || host(&e) == VMERR_ENTRY_HOST_STATE);
    require(memcmp(&e, &before, sizeof(e)) == 0);
    if (controls(&e) == VMERR_NONE) {
        check_good(&e);
        check_monotonic(&e);
    } else {
        check_less_offered(&e);
    }
    if (host(&e) == VMERR_NONE) {
        require((e.fields[FIELD_HOST_CS_SELECTOR] & 7) == 0 && e.fields[FIELD_HOST_CS_SELECTOR] != 0);
        require((e.fields[FIELD_HOST_CR4] & 0x20) != 0);
        require(e.fields[FIELD_HOST_CR3] >> e.limits.physical_width == 0);
    }
    return 0;
}
