/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The loader's console. Boot CPU only, before and after demotion. The serial port is driven directly only if the
 * ConOut variable names no UART, so that no message comes twice.
 */
#include "cloudvisor/loader/console.h"
#include "cloudvisor/boot_info.h"
#include "cloudvisor/loader/firmware.h"
#include "cloudvisor/loader/text.h"

enum { LINE_MAX = 256, CON_OUT_MAX = 1024 };

/* 16550 registers, as offsets from the I/O base. */
enum { UART_DATA = 0, UART_INTERRUPTS = 1, UART_DIVISOR_HIGH = 1, UART_FIFO = 2, UART_LINE = 3, UART_STATUS = 5 };
enum { UART_LINE_8N1 = 3, UART_LINE_DIVISOR = 0x80, UART_STATUS_EMPTY = 0x20, UART_115200 = 1, UART_PATIENCE = 100000 };

static EFI_GUID global_variable_guid = EFI_GLOBAL_VARIABLE;
static bool firmware_has_serial;
static uint16_t direct_port; /* 0: none */

static void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void uart_init(uint16_t port)
{
    out8(port + UART_INTERRUPTS, 0);
    out8(port + UART_LINE, UART_LINE_DIVISOR);
    out8(port + UART_DATA, UART_115200);
    out8(port + UART_DIVISOR_HIGH, 0);
    out8(port + UART_LINE, UART_LINE_8N1);
    out8(port + UART_FIFO, 0);
}

/* Waits for room a bounded time: a missing or stuck port costs time, not the boot. */
static void uart_put(uint16_t port, uint8_t letter)
{
    for (unsigned i = 0; i < UART_PATIENCE && !(in8(port + UART_STATUS) & UART_STATUS_EMPTY); i++)
        __asm__ volatile("pause");
    out8(port, letter);
}

/* True if a device path (any instance of it) in `bytes` has a UART node. */
static bool has_uart_node(const uint8_t *bytes, size_t size)
{
    enum { HEADER_SIZE = 4, TYPE_MESSAGING = 3, SUBTYPE_UART = 14 };
    size_t at = 0;

    while (at + HEADER_SIZE <= size) {
        size_t length = (size_t)bytes[at + 2] | (size_t)bytes[at + 3] << 8;

        if (bytes[at] == TYPE_MESSAGING && bytes[at + 1] == SUBTYPE_UART)
            return true;
        if (length < HEADER_SIZE)
            return false;
        at += length;
    }
    return false;
}

void console_use_port(uint32_t port)
{
    if (firmware_has_serial || direct_port == port)
        return;
    direct_port = (uint16_t)port;
    if (direct_port)
        uart_init(direct_port);
}

void console_init(void)
{
    uint8_t paths[CON_OUT_MAX];
    UINTN size = sizeof(paths);
    EFI_STATUS status = firmware_system->RuntimeServices->GetVariable(L"ConOut", &global_variable_guid, NULL, &size,
                                                                      paths);

    firmware_has_serial = !EFI_ERROR(status) && has_uart_node(paths, size);
    console_use_port(BOOT_LOG_COM1);
}

void console_line(const char *format, ...)
{
    char line[LINE_MAX];
    CHAR16 wide[LINE_MAX + 2];
    size_t length;
    va_list arguments;

    va_start(arguments, format);
    length = text_vformat(line, sizeof(line), format, arguments);
    va_end(arguments);
    firmware_widen(wide, LINE_MAX, line);
    wide[length] = '\r';
    wide[length + 1] = '\n';
    wide[length + 2] = 0;
    firmware_system->ConOut->OutputString(firmware_system->ConOut, wide);
    if (!direct_port)
        return;
    for (size_t i = 0; i < length; i++)
        uart_put(direct_port, (uint8_t)line[i]);
    uart_put(direct_port, '\r');
    uart_put(direct_port, '\n');
}
