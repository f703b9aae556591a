#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
#
# Writes the initramfs archives (cpio, newc format) of host and guest. No clock,
# user or inode number of the build machine goes into them: equal inputs give
# equal archives.
# Usage: initramfs.py base OUT INIT PROGRAM...   busybox, QEMU, host programs
#        initramfs.py guest OUT INIT [KERNEL]    the guest's init, and modules
#        initramfs.py kernel OUT KERNEL GUEST_KERNEL GUEST_INITRD [--program FILE]... [--bundle FILE]...

import os
import re
import stat
import subprocess
import sys

QEMU = "/usr/bin/qemu-system-x86_64"
QEMU_DATA = [
    "/usr/share/qemu/linuxboot_dma.bin",
    "/usr/share/qemu/pvh.bin",
    "/usr/share/qemu/bios-microvm.bin",
    "/usr/share/qemu/kvmvapic.bin",
    "/usr/share/seabios/bios-256k.bin",
]
HOST_MODULES = ["kvm_intel", "zram", "lzo_rle"]
HOST_SCRIPTS = ["stages", "talk", "scene", "memory", "life", "cost"]
PIECE = 1 << 20     # of a bundle: bundles differ in their first one, the rest is the kernel
GUEST_MODULES = ["virtio_mmio", "virtio_pci", "virtio_blk"]


class Archive:
    """A cpio archive under construction; folders come into being as needed."""

    def __init__(self, path):
        self.file = open(path, "wb")
        self.inode = 0
        self.folders = set()

    def _entry(self, name, mode, data, device=(0, 0)):
        self.inode += 1
        encoded = name.encode() + b"\0"
        fields = [self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, device[0], device[1],
                  len(encoded), 0]
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        self.file.write(self._padded(header + encoded) + self._padded(data))

    @staticmethod
    def _padded(data):
        return data + b"\0" * (-len(data) % 4)

    def folder(self, name):
        name = name.strip("/")
        if name and name not in self.folders:
            self.folder(os.path.dirname(name))
            self.folders.add(name)
            self._entry(name, stat.S_IFDIR | 0o755, b"")

    def data(self, name, data, mode=0o644):
        self.folder(os.path.dirname(name))
        self._entry(name.strip("/"), stat.S_IFREG | mode, data)

    def copy(self, name, source, mode=0o644):
        with open(source, "rb") as file:
            self.data(name, file.read(), mode)

    def link(self, name, target):
        self.folder(os.path.dirname(name))
        self._entry(name.strip("/"), stat.S_IFLNK | 0o777, target.encode())

    def device(self, name, major, minor):
        self.folder(os.path.dirname(name))
        self._entry(name.strip("/"), stat.S_IFCHR | 0o600, b"", (major, minor))

    def close(self):
        self._entry("TRAILER!!!", 0, b"")
        self.file.close()


def libraries_of(program):
    """The shared libraries of a program as the loader resolves them."""
    listing = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return sorted(set(re.findall(r"(/\S+) \(0x", listing)))


def module_files(kernel_folder):
    """Module name (with underscores) -> file, for an unpacked kernel package."""
    found = {}
    for folder, _, names in os.walk(os.path.join(kernel_folder, "modules")):
        for name in names:
            if name.endswith(".ko"):
                found[name[:-3].replace("-", "_")] = os.path.join(folder, name)
    return found


def dependencies(module_file):
    with open(module_file, "rb") as file:
        match = re.search(rb"\0depends=([^\0]*)\0", file.read())
    return [name.replace("-", "_") for name in match.group(1).decode().split(",") if name] \
        if match else []


def in_load_order(names, files):
    """The named modules with what they need, each after its dependencies."""
    ordered = []

    def visit(name):
        if name in files and name not in ordered:
            for needed in dependencies(files[name]):
                visit(needed)
            ordered.append(name)

    for name in names:
        visit(name)
    return ordered


def write_base(out, init, programs):
    archive = Archive(out)
    archive.device("dev/console", 5, 1)
    archive.device("dev/null", 1, 3)
    for folder in ("proc", "sys", "tmp", "guest", "etc"):
        archive.folder(folder)
    archive.copy("init", init, 0o755)
    for name in HOST_SCRIPTS:
        archive.copy("etc/" + name, os.path.join(os.path.dirname(init), name))
    archive.copy("bin/busybox", "/bin/busybox", 0o755)
    applets = subprocess.run(["/bin/busybox", "--list"], check=True, capture_output=True, text=True)
    for applet in sorted(set(applets.stdout.split()) - {"busybox"}):
        archive.link("bin/" + applet, "busybox")
    for program in programs:
        archive.copy("bin/" + os.path.basename(program), program, 0o755)
    archive.copy("bin/qemu-system-x86_64", QEMU, 0o755)
    for library in libraries_of(QEMU):
        archive.copy(library, library, 0o755)
    for path in QEMU_DATA:
        archive.copy(path, path)
    archive.close()


def write_guest(out, init, kernel_folder=None):
    files = module_files(kernel_folder) if kernel_folder else {}
    archive = Archive(out)
    for folder in ("dev", "proc", "sys"):
        archive.folder(folder)
    archive.device("dev/console", 5, 1)
    archive.copy("init", init, 0o755)
    for name in in_load_order(GUEST_MODULES, files):
        archive.copy("modules/%s.ko" % name, files[name])
    archive.close()


def write_kernel(out, kernel_folder, guest_kernel_folder, guest_initrd, *more):
    """What changes with the choice of kernels and guests: host modules, the guest, bundles."""
    files = module_files(kernel_folder)
    archive = Archive(out)
    with open(os.path.join(kernel_folder, "version")) as file:
        folder = "lib/modules/%s/" % file.read().strip()
    lines = []
    for name in in_load_order(HOST_MODULES, files):
        archive.copy(folder + name + ".ko", files[name])
        needed = in_load_order(dependencies(files[name]), files)
        lines.append("%s.ko:%s\n" % (name, "".join(" %s.ko" % other for other in reversed(needed))))
    archive.data(folder + "modules.dep", "".join(lines).encode())
    archive.copy("guest/vmlinuz", os.path.join(guest_kernel_folder, "vmlinuz"))
    archive.copy("guest/initrd", guest_initrd)
    pieces = {}
    for option, path in zip(more[::2], more[1::2]):
        if option == "--program":
            archive.copy("bin/" + os.path.basename(path), path, 0o755)
        elif path.endswith(".elf"):
            write_bundle(archive, path, pieces)
        else:
            archive.copy("guest/" + os.path.basename(path), path)
    archive.close()


def write_bundle(archive, path, pieces):
    """A bundle as the list of its pieces; each different piece is in the archive once."""
    names = []
    with open(path, "rb") as file:
        while data := file.read(PIECE):
            if data not in pieces:
                pieces[data] = "%d" % len(pieces)
                archive.data("guest/pieces/" + pieces[data], data)
            names.append(pieces[data])
    archive.data("guest/" + os.path.basename(path), " ".join(names).encode())


def main():
    kind, out, *arguments = sys.argv[1:]
    if kind == "base":
        write_base(out, arguments[0], arguments[1:])
    elif kind == "guest":
        write_guest(out, *arguments)
    elif kind == "kernel":
        write_kernel(out, *arguments)
    else:
        sys.exit("initramfs.py: unknown archive kind %s" % kind)


if __name__ == "__main__":
    main()
