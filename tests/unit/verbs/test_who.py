# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod who: one user of each class on a forged system; what holds, what would be lost, and in which order that ends."""

from __future__ import annotations

import errno
import importlib.util
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import pymodutils
from pymodutils import Context, LiveKernelNotAskedError, NotFoundError, Roots, WhoReport
from pymodutils.cli.verbs.page import Page
from pymodutils.cli.verbs.who import MOST_PROCESSES, _processes, _write_watched
from pymodutils.effects import tracing
from pymodutils.formats.tracepipe import GET, PUT, TraceEntry
from pymodutils.state.drivers import BLOCK, CHARACTER
from pymodutils.state.look import Look
from pymodutils.state.users import lists, network, reader, sockets
from pymodutils.state.users.nodes import Nodes
from pymodutils.state.users.processes import Processes
from pymodutils.state.users.use import Holding, Process
from pymodutils.verbs.carried import ModulesBehind
from pymodutils.verbs.who import Watched, who
from tests.support.common import need, note_made, replace_call, run_inside
from tests.support.forgedsystem import forge_system, lay_files
from tests.support.koforge import Ko
from tests.support.schemas import check_document

MODULES: dict[str, Ko | Sequence[str]] = {
    "tun": ["alias=char-major-1-5", "alias=char-major-10-200"],
    "loop": ["alias=block-major-7-*"],
    "ext4": ["alias=fs-ext4"],
    "fuse": ["alias=fs-fuse", "alias=char-major-1-7"],
    "zram": [],
    "dm-mod": [],
    "dm-crypt": [],
    "md-mod": [],
    "raid456": ["alias=md-raid5", "alias=md-level-5"],
    "can_raw": [],
    "tcp_bbr": [],
    "veth": ["alias=rtnl-link-veth"],
    "bridge": ["alias=rtnl-link-bridge"],
    "e1000": [],
    "llc": [],
    "br_netfilter": [],
    "sha9_generic": [],
    "netconsole": [],
    "ppp_async": ["alias=tty-ldisc-3"],
    "binfmt_misc": ["alias=fs-binfmt_misc"],
    "iptable_filter": [],
    "sch_fq": ["alias=net-sch-fq"],
    "can": [],
    "stuck": [],
    "odd": [],
    "idle": [],
    "absent_one": [],
    "sd_mod": ["alias=block-major-8-*"],
    "usb-storage": [],
    "softdog": [],
    "evdev": [],
    "i2c_dev": ["alias=char-major-89-*"],
    "btrfs": ["alias=fs-btrfs"],
    "vcan": ["alias=rtnl-link-vcan"],
}
LOADED = {name.replace("-", "_"): "0 - Live 0x0" for name in MODULES if name != "absent_one"}
LOADED |= {
    "x_tables": "0 - Live 0x0",
    "tun": "2 - Live 0x0", "loop": "5 - Live 0x0", "ext4": "1 - Live 0x0", "can": "1 can_raw, Live 0x0",
    "stuck": "0 [permanent], Live 0x0", "odd": "3 - Live 0x0", "can_raw": "2 - Live 0x0", "zram": "2 - Live 0x0",
    "dm_mod": "3 dm_crypt, Live 0x0", "dm_crypt": "1 - Live 0x0", "fuse": "2 - Live 0x0",
}  # fmt: skip
NET, MNT = "net:[1]", "mnt:[1]"


def process(pid: int, name: str, fds: dict[int, str], **more: str) -> dict[str, str]:
    """The files of a process that has descriptors open; `more` are other files and links."""
    place = f"proc/{pid}"
    files = {f"{place}/fd/{number}": f"-> {target}" for number, target in fds.items()}
    links = {"ns/net": NET, "ns/mnt": MNT, "root": "/", "cwd": "/", "exe": "/bin/x"}
    files |= {f"{place}/{link}": f"-> {more.pop(link.replace('/', '_'), target)}" for link, target in links.items()}
    return files | {f"{place}/comm": f"{name}\n"} | {f"{place}/{file}": text for file, text in more.items()}


def mount(number: int, parent: int, device: str, point: str, kind: str, source: str, tags: str = "") -> str:
    return f"{number} {parent} {device} / {point} rw {tags}{' ' if tags else ''}- {kind} {source} rw\n"


