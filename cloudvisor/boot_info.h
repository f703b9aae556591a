/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the EFI loader hands to the layer; loader/layer_image.h has the head of the layer's image that the loader reads.
 * The loader is trusted (it is measured with the layer); everything here is still bounds-checked once.
 */
#ifndef CLOUDVISOR_BOOT_INFO_H
#define CLOUDVISOR_BOOT_INFO_H

#include <stdint.h>

#define BOOT_INFO_MAGIC UINT64_C(0x4f464e49544f4f42) /* "BOOTINFO" */

/* Virtual addresses in root mode. The image is linked for LAYER_VA; all RAM appears at DIRECT_MAP_VA. */
#define LAYER_VA      UINT64_C(0xffffff8000000000)
#define DIRECT_MAP_VA UINT64_C(0xffff800000000000)

enum { BOOT_MEMORY_MAX = 256, BOOT_CPU_MAX = 64 };

enum boot_memory_kind { BOOT_MEMORY_RAM = 1, BOOT_MEMORY_OTHER = 2 };

struct boot_memory_range {
    uint64_t base; /* physical, 4 KiB aligned */
    uint64_t size; /* bytes */
    uint64_t kind; /* enum boot_memory_kind: RAM whatever EFI type it has, or not RAM */
};

enum boot_init_mode { BOOT_INIT_EXIT = 0, BOOT_INIT_TRAP = 1 };
enum boot_log_port { BOOT_LOG_NONE = 0, BOOT_LOG_COM1 = 0x3f8, BOOT_LOG_COM2 = 0x2f8 };

/* Ports of ACPI's power management; 0: there is none. */
struct boot_power {
    uint16_t event;      /* PM1a event block */
    uint16_t control[2]; /* PM1a and PM1b control registers */
    uint16_t reset;
    uint32_t type_s5; /* SLP_TYP of S5 */
};

/* Lies in the reserved region, directly behind memory_end rounded up to 4 KiB. */
struct boot_info {
    uint64_t magic;
    uint64_t region_base; /* physical, 2 MiB aligned; the image lies at its start */
    uint64_t region_size; /* multiple of 2 MiB */
    uint64_t free_offset; /* first byte of the region that nothing uses yet, 4 KiB aligned */
    uint64_t root_cr3;    /* physical address of the PML4 that the loader built in the region */
    uint64_t ram_top;     /* one past the highest byte of RAM */
    uint32_t cpu_count;
    uint32_t verbosity; /* 0 errors, 1 info, 2 debug */
    uint32_t init_mode; /* enum boot_init_mode; with a single CPU: EXIT */
    uint32_t log_port;  /* enum boot_log_port */
    uint32_t shadowing; /* 1: use hardware VMCS shadowing where the CPU has it */
    uint32_t tsc_khz;   /* of the time-stamp counter; 0: not known */
    struct boot_power power;
    uint32_t apic_id[BOOT_CPU_MAX]; /* by CPU index; 0 is the boot CPU */
    uint32_t memory_count;
    struct boot_memory_range memory[BOOT_MEMORY_MAX];
};

/*
 * Demotes the calling CPU. Called once per CPU, CPU 0 first, one CPU at a time, interrupts off, at identity-mapped physical addresses,
 * System V calling convention. Returns 0 in VMX non-root mode, or a DEMOTE_* reason in unchanged mode.
 */
typedef uint64_t (*layer_entry_fn)(uint64_t boot_info_pa, uint64_t cpu_index) __attribute__((sysv_abi));

enum demote_error {
    DEMOTE_OK = 0,
    DEMOTE_BAD_BOOT_INFO,
    DEMOTE_NO_MEMORY,
    DEMOTE_VMXON_FAILED,
    DEMOTE_VMLAUNCH_FAILED,
    DEMOTE_UNSUITABLE_CPU,
    DEMOTE_NO_RANDOM,
    DEMOTE_CRYPTO_FAILED,
};

#endif
