# SPDX-License-Identifier: GPL-2.0-only
#
# Starts and stops one Bochs machine with OVMF, deterministically: fixed clock,
# fixed random seed (bochs/preload.c). All its files are in one folder, so runs
# in different folders may go in parallel.
#   bochsrc, bochs.log (emulator), serial.log (COM1), layer.log (COM2), port-e9.log

import os
import subprocess

BOCHS = "/usr/bin/bochs-bin"
FIRMWARE = "/usr/share/ovmf/OVMF.fd"
CPU_MODEL = "broadwell_ult"
TICKS_PER_SECOND = 100_000_000

CONFIGURATION = """\
cpu: model={model}, count={cpus}, ips={ips}, reset_on_triple_fault={triple}
megs: {memory}
romimage: file={firmware}, address=0xffe00000, options=none
vgaromimage: file=/usr/share/vgabios/vgabios.bin
vga: extension=vbe, update_freq=1, realtime=0
display_library: rfb, options="timeout=0"
pci: enabled=1, chipset=i440fx
boot: disk
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path="{disk}", mode=volatile, journal="{folder}/disk-changes"
com1: enabled=1, mode={com1_mode}, dev="{com1}"
com2: enabled=1, mode=file, dev="{folder}/layer.log"
clock: sync=none, time0=1700000000
port_e9_hack: enabled=1
speaker: enabled=0
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
log: "{folder}/bochs.log"
debug: action=ignore
info: action=report
error: action=report
panic: action=fatal
"""


class BochsMachine:
    """One emulated machine; `console` is a terminal device for COM1, `tpm` a tpm.swtpm.Tpm; or None."""

    def __init__(self, folder, disk, preload, cpus=1, memory=1024, model=CPU_MODEL, console=None,
                 tpm=None):
        self.folder = os.path.abspath(folder)
        self.preload = os.path.abspath(preload)
        self.process = None
        self.tpm = tpm
        self.configuration = CONFIGURATION.format(
            model=model, cpus=cpus, ips=TICKS_PER_SECOND, triple=0, memory=memory,
            firmware=FIRMWARE, disk=os.path.abspath(disk), folder=self.folder,
            com1_mode="term" if console else "file",
            com1=console or os.path.join(self.folder, "serial.log"))
        self.environment = dict(os.environ, LD_PRELOAD=self.preload)
        if tpm:
            self.configuration += tpm.configuration()
            self.environment.update(tpm.environment())

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self):
        with open(self.path("bochsrc"), "w") as file:
            file.write(self.configuration)
        with open(self.path("bochs.commands"), "w") as file:
            file.write("c\n")
        for name in ("serial.log", "layer.log", "bochs.log"):
            open(self.path(name), "wb").close()
        if self.tpm:
            self.tpm.start()
        # Bochs' own output holds only what the machine writes to port E9h.
        with open(self.path("port-e9.log"), "wb") as output:
            self.process = subprocess.Popen(
                ["nice", BOCHS, "-q", "-f", self.path("bochsrc"), "-rc", self.path("bochs.commands")],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=self.environment, cwd=self.folder)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        if self.running():
            self.process.kill()
        if self.process:
            self.process.wait()
        if self.tpm:
            self.tpm.stop()

    def ticks(self):
        """The tick of the last line in Bochs' log: after the end, the run's length."""
        last = 0
        with open(self.path("bochs.log"), errors="replace") as log:
            for line in log:
                if line[:11].isdigit():
                    last = int(line[:11])
        return last

    def ended_by_guest(self):
        """How the machine ended itself: 'shutdown', 'power-off', or None."""
        with open(self.path("bochs.log"), errors="replace") as log:
            text = log.read()
        if "Shutdown port: shutdown requested" in text:
            return "shutdown"
        if "ACPI control: soft power off" in text:
            return "power-off"
        return None
