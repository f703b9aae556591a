/* SPDX-License-Identifier: GPL-2.0-only */
/* TPM2_GetCapability's list of PCR banks without those that are empty: see pcr_banks.h. */
#include "tests/tpm/pcr_banks.h"

#include <stdbool.h>
#include <string.h>

#define TAG_NO_SESSIONS   0x8001u
#define CC_GET_CAPABILITY 0x17au
#define CAP_PCRS          5u

/*
 * The response: tag (2 bytes), size (4), code (4), moreData (1), capability (4), count (4), then per bank the
 * algorithm (2), the selection's size (1), the selection.
 */
#define OFFSET_CODE       6u
#define OFFSET_CAPABILITY 11u
#define OFFSET_COUNT      15u
#define OFFSET_BANKS      19u
#define BANK_HEADER       3u

static uint32_t load_be(const uint8_t *bytes, size_t size)
{
    uint32_t value = 0;

    for (size_t i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    return value;
}

static void store_be32(uint8_t *bytes, size_t value)
{
    for (size_t i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

static bool asks_for_banks(const uint8_t *command, size_t size)
{
    return size >= 14 && load_be(command, 2) == TAG_NO_SESSIONS && load_be(command + 6, 4) == CC_GET_CAPABILITY &&
           load_be(command + 10, 4) == CAP_PCRS;
}

static bool lists_banks(const uint8_t *response, size_t size)
{
    return size >= OFFSET_BANKS && load_be(response, 2) == TAG_NO_SESSIONS && load_be(response + 2, 4) == size &&
           load_be(response + OFFSET_CODE, 4) == 0 && load_be(response + OFFSET_CAPABILITY, 4) == CAP_PCRS;
}

static bool has_pcr(const uint8_t *selection, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (selection[i])
            return true;
    }
    return false;
}

size_t pcr_banks_hide_unallocated(const uint8_t *command, size_t command_size, uint8_t *response, size_t response_size)
{
    uint8_t kept[4096];
    size_t kept_size = 0, kept_count = 0, at = OFFSET_BANKS;

    if (!asks_for_banks(command, command_size) || !lists_banks(response, response_size) || response_size > sizeof(kept))
        return response_size;
    for (uint32_t left = load_be(response + OFFSET_COUNT, 4); left; left--) {
        size_t size;

        if (response_size - at < BANK_HEADER)
            return response_size;
        size = BANK_HEADER + response[at + BANK_HEADER - 1];
        if (response_size - at < size)
            return response_size;
        if (has_pcr(response + at + BANK_HEADER, size - BANK_HEADER)) {
            memcpy(kept + kept_size, response + at, size);
            kept_size += size;
            kept_count++;
        }
        at += size;
    }
    if (at != response_size)
        return response_size;
    memcpy(response + OFFSET_BANKS, kept, kept_size);
    store_be32(response + OFFSET_COUNT, kept_count);
    store_be32(response + 2, OFFSET_BANKS + kept_size);
    return OFFSET_BANKS + kept_size;
}
