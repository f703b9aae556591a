/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A next stage for testing the loader: an EFI application that shows its load options, looks at the memory map for
 * reserved memory, calls the other CPUs once more, and returns a status of its own to the loader.
 */
#include "cloudvisor/loader/console.h"
#include "cloudvisor/loader/cpus.h"
#include "cloudvisor/loader/firmware.h"

EFI_STATUS efi_main(EFI_HANDLE self, EFI_SYSTEM_TABLE *system);

static void show_options(void)
{
    const CHAR16 *options = firmware_self_image->LoadOptions;
    char text[200];
    size_t i = 0;

    for (; options && i < sizeof(text) - 1 && i < firmware_self_image->LoadOptionsSize / 2 && options[i]; i++)
        text[i] = (char)options[i];
    text[i] = '\0';
    console_line("HELLO options: %s", text);
}

static void show_reserved(void)
{
    struct firmware_map map;

    if (EFI_ERROR(firmware_memory_map(&map)))
        return;
    for (size_t at = 0; at < map.size; at += map.descriptor_size) {
        const struct firmware_memory *memory = (const void *)((const char *)map.descriptors + at);

        if (memory->type == EfiReservedMemoryType && memory->page_count >= 512)
            console_line("HELLO reserved: %lx, %lu pages", memory->base, memory->page_count);
    }
}

static void mark(void *argument)
{
    *(uint32_t *)argument = 1;
}

static void call_cpus(void)
{
    struct cpu_list cpus;
    uint32_t answered = 0;

    if (EFI_ERROR(cpus_list(&cpus)))
        return;
    for (uint32_t i = 0; i < cpus.count; i++) {
        uint32_t here = 0;

        if (!EFI_ERROR(cpus_run(&cpus, i, mark, &here)))
            answered += here;
    }
    console_line("HELLO cpus: %u of %u answer", answered, cpus.count);
}

static void end_emulation(void)
{
    for (const char *letter = "Shutdown"; *letter; letter++)
        __asm__ volatile("outb %0, %1" : : "a"(*letter), "Nd"((uint16_t)0x8900));
}

EFI_STATUS efi_main(EFI_HANDLE self, EFI_SYSTEM_TABLE *system)
{
    firmware_init(self, system);
    console_init();
    show_options();
    show_reserved();
    call_cpus();
    firmware_boot->Stall(500000); /* microseconds: lets the serial line drain */
    end_emulation();
    return EFI_ABORTED;
}
