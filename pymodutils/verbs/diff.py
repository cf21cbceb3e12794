# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod diff: what differs between two modules, or between the modules of two trees."""

from __future__ import annotations

import os

from ..depmod.kernel_symbols import parse_symvers
from ..depmod.scan import scan, uncompressed
from ..depmod.settings import DEFAULT
from ..diagnosis.moduledifference import (
    ADDED,
    CHANGED,
    MODULE,
    PATH,
    REMOVED,
    Change,
    Compared,
    changes_between,
    compared_kernel,
    compared_module,
)
from ..errors import Error, FileError
from ..formats.compression import MOST_MODULE_BYTES
from ..formats.source import OwnedFileSource
from ..names import decode, encode, module_name
from ..observer import counted
from ..planning.lookup import require_regular
from ..records import Record
from ..state.files import file_stamp, open_file, read_or_none
from ..state.modulefile import ModuleFile
from .report import Report, as_diagnostic, head, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..context import Context
    from ..diagnostics import Diagnostic
    from ..observer import Observer

BUILTIN = "builtin"
"""In place of the path of a module that is part of the kernel."""

_SYMVERS = ("build/Module.symvers", "Module.symvers", "symvers")
_PIECE = 1 << 20


class DiffReport(Report):
    """What differs between `before` and `after`, which are the paths compared."""

    before: str
    after: str
    changes: tuple[Change, ...]


def diff(
    context: Context,
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    *,
    needed_by: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
    observer: Observer | None = None,
) -> DiffReport:
    """Return what differs between two module files, or between the modules of two trees.

    A tree is a module directory; a text without a slash is also the release of a kernel whose modules lie next
    to those of `context`. Of trees the kernel's own exports are compared, too, if both have a Module.symvers. With
    `needed_by`, module files, only the exports count that these need. `observer` hears of progress. Raises `FileError`
    and `FormatError`.
    """
    before, after = _place(context, a), _place(context, b)
    errors: list[Diagnostic] = []
    if os.path.isdir(before) != os.path.isdir(after):
        raise Error("a module can be compared with a module, and a tree with a tree", path=after)
    if os.path.isdir(before):
        changes = list(_Trees(before, after, errors).changes(observer))
    else:
        changes = list(_of_files(before, after))
    wanted = _needs(several(needed_by))
    if wanted is not None:
        changes = [change for change in changes if change.field == "export" and change.name in wanted]
    return DiffReport(**head("diff", context, errors), before=before, after=after, changes=tuple(changes))


def _place(context: Context, text: str | os.PathLike[str]) -> str:
    path = os.fspath(text)
    if "/" not in path and not os.path.exists(path):
        neighbour = f"{os.path.dirname(context.tree.directory)}/{path}"
        if os.path.isdir(neighbour):
            return neighbour
    try:
        os.stat(path)
    except OSError as error:
        raise FileError.of(error, path) from None
    return os.path.abspath(path)


def _needs(paths: Iterable[str | os.PathLike[str]]) -> set[str | None] | None:
    """Return the symbols that module files need; None if there is no file."""
    files = list(paths)
    if not files:
        return None
    found: set[str | None] = set()
    for path in files:
        found.update(name for field, name in _facts(os.fspath(path)).values if field == "need")
    return found


def _facts(path: str) -> Compared:
    require_regular(path)
    with ModuleFile(path) as module:
        return compared_module(module)


def _of_files(before: str, after: str) -> Iterator[Change]:
    first, second = _facts(before), _facts(after)
    if first.name != second.name:
        yield Change(first.name, CHANGED, "name", None, first.name, second.name)
    yield from changes_between(first, second)


class _Tree(Record):
    """The modules of a directory by name, with their relative paths, and the names of its builtin ones.

    `unread` has what could not be read: there may be more modules.
    """

    directory: str
    paths: dict[str, str]
    builtin: set[str]
    unread: list[Diagnostic]

    @classmethod
    def of(cls, directory: str) -> _Tree:
        found = scan(encode(directory), DEFAULT)
        unread = [problem for problem in found.problems if problem.code.startswith("unreadable")]
        paths = {decode(name): decode(path) for name, path in found.modules}
        lines = decode(read_or_none(f"{directory}/modules.builtin") or b"").split("\n")
        builtin = {module_name(line) for line in lines if line}
        return cls(directory, paths, builtin, unread)

    def where(self, name: str) -> str | None:
        """Return the path of a module, `builtin`, or None if it is not there."""
        path = self.paths.get(name)
        if path is None:
            return BUILTIN if name in self.builtin else None
        return decode(uncompressed(encode(path)))

    def full(self, name: str) -> str:
        path = self.paths[name]
        return path if path.startswith("/") else f"{self.directory}/{path}"

    def kernel(self) -> Compared | None:
        """Return what is compared of the kernel itself; None without a Module.symvers."""
        for name in _SYMVERS:
            path = f"{self.directory}/{name}"
            data = read_or_none(path)
            if data:
                return compared_kernel(parse_symvers(data, path, []))
        return None


class _Trees:
    """Two trees."""

    def __init__(self, before: str, after: str, errors: list[Diagnostic]) -> None:
        self.before, self.after = _Tree.of(before), _Tree.of(after)
        self.errors = errors
        errors += dict.fromkeys([*self.before.unread, *self.after.unread])

    def changes(self, observer: Observer | None) -> Iterator[Change]:
        kernels = self.before.kernel(), self.after.kernel()
        if kernels[0] and kernels[1]:
            yield from changes_between(kernels[0], kernels[1])
        names = sorted({*self.before.paths, *self.after.paths})
        for name in counted(names, "modules", observer):
            yield from self._of_module(name)

    def _of_module(self, name: str) -> Iterator[Change]:
        first, second = self.before.where(name), self.after.where(name)
        if first is None or second is None or BUILTIN in (first, second):
            if (first is None and self.before.unread) or (second is None and self.after.unread):
                return  # it may be where nothing could be read
            kind = ADDED if first is None else REMOVED if second is None else CHANGED
            yield Change(name, kind, MODULE, None, first, second)
            return
        if first != second:
            yield Change(name, CHANGED, PATH, None, first, second)
        paths = self.before.full(name), self.after.full(name)
        try:
            if not _are_same(*paths):
                yield from changes_between(_facts(paths[0]), _facts(paths[1]))
        except Error as error:
            self.errors.append(as_diagnostic(error, name))


def _are_same(first: str, second: str) -> bool:
    """Tell whether two files have the same bytes. Raises `FileError`."""
    one, other = [OwnedFileSource(open_file(path), path) for path in (first, second)]
    if file_stamp(first) == file_stamp(second):
        return True
    if one.size != other.size or one.size > MOST_MODULE_BYTES:
        return False
    return all(one.read(at, _PIECE) == other.read(at, _PIECE) for at in range(0, one.size, _PIECE))
