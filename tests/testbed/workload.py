# SPDX-License-Identifier: GPL-2.0-only
#
# The values that a test guest must report, computed independently of the
# emulated machine. Keep in step with guest/workload.h.

MASK = (1 << 64) - 1
MULTIPLIER = 6364136223846793005
INCREMENT = 1442695040888963407
GOLDEN = 0x9E3779B97F4A7C15

CPU_LOOP_STEPS = 4000000
MEMORY_BYTES = 8 << 20
DISK_BYTES = 1 << 20


def cpu_loop(seed, steps=CPU_LOOP_STEPS):
    """The generator's value after `steps` steps, by repeated squaring."""
    scale, offset = 1, 0
    step_scale, step_offset = MULTIPLIER, INCREMENT
    while steps:
        if steps & 1:
            scale, offset = scale * step_scale & MASK, (offset * step_scale + step_offset) & MASK
        step_offset = (step_offset * step_scale + step_offset) & MASK
        step_scale = step_scale * step_scale & MASK
        steps >>= 1
    return (seed * scale + offset) & MASK


def digest(seed, byte_count):
    """The digest of `byte_count` bytes filled from `seed`."""
    value = 0
    for i in range(byte_count // 8):
        value = (value * 31 + (seed + i) * GOLDEN) & MASK
    return value


def expected(seed):
    """What a guest with this seed must print, as key -> hexadecimal text."""
    return {
        "cpu": "%016x" % cpu_loop(seed),
        "memory": "%016x" % digest(seed, MEMORY_BYTES),
        "disk_read": "%016x" % digest(seed, DISK_BYTES),
        "disk_written": "%016x" % digest(seed + 1, DISK_BYTES),
    }