MOUNTS = (
    mount(1, 0, "8:1", "/", "ext3", "/dev/sda1", "shared:1")
    + mount(2, 1, "7:0", "/mnt", "ext4", "/dev/loop0", "shared:2")
    + mount(3, 2, "0:40", "/mnt/f", "fuse.sshfs", "host:")
    + mount(4, 1, "0:41", "/proc/sys/fs/binfmt_misc", "binfmt_misc", "none")
    + mount(5, 1, "253:0", "/srv data", "ext3", "/dev/mapper/box").replace("/srv data", "/srv\\040data")
)
OTHER_MOUNTS = mount(91, 0, "8:1", "/", "ext3", "/dev/sda1", "master:1") + mount(
    92, 91, "7:0", "/mnt", "ext4", "/dev/loop0", "shared:9"
)
PRIVATE_MOUNTS = mount(81, 0, "8:1", "/", "ext3", "/dev/sda1") + mount(82, 81, "7:0", "/x", "ext4", "/dev/loop0")
PROTOCOLS = (
    "protocol  size sockets  memory press maxhdr  slab module     cl co di\n"
    "CAN_RAW   1000     -1      -1   NI       0   no   can_raw     y  y  y\n"
    "TCP       2000      9       1   no     320   yes  kernel      y  y  y\n"
    "SHORT\n"
)
FILES: dict[str, str | bytes] = {
    "proc/swaps": "Filename Type Size Used Priority\n/dev/zram0 partition 1 0 -2\n/mnt/swap\\040file file 1 0 -2\n",
    "proc/misc": "200 tun\n130 watchdog\n232 kvm\n 61 mine-too\n",
    "proc/devices": "Character devices:\n  1 mem\n 89 i2c\n\nBlock devices:\n  7 loop\n251 zram\n",
    "proc/crypto": "name : sha9\ndriver : sha9-generic\nmodule : sha9_generic\nrefcnt : 3\n\nname : x\ndriver : y\n"
    "module : odd\nrefcnt : 1\n\nname : aes\nmodule : kernel\nrefcnt : 9\n",
    "proc/consoles": "tty0 -WU (EC p) 4:1\nnetcon0 -W- (E)\n\n",
    "proc/tty/ldiscs": "n_tty       0\nppp         3\nbroken\n",
    "proc/sys/fs/binfmt_misc/status": "enabled\n",
    "proc/sys/fs/binfmt_misc/wine": "enabled\ninterpreter /usr/bin/wine\nflags:\n",
    "proc/sys/net/ipv4/tcp_available_congestion_control": "reno cubic bbr\n",
    "proc/sys/net/ipv4/tcp_congestion_control": "bbr\n",
    "proc/sys/net/bridge/x": "",
    "proc/sys/net/core/default_qdisc": "fq\n",
    **process(1, "init", {0: "/dev/null", 5: "socket:[11]"}, mountinfo=MOUNTS),
    "proc/1/net/protocols": PROTOCOLS,
    "proc/1/net/ptype": "Type Device Function\n0004      llc_rcv [llc]\n0800      ip_rcv\nALL  eth0 see [odd]\n",
    "proc/1/net/ip_tables_names": "filter\n",
    **process(7, "qemu", {3: "/dev/zero", 4: "/dev/zero", 5: "socket:[11]", 6: "pipe:[1]", 7: "/gone (deleted)"}),
    "proc/7/cgroup": "0::/system.slice/qemu.service/vcpu\n",
    **process(8, "sshfs", {3: "/dev/full", 4: "/mnt/work"}, cwd="/mnt/f"),
    **process(9, "box", {0: "/dev/tty"}, ns_mnt="mnt:[2]", mountinfo=OTHER_MOUNTS),
    **process(10, "cell", {}, ns_mnt="mnt:[3]", mountinfo=PRIVATE_MOUNTS),
    "sys/block/loop0/dev": "7:0\n",
    "sys/block/loop0/loop/backing_file": "/img/a b.img\n",
    "sys/block/loop1/dev": "7:1\n",
    "sys/block/loop1/loop/backing_file": "/mnt/inner.img\n",
    "sys/block/loop2/dev": "7:2\n",
    "sys/block/dm-0/dev": "253:0\n",
    "sys/block/dm-0/dm/name": "box\n",
    "sys/block/dm-0/dm/uuid": "CRYPT-LUKS2-1-box\n",
    "sys/block/dm-0/slaves/loop1/dev": "7:1\n",
    "sys/block/md0/dev": "9:0\n",
    "sys/block/md0/md/level": "raid5\n",
    "sys/block/md0/slaves/sda1/dev": "8:1\n",
    "sys/block/sda/dev": "8:0\n",
    "sys/class/block/zram0/dev": "251:0\n",
    "sys/dev/block/251:0": "-> ../../devices/virtual/block/zram0",
    "sys/devices/virtual/block/zram0/dev": "251:0\n",
    "sys/class/net/veth0/ifindex": "5\n",
    "sys/class/net/veth0/iflink": "6\n",
    "sys/class/net/veth0/uevent": "DEVTYPE=veth\n",
    "sys/class/net/veth0/flags": "0x1003\n",
    "sys/class/net/veth1/ifindex": "6\n",
    "sys/class/net/veth1/iflink": "5\n",
    "sys/class/net/veth1/uevent": "DEVTYPE=veth\n",
    "sys/class/net/br0/uevent": "DEVTYPE=bridge\n",
    "sys/class/net/eth0/device": "-> ../../../devices/pci/1",
    "sys/class/net/lo/flags": "0x9\n",
    "sys/devices/pci/1/uevent": "DRIVER=e1000\n",
    "sys/devices/pci/1/driver": "-> ../../../bus/pci/drivers/e1000",
    "sys/bus/pci/drivers/e1000/module": "-> ../../../../module/e1000",
    "sys/bus/pci/drivers/e1000/0000:00:05.0": "-> ../../../../devices/pci/1",
    "sys/bus/pci/drivers/e1000/bind": "",
    "sys/module/e1000/drivers/pci:e1000": "-> ../../../bus/pci/drivers/e1000",
}  # fmt: skip


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Roots:
    return forge_system(tmp_path_factory.mktemp("system"), MODULES, files=FILES, loaded=LOADED)


