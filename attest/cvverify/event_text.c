/* SPDX-License-Identifier: GPL-2.0-only */
/* Descriptions of events (TCG PC Client Platform Firmware Profile, "Event Types"). See event_text.h. */
#include <stdio.h>
#include <string.h>
#include "attest/event_format.h"
#include "attest/cvverify/event_text.h"

enum { DEVICE_PATH_MEDIA = 4, DEVICE_PATH_FILE = 4, DEVICE_PATH_END = 0x7f, IMAGE_EVENT_HEAD = 32, VARIABLE_HEAD = 32 };

struct type_name {
    uint32_t type;
    const char *name;
};

static const struct type_name type_names[] = {
    { EV_POST_CODE, "EV_POST_CODE" },
    { EV_NO_ACTION, "EV_NO_ACTION" },
    { EV_SEPARATOR, "EV_SEPARATOR" },
    { EV_ACTION, "EV_ACTION" },
    { EV_EVENT_TAG, "EV_EVENT_TAG" },
    { EV_S_CRTM_CONTENTS, "EV_S_CRTM_CONTENTS" },
    { EV_S_CRTM_VERSION, "EV_S_CRTM_VERSION" },
    { EV_CPU_MICROCODE, "EV_CPU_MICROCODE" },
    { EV_PLATFORM_CONFIG_FLAGS, "EV_PLATFORM_CONFIG_FLAGS" },
    { EV_TABLE_OF_DEVICES, "EV_TABLE_OF_DEVICES" },
    { EV_COMPACT_HASH, "EV_COMPACT_HASH" },
    { EV_IPL, "EV_IPL" },
    { EV_IPL_PARTITION_DATA, "EV_IPL_PARTITION_DATA" },
    { EV_NONHOST_CODE, "EV_NONHOST_CODE" },
    { EV_NONHOST_CONFIG, "EV_NONHOST_CONFIG" },
    { EV_NONHOST_INFO, "EV_NONHOST_INFO" },
    { EV_OMIT_BOOT_DEVICE_EVENTS, "EV_OMIT_BOOT_DEVICE_EVENTS" },
    { EV_EFI_VARIABLE_DRIVER_CONFIG, "EV_EFI_VARIABLE_DRIVER_CONFIG" },
    { EV_EFI_VARIABLE_BOOT, "EV_EFI_VARIABLE_BOOT" },
    { EV_EFI_BOOT_SERVICES_APPLICATION, "EV_EFI_BOOT_SERVICES_APPLICATION" },
    { EV_EFI_BOOT_SERVICES_DRIVER, "EV_EFI_BOOT_SERVICES_DRIVER" },
    { EV_EFI_RUNTIME_SERVICES_DRIVER, "EV_EFI_RUNTIME_SERVICES_DRIVER" },
    { EV_EFI_GPT_EVENT, "EV_EFI_GPT_EVENT" },
    { EV_EFI_ACTION, "EV_EFI_ACTION" },
    { EV_EFI_PLATFORM_FIRMWARE_BLOB, "EV_EFI_PLATFORM_FIRMWARE_BLOB" },
    { EV_EFI_HANDOFF_TABLES, "EV_EFI_HANDOFF_TABLES" },
    { EV_EFI_PLATFORM_FIRMWARE_BLOB2, "EV_EFI_PLATFORM_FIRMWARE_BLOB2" },
    { EV_EFI_HANDOFF_TABLES2, "EV_EFI_HANDOFF_TABLES2" },
    { EV_EFI_VARIABLE_BOOT2, "EV_EFI_VARIABLE_BOOT2" },
    { EV_EFI_HCRTM_EVENT, "EV_EFI_HCRTM_EVENT" },
    { EV_EFI_VARIABLE_AUTHORITY, "EV_EFI_VARIABLE_AUTHORITY" },
};

const char *event_type_text(uint32_t type, char buffer[16])
{
    for (size_t i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++) {
        if (type_names[i].type == type)
            return type_names[i].name;
    }
    snprintf(buffer, 16, "%#010x", type);
    return buffer;
}

/* UTF-16LE to ASCII, other characters as '?'. Appends, up to the text's end. */
static void append_wide(char text[EVENT_TEXT], struct bytes wide)
{
    size_t used = strlen(text);

    for (size_t i = 0; i + 1 < wide.size && used + 1 < EVENT_TEXT; i += 2) {
        unsigned letter = (unsigned)(wide.data[i] | wide.data[i + 1] << 8);

        if (letter == 0)
            break;
        text[used++] = letter >= ' ' && letter <= '~' ? (char)letter : '?';
    }
    text[used] = '\0';
}

static void append_narrow(char text[EVENT_TEXT], struct bytes narrow)
{
    size_t used = strlen(text);

    for (size_t i = 0; i < narrow.size && narrow.data[i] && used + 1 < EVENT_TEXT; i++)
        text[used++] = narrow.data[i] >= ' ' && narrow.data[i] <= '~' ? (char)narrow.data[i] : '?';
    text[used] = '\0';
}

