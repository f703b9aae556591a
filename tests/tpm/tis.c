/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The registers of tis.h, byte by byte; wider accesses are sequences of bytes. Where PTP leaves a choice: a write to
 * TPM_ACCESS or TPM_STS with more than one bit set does nothing; Reception and Completion go to Ready by way of Idle
 * at once; registers of a locality that is not active read as all ones where PTP says that they are undefined.
 */
#include "tests/tpm/tis.h"

#include "tests/tpm/pcr_banks.h"

#include <string.h>

#define COMMAND_HEADER_SIZE 10u
#define SIZE_FIELD_END      6u /* the bytes that tell a command's size */
#define RC_FAILURE          0x101u
#define RC_COMMAND_SIZE     0x142u

static uint8_t locality_bit(uint8_t locality)
{
    return (uint8_t)(1u << locality);
}

static uint8_t byte_of(uint32_t value, uint32_t index)
{
    return (uint8_t)(value >> (8 * index));
}

void tis_reset(struct tis *tis, const struct tis_backend *backend)
{
    *tis = (struct tis){ .backend = *backend, .active = TIS_NO_LOCALITY, .told = TIS_NO_LOCALITY };
}

static void enter(struct tis *tis, enum tis_state state)
{
    tis->state = state;
    tis->count = 0;
    tis->position = 0;
}

/* ---- TPM_ACCESS ---- */

static void activate(struct tis *tis, uint8_t locality)
{
    tis->active = locality;
    if (locality != TIS_NO_LOCALITY)
        tis->requested &= (uint8_t)~locality_bit(locality);
    enter(tis, TIS_IDLE);
}

static void release(struct tis *tis)
{
    uint8_t next = TIS_NO_LOCALITY;

    for (uint8_t i = 0; i < TIS_SOFTWARE_LOCALITY_COUNT; i++) {
        if (tis->requested & locality_bit(i))
            next = i;
    }
    activate(tis, next);
}

static void request_use(struct tis *tis, uint8_t locality)
{
    if (tis->active == TIS_NO_LOCALITY)
        activate(tis, locality);
    else if (tis->active != locality)
        tis->requested |= locality_bit(locality);
}

static void seize(struct tis *tis, uint8_t locality)
{
    if (tis->active != TIS_NO_LOCALITY) {
        if (locality <= tis->active)
            return;
        tis->seized |= locality_bit(tis->active);
    }
    activate(tis, locality);
}

static void write_access(struct tis *tis, uint8_t locality, uint8_t value)
{
    switch (value) {
    case TIS_ACCESS_REQUEST_USE: request_use(tis, locality); break;
    case TIS_ACCESS_SEIZE: seize(tis, locality); break;
    case TIS_ACCESS_BEEN_SEIZED: tis->seized &= (uint8_t)~locality_bit(locality); break;
    case TIS_ACCESS_ACTIVE:
        if (tis->active == locality)
            release(tis);
        else
            tis->requested &= (uint8_t)~locality_bit(locality);
        break;
    default: break;
    }
}

static uint8_t read_access(const struct tis *tis, uint8_t locality)
{
    uint8_t bit = locality_bit(locality);
    unsigned int value = TIS_ACCESS_VALID | TIS_ACCESS_NOT_ESTABLISHED;

    if (tis->active == locality)
        value |= TIS_ACCESS_ACTIVE;
    if (tis->seized & bit)
        value |= TIS_ACCESS_BEEN_SEIZED;
    if (tis->requested & bit)
        value |= TIS_ACCESS_REQUEST_USE;
    if (tis->requested & ~bit)
        value |= TIS_ACCESS_PENDING;
    return (uint8_t)value;
}

/* ---- TPM_STS ---- */

static size_t command_size(const struct tis *tis)
{
    const uint8_t *size = tis->buffer + 2;

    return (size_t)size[0] << 24 | (size_t)size[1] << 16 | (size_t)size[2] << 8 | size[3];
}

/* Whether the command needs more bytes; one that can't fit is complete when the buffer is full, and fails then. */
static bool expects_more(const struct tis *tis)
{
    if (tis->count < SIZE_FIELD_END)
        return true;
    return tis->count < TIS_BUFFER_SIZE && tis->count < command_size(tis);
}

static size_t respond_error(struct tis *tis, uint32_t code)
{
    const uint8_t header[COMMAND_HEADER_SIZE] = {
        0x80, 0x01, 0, 0, 0, COMMAND_HEADER_SIZE, byte_of(code, 3), byte_of(code, 2), byte_of(code, 1), byte_of(code, 0)
    };

    memcpy(tis->buffer, header, sizeof(header));
    return sizeof(header);
}

