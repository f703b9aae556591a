/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Formatting of short ASCII messages. Invariant: never writes past the buffer, always terminates it.
 */
#include "cloudvisor/loader/text.h"

struct text_sink {
    char *buffer;
    size_t size;
    size_t length;
};

static void put_char(struct text_sink *sink, char letter)
{
    if (sink->length + 1 < sink->size)
        sink->buffer[sink->length++] = letter;
}

static void put_string(struct text_sink *sink, const char *string)
{
    while (*string)
        put_char(sink, *string++);
}

static void put_number(struct text_sink *sink, unsigned long value, unsigned base)
{
    char digits[20];
    size_t count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (count)
        put_char(sink, digits[--count]);
}

size_t text_vformat(char *buffer, size_t size, const char *format, va_list arguments)
{
    struct text_sink sink = { buffer, size, 0 };

    for (; *format; format++) {
        bool is_long = false;

        if (*format != '%') {
            put_char(&sink, *format);
            continue;
        }
        if (*++format == 'l') {
            is_long = true;
            format++;
        }
        if (*format == 's')
            put_string(&sink, va_arg(arguments, const char *));
        else if (*format == 'c')
            put_char(&sink, (char)va_arg(arguments, int));
        else if (*format == 'u' || *format == 'x')
            put_number(&sink, is_long ? va_arg(arguments, unsigned long) : va_arg(arguments, unsigned),
                       *format == 'u' ? 10 : 16);
        else if (*format == '%')
            put_char(&sink, '%');
        else
            break;
    }
    buffer[sink.length] = '\0';
    return sink.length;
}

size_t text_format(char *buffer, size_t size, const char *format, ...)
{
    va_list arguments;
    size_t length;

    va_start(arguments, format);
    length = text_vformat(buffer, size, format, arguments);
    va_end(arguments);
    return length;
}

bool text_equals(const char *bytes, size_t length, const char *word)
{
    for (size_t i = 0; i < length; i++) {
        if (word[i] == '\0' || bytes[i] != word[i])
            return false;
    }
    return word[length] == '\0';
}
