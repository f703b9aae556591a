/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * COM1 and a small formatter. See console.h.
 */
#include "untrusted-hypervisor-harness/core/console.h"
#include <stdarg.h>
#include <stdbool.h>
#include "untrusted-hypervisor-harness/core/cpu.h"

enum {
    COM1 = 0x3f8,
    UART_DATA = COM1,
    UART_INTERRUPT_ENABLE = COM1 + 1,
    UART_FIFO_CONTROL = COM1 + 2,
    UART_LINE_CONTROL = COM1 + 3,
    UART_MODEM_CONTROL = COM1 + 4,
    UART_LINE_STATUS = COM1 + 5,
    LINE_STATUS_HOLDING_EMPTY = 0x20,
    LINE_STATUS_ALL_SENT = 0x40,
    SHUTDOWN_PORT = 0x8900, /* the emulator's: it stops when the string "Shutdown" has been written there */
};

static uint64_t result_count;

void console_init(void)
{
    cpu_out8(UART_INTERRUPT_ENABLE, 0);
    cpu_out8(UART_LINE_CONTROL, 0x80); /* divisor latch */
    cpu_out8(UART_DATA, 1);            /* 115200 baud */
    cpu_out8(UART_INTERRUPT_ENABLE, 0);
    cpu_out8(UART_LINE_CONTROL, 0x03); /* 8 bits, no parity, 1 stop bit */
    cpu_out8(UART_FIFO_CONTROL, 0x07);
    cpu_out8(UART_MODEM_CONTROL, 0x03);
    print("\nBEGIN\n");
}

static void put_char(char c)
{
    while ((cpu_in8(UART_LINE_STATUS) & LINE_STATUS_HOLDING_EMPTY) == 0)
        continue;
    cpu_out8(UART_DATA, (uint8_t)c);
}

static void put_string(const char *s)
{
    while (*s != '\0')
        put_char(*s++);
}

static void put_number(uint64_t value, unsigned base)
{
    char digits[20];
    unsigned count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (count > 0)
        put_char(digits[--count]);
}

static void put_signed(int32_t value)
{
    if (value < 0)
        put_char('-');
    put_number((uint64_t)(value < 0 ? -(int64_t)value : value), 10);
}

/* One conversion; `f` stands behind the '%'. Returns the character after it. */
static const char *put_conversion(const char *f, va_list *args)
{
    bool is_long = *f == 'l';
    char kind = is_long ? f[1] : f[0];

    switch (kind) {
    case 's': put_string(va_arg(*args, const char *)); break;
    case 'c': put_char((char)va_arg(*args, int)); break;
    case 'd': put_signed(va_arg(*args, int)); break;
    case 'u':
    case 'x': put_number(is_long ? va_arg(*args, uint64_t) : va_arg(*args, uint32_t), kind == 'x' ? 16 : 10); break;
    default: put_char(kind); break;
    }
    return f + (is_long ? 2 : 1);
}

static void print_arguments(const char *format, va_list *args)
{
    while (*format != '\0') {
        if (*format != '%')
            put_char(*format++);
        else
            format = put_conversion(format + 1, args);
    }
}

void print(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_arguments(format, &args);
    va_end(args);
}

void print_end_of_result(void)
{
    put_char('\n');
    result_count++;
}

void note(const char *format, ...)
{
    va_list args;

    put_string("# ");
    va_start(args, format);
    print_arguments(format, &args);
    va_end(args);
    put_char('\n');
}

static void stop_machine(void)
{
    while ((cpu_in8(UART_LINE_STATUS) & LINE_STATUS_ALL_SENT) == 0)
        continue;
    for (const char *s = "Shutdown"; *s != '\0'; s++)
        cpu_out8(SHUTDOWN_PORT, (uint8_t)*s);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void console_end(void)
{
    print("END %lu\n", result_count);
    stop_machine();
    __builtin_unreachable();
}

void harness_abort(const char *format, ...)
{
    va_list args;

    put_string("\nABORT ");
    va_start(args, format);
    print_arguments(format, &args);
    va_end(args);
    put_char('\n');
    stop_machine();
    __builtin_unreachable();
}
