# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a process stands on: its file systems, the interface of its ssh session, its terminal."""

from __future__ import annotations

import errno
import os

from ..formats.mountinfo import Mount, mount_of, parse_mountinfo
from ..formats.routes import interface_for
from ..names import decode
from ..records import Record
from .drivers import CHARACTER, block_stack, device_directory, driver_modules
from .interfaces import read_interface

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .look import Look

FILE_SYSTEM, CONNECTION, TERMINAL = "file-system", "connection", "terminal"
"""Words of `Support.kind`."""

_MOST_ANCESTORS = 64
_VIRTUAL_TERMINALS = 4  # major number of /dev/tty1 and the serial ports
_FIRST_SERIAL_PORT = 64


class Support(Record):
    """One thing that a process stands on, and the modules that carry it.

    `modules` are named by the kernel; `aliases` stand for more. `evidence` is where it was seen.
    """

    kind: str
    what: str
    modules: tuple[str, ...]
    aliases: tuple[str, ...]
    evidence: str


def read_supports(look: Look, pid: int | None = None) -> list[Support]:
    """Return what a process (by default this one) stands on; `look` knows what could not be read of that.

    That are the file systems with the root, the programs and the modules, with all block devices below them or the
    interface that leads to their server; the interfaces of the ssh session that it, or a process above it, belongs to;
    its terminal.
    """
    own = f"{look.proc}/{pid or os.getpid()}"
    reader = _Reader(look, own)
    return [*reader.file_systems(), *reader.connection(), *reader.terminal()]


class _Reader:
    """Reads what one process stands on."""

    def __init__(self, look: Look, own: str) -> None:
        self.look = look
        self.own = own
        self.mounts: list[Mount] = parse_mountinfo(self.bytes(f"{own}/mountinfo"))

    def bytes(self, path: str) -> bytes:
        """Return a file of /proc or /sys; nothing where there is none."""
        return self.look.data(path) or b""

    def stat_number(self, place: str, index: int) -> int:
        """Return a number of /proc/PID/stat, counted from behind the name, which may have blanks; 0 for none."""
        data = self.bytes(f"{place}/stat")
        words = data.rpartition(b")")[2].split()
        if index < len(words) and words[index].isdigit():
            return int(words[index])
        if data:  # which no kernel writes
            self.look.note(OSError(errno.EBADMSG, os.strerror(errno.EBADMSG)), f"{place}/stat")
        return 0

    # --- file systems

    def file_systems(self) -> Iterable[Support]:
        seen: dict[int, Mount] = {}
        waiting = ["/", "/usr", self.look.roots.modules]
        while waiting:
            mount = mount_of(self.mounts, waiting.pop(0))
            if mount is None or mount.id in seen:
                continue
            seen[mount.id] = mount
            yield self._file_system(mount)
            server = mount.option("addr")
            if server:
                yield from self._interfaces(server, f"the server of {mount.point}")
            for option in ("lowerdir", "upperdir"):
                waiting += [path for path in (mount.option(option) or "").split(":") if path.startswith("/")]
            waiting += self._backing_files(mount)

    def _file_system(self, mount: Mount) -> Support:
        stack = block_stack(self.look, self._number(mount))
        modules = [module for device in stack for module in device.modules]
        kind = mount.type.partition(".")[0]
        aliases = [f"fs-{kind}", kind, *(alias for device in stack for alias in device.aliases)]
        what = f"file system of {mount.point} ({mount.source})"
        return Support(FILE_SYSTEM, what, _unique(modules), _unique(aliases), f"{self.own}/mountinfo:{mount.line}")

    def _number(self, mount: Mount) -> str:
        """Return the number of the device that is mounted; file systems of several devices show one of their own."""
        if mount.device.startswith("0:") and mount.source.startswith("/dev/"):
            return self.look.node_number(mount.source) or mount.device
        return mount.device

    def _backing_files(self, mount: Mount) -> list[str]:
        """Return the files that the loop devices below a mount are made of."""
        found = []
        for device in block_stack(self.look, self._number(mount)):
            path = self.bytes(f"{self.look.sys}/block/{device.name}/loop/backing_file")
            found += [decode(path).rstrip("\n")] if path else []
        return found

    # --- the connection

    def connection(self) -> Iterable[Support]:
        words = self._variable("SSH_CONNECTION").split()
        if words and words[0] != (words[2:3] or [""])[0]:
            yield from self._interfaces(words[0], f"the ssh session from {words[0]}")

    def _variable(self, name: str) -> str:
        """Return an environment variable of the process, or of the nearest one above it that has it (sudo drops it)."""
        place = self.own
        for _ in range(_MOST_ANCESTORS):
            for entry in self.bytes(f"{place}/environ").split(b"\0"):
                if entry.startswith(name.encode() + b"="):
                    return decode(entry.partition(b"=")[2])
            parent = self.stat_number(place, 1)
            if parent <= 1:  # no session of ssh holds the first process
                break
            place = f"{self.look.proc}/{parent}"
        return ""

    def _interfaces(self, address: str, whose: str) -> Iterable[Support]:
        net = f"{self.own}/net"
        first = interface_for(address, self.bytes(f"{net}/route"), self.bytes(f"{net}/ipv6_route"))
        waiting, seen = [first] if first else [], set()
        while waiting:
            name = waiting.pop(0)
            if name in seen:
                continue
            seen.add(name)
            interface = read_interface(self.look, name)
            waiting += interface.lower
            evidence = f"{self.look.sys}/class/net/{name}"
            yield Support(CONNECTION, f"interface {name} of {whose}", interface.modules, interface.aliases, evidence)

    # --- the terminal

    def terminal(self) -> Iterable[Support]:
        number = self.stat_number(self.own, 4)
        major, minor = number >> 8 & 0xFFF, number & 0xFF | number >> 12 & 0xFFF00
        if not number:
            return
        directories = [device_directory(self.look, CHARACTER, f"{major}:{minor}")]
        if major == _VIRTUAL_TERMINALS and minor < _FIRST_SERIAL_PORT:
            graphics = f"{self.look.sys}/class/graphics"
            directories += [f"{graphics}/{name}" for name in self.look.names(graphics) if name.startswith("fb")]
        modules = [module for place in directories if place for module in driver_modules(self.look, place)]
        name = os.path.basename(directories[0] or f"char {major}:{minor}")
        aliases = [f"char-major-{major}-{minor}"]
        yield Support(TERMINAL, f"terminal {name}", _unique(modules), _unique(aliases), f"{self.own}/stat")


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
