# SPDX-License-Identifier: LGPL-2.1-or-later
"""One kernel's modules on disk, as its indexes tell (docs/behaviour/2-formats.md, "Index files")."""

from __future__ import annotations

import errno
import posix
from _thread import allocate_lock  # `threading` would import much

from ..errors import FileError, IndexFormatError, MissingTreeError, NameSyntaxError
from ..formats.index import Index
from ..formats.source import OwnedFileSource
from ..formats.textindex import builtin_fields, parse_builtin_modinfo, parse_dep_line
from ..names import decode, module_name, normalize_alias, normalize_name
from ..osparts import exists, is_directory
from ..records import Record
from ..roots import Roots
from .files import can_reach, file_stamp, module_directory, open_file, read_or_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..errors import Error
    from ..formats.index import IndexValue
    from ..formats.modinfo import Field
    from .files import FileStamp


class TreeModule(Record):
    """A module that modules.dep lists: its file and its hard dependencies' files; the last must be loaded first."""

    name: str
    path: str
    dependencies: tuple[str, ...]

    @property
    def dependency_names(self) -> list[str]:
        """The names of the dependencies, in the same order."""
        return [module_name(path) for path in self.dependencies]


BUILTIN_LIST, BUILTIN_STRINGS, SOFTDEPS = "modules.builtin", "modules.builtin.modinfo", "modules.softdep"
"""Text files of a module directory: which modules the kernel image has, their .modinfo strings; soft dependencies."""

_LEFT_EMPTY = ("builtin", "builtin.alias")
"""Indexes of which kmod's depmod makes empty files where there is no list of builtin modules. All others have a header,
whatever is in them."""

_NAMING_INDEXES = ("dep", "alias", "builtin")
"""Indexes that know names of modules, and that every depmod writes."""


