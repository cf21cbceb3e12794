# SPDX-License-Identifier: LGPL-2.1-or-later
"""Collect what is known about a failure, or about a request that may be made, as a `Case`.

What is read depends on the kernel's answer: a failing command must not take longer than its reader notices.
"""

from __future__ import annotations

import errno
import os
from time import monotonic

from ..diagnosis.causes.case import (
    COMMAND,
    DESCRIBE,
    FILE,
    KERNEL,
    LOAD,
    LOOKUP,
    UNLOAD,
    Case,
    Dependency,
    FittingDevice,
    NeededSymbol,
    Provider,
    Tree,
    asks_for_file,
)
from ..diagnosis.causes.sentences import (
    BLACKLISTED,
    DUPLICATE,
    LOCKDOWN,
    SYMBOL_VERSION,
    UNKNOWN_SYMBOL,
    VERMAGIC,
    last_attempt,
    said,
    told,
)
from ..diagnosis.rules import softdeps_in_effect
from ..diagnosis.status import is_denial, traces_of
from ..diagnostics import ERROR, Diagnostic, Evidence, Place
from ..errors import (
    CommandError,
    CompressionError,
    DeniedError,
    ElfError,
    Error,
    FileError,
    InsertError,
    KernelError,
    MissingSupportError,
    MissingTreeError,
    NotFoundError,
    RemoveError,
)
from ..formats.fnmatch import fnmatch
from ..names import EXTENSIONS, encode, has_module_extension, module_name, normalize_name
from ..planning.lookup import names_file
from ..state.config import UNREADABLE_FILE
from ..state.files import read_or_none
from ..state.kernelexports import RunningExports, read_running_exports
from ..state.kernelfacts import read_kernel_facts, takes_modules
from ..state.kernellog import KernelLog, read_kernel_log
from ..state.look import Look
from ..state.modaliases import device_aliases
from ..state.modulefile import ModuleFile
from ..state.modulereading import NO_FILE, UNREADABLE, ModuleReading, read_module
from ..state.policy import is_compiled, reason_at
from ..state.processfacts import NOT_KNOWN, read_process_facts
from ..state.tree import ModuleTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from ..context import Context
    from ..formats.modprobeconf import Rule
    from ..formats.procmodules import LoadedModule
    from ..formats.symbols import Symbol
    from ..planning.lookup import Match
    from ..roots import Roots

BEFORE, AFTER = 1.0, 1.0
"""Seconds before and after the kernel's answer in which it may have written about it, where no position was kept."""

DRIFT, MOST_DRIFT = 1e-4, 2.0
"""How far, for each second since boot, the clock of the kernel's log and CLOCK_MONOTONIC may be apart; seconds to allow
for that at most: rather is the log of no use than that of another attempt."""

MOST_SYMBOLS = 20
"""Symbols that the log names of which more is found out."""

TOOLS = ("dkms", "mokutil", "apt", "dnf", "update-initramfs")
_PROGRAM_DIRECTORIES = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")

_KEYS = ("/var/lib/dkms/mok.pub", "/var/lib/shim-signed/mok/MOK.der")
"""Where certificates lie that this system signs modules with."""

_MACHINES = {"x86_64": 62, "i686": 3, "aarch64": 183, "armv7l": 40, "ppc64le": 21, "ppc64": 21, "s390x": 22,
             "riscv64": 243, "loongarch64": 258}  # fmt: skip
"""ELF's numbers of machines, by `uname -m`."""

_ABOUT_SYMBOLS = (errno.ENOENT, errno.EINVAL, errno.ENOEXEC, errno.ESRCH)
"""Answers of the kernel that may be about symbols or their versions."""

_ABOUT_FILES = (errno.EKEYREJECTED, errno.ENOKEY, errno.EBADMSG, errno.ENOPKG, errno.ENODEV, errno.ENXIO, errno.ERANGE,
                errno.ENOSPC)  # fmt: skip
"""Others that may be about something else in the file: signature, parameters, aliases."""

_WITHOUT_FILE = (VERMAGIC, SYMBOL_VERSION, DUPLICATE, BLACKLISTED, LOCKDOWN)
"""What the kernel's log says of a module so that its file tells nothing more."""

_IGNORED_SYMBOLS = ("_GLOBAL_OFFSET_TABLE_", ".TOC.")
"""Undefined symbols that the kernel does not look for."""

