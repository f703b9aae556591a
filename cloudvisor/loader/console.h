/* SPDX-License-Identifier: GPL-2.0-only */
/* Messages of the loader: on the firmware's console, and on a serial port where that console does not include one. */
#ifndef LOADER_CONSOLE_H
#define LOADER_CONSOLE_H

#include <stdint.h>

/* Looks whether the firmware's console goes to a serial line already; until console_use_port() COM1 stands in. */
void console_init(void);

/* Serial port (I/O base) for messages where the firmware's console has none; 0: none. */
void console_use_port(uint32_t port);

/* Shows a message, one line without its end, at most 255 characters; formats as in text.h. */
void console_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
