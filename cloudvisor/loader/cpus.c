/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * EFI_MP_SERVICES_PROTOCOL, from the UEFI Platform Initialization specification, volume 2, "MP Services Protocol".
 * What runs on other CPUs touches only memory handed to it: boot services are for the boot CPU.
 */
#include "cloudvisor/loader/cpus.h"

struct processor_location {
    UINT32 package, core, thread;
};

struct processor_information {
    UINT64 processor_id; /* the local APIC's id */
    UINT32 status_flags;
    struct processor_location location;
    UINT32 location2[6]; /* only written if asked for */
};

enum { STATUS_BOOT_CPU = 1, STATUS_ENABLED = 2 };

typedef void(EFIAPI *ap_procedure)(void *argument);

struct mp_services {
    EFI_STATUS(EFIAPI *get_number_of_processors)(struct mp_services *self, UINTN *count, UINTN *enabled_count);
    EFI_STATUS(EFIAPI *get_processor_info)
    (struct mp_services *self, UINTN number, struct processor_information *information);
    void *startup_all_aps;
    EFI_STATUS(EFIAPI *startup_this_ap)
    (struct mp_services *self, ap_procedure procedure, UINTN number, EFI_EVENT wait_event, UINTN timeout_microseconds,
     void *argument, BOOLEAN *finished);
    void *switch_bsp;
    void *enable_disable_ap;
    void *who_am_i;
};

_Static_assert(offsetof(struct processor_information, location) == 12, "PI specification");

struct errand {
    void (*run)(void *);
    void *argument;
};

enum { AP_TIMEOUT_MICROSECONDS = 10000000 };

static EFI_GUID mp_services_guid = { 0x3fdda605, 0xa76e, 0x4f46, { 0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08 } };

static struct mp_services *find_services(void)
{
    struct mp_services *services;

    if (EFI_ERROR(firmware_boot->LocateProtocol(&mp_services_guid, NULL, (void **)&services)))
        return NULL;
    return services;
}

static uint32_t own_apic_id(void)
{
    uint32_t eax = 1, ebx, ecx = 0, edx;

    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ebx >> 24;
}

static EFI_STATUS add_cpu(struct cpu_list *cpus, UINTN number, const struct processor_information *information)
{
    uint32_t index = information->status_flags & STATUS_BOOT_CPU ? 0 : cpus->count;

    if (!(information->status_flags & STATUS_ENABLED)) {
        cpus->disabled_count++;
        cpus->unlisted = true;
        return EFI_SUCCESS;
    }
    if (index >= BOOT_CPU_MAX)
        return EFI_UNSUPPORTED;
    cpus->number[index] = number;
    cpus->apic_id[index] = (uint32_t)information->processor_id;
    if (index > 0)
        cpus->count++;
    return EFI_SUCCESS;
}

EFI_STATUS cpus_list(struct cpu_list *cpus)
{
    struct mp_services *services = find_services();
    UINTN count = 0, enabled_count;
    EFI_STATUS status = EFI_SUCCESS;

    *cpus = (struct cpu_list){ .count = 1, .apic_id = { own_apic_id() } };
    if (!services) {
        cpus->unlisted = true;
        return EFI_SUCCESS;
    }
    status = services->get_number_of_processors(services, &count, &enabled_count);
    for (UINTN number = 0; number < count && !EFI_ERROR(status); number++) {
        struct processor_information information;

        status = services->get_processor_info(services, number, &information);
        if (!EFI_ERROR(status))
            status = add_cpu(cpus, number, &information);
    }
    return status;
}

static void EFIAPI run_errand(void *argument)
{
    struct errand *errand = argument;

    errand->run(errand->argument);
}

EFI_STATUS cpus_run(const struct cpu_list *cpus, uint32_t index, void (*run)(void *), void *argument)
{
    struct errand errand = { run, argument };
    struct mp_services *services;

    if (index == 0) {
        run(argument);
        return EFI_SUCCESS;
    }
    services = find_services();
    if (!services)
        return EFI_NOT_FOUND;
    return services->startup_this_ap(services, run_errand, cpus->number[index], NULL, AP_TIMEOUT_MICROSECONDS, &errand,
                                     NULL);
}
