/* SPDX-License-Identifier: GPL-2.0-only */
/* The log ring, its small formatter, and the way to the serial port. Locks: log_busy, a leaf. */
#include <stdarg.h>
#include "cloudvisor/cpu.h"
#include "cloudvisor/log.h"

enum { RING_SIZE = 65536, LOG_BURST = 20 };
enum { UART_DATA = 0, UART_LINE_STATUS = 5, UART_THR_EMPTY = 0x20, UART_PATIENCE = 100000 };

static char ring[RING_SIZE];
static uint64_t ring_total;
static uint16_t uart;
static enum log_level max_level = LOG_INFO;
static volatile bool log_busy, panicked;

void log_init(uint16_t port, enum log_level verbosity)
{
    uart = port;
    max_level = verbosity;
}

static void put_char(char c)
{
    unsigned patience = UART_PATIENCE;

    ring[ring_total++ % RING_SIZE] = c;
    if (uart == 0)
        return;
    while ((hw_in(uart + UART_LINE_STATUS, 1) & UART_THR_EMPTY) == 0 && --patience != 0)
        hw_pause();
    if (patience == 0)
        uart = 0; /* the host owns the port and may have broken it: the ring goes on */
    else
        hw_out(uart + UART_DATA, 1, (uint8_t)c);
}

static void put_string(const char *s)
{
    while (*s != '\0')
        put_char(*s++);
}

static void put_number(uint64_t value, unsigned base, unsigned width)
{
    char digits[20];
    unsigned n = 0;

    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (width > n && width-- > 0)
        put_char('0');
    while (n > 0)
        put_char(digits[--n]);
}

static void put_signed(int64_t value)
{
    if (value < 0)
        put_char('-');
    put_number(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, 0);
}

/* Formats one directive at `f` (behind the percent sign) and returns where the format goes on. */
static const char *put_directive(const char *f, va_list *args)
{
    unsigned width = 0;
    bool is_long = false;
    uint64_t value;

    while (*f >= '0' && *f <= '9')
        width = width * 10 + (unsigned)(*f++ - '0');
    while (*f == 'l') {
        is_long = true;
        f++;
    }
    switch (*f) {
    case 's': put_string(va_arg(*args, const char *)); break;
    case 'c': put_char((char)va_arg(*args, int)); break;
    case 'd': put_signed(is_long ? va_arg(*args, int64_t) : va_arg(*args, int)); break;
    case 'u':
    case 'x':
        value = is_long ? va_arg(*args, uint64_t) : va_arg(*args, unsigned);
        put_number(value, *f == 'x' ? 16 : 10, width);
        break;
    default: put_char(*f);
    }
    return f + 1;
}

static void put_line(const char *format, va_list *args)
{
    static const char prefix[] = "cloudvisor: ";

    while (__atomic_exchange_n(&log_busy, true, __ATOMIC_ACQUIRE))
        hw_pause();
    put_string(prefix);
    while (*format != '\0') {
        if (*format != '%')
            put_char(*format++);
        else
            format = put_directive(format + 1, args);
    }
    put_char('\r');
    put_char('\n');
    __atomic_store_n(&log_busy, false, __ATOMIC_RELEASE);
}

void cv_log(enum log_level level, const char *format, ...)
{
    va_list args;

    if (level > max_level)
        return;
    va_start(args, format);
    put_line(format, &args);
    va_end(args);
}

/* A window of 2^31 TSC ticks, about a second, lets LOG_BURST lines pass. */
static bool within_rate(void)
{
    static uint64_t window, lines;
    uint64_t now = hw_rdtsc() >> 31;

    if (now != window) {
        window = now;
        lines = 0;
    }
    return lines++ < LOG_BURST;
}

void cv_log_limited(enum log_level level, const char *format, ...)
{
    va_list args;

    if (level > max_level)
        return;
    if (!within_rate()) {
        if (cpus[0] != NULL)
            cpu_count_stat(cpus[0], STAT_log_lost);
        return;
    }
    va_start(args, format);
    put_line(format, &args);
    va_end(args);
}

bool log_read(uint64_t offset, uint64_t *bytes, uint64_t *total)
{
    *total = ring_total;
    *bytes = 0;
    if (offset >= ring_total || ring_total - offset > RING_SIZE)
        return false;
    for (unsigned i = 0; i < 8 && offset + i < ring_total; i++)
        *bytes |= (uint64_t)(uint8_t)ring[(offset + i) % RING_SIZE] << (8 * i);
    return true;
}

void log_halt_after_panic(void)
{
    if (panicked)
        hw_halt_forever();
}

_Noreturn void cv_panic(const char *format, ...)
{
    va_list args;

    panicked = true;
    log_busy = false;
    va_start(args, format);
    put_line(format, &args);
    va_end(args);
    cv_log(LOG_ERROR, "panic: this machine stops here");
    for (unsigned i = 0; i < BOOT_CPU_MAX; i++) {
        if (cpus[i] != NULL && cpus[i] != hw_this_cpu())
            cpu_kick(hw_this_cpu(), cpus[i]);
    }
    hw_halt_forever();
}
