# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod closure: what an image needs so that modules can be loaded there."""

from __future__ import annotations

import errno
import os

from ..diagnosis.closure import (
    BUILTIN,
    DEVICE,
    LOADED,
    MODULE,
    SOFT,
    Closure,
    ClosureNode,
    Firmware,
    MissingModule,
    Reason,
    shipped_softdeps,
)
from ..diagnosis.status import match_loaded
from ..errors import Error, FileError, LiveKernelNotAskedError, MissingTreeError, NameSyntaxError
from ..formats.textindex import builtin_fields
from ..names import decode, has_module_extension, module_name
from ..observer import counted
from ..planning.lookup import MODULES_DEP, Match, match_regular_file, names_file, not_found
from ..planning.plan import DEPENDENCY, REQUEST
from ..records import Record
from ..state.files import module_directory, read_or_none
from ..state.image import ImageFile, read_image_files
from ..state.look import Look
from ..state.modaliases import device_aliases
from ..state.modulefile import ModuleFile, elf_of
from ..state.systemfiles import COMPRESSED, FirmwareFiles, SystemFiles
from .report import Report, as_diagnostic, head, several, shows_machine, unlisted, unread
from .statedneeds import stated_needs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..context import Context, Name
    from ..diagnostics import Diagnostic
    from ..observer import Observer
    from ..roots import Roots

INDEXES = (
    "modules.dep.bin", "modules.alias.bin", "modules.symbols.bin", "modules.builtin.bin", "modules.builtin.alias.bin",
    "modules.softdep", "modules.weakdep", "modules.devname", "modules.builtin.modinfo", "modules.builtin",
    "modules.order",
)  # fmt: skip
"""Files of the module directory that programs in an image read, and those that depmod makes them of."""

CONFIGURATION, FIRMWARE = "configuration", "firmware"
"""Words of `Lack.kind` besides `MODULE`."""

ABSENT, DIFFERENT = "absent", "different"
"""Words of `Lack.state`."""

_MANY = 24
"""Compressed modules from which on threads are worth their start."""


class Lack(Record):
    """A file that an image should have, and has not, or has with other contents.

    `kind` is `module`, `firmware` or `configuration`; `state` is `absent` or `different`. `of` is the module.
    """

    path: str
    kind: str
    state: str
    of: str | None


class ClosureReport(Report):
    """What an image needs.

    `asked` are the operands. `directory` is the module directory. `nodes` are the modules in load order. `missing` has
    what stands for nothing. `configuration` are the files of modprobe.d, `indexes` those of the module directory that
    modprobe and depmod read in an image. `files` are the paths for an archive, relative to the root of the system:
    those of all these files, each after the directories and links that lead to it. `size` is that of modules, firmware
    and configuration in bytes. `image` is the image that was compared and `lacks` what it lacks, None without one.
    """

    asked: tuple[str, ...]
    directory: str
    nodes: tuple[ClosureNode, ...]
    missing: tuple[MissingModule, ...]
    configuration: tuple[str, ...]
    indexes: tuple[str, ...]
    files: tuple[str, ...]
    size: int
    image: str | None
    lacks: tuple[Lack, ...] | None

    @property
    def is_complete(self) -> bool:
        """Whether nothing required is missing."""
        return not any(missing.required for missing in self.missing)


def closure(
    context: Context,
    names: Name | Iterable[Name] = (),
    *,
    sources: str | Iterable[str] = (),
    soft: str | Iterable[str] = SOFT,
    shipped: bool = False,
    compare: str | os.PathLike[str] | None = None,
    observer: Observer | None = None,
) -> ClosureReport:
    """Return what an image needs so that modules can be loaded there.

    The modules are those that `names` stand for (also `=SUBDIR`, all modules below `kernel/SUBDIR`), and those of
    `sources`: `loaded`, what the running kernel has loaded, and `devices`, what its devices ask for. `soft` says which
    soft dependencies count: `pre`, `post`, `weak`. Of those of a module the first matching line of the configuration
    counts, as for modprobe; with `shipped` also every line that the module carries, as for mkosi and dracut. `compare`
    is an initial file system image. `observer` hears of progress. Raises `MissingTreeError`, and
    `LiveKernelNotAskedError` for sources of another system.
    """
    if not context.exists:
        raise MissingTreeError(os.strerror(errno.ENOENT), path=context.tree.directory)
    return _Work(context, several(soft), shipped=shipped).report(several(names), several(sources), compare, observer)