class ModuleTree:
    """The module directory of one kernel release.

    It opens an index at the first question for it. Dashes in what is looked up count as underscores. A missing index
    answers "nothing". All questions raise `MissingTreeError` when there is no module directory, `IndexFormatError` for
    a damaged index and `FileError` for an unreadable one; those for aliases raise `NameSyntaxError` for an unmatched
    bracket. `on_index_error` gets the first three instead, once for each index, which then counts as missing.
    `directory` is the path of the module directory.

    Several threads may ask at the same time. `stale` tells when an index has changed since it was opened; `refresh`
    makes the next question open it again.
    """

    def __init__(self, roots: Roots | None = None, on_index_error: Callable[[Error], None] | None = None) -> None:
        self.directory: str = module_directory(roots or Roots())
        self.unusable_indexes: set[str] = set()
        """Names of the indexes that cannot be used."""
        self._indexes: dict[str, Index | None] = {}
        self._modules: dict[str, TreeModule | None] = {}
        self._are_builtin: dict[str, bool] = {}
        self._stamps: dict[str, FileStamp] = {}
        self._on_index_error = on_index_error
        self._lock = allocate_lock()

    @property
    def exists(self) -> bool:
        """Whether there is a module directory."""
        return is_directory(self.directory)

    def lacking_indexes(self, text: str = "") -> list[str]:
        """Return the file names of the indexes that are missing or cannot be used, and may know `text`.

        While there is one, nobody can tell that `text` stands for nothing. modules.symbols.bin knows `symbol:NAME`
        alone. Without modules.builtin depmod makes an index of no builtin modules: then this list is what is missing.
        modules.builtin.alias.bin is made of modules.builtin.modinfo, which kernels before Linux 5.2 do not have.
        """
        names = list(_NAMING_INDEXES)
        if text.startswith("symbol:"):
            names.append("symbols")
        if "builtin.alias" in self.unusable_indexes or not self.lacks_file(BUILTIN_STRINGS):
            names.append("builtin.alias")
        for name in names if text else ():
            self._try(name, text)
        lacking = [f"modules.{name}.bin" for name in names if self._cannot_open(name)]
        return [*lacking, BUILTIN_LIST] if self._made_of_no_list() else lacking

    def _made_of_no_list(self) -> bool:
        """Tell whether depmod found no modules.builtin, and so made an index of builtin modules without one."""
        if not self.lacks_file(BUILTIN_LIST) or self._cannot_open("builtin"):
            return False
        return next(self.entries("builtin"), None) is None

    def lacks_file(self, name: str) -> bool:
        """Tell whether a file of the module directory is missing: then nobody can tell what it would say."""
        return not exists(f"{self.directory}/{name}")

    def _try(self, name: str, text: str) -> None:
        """Look for a text in an index: one that is cut off shows that only where something is looked for."""
        try:
            self._match(name, text)
        except NameSyntaxError:
            self._lookup(name, text)

    def why_unknown(self, text: str = "") -> str | None:
        """Return why nobody can tell that `text` stands for nothing, or which modules and aliases there are.

        None if that can be told: there is a module directory, and every index that may know it.
        """
        if not self.exists:
            return "no module directory"
        lacking = self.lacking_indexes(text)
        return f"no usable {', '.join(lacking)}" if lacking else None

    def lacks_index(self, name: str) -> bool:
        """Tell whether nobody can tell what modules.NAME.bin would list: it is missing, or `lacking_indexes` names it.

        An empty file is what was lost on its way to the disk, but for those that kmod's depmod leaves empty: indexes of
        nothing, but for builtin modules without modules.builtin.
        """
        return self._cannot_open(name) or (name == "builtin" and self._made_of_no_list())

    def _cannot_open(self, name: str) -> bool:
        """Tell whether modules.NAME.bin is missing or cannot be used."""
        try:
            if self._index(name) is not None:
                return False
        except MissingTreeError:
            return True
        except (IndexFormatError, FileError) as error:
            self._cannot_use(name, error)
            return True
        return name in self.unusable_indexes or name not in _LEFT_EMPTY or self.lacks_file(f"modules.{name}.bin")

    @property
    def stale(self) -> bool:
        """Whether an index has changed since it was opened."""
        return any(file_stamp(path) != stamp for path, stamp in list(self._stamps.items()))

    def refresh(self) -> None:
        """Forget all indexes, so that the next question opens them again."""
        with self._lock:  # another thread may be asking
            self._indexes, self._modules, self._stamps, self.unusable_indexes = {}, {}, {}, set()
            self._are_builtin = {}

    def modules(self) -> list[TreeModule]:
        """Return all modules that are files, in their order: of two for one device the earlier is preferred."""
        entries = sorted(self._values("dep"), key=lambda entry: entry[1].priority)
        return [module for name, value in entries if (module := self._module(name, value))]

    def builtins(self) -> list[str]:
        """Return the names of the modules that are part of the kernel image, by modules.builtin.bin, in byte order."""
        return [name for name, _ in self.entries("builtin")]

    def entries(self, index_name: str) -> Iterator[tuple[str, str]]:
        """Yield every key of the index `modules.INDEX_NAME.bin` with each of its values, in byte order of the keys."""
        for key, value in self._values(index_name):
            yield key, value.text

    def _values(self, index_name: str) -> Iterator[tuple[str, IndexValue]]:
        try:
            index = self._index(index_name)
            if index:
                yield from index.dump()
        except (IndexFormatError, FileError) as error:
            self._cannot_use(index_name, error)

    def _cannot_use(self, index_name: str, error: Error) -> None:
        """Count an index as missing from now on, or raise the error."""
        try:
            if self._on_index_error is None:
                raise error
            if index_name not in self.unusable_indexes:
                self._on_index_error(error)  # which may raise it: then the index counts as unread
        finally:
            del error  # which keeps this frame: a circle would keep the tree and its descriptors as well
        with self._lock:
            self._indexes[index_name] = None
            self.unusable_indexes.add(index_name)

    def _index(self, name: str) -> Index | None:
        """Return the index `modules.NAME.bin`, None when it does not exist or is empty."""
        indexes = self._indexes
        if name in indexes:
            return indexes[name]
        with self._lock:
            if name not in self._indexes:
                self._indexes[name] = self._open(f"{self.directory}/modules.{name}.bin")
            return self._indexes[name]

    def _open(self, path: str) -> Index | None:
        self._stamps[path] = file_stamp(path)
        try:
            source = OwnedFileSource(open_file(path), path)
            # Empty as kmod 30's depmod leaves it when the list of builtin modules is missing.
            return Index(source, path) if source.size else None
        except FileError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
                raise
        self._require_directory()
        return None

    def _require_directory(self) -> None:
        """Raise `MissingTreeError` when there is no module directory."""
        if not self.exists:
            raise MissingTreeError(posix.strerror(errno.ENOENT), path=self.directory)

    def _lookup(self, index_name: str, key: str) -> list[IndexValue]:
        try:
            index = self._index(index_name)
            return index.lookup(key) if index else []
        except (IndexFormatError, FileError) as error:
            self._cannot_use(index_name, error)
            return []

    def _match(self, index_name: str, text: str) -> list[str]:
        text = normalize_alias(text)
        try:
            index = self._index(index_name)
            return [value.text for value in index.match(text)] if index else []
        except (IndexFormatError, FileError) as error:
            self._cannot_use(index_name, error)
            return []

    def find(self, name: str) -> TreeModule | None:
        """Return the module of exactly this name, by modules.dep.bin."""
        known = self._modules  # taken before the index: what another thread's refresh() ends goes into the old one
        if name in known:
            return known[name]
        asked, name = name, normalize_name(name)
        values = self._lookup("dep", name)
        found = next((module for value in values if (module := self._module(name, value))), None)
        known[asked] = known[name] = found
        return found

    def _module(self, name: str, value: IndexValue) -> TreeModule | None:
        parsed = parse_dep_line(value.text)
        if parsed is None:
            return None
        path, dependencies = parsed
        return TreeModule(name, self.absolute(path), tuple(map(self.absolute, dependencies)))

    def has_file(self, path: str) -> bool:
        """Tell whether the file of a module is there."""
        return can_reach(path) or self.file_problem(path) is None

    def file_problem(self, path: str) -> int | None:
        """Return None for a file that is there, else the error of looking at it: ENOENT, or EACCES for "not known"."""
        try:
            posix.stat(path)
        except OSError as error:
            return errno.ENOENT if error.errno in (errno.ENOTDIR, errno.ELOOP) else error.errno or errno.ENOENT
        except ValueError:  # a null byte in an index
            return errno.ENOENT
        return None

    def absolute(self, path: str) -> str:
        """Return a path of modules.dep in full: relative to the module directory unless it begins with a slash."""
        return path if path.startswith("/") else f"{self.directory}/{path}"

    def modules_by_alias(self, text: str) -> list[str]:
        """Return the names of the modules with an alias that matches `text`, best first."""
        return self._match("alias", text)

    def modules_by_symbol(self, text: str) -> list[str]:
        """Return the names of the modules that export a symbol, given as `NAME` or `symbol:NAME`."""
        return self._match("symbols", f"symbol:{text.removeprefix('symbol:')}")

    def is_builtin(self, name: str) -> bool:
        """Tell whether the module is part of the kernel image."""
        known = self._are_builtin  # as in `find`
        answer = known.get(name)
        if answer is None:
            answer = known[name] = bool(self._lookup("builtin", normalize_name(name)))
        return answer

    def builtins_by_alias(self, text: str) -> list[str]:
        """Return the names of builtin modules with an alias that matches `text`."""
        return self._match("builtin.alias", text)

    def builtin_modinfo(self, name: str) -> list[Field]:
        """Return the .modinfo strings of a builtin module; none when modules.builtin.modinfo has none of it."""
        data = self._builtin_strings()
        return builtin_fields(data, normalize_name(name)) if data else []

    def all_builtin_modinfo(self) -> dict[str, list[Field]]:
        """Return the .modinfo strings of all builtin modules, by name, for questions about many of them."""
        return parse_builtin_modinfo(self._builtin_strings() or b"")

    def _builtin_strings(self) -> bytes | None:
        data = read_or_none(f"{self.directory}/{BUILTIN_STRINGS}")
        if data is None:
            try:
                self._require_directory()
            except MissingTreeError as error:
                self._cannot_use("builtin.modinfo", error)
        return data


