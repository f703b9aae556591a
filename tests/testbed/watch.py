# SPDX-License-Identifier: GPL-2.0-only
#
# Follows a running machine by its logs: prints each stage as it begins, with
# the time and what comes next, and notices a machine that no longer moves.

import os
import re
import sys
import time

from testbed import results

POLL_SECONDS = 0.2
NOISE = re.compile(r"RDMSR: Read \S+ from MSR_APICBASE")

# What a new line on the serial port means: pattern, stage, what comes next and
# about how many seconds that takes in the emulator on a free processor.
STAGES = [
    (r"BdsDxe: starting ", "firmware hands over", "boot loader", 2),
    (r"Welcome to GRUB", "boot loader reads kernel and initramfs", "Linux", 15),
    (r"^\[ +0\.\d+\]|EFI stub", "Linux starts", "its user land", 10),
    (r"CV-STAGE \S+ userland", "host's user land", "loading of kvm_intel", 2),
    (r"CV-STAGE \S+ load kvm_intel", "kvm_intel is loading", "first guest", 6),
    (r"CV-STAGE \S+ guest (\S+)", "guest {0}: QEMU starts it", "its kernel", 15),
    (r"cloudvisor bundle: not launched", "  its bundle is not launched as a protected VM", "its kernel", 15),
    (r"^CVG up", "  its kernel is up", "its computations", 5),
    (r"^CVG memory", "  its CPU and memory results are in", "its disk, if it has one", 2),
    (r"^CVG waits", "  it waits; its host works on its memory", "input from the host", 20),
    (r"^CVG done", "  its work is done; powering off", "host's check", 1),
    (r"CV-RESULT guest=(\S+) (\S+)", "guest {0}: {1}", "next guest or test", 1),
    (r"CV-RESULT test=(\S+) (\S+)", "host test {0}: {1}", "next test", 15),
    (r"CV-STAGE \S+ ((?:scene|memory|life|soak|a protected guest).*)", "{0}", "its next step", 60),
    (r"CV-SOAK .*up=(\d+) launches=(\d+)", "  {1} launches", "more of them", 30),
    (r"CV-STAGE \S+ reload", "kvm_intel is unloaded and loaded again", "a guest", 10),
    (r"CV-STAGE \S+ hotplug", "CPU 1 goes offline and online", "a guest on CPU 1", 5),
    (r"CV-STAGE \S+ bench", "micro-benchmarks in a KVM guest", "their figures", 30),
    (r"CV-STAGE \S+ counters", "counters are read", "end", 1),
    (r"CV-STAGE \S+ end (\S+)", "machine ends ({0})", "summary", 1),
]
PANIC = re.compile(r"Kernel panic|cv_panic|PANIC:|Oops:|BUG: ")


class Tail:
    """The complete new lines of a growing log."""

    def __init__(self, path):
        self.path, self.position, self.partial = path, 0, ""

    def lines(self):
        try:
            with open(self.path, "rb") as file:
                file.seek(self.position)
                data = file.read()
        except FileNotFoundError:
            return []
        self.position += len(data)
        text = self.partial + data.decode(errors="replace").replace("\r", "")
        *complete, self.partial = text.split("\n")
        return [results.strip_terminal_codes(line) for line in complete]


class Watch:
    """Runs a machine to its end; `outcome` then says how that came."""

    def __init__(self, machine, folder, stall_seconds, limit_seconds, quiet=False,
                 expect_restart=False, show_serial=False):
        self.machine, self.folder = machine, folder
        self.stall_seconds, self.limit_seconds = stall_seconds, limit_seconds
        self.quiet, self.expect_restart, self.show_serial = quiet, expect_restart, show_serial
        self.serial = Tail(os.path.join(folder, "serial.log"))
        self.layer = Tail(os.path.join(folder, "layer.log"))
        self.started = self.moved = time.monotonic()
        self.waiting_for, self.starts, self.ending = "the firmware", 0, False
        self.layer_seen = False
        self.outcome = None

    def elapsed(self):
        return time.monotonic() - self.started

    def say(self, text):
        if not self.quiet:
            print("[%6.1f s] %s" % (self.elapsed(), text), flush=True)

    def stage(self, text, following, seconds):
        self.waiting_for = following
        self.say("%-46s next: %s, about %d s" % (text, following, seconds))

    def run(self):
        self.stage("machine starts, firmware runs", "boot entry", 9)
        while self.outcome is None:
            alive = self.machine.running()
            self._read_logs()
            if not alive and self.outcome is None:
                self.outcome = self.machine.ended_by_guest() or "died"
            elif alive:
                self._check_time()
                time.sleep(POLL_SECONDS)
        self.machine.stop()
        return self.outcome

    def _read_logs(self):
        for line in self.layer.lines():
            self.moved = time.monotonic()
            # The firmware writes its console to this port as well.
            if not self.layer_seen and "cloudvisor" in line.lower():
                self.layer_seen = True
                self.stage("CloudVisor runs", "boot loader", 3)
            if PANIC.search(line):
                self.say("layer: " + line)
        for line in self.serial.lines():
            self.moved = time.monotonic()
            self._serial_line(line)

    def _serial_line(self, line):
        if self.show_serial and line.strip():
            self.say("| " + line)
        if "BdsDxe: starting " in line:
            self.starts += 1
            if self.starts > 1:
                self.outcome = "restart" if self.expect_restart and self.ending \
                    else "unexpected restart"
                return
        if PANIC.search(line):
            self.say("serial: " + line)
        for pattern, text, following, seconds in STAGES:
            match = re.search(pattern, line)
            if match:
                if pattern.startswith(r"^\[") and self.waiting_for != "Linux":
                    return
                self.ending = self.ending or " end " in line
                self.stage(text.format(*match.groups()), following, seconds)
                return

    def _check_time(self):
        silent = time.monotonic() - self.moved
        if silent > self.stall_seconds:
            self.outcome = "stall"
            self.say("STOPPED: nothing on the serial ports for %d s, while waiting for: %s"
                     % (silent, self.waiting_for))
        elif self.elapsed() > self.limit_seconds:
            self.outcome = "time limit"
            self.say("STOPPED: the limit of %d s is over, while waiting for: %s"
                     % (self.limit_seconds, self.waiting_for))


def show_ends_of_logs(folder, count=15):
    """The last lines of each log, for a run that did not end well."""
    for name in ("serial.log", "layer.log", "bochs.log"):
        path = os.path.join(folder, name)
        if not os.path.exists(path) or not os.path.getsize(path):
            continue
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - 16384))
            text = results.strip_terminal_codes(file.read().decode(errors="replace"))
        lines = [line for line in text.replace("\r", "").split("\n")
                 if line.strip() and not NOISE.search(line)]
        print("--- %s, last lines:" % path, file=sys.stderr)
        for line in lines[-count:]:
            print("    " + line[:160], file=sys.stderr)
