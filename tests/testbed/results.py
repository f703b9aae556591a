# SPDX-License-Identifier: GPL-2.0-only
#
# Reads the marker lines of a run (host/stages, host/cvprobe.c) and decides
# whether everything that was asked for was seen to happen. What isn't in the
# log did not happen.

import json
import re

from testbed import attacks, bundles, workload

EXIT_REASONS = {
    0: "exception or NMI", 1: "external interrupt", 2: "triple fault", 3: "INIT", 4: "SIPI",
    7: "interrupt window", 8: "NMI window", 9: "task switch", 10: "CPUID", 11: "GETSEC",
    12: "HLT", 13: "INVD", 14: "INVLPG", 15: "RDPMC", 16: "RDTSC", 17: "RSM", 18: "VMCALL",
    19: "VMCLEAR", 20: "VMLAUNCH", 21: "VMPTRLD", 22: "VMPTRST", 23: "VMREAD", 24: "VMRESUME",
    25: "VMWRITE", 26: "VMXOFF", 27: "VMXON", 28: "control-register access", 29: "MOV DR",
    30: "I/O instruction", 31: "RDMSR", 32: "WRMSR", 33: "entry failure, guest state",
    34: "entry failure, MSR loading", 36: "MWAIT", 37: "monitor trap flag", 39: "MONITOR",
    40: "PAUSE", 41: "entry failure, machine check", 43: "TPR below threshold",
    44: "APIC access", 45: "virtualized EOI", 46: "GDTR or IDTR access", 47: "LDTR or TR access",
    48: "EPT violation", 49: "EPT misconfiguration", 50: "INVEPT", 51: "RDTSCP",
    52: "preemption timer", 53: "INVVPID", 54: "WBINVD", 55: "XSETBV", 56: "APIC write",
    57: "RDRAND", 58: "INVPCID", 59: "VMFUNC", 60: "ENCLS", 61: "RDSEED", 62: "PML full",
    63: "XSAVES", 64: "XRSTORS",
}
EPT_FEATURES = {
    "ept": "EPT", "unrestricted_guest": "unrestricted guest", "vpid": "VPID",
    "eptad": "EPT accessed/dirty bits", "enable_shadow_vmcs": "VMCS shadowing",
    "flexpriority": "TPR shadow and APIC-access page", "pml": "page-modification logging",
    "preemption_timer": "preemption timer", "enable_apicv": "APIC virtualization",
}


def _pairs(words):
    return dict(word.split("=", 1) for word in words if "=" in word)


