# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod symbols: who exports a symbol, who uses it, where it is."""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from ..errors import Error, FileError, LiveKernelNotAskedError, MissingTreeError, NotFoundError
from ..formats.fnmatch import fnmatch
from ..formats.kallsyms import SymbolList, nearest_symbol
from ..formats.symvers import VMLINUX, parse_symvers_lines
from ..names import decode, encode, is_pattern
from ..observer import counted
from ..planning.similar import similar_names
from ..records import Record
from ..state.files import module_directory, read_file, read_or_none
from ..state.modulefile import ModuleFile
from .report import Report, as_diagnostic, asked_names, head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..context import Context
    from ..diagnostics import Diagnostic
    from ..formats.symbols import Symbol
    from ..formats.symvers import ExportLine
    from ..observer import Observer

_MARK = "symbol:"
_MOST_OFFSET = 1 << 24
"""Bytes that a symbol has at most: further behind the last one of a module or the kernel there is none."""


class KernelSymbol(Record):
    """A symbol of the kernel or of a module; None is "not known".

    `module` is its owner, `vmlinux` for the kernel itself. `crc` is its version. `gpl` tells whether only modules under
    the GPL may use it, `namespace` which namespace these have to import, `""` for none. `users` are the modules that
    use it. `address` is where it is in the running kernel, if that shows it. `exported` tells whether modules can use
    it at all. `offset` is how far behind it an address lies that was asked for. `asked` is the operand, None without.
    """

    name: str
    module: str
    crc: int | None
    gpl: bool | None
    namespace: str | None
    users: tuple[str, ...] | None
    address: int | None
    exported: bool | None
    offset: int | None
    asked: str | None


class SymbolsReport(Report):
    """Symbols by module and name.

    `kernel_exports` says where the exports of the kernel itself are known from: a path, or None where only those are
    known that some module uses. `hidden` tells whether the kernel hides its addresses from this user. `similar` has
    names of exports that resemble one asked for that nothing has.
    """

    symbols: tuple[KernelSymbol, ...]
    kernel_exports: str | None
    hidden: bool | None
    similar: tuple[str, ...]


def symbols(
    context: Context, whats: str | Iterable[str] = (), *, everywhere: bool = False, observer: Observer | None = None
) -> SymbolsReport:
    """Return what is known of symbols.

    Each of `whats` is a name (also as `symbol:NAME`), a pattern of names, or an address: `0x` and digits, or sixteen
    digits. A name may be that of any symbol that the kernel tells of, an address stands for the nearest one below it,
    a pattern for exported ones. Without `whats` it is what loaded modules export. Users are loaded modules; with
    `everywhere`, or where no kernel is asked, they are all modules of the tree, and so is what is listed. `observer`
    hears of progress. Raises `MissingTreeError` where there is neither a kernel to ask nor a module directory.
    """
    if not context.live.is_asked and not context.exists:
        raise MissingTreeError(os.strerror(errno.ENOENT), path=context.tree.directory, errno=errno.ENOENT)
    return _Work(context, observer, everywhere=everywhere).report(asked_names(whats))


