# SPDX-License-Identifier: GPL-2.0-only
#
# Writes a raw disk image with a GPT, an EFI system partition (FAT16, 16 KiB
# clusters) and a boot partition that is a plain tar archive: GRUB reads a file
# from that in one request, six times quicker in the emulator than from FAT.
# Identifiers and times are fixed: equal contents give equal images, bit by bit.

import os
import shutil
import subprocess
import tarfile
import tempfile

SECTOR = 512
FIRST_SECTOR = 2048
TAIL_SECTORS = 2048
CLUSTER = 16384
FAT16_MIN_CLUSTERS = 4200
EPOCH = "1700000000"
DISK_GUID = "43560000-0000-4000-8000-000000000001"
ESP_GUID = "43560000-0000-4000-8000-000000000002"
BOOT_GUID = "43560000-0000-4000-8000-000000000003"
EFI_SYSTEM = "ef00"
LINUX_DATA = "8300"


class ImageError(Exception):
    """An image that can't be made; the text names cause and remedy."""


def _run(*command):
    environment = dict(os.environ, SOURCE_DATE_EPOCH=EPOCH, MTOOLS_SKIP_CHECK="1", TZ="UTC",
                       PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise ImageError("%s failed: %s\n  remedy: run tests/install-packages; check free space"
                         % (" ".join(command), done.stderr.strip()))


def _cluster_count(files):
    used = sum(-(-os.path.getsize(source) // CLUSTER) for source in files.values())
    return max(FAT16_MIN_CLUSTERS, used + 64)


def _stage(files, folder):
    """Copies the files under a folder, every time stamp fixed."""
    for target, source in files.items():
        path = os.path.join(folder, target.strip("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copyfile(source, path)
    for directory, _, names in os.walk(folder, topdown=False):
        for name in names + ["."]:
            os.utime(os.path.join(directory, name), (int(EPOCH), int(EPOCH)))


def _check(files):
    for source in files.values():
        if not os.path.isfile(source):
            raise ImageError("%s is missing\n  remedy: build it first (make image), "
                             "or check the option that names it" % source)


def _write_esp(out, files, work):
    sectors = _cluster_count(files) * (CLUSTER // SECTOR) + 1024
    with open(out, "wb") as file:
        file.truncate(sectors * SECTOR)
    _run("mkfs.fat", "-F", "16", "-s", str(CLUSTER // SECTOR), "-i", "43560001",
         "-n", "CLOUDVISOR", "--invariant", out)
    folder = os.path.join(work, "esp")
    _stage(files, folder)
    _run("mcopy", "-s", "-p", "-m", "-Q", "-i", out,
         *[os.path.join(folder, name) for name in sorted(os.listdir(folder))], "::")


def _write_tar(out, files):
    with tarfile.open(out, "w", format=tarfile.USTAR_FORMAT) as archive:
        for target in sorted(files):
            member = tarfile.TarInfo(target.strip("/"))
            member.size = os.path.getsize(files[target])
            member.mtime = int(EPOCH)
            with open(files[target], "rb") as source:
                archive.addfile(member, source)


def _sectors(path):
    return -(-os.path.getsize(path) // (SECTOR * 2048)) * 2048


def _splice(partition, out, first_sector):
    with open(partition, "rb") as source, open(out, "r+b") as target:
        target.seek(first_sector * SECTOR)
        shutil.copyfileobj(source, target, 1 << 20)


def write(out, esp_files, boot_files):
    """Writes the image. Both arguments map a path in it to a source file."""
    _check(esp_files)
    _check(boot_files)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(out))) as work:
        esp, boot = os.path.join(work, "fat"), os.path.join(work, "tar")
        _write_esp(esp, esp_files, work)
        _write_tar(boot, boot_files)
        boot_first = FIRST_SECTOR + _sectors(esp)
        end = boot_first + _sectors(boot)
        with open(out, "wb") as image:
            image.truncate((end + TAIL_SECTORS) * SECTOR)
        _run("sgdisk", "--clear", "--disk-guid=" + DISK_GUID,
             "--new=1:%d:%d" % (FIRST_SECTOR, boot_first - 1),
             "--typecode=1:" + EFI_SYSTEM, "--partition-guid=1:" + ESP_GUID,
             "--new=2:%d:%d" % (boot_first, end - 1),
             "--typecode=2:" + LINUX_DATA, "--partition-guid=2:" + BOOT_GUID, out)
        _splice(esp, out, FIRST_SECTOR)
        _splice(boot, out, boot_first)
