/* SPDX-License-Identifier: GPL-2.0-only
 *
 * What a test guest computes and what the host recomputes. The runner has the
 * same formulas a third time (testbed/workload.py), so that a wrong answer
 * can't be agreed upon by one faulty processor.
 */
#ifndef CV_TESTS_WORKLOAD_H
#define CV_TESTS_WORKLOAD_H

#include <stddef.h>
#include <stdint.h>

#define CPU_LOOP_STEPS 4000000u
#define MEMORY_MIB     8u /* unless the guest's command line says otherwise */
#define SECRET_BYTES   32u
#define DISK_BYTES     (1u << 20)

/* A linear congruential generator: its n-th value also has a closed form. */
static inline uint64_t workload_cpu_loop(uint64_t seed, uint32_t steps)
{
    uint64_t value = seed;

    for (uint32_t i = 0; i < steps; i++)
        value = value * 6364136223846793005u + 1442695040888963407u;
    return value;
}

static inline void workload_fill(uint64_t *words, size_t word_count, uint64_t seed)
{
    for (size_t i = 0; i < word_count; i++)
        words[i] = (seed + i) * 0x9e3779b97f4a7c15u;
}

/* Bytes that lie nowhere but where this is called. */
static inline void workload_secret(uint8_t *bytes, size_t byte_count, uint64_t seed)
{
    for (size_t i = 0; i < byte_count; i++) {
        seed = workload_cpu_loop(seed, 1);
        bytes[i] = (uint8_t)(seed >> 56);
    }
}

/* What a guest keeps in registers. */
static inline uint64_t workload_register(uint64_t seed)
{
    return workload_cpu_loop(~seed, 99);
}

/* Depends on each word and on its place. */
static inline uint64_t workload_digest(const uint64_t *words, size_t word_count)
{
    uint64_t digest = 0;

    for (size_t i = 0; i < word_count; i++)
        digest = digest * 31 + words[i];
    return digest;
}

#endif
