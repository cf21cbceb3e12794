# SPDX-License-Identifier: LGPL-2.1-or-later
"""An initial file system made by `kmod closure --files0 | cpio` boots to a root on btrfs, on a disk without a driver
in the kernel: docs/initramfs.md, with its commands.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import assets
from tests.support.common import BIN
from tests.vm import cpio, image
from tests.vm.harness import _qemu

INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
modprobe -a virtio_pci virtio_blk btrfs
until [ -b /dev/vda ]; do sleep 0.1; done
mount -t btrfs /dev/vda /mnt
mount -t proc proc /mnt/proc
exec chroot /mnt /sbin/init
"""
ROOT_INIT = """#!/bin/sh
while read -r device place type rest; do
    [ "$place" = / ] && [ "$type" = btrfs ] && echo "the root is $type on $device"
done </proc/mounts
echo o >/proc/sysrq-trigger
while :; do :; done
"""


@pytest.mark.skipif(not os.environ.get("PYMODUTILS_BOOTS"), reason="PYMODUTILS_BOOTS is not set: it takes a minute")
@pytest.mark.parametrize("kernel", list(assets.KERNELS))
def test_a_root_on_btrfs(kernel: str, vm_programs: None, tmp_path: Path) -> None:
    system = lay_system(tmp_path / "system", kernel)
    with open(tmp_path / "initramfs", "wb") as stream:
        image.write_checkout(tmp_path / "checkout")
        for path in (tmp_path / "checkout", image.userland_archive()):
            stream.write(path.read_bytes())
        stream.write(closure_archive(system, ["btrfs", "virtio_blk", "virtio_pci"]))
        archive = cpio.Writer(stream)
        archive.file("init", INIT.replace("modprobe", "/opt/pymodutils/bin/modprobe").encode(), 0o755)
        archive.directory("mnt")
        archive.close()
    disk = make_disk(tmp_path)
    drive = ["-drive", f"file={disk},if=none,id=root,format=raw", "-device", "virtio-blk-pci,drive=root"]
    subprocess.run([*_qemu(kernel, tmp_path, 1024, 1, ""), *drive], timeout=300, check=True, stdin=subprocess.DEVNULL)
    console = (tmp_path / "console").read_text(errors="replace")
    assert "the root is btrfs on /dev/vda" in console, console[-3000:]


def lay_system(root: Path, kernel: str) -> Path:
    """A system with merged /usr and the modules of a kernel."""
    modules = Path("lib/modules") / assets.release(kernel)
    tree = assets.module_tree(kernel, image.shipped_compression(kernel)) / modules
    shutil.copytree(tree, root / "usr" / modules, copy_function=os.link)
    (root / "lib").symlink_to("usr/lib")
    return root


def closure_archive(system: Path, names: list[str]) -> bytes:
    """What the command line of the chapter makes."""
    kmod = f"{shlex.quote(str(BIN / 'kmod'))} closure --root=. --files0 {' '.join(names)}"
    done = subprocess.run(
        ["/bin/sh", "-c", f"{kmod} | {shlex.join(assets.cpio_argv())} -0oH newc --quiet"],
        cwd=system, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return done.stdout


def make_disk(tmp_path: Path) -> Path:
    """A btrfs with a shell and an init of its own."""
    root = tmp_path / "root"
    programs = assets.guest_programs()
    for name in ("bin/dash", "lib/x86_64-linux-gnu/libc.so.6", "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(programs / name, root / name)
    (root / "bin/sh").symlink_to("dash")
    (root / "lib64").symlink_to("lib/x86_64-linux-gnu")
    for name in ("proc", "sbin"):
        (root / name).mkdir()
    (root / "sbin/init").write_text(ROOT_INIT)
    (root / "sbin/init").chmod(0o755)
    disk = tmp_path / "disk"
    with open(disk, "wb") as stream:
        stream.truncate(256 << 20)
    subprocess.run([*assets.mkfs_btrfs_argv(), "-q", "--rootdir", root, disk], check=True, stdout=subprocess.DEVNULL)
    return disk
