# SPDX-License-Identifier: LGPL-2.1-or-later
"""What processes have open: device nodes, sockets and files; and in which namespaces they are.

psutil tells of a process who it is (`describe`), but not the number of a device that is open, so that is read here. A
machine with thousands of processes has to be answered at once: each descriptor costs one readlink, and a stat if it has
a path.
"""

from __future__ import annotations

import os
import stat

from ...formats.mountinfo import Mount, parse_mountinfo
from ...records import Record
from ..drivers import BLOCK, CHARACTER
from .pathindex import PathIndex
from .use import Holding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..look import Look

REMOTE_TYPES = ("nfs", "cifs", "smb3", "fuse", "ceph", "9p", "afs", "lustre", "gfs", "ocfs", "autofs", "coda")
"""Beginnings of types of file systems whose server may not answer: nothing of them is asked."""


class Space(Record):
    """The mounts that processes see which are in one mount namespace, below one root directory.

    `pid` is one of these processes, `own` tells whether they are those that the caller sees.
    """

    pid: int
    own: bool
    mounts: tuple[Mount, ...]


class Opened(Record):
    """Device nodes of one number that processes have open."""

    kind: str
    number: str
    path: str
    holdings: tuple[Holding, ...]


class Processes:
    """One look at all processes.

    `devices` are the nodes that they have open, by kind and number; `sockets` the descriptors of sockets, with what
    names the socket; `paths` those of files. `unseen` are the processes that do not let themselves be looked at; what
    else could not be read is known to `look`.
    """

    def __init__(self, look: Look) -> None:
        self.look = look
        self.proc: str = look.proc
        self.pids: list[int] = sorted(int(name) for name in look.names(look.proc) if name.isdecimal())
        self.unseen: set[int] = set()
        self.sockets: list[tuple[str, Holding]] = []
        self.paths: list[tuple[str, Holding]] = []
        self.network_spaces: dict[str, int] = {}
        """A process in each network namespace; that of the caller comes first."""
        self._space_of: dict[int, str] = {}
        self.spaces: dict[str, Space] = {}
        self._read_spaces()
        self.devices: dict[tuple[str, str], Opened] = {}
        self._read_descriptors()
        self._path_index: PathIndex | None = None  # made for the first mount that is asked about
        self._working: list[tuple[str, int]] = []
        self._working_index = PathIndex(())

    # --- namespaces

    def _read_spaces(self) -> None:
        own = os.getpid() if self.proc == "/proc" else (self.pids or [0])[0]
        for pid in [own, *self.pids]:
            net, mnt, root = [self._link(pid, name) for name in ("ns/net", "ns/mnt", "root")]
            if root is None or pid in self.unseen:  # it ended, or may not be looked at; a kernel may have no namespaces
                continue
            self.network_spaces.setdefault(str(net), pid)
            key = f"{mnt} {root}"
            self._space_of[pid] = key
            if key not in self.spaces:
                mounts = self.look.data(f"{self.proc}/{pid}/mountinfo")
                if mounts is not None:  # else it ended meanwhile
                    self.spaces[key] = Space(pid, not self.spaces, tuple(parse_mountinfo(mounts)))

    def in_space(self, pid: int, space: Space) -> bool:
        """Tell whether a process sees the mounts of `space`."""
        return self.spaces.get(self._space_of.get(pid, "")) is space

    # --- descriptors

    def _read_descriptors(self) -> None:
        """Read what all processes have open: devices, sockets and files."""
        devices: dict[tuple[str, str], tuple[str, list[Holding]]] = {}
        remote = self._remote_points()
        readlink, proc = os.readlink, self.proc
        for pid in self.pids:
            directory = f"{proc}/{pid}/fd/"
            try:
                names = os.listdir(directory)
            except OSError as error:
                self._note(error, pid, directory)
                continue
            for name in names:
                try:
                    target = readlink(directory + name)
                except OSError as error:
                    self._note(error, pid, directory + name)
                    continue
                if target[0] != "/":
                    if target[:8] == "socket:[":
                        self.sockets.append((target, Holding(pid, int(name))))
                    continue
                holding = Holding(pid, int(name))
                self.paths.append((target, holding))
                if target.startswith(remote):
                    continue
                try:
                    found = os.stat(directory + name)
                except OSError as error:
                    self._note(error, pid, directory + name)
                    continue
                is_node = stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)
                if is_node and _is_open(directory + name):
                    kind = BLOCK if stat.S_ISBLK(found.st_mode) else CHARACTER
                    number = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
                    devices.setdefault((kind, number), (target, []))[1].append(holding)
        self.devices = {key: Opened(*key, path, tuple(held)) for key, (path, held) in devices.items()}

    def _remote_points(self) -> tuple[str, ...]:
        mounts = [mount for space in self.spaces.values() for mount in space.mounts]
        return tuple({f"{mount.point}/" for mount in mounts if mount.type.startswith(REMOTE_TYPES)})

    def below(self, space: Space, point: str) -> list[Holding]:
        """Return what keeps a mount busy: processes that have files below it open, run from it or work in it."""
        if self._path_index is None:  # there may be as many mounts as files
            self._path_index = PathIndex(path for path, _ in self.paths)
            self._working = [(path, pid) for pid in self.pids for path in self._places(pid)]
            self._working_index = PathIndex(path for path, _ in self._working)
        opened = [self.paths[number][1] for number in self._path_index.at_or_below(point)]
        working_there = dict.fromkeys(self._working[number][1] for number in self._working_index.at_or_below(point))
        return [
            *(holding for holding in opened if self.in_space(holding.pid, space)),
            *(Holding(pid, None) for pid in working_there if self.in_space(pid, space)),
        ]

    def _places(self, pid: int) -> Iterable[str]:
        for name in ("cwd", "root", "exe"):
            target = self._link(pid, name)
            if target is not None:
                yield target

    def _link(self, pid: int, name: str) -> str | None:
        """Return what a link in the directory of a process leads to; None when there is none."""
        path = f"{self.proc}/{pid}/{name}"
        try:
            return os.readlink(path)
        except OSError as error:
            self._note(error, pid, path)
            return None

    def _note(self, error: OSError, pid: int, path: str) -> None:
        """Remember that something of a process could not be read."""
        if isinstance(error, PermissionError):
            self.unseen.add(pid)
        else:
            self.look.note(error, path)


def _is_open(link: str) -> bool:
    """Tell whether a descriptor opened what it names: one of O_PATH may neither read nor write, as its link shows."""
    try:
        return bool(os.lstat(link).st_mode & (stat.S_IRUSR | stat.S_IWUSR))
    except OSError:
        return False
