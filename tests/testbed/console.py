# SPDX-License-Identifier: GPL-2.0-only
#
# Connects the user's terminal to the machine's first serial port by way of a
# pseudo-terminal. Everything shown is also appended to serial.log.

import os
import pty
import select
import sys
import termios
import tty

ESCAPE = b"\x1d"  # Ctrl-]


def open_terminal():
    """A pseudo-terminal in raw mode: our end, and its device's name."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    return ours, os.ttyname(theirs)


def _copy_input(keyboard, ours):
    keys = os.read(keyboard, 1024)
    if not keys or ESCAPE in keys:
        return False
    os.write(ours, keys)
    return True


def interact(machine, ours, log_path):
    """Until the machine ends or the user types Ctrl-]. The user's settings are restored."""
    keyboard = sys.stdin.fileno()
    former = termios.tcgetattr(keyboard) if os.isatty(keyboard) else None
    sources = [ours, keyboard]
    if former:
        tty.setraw(keyboard)
    try:
        with open(log_path, "ab", buffering=0) as log:
            while machine.running():
                ready, _, _ = select.select(sources, [], [], 0.5)
                if ours in ready:
                    data = os.read(ours, 4096)
                    log.write(data)
                    os.write(sys.stdout.fileno(), data)
                if keyboard in ready and not _copy_input(keyboard, ours):
                    if former:
                        return
                    sources.remove(keyboard)
    finally:
        if former:
            termios.tcsetattr(keyboard, termios.TCSADRAIN, former)
