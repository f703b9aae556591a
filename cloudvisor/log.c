/* SPDX-License-Identifier: GPL-2.0-only */
/* The log ring, its small formatter, and the way to the serial port. Locks: log_busy, a leaf. */
#include <stdarg.h>
#include "cloudvisor/cpu.h"
#include "cloudvisor/log.h"

enum { RING_SIZE = 65536, LOG_BURST = 20 };
enum { UART_DATA = 0, UART_LINE_STATUS = 5, UART_THR_EMPTY = 0x20, UART_PATIENCE = 100000 };

static char ring[RING_SIZE];
static uint64_t ring_total;
static volatile bool log_busy, panicked;

static void put_char(char c)
{
    uint16_t uart = (uint16_t)boot->log_port;
    unsigned patience = UART_PATIENCE;

    ring[ring_total++ % RING_SIZE] = c;
    if (uart == BOOT_LOG_NONE)
        return;
    while ((hw_in(uart + UART_LINE_STATUS, 1) & UART_THR_EMPTY) == 0 && --patience != 0)
        hw_pause();
    if (patience == 0)
        boot->log_port = BOOT_LOG_NONE; /* the host owns the port and may have broken it: the ring goes on */
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
    if (value >= base || width > 1)
        put_number(value / base, base, width > 1 ? width - 1 : 0);
    put_char("0123456789abcdef"[value % base]);
}

/* Formats one directive at `f` (behind the percent sign) and returns where the format goes on. */
static const char *put_directive(const char *f, va_list *args)
{
    unsigned width = 0;
    bool is_long;

    while (*f >= '0' && *f <= '9')
        width = width * 10 + (unsigned)(*f++ - '0');
    is_long = *f == 'l';
    f += is_long;
    if (*f == 's')
        put_string(va_arg(*args, const char *));
    else
        put_number(is_long ? va_arg(*args, uint64_t) : va_arg(*args, unsigned), *f == 'x' ? 16 : 10, width);
    return f + 1;
}

static void put_line(const char *format, va_list *args)
{
    while (__atomic_exchange_n(&log_busy, true, __ATOMIC_ACQUIRE))
        hw_pause();
    put_string("cloudvisor: ");
    while (*format != '\0') {
        if (*format != '%')
            put_char(*format++);
        else
            format = put_directive(format + 1, args);
    }
    put_string("\r\n");
    __atomic_store_n(&log_busy, false, __ATOMIC_RELEASE);
}

void cv_log(enum log_level level, const char *format, ...)
{
    va_list args;

    if (level > boot->verbosity)
        return;
    va_start(args, format);
    put_line(format, &args);
    va_end(args);
}

/* A window of 2^31 TSC ticks, about a second, lets LOG_BURST lines pass. */
bool log_within_rate(enum log_level level)
{
    static uint64_t window, lines;
    uint64_t now = hw_rdtsc() >> 31;

    if (level > boot->verbosity)
        return false;
    lines = now == window ? lines : 0;
    window = now;
    if (lines++ < LOG_BURST)
        return true;
    cpu_count_stat(this_cpu(), STAT_log_lost);
    return false;
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