/* UEFI_IMAGE_LOAD_EVENT: the file nodes of the device path. */
static void describe_image(struct bytes data, char text[EVENT_TEXT])
{
    struct cursor c = cursor_over(data);

    cursor_take(&c, IMAGE_EVENT_HEAD);
    while (!c.failed && c.left >= 4) {
        uint8_t type = cursor_u8(&c), subtype = cursor_u8(&c);
        uint16_t length = cursor_le16(&c);
        struct bytes body;

        if (length < 4 || type == DEVICE_PATH_END)
            break;
        body = cursor_bytes(&c, length - 4u);
        if (!c.failed && type == DEVICE_PATH_MEDIA && subtype == DEVICE_PATH_FILE)
            append_wide(text, body);
    }
}

/* UEFI_VARIABLE_DATA: the variable's name. */
static void describe_variable(struct bytes data, char text[EVENT_TEXT])
{
    struct cursor c = cursor_over(data);
    uint64_t letters;

    cursor_take(&c, 16);
    letters = cursor_le(&c, 8);
    cursor_take(&c, 8);
    if (c.failed || letters > c.left / 2)
        return;
    append_narrow(text, (struct bytes){ (const uint8_t *)"variable ", 9 });
    append_wide(text, cursor_bytes(&c, (size_t)letters * 2));
}

static void describe_blob(struct bytes data, char text[EVENT_TEXT])
{
    struct cursor c = cursor_over(data);
    uint64_t base = cursor_le(&c, 8), size = cursor_le(&c, 8);

    if (!c.failed)
        snprintf(text, EVENT_TEXT, "%llu bytes at %#llx", (unsigned long long)size, (unsigned long long)base);
}

static void describe_as_text(struct bytes data, char text[EVENT_TEXT])
{
    if (data.size >= 4 && data.data[1] == 0 && data.data[0] != 0)
        append_wide(text, data);
    else
        append_narrow(text, data);
}

static bool is_ours(struct bytes data)
{
    return data.size >= sizeof(struct cv_event_head) && memcmp(data.data + CV_LABEL_SIZE, CV_EVENT_MAGIC, 8) == 0;
}

void event_describe(const struct log_event *event, char text[EVENT_TEXT])
{
    text[0] = '\0';
    if (is_ours(event->data)) {
        append_narrow(text, (struct bytes){ event->data.data, CV_LABEL_SIZE });
        return;
    }
    switch (event->type) {
    case EV_EFI_BOOT_SERVICES_APPLICATION:
    case EV_EFI_BOOT_SERVICES_DRIVER:
    case EV_EFI_RUNTIME_SERVICES_DRIVER: describe_image(event->data, text); break;
    case EV_EFI_VARIABLE_DRIVER_CONFIG:
    case EV_EFI_VARIABLE_BOOT:
    case EV_EFI_VARIABLE_BOOT2:
    case EV_EFI_VARIABLE_AUTHORITY: describe_variable(event->data, text); break;
    case EV_EFI_PLATFORM_FIRMWARE_BLOB: describe_blob(event->data, text); break;
    case EV_SEPARATOR:
    case EV_EFI_GPT_EVENT: break;
    default: describe_as_text(event->data, text); break;
    }
}

const char *event_measured_by(uint32_t pcr)
{
    static const char *const who[] = {
        "firmware: its code",
        "firmware: its configuration",
        "firmware: drivers that it loaded",
        "firmware: configuration of such drivers",
        "firmware: EFI applications that it started",
        "firmware: partition table, exit from boot",
        "firmware: wake events",
        "firmware: Secure Boot",
        "GRUB: commands, kernel command line",
        "GRUB, Linux: files, initrd",
        "Linux: IMA",
        "systemd: unified kernel image, boot phases",
        "systemd: kernel command line, credentials",
        "CloudVisor; behind its separator whoever likes",
        "shim: machine owner's keys",
        "systemd: machine and volumes",
    };

    return pcr < sizeof(who) / sizeof(who[0]) ? who[pcr] : "none of the firmware's";
}

bool event_digest_is_of_data(uint32_t type)
{
    return type == EV_SEPARATOR || type == EV_EFI_ACTION || type == EV_ACTION || type == EV_S_CRTM_VERSION;
}

const char *event_well_known(const struct digest *digest)
{
    static const char *const strings[] = {
        "Calling EFI Application from Boot Option",
        "Returning from EFI Application from Boot Option",
        "Exit Boot Services Invocation",
        "Exit Boot Services Returned with Failure",
        "Exit Boot Services Returned with Success",
    };
    static const uint8_t zero[CV_SEPARATOR_SIZE];
    struct digest known = digest_of((struct bytes){ zero, sizeof(zero) });

    if (digest_equal(digest, &known))
        return "separator";
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        known = digest_of((struct bytes){ (const uint8_t *)strings[i], strlen(strings[i]) });
        if (digest_equal(digest, &known))
            return strings[i];
    }
    return NULL;
}
