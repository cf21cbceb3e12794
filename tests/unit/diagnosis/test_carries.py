# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a module carries of the caller: file systems and what lies below them, the ssh connection, the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from pymodutils import Context, Roots
from pymodutils.diagnosis.carries import with_holders
from pymodutils.formats.mountinfo import mount_of, parse_mountinfo
from pymodutils.formats.routes import interface_for
from pymodutils.verbs.carried import carried
from tests.support.forgedsystem import forge_system, lay_files

MODULES = {
    "ext4": ["alias=fs-ext4"], "jbd2": [], "dm-mod": ["alias=devname:mapper/control"], "dm-crypt": [], "virtio_blk": [],
    "virtio_pci": [], "loop": ["alias=block-major-7-*"], "squashfs": ["alias=fs-squashfs"], "nfs": ["alias=fs-nfs"],
    "e1000": [], "bridge": ["alias=rtnl-link-bridge"], "ftdi_sio": [], "usbserial": [], "overlay": ["alias=fs-overlay"],
    "other": [], "mii": [], "drm_kms": [], "bochs": [], "veth": ["alias=rtnl-link-veth"],
}  # fmt: skip
LOADED = {name.replace("-", "_"): "0 - Live 0x0" for name in MODULES}
LOADED |= {"jbd2": "1 ext4, Live 0x0", "mii": "1 e1000, Live 0x0", "usbserial": "1 ftdi_sio, Live 0x0"}
PID = 77


def mount(number: int, device: str, point: str, kind: str, source: str, options: str = "rw") -> str:
    return f"{number} 1 {device} / {point} rw shared:{number} - {kind} {source} {options}\n"


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    """ext4 on LUKS on a virtio disk; a squashfs image on /usr; a process of ssh, by a bridge, on a serial terminal."""
    virtio = "sys/devices/pci0/0000:00:04.0/virtio1"
    net = "sys/devices/pci0/0000:00:05.0/net/eth0"
    tty = "sys/devices/pci0/usb1/1-1/ttyUSB0"
    up = "../../../.."
    files: dict[str, str | bytes] = {
        f"{virtio}/block/vda/vda1/partition": "1",
        f"{virtio}/block/vda/vda1/dev": "254:1",
        f"{virtio}/block/vda/dev": "254:0",
        f"{virtio}/driver": f"-> {up}/drivers/virtio_blk",
        "sys/devices/pci0/0000:00:04.0/driver": "-> ../../../drivers/virtio-pci",
        "sys/drivers/virtio_blk/module": "-> ../../module/virtio_blk",
        "sys/drivers/virtio-pci/module": "-> ../../module/virtio_pci",
        "sys/drivers/e1000/module": "-> ../../module/e1000",
        "sys/drivers/ftdi/module": "-> ../../module/ftdi_sio",
        "sys/drivers/bochs/module": "-> ../../module/bochs",
        "sys/devices/virtual/block/dm-0/dev": "253:0",
        "sys/devices/virtual/block/dm-0/dm/uuid": "CRYPT-LUKS2-abc-root\n",
        "sys/devices/virtual/block/dm-0/slaves/vda1": f"-> {up}/pci0/0000:00:04.0/virtio1/block/vda/vda1",
        "sys/devices/virtual/block/loop0/dev": "7:0",
        "sys/devices/virtual/block/loop0/loop/backing_file": "/images/usr.img\n",
        "sys/block/loop0": "-> ../devices/virtual/block/loop0",
        "sys/dev/block/253:0": "-> ../../devices/virtual/block/dm-0",
        "sys/dev/block/7:0": "-> ../../devices/virtual/block/loop0",
        f"{net}/flags": "0x1003\n",
        f"{net}/device": "-> ../../../0000:00:05.0",
        "sys/devices/pci0/0000:00:05.0/uevent": "DRIVER=e1000\n",
        "sys/devices/pci0/0000:00:05.0/driver": "-> ../../../drivers/e1000",
        "sys/class/net/eth0": f"-> ../../{net.removeprefix('sys/')}",
        "sys/class/net/br0/uevent": "DEVTYPE=bridge\nINTERFACE=br0\n",
        "sys/class/net/br0/lower_eth0": "-> ../eth0",
        "sys/class/net/br0/flags": "0x1003\n",
        f"{tty}/dev": "188:0\n",
        f"{tty}/driver": f"-> {up}/../drivers/ftdi",
        "sys/dev/char/188:0": f"-> ../../{tty.removeprefix('sys/')}",
        "sys/devices/virtual/tty/tty1/dev": "4:1\n",
        "sys/dev/char/4:1": "-> ../../devices/virtual/tty/tty1",
        "sys/devices/pci0/0000:00:02.0/driver": "-> ../../../drivers/bochs",
        "sys/devices/pci0/0000:00:02.0/graphics/fb0/name": "bochs",
        "sys/class/graphics/fb0": "-> ../../devices/pci0/0000:00:02.0/graphics/fb0",
        f"proc/{PID}/mountinfo": mount(2, "253:0", "/", "ext4", "/dev/mapper/root")
        + mount(3, "7:0", "/usr", "squashfs", "/dev/loop0")
        + mount(4, "0:30", "/images", "nfs", "10.0.2.7:/x", "rw,addr=10.0.2.7"),
        f"proc/{PID}/stat": f"{PID} (a (b) c) S 76 1 1 {188 << 8} 0",
        f"proc/{PID}/environ": b"HOME=/root\0",
        "proc/76/stat": "76 (sudo) S 75 1 1 0 0",
        "proc/76/environ": b"X=1\0SSH_CONNECTION=192.0.2.9 50000 192.0.2.1 22\0",
        f"proc/{PID}/net/route": "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
        "br0 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\neth9 00000000 010200C0 0003 0 0 0 00000000 0 0 0\n",
    }
    return forge_system(tmp_path, MODULES, files=files, loaded=LOADED)


