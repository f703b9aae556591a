/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Loads the next stage through the firmware, which checks its signature under Secure Boot and measures it.
 */
#include "cloudvisor/loader/next_stage.h"
#include "cloudvisor/loader/console.h"

enum { NODE_HEADER_SIZE = 4, TYPE_MEDIA = 4, SUBTYPE_FILE = 4, TYPE_END = 0x7f, SUBTYPE_END = 0xff };
enum { DEVICE_PATH_MAX = 4096 };

static EFI_GUID device_path_guid = DEVICE_PATH_PROTOCOL;
static EFI_GUID loaded_image_guid = LOADED_IMAGE_PROTOCOL;

static size_t node_length(const uint8_t *node)
{
    return (size_t)node[2] | (size_t)node[3] << 8;
}

static void put_node_header(uint8_t *node, uint8_t type, uint8_t subtype, size_t length)
{
    node[0] = type;
    node[1] = subtype;
    node[2] = (uint8_t)length;
    node[3] = (uint8_t)(length >> 8);
}

/* Bytes of the nodes before the end node; DEVICE_PATH_MAX if the path is malformed. */
static size_t path_length(const uint8_t *path)
{
    size_t length = 0;

    while (path[length] != TYPE_END && length < DEVICE_PATH_MAX) {
        if (node_length(path + length) < NODE_HEADER_SIZE)
            return DEVICE_PATH_MAX;
        length += node_length(path + length);
    }
    return length;
}

/* Builds the device path of `file` on the volume `volume` in `buffer` of DEVICE_PATH_MAX bytes. */
static EFI_STATUS file_path(EFI_HANDLE volume, const char *file, uint8_t *buffer)
{
    CHAR16 wide[CONF_PATH_MAX + 1];
    size_t wide_size = firmware_widen(wide, CONF_PATH_MAX + 1, file);
    const uint8_t *device;
    size_t length;
    EFI_STATUS status = firmware_boot->HandleProtocol(volume, &device_path_guid, (void **)&device);

    if (EFI_ERROR(status))
        return status;
    length = path_length(device);
    if (length + wide_size + 2 * NODE_HEADER_SIZE > DEVICE_PATH_MAX)
        return EFI_BAD_BUFFER_SIZE;
    firmware_boot->CopyMem(buffer, (void *)device, length);
    put_node_header(buffer + length, TYPE_MEDIA, SUBTYPE_FILE, NODE_HEADER_SIZE + wide_size);
    firmware_boot->CopyMem(buffer + length + NODE_HEADER_SIZE, wide, wide_size);
    put_node_header(buffer + length + NODE_HEADER_SIZE + wide_size, TYPE_END, SUBTYPE_END, NODE_HEADER_SIZE);
    return EFI_SUCCESS;
}

static EFI_STATUS set_options(EFI_HANDLE image, const char *args)
{
    static CHAR16 options[CONF_ARGS_MAX + 1];
    EFI_LOADED_IMAGE *loaded;
    EFI_STATUS status = firmware_boot->HandleProtocol(image, &loaded_image_guid, (void **)&loaded);

    if (EFI_ERROR(status) || args[0] == '\0')
        return status;
    loaded->LoadOptionsSize = (UINT32)firmware_widen(options, CONF_ARGS_MAX + 1, args);
    loaded->LoadOptions = options;
    return EFI_SUCCESS;
}

EFI_STATUS next_stage_run(const struct conf *conf)
{
    static uint8_t path[DEVICE_PATH_MAX];
    EFI_HANDLE image = NULL;
    EFI_STATUS status = file_path(firmware_self_image->DeviceHandle, conf->next, path);

    if (!EFI_ERROR(status))
        status = firmware_boot->LoadImage(FALSE, firmware_self, (void *)path, NULL, 0, &image);
    if (!EFI_ERROR(status))
        status = set_options(image, conf->args);
    if (EFI_ERROR(status)) {
        console_line("CloudVisor: cannot load the next stage %s: %s", conf->next, firmware_status_name(status));
        console_line("CloudVisor: check 'next' in \\EFI\\cloudvisor\\cloudvisor.conf; it must be on the same volume");
        return status;
    }
    if (conf->verbosity > 0)
        console_line("CloudVisor: starting %s", conf->next);
    status = firmware_boot->StartImage(image, NULL, NULL);
    if (EFI_ERROR(status))
        console_line("CloudVisor: the next stage came back: %s", firmware_status_name(status));
    return status;
}
