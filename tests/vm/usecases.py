# SPDX-License-Identifier: LGPL-2.1-or-later
"""Uses of modules, one of each class, made by tools that know nothing of kmod who."""

from __future__ import annotations

import dataclasses

IMAGE = "/tmp/image"
"""A small ext2 image in the guest."""


@dataclasses.dataclass(frozen=True)
class UseCase:
    """How a module comes to be used, and what has to be found.

    `load` are modules to load, `setup` shell commands, `hold` Python code of a process that keeps something until it is
    ended (`stay()` waits for that). `found` are (class, part of what, whether it holds); `loses` is a part of what
    would be lost. `unaccounted` are the references that nobody can account for. `goes` tells whether the commands that
    are printed free the module.
    """

    name: str
    module: str
    found: tuple[tuple[str, str, bool], ...]
    load: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    hold: str = ""
    loses: str = ""
    unaccounted: int = 0
    goes: bool = True


_LOOP = f"losetup /dev/loop0 {IMAGE}"
_SOCKET = "import socket; s = socket.socket({family}, {kind}, {protocol}); stay()"

CASES = [
    UseCase(
        "tap of tun", "tun", (("device-node", "/dev/net/tun", True), ("interface", "tap7", False)), load=("tun",),
        hold="import os, fcntl, struct; fd = os.open('/dev/net/tun', os.O_RDWR); "
             "fcntl.ioctl(fd, 0x400454CA, struct.pack('16sH22x', b'tap7', 0x1002)); stay()",
        loses="tap7",
    ),
    UseCase(
        "block node", "loop", (("device-node", "/dev/loop3", True),), load=("loop",),
        hold="import os; fd = os.open('/dev/loop3', os.O_RDONLY); stay()",
    ),
    UseCase(
        "loop with a mounted image", "loop", (("loop", "/dev/loop0", True), ("mount", "/tmp/m", True)),
        load=("loop", "ext4"), setup=(_LOOP, "mkdir /tmp/m", "mount /dev/loop0 /tmp/m"), loses=IMAGE,
    ),
    UseCase(
        "file system that a process works in", "ext4", (("mount", "/tmp/m", True),), load=("loop", "ext4"),
        setup=(_LOOP, "mkdir /tmp/m", "mount /dev/loop0 /tmp/m"), hold="import os; os.chdir('/tmp/m'); stay()",
        loses="/tmp/m",
    ),
    UseCase(
        "mount in another namespace", "ext4", (("mount", "/tmp/m", True),), load=("loop", "ext4"),
        setup=(_LOOP, "mkdir /tmp/m"),
        hold="unshare(0x00020000); _libc.mount(b'none', b'/', None, 0x44000, None)  # private\n"
             "mount('/dev/loop0', '/tmp/m', 'ext4'); os.chdir('/'); stay()",
        loses="/tmp/m",
    ),
    UseCase(
        "swap", "zram", (("swap", "/dev/zram0", True),), load=("zram",),
        setup=("echo 4M > /sys/block/zram0/disksize", "mkswap /dev/zram0", "swapon /dev/zram0"), loses="swap",
    ),
    UseCase(
        "mapping on a loop", "loop", (("loop", "/dev/loop0", True), ("device-mapper", "flat", True)),
        load=("loop", "dm_mod"), setup=(_LOOP, "dmsetup create flat --table '0 100 linear /dev/loop0 0'"),
        loses="flat",
    ),
    UseCase(
        "mapping", "dm_mod", (("device-mapper", "flat", True),), load=("loop", "dm_mod"),
        setup=(_LOOP, "dmsetup create flat --table '0 100 linear /dev/loop0 0'"), loses="flat",
    ),
    UseCase(
        "socket of CAN", "can_raw", (("socket", "CAN_RAW", True),), load=("can_raw",),
        hold=_SOCKET.format(family=29, kind=3, protocol=1),
    ),
    UseCase(
        "socket of LLC", "llc2", (("socket", "LLC", True),), load=("llc2",),
        hold=_SOCKET.format(family=26, kind=2, protocol=0),
    ),
    UseCase(
        "socket of TIPC", "tipc", (("socket", "TIPC", True),), load=("tipc",),
        hold=_SOCKET.format(family=30, kind=2, protocol=0),
    ),
    UseCase(
        "socket of the crypto interface", "af_alg", (("holder", "algif_hash", True), ("socket", "ALG", True)),
        load=("algif_hash", "crc32c_generic"),
        hold="import socket; s = socket.socket(38, 5, 0); s.bind(('hash', 'crc32c')); t = s.accept()[0]; stay()",
    ),
    UseCase(
        "type of algorithm", "algif_hash", (("socket", "ALG socket", True),), load=("algif_hash", "crc32c_generic"),
        hold="import socket; s = socket.socket(38, 5, 0); s.bind(('hash', 'crc32c')); stay()",
    ),
    UseCase(
        "algorithm", "crc32c_generic", (("crypto", "crc32c", True),), load=("algif_hash", "crc32c_generic"),
        hold="import socket; s = socket.socket(38, 5, 0); s.bind(('hash', 'crc32c')); t = s.accept()[0]; stay()",
        goes=False,
    ),
    UseCase(
        "congestion control", "tcp_bbr",
        (("congestion-control", "default", True), ("congestion-control", "TCP socket (bbr)", True)), load=("tcp_bbr",),
        setup=("sysctl -q -w net.ipv4.tcp_congestion_control=bbr",),
        hold="import socket; s = socket.socket(); s.setsockopt(6, 13, b'bbr'); stay()", loses="bbr",
    ),
    UseCase("dummy", "dummy", (("interface", "dummy7", False),), load=("dummy",),
            setup=("ip link add dummy7 type dummy", "ip link set dummy7 up"), loses="dummy7"),
    UseCase("veth", "veth", (("interface", "veth7", False), ("interface", "veth8", False)), load=("veth",),
            setup=("ip link add veth7 type veth peer name veth8",), loses="veth8"),
    UseCase("bridge", "bridge", (("interface", "br7", False),), load=("bridge",),
            setup=("ip link add br7 type bridge",), loses="br7"),
    UseCase("interface of another network", "dummy", (("interface", "dummy8", False),), load=("dummy",),
            hold="unshare(0x40000000); os.system('ip link add dummy8 type dummy'); stay()", loses="dummy8"),
    UseCase(
        "kinds of programs", "binfmt_misc", (("mount", "/tmp/b", True), ("binfmt", "mine", True)),
        load=("binfmt_misc",),
        setup=("mount -t binfmt_misc none /proc/sys/fs/binfmt_misc", "mkdir /tmp/b",
               "mount -t binfmt_misc none /tmp/b",
               "echo ':mine:E::mine::/bin/sh:' > /proc/sys/fs/binfmt_misc/register"), loses="mine",
    ),
    UseCase(
        "watchdog", "softdog", (("device-node", "/dev/watchdog", True),), load=("softdog soft_noboot=1",),
        hold="import os, signal; fd = os.open('/dev/watchdog', os.O_WRONLY)\n"
             "def end(*_): os.write(fd, b'V'); os.close(fd); os._exit(0)\nsignal.signal(15, end); stay()",
    ),
    UseCase(
        "fuse", "fuse", (("device-node", "/dev/fuse", True), ("mount", "/tmp/f", True)), load=("fuse",),
        setup=("mkdir /tmp/f",), loses="/tmp/f",
        hold="import os; fd = os.open('/dev/fuse', os.O_RDWR); "
             "mount('x', '/tmp/f', 'fuse', f'fd={fd},rootmode=40000,user_id=0,group_id=0'); stay()",
    ),
    UseCase(
        "rule of netfilter", "nft_limit", (("netfilter", "limit in chain inet t c", True),), load=("nft_limit",),
        setup=("nft add table inet t", "nft add chain inet t c", "nft add rule inet t c limit rate 5/second accept"),
        loses="limit",
    ),
    UseCase(
        "queue", "sch_netem", (("traffic-control", "netem on lo", True),), load=("sch_netem",),
        setup=("tc qdisc add dev lo root netem delay 1ms",), loses="netem",
    ),
    UseCase(
        "classifier and action", "act_gact", (("traffic-control", "gact on lo", True),),
        load=("cls_matchall", "act_gact", "sch_ingress"),
        setup=("tc qdisc add dev lo clsact", "tc filter add dev lo ingress matchall action drop"), loses="gact",
    ),
    UseCase("holder", "pmt_a", (("holder", "pmt_b", True),), load=("pmt_b",)),
    UseCase("permanent", "pmt_noexit", (("permanent", "pmt_noexit", True),), load=("pmt_noexit",), goes=False),
    UseCase("nobody", "pmt_a", (), load=("pmt_a",)),
    UseCase("its own reference", "pmt_held", (), load=("pmt_held pinned=1",), unaccounted=1, goes=False),
    UseCase(
        "packets", "llc", (("holder", "llc2", True), ("packet-hook", "packets of type", False)), load=("llc2",),
        loses="llc_rcv",
    ),
    UseCase("bound device", "pcspkr", (("driver", "pcspkr", False),), load=("pcspkr",), loses="pcspkr"),
    UseCase(
        "line discipline", "n_hdlc", (("line-discipline", "hdlc", True),), load=("n_hdlc",),
        setup=("mkdir -p /dev/pts", "mount -t devpts devpts /dev/pts"),
        hold="import os, fcntl, struct; a, b = os.openpty(); fcntl.ioctl(b, 0x5423, struct.pack('i', 13)); stay()",
    ),
    UseCase(
        "array", "raid1", (("md", "/dev/md_t", True),), load=("loop", "md_mod", "raid1"),
        setup=(_LOOP, "echo md_t > /sys/module/md_mod/parameters/new_array",
               "cd /sys/block/md_t/md; echo external:x > metadata_version; echo raid1 > level; echo 1 > raid_disks; "
               "echo 7:0 > new_dev; echo 0 > dev-loop0/slot; echo 100 > component_size; echo active > array_state"),
        loses="md_t",
    ),
]  # fmt: skip