static size_t execute(struct tis *tis)
{
    uint8_t command[TIS_BUFFER_SIZE];
    size_t size = command_size(tis), response_size;

    if (size < COMMAND_HEADER_SIZE || size > tis->count)
        return respond_error(tis, RC_COMMAND_SIZE);
    if (tis->told != tis->active) {
        tis->backend.set_locality(tis->backend.context, tis->active);
        tis->told = tis->active;
    }
    memcpy(command, tis->buffer, size);
    response_size = tis->backend.execute(tis->backend.context, command, size, tis->buffer);
    if (response_size < COMMAND_HEADER_SIZE || response_size > TIS_BUFFER_SIZE)
        return respond_error(tis, RC_FAILURE);
    return pcr_banks_hide_unallocated(command, size, tis->buffer, response_size);
}

static void write_status(struct tis *tis, uint8_t value)
{
    switch (value) {
    case TIS_STS_COMMAND_READY: enter(tis, TIS_READY); break;
    case TIS_STS_GO:
        if (tis->state != TIS_RECEPTION || expects_more(tis))
            break;
        tis->count = execute(tis);
        tis->position = 0;
        tis->state = TIS_COMPLETION;
        break;
    case TIS_STS_RESPONSE_RETRY: tis->position = 0; break; /* it is 0 anyway but in Completion */
    default: break;
    }
}

static uint32_t read_status(const struct tis *tis)
{
    uint32_t value = TIS_STS_FAMILY_2_0 | TIS_STS_VALID;
    size_t burst = 0;

    switch (tis->state) {
    case TIS_IDLE: break;
    case TIS_READY:
        value |= TIS_STS_COMMAND_READY;
        burst = TIS_BUFFER_SIZE;
        break;
    case TIS_RECEPTION:
        if (expects_more(tis))
            value |= TIS_STS_EXPECT;
        burst = TIS_BUFFER_SIZE - tis->count;
        break;
    case TIS_COMPLETION:
        burst = tis->count - tis->position;
        if (burst)
            value |= TIS_STS_DATA_AVAILABLE;
        break;
    }
    return value | (uint32_t)burst << 8;
}

/* ---- TPM_DATA_FIFO ---- */

static void write_fifo(struct tis *tis, uint8_t value)
{
    if (tis->state == TIS_READY)
        enter(tis, TIS_RECEPTION);
    if (tis->state == TIS_RECEPTION && expects_more(tis))
        tis->buffer[tis->count++] = value;
}

static uint8_t read_fifo(struct tis *tis)
{
    if (tis->state != TIS_COMPLETION || tis->position == tis->count)
        return 0xff;
    return tis->buffer[tis->position++];
}

/* ---- The register file ---- */

static bool is_fifo(uint32_t reg)
{
    return (reg & ~3u) == TIS_DATA_FIFO || (reg & ~3u) == TIS_XDATA_FIFO;
}

uint8_t tis_read(struct tis *tis, uint32_t offset)
{
    uint8_t locality = (uint8_t)(offset / TIS_LOCALITY_SIZE);
    uint32_t reg = offset % TIS_LOCALITY_SIZE;

    /* Locality 4 belongs to the chipset, which passes no access of software on. */
    if (offset >= TIS_SOFTWARE_LOCALITY_COUNT * TIS_LOCALITY_SIZE)
        return 0xff;
    if (is_fifo(reg))
        return tis->active == locality ? read_fifo(tis) : 0xff;
    switch (reg & ~3u) {
    case TIS_ACCESS: return reg == TIS_ACCESS ? read_access(tis, locality) : 0;
    case TIS_STS: return tis->active == locality ? byte_of(read_status(tis), reg & 3) : 0xff;
    case TIS_INTF_CAPABILITY: return byte_of(TIS_INTF_CAPABILITY_VALUE, reg & 3);
    case TIS_INTERFACE_ID: return byte_of(TIS_INTERFACE_ID_VALUE, reg & 3);
    case TIS_DID_VID: return byte_of(TIS_DID_VID_VALUE, reg & 3);
    case TIS_RID: return byte_of(TIS_RID_VALUE, reg & 3);
    default: return 0; /* TPM_INT_*: no interrupt can be enabled */
    }
}

void tis_write(struct tis *tis, uint32_t offset, uint8_t value)
{
    uint8_t locality = (uint8_t)(offset / TIS_LOCALITY_SIZE);
    uint32_t reg = offset % TIS_LOCALITY_SIZE;

    if (offset >= TIS_SOFTWARE_LOCALITY_COUNT * TIS_LOCALITY_SIZE)
        return;
    if (reg == TIS_ACCESS)
        write_access(tis, locality, value);
    else if (tis->active != locality)
        return;
    else if (reg == TIS_STS)
        write_status(tis, value);
    else if (is_fifo(reg))
        write_fifo(tis, value);
}
