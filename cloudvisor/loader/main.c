/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cloudvisor.efi: reads its configuration, checks the CPUs, places the layer in reserved memory, demotes every CPU
 * and starts the next stage, all as an EFI application. Trusted: it is measured together with the layer inside it.
 * Not trusted: the configuration file. Invariant: the next stage runs either wholly demoted or, if the configuration
 * allows it and the screen says so, wholly undemoted; never in between.
 */
#include "cloudvisor/hypercall.h"
#include "cloudvisor/loader/capabilities.h"
#include "cloudvisor/loader/conf.h"
#include "cloudvisor/loader/console.h"
#include "cloudvisor/loader/cpus.h"
#include "cloudvisor/loader/demote.h"
#include "cloudvisor/loader/firmware.h"
#include "cloudvisor/loader/layer_place.h"
#include "cloudvisor/loader/next_stage.h"
#include "cloudvisor/loader/suitability.h"

#define CONF_NAME "\\EFI\\cloudvisor\\cloudvisor.conf"

enum { STOP_SECONDS = 10, FAULT_MAX = 224 };

EFI_STATUS efi_main(EFI_HANDLE self, EFI_SYSTEM_TABLE *system);

/* Lets the user read the message; `status` goes back to the firmware, which tries its next boot option. */
static EFI_STATUS stop(EFI_STATUS status)
{
    console_line("CloudVisor: not started. Press a key or wait %u seconds to go back to the firmware.", STOP_SECONDS);
    firmware_wait_key(STOP_SECONDS);
    return status;
}

static EFI_STATUS read_conf(struct conf *conf)
{
    static char text[CONF_FILE_MAX + 1];
    static CHAR16 name[] = L"\\EFI\\cloudvisor\\cloudvisor.conf";
    char description[FAULT_MAX];
    struct conf_fault fault;
    size_t size = sizeof(text);
    EFI_STATUS status = firmware_read_file(name, text, &size);

    if (EFI_ERROR(status)) {
        console_line("CloudVisor: cannot read " CONF_NAME ": %s", firmware_status_name(status));
        console_line("CloudVisor: put it on the volume of cloudvisor.efi, with at least a line next = \\EFI\\...");
        return status;
    }
    if (conf_parse(text, size, conf, &fault))
        return EFI_SUCCESS;
    conf_describe(&fault, description, sizeof(description));
    console_line("CloudVisor: " CONF_NAME ": %s", description);
    return EFI_INVALID_PARAMETER;
}

/* Names what CPU `index` lacks, one line each. True if nothing. */
static bool judge(uint32_t index, uint32_t apic_id, const struct cpu_capabilities *cpu)
{
    unsigned position = 0;
    const char *missing;
    bool suitable = true;

    while ((missing = suitability_next_missing(cpu, &position))) {
        console_line("CloudVisor: CPU %u (APIC id %u) lacks: %s", index, apic_id, missing);
        suitable = false;
    }
    return suitable;
}

/* EFI_UNSUPPORTED if a CPU lacks something. `has_1gib_pages`: on all of them. */
static EFI_STATUS check_cpus(const struct cpu_list *cpus, bool *has_1gib_pages)
{
    EFI_STATUS result = EFI_SUCCESS;

    *has_1gib_pages = true;
    for (uint32_t i = 0; i < cpus->count; i++) {
        struct cpu_capabilities cpu;
        EFI_STATUS status = cpus_run(cpus, i, capabilities_read, &cpu);

        if (EFI_ERROR(status)) {
            console_line("CloudVisor: CPU %u (APIC id %u): the firmware cannot start it: %s", i, cpus->apic_id[i],
                         firmware_status_name(status));
            return status;
        }
        *has_1gib_pages = *has_1gib_pages && suitability_has_1gib_pages(&cpu);
        if (!judge(i, cpus->apic_id[i], &cpu))
            result = EFI_UNSUPPORTED;
    }
    return result;
}

static EFI_STATUS list_cpus(const struct conf *conf, struct cpu_list *cpus)
{
    EFI_STATUS status = cpus_list(cpus);

    if (status == EFI_UNSUPPORTED) {
        console_line("CloudVisor: more than %u CPUs; switch some off in the firmware set-up", BOOT_CPU_MAX);
    } else if (EFI_ERROR(status)) {
        console_line("CloudVisor: the firmware does not list its CPUs: %s", firmware_status_name(status));
    } else if (cpus->unlisted && conf->init_mode == BOOT_INIT_EXIT) {
        console_line(
            "CloudVisor: the firmware disables CPUs or does not list them, and the host could start those outside");
        console_line("the layer. Enable them in the firmware set-up, or set init = trap");
        status = EFI_UNSUPPORTED;
    } else if (cpus->disabled_count) {
        console_line("CloudVisor: %u CPUs are disabled in the firmware and stay out", cpus->disabled_count);
    }
    return status;
}

static EFI_STATUS unsuitable(const struct conf *conf)
{
    if (!conf->run_undemoted)
        return stop(EFI_UNSUPPORTED);
    console_line("CloudVisor: NOT ACTIVE. Starting the next stage without the layer (unsuitable = continue).");
    return next_stage_run(conf);
}

static EFI_STATUS demote_and_run(const struct conf *conf, const struct cpu_list *cpus, bool has_1gib_pages)
{
    struct layer layer;
    struct demotion demotion;
    EFI_STATUS status = layer_place(conf, cpus, has_1gib_pages, &layer);

    if (EFI_ERROR(status))
        return stop(status);
    status = demote_all(cpus, &layer, &demotion);
    if (EFI_ERROR(status) && demotion.done_count == 0) {
        layer_release(&layer);
        return demotion.reason == DEMOTE_UNSUITABLE_CPU ? unsuitable(conf) : stop(status);
    }
    if (EFI_ERROR(status)) {
        console_line("CloudVisor: %u of %u CPUs are demoted and stay so; switch the machine off and on",
                     demotion.done_count, cpus->count);
        return stop(status);
    }
    console_line("CloudVisor %u.%u.%u: %u CPUs demoted", LAYER_VERSION >> 16, LAYER_VERSION >> 8 & 0xff,
                 LAYER_VERSION & 0xff, demotion.done_count);
    return next_stage_run(conf);
}

EFI_STATUS efi_main(EFI_HANDLE self, EFI_SYSTEM_TABLE *system)
{
    static struct conf conf;
    static struct cpu_list cpus;
    bool has_1gib_pages;
    EFI_STATUS status = firmware_init(self, system);

    if (EFI_ERROR(status))
        return status;
    console_init();
    status = read_conf(&conf);
    if (EFI_ERROR(status))
        return stop(status);
    console_use_port(conf.log_port);
    status = list_cpus(&conf, &cpus);
    if (EFI_ERROR(status))
        return stop(status);
    status = check_cpus(&cpus, &has_1gib_pages);
    if (status == EFI_UNSUPPORTED)
        return unsuitable(&conf);
    if (EFI_ERROR(status))
        return stop(status);
    return demote_and_run(&conf, &cpus, has_1gib_pages);
}
