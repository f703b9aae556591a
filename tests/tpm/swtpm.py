# SPDX-License-Identifier: GPL-2.0-only
#
# The TPM of one emulated machine: starts swtpm in the run's folder, tells Bochs
# where it is, and reads the PCRs when the machine has ended. Files there:
#   tpm/ (state, if it is not kept elsewhere), swtpm.log, pcrs.txt

import fcntl
import os
import shutil
import subprocess
import time

PLUGINS = "/usr/lib/x86_64-linux-gnu/bochs/plugins"
SOCKET = "tpm.sock"  # relative to the run's folder: a unix socket's path is short
CONTROL = SOCKET + ".ctrl"
# There is no ACPI table for it on Bochs, and no interrupt.
KERNEL_PARAMETERS = "tpm_tis.force=1 tpm_tis.interrupts=0"
START_SECONDS = 20


class TpmError(Exception):
    """A TPM that can't be had; the text names cause and remedy."""


class Tpm:
    """`build` is where make put plug-in and template; `state` is kept from run to run, or None."""

    def __init__(self, folder, build, preload, state=None):
        self.folder = os.path.abspath(folder)
        self.build = os.path.abspath(build)
        self.preload = os.path.abspath(preload)
        self.fresh = state is None
        self.state = os.path.join(self.folder, "tpm") if self.fresh else os.path.abspath(state)
        self.process = None
        self.lock = None

    def path(self, name):
        return os.path.join(self.folder, name)

    @staticmethod
    def configuration():
        """Bochs' line for the device."""
        return "plugin_ctrl: tpm_tis=1\n"

    @staticmethod
    def _clean(path):
        if os.path.lexists(path):
            os.unlink(path)

    def environment(self):
        """What Bochs needs in its environment."""
        return {"LTDL_LIBRARY_PATH": os.path.join(self.build, "plugin") + ":" + PLUGINS,
                "TPM_SOCKET": SOCKET}

    def _make_state(self):
        template = os.path.join(self.build, "template", "state")
        if self.fresh:
            shutil.rmtree(self.state, ignore_errors=True)
        os.makedirs(self.state, exist_ok=True)
        self.lock = open(os.path.join(self.state, "in-use"), "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise TpmError("another machine uses the TPM in %s\n  remedy: wait for its end, or --tpm-state "
                           "with another folder" % self.state)
        if not os.path.exists(os.path.join(self.state, "tpm2-00.permall")):
            if not os.path.isdir(template):
                raise TpmError("no TPM template in %s\n  remedy: make tpm" % template)
            shutil.copytree(template, self.state, dirs_exist_ok=True)

    def start(self):
        if not shutil.which("swtpm"):
            raise TpmError("swtpm is missing\n  remedy: tests/install-packages --tpm")
        self._make_state()
        for name in (SOCKET, CONTROL, "pcrs.txt"):
            self._clean(self.path(name))
        with open(self.path("swtpm.log"), "wb") as log:
            self.process = subprocess.Popen(
                ["swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + self.state,
                 "--server", "type=unixio,path=" + SOCKET, "--ctrl", "type=unixio,path=" + CONTROL,
                 "--flags", "startup-none"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=self.folder,
                env=dict(os.environ, LD_PRELOAD=self.preload))
        self._wait_for_sockets()

    def _wait_for_sockets(self):
        end = time.monotonic() + START_SECONDS
        while not (os.path.exists(self.path(SOCKET)) and os.path.exists(self.path(CONTROL))):
            if self.process.poll() is not None:
                raise TpmError("swtpm ended at once: %s\n  remedy: read %s"
                               % (self._log() or "no message", self.path("swtpm.log")))
            if time.monotonic() > end:
                self.stop()
                raise TpmError("swtpm made no sockets within %d s\n  remedy: read %s"
                               % (START_SECONDS, self.path("swtpm.log")))
            time.sleep(0.05)

    def _log(self):
        with open(self.path("swtpm.log"), errors="replace") as log:
            return " / ".join(log.read().split("\n")[-3:]).strip(" /")

    def _save_pcrs(self):
        """As they are at the machine's end, for whoever compares them with the event log."""
        done = subprocess.run(["tpm2_pcrread", "-T", "swtpm:path=" + SOCKET, "sha256"], cwd=self.folder,
                              capture_output=True, text=True, timeout=60)
        with open(self.path("pcrs.txt"), "w") as file:
            file.write(done.stdout if done.returncode == 0 else "no PCRs: " + done.stderr)

    def stop(self):
        """Once the machine has ended. May be called again."""
        if self.process is None:
            return
        try:
            if self.process.poll() is None:
                self._save_pcrs()
        except (OSError, subprocess.TimeoutExpired) as problem:
            with open(self.path("pcrs.txt"), "w") as file:
                file.write("no PCRs: %s\n" % problem)
        finally:
            self.process.terminate()
            self.process.wait()
            self.process = None
            self.lock.close()

    def problem(self):
        """What the plug-in complained about, or None."""
        with open(self.path("port-e9.log"), errors="replace") as log:
            text = "\n" + log.read()
        at = text.find("\ntpm: ")
        return None if at < 0 else text[at + 1:].strip()
