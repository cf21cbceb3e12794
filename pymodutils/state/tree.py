"""One kernel's modules on disk, as its indexes tell (contract 2, "Index files")."""

from __future__ import annotations

import os

from ..errors import FileError, IndexFormatError
from ..formats.index import Index
from ..formats.source import OwnedFileSource
from ..formats.textindex import builtin_fields, parse_dep_line
from ..names import module_name, normalize_alias
from ..records import Record
from ..roots import Roots
from .files import open_file, read_or_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..errors import Error
    from ..formats.index import Value
    from ..formats.modinfo import Field


class TreeModule(Record):
    """A module that modules.dep lists: its file and its hard dependencies' files; the last must be loaded first."""

    name: str
    path: str
    dependencies: list[str]

    @property
    def dependency_names(self) -> list[str]:
        """The names of the dependencies, in the same order."""
        return [module_name(path) for path in self.dependencies]


def _normal_name(name: str) -> str:
    """A name as the indexes have it; one with brackets is none, and stays so."""
    return name if "[" in name else name.replace("-", "_")


class ModuleTree:
    """The module directory of one kernel. Indexes are opened when first asked; a missing one answers "nothing".

    Dashes in what is looked up count as underscores. All look-ups raise `IndexFormatError` for a damaged index and
    `FileError` for an unreadable one; those of aliases raise `NameSyntaxError` for an unmatched bracket. With
    `go_without` such an index is a missing one from then on, after `go_without` was told why.
    """

    def __init__(self, roots: Roots | None = None, go_without: Callable[[Error], None] | None = None) -> None:
        self.directory = (roots or Roots()).modules
        self._indexes: dict[str, Index | None] = {}
        self._go_without = go_without
        self.given_up: set[str] = set()
        """Names of the indexes that cannot be used."""

    def modules(self) -> list[TreeModule]:
        """All modules that are files, in their order: of two for one device the earlier is preferred."""
        entries = sorted(self.entries("dep"), key=lambda entry: entry[1].priority)
        return [module for name, value in entries if (module := self._module(name, value))]

    def entries(self, index_name: str) -> Iterator[tuple[str, Value]]:
        """Every key of an index with each of its values, in byte order of the keys."""
        try:
            index = self.index(index_name)
            if index:
                yield from index.dump()
        except (IndexFormatError, FileError) as error:
            self._give_up(index_name, error)

    def _give_up(self, index_name: str, error: Error) -> None:
        """Do without an index, or raise the error."""
        if self._go_without is None:
            raise error
        self._indexes[index_name] = None
        self.given_up.add(index_name)
        self._go_without(error)

    def index(self, name: str) -> Index | None:
        """The index `modules.NAME.bin`, None when it does not exist or is empty. Raises even with `go_without`."""
        if name not in self._indexes:
            self._indexes[name] = self._open(f"{self.directory}/modules.{name}.bin")
        return self._indexes[name]

    def _open(self, path: str) -> Index | None:
        try:
            # O_NONBLOCK: a pipe put there must not stop a boot.
            source = OwnedFileSource(open_file(path, os.O_NONBLOCK), path)
            # Empty as kmod 30's depmod leaves it when the list of builtin modules is missing.
            return Index(source, path) if source.size else None
        except FileError as error:
            if error.errno in (2, 20):  # ENOENT, ENOTDIR
                return None
            raise

    def _lookup(self, index_name: str, key: str) -> list[Value]:
        try:
            index = self.index(index_name)
            return index.lookup(key) if index else []
        except (IndexFormatError, FileError) as error:
            self._give_up(index_name, error)
            return []

    def _match(self, index_name: str, text: str) -> list[str]:
        text = normalize_alias(text)
        try:
            index = self.index(index_name)
            return [value.text for value in index.match(text)] if index else []
        except (IndexFormatError, FileError) as error:
            self._give_up(index_name, error)
            return []

    def find(self, name: str) -> TreeModule | None:
        """The module of exactly this name, by modules.dep.bin."""
        name = _normal_name(name)
        for value in self._lookup("dep", name):
            module = self._module(name, value)
            if module:
                return module
        return None

    def _module(self, name: str, value: Value) -> TreeModule | None:
        parsed = parse_dep_line(value.text)
        if parsed is None:
            return None
        path, dependencies = parsed
        return TreeModule(name, self.absolute(path), [self.absolute(other) for other in dependencies])

    def absolute(self, path: str) -> str:
        """A path of modules.dep, relative to the module directory unless it begins with a slash, in full."""
        return path if path.startswith("/") else f"{self.directory}/{path}"

    def modules_by_alias(self, text: str) -> list[str]:
        """Names of the modules with an alias that matches `text`, best first."""
        return self._match("alias", text)

    def modules_by_symbol(self, text: str) -> list[str]:
        """Names of the modules that export a symbol, given as `NAME` or `symbol:NAME`."""
        return self._match("symbols", f"symbol:{text.removeprefix('symbol:')}")

    def is_builtin(self, name: str) -> bool:
        """Whether the module is part of the kernel image."""
        return bool(self._lookup("builtin", _normal_name(name)))

    def builtins_by_alias(self, text: str) -> list[str]:
        """Names of builtin modules with an alias that matches `text`."""
        return self._match("builtin.alias", text)

    def builtin_modinfo(self, name: str) -> list[Field]:
        """The .modinfo strings of a builtin module; empty when modules.builtin.modinfo has none of it."""
        data = read_or_none(f"{self.directory}/modules.builtin.modinfo")
        return builtin_fields(data, _normal_name(name)) if data else []