MOST_RELEASES = 5
_SIBLING_CANDIDATES = 12
_DEP_BYTES = 1 << 16


class Collector:
    """Collects cases on one system; what several have in common is read once."""

    def __init__(self, context: Context, *, position: int | None = None) -> None:
        self.context = context
        self.roots: Roots = context.roots
        self.tree: ModuleTree = ModuleTree(context.roots, lambda _error: None)
        self.asks: bool = context.live.is_asked
        self._position = position
        self._log: KernelLog | None = None
        self._modules: dict[str, LoadedModule] | None = None
        self._exports: list[RunningExports | None] = []
        self._common: dict[str, Any] | None = None
        self._provided: dict[str, dict[str, Symbol]] = {}
        self.unread: dict[str, Diagnostic] = {}
        """What could not be read of the files that a request to load would need, by path."""

    # --- of failures

    def of_error(self, error: Error, asked: str | None = None, action: str = LOAD) -> Case | None:
        """Return the case of an error; None for one that has nothing to do with a module.

        `action` says what was to be done with a module that was not found: load, unload or describe it.
        """
        name = normalize_name(error.module or asked or error.asked or "")
        wanted = asked or error.asked or error.module or error.path or ""
        if isinstance(error, DeniedError):
            place = Place(error.path or "", error.line, error.command)
            return self._case(LOAD, wanted, name, refused_by=COMMAND, errno=error.errno, denied_by=place,
                              denial=error.denial)  # fmt: skip
        if isinstance(error, CommandError):
            return self._of_command(error, wanted, name)
        if isinstance(error, InsertError):
            return self._of_insertion(error, wanted)
        if isinstance(error, RemoveError):
            return self._of_removal(error, wanted, name)
        if isinstance(error, MissingTreeError):
            return self._of_missing_tree(error, asked or error.asked or error.module or "", action)
        if isinstance(error, NotFoundError):
            return self._of_lookup(error, wanted, action)
        if isinstance(error, (CompressionError, ElfError, MissingSupportError, FileError)):
            return self._of_file(error, wanted)
        return None

    def _of_missing_tree(self, error: MissingTreeError, asked: str, action: str) -> Case | None:
        """Return the case of a module directory that is not there, perhaps of no module; None for another system's."""
        if error.path not in (None, self.tree.directory) or self.tree.exists:
            return None
        return self._case(action, asked, normalize_name(asked), refused_by=LOOKUP, errno=errno.ENOENT,
                          tree=self._tree(asked))  # fmt: skip

    def _of_lookup(self, error: NotFoundError, asked: str, action: str) -> Case:
        """Return the case of a name that stands for nothing, or of a path where no file is, or none of a module."""
        if names_file(asked) and not os.path.lexists(asked):
            return self._case(action, asked, module_name(asked), refused_by=FILE, errno=errno.ENOENT, path=asked)
        if names_file(asked):
            file = read_module(asked)
            if file.problem == NO_FILE:
                return self._case(DESCRIBE, asked, module_name(asked), refused_by=FILE, errno=errno.ENOENT,
                                  path=asked, file=file)  # fmt: skip
        case = self._case(action, asked, normalize_name(asked), refused_by=LOOKUP, errno=errno.ENOENT,
                          tree=self._tree(asked))  # fmt: skip
        return self._with_similar(case) if action == UNLOAD else case

    def _of_file(self, error: Error, asked: str) -> Case | None:
        """Return the case of a module's file that cannot be read; None where the error is about another file."""
        if not error.path or not (error.module or has_module_extension(error.path)):
            return None
        is_gone = error.errno == errno.ENOENT
        return self._case(
            DESCRIBE if asks_for_file(asked, error.path) and not is_gone else LOAD,
            asked,
            module_name(error.path),
            refused_by=FILE,
            errno=error.errno,
            path=error.path,
            file=read_module(error.path),
            **({"tree": self._known_by_path(error.path)} if is_gone else {}),
        )

    def _of_command(self, error: CommandError, asked: str, name: str) -> Case:
        config = self.context.config
        rule = config.first("install", name)
        action = LOAD
        if rule is None or rule.text.partition("$")[0].strip() not in error.command:
            other = config.first("remove", name)
            action, rule = (UNLOAD, other) if other else (LOAD, rule)
        return self._case(action, asked, name, refused_by=COMMAND, errno=error.errno, install=rule and rule.place,
                          command=error.command, status=error.status, reason=error.reason)  # fmt: skip

    def _of_insertion(self, error: InsertError, asked: str) -> Case:
        name = error.module or module_name(error.path or asked)
        path = error.path or _path(self.tree, name)
        log = self._log_near(error)
        case = self._case(LOAD, asked, name, refused_by=KERNEL, errno=error.errno, path=path, log=log)
        if self._position is None:
            case = case.replace(log=last_attempt(case))
        if path and self._wants_file(case):
            named = error.errno == errno.ENOENT and said(case, UNKNOWN_SYMBOL)  # the log names the symbols itself
            file = read_module(path, symbols=error.errno in _ABOUT_SYMBOLS and not named)
            names = (*case.names, *([normalize_name(file.name)] if file.name else []))
            case = case.replace(file=file, names=tuple(dict.fromkeys(names)))
        if error.errno == errno.ENOEXEC and not told(case, *_WITHOUT_FILE):
            case = case.replace(sibling=self._sibling(path))
        # The loader never refuses a module for its symbols without a word.
        is_silent = not log.problem and not log.lost and (self._position is not None or error.when is not None)
        if error.errno in _ABOUT_SYMBOLS and (not is_silent or said(case, UNKNOWN_SYMBOL)):
            case = case.replace(symbols=tuple(self._symbols(case)))
        if error.errno in (errno.ENODEV, errno.ENXIO):
            case = case.replace(devices=self._devices(case.file))
        return case

    def _wants_file(self, case: Case) -> bool:
        """Tell whether the file may have to do with the answer: to decompress a large one takes long."""
        if told(case, *_WITHOUT_FILE):
            return False
        if case.errno == errno.EPERM:
            return case.kernel.lockdown not in (None, "none")
        return case.errno in (*_ABOUT_FILES, *_ABOUT_SYMBOLS)

    def _of_removal(self, error: RemoveError, asked: str, name: str) -> Case:
        case = self._case(UNLOAD, asked, name, refused_by=KERNEL, errno=error.errno)
        return self._with_similar(case) if error.errno == errno.ENOENT else case

    # --- of requests

    def foreseen(self, asked: str, found: Match | None, parameters: str) -> Iterator[Case]:
        """Yield the cases of a request to load: of the module, and of those that it depends on and that are not loaded.

        `found` is what `asked` stands for, None for nothing.
        """
        words = (parameters,) if parameters else ()
        if found is None:
            yield self._case(LOAD, asked, normalize_name(asked), tree=self._tree(asked), parameters=words)
            return
        case = self._foreseen(asked, found.name, found.path, words)
        case = case.replace(by_alias=found.alias is not None, builtin=found.builtin or case.builtin)
        if found.blacklisted:
            case = case.replace(blacklisted=found.blacklisted.place)
        yield case
        if case.by_path or case.state or case.builtin or case.takes_modules is False:
            return
        for path in reversed(found.dependencies):
            name = module_name(path)
            if not self._state(name) and os.path.exists(path):
                yield self._foreseen(asked, name, path, ()).replace(dependencies=(), install=None, denied_by=None)

    def _foreseen(self, asked: str, name: str, path: str | None, parameters: tuple[str, ...]) -> Case:
        file = read_module(path) if path else None
        if file and path and file.problem == UNREADABLE:
            self.unread[path] = Diagnostic(UNREADABLE_FILE, ERROR, file.why or "", name, path)
        case = self._case(LOAD, asked, name, path=path, file=file, parameters=parameters)
        if case.state or case.builtin or case.takes_modules is False:
            return case
        rule = self._denial(name)
        if rule and is_compiled(rule.file):
            case = case.replace(denied_by=rule.place, denial=reason_at(rule.file, rule.line or 0))
        elif rule and not case.by_path:
            case = case.replace(install=rule.place)
        if not case.by_path:
            case = case.replace(dependencies=tuple(self._dependencies(name)))
        case = case.replace(sibling=self._sibling(path))
        return case.replace(symbols=tuple(self._symbols(case)))

    def foreseen_removal(self, asked: str, name: str) -> Case:
        """Return the case of a request to unload. Raises `Error` when it is not known what is loaded."""
        self._modules = self.context.loaded_by_name()
        return self._with_similar(self._case(UNLOAD, asked, name))

    def _with_similar(self, case: Case) -> Case:
        """Return a case of unloading with the loaded modules that resemble one that is not loaded."""
        if case.state or case.builtin:
            return case
        return case.replace(tree=Tree("", True, True, similar=tuple(_similar(case.module, self._loaded))))

    # --- what cases have in common

    def _case(self, action: str, asked: str, module: str, **facts: Any) -> Case:
        """Return a case with what is known of any module, and with these facts."""
        if self._common is None:
            self._common = {
                "release": self.roots.kernel_release,
                "is_live": self.asks,
                "machine": _MACHINES.get(os.uname().machine) if self.asks else None,
                "kernel": read_kernel_facts(self.roots, self.context.live),
                "takes_modules": takes_modules(self.roots) if self.asks else None,
                "process": read_process_facts(self.roots) if self.asks else NOT_KNOWN,
                "tools": tuple(tool for tool in TOOLS if self._has_program(tool)),
                "keys": tuple(key for key in _KEYS if os.path.exists(self.roots.config_root + key)),
            }
        live = self.context.live
        loaded = self._loaded.get(module)
        file = facts.get("file")
        names = [name for name in (file.name if file else None, module_name(facts.get("path") or "")) if name]
        given = {
            **self._common,
            "names": tuple(dict.fromkeys(normalize_name(name) for name in names)),
            "state": self._state(module),
            "refcount": loaded.refcount if loaded else live.refcount(module),
            "holders": tuple(sorted({*live.holders(module), *(loaded.holders if loaded else ())})),
            "permanent": loaded.permanent if loaded else None,
            "builtin": self._is_builtin(module),
            "builtin_by": self._builtin_by(module),
            "live_parameters": None,
            "owners": tuple(self._owners(facts.get("path"), module)),
            "options": self._options(module) if action == LOAD and not asks_for_file(asked, facts.get("path")) else (),
            **facts,
        }
        if given["state"] == "live" and action == LOAD:
            given["live_parameters"] = _frozen(live.parameters(module))
        if "log" not in given and self._position is not None and action == LOAD:
            given["log"] = self._read_log()
        return Case(action, asked, module, **given)

    @property
    def _loaded(self) -> dict[str, LoadedModule]:
        """The loaded modules by name; none where that is not known."""
        if self._modules is None:
            try:
                self._modules = self.context.loaded_by_name()
            except Error:
                self._modules = {}
        return self._modules

    def _state(self, name: str) -> str | None:
        """Return `live`, `coming` or `going`; None for a module that is not loaded, or builtin."""
        loaded = self._loaded.get(name)
        if loaded:
            return loaded.state
        try:
            return self.context.live.attribute(name, "initstate")
        except Error:
            return None

    def _is_builtin(self, name: str) -> bool:
        """Tell whether a module is builtin: by the tree, or by what the kernel shows of it."""
        return self.tree.is_builtin(name) or self._builtin_by(name) is not None

    def _builtin_by(self, name: str) -> Evidence | None:
        """Return what shows that a module is builtin, where the tree does not."""
        if self.tree.is_builtin(name) or self._state(name) is not None:
            return None
        system = self.context.tolerant_system.replace(tree=self.tree)
        return next(iter(traces_of(system, name, has_file=self.tree.find(name) is not None)), None)

    def _has_program(self, name: str) -> bool:
        return any(
            os.access(f"{self.roots.config_root}{directory}/{name}", os.X_OK) for directory in _PROGRAM_DIRECTORIES
        )

    # --- the kernel's log

    @property
    def log(self) -> KernelLog | None:
        """The log, if it was of use."""
        return self._log

    def _read_log(self) -> KernelLog:
        if self._log is None:
            self._log = read_kernel_log(self._position) if self.asks else KernelLog((), "the kernel is not asked")
        return self._log

    def _log_near(self, error: KernelError) -> KernelLog:
        """Return what the log has from about the time of the kernel's answer, or since the position."""
        log = self._read_log()
        if self._position is not None or log.problem:
            return log
        when = monotonic() if error.when is None else error.when
        drift = min(when * DRIFT, MOST_DRIFT)
        records = [
            record
            for record in log.records
            if record.seconds is not None and when - BEFORE - drift <= record.seconds <= when + AFTER + drift
        ]
        return log.replace(records=tuple(records))

    # --- files

    def _sibling(self, path: str | None) -> ModuleReading | None:
        """Return a small module of the same tree, which the kernel takes: a measure for others."""
        try:
            data = read_or_none(f"{self.tree.directory}/modules.dep")
        except FileError:
            return None
        best: tuple[int, str] | None = None
        for line in (data or b"")[:_DEP_BYTES].split(b"\n")[:_SIBLING_CANDIDATES]:
            name = line.partition(b":")[0].decode("utf-8", "surrogateescape")
            other = self.tree.absolute(name)
            if not name.startswith("kernel/") or other == path:
                continue
            try:
                size = os.stat(other).st_size
            except OSError:
                continue
            best = min(best or (size, other), (size, other))
        reading = read_module(best[1]) if best else None
        return reading if reading and reading.is_readable else None

    def _owners(self, path: str | None, module: str) -> Iterator[tuple[str, str]]:
        """Yield where a file comes from: ("dkms", "NAME/VERSION"), ("package", NAME)."""
        if path is None:
            return
        root, release = self.roots.config_root, self.roots.kernel_release
        if "/dkms/" in path or "/extra/" in path:
            for built in _listing(f"{root}/var/lib/dkms"):
                for version in _listing(f"{root}/var/lib/dkms/{built}"):
                    for machine in _listing(f"{root}/var/lib/dkms/{built}/{version}/{release}"):
                        folder = f"{root}/var/lib/dkms/{built}/{version}/{release}/{machine}/module"
                        if module in [module_name(file) for file in _listing(folder)]:
                            yield "dkms", f"{built}/{version}"
            return
        inside = path.removeprefix(root)
        for package in (f"linux-image-{release}", f"linux-modules-{release}", f"linux-modules-extra-{release}"):
            try:
                files = read_or_none(f"{root}/var/lib/dpkg/info/{package}.list") or b""
            except FileError:
                continue
            if encode(inside.removeprefix("/usr")) + b"\n" in files.replace(b"\n/usr/lib/", b"\n/lib/"):
                yield "package", package
                return

    # --- rules and dependencies

    def _denial(self, name: str) -> Rule | None:
        """Return the install rule that surely keeps a module out; None also where soft dependencies switch it off."""
        rule = self.context.config.first("install", name)
        if rule is None or not is_denial(rule) or softdeps_in_effect(self.context.tolerant_system, name):
            return None
        return rule

    def _dependencies(self, name: str) -> Iterator[Dependency]:
        entry = self.tree.find(name)
        for path in entry.dependencies if entry else ():
            other = module_name(path)
            rule = self._denial(other)
            problem = self.tree.file_problem(path)
            if problem not in (None, errno.ENOENT):
                self.unread[path] = Diagnostic(UNREADABLE_FILE, ERROR, os.strerror(problem), other, path, errno=problem)
            has_file = problem is None if problem in (None, errno.ENOENT) else None
            yield Dependency(other, path, has_file, self._state(other), rule.place if rule else None)

    def _options(self, name: str) -> tuple[Place, ...]:
        return tuple([rule.place for rule in self.context.config.options(name)])

    # --- symbols

    def _symbols(self, case: Case) -> Iterator[NeededSymbol]:
        """Yield what is known of symbols: those that the log names, else all that the answer may be about."""
        named = list(dict.fromkeys(sentence.part("symbol") for sentence in said(case, UNKNOWN_SYMBOL)))
        if named:
            for name in named[:MOST_SYMBOLS]:
                yield self._symbol(case, name, kernel=case.file is not None and not case.file.is_gpl)
            return
        file = case.file
        if file is None or not file.is_readable:
            return
        if case.errno == errno.ENOEXEC:
            for exported in file.exports:
                yield self._symbol(case, exported.name, kernel=False)
            return
        names = [need.name for need in file.needs if not need.weak and need.name not in _IGNORED_SYMBOLS]
        found = [self._symbol(case, name, kernel=False) for name in names]
        # The kernel's own list takes long to read: not for a failure that modules which are not loaded explain already.
        explained = case.errno is not None and any(symbol.is_available is False for symbol in found)
        if case.errno in (None, errno.ENOENT) and not explained:
            found = [symbol if symbol.providers else self._symbol(case, symbol.name, kernel=True) for symbol in found]
        yield from found

    def _symbol(self, case: Case, name: str, *, kernel: bool) -> NeededSymbol:
        owners = self.tree.modules_by_symbol(name)
        providers = []
        for owner in owners:
            rule = self._denial(owner)
            providers.append(Provider(owner, self._state(owner), rule.place if rule else None))
        found = NeededSymbol(name, tuple(providers))
        exported = self._export(owners[0], name) if owners and case.errno != errno.ENOEXEC else None
        if exported:
            return found.replace(gpl_only=exported.gpl, namespace=exported.namespace, crc=exported.crc)
        if not owners and kernel and self.asks:
            exports = self._kernel_exports()
            if exports:
                return found.replace(in_kernel=exports.has(name), gpl_only=exports.is_gpl_only(name))
        return found

    def _export(self, module: str, symbol: str) -> Symbol | None:
        """Return how a module of the tree exports a symbol."""
        if module not in self._provided:
            self._provided[module] = {}
            path = _path(self.tree, module)
            try:
                if path:
                    with ModuleFile(path) as file:
                        self._provided[module] = {export.name: export for export in file.exports()}
            except Error:
                pass
        return self._provided[module].get(symbol)

    def _kernel_exports(self) -> RunningExports | None:
        if not self._exports:
            self._exports.append(read_running_exports(self.roots))
        return self._exports[0]

    # --- devices

    def _devices(self, file: ModuleReading | None) -> tuple[FittingDevice, ...] | None:
        """Return the devices that a module's aliases fit; None where that is not known, or they are not of devices."""
        if file is None or not self.asks:
            return None
        patterns = [alias for alias in file.aliases if ":" in alias and not alias.startswith(("devname:", "symbol:"))]
        if not patterns:
            return None
        look = Look(self.roots)
        try:
            devices = device_aliases(look)
        except Error:
            return None
        found = []
        begun = [(_fixed(pattern), pattern) for pattern in patterns]
        for device in devices:
            if device.modalias and any(
                device.modalias.startswith(start) and fnmatch(pattern, device.modalias) for start, pattern in begun
            ):
                found.append(FittingDevice(device.path, device.modalias, device.driver, device.module))
        return tuple(found) if found or not look.unread else None

    # --- names

    def _tree(self, asked: str) -> Tree:
        """Return what is known of the module directory for a name that nothing stands for."""
        directory = self.tree.directory
        parent = directory.rpartition("/")[0]
        release = self.roots.kernel_release
        releases = _releases(parent)
        exists = self.tree.exists
        has_index = exists and os.path.exists(f"{directory}/modules.dep.bin")
        is_running = self.asks
        if not has_index:
            return Tree(directory, exists, False, releases=tuple(releases), is_running=is_running)
        unindexed = _file_of(directory, normalize_name(asked))
        similar: list[str] = []
        elsewhere: list[str] = []
        if unindexed is None:
            try:
                similar = self.context.similar(asked)
            except Error:
                similar = []
            for other in [other for other in releases if other != release] if not similar else []:
                if ModuleTree(self.roots.replace(release=other), lambda _error: None).find(asked):
                    elsewhere.append(other)
        return Tree(
            directory, True, True, unindexed, tuple(similar), tuple(releases), tuple(elsewhere), is_running,
            not_known=self.tree.why_unknown(asked),
        )  # fmt: skip

    def _known_by_path(self, path: str) -> Tree:
        """Return the tree for a file that is not there, with the module that is called like it."""
        known = self.tree.find(module_name(path)) if "/" not in path else None
        return Tree(self.tree.directory, self.tree.exists, True, similar=(known.name,) if known else ())


