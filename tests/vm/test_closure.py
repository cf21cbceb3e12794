# SPDX-License-Identifier: LGPL-2.1-or-later
"""An initial file system made by `kmod closure --files0 | cpio` boots to a root on btrfs, on 9p, on NFS and on an
encrypted logical volume, with no disk driver in the kernel: docs/initramfs.md, with its commands.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import assets
from tests.support.common import BIN
from tests.vm import cpio, image
from tests.vm.harness import _qemu, boot

INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
STEPS
mount -t proc proc /mnt/proc
exec chroot /mnt /sbin/init
"""
ROOT_INIT = """#!/bin/sh
while read -r device place type rest; do
    [ "$place" = / ] && [ "$type" != rootfs ] && echo "the root is $type on $device"
done </proc/mounts
echo o >/proc/sysrq-trigger
while :; do :; done
"""


@dataclass(frozen=True)
class Root:
    """A root file system: what closure is asked for, how the initial file system mounts it, and what the root says."""

    modules: list[str]
    steps: str
    said: str


ROOTS = {
    "btrfs": Root(
        ["btrfs", "virtio_blk", "virtio_pci"],
        """
        modprobe -a virtio_pci virtio_blk btrfs
        until [ -b /dev/vda ]; do sleep 0.1; done
        mount -t btrfs /dev/vda /mnt
        """,
        "the root is btrfs on /dev/vda",
    ),
    "9p": Root(
        ["9p", "9pnet_virtio", "virtio_pci"],
        """
        modprobe -a virtio_pci 9pnet_virtio 9p
        mount -t 9p -o trans=virtio,version=9p2000.L,ro root /mnt
        """,
        "the root is 9p on root",
    ),
    "NFS": Root(
        ["nfs", "nfsv3", "virtio_net", "virtio_pci"],
        """
        modprobe -a virtio_pci virtio_net nfs nfsv3
        ip link set eth0 up
        ip address add 10.0.2.15/24 dev eth0
        mount -t nfs -o ro,nolock,vers=3,proto=tcp,mountproto=tcp,addr=10.0.2.2 10.0.2.2:/srv /mnt
        """,
        "the root is nfs on 10.0.2.2:/srv",
    ),
    "LVM on dm-crypt": Root(
        ["btrfs", "virtio_blk", "virtio_pci", "dm-crypt", "dm-mod", "crypto-xts", "crypto-aes", "crypto-sha256",
         "algif_skcipher", "algif_hash"],
        """
        modprobe -a virtio_pci virtio_blk btrfs dm-crypt
        until [ -b /dev/vda ]; do sleep 0.1; done
        cryptsetup open --key-file /key /dev/vda safe
        lvm vgchange --config 'activation { udev_sync=0 udev_rules=0 }' -ay
        mount -t btrfs /dev/mapper/vg-root /mnt
        """,
        "the root is btrfs on /dev/mapper/vg-root",
    ),
}  # fmt: skip
EXPORTS = """
NFS_CORE_PARAM { Protocols = 3; Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false; }
EXPORT { Export_Id = 1; Path = /srv; Access_Type = RO; Squash = No_Root_Squash; SecType = sys; FSAL { Name = VFS; } }
"""
SERVE = """
set -e
ip link set lo up
for place in run tmp var; do mount -t tmpfs none "$SERVER/$place"; done
mount --bind /dev "$SERVER/dev"
mount -t proc none "$SERVER/proc"
mount --bind "$FOLDER" "$SERVER/srv"
mkdir -p "$SERVER/run/rpcbind" "$SERVER/var/lib/nfs/ganesha" "$SERVER/run/ganesha"
printf %s "$EXPORTS" >"$SERVER/tmp/exports"
chroot "$SERVER" /sbin/rpcbind
chroot "$SERVER" /usr/bin/ganesha.nfsd -f /tmp/exports -L /tmp/log -p /run/ganesha/pid
until ss -ltn | grep -q :2049; do sleep 0.1; done
"$@"
"""
"""Run a program where nobody else sees the network, and with an NFS server of its own; the namespace ends with it."""
KEY = b"a secret of some length"
PREPARE = """
set -e
printf %s 'KEY' >/key
modprobe -a virtio_pci virtio_blk dm-crypt
until [ -b /dev/vdb ]; do sleep 0.1; done
cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /key /dev/vda
cryptsetup open --key-file /key /dev/vda safe
lvm() { word=$1; shift; /usr/sbin/lvm $word --config 'activation { udev_sync=0 udev_rules=0 }' "$@"; }
lvm pvcreate /dev/mapper/safe
lvm vgcreate vg /dev/mapper/safe
lvm lvcreate -Zn -Wn -l 100%FREE -n root vg
dd if=/dev/vdb of=/dev/mapper/vg-root bs=1M conv=sparse 2>&1
lvm vgchange -an vg
cryptsetup close safe
"""


