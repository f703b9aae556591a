# SPDX-License-Identifier: GPL-2.0-only
#
# Guests that are bundles of cvbundle: their names, and the files that the disk
# image gets. One bundle per machine type and number of vCPUs; the kernel is the
# one of the other guests, unmodified, the initrd one static program.

import os
import subprocess

from testbed import workload

KINDS = ("bundle", "protected", "strict", "searched", "secret", "overwritten")
MUST_BE_PROTECTED = ("protected", "strict", "secret")
SECRET_MASK = 0xA5      # of the file with the guests' secret, as host/cvsearch.c has it
SEED = 7000
MEMORY_MIB = 256        # of the machine, in its policy and for qemu -m
CHECKED_MIB = 64        # of memory that the guest fills and checks
TALK_MEMORY_MIB = 104   # of guests that take orders: each page that the host touches costs
TALK_CHECKED_MIB = 16
TINY_MEMORY_MIB = 64    # of the guest that only says that it is up
SECRET_SEED = 31337     # is typed into guests that take orders
DEVICES = {"microvm": "serial", "pc": "serial pic pit rtc", "q35": "serial pic pit rtc"}
KERNEL_WORDS = ("console=ttyS0 quiet tsc=reliable clocksource=tsc no_timer_check random.trust_cpu=on cryptomgr.notests "
                "mitigations=off reboot=t panic=-1 cvdisk=none cvseed=%d cvmemory=%d")
CMDLINE = KERNEL_WORDS % (SEED, CHECKED_MIB)
# KVM hides ERMS on this emulator, the layer does not: a page is then cleared in 512 ticks or in 4096.
BENCH_CMDLINE = KERNEL_WORDS % (SEED, 1) + " nokaslr clearcpuid=erms iomem=relaxed cvbench=1"
TALK_CMDLINE = KERNEL_WORDS % (SEED, TALK_CHECKED_MIB) + " cvtalk=1"
# Bundles that host tests need. The plain one asks for a feature that the emulated processor lacks: no layer launches it.
TEST_BUNDLES = {
    "talk-microvm1.elf": (TALK_MEMORY_MIB, TALK_CMDLINE, ""),
    "plain-microvm1.elf": (TALK_MEMORY_MIB, TALK_CMDLINE, "cpu = sha-ni\n"),
    "bench-microvm1.elf": (MEMORY_MIB, BENCH_CMDLINE, ""),
    "benchplain-microvm1.elf": (MEMORY_MIB, BENCH_CMDLINE, "cpu = sha-ni\n"),
    "tiny-microvm1.elf": (TINY_MEMORY_MIB, "tiny", ""),
}


class BundleError(Exception):
    """A bundle that can't be made; the text names cause and remedy."""


def file_of(kind, machine, vcpus):
    """The bundle of a guest name's three parts. Only strict guests refuse to start where there is no layer; guests
    whose host does something to them wait for it."""
    variant = {"strict": "strict-", "searched": "wait-", "secret": "wait-", "overwritten": "wait-"}.get(kind, "")
    return "%s%s%d.elf" % (variant, machine, vcpus)


def file_of_guest(guest):
    """Likewise of a guest's whole name, such as strict-pc2."""
    kind, name = guest.split("-", 1)
    return file_of(kind, name[:-1], int(name[-1]))


def write_secret(folder, name="secret.masked", seed=SEED):
    """What the host searches for, masked; returns its path."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(bytes(byte ^ SECRET_MASK for byte in workload.secret(seed)))
    return path


def pack(tool, kernel, initrd, folder, kind, machine, vcpus):
    """Makes the bundle of a guest in the folder, beside its policy and launch digest; returns its path."""
    name = file_of(kind, machine, vcpus)
    policy = "vcpus = %d\nmemory = %dM\ndevices = %s\n" % (vcpus, MEMORY_MIB, DEVICES[machine])
    cmdline = CMDLINE + (" cvwait=1" if name.startswith("wait-") else "")
    return _pack(tool, kernel, initrd, os.path.join(folder, name), machine, policy, cmdline, kind != "strict")


def pack_for_test(tool, kernel, initrd, folder, name):
    """Likewise, one of TEST_BUNDLES; without an initrd for the tiny kernel."""
    memory, cmdline, more = TEST_BUNDLES[name]
    policy = "vcpus = 1\nmemory = %dM\ndevices = serial\n%s" % (memory, more)
    return _pack(tool, kernel, initrd, os.path.join(folder, name), "microvm", policy, cmdline, bool(more))


def _pack(tool, kernel, initrd, path, machine, policy, cmdline, allow_plain):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    policy_file = path.replace(".elf", ".policy")
    with open(policy_file, "w") as file:
        file.write(policy)
    command = [tool, "pack", "--kernel", kernel, "--policy", policy_file, "--machine", machine, "--cmdline", cmdline,
               "-o", path]
    command += (["--initrd", initrd] if initrd else []) + (["--allow-plain"] if allow_plain else [])
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise BundleError("%s is missing\n  remedy: make build/cvbundle, or leave out --no-build" % tool)
    if done.returncode != 0:
        raise BundleError("the bundle %s was refused: %s" % (path, done.stderr.strip()))
    with open(path.replace(".elf", ".digest"), "w") as file:
        file.write(done.stdout)
    return path


def digest(folder, name):
    """The launch digest of a bundle that was made in this folder, in hexadecimal; None if there is none."""
    try:
        with open(os.path.join(folder, name.replace(".elf", ".digest"))) as file:
            return file.read().strip()
    except FileNotFoundError:
        return None
