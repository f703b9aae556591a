#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""nested-vmx/exits.def for people and for tests/lint: reads and checks the table, and makes docs/exits.md of it.

Usage: tests/exit_table.py [--write]    prints the page, or writes it; `make docs/exits.md` does the latter"""

import pathlib
import re
import sys

REASONS = pathlib.Path("nested-vmx/vmx_bits.h"), pathlib.Path("cloudvisor/cvctl/exit_reasons.h")
TABLE, PAGE = pathlib.Path("nested-vmx/exits.def"), pathlib.Path("docs/exits.md")
HANDLERS = pathlib.Path("nested-vmx/protected_exits.c")
ROW = re.compile(r'^EXIT_RULE\((\w+),\s*(\w+),\s*([\w |]+),\s*([\w |]+),\s*"((?:[^"\\]|\\.)*)"\)$')
ANSWERS = {"SKIP": "RIP past it", "RAX": "RAX", "EDX_EAX": "EDX:EAX", "LOAD": "RAX as loaded", "GP": "#GP(0)"}
HEAD = """# Exits of a protected vCPU

Made from `nested-vmx/exits.def` by `make docs/exits.md`; `make lint` fails when they differ.

A protected vCPU exits to the layer. *Handler* is a function of `nested-vmx/protected_exits.c`; it carries the exit out
in the layer, or shows it to the host. What the host then sees is a frozen context ([invariants.md](invariants.md)) with
the registers that *shown* names; all other registers are 0. *May answer* is what the host may bring back besides
a retry, that is RIP unchanged; anything else stops the VM. With a dash in both columns the host sees the exit with no
register, if at all, and can only enter again.

| reason | exit | handler | shown | may answer | what happens |
|---|---|---|---|---|---|
"""


def numbers():
    """{exit reason: number}, by number"""
    found = [(int(number), name) for path in REASONS
             for name, number in re.findall(r"^    EXIT_(\w+) = (\d+),", path.read_text(), re.M)]
    return {name: number for number, name in sorted(found) if name != "REASON_COUNT"}


def flags(prefix, path):
    return set(re.findall(rf"\b{prefix}_(\w+) = \d+", pathlib.Path(path).read_text()))


def split(text):
    return [word.strip() for word in text.split("|")] if text.strip() != "0" else []


def rows():
    """(line, columns) of each row; columns is None where the line can't be read."""
    for number, line in enumerate(TABLE.read_text().splitlines(), 1):
        if line.startswith("EXIT_RULE"):
            match = ROW.match(line)
            yield number, match.groups() if match else None


def check():
    """(path, line, what is wrong)"""
    known, handlers = numbers(), set(re.findall(r"^HANDLER\((\w+)\)", HANDLERS.read_text(), re.M))
    allowed = {"SHOW": flags("SHOW", "nested-vmx/protected.h"), "ACCEPT": flags("ACCEPT", "cloudvisor/vm.h")}
    last, used = -1, set()
    for line, row in rows():
        if row is None:
            yield TABLE, line, "not a row: EXIT_RULE(reason, handler, shows, accepts, \"text\") on one line"
            continue
        reason, handler, shows, accepts, _ = row
        used.add(handler)
        if reason not in known:
            yield TABLE, line, f"unknown reason {reason}"
        elif known[reason] <= last:
            yield TABLE, line, f"{reason} is not above the row before: ascending, each once"
        last = max(last, known.get(reason, -1))
        if handler not in handlers:
            yield TABLE, line, f"unknown handler {handler}: no exit_{handler} in {HANDLERS}"
        for text, prefix in (shows, "SHOW"), (accepts, "ACCEPT"):
            for word in split(text):
                if not word.startswith(prefix + "_") or word.removeprefix(prefix + "_") not in allowed[prefix]:
                    yield TABLE, line, f"unknown flag {word}"
    if last < 0:
        yield TABLE, 1, "no row"
    for handler in sorted(handlers - used):
        yield HANDLERS, 1, f"exit_{handler} is in no row of {TABLE}"
    if not PAGE.is_file() or PAGE.read_text() != page():
        yield PAGE, 1, f"not what {TABLE} gives: make docs/exits.md"


def names(text, prefix, words):
    return ", ".join(words.get(word.removeprefix(prefix + "_"), word.removeprefix(prefix + "_"))
                     for word in split(text)) or "–"


def page():
    known = numbers()
    table = [row for _, row in rows() if row is not None]
    text = HEAD
    for reason, handler, shows, accepts, what in table:
        text += (f"| {known.get(reason, '?')} | {reason} | {handler} | {names(shows, 'SHOW', {})} | "
                 f"{names(accepts, 'ACCEPT', ANSWERS)} | {what} |\n")
    missing = [f"{number} {name}" for name, number in known.items() if name not in {row[0] for row in table}]
    line = "Every other reason stops the VM: "
    text += "\n"
    for entry in missing:
        if len(line) + len(entry) > 115:
            text += line.rstrip() + "\n"
            line = ""
        line += entry + ", "
    return text + line + "and any that has no name here.\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page())
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        sys.stdout.write(page())
