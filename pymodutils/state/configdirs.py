# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which files of modprobe.d, depmod.d, modules-load.d or udev/rules.d count, and in which order.

Source: docs/behaviour/1-commands.md, "Files and places".
"""

from __future__ import annotations

import errno
import posix
from _stat import S_ISDIR, S_ISFIFO, S_ISREG

from ..diagnostics import ERROR, WARNING, Diagnostic
from ..osparts import basename, encode
from ..records import Record
from .files import inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

UNREADABLE_DIRECTORY, UNUSABLE_ENTRY = "unreadable-directory", "unusable-entry"
"""Codes of diagnostics: a configuration directory that cannot be listed; an entry of one that is a directory itself
(errno EISDIR), or that cannot be looked at."""


class ShadowedFile(Record):
    """A configuration file that is not read, because an earlier directory has a file of the same name, `by`."""

    file: str
    by: str


class ConfigFiles(Record):
    """The files to read, in order; the files that they shadow; what stood in the way of listing others."""

    files: tuple[str, ...]
    shadowed: tuple[ShadowedFile, ...]
    problems: tuple[Diagnostic, ...]


def config_files(
    places: Iterable[str], extra: Iterable[str] = (), *, suffix: str = ".conf", root: str = ""
) -> ConfigFiles:
    """List the configuration files under `places`: directories, of which names that end in `suffix` count, or files.

    Links are followed as in the system below `root`.

    A file shadows those of the same name in later directories. The remaining files are ordered by the bytes of their
    names. `extra` files (modules.softdep, modules.weakdep) are ordered among them by their own names; nothing shadows
    them. Pipes are left out, since reading one could wait for ever: those in directories, and those in the place of
    one, as NAME.d. Another one, /dev/fd/63 for instance, is what somebody chose and writes to.
    """
    found = _Found(suffix, root)
    for path in extra:
        status = _stat(path)
        if status and S_ISREG(status.st_mode):
            found.add(basename(path), path, status)
    for place in places:
        real = inside(root, place)
        status = _stat(real)
        if status is None:
            continue
        if S_ISDIR(status.st_mode):
            found.add_directory(place, real)
        elif not (S_ISFIFO(status.st_mode) and place.endswith(".d")):
            found.add(basename(place), place, status)
    names = sorted(found.by_name, key=encode)
    files = tuple([found.by_name[name][0] for name in names])
    return ConfigFiles(files, tuple(found.shadowed.values()), tuple(found.problems))


class _Found:
    """The files found so far. The first of each name is the one to read."""

    def __init__(self, suffix: str, root: str) -> None:
        self.suffix = suffix
        self.root = root
        self.by_name: dict[str, tuple[str, tuple[int, int]]] = {}
        self.shadowed: dict[tuple[str, tuple[int, int]], ShadowedFile] = {}
        self.problems: list[Diagnostic] = []

    def add(self, name: str, path: str, status: posix.stat_result) -> None:
        itself = (status.st_dev, status.st_ino)
        first, that = self.by_name.setdefault(name, (path, itself))
        if itself != that:  # /lib may be a link to /usr/lib: a file does not shadow itself
            self.shadowed.setdefault((name, itself), ShadowedFile(path, first))

    def add_directory(self, place: str, real: str) -> None:
        """Add the files in a directory, which is at `real` for this process."""
        try:
            names = posix.listdir(real)
        except OSError as error:
            self.problems.append(_problem(UNREADABLE_DIRECTORY, place, error.errno))
            return
        for name in names:
            if not name.startswith(".") and name.endswith(self.suffix):
                self._add_entry(name, f"{place}/{name}")

    def _add_entry(self, name: str, path: str) -> None:
        try:
            status = posix.stat(inside(self.root, path))
        except OSError as error:
            self.problems.append(_problem(UNUSABLE_ENTRY, path, error.errno))
            return
        if S_ISDIR(status.st_mode):
            self.problems.append(_problem(UNUSABLE_ENTRY, path, errno.EISDIR))
        elif not S_ISFIFO(status.st_mode):
            self.add(name, path, status)


def _stat(path: str) -> posix.stat_result | None:
    """Return what stat(2) says; None for a path that leads nowhere."""
    try:
        return posix.stat(path)
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return None


def unread_files(places: Iterable[str], suffix: str = ".conf") -> list[str]:
    """Return the files in directories that `config_files` leaves out because of their names, by path."""
    found = []
    for place in places:
        try:
            with posix.scandir(place) as entries:
                found += [entry.path for entry in entries if not entry.name.endswith(suffix) and entry.is_file()]
        except OSError:  # no directory, or one that cannot be listed, which `config_files` reports
            continue
    return sorted(found)


def _problem(code: str, path: str, number: int | None) -> Diagnostic:
    severity = WARNING if number == errno.EISDIR else ERROR
    return Diagnostic(code, severity, posix.strerror(number or errno.EIO), file=path, errno=number)