class Results:
    """Everything that the marker lines of one serial log say."""

    def __init__(self, text):
        self.host, self.kvm, self.tsc = {}, {}, {}
        self.guests, self.tests, self.stages = [], {}, []
        self.layer_versions, self.stats = {}, {}
        self.exits, self.boot_exits = {1: {}, 2: {}}, {1: {}, 2: {}}
        self.failures, self.bench, self.cvctl = [], [], {}
        self.attacks = {}
        self._section = None
        for line in text.replace("\r", "").split("\n"):
            self._line(line)

    def _line(self, line):
        words = line.split()
        if line.startswith("CV-CVCTL-BEGIN "):
            self._section = words[1]
            self.cvctl[self._section] = []
        elif line.startswith("CV-CVCTL-END "):
            self._section = None
        elif self._section:
            self.cvctl[self._section].append(line)
        elif words and words[0].startswith("CV-"):
            handler = getattr(self, "_" + words[0][3:].lower(), None)
            if handler:
                handler(words[1:])
        elif line.startswith("BENCHRAW "):
            self.bench.append(line)

    def _stage(self, words):
        values = _pairs(words[:1])
        self.stages.append((int(values.get("tsc", 0)), " ".join(words[1:])))

    def _host(self, words):
        self.host = _pairs(words)

    def _tsc(self, words):
        self.tsc[words[0]] = int(words[1])

    def _layer(self, words):
        values = _pairs(words)
        self.layer_versions[int(values["cpu"])] = values.get("version")

    def _exits(self, words):
        values = _pairs(words)
        counts = self.exits if values["at"] == "end" else self.boot_exits
        counts[int(values["level"])][int(values["reason"])] = int(values["count"])

    def _stat(self, words):
        name, value = words[0].split("=")
        self.stats[name] = int(value)

    def _attack(self, words):
        values = _pairs(words)
        self.attacks.setdefault(values.pop("guest"), {})[values.pop("attack")] = values

    def _result(self, words):
        values = _pairs(words)
        values["ok"] = "ok" in words[:2]
        if "guest" in values:
            self.guests.append(values)
        elif "test" in values:
            self.tests[values["test"]] = values
        elif words[0] == "kvm_intel":
            self.kvm = values
        else:
            self.tests[words[0]] = values

    # Judgement: each function appends what is wrong to self.failures.

    def check_end(self):
        if not self.stages or not self.stages[-1][1].startswith("end"):
            self.failures.append("host: its last stage did not come")

    def check_kvm(self):
        if not self.kvm:
            self.failures.append("KVM: kvm_intel was never loaded")
        elif not self.kvm["ok"]:
            reason = self.kvm.get("reason") or ", ".join(
                "%s=%s" % (name, self.kvm.get(name)) for name in ("ept", "unrestricted_guest", "vpid"))
            self.failures.append("KVM: kvm_intel does not run as it should: " + reason)

    def check_guests(self, wanted):
        seen = {guest["guest"]: guest for guest in self.guests}
        for name in wanted:
            if name not in seen:
                self.failures.append("guest %s: no result" % name)
        for guest in self.guests:
            fault = guest_fault(guest)
            if fault:
                self.failures.append("guest %s: %s" % (guest["guest"], fault))

    def check_tests(self, wanted):
        for name in wanted:
            if name not in self.tests:
                self.failures.append("host test %s: no result" % name)
            elif not self.tests[name]["ok"]:
                self.failures.append("host test %s: %s" % (name, self.tests[name].get("reason")))

    def check_scene(self):
        self.failures += attacks.failures(self.attacks, bundles.TALK_MEMORY_MIB)

    def check_digests(self, folder):
        """What the layer reports must be what cvbundle printed."""
        for guest in self.guests:
            if guest.get("launched") != "yes":
                continue
            name = bundles.file_of_guest(guest["guest"])
            if guest.get("digest") != bundles.digest(folder, name) or not guest.get("digest"):
                self.failures.append("guest %s: launch digest %s, the bundle's is %s"
                                     % (guest["guest"], guest.get("digest"), bundles.digest(folder, name)))
        launch = self.attacks.get("protected", {}).get("launch")
        if launch and launch.get("digest") != bundles.digest(folder, "talk-microvm1.elf"):
            self.failures.append("scene: launch digest %s is not the bundle's" % launch.get("digest"))

    def check_layer(self, expected_cpus, layer):
        answering = [cpu for cpu, version in self.layer_versions.items() if version is not None]
        if layer and len(answering) != expected_cpus:
            self.failures.append("layer: %d of %d CPUs run under it (VMCALL answered)"
                                 % (len(answering), expected_cpus))
        if not layer and answering:
            self.failures.append("layer: a bare run, but VMCALL was answered")
        if int(self.host.get("cpus", 0)) != expected_cpus:
            self.failures.append("host: Linux reported %s CPUs, expected %d"
                                 % (self.host.get("cpus", "no"), expected_cpus))

    def cvctl_stats(self):
        """What `cvctl stats --json` printed, or None."""
        try:
            return json.loads("\n".join(self.cvctl.get("stats", [])))
        except ValueError:
            return None


def guest_fault(guest):
    """Compares a guest's values with our own; the fault in words, or None."""
    if not guest["ok"]:
        return guest.get("reason", "failed").replace("_", " ")
    expected = workload.expected(int(guest["seed"]), int(guest["memory_mib"]))
    cpus = guest["cpu"].split(",")
    if len(cpus) != int(guest["vcpus"]) or set(cpus) != {expected["cpu"]}:
        return "CPU loop: %s, expected %s on each vCPU" % (guest["cpu"], expected["cpu"])
    for key in ("memory",) if "launched" in guest else ("memory", "disk_read", "disk_written"):
        if guest[key] != expected[key]:
            return "%s checksum %s, expected %s" % (key, guest[key], expected[key])
    if guest["guest"].split("-")[0] in bundles.MUST_BE_PROTECTED and guest.get("launched") != "yes":
        return "ran unprotected"
    return None


