/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * EFI application: writes the firmware's event log and the answer to TPM2_PCR_Read of PCR 0 to 7 to COM1 in hexadecimal,
 * then turns the machine off. For tests/attest/firmware-log.
 */
#include <efi.h>
#include <efilib.h>

struct tcg2_protocol {
    void *get_capability;
    EFI_STATUS(EFIAPI *get_event_log)
    (struct tcg2_protocol *this, UINT32 format, UINT64 *start, UINT64 *last, BOOLEAN *truncated);
    void *hash_log_extend_event;
    EFI_STATUS(EFIAPI *submit_command)
    (struct tcg2_protocol *this, UINT32 in_size, UINT8 *in, UINT32 out_size, UINT8 *out);
};

static EFI_GUID tcg2_guid = { 0x607f766c, 0x7455, 0x42be, { 0x93, 0x0b, 0xe4, 0xd7, 0x6d, 0xb2, 0x72, 0x0f } };

static void put(char letter)
{
    UINT8 ready;

    do
        __asm__ volatile("inb %1, %0" : "=a"(ready) : "Nd"((UINT16)0x3fd));
    while (!(ready & 0x20));
    __asm__ volatile("outb %0, %1" : : "a"((UINT8)letter), "Nd"((UINT16)0x3f8));
}

static void put_hex(const char *name, const UINT8 *data, UINTN size)
{
    static const char digits[] = "0123456789abcdef";

    put('\n');
    while (*name)
        put(*name++);
    for (UINTN i = 0; i < size; i++) {
        put(digits[data[i] >> 4]);
        put(digits[data[i] & 15]);
    }
    put('\n');
}

static UINT32 le32(const UINT8 *p)
{
    return p[0] | (UINT32)p[1] << 8 | (UINT32)p[2] << 16 | (UINT32)p[3] << 24;
}

static UINT32 digest_size(UINT32 hash)
{
    return hash == 4 ? 20 : hash == 12 ? 48 : hash == 13 ? 64 : 32;
}

/* GetEventLog gives the start of the last event: its end is found in it. */
static UINTN event_size(const UINT8 *event)
{
    UINTN at = 12;

    for (UINT32 i = 0; i < le32(event + 8); i++)
        at += 2 + digest_size(event[at] | (UINT32)event[at + 1] << 8);
    return at + 4 + le32(event + at);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
    UINT8 read[] = { 0x80, 1, 0, 0, 0, 20, 0, 0, 1, 0x7e, 0, 0, 0, 1, 0, 0x0b, 3, 0xff, 0, 0 }, answer[512];
    struct tcg2_protocol *tcg2;
    UINT64 start = 0, last = 0;
    BOOLEAN truncated;

    (void)image;
    if (system->BootServices->LocateProtocol(&tcg2_guid, NULL, (void **)&tcg2) == EFI_SUCCESS &&
        tcg2->get_event_log(tcg2, 2, &start, &last, &truncated) == EFI_SUCCESS &&
        tcg2->submit_command(tcg2, sizeof(read), read, sizeof(answer), answer) == EFI_SUCCESS) {
        put_hex("LOG ", (const UINT8 *)start, last - start + event_size((const UINT8 *)last));
        put_hex("PCRS ", answer, 512);
    }
    system->RuntimeServices->ResetSystem(EfiResetShutdown, EFI_SUCCESS, 0, NULL);
    return EFI_SUCCESS;
}
