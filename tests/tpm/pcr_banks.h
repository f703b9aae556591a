/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * swtpm lists every hash algorithm that it was built with as a PCR bank, also those without a single PCR. The firmware
 * hashes its 13.5 MB once for each bank listed, which is half of the boot's time. Many TPMs list only what is there.
 */
#ifndef TESTS_TPM_PCR_BANKS_H
#define TESTS_TPM_PCR_BANKS_H

#include <stddef.h>
#include <stdint.h>

/*
 * If this is the answer to TPM2_GetCapability(TPM_CAP_PCRS) without sessions: removes the banks that have no PCR, and
 * returns the response's new size. Anything else, and anything malformed, stays as it is.
 */
size_t pcr_banks_hide_unallocated(const uint8_t *command, size_t command_size, uint8_t *response, size_t response_size);

#endif