@pytest.fixture
def roots(system: Roots, monkeypatch: pytest.MonkeyPatch) -> Roots:
    """The system, which no test changes."""
    monkeypatch.setattr(sockets, "protocol_of", lambda path: "CAN_RAW" if path.endswith("/fd/5") else "TCP")
    monkeypatch.setattr(sockets, "_congestion_control", lambda _holding: None)
    monkeypatch.setattr(lists, "line_discipline", lambda holding: "3" if holding.pid == 9 else "0")
    return system


def ask(roots: Roots, name: str) -> WhoReport:
    return who(Context(roots), name)


def users(report: WhoReport) -> list[tuple[str, str, bool, list[tuple[int, int | None]]]]:
    return [
        (user.family, user.what, user.holds, [(process.pid, process.fd) for process in user.processes or ()])
        for user in report.users
    ]


@pytest.mark.parametrize(
    ("name", "user", "loses", "order"),
    [
        ("tun", ("device-node", "/dev/zero", True, [(7, 3), (7, 4)]), [], "systemctl stop qemu.service; rmmod tun"),
        ("fuse", ("mount", "/mnt/f", True, []), ["/mnt/f: fuse.sshfs (host:)"], "kill 8; umount /mnt/f; rmmod fuse"),
        ("zram", ("swap", "/dev/zram0", True, []), ["/dev/zram0: swap"], "swapoff /dev/zram0; rmmod zram"),
        ("raid456", ("md", "/dev/md0", True, []), ["md0: array"], "mdadm --stop /dev/md0; rmmod raid456"),
        ("can_raw", ("socket", "1 CAN_RAW socket", True, [(1, 5), (7, 5)]), [],
         "systemctl stop qemu.service; rmmod can_raw"),
        ("can", ("holder", "can_raw", True, []), [], "systemctl stop qemu.service; rmmod can_raw; rmmod can"),
        ("tcp_bbr", ("congestion-control", "default of new connections (bbr)", True, []),
         ["bbr: congestion control of new connections"],
         "sysctl -w net.ipv4.tcp_congestion_control=cubic; rmmod tcp_bbr"),
        ("veth", ("interface", "veth0", False, []), ["veth0: interface, up", "veth1: interface, down"],
         "ip link del veth0; rmmod veth"),
        ("bridge", ("interface", "br0", False, []), ["br0: interface, down"], "ip link del br0; rmmod bridge"),
        ("e1000", ("interface", "eth0", False, []),
         ["eth0: interface, down", "0000:00:05.0: device without its driver"], "rmmod e1000"),
        ("e1000", ("driver", "0000:00:05.0 (pci)", False, []),
         ["eth0: interface, down", "0000:00:05.0: device without its driver"], "rmmod e1000"),
        ("llc", ("packet-hook", "packets of type 0004", False, []), ["llc_rcv: packets of type 0004"], "rmmod llc"),
        ("odd", ("packet-hook", "packets of type ALL on eth0", False, []), ["see: packets of type ALL on eth0"],
         "rmmod odd"),
        ("br_netfilter", ("packet-hook", "bridged packets", False, []), ["netfilter of bridged packets"],
         "rmmod br_netfilter"),
        ("sha9_generic", ("crypto", "sha9 (sha9-generic)", True, []), [], "rmmod sha9_generic"),
        ("netconsole", ("console", "netcon0", False, []), ["netcon0: console of the kernel's messages"],
         "rmmod netconsole"),
        ("ppp_async", ("line-discipline", "/dev/tty (ppp)", True, [(9, 0)]), [], "kill 9; rmmod ppp_async"),
        ("iptable_filter", ("netfilter", "table filter of iptables", False, []), ["table filter of iptables"],
         "rmmod iptable_filter"),
        ("sch_fq", ("traffic-control", "default of new queues (fq)", True, []), ["fq: queues of new interfaces"],
         "sysctl -w net.core.default_qdisc=pfifo_fast; rmmod sch_fq"),
        ("stuck", ("permanent", "stuck", True, []), [], ""),
        ("sd_mod", ("mount", "/", True, []), None, None),
        ("md_mod", ("md", "/dev/md0", False, []), ["md0: array"], "mdadm --stop /dev/md0; rmmod md_mod"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else value[0] if value else "",
)  # fmt: skip
def test_a_user_of_each_class(
    roots: Roots, name: str, user: tuple[Any, ...], loses: list[str] | None, order: str | None
) -> None:
    report = ask(roots, name)
    assert user in users(report)
    if loses is not None:
        assert list(report.would_lose) == loses
    if order is not None:
        assert "; ".join(report.order) == order
    assert report.is_used


def test_a_loop_below_everything(roots: Roots) -> None:
    """Mounts in three namespaces, one of which goes with the first; what lies on them; a mapping on another loop."""
    report = ask(roots, "loop")
    assert ("loop", "/dev/loop0", True, []) in users(report)
    assert ("mount", "/mnt", True, []) in users(report)
    assert ("mount", "/x", True, []) in users(report)
    assert ("device-mapper", "box", True, []) in users(report)
    assert report.would_lose[:1] == ("/mnt: ext4 (/dev/loop0)",)
    assert {"loop0: /img/a b.img", "box: mapping of device-mapper", "/srv data: ext3 (/dev/mapper/box)"} <= set(
        report.would_lose
    )
    assert report.order[-1] == "rmmod loop"
    order = list(report.order)
    assert "nsenter --mount -t 10 umount /x" in order and not any("-t 9 " in command for command in order)
    for first, second in [
        ("umount /mnt/f", "umount /mnt"),
        ("swapoff '/mnt/swap file'", "umount /mnt"),
        ("kill 8", "umount /mnt"),
        ("umount '/srv data'", "dmsetup remove box"),
        ("dmsetup remove box", "losetup -d /dev/loop1"),
        ("losetup -d /dev/loop1", "umount /mnt"),
        ("umount /mnt", "losetup -d /dev/loop0"),
    ]:
        assert order.index(first) < order.index(second), order
    assert (report.refcount, report.unaccounted) == (5, 1)  # two loops, one file system of three mounts, one mapping


def test_mappings_and_what_they_are_made_by(roots: Roots) -> None:
    assert ("device-mapper", "box", True, []) in users(ask(roots, "dm_crypt"))
    report = ask(roots, "dm-mod")
    assert [user[:2] for user in users(report)] == [("holder", "dm_crypt"), ("device-mapper", "box")]
    assert report.order[-2:] == ("rmmod dm_crypt", "rmmod dm_mod")
    assert (report.holders, report.refcount, report.unaccounted) == (("dm_crypt",), 3, 1)


def test_binfmt_entries_go_before_their_mount(roots: Roots) -> None:
    report = ask(roots, "binfmt_misc")
    assert [user[:3] for user in users(report)] == [
        ("mount", "/proc/sys/fs/binfmt_misc", True),
        ("binfmt", "wine", True),
    ]
    assert [command.split()[0] for command in report.order] == ["echo", "umount", "rmmod"]
    assert report.order[0].startswith("echo -1 > ")


def test_what_would_be_mounted_or_loaded_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd mounts binfmt_misc at the first look, and netlink loads nf_tables."""
    files: dict[str, str | bytes] = {
        **process(1, "init", {}, mountinfo=mount(1, 0, "0:9", "/proc/sys/fs/binfmt_misc", "autofs", "systemd-1")),
        "proc/sys/fs/binfmt_misc/wine": "interpreter /bin/wine\n",
    }
    loaded = {"binfmt_misc": "0 - Live 0x0", "nft_ct": "0 - Live 0x0", "x_tables": "0 - Live 0x0"}
    roots = forge_system(tmp_path, {name: [] for name in loaded}, files=files, loaded=loaded)
    assert ask(roots, "binfmt_misc").users == ()
    monkeypatch.setattr(network, "_netlink", lambda *_: pytest.fail("netlink was asked"))
    assert list(network.netfilter_uses(Look(roots), Processes(Look(roots)))) == []


def test_references_that_nothing_was_found_for(roots: Roots) -> None:
    report = ask(roots, "odd")
    assert (report.refcount, report.unaccounted, report.all_is_known) == (3, 3, False)
    assert ask(roots, "tun").unaccounted == 0
    assert ask(roots, "fuse").unaccounted == 0


def test_nobody(roots: Roots) -> None:
    report = ask(roots, "idle")
    assert (report.users, report.refcount, report.unaccounted, report.order) == ((), 0, 0, ("rmmod idle",))
    assert not report.is_used
    assert kmod(roots, "who", "idle")[:2] == (0, "idle: 0 references: nobody uses it\n")


def test_a_module_that_is_not_loaded_has_no_users(roots: Roots) -> None:
    report = ask(roots, "absent-one")
    assert (report.module, report.refcount, report.users, report.errors) == ("absent_one", None, (), ())
    assert kmod(roots, "who", "absent_one")[0] == 0


def test_an_alias(roots: Roots) -> None:
    assert ask(roots, "fs-ext4").module == "ext4"


def test_names_that_stand_for_nothing(roots: Roots) -> None:
    with pytest.raises(NotFoundError) as caught:
        ask(roots, "ext5")
    assert "ext4" in caught.value.similar
    code, out, err = kmod(roots, "who", "ext5")
    assert (code, out) == (2, "") and "ext5" in err


def test_another_system_is_not_asked(roots: Roots) -> None:
    with pytest.raises(LiveKernelNotAskedError):
        who(Context(Roots.of_system(roots.base, roots.release)), "loop")
    with pytest.raises(LiveKernelNotAskedError):
        pymodutils.prune(Context(Roots.of_system(roots.base, roots.release)))


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0::/system.slice/qemu.service/vcpu\n", "qemu.service"),
        ("0::/system.slice/system-a.slice/a@1.service\n", "a@1.service"),
        ("2:cpu:/\n1:name=systemd:/system.slice/old.service\n", "old.service"),
        ("0::/user.slice/user-0.slice/user@0.service/app.slice/mine.service\n", None),
        ("0::/user.slice/user-0.slice/session-2.scope\n", None),
        ("0::/machine.slice/box.scope/system.slice/inner.service\n", None),
        ("0::/\n", None),
        ("", None),
    ],
)
def test_the_service_of_a_process(tmp_path: Path, text: str, unit: str | None) -> None:
    lay_files(tmp_path, {"proc/7/cgroup": text})
    roots = Roots(proc=f"{tmp_path}/proc")
    assert reader.Seen(Processes(Look(roots))).unit(7) == unit


def test_types_of_algorithms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which one a crypto socket is bound to is not shown: with several, nobody is told to end its process."""
    monkeypatch.setattr(sockets, "protocol_of", lambda _path: "ALG")
    loaded = {"algif_hash": "1 - Live 0x0", "algif_aead": "0 - Live 0x0", "af_alg": "2 - Live 0x0"}
    files: dict[str, str | bytes] = {**process(7, "cat", {3: "socket:[1]"}), "proc/7/net/protocols": "x\n"}
    roots = forge_system(tmp_path, {name: [] for name in loaded}, files=files, loaded=loaded)
    assert users(ask(roots, "algif_hash")) == [("socket", "1 ALG socket", True, [(7, 3)])]
    assert ask(roots, "algif_aead").users == ()
    lay_files(Path(roots.sys), {"module/algif_aead/refcnt": "1\n"})
    assert users(ask(roots, "algif_hash")) == [("socket", "1 ALG socket", True, [])]


def test_what_the_caller_works_by_would_be_lost(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"proc/{os.getpid()}/mountinfo": mount(1, 0, "8:1", "/", "ext4", "/dev/sda1")}
    roots = forge_system(tmp_path, {"ext4": ["alias=fs-ext4"]}, files=files, loaded={"ext4": "1 - Live 0x0"})
    report = ask(roots, "ext4")
    assert report.would_lose[-1] == "file system of / (/dev/sda1): what the caller works by"
    assert report.order == ()


# --- what is behind a device node


@pytest.mark.parametrize(
    ("kind", "number", "modules", "alias"),
    [
        (CHARACTER, "10:200", (), "char-major-10-200"),
        (CHARACTER, "10:61", (), "mine_too"),
        (CHARACTER, "10:232", (), "kvm_intel"),
        (CHARACTER, "89:1", ("e1000",), "char-major-89-1"),
        (CHARACTER, "13:64", (), "evdev"),
        (CHARACTER, "10:130", (), "watchdog:Soft Dog"),
        (CHARACTER, "21:0", ("usb_storage",), "char-major-21-0"),
        (BLOCK, "8:1", ("sd_mod", "usb_storage"), "block-major-8-0"),
        (BLOCK, "7:5", (), "loop"),
        (BLOCK, "251:0", (), "zram"),
    ],
)
def test_device_nodes(devices: Roots, kind: str, number: str, modules: tuple[str, ...], alias: str) -> None:
    node = Nodes(Look(devices)).node(kind, number)
    assert node.modules == modules
    assert alias in node.aliases


def test_aliases_that_were_looked_up_are_not_looked_up_again(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    """One memory of them serves both questions: who uses the module, and what the caller works by."""
    made = note_made(monkeypatch, ModulesBehind)
    ask(roots, "loop")
    assert len(made) == 1


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Roots:
    """A system with a disk on USB, an input device, an I2C adapter and a watchdog."""
    roots = forge_system(tmp_path_factory.mktemp("devices"), MODULES, files=FILES, loaded=LOADED)
    disk = "sys/devices/pci/1/usb1/1-1/host3/target/3:0:0:0"
    up = "../" * 10
    lay_files(
        Path(roots.base),
        {
            "sys/devices/pci/1/i2c-1/dev": "89:1\n",
            "sys/dev/char/89:1": "-> ../../devices/pci/1/i2c-1",
            "sys/devices/pci/1/input/input4/event4/dev": "13:64\n",
            "sys/dev/char/13:64": "-> ../../devices/pci/1/input/input4/event4",
            "sys/devices/virtual/watchdog/watchdog0/identity": "Soft Dog\n",
            "sys/class/watchdog/watchdog0": "-> ../../devices/virtual/watchdog/watchdog0",
            f"{disk}/block/sda/dev": "8:0\n",
            f"{disk}/block/sda/sda1/partition": "1\n",
            "sys/dev/block/8:1": f"-> ../../{disk.removeprefix('sys/')}/block/sda/sda1",
            f"{disk}/driver": f"-> {up[:24]}bus/scsi/drivers/sd",
            "sys/bus/scsi/drivers/sd/module": "-> ../../../../module/sd_mod",
            "sys/devices/pci/1/usb1/1-1/driver": "-> ../../../../../bus/usb/drivers/usb-storage",
            "sys/bus/usb/drivers/usb-storage/module": "-> ../../../../module/usb_storage",
            f"{disk}/scsi_generic/sg0/dev": "21:0\n",
            "sys/dev/char/21:0": f"-> ../../{disk.removeprefix('sys/')}/scsi_generic/sg0",
        },
    )
    return roots


def test_the_driver_of_a_watchdog_is_found_by_what_it_calls_itself(tmp_path: Path) -> None:
    from pymodutils.verbs.carried import ModulesBehind
    from pymodutils.verbs.who import _stand_for

    roots = forge_system(tmp_path, {"softdog": []}, loaded={"softdog": "0 - Live 0x0"})
    context = Context(roots)
    entry = context.tree.find("softdog")
    assert entry is not None
    moved = Path(roots.modules) / "kernel/drivers/watchdog/softdog.ko"
    moved.parent.mkdir(parents=True)
    moved.write_bytes(Path(entry.path).read_bytes() + b"\0Soft Dog\0")
    Path(entry.path).unlink()
    assert run_inside("depmod", ["-b", roots.base, roots.release]).status == 0
    context = Context(roots)
    stand_for = _stand_for(context, context.loaded_by_name(), ModulesBehind(context))
    assert stand_for("watchdog:Soft Dog") == ["softdog"]
    assert stand_for("watchdog:Other Dog") == []


# --- without rights, without optional libraries


@pytest.mark.parametrize(("user", "why"), [(1000, "only root may look"), (0, "even root may not look")])
def test_what_cannot_be_seen_is_said(roots: Roots, monkeypatch: pytest.MonkeyPatch, user: int, why: str) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    real = os.listdir

    def listdir(path: Any = ".") -> list[str]:
        if str(path).endswith("/8/fd/"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path)

    replace_call(monkeypatch, "listdir", listdir)
    report = ask(roots, "fuse")
    assert [error.text for error in report.errors] == [f"what 1 process has open is not known: {why}"]
    assert report.unaccounted == 1
    assert kmod(roots, "who", "idle")[0] == 2
    code, out, err = kmod(roots, "who", "fuse")
    assert code == 1 and "1 reference not accounted for" in out and why in err


def test_without_psutil_processes_are_not_known(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "load", lambda _name: None)
    report = ask(roots, "tun")
    assert [user.processes for user in report.users] == [None]
    assert ask(roots, "loop").users[0].processes == ()
    assert any("psutil" in error.text for error in report.errors)
    code, out, err = kmod(roots, "who", "tun")
    assert code == 1 and "unknown processes" in out and "psutil" in err
    assert kmod(roots, "who", "idle") == (0, "idle: 0 references: nobody uses it\n", "")  # no process to describe


def test_that_nobody_uses_it_is_not_said_where_not_all_was_seen(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where /sys is not mounted."""
    names = Look.names
    monkeypatch.setattr(Look, "names", lambda look, path: [] if path == f"{look.sys}/class" else names(look, path))
    code, out, err = kmod(roots, "who", "idle")
    assert (code, out) == (2, "idle: 0 references: nobody was seen who uses it, but not all could be seen\n")
    assert "devices, drivers and interfaces are not known" in err
    assert ask(roots, "idle").errors
    monkeypatch.setattr(Processes, "pids", property(lambda _self: [], lambda _self, _value: None), raising=False)
    assert "what processes have open is not known" in kmod(roots, "who", "idle")[2]


def test_processes_that_are_out_of_sight(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    """hidepid hides those of others, a container those outside; that shows by process 1, and by the namespace."""
    hidden = Processes(Look(roots))
    hidden.look = Look(roots.replace(proc="/proc", sys="/sys"))
    monkeypatch.setattr(reader, "_pid_namespace", lambda: "pid:[4026531836]")
    hidden.pids = [1, 5]
    assert not list(reader._out_of_sight(hidden))
    hidden.pids = [5]
    assert [text.rpartition(": ")[2] for text in reader._out_of_sight(hidden)] == ["/proc hides them"]
    hidden.pids = [1, 5]
    monkeypatch.setattr(reader, "_pid_namespace", lambda: "pid:[4026532250]")
    assert list(reader._out_of_sight(hidden)) == ["what processes outside of this container have open is not known"]


def test_without_pyroute2_queues_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "load", lambda _name: None)
    for ask_netlink in (network.link_kinds, lambda look: list(network.traffic_uses(look))):
        with pytest.raises(network.NoNetlink, match="pyroute2"):
            ask_netlink(Look(Roots()))


def test_a_kernel_that_is_seen_by_its_files_alone(roots: Roots) -> None:
    assert [error.severity for error in ask(roots, "sch_fq").errors] == ["warning"]
    assert ask(roots, "loop").errors == ()


# --- watching references


class Traced:
    """Stands in for a trace: some events, then none."""

    def __init__(self, events: list[str], *, module: str, roots: Roots) -> None:
        assert (events, module) == ([GET, PUT], "odd")
        self.left = [
            TraceEntry(GET, 1.0, 0, "reader", 7, "odd", call_site="misc_open", refcount=4),
            TraceEntry(PUT, 1.1, 0, "reader", 7, "odd", call_site="__fput", refcount=3),
            TraceEntry(GET, 1.2, 0, "reader", 7, "odd", call_site="misc_open", refcount=4),
        ]

    def __enter__(self) -> Traced:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def read(self, timeout: float) -> list[TraceEntry]:
        if not self.left:
            time.sleep(timeout)
        found, self.left = self.left, []
        return found


def test_watching_references(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "Trace", Traced)
    report = who(Context(roots), "odd", watch=0.05)
    shown = [(one.event, one.call_site, one.comm, one.pid, one.count) for one in report.watched or ()]
    assert shown == [("get", "misc_open", "reader", 7, 2), ("put", "__fput", "reader", 7, 1)]
    code, out, _ = kmod(roots, "who", "--watch=0.05", "odd")
    assert code == 1 and out.split()[-8:] == "get misc_open reader[7] 2 times put __fput reader[7] once".split()[-8:]
    assert ask(roots, "odd").watched is None
    assert check_document(kmod(roots, "who", "--watch=0.05", "--json", "odd")[1])["watched"][0]["count"] == 2


def test_references_that_cannot_be_watched(roots: Roots) -> None:
    code, out, err = kmod(roots, "who", "--watch=1", "odd")
    assert code == 2 and "odd: 3 references" in out and "tracefs" in err
    assert kmod(roots, "who", "--watch=soon", "odd")[0] == 2


# --- netlink


class Message(dict[str, Any]):
    """A message as pyroute2 has them: fields, and attributes in the list `attrs`."""

    def get_attr(self, name: str) -> Any:
        return next((value for key, value in self["attrs"] if key == name), None)


def message(attributes: dict[str, Any], **fields: Any) -> Message:
    return Message(attrs=list(attributes.items()), **fields)


@pytest.mark.parametrize(
    ("parent", "handle", "subject"),
    [
        (0xFFFFFFFF, 0x10000, "qdisc del dev eth0 root"),
        (0xFFFFFFFF, 0, "qdisc replace dev eth0 root pfifo_fast"),
        (0xFFFFFFF1, 0xFFFF0000, "qdisc del dev eth0 fq"),
        (0x00000001, 0, "qdisc replace dev eth0 root pfifo_fast"),
        (0x00010002, 0x20000, "qdisc del dev eth0 parent 1:2"),
    ],
)
def test_queues(parent: int, handle: int, subject: str) -> None:
    use = network._queue(message({"TCA_KIND": "fq"}, index=2, parent=parent, handle=handle), {2: "eth0"})
    assert (use.subject, use.aliases, use.references) == (subject, ("sch_fq", "net-sch-fq"), 1)


def test_names_are_quoted_in_commands() -> None:
    use = network._queue(message({"TCA_KIND": "fq"}, index=2, parent=0xFFFFFFFF, handle=0x10000), {2: "a;b"})
    assert use.subject == "qdisc del dev 'a;b' root"
    assert network._words("table", "inet", "$(x) y") == "table inet '$(x) y'"


class Tables:
    """The tables, chains and rules of nftables, as pyroute2 returns them."""

    def get_tables(self) -> list[Message]:
        return [message({"NFTA_TABLE_NAME": "t"}, nfgen_family=1)]

    def get_chains(self) -> list[Message]:
        names = {"NFTA_CHAIN_TABLE": "t", "NFTA_CHAIN_NAME": "c", "NFTA_CHAIN_TYPE": "nat"}
        return [message(names, nfgen_family=1), message({**names, "NFTA_CHAIN_TYPE": None}, nfgen_family=1)]

    def get_rules(self) -> list[Message]:
        limit = message({"NFTA_EXPR_NAME": "limit"})
        data = message({"NFTA_MATCH_NAME": b"comment\0"})
        match = message({"NFTA_EXPR_NAME": "match", "NFTA_EXPR_DATA": data})
        expressions = [limit, match]
        names = {"NFTA_RULE_TABLE": "t", "NFTA_RULE_CHAIN": "c", "NFTA_RULE_HANDLE": 4}
        return [message({**names, "NFTA_RULE_EXPRESSIONS": expressions}, nfgen_family=10)]


def test_rules_of_netfilter() -> None:
    found = [(use.aliases[-1], use.what, use.subject) for use in network._rules(Tables())]
    assert found == [
        ("nf_tables", "table inet t", "table inet t"),
        ("nft_chain_nat", "chain inet t c", "chain inet t c"),
        ("nft_limit", "limit in chain ip6 t c", "rule ip6 t c handle 4"),
        ("nft_match", "match in chain ip6 t c", "rule ip6 t c handle 4"),
        ("ipt_comment", "comment in chain ip6 t c", "rule ip6 t c handle 4"),
    ]


# --- on this machine


def test_a_descriptor_that_opened_nothing_is_no_user() -> None:
    with open("/dev/zero", "rb") as opened:
        marker = os.open("/dev/zero", os.O_PATH)
        try:
            held = Processes(Look(Roots())).devices["char", "1:5"].holdings
        finally:
            os.close(marker)
        assert [holding.fd for holding in held if holding.pid == os.getpid()] == [opened.fileno()]


def test_sockets_are_known_by_their_protocol() -> None:
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        names = [sockets.protocol_of(f"/proc/self/fd/{one.fileno()}") for one in (tcp, udp)]
        assert names == ["TCP", "UDP"]
        control = sockets._congestion_control(Holding(os.getpid(), tcp.fileno()))
    assert control == Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()


def test_kinds_of_links_by_netlink() -> None:
    need(importlib.util.find_spec("pyroute2"), "pyroute2")
    assert isinstance(network.link_kinds(Look(Roots())), dict)


# --- the command


def kmod(roots: Roots, *words: str) -> tuple[int, str, str]:
    done = run_inside("kmod", list(words), roots)
    return done.status, done.out.decode(), done.err.decode()


def test_text(roots: Roots) -> None:
    code, out, err = kmod(roots, "who", "fuse")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines == [
        "fuse: 2 references, none by modules",
        "holds device-node /dev/full sshfs[8] fd 3 char 1:7 by char-major-1-7",
        f"holds mount /mnt/f {roots.proc}/self/mountinfo:3",
        "would lose /mnt/f fuse.sshfs (host:)",
        "order: kill 8; umount /mnt/f; rmmod fuse",
    ]
    assert (code, err) == (1, "")
    assert "order: it cannot be unloaded" in kmod(roots, "who", "stuck")[1]
    assert "order, as far as it is known: rmmod odd" in kmod(roots, "who", "odd")[1]


def test_lines_about_references_that_were_watched() -> None:
    for watched, lines in (
        ((), ["  no reference was taken meanwhile"]),
        (
            (Watched("get", "tun_chr_open", "qemu", 7, 1), Watched("put", None, None, 8, 3)),
            ["  references taken and given back meanwhile:", "    get  tun_chr_open  qemu[7]  once",
             "    put  -             ?[8]     3 times"],
        ),
    ):  # fmt: skip
        page = Page(colour=False)
        _write_watched(page, watched)
        assert page.text().splitlines() == lines


def test_processes_in_a_line() -> None:
    shown = [Process(8, "sshfs", "root", 3), Process(9, None, None, None)]
    assert _processes(shown) == "sshfs[8] root fd 3, ?[9]"
    assert _processes(shown[:1] * (MOST_PROCESSES + 2)).endswith(" fd 3, and 2 more")


@pytest.mark.parametrize("words", [[], ["a", "b"]])
def test_one_module_at_a_time(roots: Roots, words: list[str]) -> None:
    code, out, err = kmod(roots, "who", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("name", [name.replace("-", "_") for name in MODULES])
def test_documents_match_their_schema(roots: Roots, name: str) -> None:
    code, out, _ = kmod(roots, "who", "--json", name)
    document = check_document(out)
    assert out == ask(roots, name).to_json()
    assert code == (1 if document["users"] or document["refcount"] else 2 if document["errors"] else 0)
    for user in document["users"]:
        assert list(user) == ["class", "what", "processes", "holds", "evidence"]
