/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entry of harness.efi, a tiny hypervisor of our own. It runs bare (as \EFI\BOOT\BOOTX64.EFI) or as the next stage
 * under the layer, does what its options say, and ends the machine.
 *
 * Options: words from the load options or, without any, from \EFI\harness.conf on the same volume:
 *   suite=conformance|guests|hostile|attacks|bench|all
 */
#include <efi.h>
#include "untrusted-hypervisor-harness/core/console.h"
#include "untrusted-hypervisor-harness/core/machine.h"
#include "untrusted-hypervisor-harness/core/vmx.h"
#include "untrusted-hypervisor-harness/core/processors.h"
#include "untrusted-hypervisor-harness/suites/hostile.h"
#include "untrusted-hypervisor-harness/suites/suites.h"

enum { OPTIONS_MAX = 256 };

struct suite {
    const char *name;
    void (*run)(void);
};

static const struct suite suites[] = {
    { "guests", suite_guests },   { "conformance", suite_conformance },
    { "hostile", suite_hostile }, { "attacks", suite_attacks },
    { "bench", suite_bench },     { "bench", suite_bench_protected },
};
enum { SUITE_COUNT = sizeof(suites) / sizeof(suites[0]) };

static EFI_GUID loaded_image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
static EFI_GUID file_system_guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
static char options[OPTIONS_MAX];

static void read_options_file(EFI_BOOT_SERVICES *bs, EFI_HANDLE device)
{
    static CHAR16 path[] = u"\\EFI\\harness.conf";
    EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *fs;
    EFI_FILE_PROTOCOL *root, *file;
    UINTN size = OPTIONS_MAX - 1;
    void *interface;

    if (bs->HandleProtocol(device, &file_system_guid, &interface) != EFI_SUCCESS)
        return;
    fs = interface;
    if (fs->OpenVolume(fs, &root) != EFI_SUCCESS)
        return;
    if (root->Open(root, &file, path, EFI_FILE_MODE_READ, 0) == EFI_SUCCESS) {
        if (file->Read(file, &size, options) != EFI_SUCCESS)
            size = 0;
        options[size] = '\0';
        file->Close(file);
    }
    root->Close(root);
}

static void read_load_options(const EFI_LOADED_IMAGE *image)
{
    const CHAR16 *text = image->LoadOptions;
    UINTN length = image->LoadOptionsSize / sizeof(CHAR16);

    for (UINTN i = 0; i < length && i < OPTIONS_MAX - 1; i++)
        options[i] = (char)text[i];
}

static bool begins_with(const char *text, const char *word)
{
    while (*word != '\0')
        if (*text++ != *word++)
            return false;
    return true;
}

/* What follows "suite=" in the options, or "all". */
static const char *suite_option(void)
{
    for (const char *o = options; *o != '\0'; o++)
        if (begins_with(o, "suite="))
            return o + 6;
    return "all";
}

static void read_options(EFI_HANDLE handle, EFI_BOOT_SERVICES *bs)
{
    EFI_LOADED_IMAGE *image;
    void *interface;

    if (bs->HandleProtocol(handle, &loaded_image_guid, &interface) != EFI_SUCCESS)
        return;
    image = interface;
    read_load_options(image);
    if (!begins_with(suite_option(), "all") || begins_with(options, "suite="))
        return;
    read_options_file(bs, image->DeviceHandle);
}

static bool suite_wanted(const char *suite)
{
    return begins_with(suite_option(), "all") || begins_with(suite_option(), suite);
}

static bool reads_all_ones(uint64_t page)
{
    const volatile uint64_t *word = physical_pointer(page);

    for (unsigned i = 0; i < PAGE_SIZE / sizeof(*word); i++)
        if (word[i] != UINT64_MAX)
            return false;
    return true;
}

/* The layer's: the largest reserved range whose first and last pages read all-ones. The firmware's: the end of RAM. */
static void find_memory(EFI_BOOT_SERVICES *bs)
{
    static uint8_t map[32768];
    UINTN size = sizeof(map), key, entry_size;
    UINT32 version;

    if (bs->GetMemoryMap(&size, (EFI_MEMORY_DESCRIPTOR *)map, &key, &entry_size, &version) != EFI_SUCCESS)
        return;
    for (UINTN at = 0; at + entry_size <= size; at += entry_size) {
        const EFI_MEMORY_DESCRIPTOR *d = (const EFI_MEMORY_DESCRIPTOR *)&map[at];
        uint64_t bytes = d->NumberOfPages * PAGE_SIZE;

        if (d->Type == EfiConventionalMemory || d->Type == EfiBootServicesData || d->Type == EfiRuntimeServicesData)
            hostile_memory_top = d->PhysicalStart + bytes;
        if (d->Type != EfiReservedMemoryType || bytes <= hostile_layer_size)
            continue;
        if (!reads_all_ones(d->PhysicalStart) || !reads_all_ones(d->PhysicalStart + bytes - PAGE_SIZE))
            continue;
        hostile_layer_memory = d->PhysicalStart;
        hostile_layer_size = bytes;
    }
}

static void run_suites(void *unused)
{
    (void)unused;
    if (!vmx_probe()) {
        print("SKIP vmx: no usable VMX");
        print_end_of_result();
        return;
    }
    note("%s", vmx_under_layer ? "under the layer" : "bare processor");
    for (unsigned i = 0; i < SUITE_COUNT; i++)
        if (suite_wanted(suites[i].name))
            suites[i].run();
}

EFI_STATUS efi_main(EFI_HANDLE handle, EFI_SYSTEM_TABLE *system)
{
    EFI_BOOT_SERVICES *bs = system->BootServices;
    EFI_PHYSICAL_ADDRESS arena = ARENA_BASE;

    console_init();
    bs->SetWatchdogTimer(0, 0, 0, NULL);
    read_options(handle, bs);
    if (bs->AllocatePages(AllocateAddress, EfiBootServicesData, ARENA_SIZE / PAGE_SIZE, &arena) != EFI_SUCCESS)
        harness_abort("the memory at %lx is not free", ARENA_BASE);
    machine_build();
    find_memory(bs);
    if (suite_wanted("hostile") || suite_wanted("attacks"))
        processors_start(bs);
    machine_run(0, run_suites, NULL);
    console_end();
}
