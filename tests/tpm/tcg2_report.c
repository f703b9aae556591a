/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An EFI application that prints on COM1 what EFI_TCG2_PROTOCOL says and the firmware's event log in hexadecimal, then
 * ends the emulated machine. Before that it has one event of its own measured into PCR 14, as a boot loader would.
 * Lines that begin with "TCG2 " are for tests/tpm/run.
 */
#include <efi.h>

#define COM1              0x3f8
#define COM1_STATUS       (COM1 + 5)
#define TRANSMITTER_EMPTY 0x40
#define SHUTDOWN_PORT     0x8900

#define LOG_FORMAT_TCG_2 2
#define EV_IPL           0xd
#define OUR_PCR          14

/* TCG EFI Protocol Specification, Family 2.0; what is not used here is only a place in the table. */
struct tcg2_capability {
    UINT8 size;
    UINT8 structure_version[2];
    UINT8 protocol_version[2];
    UINT32 hash_algorithms;
    UINT32 log_formats;
    UINT8 tpm_present;
    UINT16 max_command_size;
    UINT16 max_response_size;
    UINT32 manufacturer;
    UINT32 bank_count;
    UINT32 active_banks;
};

struct __attribute__((packed)) tcg2_event {
    UINT32 size;
    UINT32 header_size;
    UINT16 header_version;
    UINT32 pcr;
    UINT32 type;
    CHAR8 text[8];
};

struct tcg2_protocol {
    EFI_STATUS(EFIAPI *get_capability)(struct tcg2_protocol *self, struct tcg2_capability *capability);
    EFI_STATUS(EFIAPI *get_event_log)
    (struct tcg2_protocol *self, UINT32 format, UINT64 *first, UINT64 *last, BOOLEAN *truncated);
    EFI_STATUS(EFIAPI *hash_log_extend_event)
    (struct tcg2_protocol *self, UINT64 flags, UINT64 data, UINT64 size, struct tcg2_event *event);
    void *submit_command;
    void *get_active_pcr_banks;
    void *set_active_pcr_banks;
    void *get_result_of_set_active_pcr_banks;
};

static EFI_GUID tcg2_guid = { 0x607f766c, 0x7455, 0x42be, { 0x93, 0x0b, 0xe4, 0xd7, 0x6d, 0xb2, 0x72, 0x0f } };

/* The test changes a byte of this. Volatile: it must be in the file, and only there. */
static volatile const char marker[] = "tcg2_report marker 0";

static void port_write(UINT16 port, UINT8 value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "d"(port));
}

static UINT8 port_read(UINT16 port)
{
    UINT8 value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "d"(port));
    return value;
}

static void print_char(char c)
{
    while (!(port_read(COM1_STATUS) & TRANSMITTER_EMPTY))
        ;
    port_write(COM1, (UINT8)c);
}

static void print(const char *text)
{
    while (*text)
        print_char(*text++);
}

static void print_hex(UINT64 value, unsigned int digits)
{
    while (digits--)
        print_char("0123456789abcdef"[value >> (4 * digits) & 15]);
}

static void print_field(const char *name, UINT64 value)
{
    print(name);
    print("=0x");
    print_hex(value, value >> 32 ? 16 : 8);
}

static void print_bytes(const UINT8 *bytes, UINTN size)
{
    for (UINTN i = 0; i < size; i++) {
        if (i % 64 == 0)
            print("\r\nTCG2 log ");
        print_hex(bytes[i], 2);
    }
}

static UINT32 load_le(const UINT8 *bytes, unsigned int size)
{
    UINT32 value = 0;

    while (size--)
        value = value << 8 | bytes[size];
    return value;
}

/*
 * The size of the event at `event`: the log's first has the SHA-1 format, whose digest has a fixed size; the others
 * have a list of digests, of which this machine has SHA-256 only. 0 for anything else.
 */
static UINTN event_size(const UINT8 *event, BOOLEAN first)
{
    if (first)
        return 32 + load_le(event + 28, 4);
    if (load_le(event + 8, 4) != 1 || load_le(event + 12, 2) != 0xb)
        return 0;
    return 14 + 32 + 4 + load_le(event + 46, 4);
}

static void print_log(struct tcg2_protocol *tcg2)
{
    UINT64 first = 0, last = 0;
    BOOLEAN truncated = 0;
    EFI_STATUS status = tcg2->get_event_log(tcg2, LOG_FORMAT_TCG_2, &first, &last, &truncated);
    UINTN size;

    print_field("\r\nTCG2 event-log status", status);
    print_field(" truncated", truncated);
    if (EFI_ERROR(status) || !first)
        return;
    size = event_size((const UINT8 *)last, last == first);
    if (!size) {
        print("\r\nTCG2 error: the last event has other digests than one of SHA-256");
        return;
    }
    print_bytes((const UINT8 *)first, last - first + size);
}

static void measure(struct tcg2_protocol *tcg2)
{
    static struct tcg2_event event = { sizeof(event), 14, 1, OUR_PCR, EV_IPL, "example" };
    EFI_STATUS status = tcg2->hash_log_extend_event(tcg2, 0, (UINT64)(UINTN)event.text, sizeof(event.text), &event);

    print_field("\r\nTCG2 extend status", status);
}

static void report(EFI_SYSTEM_TABLE *system)
{
    struct tcg2_capability capability = { .size = sizeof(capability) };
    struct tcg2_protocol *tcg2 = NULL;
    EFI_STATUS status = system->BootServices->LocateProtocol(&tcg2_guid, NULL, (void **)&tcg2);

    print_field("\r\nTCG2 protocol status", status);
    if (EFI_ERROR(status))
        return;
    print_field("\r\nTCG2 capability status", tcg2->get_capability(tcg2, &capability));
    print_field(" present", capability.tpm_present);
    print_field(" algorithms", capability.hash_algorithms);
    print_field(" active", capability.active_banks);
    print_field(" formats", capability.log_formats);
    measure(tcg2);
    print_log(tcg2);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
    (void)image;
    print("\r\nTCG2 marker ");
    for (unsigned int i = 0; marker[i]; i++)
        print_char(marker[i]);
    report(system);
    print("\r\nTCG2 end\r\n");
    for (const char *letter = "Shutdown"; *letter; letter++)
        port_write(SHUTDOWN_PORT, (UINT8)*letter);
    for (;;)
        __asm__ volatile("hlt");
}