def _vms_lines(results):
    lines = [line for line in results.cvctl.get("vms", []) if line and not line.startswith("{")]
    if lines:
        yield "Protected VMs since boot (cvctl vms):"
    for line in lines:
        yield "    " + line


def _exit_lines(results):
    for level, title in ((1, "host"), (2, "guests")):
        counts = results.exits.get(level, {})
        total = sum(counts.values())
        if not total:
            continue
        boot = sum(results.boot_exits[level].values())
        yield "Exits of the %s into the layer: %d%s" % (
            title, total, ", %d of them before user land" % boot if boot else "")
        for reason, count in sorted(counts.items(), key=lambda item: -item[1])[:12]:
            yield "    %10d  %s" % (count, EXIT_REASONS.get(reason, "reason %d" % reason))


def _layer_lines(results):
    demoted = sum(1 for version in results.layer_versions.values() if version is not None)
    if demoted:
        yield "CPUs demoted: %d of %s" % (demoted, results.host.get("cpus", "?"))
    else:
        yield "CPUs demoted: none (bare run)"
    used = [text for key, text in EPT_FEATURES.items() if results.kvm.get(key) in ("Y", "1")]
    yield "VMX features KVM uses: " + (", ".join(used) or "none")
    if "vmcs_shadowing" in results.stats:
        yield "VMX instructions of the host: served by %s" % (
            "VMCS shadowing" if results.stats["vmcs_shadowing"] else "emulation (no VMCS shadowing)")
    yield from _exit_lines(results)
    if results.stats:
        yield "Counters of the layer (those not zero):"
    for name, value in results.stats.items():
        if value:
            yield "    %12d  %s" % (value, name)


def _details(values):
    words = ["%s=%s" % item for item in values.items() if item[0] not in ("test", "ok", "reason") and item[1]]
    return "  " + " ".join(words) if words else ""


def summary(results, elapsed, ticks, folder):
    """The lines that a person reads at the end."""
    yield ""
    yield from _layer_lines(results)
    yield from _vms_lines(results)
    for guest in results.guests:
        fault = guest_fault(guest)
        note = ": " + fault if fault else {"yes": ", protected, launch digest %.12s..." % guest.get("digest"),
                                           "no": ", unprotected"}.get(guest.get("launched"), "")
        yield "guest %-24s %-6s %.2f G ticks%s" % (
            guest["guest"], "FAIL" if fault else "ok", int(guest.get("ticks", 0)) / 1e9, note)
    for name, values in results.tests.items():
        yield "host test %-20s %s" % (name, "ok" + _details(values) if values["ok"] else "FAIL: %s%s" % (
            values.get("reason"), _details(values)))
    if results.attacks:
        yield from attacks.table(results.attacks, bundles.TALK_MEMORY_MIB)
    run = "%.2f G ticks, " % (ticks / 1e9) if ticks else ""
    yield "Run: %s%.0f s. Logs: %s" % (run, elapsed, folder)
    for failure in results.failures:
        yield "FAILED: " + failure
    yield "Result: " + ("FAIL" if results.failures else "ok")


def as_dictionary(results, elapsed, ticks):
    return {
        "ok": not results.failures, "failures": results.failures, "seconds": round(elapsed, 1),
        "ticks": ticks, "host": results.host, "kvm": results.kvm, "tsc": results.tsc,
        "guests": results.guests, "tests": results.tests, "stages": results.stages,
        "layer_versions": results.layer_versions, "exits": results.exits, "boot_exits": results.boot_exits, "stats": results.stats,
        "attacks": results.attacks, "cvctl_vms": results.cvctl.get("vms", []),
        "bench": results.bench, "cvctl_stats": results.cvctl_stats(),
    }


def strip_terminal_codes(text):
    return re.sub(r"\x1b\[[0-9;=?]*[A-Za-z]", "", text)
