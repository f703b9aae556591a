/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Thin wrappers over UEFI boot services. Invariant: nothing here decides anything that a test would want to see.
 */
#include "cloudvisor/loader/firmware.h"

EFI_SYSTEM_TABLE *firmware_system;
EFI_BOOT_SERVICES *firmware_boot;
EFI_HANDLE firmware_self;
EFI_LOADED_IMAGE *firmware_self_image;

_Static_assert(sizeof(struct firmware_memory) == sizeof(EFI_MEMORY_DESCRIPTOR), "same layout");
_Static_assert(offsetof(struct firmware_memory, page_count) == offsetof(EFI_MEMORY_DESCRIPTOR, NumberOfPages),
               "same layout");

/* EFI_MEMORY_ATTRIBUTE_PROTOCOL, UEFI specification 2.10, "Memory Attribute Protocol". */
struct memory_attribute_protocol {
    void *get;
    void *set;
    EFI_STATUS(EFIAPI *clear)(struct memory_attribute_protocol *self, uint64_t base, uint64_t size, uint64_t bits);
};

static EFI_GUID memory_attribute_guid = {
    0xf4560cf6, 0x40ec, 0x4b4a, { 0xa1, 0x92, 0xbf, 0x1d, 0x57, 0xd0, 0xb1, 0x89 }
};
static EFI_GUID loaded_image_guid = LOADED_IMAGE_PROTOCOL;
static EFI_GUID file_system_guid = SIMPLE_FILE_SYSTEM_PROTOCOL;
static EFI_GUID acpi1_guid = ACPI_TABLE_GUID;
static EFI_GUID acpi2_guid = ACPI_20_TABLE_GUID;

EFI_STATUS firmware_init(EFI_HANDLE self, EFI_SYSTEM_TABLE *system)
{
    firmware_system = system;
    firmware_boot = system->BootServices;
    firmware_self = self;
    return firmware_boot->HandleProtocol(self, &loaded_image_guid, (void **)&firmware_self_image);
}

const char *firmware_status_name(EFI_STATUS status)
{
    switch (status) {
    case EFI_SUCCESS: return "success";
    case EFI_LOAD_ERROR: return "load error";
    case EFI_INVALID_PARAMETER: return "invalid parameter";
    case EFI_UNSUPPORTED: return "unsupported";
    case EFI_NOT_READY: return "not ready";
    case EFI_DEVICE_ERROR: return "device error";
    case EFI_OUT_OF_RESOURCES: return "out of memory";
    case EFI_NOT_FOUND: return "not found";
    case EFI_ACCESS_DENIED: return "access denied";
    case EFI_TIMEOUT: return "time-out";
    case EFI_ABORTED: return "aborted";
    case EFI_SECURITY_VIOLATION: return "refused by Secure Boot";
    default: return "other error";
    }
}

static EFI_STATUS open_own_volume(EFI_FILE_HANDLE *root)
{
    EFI_FILE_IO_INTERFACE *volume;
    EFI_STATUS status = firmware_boot->HandleProtocol(firmware_self_image->DeviceHandle, &file_system_guid,
                                                      (void **)&volume);

    return EFI_ERROR(status) ? status : volume->OpenVolume(volume, root);
}

EFI_STATUS firmware_read_file(CHAR16 *path, void *buffer, size_t *size)
{
    EFI_FILE_HANDLE root, file;
    UINTN bytes = *size;
    EFI_STATUS status = open_own_volume(&root);

    if (EFI_ERROR(status))
        return status;
    status = root->Open(root, &file, path, EFI_FILE_MODE_READ, 0);
    if (!EFI_ERROR(status)) {
        status = file->Read(file, &bytes, buffer);
        *size = bytes;
        file->Close(file);
    }
    root->Close(root);
    return status;
}

void firmware_wait_key(unsigned seconds)
{
    EFI_EVENT events[2] = { firmware_system->ConIn->WaitForKey, NULL };
    EFI_INPUT_KEY key;
    UINTN index;

    if (EFI_ERROR(firmware_boot->CreateEvent(EVT_TIMER, 0, NULL, NULL, &events[1])))
        return;
    firmware_boot->SetTimer(events[1], TimerRelative, (UINT64)seconds * 10000000); /* of 100 ns */
    if (!EFI_ERROR(firmware_boot->WaitForEvent(2, events, &index)) && index == 0)
        firmware_system->ConIn->ReadKeyStroke(firmware_system->ConIn, &key);
    firmware_boot->CloseEvent(events[1]);
}

EFI_STATUS firmware_memory_map(struct firmware_map *map)
{
    UINTN size = 0, key, descriptor_size;
    UINT32 version;
    void *descriptors = NULL;
    EFI_STATUS status = firmware_boot->GetMemoryMap(&size, NULL, &key, &descriptor_size, &version);

    if (status != EFI_BUFFER_TOO_SMALL)
        return EFI_ERROR(status) ? status : EFI_UNSUPPORTED;
    size += 8 * descriptor_size; /* the allocation itself may split ranges */
    status = firmware_boot->AllocatePool(EfiLoaderData, size, &descriptors);
    if (!EFI_ERROR(status))
        status = firmware_boot->GetMemoryMap(&size, descriptors, &key, &descriptor_size, &version);
    *map = (struct firmware_map){ descriptors, size, descriptor_size };
    return status;
}

static bool same_guid(const EFI_GUID *a, const EFI_GUID *b)
{
    const uint64_t *x = (const void *)a, *y = (const void *)b;

    return x[0] == y[0] && x[1] == y[1];
}

uint64_t firmware_acpi_rsdp(void)
{
    uint64_t rsdp = 0;

    for (UINTN i = 0; i < firmware_system->NumberOfTableEntries; i++) {
        const EFI_CONFIGURATION_TABLE *table = &firmware_system->ConfigurationTable[i];

        if (same_guid(&table->VendorGuid, &acpi2_guid))
            return (uintptr_t)table->VendorTable;
        if (same_guid(&table->VendorGuid, &acpi1_guid))
            rsdp = (uintptr_t)table->VendorTable;
    }
    return rsdp;
}

void firmware_make_executable(uint64_t base, uint64_t size)
{
    struct memory_attribute_protocol *attributes;

    if (!EFI_ERROR(firmware_boot->LocateProtocol(&memory_attribute_guid, NULL, (void **)&attributes)))
        attributes->clear(attributes, base, size, EFI_MEMORY_XP);
}

size_t firmware_widen(CHAR16 *wide, size_t room, const char *ascii)
{
    size_t i = 0;

    for (; ascii[i] && i + 1 < room; i++)
        wide[i] = (unsigned char)ascii[i];
    wide[i] = 0;
    return (i + 1) * sizeof(CHAR16);
}
