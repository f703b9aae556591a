/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The loader's configuration file: "key = value" lines, '#' as the first character of a line starts a comment,
 * CRLF tolerated, printable ASCII only. Whoever can write the boot volume writes this file: it is parsed with
 * bounds on everything, and anything unknown, doubled or malformed is refused, never skipped.
 *
 *   next       = \EFI\debian\grubx64.efi    the next EFI application, on the volume of the loader (required)
 *   args       = quiet root=/dev/sda2       its load options (default: none)
 *   verbosity  = error | info | debug       default info
 *   unsuitable = stop | continue            on a CPU without a needed feature (default stop)
 *   init       = exit | trap                how INIT and SIPI are caught: VM exits, or trapped APIC writes (default exit)
 *   log        = none | com1 | com2         serial port of the layer's log (default none)
 *   shadowing  = on | off                   hardware VMCS shadowing where the CPU has it (default on)
 */
#ifndef LOADER_CONF_H
#define LOADER_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONF_FILE_MAX = 8192, CONF_PATH_MAX = 255, CONF_ARGS_MAX = 2047, CONF_WORD_MAX = 23 };

struct conf {
    char next[CONF_PATH_MAX + 1]; /* absolute, with backslashes */
    char args[CONF_ARGS_MAX + 1];
    uint32_t verbosity;     /* as in struct boot_info */
    uint32_t init_mode;     /* enum boot_init_mode */
    uint32_t log_port;      /* enum boot_log_port */
    uint32_t shadowing;     /* 0 or 1 */
    uint32_t run_undemoted; /* 1: start the next stage without the layer on an unsuitable CPU */
};

enum conf_error {
    CONF_OK = 0,
    CONF_FILE_TOO_LONG,
    CONF_BAD_CHARACTER,
    CONF_NO_EQUALS_SIGN,
    CONF_UNKNOWN_KEY,
    CONF_KEY_TWICE,
    CONF_BAD_VALUE,
    CONF_VALUE_TOO_LONG,
    CONF_NEXT_MISSING,
    CONF_ERROR_COUNT,
};

/* Where and why parsing stopped; enough to tell the user what to change. */
struct conf_fault {
    enum conf_error error;
    uint32_t line;                /* from 1; 0: the file as a whole */
    const char *expected;         /* what the key takes, or NULL */
    char word[CONF_WORD_MAX + 1]; /* the offending word, cut and printable */
};

/* Parses `size` bytes at `text` (need not be terminated). On false `fault` is filled and `conf` must not be used. */
bool conf_parse(const char *text, size_t size, struct conf *conf, struct conf_fault *fault);

/* Writes one sentence with the line, the cause and the remedy. Returns its length; 200 bytes are always enough. */
size_t conf_describe(const struct conf_fault *fault, char *buffer, size_t size);

#endif
