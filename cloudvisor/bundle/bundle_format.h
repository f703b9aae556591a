/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The launch descriptor: what a bundle says about the protected VM that it wants to become. One page, little-endian,
 * inside a measured range of the bundle. Written by cvbundle, handed over by the stub, read by the layer, which takes
 * it from memory that the host wrote: nothing in it counts before bundle_check. docs/bundle.md describes each byte.
 */
#ifndef BUNDLE_FORMAT_H
#define BUNDLE_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define BUNDLE_PAGE_SIZE    4096u
#define BUNDLE_MAGIC        0x454c444e55425643ull /* "CVBUNDLE" */
#define BUNDLE_VERSION      1u
#define BUNDLE_DIGEST_MAGIC 0x48434e55414c5643ull /* "CVLAUNCH" */
#define BUNDLE_DIGEST_BYTES 32u

/* RBX = the descriptor's guest-physical address, RCX = its size. Success never returns; else RAX, enum bundle_error. */
#define BUNDLE_CALL_LAUNCH 0x43560100u
/* Made by the code in the AP start page, from 64-bit mode, without operands. */
#define BUNDLE_CALL_AP_START 0x43560101u

enum {
    BUNDLE_FLAG_DEBUG = 1u << 0,       /* the host may debug this VM */
    BUNDLE_FLAG_NMI = 1u << 1,         /* the host may inject NMIs */
    BUNDLE_FLAG_ALLOW_PLAIN = 1u << 2, /* tests only: the stub goes on unprotected when there is no layer */
    BUNDLE_FLAG_ALL = BUNDLE_FLAG_DEBUG | BUNDLE_FLAG_NMI | BUNDLE_FLAG_ALLOW_PLAIN,
};

enum bundle_machine { BUNDLE_MICROVM = 1, BUNDLE_PC = 2, BUNDLE_Q35 = 3 };

enum bundle_range_kind {
    BUNDLE_MEASURED = 1, /* claimed at launch, address and contents are in the launch digest */
    BUNDLE_ZERO = 2,     /* belongs to the bundle, zero at launch whatever the host put there */
    BUNDLE_INPUT = 3,    /* claimed at launch with the contents that the host gave it, not measured */
};

enum {
    BUNDLE_RANGE_MAX = 32,
    BUNDLE_RAM_MAX = 8,
    BUNDLE_MMIO_MAX = 32,
    BUNDLE_PORT_MAX = 32,
    BUNDLE_CPU_MAX = 16,
    BUNDLE_VCPU_MAX = 64,
    BUNDLE_EXIT_WINDOW_PAGES = 4,
    BUNDLE_VECTOR_WORDS = 4,
};

/* No RAM at or above this guest-physical address: it keeps every sum of an address and a size within 64 bits. */
#define BUNDLE_GPA_LIMIT (1ull << 40)

struct bundle_range {
    uint64_t gpa;
    uint32_t page_count;
    uint32_t kind; /* enum bundle_range_kind */
};

struct bundle_window {
    uint64_t gpa;
    uint64_t page_count;
};

struct bundle_ports {
    uint16_t first;
    uint16_t last; /* inclusive */
};

/* CPUID(leaf, subleaf) must have all bits of `mask` set in register 0 to 3: EAX, EBX, ECX, EDX. */
struct bundle_cpu_feature {
    uint32_t leaf;
    uint32_t subleaf;
    uint32_t reg;
    uint32_t mask;
};

struct bundle_descriptor {
    uint64_t magic;
    uint32_t version;
    uint32_t size;  /* of this structure */
    uint64_t gpa;   /* where this structure lies */
    uint32_t flags; /* BUNDLE_FLAG_* */
    uint32_t machine;
    uint32_t vcpu_count;
    uint32_t range_count;
    uint32_t ram_count;
    uint32_t mmio_count;
    uint32_t port_count;
    uint32_t cpu_feature_count;

    /* The first vCPU's state at the entry point, beyond the layer's constants. All in measured ranges. */
    uint64_t entry_rip;
    uint64_t entry_rsi; /* boot_params */
    uint64_t cr3;       /* 4-level tables, identity map */
    uint64_t gdt_gpa;   /* selectors 10h: 64-bit code, 18h: data, both flat */
    uint32_t gdt_limit;
    uint32_t ap_start_gpa; /* one page below 1 MiB that the host sees */
    uint64_t exit_window_gpa;
    uint64_t virtio_kinds;                 /* bit n: virtio device ID n may be used */
    uint64_t vectors[BUNDLE_VECTOR_WORDS]; /* bit n: the host may inject external interrupt vector n */
    uint64_t reserved[11];

    struct bundle_range ranges[BUNDLE_RANGE_MAX]; /* ascending, none overlaps another */
    struct bundle_window ram[BUNDLE_RAM_MAX];     /* ascending; whatever is not in it is no RAM */
    struct bundle_window mmio[BUNDLE_MMIO_MAX];   /* ascending, none in RAM */
    struct bundle_ports ports[BUNDLE_PORT_MAX];   /* ascending */
    struct bundle_cpu_feature cpu_features[BUNDLE_CPU_MAX];
    uint8_t padding[2328];
};

/* What the launch digest hashes: this header, then for each measured range its record and its pages' contents. */
struct bundle_digest_header {
    uint64_t magic;
    uint32_t version;
    uint32_t measured_count;
    uint64_t descriptor_gpa;
    uint64_t page_count; /* of all measured ranges together */
};

struct bundle_digest_range {
    uint64_t gpa;
    uint64_t page_count;
};

/* What lies between these places, and the size of an element, follow from them. */
_Static_assert(sizeof(struct bundle_descriptor) == BUNDLE_PAGE_SIZE, "layout");
_Static_assert(offsetof(struct bundle_descriptor, entry_rip) == 56, "layout");
_Static_assert(offsetof(struct bundle_descriptor, vectors) == 112, "layout");
_Static_assert(offsetof(struct bundle_descriptor, ranges) == 232, "layout");
_Static_assert(offsetof(struct bundle_descriptor, ram) == 744, "layout");
_Static_assert(offsetof(struct bundle_descriptor, mmio) == 872, "layout");
_Static_assert(offsetof(struct bundle_descriptor, ports) == 1384, "layout");
_Static_assert(offsetof(struct bundle_descriptor, cpu_features) == 1512, "layout");
_Static_assert(sizeof(struct bundle_digest_header) == 32 && sizeof(struct bundle_digest_range) == 16, "layout");

#endif
