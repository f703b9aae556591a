/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The policy file: "key = value" lines, '#' as the first character of a line starts a comment, printable ASCII. What
 * is unknown, doubled or malformed is refused with its line. Keys marked + may come more than once.
 *
 *   machine = microvm | pc | q35     the QEMU machine type
 *   vcpus   = 1 to 64
 *   memory  = 512M                   with K, M or G; what `qemu -m` gives
 *   devices = serial virtio-blk      + kinds that may be used, see devices.def
 *   mmio    = 0xfeb00000-0xfeb02fff  + whole pages; without this key, those of the machine type and the devices
 *   ports   = 0x3f8-0x3ff            + likewise
 *   vectors = 0x20-0x7f 0x81-0xff    + interrupt vectors that the host may inject; this is the default
 *   nmi     = yes | no               default no
 *   debug   = yes | no               default no
 *   cpu     = rdrand aes             + what the processor must offer, besides x2apic, see cpu_features.def
 *   input   = 64K                    unmeasured pages that the host fills before the launch; default none
 */
#ifndef BUNDLE_POLICY_H
#define BUNDLE_POLICY_H

#include <stdbool.h>
#include "cloudvisor/bundle/machine.h"

enum { POLICY_FILE_MAX = 65536, POLICY_LINE_MAX = 512, POLICY_MESSAGE_MAX = 256 };

#define POLICY_INPUT_MAX (8ull << 20)

/* Positions in devices.def; virtio devices are told by their ID. */
enum device_kind { DEVICE_SERIAL, DEVICE_PIC, DEVICE_PIT, DEVICE_RTC, DEVICE_HPET };

struct policy {
    const struct machine *machine; /* NULL: not given */
    uint32_t vcpu_count;           /* 0: not given */
    uint64_t memory;               /* bytes; 0: not given */
    uint64_t input_size;           /* bytes */
    uint32_t devices;              /* bit n: the nth DEVICE of devices.def */
    uint64_t virtio_kinds;
    bool nmi;
    bool debug;
    uint32_t mmio_count;
    struct bundle_window mmio[BUNDLE_MMIO_MAX];
    uint32_t port_count;
    struct bundle_ports ports[BUNDLE_PORT_MAX];
    uint64_t vectors[BUNDLE_VECTOR_WORDS];
    uint32_t cpu_feature_count;
    struct bundle_cpu_feature cpu_features[BUNDLE_CPU_MAX]; /* one per CPUID register */
};

/* `message` says what to change, without the line. */
struct policy_fault {
    uint32_t line; /* from 1; 0: the file as a whole */
    char message[POLICY_MESSAGE_MAX];
};

/* Parses `size` bytes at `text` (need not be terminated). On false only `fault` is valid. */
bool policy_parse(const char *text, size_t size, struct policy *policy, struct policy_fault *fault);

/* The values of single keys, as in the file; false if malformed or out of range. */
bool policy_parse_memory(const char *text, uint64_t *bytes);
bool policy_parse_vcpus(const char *text, uint32_t *count);

/*
 * Once machine, vcpu_count and memory are known: fills in the windows that the file left to the machine type, sorts
 * them, and checks what depends on several keys.
 */
bool policy_complete(struct policy *policy, struct policy_fault *fault);

#endif
