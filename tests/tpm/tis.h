/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A TPM's register interface for the emulated machine: FIFO interface of the TCG PC Client Platform TPM Profile
 * (PTP), localities, no interrupts. Commands go to a backend and come back before the write to TPM_STS.tpmGo returns,
 * so software never sees the state Execution, and equal runs stay equal to the tick.
 *
 *      Idle --commandReady--> Ready --first byte--> Reception --tpmGo--> Completion
 *                               ^----- commandReady ------'------------------'
 *      any state --another locality becomes active, or none--> Idle
 *
 * Software is not trusted: any access of any size at any time leaves the invariants (count, position and requested in
 * range, at most one locality active). One caller at a time.
 */
#ifndef TESTS_TPM_TIS_H
#define TESTS_TPM_TIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIS_BASE                    0xfed40000u
#define TIS_LOCALITY_SIZE           0x1000u
#define TIS_LOCALITY_COUNT          5u /* pages; the last is the chipset's own */
#define TIS_SOFTWARE_LOCALITY_COUNT 4u
#define TIS_SIZE                    (TIS_LOCALITY_COUNT * TIS_LOCALITY_SIZE)
#define TIS_BUFFER_SIZE             4096u
#define TIS_NO_LOCALITY             0xffu

/* Registers of one locality. */
#define TIS_ACCESS          0x000u
#define TIS_INT_ENABLE      0x008u
#define TIS_INT_VECTOR      0x00cu
#define TIS_INT_STATUS      0x010u
#define TIS_INTF_CAPABILITY 0x014u
#define TIS_STS             0x018u
#define TIS_DATA_FIFO       0x024u
#define TIS_INTERFACE_ID    0x030u
#define TIS_XDATA_FIFO      0x080u
#define TIS_DID_VID         0xf00u
#define TIS_RID             0xf04u

/* TPM_ACCESS */
#define TIS_ACCESS_VALID           0x80u
#define TIS_ACCESS_ACTIVE          0x20u
#define TIS_ACCESS_BEEN_SEIZED     0x10u
#define TIS_ACCESS_SEIZE           0x08u
#define TIS_ACCESS_PENDING         0x04u
#define TIS_ACCESS_REQUEST_USE     0x02u
#define TIS_ACCESS_NOT_ESTABLISHED 0x01u

/* TPM_STS, lowest byte; burstCount is in the two above it. */
#define TIS_STS_VALID          0x80u
#define TIS_STS_COMMAND_READY  0x40u
#define TIS_STS_GO             0x20u
#define TIS_STS_DATA_AVAILABLE 0x10u
#define TIS_STS_EXPECT         0x08u
#define TIS_STS_RESPONSE_RETRY 0x02u
#define TIS_STS_FAMILY_2_0     (1u << 26)

#define TIS_INTF_CAPABILITY_VALUE 0x30000615u /* PTP 1.3, 64-byte transfers; mandatory interrupts, none ever raised */
#define TIS_INTERFACE_ID_VALUE    0x00003900u /* FIFO only, five localities, 64-byte transfers */
#define TIS_DID_VID_VALUE         0x00011014u
#define TIS_RID_VALUE             0x01u

enum tis_state { TIS_IDLE, TIS_READY, TIS_RECEPTION, TIS_COMPLETION };

/* What executes the commands. Both must not return before it is done. */
struct tis_backend {
    void (*set_locality)(void *context, uint8_t locality);
    /* Returns the response's size, at most TIS_BUFFER_SIZE; 0 for a failure. */
    size_t (*execute)(void *context, const uint8_t *command, size_t size, uint8_t *response);
    void *context;
};

struct tis {
    struct tis_backend backend;
    enum tis_state state;
    uint8_t active;    /* a locality, or TIS_NO_LOCALITY */
    uint8_t requested; /* bit per locality: waits for the active one to let go */
    uint8_t seized;    /* bit per locality: lost its activity to a higher one */
    uint8_t told;      /* the locality that the backend knows of */
    size_t count;      /* bytes in the buffer: of the command, or of the response */
    size_t position;   /* bytes of the response that were read */
    uint8_t buffer[TIS_BUFFER_SIZE];
};

/* The state after power-on. The backend must have been reset likewise. */
void tis_reset(struct tis *tis, const struct tis_backend *backend);

/* One byte at `offset` from TIS_BASE; reads may have side effects (FIFO). Past the end: 0xff, and nothing. */
uint8_t tis_read(struct tis *tis, uint32_t offset);
void tis_write(struct tis *tis, uint32_t offset, uint8_t value);

#endif
