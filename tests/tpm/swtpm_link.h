/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The connection to swtpm: a socket for commands as they are, and one beside it (same name with .ctrl) for control
 * messages. Every call blocks until swtpm has answered: that keeps the emulated machine deterministic. A failure ends
 * the process with a message on standard error that names cause and remedy; a machine whose TPM is gone is no test.
 */
#ifndef TESTS_TPM_SWTPM_LINK_H
#define TESTS_TPM_SWTPM_LINK_H

#include <stddef.h>
#include <stdint.h>

struct swtpm_link {
    int data;
    int control;
};

void swtpm_connect(struct swtpm_link *link, const char *path);

/* As if the TPM's power came on: the next command must be TPM2_Startup. */
void swtpm_power_on(struct swtpm_link *link);

void swtpm_set_locality(struct swtpm_link *link, uint8_t locality);

/* Returns the response's size, at most `capacity`, at least 10. */
size_t swtpm_execute(struct swtpm_link *link, const uint8_t *command, size_t size, uint8_t *response, size_t capacity);

#endif
