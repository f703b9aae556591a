# SPDX-License-Identifier: GPL-2.0-only
#
# The same image in QEMU on a machine whose KVM offers nested VMX. Same
# interface as bochs.BochsMachine.

import os
import subprocess

QEMU = "/usr/bin/qemu-system-x86_64"
FIRMWARE = "/usr/share/ovmf/OVMF.fd"


def why_not():
    """Why nested VMX can't be used here, with the remedy; None if it can."""
    if not os.path.exists("/dev/kvm"):
        return ("/dev/kvm is missing\n  remedy: switch on virtualization in the firmware and "
                "'modprobe kvm_intel'; in a VM, its host must offer nested VMX")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm can't be opened\n  remedy: join the group kvm, or run as root"
    with open("/proc/cpuinfo") as file:
        if " vmx" not in file.read():
            return ("the processor shows no VMX (/proc/cpuinfo)\n  remedy: an Intel processor "
                    "is needed, with VMX not locked off by the firmware")
    try:
        with open("/sys/module/kvm_intel/parameters/nested") as file:
            nested = file.read().strip()
    except FileNotFoundError:
        return "kvm_intel is not loaded\n  remedy: as root: modprobe kvm_intel nested=1"
    if nested not in ("Y", "1"):
        return ("kvm_intel runs without nested VMX (parameter nested=%s)\n  remedy: as root: "
                "modprobe -r kvm_intel; modprobe kvm_intel nested=1" % nested)
    return None


class QemuMachine:
    """One QEMU/KVM machine; `console` is a terminal device for COM1, or None."""

    def __init__(self, folder, disk, cpus=1, memory=1024, console=None):
        self.folder, self.process = os.path.abspath(folder), None
        com1 = console or "file:" + self.path("serial.log")
        self.command = [
            QEMU, "-machine", "q35", "-accel", "kvm", "-cpu", "host", "-smp", str(cpus),
            "-m", str(memory), "-bios", FIRMWARE, "-nodefaults", "-no-user-config",
            "-display", "none", "-vga", "std",
            "-drive", "file=%s,format=raw,if=ide,snapshot=on" % os.path.abspath(disk),
            "-serial", com1, "-serial", "file:" + self.path("layer.log")]

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self):
        for name in ("serial.log", "layer.log"):
            open(self.path(name), "wb").close()
        with open(self.path("qemu.log"), "wb") as output:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=subprocess.STDOUT)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        if self.running():
            self.process.kill()
        if self.process:
            self.process.wait()

    def ticks(self):
        return None

    def ended_by_guest(self):
        return "power-off" if self.process.returncode == 0 else None