@pytest.mark.skipif(not os.environ.get("PYMODUTILS_BOOTS"), reason="PYMODUTILS_BOOTS is not set: it takes a minute")
@pytest.mark.parametrize("kernel", list(assets.KERNELS))
@pytest.mark.parametrize("root", ROOTS)
def test_the_root_is_found(kernel: str, root: str, vm_programs: None, tmp_path: Path) -> None:
    wanted = ROOTS[root]
    folder = lay_root(tmp_path)
    fixed = {"btrfs": disk_arguments(make_disk(folder)), "9p": share_arguments(folder), "NFS": NETWORK}
    arguments = fixed.get(root)
    if arguments is None:
        arguments = disk_arguments(encrypted(kernel, make_disk(folder)))
    system = lay_system(tmp_path / "system", kernel)
    with open(tmp_path / "initramfs", "wb") as stream:
        image.write_checkout(tmp_path / "checkout")
        programs = image.user_programs_archive() if root == "NFS" else image.disk_programs_archive()
        for path in (tmp_path / "checkout", image.userland_archive(), programs):
            stream.write(path.read_bytes())
        stream.write(closure_archive(system, wanted.modules))
        archive = cpio.Writer(stream)
        init = INIT.replace("STEPS", wanted.steps).replace("modprobe", "/opt/pymodutils/bin/modprobe")
        archive.file("init", init.encode(), 0o755)
        archive.file("key", KEY)
        archive.directory("mnt")
        archive.close()
    command = [*_qemu(kernel, tmp_path, 1024, 1, ""), *arguments]
    environment = dict(os.environ)
    if root == "NFS":
        alone = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
        command = [*alone, "sh", "-c", SERVE, "serve", *command]
        environment |= {"SERVER": str(assets.nfs_server()), "FOLDER": str(folder), "EXPORTS": EXPORTS}
    subprocess.run(command, timeout=300, check=True, stdin=subprocess.DEVNULL, env=environment)
    console = (tmp_path / "console").read_text(errors="replace")
    assert wanted.said in console, console[-3000:]


NETWORK = ["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net"]


def disk_arguments(*disks: Path) -> list[str]:
    """QEMU's for virtio disks."""
    words = []
    for number, disk in enumerate(disks):
        words += ["-drive", f"file={disk},if=none,id=d{number},format=raw,cache=unsafe"]
        words += ["-device", f"virtio-blk-pci,drive=d{number}"]
    return words


def share_arguments(folder: Path) -> list[str]:
    """QEMU's for a folder shared by 9p."""
    return ["-virtfs", f"local,path={folder},mount_tag=root,security_model=none,readonly=on"]


def encrypted(kernel: str, plain: Path) -> Path:
    """A disk with the bytes of another one in a logical volume on an encrypted partition, made in a guest."""
    disk = plain.with_name("encrypted")
    with open(disk, "wb") as stream:
        stream.truncate(plain.stat().st_size + (64 << 20))
    modules = ["virtio_pci", "virtio_blk", "dm_crypt", "xts", "aesni_intel", "algif_skcipher", "algif_hash"]
    extra = [image.disk_programs_archive()]
    with boot(kernel, modules, qemu=disk_arguments(disk, plain), extra=extra, memory=1536) as guest:
        guest.run(PREPARE.replace("KEY", KEY.decode()), timeout=240).check()
    return disk


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


def lay_root(tmp_path: Path) -> Path:
    """A root file system with a shell and an init of its own."""
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
    return root


def make_disk(folder: Path) -> Path:
    """A btrfs with the files of a folder."""
    disk = folder.with_name("disk")
    with open(disk, "wb") as stream:
        stream.truncate(256 << 20)
    subprocess.run([*assets.mkfs_btrfs_argv(), "-q", "--rootdir", folder, disk], check=True, stdout=subprocess.DEVNULL)
    return disk
