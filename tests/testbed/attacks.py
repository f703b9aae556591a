# SPDX-License-Identifier: GPL-2.0-only
#
# The table at the end of a run: the same attacks by the host's root on a plain
# guest and on a protected one (host/scene), what was seen, and whether it is
# what must be seen. Each cell is judged from the guest's and the tools' lines;
# a cell without such a line is wrong.

import collections
import textwrap

MIB = 1 << 20
NAME_WIDTH, CELL_WIDTH = 24, 42

Cell = collections.namedtuple("Cell", "good text")
Row = collections.namedtuple("Row", "name plain protected")


class Missing(Exception):
    """A line that a cell needs never came."""


class Seen:
    """What the marker lines of one guest say."""

    def __init__(self, lines, memory_mib):
        self.lines, self.memory_bytes = lines, memory_mib * MIB

    def get(self, attack, key):
        try:
            return self.lines[attack][key]
        except KeyError:
            raise Missing("%s: no %s" % (attack, key))

    def number(self, attack, key):
        try:
            return int(self.get(attack, key))
        except ValueError:
            raise Missing("%s: %s is no number" % (attack, key))

    def intact(self, attack):
        """Whether the guest said afterwards that its secret is as it was."""
        return self.lines.get(attack, {}).get("secret") == "right"


def _search(attack):
    def plain(seen):
        hits, size = seen.number(attack, "hits"), seen.number(attack, "bytes")
        return Cell(hits > 0, "secret found %d times in %d MiB" % (hits, size // MIB))

    def protected(seen):
        hits, size = seen.number(attack, "hits"), seen.number(attack, "bytes")
        if hits:
            return Cell(False, "secret found %d times in %d MiB" % (hits, size // MIB))
        if size < seen.memory_bytes:
            return Cell(False, "only %d MiB were searched" % (size // MIB))
        if not seen.intact("after_search"):
            return Cell(False, "the guest did not live on")
        return Cell(True, "not in %d MiB; the guest lives on" % (size // MIB))

    return plain, protected


def _read_plain(seen):
    found = seen.number("registers", "found")
    return Cell(found > 0, "secret in %d registers" % found)


def _read_protected(seen):
    found, stops = seen.number("registers", "found"), seen.number("registers", "stops")
    if found:
        return Cell(False, "secret in %d registers" % found)
    return Cell(stops > 1, "not in %d looks; RIP always %s" % (stops, seen.get("registers", "rip")))


def _change_plain(seen):
    written, answer = seen.number("registers", "written"), seen.lines.get("after_registers", {}).get("registers", "")
    if answer == "intact":
        return Cell(False, "nothing changed")
    return Cell(written > 0, "the guest computed with the host's value" if answer else "the guest crashed")


def _change_protected(seen):
    written, answer = seen.number("registers", "written"), seen.lines.get("after_registers", {}).get("registers", "")
    if answer == "intact":
        return Cell(written > 0, "%d writes, no effect" % written)
    if answer:
        return Cell(False, "the guest's registers changed")
    return Cell(written > 0 and seen.get("end", "stop") != "", "the layer stopped it: " + seen.get("end", "stop"))


def _overwrite_plain(seen):
    seen.get("overwrite", "offset")
    return Cell(seen.get("after_overwrite", "secret") == "wrong", "the guest read what the host wrote"
                if seen.get("after_overwrite", "secret") == "wrong" else "nothing changed")


def _overwrite_protected(seen):
    seen.get("overwrite", "offset")
    answer, stop = seen.lines.get("after_overwrite", {}).get("secret"), seen.get("end", "stop")
    if answer:
        return Cell(False, "the guest went on, its secret is " + answer)
    return Cell(stop == "forged_page", "the layer stopped it before it could read: %s" % (stop or "?"))


ROWS = [
    Row("search QEMU's memory", *_search("search_process")),
    Row("search all of RAM", *_search("search_physical")),
    Row("read registers", _read_plain, _read_protected),
    Row("change a register", _change_plain, _change_protected),
    Row("overwrite a page", _overwrite_plain, _overwrite_protected),
]


def _cell(judge, seen):
    try:
        return judge(seen)
    except Missing as reason:
        return Cell(False, "not seen (%s)" % reason)


def judge(lines, memory_mib):
    """[(name, plain cell, protected cell)]; `lines` is {guest: {attack: {key: value}}}."""
    plain, protected = (Seen(lines.get(guest, {}), memory_mib) for guest in ("plain", "protected"))
    return [(row.name, _cell(row.plain, plain), _cell(row.protected, protected)) for row in ROWS]


def failures(lines, memory_mib):
    """What is not as it must be, in words."""
    for guest, wanted in (("plain", "no"), ("protected", "yes")):
        if lines.get(guest, {}).get("launch", {}).get("protected") != wanted:
            yield "scene: the %s guest is not what it should be" % guest
    for name, *cells in judge(lines, memory_mib):
        for guest, cell in zip(("plain", "protected"), cells):
            if not cell.good:
                yield "scene: %s of the %s guest: %s" % (name, guest, cell.text)


def table(lines, memory_mib):
    """The table's lines."""
    rows = [("attack by the host's root", "plain guest", "protected guest")]
    for name, plain, protected in judge(lines, memory_mib):
        rows.append((name, *(("" if cell.good else "WRONG: ") + cell.text for cell in (plain, protected))))
    widths = (NAME_WIDTH + 2, CELL_WIDTH, CELL_WIDTH)
    rule = "+".join("-" * (width + 2) for width in widths)
    yield rule
    for number, row in enumerate(rows):
        wrapped = [textwrap.wrap(text, width) or [""] for text, width in zip(row, widths)]
        for line in range(max(map(len, wrapped))):
            yield "|".join(" %-*s " % (width, cell[line] if line < len(cell) else "")
                           for width, cell in zip(widths, wrapped))
        if number == 0:
            yield rule
    yield rule
