# SPDX-License-Identifier: LGPL-2.1-or-later
"""Device nodes: which modules the one of a number belongs to, whether or not it has a driver."""

from __future__ import annotations

import os

from ...names import decode, normalize_name
from ...records import Record
from ..drivers import BLOCK, CHARACTER, block_aliases, device_directory, driver_modules
from .use import DEVICE_NODE, Use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..look import Look
    from .processes import Processes

PTY_MAJORS = range(136, 144)
"""Major numbers of pseudo-terminals, of which there may be many, and which no module makes."""
_MISC_MAJOR = "10"
WATCHDOG = "watchdog"
"""Beginning of the alias `watchdog:IDENTITY`, which stands for the watchdog driver that calls itself so."""
_DEVICE_NAMES = {
    "device-mapper": "dm_mod", "virtblk": "virtio_blk", "sd": "sd_mod", "sr": "sr_mod", "st": "st", "md": "md_mod",
    "mdp": "md_mod", "ramdisk": "brd", "ppp": "ppp_generic", "hidraw": "hid", "media": "mc", "v4l": "videodev",
    "video4linux": "videodev", "rpmb": "mmc_block", "mmc": "mmc_block", "cdc-wdm": "cdc_wdm", "lirc": "rc_core",
}  # fmt: skip
"""Names in /proc/devices and /proc/misc that are not those of their modules."""
_INPUT_NAMES = {"event": "evdev", "mouse": "mousedev", "mice": "mousedev", "js": "joydev"}
"""Beginnings of names of input devices, and the module that offers them."""
_REFERENCES = {"tun": 2, "nbd": 2, WATCHDOG: 2}
"""References that an open descriptor takes where it is not one: docs/behaviour/7-kernel-facts.md, fact 7."""
_BY_NAME = {"kvm": ("kvm_intel", "kvm_amd")}
"""Names in /proc/misc of what another module has opened than the one that an alias loads."""
_NOT_OF_A_DRIVER = {"input", "scsi_generic", "hidraw"}
"""Parts of paths of devices that another module offers than the driver of the hardware."""


class Node(Record):
    """A device node by its number: what it is called, and which modules stand behind it.

    `modules` are named by links of /sys, of which each open descriptor takes a reference; `aliases` stand for others.
    `source` is where that was seen, `listed` its name in /proc/misc or /proc/devices.
    """

    name: str
    modules: tuple[str, ...]
    aliases: tuple[str, ...]
    source: str
    listed: str | None


class Nodes:
    """Tells of device nodes by their numbers, each looked up once."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._known: dict[tuple[str, str], Node] = {}
        self._names: dict[tuple[str, str], str] | None = None

    def node(self, kind: str, number: str) -> Node:
        """Return what is known of the device node of a kind (`char` or `block`) and a number MAJOR:MINOR."""
        key = (kind, number)
        if key not in self._known:
            self._known[key] = self._look_up(kind, number)
        return self._known[key]

    def _look_up(self, kind: str, number: str) -> Node:
        alias = f"{kind}-major-{number.replace(':', '-')}"
        directory, listed = device_directory(self._look, kind, number), self._listed_name(kind, number)
        if listed == WATCHDOG and kind == CHARACTER:  # the old name of the first one
            directory = os.path.realpath(f"{self._look.sys}/class/watchdog/watchdog0")
        if listed in _BY_NAME:
            return Node(listed, (), _BY_NAME[listed], f"{self._look.proc}/misc", listed)
        name = os.path.basename(directory) if directory else f"{kind} {number}"
        modules = _modules(self._look, directory) if directory else ()
        aliases = [alias]
        if listed:
            aliases += [_DEVICE_NAMES.get(listed, normalize_name(listed)), f"devname:{listed}"]
        if directory and kind == BLOCK:
            whole = os.path.dirname(directory) if self._look.has(f"{directory}/partition") else directory
            aliases += block_aliases(self._look, whole)
        elif directory:
            path = decode(_of_uevent(self._look, directory, "DEVNAME"))
            aliases += [f"devname:{path}"] if path else []
            aliases += [module for start, module in _INPUT_NAMES.items() if _is_input(directory, name, start)]
            identity = self._look.text(f"{directory}/identity") if f"/{WATCHDOG}/" in directory else None
            aliases += [f"{WATCHDOG}:{identity}"] if identity and not modules else []
        source = f"{self._look.sys}/dev/{kind}/{number}" if modules else alias
        return Node(name, modules, tuple(dict.fromkeys(aliases)), source, listed)

    def _listed_name(self, kind: str, number: str) -> str | None:
        """Return the name in /proc/misc or /proc/devices."""
        if self._names is None:
            self._names = dict(_listed(self._look))
        major, _, minor = number.partition(":")
        if kind == CHARACTER and major == _MISC_MAJOR:
            return self._names.get(("misc", minor))
        return self._names.get((kind, major))


def _modules(look: Look, directory: str) -> tuple[str, ...]:
    """Return the modules of which an open descriptor takes a reference: the nearest driver's.

    To open a SCSI device takes one of the driver of its host as well. To open an input device takes none of its driver.
    """
    parts = directory.split("/")
    nearest = None if _NOT_OF_A_DRIVER & set(parts) else _nearest(look, directory)
    modules = driver_modules(look, nearest)[:1] if nearest else ()
    hosts = [number for number, part in enumerate(parts) if part.startswith("host") and part[4:].isdecimal()]
    if hosts:
        modules += driver_modules(look, "/".join(parts[: hosts[0]]))[:1]
    return tuple(dict.fromkeys(modules))


def _is_input(directory: str, name: str, start: str) -> bool:
    return "/input/" in directory and name.rstrip("0123456789") == start


def _nearest(look: Look, directory: str) -> str | None:
    """Return the nearest directory at or above one that has a driver; None when the driver is part of the kernel."""
    top = os.path.realpath(look.sys)
    while directory.startswith(f"{top}/"):
        for place in (directory, f"{directory}/device"):
            if look.has(f"{place}/driver"):
                return place if look.has(f"{place}/driver/module") else None
        directory = os.path.dirname(directory)
    return None


def _of_uevent(look: Look, directory: str, key: str) -> bytes:
    """Return a value of a device's uevent file; nothing where there is none."""
    lines = (look.data(f"{directory}/uevent") or b"").splitlines()
    start = key.encode() + b"="
    return next((line.removeprefix(start) for line in lines if line.startswith(start)), b"")


def _listed(look: Look) -> Iterable[tuple[tuple[str, str], str]]:
    kind = CHARACTER
    for line in (look.text(f"{look.proc}/devices") or "").splitlines():
        words = line.split(None, 1)
        if line.startswith("Block"):
            kind = BLOCK
        elif len(words) == 2 and words[0].isdecimal():
            yield (kind, words[0]), words[1]
    for line in (look.text(f"{look.proc}/misc") or "").splitlines():
        words = line.split(None, 1)
        if len(words) == 2:
            yield ("misc", words[0]), words[1]


def node_uses(processes: Processes, nodes: Nodes) -> Iterable[Use]:
    """Return a use for each number of device nodes that processes have open."""
    for opened in processes.devices.values():
        if opened.kind == CHARACTER and int(opened.number.partition(":")[0]) in PTY_MAJORS:
            continue
        node = nodes.node(opened.kind, opened.number)
        yield Use(
            DEVICE_NODE,
            opened.path,
            node.modules,
            node.aliases,
            f"{opened.kind} {opened.number} by {node.source}",
            references=len(opened.holdings) * _REFERENCES.get(node.listed or "", 1),
            holdings=opened.holdings,
            device=opened.number if opened.kind == BLOCK else "",
        )
