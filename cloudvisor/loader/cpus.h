/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The machine's CPUs, by the firmware's multiprocessor services: list them, run a function on each.
 * Index 0 is the boot CPU, whatever the firmware's numbering; disabled CPUs are left out and counted.
 */
#ifndef LOADER_CPUS_H
#define LOADER_CPUS_H

#include "cloudvisor/boot_info.h"
#include "cloudvisor/loader/firmware.h"

struct cpu_list {
    uint32_t count;
    uint32_t disabled_count;
    bool unlisted; /* there may be CPUs besides: disabled ones, or the firmware doesn't say */
    uint32_t apic_id[BOOT_CPU_MAX];
    UINTN number[BOOT_CPU_MAX]; /* the firmware's number by index */
};

/* Lists the CPUs. Without multiprocessor services: the boot CPU alone. EFI_UNSUPPORTED: more than BOOT_CPU_MAX. */
EFI_STATUS cpus_list(struct cpu_list *cpus);

/* Runs `run(argument)` on CPU `index` and waits, 10 s at most for another CPU (then EFI_TIMEOUT). No firmware calls. */
EFI_STATUS cpus_run(const struct cpu_list *cpus, uint32_t index, void (*run)(void *), void *argument);

#endif
