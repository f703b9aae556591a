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
DEVICES = {"microvm": "serial", "pc": "serial pic pit rtc", "q35": "serial pic pit rtc"}
CMDLINE = ("console=ttyS0 quiet tsc=reliable clocksource=tsc no_timer_check random.trust_cpu=on cryptomgr.notests "
           "mitigations=off reboot=t panic=-1 cvdisk=none cvseed=%d cvmemory=%d" % (SEED, CHECKED_MIB))


class BundleError(Exception):
    """A bundle that can't be made; the text names cause and remedy."""


def file_of(kind, machine, vcpus):
    """The bundle of a guest name's three parts. Only strict guests refuse to start where there is no layer; guests
    whose host does something to them wait for it."""
    variant = {"strict": "strict-", "searched": "wait-", "secret": "wait-", "overwritten": "wait-"}.get(kind, "")
    return "%s%s%d.elf" % (variant, machine, vcpus)


def write_secret(folder):
    """What the host searches for, masked; returns its path."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "secret.masked")
    with open(path, "wb") as file:
        file.write(bytes(byte ^ SECRET_MASK for byte in workload.secret(SEED)))
    return path


def pack(tool, kernel, initrd, folder, kind, machine, vcpus):
    """Makes the bundle in the folder, beside its policy and launch digest; returns its path."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, file_of(kind, machine, vcpus))
    policy = path.replace(".elf", ".policy")
    cmdline = CMDLINE + (" cvwait=1" if os.path.basename(path).startswith("wait-") else "")
    with open(policy, "w") as file:
        file.write("vcpus = %d\nmemory = %dM\ndevices = %s\n"
                   % (vcpus, MEMORY_MIB, DEVICES[machine]))
    try:
        done = subprocess.run([tool, "pack", "--kernel", kernel, "--initrd", initrd, "--policy", policy,
                               "--machine", machine, "--cmdline", cmdline, "-o", path]
                              + ([] if kind == "strict" else ["--allow-plain"]), capture_output=True, text=True)
    except FileNotFoundError:
        raise BundleError("%s is missing\n  remedy: make build/cvbundle, or leave out --no-build" % tool)
    if done.returncode != 0:
        raise BundleError("the bundle of %s%d was refused: %s" % (machine, vcpus, done.stderr.strip()))
    with open(path.replace(".elf", ".digest"), "w") as file:
        file.write(done.stdout)
    return path
