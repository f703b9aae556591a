# SPDX-License-Identifier: GPL-2.0-only
#
# The values that a test guest must report, computed independently of the
# emulated machine. Keep in step with guest/workload.h.

MASK = (1 << 64) - 1
MULTIPLIER = 6364136223846793005
INCREMENT = 1442695040888963407
GOLDEN = 0x9E3779B97F4A7C15

CPU_LOOP_STEPS = 4000000
MEMORY_MIB = 8
DISK_BYTES = 1 << 20
SECRET_BYTES = 32


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
    """The digest of `byte_count` bytes filled from `seed`, by halves: with D(s, n) for n words from s on,
    D(s, a + b) = D(s, a) * 31^b + D(s + a, b), and D(s, n) = D(0, n) + s * (1 + 31 + ... + 31^(n-1)) * GOLDEN."""
    def parts(count):
        """D(0, count), the sum of the powers, and 31^count."""
        if count == 0:
            return 0, 0, 1
        half = count // 2
        value, powers, power = parts(half)
        value, powers, power = (value * power + value + half * GOLDEN * powers, powers * power + powers, power * power)
        if count % 2:
            value, powers, power = value * 31 + (count - 1) * GOLDEN, powers * 31 + 1, power * 31
        return value & MASK, powers & MASK, power & MASK

    value, powers, _ = parts(byte_count // 8)
    return (value + seed * powers * GOLDEN) & MASK


def secret(seed):
    """The bytes that a guest with this seed keeps in its memory."""
    return bytes(cpu_loop(seed, step + 1) >> 56 for step in range(SECRET_BYTES))


def expected(seed, memory_mib=MEMORY_MIB):
    """What a guest with this seed must print, as key -> hexadecimal text."""
    return {
        "cpu": "%016x" % cpu_loop(seed),
        "memory": "%016x" % digest(seed, memory_mib << 20),
        "disk_read": "%016x" % digest(seed, DISK_BYTES),
        "disk_written": "%016x" % digest(seed + 1, DISK_BYTES),
    }