def _fixed(pattern: str) -> str:
    """Return what every text begins with that a pattern stands for."""
    return pattern[: min([len(pattern), *(at for char in "*?[\\" if (at := pattern.find(char)) >= 0)])]


def _path(tree: ModuleTree, name: str) -> str | None:
    entry = tree.find(name)
    return entry.path if entry else None


def _similar(name: str, known: Iterable[str]) -> list[str]:
    from ..planning.similar import similar_names

    return similar_names(name, known)


def _frozen(values: dict[str, str | None]) -> Mapping[str, str | None]:
    from ..frozendict import FrozenDict

    return FrozenDict(values)


def _listing(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _releases(parent: str) -> list[str]:
    """Return the releases that have a module directory, the newest first."""
    try:
        with os.scandir(parent) as entries:
            found = [(entry.stat().st_mtime, entry.name) for entry in entries if entry.is_dir()]
    except OSError:
        return []
    return [name for _, name in sorted(found, reverse=True)[:MOST_RELEASES]]


def _file_of(directory: str, name: str) -> str | None:
    """Return a file of a module of this name somewhere in a module directory."""
    for folder, _folders, files in os.walk(directory):
        for file in files:
            if file.endswith(EXTENSIONS) and module_name(file) == name:
                return f"{folder}/{file}"
    return None