class _Work:
    """One run."""

    def __init__(self, context: Context, observer: Observer | None, *, everywhere: bool) -> None:
        self.context = context
        self.tree = context.tolerant_system.tree
        self.observer = observer
        self.errors: list[Diagnostic] = []
        self.loaded = context.loaded_by_name()
        self.only_loaded = context.live.is_asked and not everywhere
        self._exports: dict[str, dict[str, Symbol]] = {}
        self._needs: dict[str, dict[str, int | None]] = {}
        self._needing: dict[str, list[str]] = {}
        self._candidates: dict[str, set[str]] = {}
        self._dependents: dict[str, list[str]] | None = None
        self._unread: set[str] = set()
        self._files: dict[str, str] | None = None
        self._kernel: dict[str, ExportLine] | None = None
        self._kernel_path: str | None = None
        self._known: dict[str, None] | None = None
        self._kallsyms: bytes | None = None
        self._symbols: SymbolList | None = None

    def report(self, whats: list[str]) -> SymbolsReport:
        """Return what is asked for; all exports of modules if nothing is."""
        self._note_lacking("dep", "which modules there are")
        found: list[KernelSymbol] = []
        similar: dict[str, None] = {}
        for what in whats:
            try:
                matching = list(self._find(what))
            except Error as error:
                self.errors.append(as_diagnostic(error, what))
                continue
            if address_in(what.removeprefix(_MARK)) is None:
                self._note_lacking("symbols", "what modules export", what)
            if not matching:
                self.errors += [as_diagnostic(error, what) for error in self._why_not_known()]
                similar.update(dict.fromkeys(self._similar(what.removeprefix(_MARK))))
            found += sorted(matching, key=lambda symbol: (symbol.module != VMLINUX, symbol.module, symbol.name))
        if not whats:
            found = list(self._listed())
        return SymbolsReport(
            **head("symbols", self.context, self.errors),
            symbols=tuple(found),
            kernel_exports=self._kernel_path if self._kernel is not None else self._find_symvers()[0],
            hidden=self._listed_symbols().hidden,
            similar=tuple(similar),
        )

    def _note_lacking(self, index: str, what: str, asked: str | None = None) -> None:
        """Take note that nobody can tell `what` without an index, if it is missing or damaged."""
        if self.tree.exists and self.tree.lacks_index(index):
            error = Error(f"cannot tell {what}: no usable modules.{index}.bin", path=self.tree.directory)
            self.errors.append(as_diagnostic(error, asked))

    # --- what is asked

    def _find(self, what: str) -> Iterator[KernelSymbol]:
        name = what.removeprefix(_MARK)
        address = address_in(name)
        if address is not None:
            yield self._at(address, what)
        elif is_pattern(name):
            yield from self._matching(name, what)
        else:
            yield from self._named(name, what)

    def _listed(self) -> Iterator[KernelSymbol]:
        """Yield what all modules export that are meant."""
        names = sorted(self._meant())
        self._read_needs(names)
        for name in names:
            for symbol in self._exports_of(name).values():
                yield self._of_module(symbol, name, None)

    def _matching(self, pattern: str, asked: str) -> Iterator[KernelSymbol]:
        modules: dict[str, None] = {}
        for key, module in self.tree.entries("symbols"):
            if fnmatch(pattern, key.removeprefix(_MARK)):
                modules[module] = None
        for name in modules:
            for symbol in self._exports_of(name).values():
                if fnmatch(pattern, symbol.name):
                    yield self._of_module(symbol, name, asked)
        for name in self._kernel_names():
            if fnmatch(pattern, name):
                yield self._of_kernel(name, asked)

    def _named(self, name: str, asked: str) -> Iterator[KernelSymbol]:
        """Yield the symbols of this name."""
        owners = []
        for module in self.tree.modules_by_symbol(name):
            symbol = self._exports_of(module).get(name)
            if symbol:
                owners.append(module)
                yield self._of_module(symbol, module, asked)
            elif module in self._unread:  # the index knows that it exports it
                owners.append(module)
                yield self._of_unread(name, module, asked)
        for owner in self._listed_symbols().modules_with(name):
            if owner in owners:
                continue
            if owner:
                yield self._in_module(name, owner, asked)
            else:
                owners.append("")
                yield self._of_kernel(name, asked)
        if "" not in owners and name in self._kernel_exports():
            yield self._of_kernel(name, asked)

    def _why_not_known(self) -> Iterator[Error]:
        """Yield why it is not known whether there is a symbol for which nothing was found; nothing if that is known."""
        if not self.tree.exists:
            text = "cannot tell what modules export: no module directory"
            yield MissingTreeError(text, path=self.tree.directory)
        elif self.tree.lacks_index("symbols"):
            return  # which was said
        elif self._unread:
            yield Error("not found in the modules that could be read")
        elif not self._kernel_exports() and not self._listed_symbols().places:
            yield Error("no module exports it, and what the kernel itself exports is not known")

    def _similar(self, name: str) -> list[str]:
        """Return names of exports that resemble one that nothing has; a pattern resembles nothing."""
        if is_pattern(name):
            return []
        # Where symbols have no versions, the index has namespaces, too: the name itself may be one.
        return similar_names(name, [known for known in self._known_exports() if known != name])

    def _known_exports(self) -> dict[str, None]:
        """Return the names of all exports that are known, read once."""
        if self._known is None:
            self._known = dict.fromkeys(key.removeprefix(_MARK) for key, _module in self.tree.entries("symbols"))
            self._known.update(dict.fromkeys(self._kernel_exports()))
            self._known.update(dict.fromkeys(decode(name) for name, _module in self._listed_symbols().exported))
        return self._known

    def _at(self, address: int, asked: str) -> KernelSymbol:
        """Return the symbol nearest below an address. Raises `NotFoundError`, `LiveKernelNotAskedError`."""
        if not self.context.live.is_asked:
            raise LiveKernelNotAskedError("this is another system or release than the running one: it has no addresses")
        if self._listed_symbols().hidden is not False:
            raise FileError("the kernel hides addresses (kptr_restrict), or shows no symbols", path=self._kallsyms_path)
        found = nearest_symbol(self._list(), address)
        if found is None or address - found[0].address >= self._room(found[0].module, found[0].address, found[1]):
            raise NotFoundError("no symbol of the kernel or of a module is there", asked=asked)
        line = found[0]
        if line.module is None:
            symbol = self._of_kernel(line.name, asked)
        else:
            symbol = self._in_module(line.name, line.module, asked)
        return symbol.replace(address=line.address, offset=address - line.address)

    def _room(self, module: str | None, start: int, following: int | None) -> int:
        """Return how many bytes a symbol can have at most."""
        most = _MOST_OFFSET
        if module in self.loaded:
            most = self.loaded[str(module)].size
        end = self._listed_symbols().address("_end", "") or 0
        if module is None and start <= end:
            most = min(most, end - start)
        return most if following is None else min(most, following - start)

    # --- symbols as records

    def _of_module(self, symbol: Symbol, module: str, asked: str | None) -> KernelSymbol:
        return KernelSymbol(
            name=symbol.name,
            module=module,
            crc=symbol.crc,
            gpl=symbol.gpl,
            namespace=symbol.namespace,
            users=self._users(symbol.name, module),
            address=self._listed_symbols().address(symbol.name, module),
            exported=True,
            offset=None,
            asked=asked,
        )

    def _of_unread(self, name: str, module: str, asked: str) -> KernelSymbol:
        """Return a symbol of a module whose file could not be read."""
        users, address = self._users(name, module), self._listed_symbols().address(name, module)
        return KernelSymbol(name, module, None, None, None, users, address, True, None, asked)

    def _of_kernel(self, name: str, asked: str) -> KernelSymbol:
        """Return a symbol of the kernel itself."""
        line = self._kernel_exports().get(name)
        users = self._users(name, VMLINUX)
        exported: bool | None = None
        if line or users or (encode(name), b"") in self._listed_symbols().exported:
            exported = True
        elif self._kernel_path:
            exported = False
        crc = line.crc if line else next((self._needs[user][name] for user in users or ()), None)
        return KernelSymbol(
            name=name,
            module=VMLINUX,
            crc=crc,
            gpl=line.gpl if line else None,
            namespace=line.namespace if line else None,
            users=users if exported is not None else None,
            address=self._listed_symbols().address(name, ""),
            exported=exported,
            offset=None,
            asked=asked,
        )

    def _in_module(self, name: str, module: str, asked: str) -> KernelSymbol:
        """Return a symbol that the kernel lists for a module; whether it is exported, the module's file knows."""
        known = module in self._all_files()
        export = self._exports_of(module).get(name) if known else None
        if export:
            return self._of_module(export, module, asked)
        return KernelSymbol(
            name=name,
            module=module,
            crc=None,
            gpl=None,
            namespace=None,
            users=() if known else None,
            address=self._listed_symbols().address(name, module),
            exported=False if known else None,
            offset=None,
            asked=asked,
        )

    # --- modules

    def _meant(self) -> Iterable[str]:
        """Return the names of the modules that users are looked for among."""
        return self.loaded if self.only_loaded else self._all_files()

    def _all_files(self) -> dict[str, str]:
        if self._files is None:
            self._files = {module.name: module.path for module in self.tree.modules()}
        return self._files

    def _exports_of(self, name: str) -> dict[str, Symbol]:
        if name not in self._exports:
            self._exports[name] = {}
            path = self._all_files().get(name)
            try:
                if path is not None:
                    with ModuleFile(path) as module:
                        self._exports[name] = {symbol.name: symbol for symbol in module.exports()}
                elif self.tree.lacks_index("dep"):  # which was said
                    self._unread.add(name)
                elif self.only_loaded:
                    raise Error("is loaded, and the tree has no file of it", module=name)
            except Error as error:
                self._unread.add(name)
                self.errors.append(as_diagnostic(error, name))
        return self._exports[name]

    def _users(self, name: str, owner: str) -> tuple[str, ...] | None:
        """Return the modules that use a symbol of a module, or of the kernel itself.

        It is None where none was found and not all could be read.
        """
        candidates = self._candidates_for(owner)
        found = tuple(sorted(candidates.intersection(self._needing.get(name, ()))))
        return None if not found and not self._unread.isdisjoint(candidates) else found

    def _candidates_for(self, owner: str) -> set[str]:
        """Return the modules that can use symbols of a module, or of the kernel, after reading what they need."""
        if owner not in self._candidates:
            if owner == VMLINUX:
                names = self._meant()
            elif self.only_loaded:
                names = self.loaded[owner].holders if owner in self.loaded else ()
            else:
                names = self._dependents_of(owner)
            self._read_needs(names)
            self._candidates[owner] = set(names)
        return self._candidates[owner]

    def _dependents_of(self, owner: str) -> list[str]:
        if self._dependents is None:
            self._dependents = {}
            for module in self.tree.modules():
                for needed in module.dependency_names:
                    self._dependents.setdefault(needed, []).append(module.name)
        return self._dependents.get(owner, [])

    def _read_needs(self, names: Iterable[str]) -> None:
        todo = [name for name in names if name not in self._needs]
        for name in counted(todo, "modules", self.observer):
            self._needs[name] = {}
            path = self._all_files().get(name)
            try:
                if path is not None:
                    with ModuleFile(path) as module:
                        self._needs[name] = {symbol.name: symbol.crc for symbol in module.needs()}
                    for needed in self._needs[name]:
                        self._needing.setdefault(needed, []).append(name)
                elif self.tree.lacks_index("dep"):
                    self._unread.add(name)
            except Error as error:
                self._unread.add(name)
                self.errors.append(as_diagnostic(error, name))

    # --- the kernel itself

    def _kernel_exports(self) -> dict[str, ExportLine]:
        """Return what the kernel itself exports, by Module.symvers."""
        if self._kernel is None:
            self._kernel_path, data = self._find_symvers()
            lines = parse_symvers_lines(data or b"")
            self._kernel = {line.name: line for line in lines if line.module == VMLINUX}
        return self._kernel

    def _find_symvers(self) -> tuple[str | None, bytes | None]:
        roots = self.context.roots
        for place in (f"{module_directory(roots)}/build", f"{roots.base}/usr/src/linux-headers-{roots.kernel_release}"):
            path = f"{place}/Module.symvers"
            try:
                data = read_or_none(path)
            except Error:
                continue
            if data is not None:
                return path, data
        return None, None

    def _kernel_names(self) -> list[str]:
        """Return the names of the kernel's exports, as far as they are known."""
        names = dict.fromkeys(self._kernel_exports())
        if not names:
            names = {decode(name): None for name, module in self._listed_symbols().exported if not module}
        if not names:
            self._read_needs(self._meant())
            ours = {key.removeprefix(_MARK) for key, _module in self.tree.entries("symbols")}
            names = {name: None for needs in self._needs.values() for name in needs if name not in ours}
        return sorted(names)

    # --- what the kernel shows of addresses

    @property
    def _kallsyms_path(self) -> str:
        return f"{self.context.roots.proc}/kallsyms"

    def _list(self) -> bytes:
        if self._kallsyms is None:
            self._kallsyms = b""
            if self.context.live.is_asked:
                with suppress(FileError):
                    self._kallsyms = read_file(self._kallsyms_path)
        return self._kallsyms

    def _listed_symbols(self) -> SymbolList:
        """Return what the kernel lists; it is empty where none is asked."""
        if self._symbols is None:
            self._symbols = SymbolList(self._list())
        return self._symbols


def address_in(text: str) -> int | None:
    """Return the address that a text is: `0x` and digits, or sixteen digits as in an oops."""
    digits = text[2:] if text[:2] in ("0x", "0X") else text if len(text) == 16 else ""
    if not digits or len(digits) > 16 or not all(char in "0123456789abcdefABCDEF" for char in digits):
        return None
    return int(digits, 16)
