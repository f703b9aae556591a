/* SPDX-License-Identifier: GPL-2.0-only
 *
 * An EFI application that prints the TSC at which the firmware hands over, on
 * COM1, and ends the emulated machine. The benchmarks subtract it from the
 * host's boot time, which counts from here.
 */
#include <stdint.h>

#define COM1              0x3f8
#define COM1_STATUS       (COM1 + 5)
#define TRANSMITTER_EMPTY 0x40
#define SHUTDOWN_PORT     0x8900

static void port_write(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "d"(port));
}

static uint8_t port_read(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "d"(port));
    return value;
}

static void print(const char *text)
{
    for (; *text; text++) {
        while (!(port_read(COM1_STATUS) & TRANSMITTER_EMPTY))
            ;
        port_write(COM1, (uint8_t)*text);
    }
    while (!(port_read(COM1_STATUS) & TRANSMITTER_EMPTY))
        ;
}

static void print_number(uint64_t value)
{
    char digits[21];
    char *first = digits + sizeof(digits) - 1;

    *first = 0;
    do {
        *--first = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    print(first);
}

uint64_t efi_main(void *image, void *system_table);

uint64_t efi_main(void *image, void *system_table)
{
    uint32_t low, high;

    (void)image;
    (void)system_table;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    print("\r\nBENCHRAW handover_tsc ");
    print_number((uint64_t)high << 32 | low);
    print("\r\n");
    for (const char *letter = "Shutdown"; *letter; letter++)
        port_write(SHUTDOWN_PORT, (uint8_t)*letter);
    for (;;)
        __asm__ volatile("hlt");
}
