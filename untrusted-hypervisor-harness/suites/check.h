/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VM-entry cases: a few fields of a good VMCS are changed, the guest is entered, the outcome is printed, the changes
 * are taken back.
 */
#ifndef HARNESS_CHECK_H
#define HARNESS_CHECK_H

#include "untrusted-hypervisor-harness/core/vcpu.h"

enum change_operation { CHANGE_NONE, CHANGE_SET, CHANGE_OR, CHANGE_CLEAR, CHANGE_XOR };

struct change {
    uint8_t operation; /* on the present value of the field */
    uint8_t field;     /* enum vmcs_index */
    uint64_t value;
};

enum { CASE_CHANGES = 5 };

struct entry_case {
    const char *name;
    struct change change[CASE_CHANGES]; /* up to the first CHANGE_NONE */
};

#define SET(name, value)                                                                                               \
    {                                                                                                                  \
        CHANGE_SET, FIELD_##name, value                                                                                \
    }
#define SET_BITS(name, value)                                                                                          \
    {                                                                                                                  \
        CHANGE_OR, FIELD_##name, value                                                                                 \
    }
#define CLEAR_BITS(name, value)                                                                                        \
    {                                                                                                                  \
        CHANGE_CLEAR, FIELD_##name, value                                                                              \
    }
#define FLIP_BITS(name, value)                                                                                         \
    {                                                                                                                  \
        CHANGE_XOR, FIELD_##name, value                                                                                \
    }

#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Applies the changes of a case; false if one needs a field that is not offered. `comparable`: see below. */
bool check_apply(struct vcpu *v, const struct change *changes, bool *comparable);

/* One line per case: "<prefix>.<case> <outcome>". Cases that need what is not offered are left out. */
void check_cases(struct vcpu *v, const char *prefix, const struct entry_case *cases, unsigned count);

/*
 * Flips each bit from `first` to `last` of a field, one entry each, and prints one line of runs of bits with the same
 * outcome: "<prefix>.<field>.<first> 0-3:runs 4:entry-exit33/0 ...".
 */
void check_flips(struct vcpu *v, const char *prefix, enum vmcs_index field, unsigned first, unsigned last);

/*
 * False if `value` for control field `field` is one that the processor allows, but not the layer's announcements: a
 * hidden bit set, or one cleared that must be 1. A run under the layer then sees VMfailValid(7); a bare run is told to
 * say so as well, since the case is "a setting that is not supported".
 */
bool control_bits_comparable(enum vmcs_index field, uint64_t value);
extern const struct outcome unsupported_control;

#endif
