# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stage 1, scan: find the module files, decide which of several of one name counts, and put them in order.

Source: docs/behaviour/4-depmod.md, "Scanning" and "Order".
"""

from __future__ import annotations

import errno
import os
import stat

from ..diagnostics import ERROR, Diagnostic
from ..errors import FileError
from ..names import EXTENSIONS, encode
from ..records import Record
from .errors import ModuleOperandError
from .settings import BUILT_IN, EXTERNAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .settings import DepmodSettings

_EXTENSIONS = tuple(encode(extension) for extension in EXTENSIONS)

MAX_LINKS = 8
"""Links to directories followed within one path; no tree has more, and links to one another must come to an end."""

NamedPath = tuple[bytes, bytes]
"""Module name, path (relative to the module directory, or absolute when outside it)."""

Duplicate = tuple[bytes, bytes, bytes]
"""Module name, path that won, path that lost."""


class ScanResult(Record):
    """The modules that count, in order of their paths; what lost; what could not be read.

    `directories` has every directory that was read, but the module directory itself.
    """

    modules: list[NamedPath]
    duplicates: list[Duplicate]
    problems: list[Diagnostic]
    directories: list[bytes]


def is_module_file(name: bytes) -> bool:
    """Tell whether a file of that name is taken for a module."""
    return name.endswith(_EXTENSIONS) and name not in _EXTENSIONS


def module_name(path: bytes) -> bytes:
    """Return the module's name as `names.module_name` does, for bytes."""
    return path.rpartition(b"/")[2].partition(b".")[0].replace(b"-", b"_")


def ignore(_directories: int) -> None:
    """Do nothing for each directory that is read."""


def scan(directory: bytes, settings: DepmodSettings, entered: Callable[[int], None] = ignore) -> ScanResult:
    """Find all modules below `directory` and the external directories. Raises `FileError` when `directory` is missing.

    `entered` is told, for each directory, how many have been read.
    """
    problems: list[Diagnostic] = []
    directories: list[bytes] = []
    paths = sorted(_all_paths(directory, settings, problems, directories, entered))
    modules = list(zip(map(module_name, paths), paths, strict=True))
    duplicates: list[Duplicate] = []
    if len(dict(modules)) < len(modules):
        modules, duplicates = choose(modules, settings, directory)
    return ScanResult(modules, duplicates, problems, directories)


def choose(
    modules: list[NamedPath], settings: DepmodSettings, directory: bytes
) -> tuple[list[NamedPath], list[Duplicate]]:
    """Return the modules that count among those of one name, in order of their paths, and the others."""
    rivals: dict[bytes, list[bytes]] = {}
    for name, path in dict.fromkeys(modules):
        rivals.setdefault(name, []).append(path)
    duplicates = []
    chosen = {}
    for name, paths in rivals.items():
        winner, *losers = sorted(paths, key=lambda path: _preference(path, settings, directory))
        chosen[winner] = name
        duplicates += [(name, winner, loser) for loser in losers]
    return [(chosen[path], path) for path in sorted(chosen)], duplicates


def scan_files(directory: bytes, paths: Iterable[bytes]) -> ScanResult:
    """Take only the named files, in their order. Raises `ModuleOperandError`."""
    below = directory + b"/"
    found: dict[bytes, NamedPath] = {}
    for path in paths:
        try:
            os.stat(path)
        except OSError as error:
            raise ModuleOperandError.of(error, os.fsdecode(path)) from None
        name = module_name(path)
        if not name:
            raise ModuleOperandError(os.strerror(errno.ENOENT), path=os.fsdecode(path), errno=errno.ENOENT)
        if name in found:
            raise ModuleOperandError(
                os.strerror(errno.EEXIST), path=os.fsdecode(path), module=os.fsdecode(name), errno=errno.EEXIST
            )
        found[name] = (name, path.removeprefix(below))
    return ScanResult(list(found.values()), [], [], [])


def _all_paths(
    directory: bytes,
    settings: DepmodSettings,
    problems: list[Diagnostic],
    directories: list[bytes],
    entered: Callable[[int], None],
) -> list[bytes]:
    below = len(directory) + 1
    read: list[bytes] = []
    paths = [entry.path[below:] for entry in walk(directory, settings.excluded, problems, read, entered)]
    directories += [path[below:] for path in read[1:]]
    for outside in reversed(settings.external):  # as kmod does, which shows where several are missing
        try:
            found = walk(outside, settings.excluded, problems, directories, entered)
            paths += [entry.path.removeprefix(directory + b"/") for entry in found]
        except FileError as error:
            problems.append(_unreadable("unreadable-external-directory", error))
    return paths


def _unreadable(code: str, error: FileError) -> Diagnostic:
    return Diagnostic(code, ERROR, error.reason, file=error.path, errno=error.errno)


def is_any_newer(
    directory: bytes, settings: DepmodSettings, time: int, entered: Callable[[int], None] = ignore
) -> bool:
    """Tell whether a module file was changed after `time` (ns). Raises `FileError` when `directory` is missing."""
    for place in (directory, *settings.external):
        try:
            for entry in walk(place, settings.excluded, [], [], entered):
                try:
                    status = entry.stat()
                except OSError:
                    return True  # the file went away just now
                if status.st_mtime_ns > time:
                    return True
        except FileError:
            if place == directory:
                raise
    return False


def directory_fingerprint(directory: bytes, settings: DepmodSettings) -> bytes:
    """Return the directory's own subdirectories and module files, as something to compare. Raises OSError."""
    with os.scandir(directory) as entries:
        names = [
            entry.name
            for entry in entries
            if entry.name not in settings.excluded and (is_module_file(entry.name) or _is_directory(entry))
        ]
    names += [outside for outside in settings.external if os.path.isdir(outside)]
    return b"\0".join(sorted(names))


