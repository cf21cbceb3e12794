# SPDX-License-Identifier: LGPL-2.1-or-later
"""The disk to boot from: Debian with our package in place of kmod, built by Debian's own programs."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.packaging.machine import Machine, system
from tests.support.common import REPO

HERE = Path(__file__).parent

PACKAGES = (
    "linux-image-amd64",
    "linux-headers-amd64",
    "initramfs-tools",
    "zstd",
    "e2fsprogs",
    "kmod",
    "systemd-sysv",
    "udev",
    "dkms",
    "openssl",  # dkms signs what it builds
    "gcc",
    "make",
    "python3",
)
SPARE = 700  # MiB of the disk that are free: a second kernel is unpacked there


@dataclass(frozen=True)
class System:
    """What QEMU is given, in a folder that also gets what the system says."""

    folder: Path
    disk: Path
    kernel: Path
    initrd: Path


def build(codename: str, folder: Path) -> System:
    """Make the disk of a Debian release with our package, as the checkout is, in an empty folder."""
    machine = Machine(folder / "machine", system(codename, PACKAGES))
    inside = machine.path("/opt/acceptance")
    shutil.copytree(HERE, inside, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    subprocess.run([REPO / "debian/build", inside], check=True, stdout=subprocess.PIPE)
    machine.run(HERE.joinpath("prepare.sh").read_text())
    made = System(folder, folder / "disk", folder / "kernel", folder / "initrd")
    # without --recursive the bound copy has no /proc and /dev
    machine.outside(f"""
        mkdir {folder}/bound
        mount --bind $root {folder}/bound
        size=$(du -sm {folder}/bound | cut -f1)
        mkfs.ext4 -q -d {folder}/bound {made.disk} $((size * 11 / 10 + {SPARE}))M
        cp $root/boot/vmlinuz-* {made.kernel}
        cp $root/boot/initrd.img-* {made.initrd}
    """)
    shutil.rmtree(machine.folder)
    return made
