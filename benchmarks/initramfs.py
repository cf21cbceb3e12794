# SPDX-License-Identifier: LGPL-2.1-or-later
"""What our commands add to an initial file system: Debian 12's initramfs-tools, with kmod and with our package.

Both images are built by mkinitramfs on a system with udev, whose library for modules keeps libkmod in either, and with
few modules, since those are the same. They are compressed as mkinitramfs does: by zstd -9, which is its default, and by
xz. A note says what makes most of the difference: each part compressed for itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.measuring import NotMeasured
from benchmarks.peers import REPO
from benchmarks.table import Result
from tests.packaging.machine import PACKAGES, Machine, system
from tests.support import assets

KERNEL = "6.1"
COMPRESSORS = {"zstd": ["zstd", "-q", "-9", "-c"], "xz": ["xz", "--check=crc32", "-c"]}
BUILD = """
sed -i 's/^COMPRESS=.*/COMPRESS=gzip/; s/^MODULES=.*/MODULES=list/' /etc/initramfs-tools/initramfs.conf
mkinitramfs -l 1 -o /tmp/image.gz $1
unmkinitramfs /tmp/image.gz /tmp/unpacked
gunzip /tmp/image.gz
"""
SHARES: dict[str, Callable[[str], bool]] = {
    "interpreter": lambda name: name.startswith("usr/bin/python"),
    "its C libraries and extensions": lambda name: ".so" in name,
    "library in Python": lambda name: name.startswith("usr/lib/python"),
    "ours": lambda name: "pymodutils" in name,
}
"""Parts of what is added, the first that fits."""


def measure(bench: Bench) -> Iterator[Result]:
    """Yield each row."""
    if os.geteuid():
        raise NotMeasured("a Debian 12 root directory needs root")
    if missing := [program for program in ("mmdebstrap", "zstd", "xz", "dpkg-deb") if not shutil.which(program)]:
        raise NotMeasured(f"{missing[0]} is missing")
    packages = bench.scratch / "packages"
    packages.mkdir()
    subprocess.run([REPO / "debian/build", packages], check=True, capture_output=True)
    debian = system(packages=(*PACKAGES, "udev"))
    installed = Machine(bench.scratch / "installed", debian)
    installed.binds.append((packages, "/mnt/packages"))
    installed.run("apt-get install -qq --no-install-recommends /mnt/packages/*.deb")
    ours, kmods = image(bench.scratch / "ours", installed), image(bench.scratch / "kmod", debian)
    added = sorted(files(ours) - files(kmods))
    for name, compressor in COMPRESSORS.items():
        sizes = [compressed((machine / "image").read_bytes(), compressor) for machine in (ours, kmods)]
        shares = [f"{what} {compressed(archive(ours, part), compressor):.2f}" for what, part in shared(added).items()]
        yield bench.result(f"added to an initramfs, {name}", [sizes[0] - sizes[1]], ", ".join(shares))


def image(folder: Path, below: Path | Machine) -> Path:
    """Build an image in a machine; the folder that has it, and what was in it."""
    release = assets.release(KERNEL)
    machine = Machine(folder, below)
    modules = assets.module_tree(KERNEL) / "lib/modules" / release
    machine.binds += [(modules, f"/usr/lib/modules/{release}"), (assets.linux(KERNEL) / "boot", "/boot")]
    machine.run(f"set -- {release}\n{BUILD}")
    return machine.path("/tmp")


def files(folder: Path) -> set[str]:
    """All that an image has and is not a directory."""
    root = folder / "unpacked"
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_symlink() or not path.is_dir()}


def shared(names: list[str]) -> dict[str, list[str]]:
    """The names by the part that they belong to."""
    found: dict[str, list[str]] = {what: [] for what in SHARES}
    for name in names:
        if what := next((what for what, fits in SHARES.items() if fits(name)), ""):
            found[what].append(name)
    return found


def archive(folder: Path, names: list[str]) -> bytes:
    """These files of an image."""
    tar = ["tar", "--create", "--null", "--files-from=-"]
    listed = "\0".join(names).encode()
    return subprocess.run(tar, cwd=folder / "unpacked", input=listed, stdout=subprocess.PIPE, check=True).stdout


def compressed(data: bytes, compressor: list[str]) -> float:
    """Megabytes after compression."""
    return len(subprocess.run(compressor, input=data, stdout=subprocess.PIPE, check=True).stdout) / 1e6
