"""Stage 1, scan: which module files there are, which of several of one name counts, and in what order (contract 4)."""

from __future__ import annotations

import os

from ..errors import Error, FileError
from ..records import Record
from .settings import BUILT_IN, EXTERNAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .settings import Settings

EXTENSIONS = (b".ko", b".ko.gz", b".ko.xz", b".ko.zst")

MAX_LINKS = 8
"""Links to directories followed within one path; no tree has more, and links to one another must come to an end."""

Found = tuple[bytes, bytes]
"""Module name, path (relative to the module directory, or absolute when outside it)."""


class UnusableFileError(Error):
    """An entry of a module directory that is no file (a pipe, a socket); `kind` is its type as in st_mode."""

    def __init__(self, path: str, kind: int) -> None:
        super().__init__("no regular file", path=path)
        self.kind = kind


class MissingDirectoryError(FileError):
    """An external directory that cannot be read."""


class UnusableOperandError(FileError):
    """A file named by the caller that is missing, or (with `module` set) is the second of its name."""


class Scan(Record):
    """The modules that count, in order of their names' paths; what lost; what could not be read."""

    modules: list[Found]
    duplicates: list[tuple[bytes, bytes, bytes]]
    """(module name, path that won, path that lost)."""
    problems: list[Error]
    directories: list[bytes]
    """Every directory that was read, but the module directory itself."""


def is_module_file(name: bytes) -> bool:
    """Whether a file of that name is taken for a module."""
    return name.endswith(EXTENSIONS) and name not in EXTENSIONS


def module_name(path: bytes) -> bytes:
    """As `names.module_name`, for bytes."""
    return path.rpartition(b"/")[2].partition(b".")[0].replace(b"-", b"_")


def nothing() -> None:
    """Do nothing for each directory that is entered."""


def scan(directory: bytes, settings: Settings, entered: Callable[[], None] = nothing) -> Scan:
    """All modules below `directory` and the external directories. Raises `FileError` when `directory` is missing.

    `entered` is called for each directory.
    """
    problems: list[Error] = []
    directories: list[bytes] = []
    paths = sorted(_all_paths(directory, settings, problems, directories, entered))
    modules = list(zip(map(module_name, paths), paths, strict=True))
    duplicates: list[tuple[bytes, bytes, bytes]] = []
    if len(dict(modules)) < len(modules):
        modules, duplicates = _choose(modules, settings, directory)
    return Scan(modules, duplicates, problems, directories)


def _choose(
    modules: list[Found], settings: Settings, directory: bytes
) -> tuple[list[Found], list[tuple[bytes, bytes, bytes]]]:
    """The modules that count among those of one name, and (name, winner, loser) of the others."""
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


def scan_files(directory: bytes, paths: Iterable[bytes]) -> Scan:
    """Only the named files, in their order. Raises `UnusableOperandError`."""
    below = directory + b"/"
    found: dict[bytes, Found] = {}
    for path in paths:
        try:
            os.stat(path)
        except OSError as error:
            raise UnusableOperandError.of(error, os.fsdecode(path)) from None
        name = module_name(path)
        if not name:
            raise UnusableOperandError(os.strerror(2), path=os.fsdecode(path), errno=2)
        if name in found:
            reason = os.strerror(17)  # EEXIST
            raise UnusableOperandError(reason, path=os.fsdecode(path), module=os.fsdecode(name), errno=17)
        found[name] = (name, path.removeprefix(below))
    return Scan(list(found.values()), [], [], [])


