"""Which files of modprobe.d, depmod.d, modules-load.d or udev/rules.d count, and in which order.

Source: docs/behaviour/1-commands.md, "Files and places".
"""

from __future__ import annotations

import errno
import os
import stat

from ..diagnostics import ERROR, WARNING, Diagnostic
from ..records import Record
from .files import file_stamp, inside

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
    them.
    """
    by_name: dict[str, str] = {}
    shadowed: list[ShadowedFile] = []
    problems: list[Diagnostic] = []

    def add(name: str, path: str) -> None:
        first = by_name.setdefault(name, path)
        if first != path:
            shadowed.append(ShadowedFile(path, first))

    for path in extra:
        if os.path.isfile(path):
            add(os.path.basename(path), path)
    for place in places:
        real = inside(root, place)
        if not os.path.isdir(real):
            if os.path.exists(real):
                add(os.path.basename(place), place)
            continue
        try:
            names = os.listdir(real)
        except OSError as error:
            problems.append(_problem(UNREADABLE_DIRECTORY, place, error.errno))
            continue
        for name in names:
            if name.startswith(".") or not name.endswith(suffix):
                continue
            path = f"{place}/{name}"
            try:
                mode = os.stat(inside(root, path)).st_mode
            except OSError as error:
                problems.append(_problem(UNUSABLE_ENTRY, path, error.errno))
                continue
            if stat.S_ISDIR(mode):
                problems.append(_problem(UNUSABLE_ENTRY, path, errno.EISDIR))
            elif not stat.S_ISFIFO(mode):  # reading a pipe could wait for ever
                add(name, path)
    files = tuple([by_name[name] for name in sorted(by_name, key=os.fsencode)])
    return ConfigFiles(files, tuple(shadowed), tuple(problems))


def unread_files(places: Iterable[str], suffix: str = ".conf") -> list[str]:
    """Return the files in directories that `config_files` leaves out because of their names, by path."""
    found = []
    for place in places:
        try:
            with os.scandir(place) as entries:
                found += [entry.path for entry in entries if not entry.name.endswith(suffix) and entry.is_file()]
        except OSError:  # no directory, or one that cannot be listed, which `config_files` reports
            continue
    return sorted(found)


def really_shadowed(pairs: Iterable[ShadowedFile]) -> tuple[ShadowedFile, ...]:
    """Return the pairs that are two files, each shadowed file once: /lib may be a link to /usr/lib."""
    found: dict[object, ShadowedFile] = {}
    for pair in pairs:
        if _identity(pair.file) != _identity(pair.by):
            found.setdefault(_identity(pair.file), pair)
    return tuple(found.values())


def _identity(path: str) -> object:
    """Return what two paths of one file have in common; the path itself when there is no such file."""
    stamp = file_stamp(path)
    return stamp[:2] if stamp else path


def _problem(code: str, path: str, number: int | None) -> Diagnostic:
    severity = WARNING if number == errno.EISDIR else ERROR
    return Diagnostic(code, severity, os.strerror(number or errno.EIO), file=path, errno=number)