def carries(roots: Roots, name: str) -> list[tuple[str, str, str]]:
    return [(found.kind, found.what, found.module) for found in carried(Context(roots), name, PID)]


@pytest.mark.parametrize(
    ("name", "kind", "what", "carrier"),
    [
        ("ext4", "file-system", "file system of / (/dev/mapper/root)", "ext4"),
        ("jbd2", "file-system", "file system of / (/dev/mapper/root)", "ext4"),
        ("dm-crypt", "file-system", "file system of / (/dev/mapper/root)", "dm_crypt"),
        ("dm_mod", "file-system", "file system of / (/dev/mapper/root)", "dm_mod"),
        ("virtio_blk", "file-system", "file system of / (/dev/mapper/root)", "virtio_blk"),
        ("virtio_pci", "file-system", "file system of / (/dev/mapper/root)", "virtio_pci"),
        ("loop", "file-system", "file system of /usr (/dev/loop0)", "loop"),
        ("nfs", "file-system", "file system of /images (10.0.2.7:/x)", "nfs"),
        ("bridge", "connection", "interface br0 of the ssh session from 192.0.2.9", "bridge"),
        ("mii", "connection", "interface eth0 of the ssh session from 192.0.2.9", "e1000"),
        ("usbserial", "terminal", "terminal ttyUSB0", "ftdi_sio"),
    ],
)
def test_what_a_module_carries(roots: Roots, name: str, kind: str, what: str, carrier: str) -> None:
    assert (kind, what, carrier) in carries(roots, name)


@pytest.mark.parametrize("name", ["other", "veth", "bochs", "overlay", "nosuch"])
def test_what_carries_nothing(roots: Roots, name: str) -> None:
    assert carries(roots, name) == []


@pytest.mark.parametrize("damage", [None, b"damaged"], ids=["no index", "damaged index"])
def test_without_indexes_a_module_is_known_by_its_own_name(roots: Roots, damage: bytes | None) -> None:
    for index in Path(roots.modules).glob("modules.*.bin"):
        index.unlink()
        if damage:
            index.write_bytes(damage)
    assert carries(roots, "ext4") == [("file-system", "file system of / (/dev/mapper/root)", "ext4")]
    assert ("connection", "interface br0 of the ssh session from 192.0.2.9", "bridge") in carries(roots, "bridge")


def test_a_virtual_terminal_is_shown_by_graphics(roots: Roots) -> None:
    lay_files(Path(roots.proc), {f"{PID}/stat": f"{PID} (sh) S 1 1 1 {4 << 8 | 1} 0"})
    assert carries(roots, "bochs") == [("terminal", "terminal tty1", "bochs")]


def test_without_any_file_nothing_is_known(tmp_path: Path) -> None:
    roots = forge_system(tmp_path, MODULES, loaded=LOADED)
    assert carries(roots, "ext4") == []


def test_modules_go_before_what_they_need() -> None:
    holders = {"a": ["b", "c"], "b": ["d"], "c": ["b"], "d": ["a"]}
    assert with_holders("a", holders) == ["d", "b", "c", "a"]
    assert with_holders("x", holders) == ["x"]


def test_mountinfo() -> None:
    line = rb"36 35 98:0 /mnt1 /a\040b\134 rw,noatime shared:1 master:2 - ext3 /dev/ro\011ot rw,errors=continue"
    (found,) = parse_mountinfo(line + b"\nnonsense\n\n1 2 - \n")
    assert (found.point, found.source, found.tags) == ("/a b\\", "/dev/ro\tot", ("shared:1", "master:2"))
    assert (found.option("errors"), found.option("rw"), found.line) == ("continue", None, 1)
    assert mount_of([found], "/a b\\/c") == found
    assert mount_of([found], "/a b\\c") is None


IPV6 = (
    b"20010db8000000000000000000000000 20 00000000000000000000000000000000 00 " + b"0" * 32
    + b" 00000100 00000001 00000000 00000001     eth0\n" + b"0" * 32 + b" 00 " + b"0" * 32 + b" 00 " + b"0" * 32
    + b" 00000400 00000001 00000000 00000003     eth1\nnonsense\n" + b"0" * 32 + b" 00 " + b"0" * 32 + b" 00 "
    + b"0" * 32 + b" ffffffff 00000001 00000000 00200200       lo\n"
)  # fmt: skip


@pytest.mark.parametrize(
    ("address", "interface"),
    [
        ("2001:db8::5", "eth0"),
        ("2001:db9::5", "eth1"),
        ("fe80::1%wlan0", "wlan0"),
        ("::1", None),
        ("no address", None),
        ("10.0.0.1", None),
    ],
)
def test_routes(address: str, interface: str | None) -> None:
    assert interface_for(address, b"", IPV6) == interface


def test_an_address_of_ipv4_within_ipv6() -> None:
    route = (
        b"Iface Destination Gateway Flags RefCnt Use Metric Mask\neth3 0000000A 0 0001 0 0 0 000000FF 0 0 0\nshort\n"
    )
    assert interface_for("::ffff:10.1.2.3", route, b"") == "eth3"
    assert interface_for("11.1.2.3", route, b"") is None


def test_a_route_with_an_impossible_prefix_fits_nothing() -> None:
    head = b"Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    wide = b"eth9\t00000000\t00000000\t0001\t0\t0\t0\tFFFFFFFFFF\t0\t0\t0\n"
    good = b"eth0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n"
    assert interface_for("192.0.2.1", head + wide + good, b"") == "eth0"
    assert interface_for("192.0.2.1", head + wide, b"") is None