def _all_paths(
    directory: bytes,
    settings: Settings,
    problems: list[Error],
    directories: list[bytes],
    entered: Callable[[], None],
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
            problems.append(MissingDirectoryError(error.reason, path=error.path, errno=error.errno))
    return paths


def is_any_newer(directory: bytes, settings: Settings, time: int, entered: Callable[[], None] = nothing) -> bool:
    """Whether a module file was changed after `time` (ns). Raises `FileError` when `directory` is missing."""
    for place in (directory, *settings.external):
        try:
            for entry in walk(place, settings.excluded, [], [], entered):
                if entry.stat().st_mtime_ns > time:
                    return True
        except OSError:
            return True  # a file went away just now
        except FileError:
            if place == directory:
                raise
    return False


def entries_that_count(directory: bytes, settings: Settings) -> bytes:
    """The directory's own subdirectories and module files, as something to compare. Raises OSError."""
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
    problems: list[Error],
    directories: list[bytes],
    entered: Callable[[], None] = nothing,
) -> Iterator[os.DirEntry[bytes]]:
    """Every module file below `directory`, following symbolic links.

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
            problems.append(failure)
            continue
        directories.append(here)
        entered()
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
                    elif is_module:
                        kind = entry.stat().st_mode & 0o170000
                        problems.append(UnusableFileError(os.fsdecode(entry.path), kind))
                    elif entry.is_symlink():
                        directories.append(entry.path)
                except OSError as error:
                    problems.append(FileError.of(error, os.fsdecode(entry.path)))


def _descend(
    entry: os.DirEntry[bytes],
    above: frozenset[tuple[int, int]],
    pending: list[tuple[bytes, frozenset[tuple[int, int]]]],
) -> None:
    """Visit a directory later, unless it is a symbolic link that leads round in a circle."""
    if entry.is_symlink():
        status = entry.stat()
        identity = (status.st_dev, status.st_ino)
        if identity in above or len(above) > MAX_LINKS:
            return
        above = above | {identity}
    pending.append((entry.path, above))


def _preference(path: bytes, settings: Settings, directory: bytes) -> tuple[int, int, int, bytes]:
    """Sort key of rival files of one module: the least wins."""
    override = settings.overrides.get(_without_extension(path), 0)
    outside = _external_place(path, settings, directory)
    if EXTERNAL not in settings.search and outside is not None and path.startswith(b"/"):
        return -override, len(settings.search) + 1, -outside, path  # after all others; the place named last first
    return -override, _search_rank(path, settings, outside), outside or 0, path


def _external_place(path: bytes, settings: Settings, directory: bytes) -> int | None:
    """Which of the external directories a file is in; None for none."""
    full = path if path.startswith(b"/") else directory + b"/" + path
    return next((place for place, outside in enumerate(settings.external) if full.startswith(outside + b"/")), None)


def _without_extension(path: bytes) -> bytes:
    directory, slash, name = path.rpartition(b"/")
    return directory + slash + name.partition(b".")[0]


def _search_rank(path: bytes, settings: Settings, outside: int | None) -> int:
    """The place of the first entry of the search list that fits; after all when none does."""
    search = settings.search
    for rank, place in enumerate(search):
        if place == EXTERNAL and outside is not None:
            return rank
        if place not in (BUILT_IN, EXTERNAL) and path.startswith(place + b"/"):
            return rank
    return search.index(BUILT_IN) if BUILT_IN in search else len(search)


class OrderProblem(Error):
    """modules.order is damaged and not used."""


def sort_modules(modules: list[Found], order: bytes | None, path: str) -> list[Found]:
    """The modules with those that modules.order (its bytes are `order`) names first, in its order.

    Raises `OrderProblem` when the file lacks its last newline: it may have been cut anywhere.
    """
    if not order:
        return modules
    *lines, rest = order.split(b"\n")
    if rest:
        raise OrderProblem(f"{path}:{len(lines) + 1} corrupted line misses '\\n'")
    left = {uncompressed(module[1]): module for module in modules}
    take = left.pop
    return [take(line) for line in dict.fromkeys(lines) if line in left] + list(left.values())


def uncompressed(path: bytes) -> bytes:
    """The path without what compression adds to it."""
    return path if path.endswith(b".ko") else path[: path.rindex(b".ko") + 3] if b".ko" in path else path