def _is_directory(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def walk(
    directory: bytes,
    excluded: frozenset[bytes],
    problems: list[Diagnostic],
    directories: list[bytes],
    entered: Callable[[int], None] = ignore,
) -> Iterator[os.DirEntry[bytes]]:
    """Yield every module file below `directory`, following symbolic links.

    `directories` gets every directory read, and every link that leads to none today. Nothing is asked about an entry
    of an excluded name: a link called `build` may lead to where one may not look, or to a server that does not answer.
    Raises `FileError` when `directory` cannot be read; whatever else is wrong is added to `problems`.
    """
    try:
        top = os.stat(directory)
    except OSError as error:
        raise FileError.of(error, os.fsdecode(directory)) from None
    pending: list[tuple[bytes, frozenset[tuple[int, int]]]] = [(directory, frozenset(((top.st_dev, top.st_ino),)))]
    while pending:
        here, above = pending.pop()
        try:
            entries = os.scandir(here)
        except OSError as error:
            failure = FileError.of(error, os.fsdecode(here))
            if here == directory:
                raise failure from None
            problems.append(_unreadable("unreadable-file", failure))
            continue
        directories.append(here)
        entered(len(directories))
        with entries:
            for entry in entries:
                if entry.name in excluded:
                    continue
                try:
                    is_module = is_module_file(entry.name)
                    if is_module and entry.is_file():
                        yield entry
                    elif entry.is_dir():
                        _descend(entry, above, pending)
                    elif entry.is_symlink() and not os.path.exists(entry.path):
                        problems.append(_dangling(entry))
                        directories.append(entry.path)
                    elif is_module:
                        problems.append(_no_file(entry))
                except OSError as error:
                    problems.append(_unreadable("unreadable-file", FileError.of(error, os.fsdecode(entry.path))))


def _dangling(entry: os.DirEntry[bytes]) -> Diagnostic:
    # A link that leads nowhere; the subject is where to. Raises OSError.
    target, text = os.fsdecode(os.readlink(entry.path)), os.strerror(errno.ENOENT)
    path = os.fsdecode(entry.path)
    return Diagnostic("dangling-link", ERROR, text, file=path, subject=target, errno=errno.ENOENT)


def _no_file(entry: os.DirEntry[bytes]) -> Diagnostic:
    # What has a module's name and is a pipe or the like; the subject is its type as in st_mode. Raises OSError.
    kind = stat.S_IFMT(entry.stat().st_mode)
    return Diagnostic("no-regular-file", ERROR, "no regular file", file=os.fsdecode(entry.path), subject=f"{kind:o}")


def _descend(
    entry: os.DirEntry[bytes],
    above: frozenset[tuple[int, int]],
    pending: list[tuple[bytes, frozenset[tuple[int, int]]]],
) -> None:
    # Visit a directory later, unless it is a symbolic link that leads round in a circle.
    if entry.is_symlink():
        status = entry.stat()
        identity = (status.st_dev, status.st_ino)
        if identity in above or len(above) > MAX_LINKS:
            return
        above = above | {identity}
    pending.append((entry.path, above))


def are_ranked(winner: bytes, loser: bytes, settings: DepmodSettings, directory: bytes) -> bool:
    """Tell whether the rules decide between two files of one module, and not just their paths."""
    return _preference(winner, settings, directory)[:3] != _preference(loser, settings, directory)[:3]


def _preference(path: bytes, settings: DepmodSettings, directory: bytes) -> tuple[int, int, int, bytes]:
    # Sort key of rival files of one module: the least wins.
    override = settings.overrides.get(_without_extension(path), 0)
    outside = _external_place(path, settings, directory)
    if EXTERNAL not in settings.search and outside is not None and path.startswith(b"/"):
        return -override, len(settings.search) + 1, -outside, path  # after all others; the place named last first
    return -override, _search_rank(path, settings, outside), outside or 0, path


def _external_place(path: bytes, settings: DepmodSettings, directory: bytes) -> int | None:
    # Which of the external directories a file is in; None for none.
    full = path if path.startswith(b"/") else directory + b"/" + path
    return next((place for place, outside in enumerate(settings.external) if full.startswith(outside + b"/")), None)


def _without_extension(path: bytes) -> bytes:
    directory, slash, name = path.rpartition(b"/")
    return directory + slash + name.partition(b".")[0]


def _search_rank(path: bytes, settings: DepmodSettings, outside: int | None) -> int:
    # The place of the first entry of the search list that fits; after all when none does.
    search = settings.search
    for rank, place in enumerate(search):
        if place == EXTERNAL and outside is not None:
            return rank
        if place not in (BUILT_IN, EXTERNAL) and path.startswith(place + b"/"):
            return rank
    return search.index(BUILT_IN) if BUILT_IN in search else len(search)


def sort_modules(
    modules: list[NamedPath], order: bytes | None, path: str, problems: list[Diagnostic]
) -> list[NamedPath]:
    """Return the modules with those that modules.order (its bytes are `order`) names first, in its order.

    A file that lacks its last newline is not used and added to `problems`: it may have been cut anywhere.
    """
    if not order:
        return modules
    *lines, rest = order.split(b"\n")
    if rest:
        text = "corrupted line misses '\\n'"
        problems.append(Diagnostic("bad-order-file", ERROR, text, file=path, line=len(lines) + 1))
        return modules
    left = {uncompressed(module[1]): module for module in modules}
    take = left.pop
    return [take(line) for line in dict.fromkeys(lines) if line in left] + list(left.values())


def uncompressed(path: bytes) -> bytes:
    """Return the path without what compression adds to it."""
    return path if path.endswith(b".ko") else path[: path.rindex(b".ko") + 3] if b".ko" in path else path