class _Work:
    """One closure."""

    def __init__(self, context: Context, soft: Iterable[str], *, shipped: bool) -> None:
        self.context = context
        self.system = context.system
        self.shipped = shipped
        carried = shipped_softdeps(context.config.rules, context.tree.directory) if shipped else {}
        self.closure = Closure(self.system, soft, carried)
        self.errors: list[Diagnostic] = unlisted(self.system.tree)
        self.similar: dict[str, tuple[str, ...]] = {}
        self._modinfo: bytes | None = None
        self.files = SystemFiles(_root_of(context.roots))
        self.firmware = FirmwareFiles(self.files, context.roots.kernel_release, _chosen_firmware(context))

    def report(
        self, names: list[Name], sources: list[str], compare: str | os.PathLike[str] | None, observer: Observer | None
    ) -> ClosureReport:
        for name in names:
            try:
                self._add_name(name)
            except Error as error:
                self.errors.append(as_diagnostic(error, _text(name)))
        for source in sources:
            self._add_source(source)
        nodes = self._nodes(observer)
        configuration = self._existing(file for file in self.context.config.files if not _is_of_tree(self, file))
        indexes = self._existing(f"{self.context.tree.directory}/{name}" for name in INDEXES)
        needed = [*(node.path for node in nodes if node.path), *_firmware_of(nodes), *configuration]
        missing = self._missing()
        lacks = None if compare is None else self._compare(os.fspath(compare), nodes, configuration, observer)
        return ClosureReport(
            **head("closure", self.context, self.errors),
            asked=tuple([_text(name) for name in names]),
            directory=self.context.tree.directory,
            nodes=tuple(nodes),
            missing=missing,
            configuration=configuration,
            indexes=indexes,
            files=self._archive([*needed, *indexes]),
            size=sum(self.files.size(self._inside(path)) for path in self._really(needed)),
            image=None if compare is None else os.fspath(compare),
            lacks=lacks,
        )

    def _missing(self) -> tuple[MissingModule, ...]:
        """Return what stands for nothing; that of which nobody can tell is an error of the report."""
        known = []
        for missing in self.closure.missing.values():
            if missing.path is None and self._may_be(missing.name):
                self.errors.append(as_diagnostic(not_found(self.system.tree, missing.name)))
            else:
                known.append(missing.replace(similar=self.similar.get(missing.name, ())))
        return tuple(known)

    def _may_be(self, name: str) -> bool:
        """Tell whether an index that is missing or damaged may know a name, or a directory `=SUBDIR` of modules."""
        tree = self.system.tree
        return tree.lacks_index("dep") if name.startswith("=") else tree.why_unknown(name) is not None

    # --- which modules

    def _add_name(self, name: Name) -> None:
        text = _text(name)
        if isinstance(name, Match):
            found = [name]
        elif isinstance(name, str) and name.startswith("="):
            found = self._below(name[1:].strip("/"))
        elif not isinstance(name, str) or names_file(name):
            found = [self._of_file(match_regular_file(self.system, os.path.abspath(name)))]
        else:
            found = self._known(name)
        if not found:
            self.closure.add_missing(text, Reason(text, REQUEST), required=True)
            self.similar[text] = () if text.startswith("=") else tuple(self.context.similar(text))
        for module in found:
            self.closure.add(module, text)

    def _known(self, name: str) -> list[Match]:
        try:
            found = self.context.lookup(name)
        except NameSyntaxError:
            return []
        return [module for module in found if module.path or module.builtin]

    def _below(self, subdirectory: str) -> list[Match]:
        """Return the modules of a directory: named with or without the part that begins the path, `kernel`."""
        start = f"{subdirectory}/" if subdirectory else ""
        found = []
        for module in self.context.tree.modules():
            path = module.path.removeprefix(f"{self.context.tree.directory}/")
            if path.startswith(start) or path.partition("/")[2].startswith(start):
                found.append(Match(module.name, None, module.path, module.dependencies, MODULES_DEP))
        return found

    def _of_file(self, module: Match) -> Match:
        """Return a module given by its file with the dependencies that the file states, unless it is the tree's own."""
        stated = stated_needs(self.system, module)
        if stated is None:
            return module
        for name in stated.missing:
            self.closure.add_missing(name, Reason(module.name, DEPENDENCY), required=True)
        if self.shipped or self.system.config.first("softdep", module.name) is None:
            self.closure.carry(module.name, stated.soft)
        return module.replace(dependencies=stated.dependencies)

    def _add_source(self, source: str) -> None:
        if source == LOADED:
            for module in reversed(self.context.loaded()):
                found = match_loaded(self.system, module.name)
                if found.path or found.builtin:
                    self.closure.add(found, module.name, LOADED)
                else:
                    self.closure.add_missing(module.name, Reason(module.name, LOADED), required=True)
        else:
            # The devices are those of this machine, whichever of its kernels the image is for.
            if not shows_machine(self.context, with_modules=True):
                raise LiveKernelNotAskedError("this is another system than the running one: its devices are not known")
            look = Look(self.context.roots)
            devices = device_aliases(look)
            self.errors += unread(look)
            for device in devices:
                names = [name for name in (device.modalias, device.module) if name]
                for found in [found for name in names for found in self._known(name)]:
                    if not (found.alias and found.blacklisted):  # which udev would not load
                        self.closure.add(found, device.path, DEVICE)

    # --- what they need

    def _nodes(self, observer: Observer | None) -> list[ClosureNode]:
        modules = list(self.closure.matches.values())
        nodes = []
        for module, patterns in zip(modules, self._all_patterns(modules, observer), strict=True):
            if patterns is None:
                why = self.closure.first_reason(module.name)
                required = self.closure.is_required(module.name)
                self.closure.add_missing(module.name, why, required=required, path=module.path)
                continue
            options = [rule.text for rule in self.system.config.options(module.name, module.alias)]
            nodes.append(
                ClosureNode(
                    module.name,
                    module.path,
                    MODULE if module.path else BUILTIN,
                    tuple(self.closure.why[module.name]),
                    tuple([self._find_firmware(pattern) for pattern in dict.fromkeys(patterns)]),
                    " ".join(options),
                )
            )
        return nodes

    def _all_patterns(self, modules: Sequence[Match], observer: Observer | None) -> Iterator[list[str] | None]:
        """Yield the names of firmware that each module states, None for one whose file is gone."""
        compressed = sum(module.path is not None and not module.path.endswith(".ko") for module in modules)
        if compressed < _MANY or (os.cpu_count() or 1) < 2:
            results: Iterable[list[str] | Error] = map(self._patterns, modules)
        else:
            from concurrent.futures import ThreadPoolExecutor

            results = ThreadPoolExecutor(os.cpu_count()).map(self._patterns, modules)  # decompressors free the lock
        for module, found in zip(counted(modules, "modules", observer), results, strict=True):
            if not isinstance(found, Error):
                yield found
            elif isinstance(found, FileError) and found.errno in (errno.ENOENT, errno.ENOTDIR):
                yield None
            else:
                self.errors.append(as_diagnostic(found, module.name))
                yield []

    def _patterns(self, module: Match) -> list[str] | Error:
        try:
            if module.path is None:
                fields = builtin_fields(self._builtin_strings(), module.name)
                return [field.value for field in fields if field.key == "firmware"]
            with ModuleFile(module.path) as file:
                strings = elf_of(file).data_of(b".modinfo") or b""
        except Error as error:
            return error
        marker = b"firmware="  # only these are made fields of: an alias list may have thousands of strings
        return [decode(text[len(marker) :]) for text in strings.split(b"\0") if text.startswith(marker)]

    def _builtin_strings(self) -> bytes:
        if self._modinfo is None:
            self._modinfo = read_or_none(f"{self.context.tree.directory}/modules.builtin.modinfo") or b""
        return self._modinfo

    def _find_firmware(self, pattern: str) -> Firmware:
        files: dict[str, None] = {}
        for path in self.firmware.find(pattern):
            found = self.files.resolve(path)
            files.update(dict.fromkeys((self.files.root + path, self.files.root + (found.path if found else path))))
        return Firmware(pattern, tuple(files), not files)

    # --- which files

    def _inside(self, path: str) -> str:
        """Return a path as the system itself has it."""
        return os.path.abspath(path).removeprefix(self.files.root)

    def _existing(self, paths: Iterable[str]) -> tuple[str, ...]:
        return tuple([path for path in paths if self.files.is_file(self._inside(path))])

    def _really(self, paths: Iterable[str]) -> list[str]:
        """Return the files that paths lead to, each once."""
        found = (self.files.resolve(self._inside(path)) for path in paths)
        return list(dict.fromkeys(self.files.root + resolved.path for resolved in found if resolved))

    def _archive(self, paths: Iterable[str]) -> tuple[str, ...]:
        entries: dict[str, None] = {}
        for path in paths:
            found = self.files.resolve(self._inside(path))
            if found:
                entries.update(dict.fromkeys(found.entries))
        return tuple([entry[1:] for entry in entries])

    # --- what an image lacks

    def _compare(
        self, image: str, nodes: Sequence[ClosureNode], configuration: Sequence[str], observer: Observer | None
    ) -> tuple[Lack, ...]:
        wanted = [_Wanted(path, CONFIGURATION, os.path.basename(path), None) for path in configuration]
        for node in nodes:
            if node.path:
                wanted.append(_Wanted(node.path, MODULE, node.name, node.name))
            for path in [path for firmware in node.firmware for path in firmware.files]:
                wanted.append(_Wanted(path, FIRMWARE, _firmware_name(self._inside(path)), node.name))
        release = self.context.roots.kernel_release
        files = read_image_files(image, lambda path: _place(path, release) is not None, observer)
        there = _by_kind(files, release)
        return tuple([lack for item in dict.fromkeys(wanted) if (lack := _lack(item, there))])


