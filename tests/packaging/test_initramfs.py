# SPDX-License-Identifier: LGPL-2.1-or-later
"""initramfs images built by initramfs-tools and by dracut, with kmod's commands and with ours.

The same kernel modules must be in both; ours must have a Python that is enough for the commands in it, and no more.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from pymodutils import Context, Roots, check, closure, deny
from tests.packaging.machine import Machine
from tests.support import assets
from tests.support.common import REPO

pytestmark = pytest.mark.xdist_group("initramfs")

KERNEL = "6.1"
SIZE_LIMIT = 3_700_000  # bytes that our part may add to a compressed image

# Without compression, which takes the most time, and without what dracut cannot find a program for.
BUILDERS = {
    "initramfs-tools": """
        sed -i 's/^COMPRESS=.*/COMPRESS=gzip/' /etc/initramfs-tools/initramfs.conf
        mkinitramfs -l 1 -o /tmp/image $1
        unmkinitramfs /tmp/image /tmp/unpacked
    """,
    "dracut": """
        dracut --quiet --no-hostonly --no-compress --no-early-microcode --force /tmp/image $1
        mkdir /tmp/unpacked
        cd /tmp/unpacked
        cpio --quiet -id </tmp/image
    """,
}

Image = Callable[[str, str], Machine]


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory, installed: Machine) -> Image:
    """A machine that has built an image: image(builder, "kmod" or "ours"); it is unpacked in its /tmp/unpacked."""
    release = assets.release(KERNEL)
    modules = assets.module_tree(KERNEL) / "lib/modules" / release

    @cache
    def build(builder: str, commands: str) -> Machine:
        machine = Machine(tmp_path_factory.mktemp(builder), installed if commands == "ours" else None)
        machine.binds += [(modules, f"/usr/lib/modules/{release}"), (assets.linux(KERNEL) / "boot", "/boot")]
        machine.run(f"set -- {release}\n{BUILDERS[builder]}")
        return machine

    return build


@pytest.fixture(params=BUILDERS)
def builder(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def files(machine: Machine) -> set[str]:
    root = machine.path("/tmp/unpacked")
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir() or path.is_symlink()}


def inside(machine: Machine, *words: str) -> str:
    """Run a command of the image, with the image as its root and an empty environment."""
    return machine.run(f"exec env -i PATH=/usr/sbin:/usr/bin chroot /tmp/unpacked {' '.join(words)}")


def test_the_same_kernel_modules_are_in_the_image(image: Image, builder: str) -> None:
    def modules(commands: str) -> set[str]:
        names = {name for name in files(image(builder, commands)) if "lib/modules/" in name}
        return {name for name in names if not name.endswith("/modules.weakdep")}  # which came with kmod 33

    kmods = modules("kmod")
    assert modules("ours") == kmods
    assert sum(name.endswith(".ko") for name in kmods) > 300
    assert any(name.endswith("/modules.dep.bin") for name in kmods)


def test_no_file_of_kmods_image_is_missing_in_ours(image: Image, builder: str) -> None:
    missing = files(image(builder, "kmod")) - files(image(builder, "ours"))
    assert {name for name in missing if "libkmod" not in name and "libcrypto" not in name} == set()


def test_modprobe_of_the_image_answers_as_kmods_does(image: Image, builder: str) -> None:
    release = assets.release(KERNEL)
    for module in ("btrfs", "ext4", "virtio_blk", "usb_storage", "pci:v00001AF4d00001001sv0sd0bc0sc0i0"):
        command = ["/sbin/modprobe", "-S", release, "-D", module]
        answer = inside(image(builder, "ours"), *command)
        assert answer == inside(image(builder, "kmod"), *command)
        assert answer.startswith("insmod /lib/modules/")


def test_every_command_of_the_image_starts(image: Image, builder: str) -> None:
    machine = image(builder, "ours")
    for name in ("/bin/kmod", "/sbin/lsmod", "/sbin/rmmod", "/sbin/insmod", "/sbin/modinfo", "/sbin/modprobe"):
        assert inside(machine, name, "-V").startswith("kmod version 34\n"), name
    listing = inside(machine, "sh", "-c", "'mkdir -p /proc /sys; : >/proc/modules; lsmod'")
    assert listing == "Module                  Size  Used by\n"


def test_all_that_the_commands_can_import_is_in_the_image(image: Image, builder: str) -> None:
    """Whatever they import late too, and from the image alone."""
    code = "import os, sys; sys.path.insert(0, '/usr/lib/pymodutils'); names = [" + (
        "os.path.relpath(os.path.join(parent, name), '/usr/lib/pymodutils')[:-4].replace('/', '.')"
        " for parent, _, files in os.walk('/usr/lib/pymodutils/pymodutils') for name in files"
        "]; [__import__(name.removesuffix('.__init__')) for name in names]; print(len(names))"
    )
    machine = image(builder, "ours")
    machine.path("/tmp/unpacked/probe.py").write_text(code)
    count = int(inside(machine, "/usr/bin/python3", "-IS", "/probe.py"))
    assert count == len(list(machine.path("/tmp/unpacked/usr/lib/pymodutils/pymodutils").rglob("*.pyc"))) > 40
    assert not list(machine.path("/tmp/unpacked/usr/lib/pymodutils").rglob("*.py"))


def test_the_library_is_small_and_has_nothing_that_is_never_imported(image: Image, builder: str) -> None:
    machine = image(builder, "ours")
    present = {name for name in files(machine) if re.match(r"usr/lib/python3\.\d+/", name)}
    assert any(name.endswith("/ctypes/__init__.pyc") for name in present)
    assert 20 < len(present) < 80
    # `socket` is there: system calls of verbs are in the same file as those of the commands.
    for never in "asyncio unittest email http logging argparse subprocess hashlib inspect tomllib".split():
        assert not [name for name in present if re.search(rf"/{never}[/.]", name)]


def test_what_ours_adds_to_a_compressed_image_is_within_the_limit(image: Image, builder: str) -> None:
    machine = image(builder, "ours")
    added = files(machine) - files(image(builder, "kmod"))
    root = machine.path("/tmp/unpacked")
    listed = "\0".join(sorted(added))
    archive = subprocess.run(
        ["tar", "--create", "--null", "--files-from=-"],
        cwd=root,
        input=listed.encode(),
        capture_output=True,
        check=True,
    )
    compressed = subprocess.run(["zstd", "-q", "-9", "-c"], input=archive.stdout, capture_output=True, check=True)
    print(f"{builder}: {len(archive.stdout)} bytes, {len(compressed.stdout)} compressed")
    assert 1_000_000 < len(compressed.stdout) < SIZE_LIMIT


def test_the_image_has_a_zstd_decoder_if_its_modules_need_one(installed: Machine, tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine", installed)
    machine.run("mkdir /tmp/with /tmp/without; /usr/lib/pymodutils/initramfs/copy-python /tmp/without >/tmp/list")
    assert not list(machine.path("/tmp/without").rglob("*zstd*"))
    binaries = machine.run("/usr/lib/pymodutils/initramfs/copy-python --zstd /tmp/with")
    assert "zstandard" in binaries


def test_check_and_closure_read_the_image(image: Image, builder: str, tmp_path: Path) -> None:
    """A module in the image, denied afterwards, still gets in there; one that the image lacks does not."""
    machine = image(builder, "ours")
    roots = Roots(base=str(assets.module_tree(KERNEL)), release=assets.release(KERNEL), config_root=str(tmp_path))
    names = {name.rpartition("/")[2].removesuffix(".ko").replace("-", "_") for name in files(machine)}
    inside, lacking = "btrfs", "sctp"
    assert inside in names and lacking not in names
    with Context(roots) as context:
        deny(context, [inside, lacking])
        context.refresh()
        checks = check(context, [inside, lacking], initrd=str(machine.path("/tmp/image"))).checks
        lacks = closure(context, ["btrfs", "sctp"], compare=str(machine.path("/tmp/image"))).lacks
    assert [(one.verdict, one.doors.initramfs and one.doors.initramfs.open) for one in checks] == [
        ("can-get-in", True),
        ("blocked", False),
    ]
    assert {lack.of for lack in lacks or () if lack.kind == "module"} >= {"sctp"}
    assert not [lack for lack in lacks or () if lack.of == "btrfs" and lack.kind == "module"]


WITH_CLOSURE = {
    "initramfs-tools": """
        sed -i 's/^COMPRESS=.*/COMPRESS=gzip/; s/^MODULES=.*/MODULES=list/' /etc/initramfs-tools/initramfs.conf
        echo sctp >>/etc/initramfs-tools/modules
        install /mnt/closure-hook /etc/initramfs-tools/hooks/kmod-closure
        mkinitramfs -l 1 -o /tmp/image $1
        unmkinitramfs /tmp/image /tmp/unpacked
    """,
    "dracut": """
        mkdir /usr/lib/dracut/modules.d/91kmod-closure
        install /mnt/closure-dracut-module-setup.sh /usr/lib/dracut/modules.d/91kmod-closure/module-setup.sh
        dracut --quiet --hostonly --modules 'base kmod-closure' --no-compress --no-early-microcode --force /tmp/image $1
        mkdir /tmp/unpacked
        cd /tmp/unpacked
        cpio --quiet -id </tmp/image
    """,
}


def test_the_hooks_bring_what_closure_finds(installed: Machine, builder: str, tmp_path: Path) -> None:
    """A machine with one device: its driver, with what that needs and its firmware, comes by `kmod closure` alone."""
    release = assets.release(KERNEL)
    device = tmp_path / "sys/devices/pci0000:00/0000:00:01.0"
    device.mkdir(parents=True)
    device.joinpath("modalias").write_text("pci:v00008086d00001008sv*sd*bc*sc*i*\n")  # an e1000
    machine = Machine(tmp_path / "machine", installed)
    machine.binds += [(assets.module_tree(KERNEL) / "lib/modules" / release, f"/usr/lib/modules/{release}")]
    machine.binds += [(assets.linux(KERNEL) / "boot", "/boot"), (tmp_path / "sys", "/sys")]
    machine.binds += [(REPO / "initramfs", "/mnt")]
    print(machine.run(f"set -- {release}\n{WITH_CLOSURE[builder]}"))
    brought = {name.rpartition("/")[2] for name in files(machine) if name.endswith(".ko")}
    assert "e1000.ko" in brought
    assert ({"sctp.ko", "libcrc32c.ko", "udp_tunnel.ko"} <= brought) == (builder == "initramfs-tools")