class WholeTree(ModuleTree):
    """A module tree for questions about many modules: it reads modules.dep and modules.builtin once, as a whole."""

    def __init__(self, roots: Roots | None = None, on_index_error: Callable[[Error], None] | None = None) -> None:
        super().__init__(roots, on_index_error)
        self._found: dict[str, TreeModule] | None = None
        self._builtins: frozenset[str] | None = None
        self._aliases: dict[str, list[str]] | None = None

    def refresh(self) -> None:
        """Forget all indexes, so that the next question reads them again."""
        super().refresh()
        self._found, self._builtins, self._aliases = None, None, None

    @property
    def by_name(self) -> dict[str, TreeModule]:
        """The modules that are files, by name, in their order."""
        if self._found is None:
            self._found = {module.name: module for module in self.modules()}
        return self._found

    def find(self, name: str) -> TreeModule | None:
        """Return the module of exactly this name, by modules.dep.bin."""
        return self.by_name.get(normalize_name(name))

    def is_builtin(self, name: str) -> bool:
        """Tell whether the module is part of the kernel image."""
        if self._builtins is None:
            self._builtins = frozenset(self.builtins())
        return normalize_name(name) in self._builtins

    def aliases(self, name: str) -> list[str]:
        """Return the patterns that stand for a module, by modules.alias."""
        if self._aliases is None:
            self._aliases = {}
            for pattern, module in self._alias_lines():
                self._aliases.setdefault(module, []).append(pattern)
        return self._aliases.get(normalize_name(name), [])

    def _alias_lines(self) -> Iterator[tuple[str, str]]:
        """Yield (pattern, module), with the dashes of the text file where there is one."""
        data = self.text("modules.alias")
        if data is None:
            yield from self.entries("alias")
            return
        for line in decode(data).split("\n"):
            words = line.split(" ")
            if len(words) == 3 and words[0] == "alias":
                yield words[1], normalize_name(words[2])

    def text(self, name: str) -> bytes | None:
        """Return a text file of the module directory; None when there is none, or it cannot be read."""
        try:
            return read_or_none(f"{self.directory}/{name}")
        except FileError:
            return None