class _Wanted(Record):
    """A file that an image should have: its kind, and its name among those of that kind."""

    path: str
    kind: str
    name: str
    of: str | None


def _lack(wanted: _Wanted, there: dict[tuple[str, str], ImageFile]) -> Lack | None:
    found = there.get((wanted.kind, wanted.name))
    if found is None:
        return Lack(wanted.path, wanted.kind, ABSENT, wanted.of)
    same_form = os.path.splitext(found.path)[1] == os.path.splitext(wanted.path)[1]
    if found.digest is None or not same_form:  # a link, or compressed in another way
        return None
    return None if found.is_same(wanted.path) else Lack(wanted.path, wanted.kind, DIFFERENT, wanted.of)


def _by_kind(files: Iterable[ImageFile], release: str) -> dict[tuple[str, str], ImageFile]:
    found = {}
    for file in files:
        place = _place(file.path, release)
        if place:
            found[place] = file
    return found


def _place(path: str, release: str) -> tuple[str, str] | None:
    """Return what a file of an image is: its kind and its name there; None for one of no interest."""
    path = path.removeprefix("usr/")
    if path.startswith(f"lib/modules/{release}/") and has_module_extension(path):
        return MODULE, module_name(path)
    if path.startswith("lib/firmware/"):
        return FIRMWARE, _firmware_name(path)
    folder, _, name = path.rpartition("/")
    return (CONFIGURATION, name) if folder.endswith("/modprobe.d") else None


def _firmware_name(path: str) -> str:
    """Return a firmware file's name without the place that the kernel found it in, and how it is compressed."""
    name = path.lstrip("/").removeprefix("usr/").removeprefix("lib/firmware/")
    for suffix in COMPRESSED[1:]:
        name = name.removesuffix(suffix)
    return name


def _firmware_of(nodes: Iterable[ClosureNode]) -> Iterator[str]:
    for node in nodes:
        for firmware in node.firmware:
            yield from firmware.files


def _text(name: Name) -> str:
    return name.name if isinstance(name, Match) else os.fspath(name)


def _is_of_tree(work: _Work, file: str) -> bool:
    return file.startswith(f"{work.context.tree.directory}/")


def _root_of(roots: Roots) -> str:
    """Return the directory that paths in the system begin at: its root, or / where the modules lie outside."""
    root = os.path.abspath(roots.config_root) if roots.config_root.strip("/") else ""
    return root if os.path.abspath(module_directory(roots)).startswith(f"{root}/") else ""


def _chosen_firmware(context: Context) -> str:
    return (context.live.attribute("firmware_class", "parameters/path") or "").strip()
