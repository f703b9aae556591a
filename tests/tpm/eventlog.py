# SPDX-License-Identifier: GPL-2.0-only
#
# What the tests know of a firmware's event log (TCG PC Client Platform Firmware
# Profile, format 2) and of Authenticode's digest of an EFI application. Only
# SHA-256, and strict: anything else raises LogError.

import hashlib
import struct

SHA256 = 0x000B
SIGNATURE = b"Spec ID Event03\0"
EV_NO_ACTION = 3
EV_EFI_BOOT_SERVICES_APPLICATION = 0x80000003
PCR_COUNT = 24


class LogError(Exception):
    """A log that is not what this machine's firmware writes."""


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        if size > len(self.data) - self.at:
            raise LogError("ends in the middle of an event, at byte %d" % len(self.data))
        self.at += size
        return self.data[self.at - size:self.at]

    def numbers(self, layout):
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))

    def more(self):
        return self.at < len(self.data)


def parse(data):
    """The events after the header, in order: (PCR, type, digest, data)."""
    reader = _Reader(data)
    pcr, kind, _, size = reader.numbers("II20sI")
    if (pcr, kind) != (0, EV_NO_ACTION) or not reader.take(size).startswith(SIGNATURE):
        raise LogError("doesn't begin with '%s'" % SIGNATURE[:-1].decode())
    events = []
    while reader.more():
        pcr, kind, count, algorithm = reader.numbers("IIIH")
        if (count, algorithm) != (1, SHA256):
            raise LogError("event %d has other digests than one of SHA-256" % (len(events) + 1))
        digest = reader.take(32)
        events.append((pcr, kind, digest, reader.take(*reader.numbers("I"))))
    return events


def replay(events):
    """PCR number -> value, for those that the log extends. All start at zero."""
    values = {}
    for pcr, kind, digest, _ in events:
        if pcr >= PCR_COUNT:
            raise LogError("event for PCR %d" % pcr)
        if kind != EV_NO_ACTION:
            values[pcr] = hashlib.sha256(values.get(pcr, bytes(32)) + digest).digest()
    return values


def authenticode(path):
    """The SHA-256 that firmware measures for an unsigned PE32+ file."""
    with open(path, "rb") as file:
        data = file.read()
    pe = struct.unpack_from("<I", data, 0x3C)[0]
    sections, optional_size = struct.unpack_from("<H", data, pe + 6)[0], struct.unpack_from("<H", data, pe + 20)[0]
    optional = pe + 24
    headers_size = struct.unpack_from("<I", data, optional + 60)[0]
    checksum, certificates = optional + 64, optional + 144
    digest = hashlib.sha256(data[:checksum] + data[checksum + 4:certificates] + data[certificates + 8:headers_size])
    table = [struct.unpack_from("<II", data, optional + optional_size + 40 * i + 16) for i in range(sections)]
    hashed = headers_size
    for size, offset in sorted(table, key=lambda section: section[1]):
        digest.update(data[offset:offset + size])
        hashed += size
    digest.update(data[hashed:])
    return digest.digest()
