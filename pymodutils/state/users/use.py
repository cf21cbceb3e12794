# SPDX-License-Identifier: LGPL-2.1-or-later
"""One use of modules, as the kernel shows it: what all readers of this package return."""

from __future__ import annotations

from ...records import Record

DEVICE_NODE, MOUNT, SWAP, LOOP, DEVICE_MAPPER, MD = "device-node", "mount", "swap", "loop", "device-mapper", "md"
SOCKET, CONGESTION_CONTROL, INTERFACE, PACKET_HOOK = "socket", "congestion-control", "interface", "packet-hook"
CRYPTO, CONSOLE, LINE_DISCIPLINE, BINFMT = "crypto", "console", "line-discipline", "binfmt"
NETFILTER, TRAFFIC_CONTROL, DRIVER = "netfilter", "traffic-control", "driver"
HOLDER, PERMANENT = "holder", "permanent"
"""Words of `Use.family`, and of `class` in the answers of kmod who."""


class Process(Record):
    """A process that uses something: its number, name and user, and by which descriptor (None for none).

    `name` and `user` are None when they are not known.
    """

    pid: int
    name: str | None
    user: str | None
    fd: int | None


class Holding(Record):
    """A descriptor of a process, not yet described."""

    pid: int
    fd: int | None


class Use(Record):
    """One use of modules.

    `what` says what uses them. `modules` are named by the kernel; `aliases` stand for others, that a look-up tells.
    `references` is how many references of the module it takes: with 0 it keeps nobody from unloading the module, and
    would be lost. Uses with the same `shares` have these together. `holdings` are the descriptors behind it. `loses`
    says what would be gone without the module.

    `subject` is what a command to end the use takes; `inside` a process in whose namespaces that is, None for this one.
    `device` is the number of the block device that it uses, `provides` that of the one it makes, and `path` a file that
    it keeps open. Where `virtual` is false, no command ends it, and unloading does.
    """

    family: str
    what: str
    modules: tuple[str, ...]
    aliases: tuple[str, ...]
    evidence: str
    references: int = 0
    shares: str = ""
    holdings: tuple[Holding, ...] = ()
    loses: str = ""
    subject: str = ""
    inside: int | None = None
    device: str = ""
    provides: str = ""
    path: str = ""
    virtual: bool = True
