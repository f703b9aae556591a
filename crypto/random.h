/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random bytes for keys: CTR_DRBG with AES-256, seeded and reseeded from the processor. The processor's source is
 * believed to be unpredictable, but it may be missing or broken: seeds are checked, and after one failure no more
 * random bytes are ever given out. Callers hold the layer's lock and are between crypto_begin and crypto_end.
 */
#ifndef CRYPTO_RANDOM_H
#define CRYPTO_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RANDOM_EXTRA_MAX = 256, RANDOM_BYTES_MAX = 1024 };

/*
 * The processor's source, hw_random.c in the layer: false where it has no such instruction, or where the instruction
 * had nothing to give this time.
 */
bool hw_rdseed64(uint64_t *value);
bool hw_rdrand64(uint64_t *value);

/* One word from that source, which may be known to whoever built the processor. No use of the library. */
__attribute__((warn_unused_result)) bool random_word(uint64_t *value);

/*
 * Seeds the generator. `extra`, at most RANDOM_EXTRA_MAX bytes, is mixed in: the TPM's random bytes, which help if
 * the processor's are weak and do no harm if they are known. False if the source fails.
 */
__attribute__((warn_unused_result)) bool random_init(const void *extra, size_t extra_size);

/* Fills `to`, at most RANDOM_BYTES_MAX bytes at a time; on false it is zeroed. */
__attribute__((warn_unused_result)) bool random_bytes(void *to, size_t size);

/* Wipes the generator; random_bytes fails until the next random_init. */
void random_free(void);

#endif
