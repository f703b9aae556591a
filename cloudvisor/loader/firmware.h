/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The firmware as the loader uses it: tables, console, files, memory. The firmware is trusted up to the hand-over.
 */
#ifndef LOADER_FIRMWARE_H
#define LOADER_FIRMWARE_H

#include <efi.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cloudvisor/loader/memory_map.h"

extern EFI_SYSTEM_TABLE *firmware_system;
extern EFI_BOOT_SERVICES *firmware_boot;
extern EFI_HANDLE firmware_self; /* this application's handle */
extern EFI_LOADED_IMAGE *firmware_self_image;

/* To be called first. */
EFI_STATUS firmware_init(EFI_HANDLE self, EFI_SYSTEM_TABLE *system);

/* Short ASCII name of a status code for messages. */
const char *firmware_status_name(EFI_STATUS status);

/*
 * Reads a file of the volume that this application came from into `buffer`. `*size` holds the room on entry and the
 * bytes read on return; a file that is longer fills the room. `path` is absolute.
 */
EFI_STATUS firmware_read_file(CHAR16 *path, void *buffer, size_t *size);

/* Waits for a key press, `seconds` at most. */
void firmware_wait_key(unsigned seconds);

/* Gets the memory map into pool memory, which is never given back. */
EFI_STATUS firmware_memory_map(struct firmware_map *map);

/* Physical address of the ACPI RSDP, the newest one; 0 without ACPI. */
uint64_t firmware_acpi_rsdp(void);

/* Makes `size` bytes at `base` executable where the firmware enforces memory attributes. */
void firmware_make_executable(uint64_t base, uint64_t size);

/* Copies ASCII to UTF-16, at most `room` - 1 characters, and terminates. Returns the bytes with terminator. */
size_t firmware_widen(CHAR16 *wide, size_t room, const char *ascii);

#endif
