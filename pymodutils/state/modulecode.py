# SPDX-License-Identifier: LGPL-2.1-or-later
"""The code of a module or of the kernel in a file: its functions, and the source lines of what is in them."""

from __future__ import annotations

import os

from ..errors import Error
from ..formats.debugimage import debug_image, has_debug
from ..formats.dwarf import DebugInfo, is_readable
from ..formats.elf import ET_REL
from ..formats.functions import Function, functions, release_in
from ..names import normalize_name
from .modulefile import ModuleFile, elf_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..formats.dwarf import SourceLine

DEBUG_ROOT = "/usr/lib/debug"
"""Where distributions install debugging data."""

VMLINUX = "vmlinux"
"""What the kernel's own file is called where it was built."""
_KERNELS = (
    "{system}/boot/vmlinux-{release}", "{system}/lib/modules/{release}/vmlinux",
    "{system}/usr/lib/modules/{release}/vmlinux", "{system}/lib/modules/{release}/vmlinux.debug",
    "{base}/boot/vmlinux-{release}", "{base}/lib/modules/{release}/vmlinux",
    "{base}/lib/modules/{release}/build/vmlinux",
)  # fmt: skip
"""Where distributions, and who builds a kernel, put that file."""
_ENDINGS = (".ko.debug", ".debug", ".ko.xz", ".ko.zst", ".ko.gz", ".ko")
_MOST_ENTRIES = 500_000
"""Directory entries that are looked at for files of modules."""


class ModuleCode:
    """The file of a module or of the kernel, or the one with its debugging data.

    Opening raises `Error`; no file stays open. `is_module` is false for the kernel's. `release` is that of the kernel,
    None for a module and for a file without its data. `damage` is what keeps its debugging data from being read.
    """

    def __init__(self, path: str) -> None:
        self.path: str = path
        self.damage: Error | None = None
        with ModuleFile(path) as module:
            self.build_id: bytes | None = module.build_id()
            self.is_module: bool = elf_of(module).type == ET_REL
            self.functions: dict[str, list[Function]] = functions(elf_of(module))
            self.has_debug: bool = has_debug(elf_of(module))
            self.release: str | None = release_in(elf_of(module))
        self._debug: DebugInfo | None = None
        self._bases: dict[int, int] = {}
        self._is_read = False

    def lines(self, function: Function, offset: int) -> tuple[SourceLine, ...]:
        """Return the source lines of a place in a function; none where they are not known."""
        try:
            if not self._is_read:
                self._is_read = True
                self._read()
            if self._debug is not None:
                found = self._debug.lines(self._bases.get(function.section, 0) + function.value + offset)
                if found and found[-1].function is None:  # as of code in assembly language
                    found[-1] = found[-1].replace(function=function.name)
                return tuple(found)
        except Error as error:
            self.damage = error
        return ()

    def _read(self) -> None:
        if not self.has_debug or not is_readable():
            return
        with ModuleFile(self.path) as module:
            image = debug_image(elf_of(module))
        if image is not None:
            self._debug = DebugInfo(image.data)
            self._bases = dict(image.bases)


class DebugDirectories:
    """Finds files with the code or the debugging data of modules below some directories."""

    def __init__(self, base: str, directories: Iterable[str]) -> None:
        self._own = list(directories)
        self._system = base + DEBUG_ROOT
        self._base = base
        self._names: dict[str, list[str]] | None = None

    def by_build_id(self, build_id: str) -> Iterator[str]:
        """Yield the files with debugging data of a build."""
        tail = f".build-id/{build_id[:2]}/{build_id[2:]}.debug"
        places = [place for own in self._own for place in (own, own + DEBUG_ROOT)]
        for place in (*places, self._system):
            path = f"{place}/{tail}"
            if os.path.isfile(path):
                yield path

    def by_path(self, path: str) -> Iterator[str]:
        """Yield the files that a distribution installs for the module at a path."""
        inside = path.removeprefix(self._base)
        for compression in (".xz", ".zst", ".gz"):
            inside = inside.removesuffix(compression)
        for start in ("", "/usr"):
            for ending in ("", ".debug"):
                found = f"{self._system}{start}{inside}{ending}"
                if os.path.isfile(found):
                    yield found

    def of_kernel(self, release: str | None) -> list[str]:
        """Return the files that may be the kernel of a release, those in one's own directories first."""
        names = [VMLINUX, *([f"{VMLINUX}-{release}"] if release else [])]
        found = [path for name in names for path in self._files_called(name)]
        places = [place.format(system=self._system, base=self._base, release=release) for place in _KERNELS]
        return found + [path for path in places if release and "/" not in release and os.path.isfile(path)]

    def by_name(self, name: str) -> list[str]:
        """Return the files below one's own directories that are called like a module."""
        return self._files_called(normalize_name(name))

    def _files_called(self, name: str) -> list[str]:
        if self._names is None:
            self._names = {}
            for path in self._files():
                base = os.path.basename(path)
                if base.removesuffix(".debug") == VMLINUX or base.startswith(f"{VMLINUX}-"):
                    self._names.setdefault(base.removesuffix(".debug"), []).append(path)
                    continue
                ending = next((ending for ending in _ENDINGS if base.endswith(ending)), "")
                if ending:
                    self._names.setdefault(normalize_name(base.removesuffix(ending)), []).append(path)
        return self._names.get(name, [])

    def _files(self) -> Iterator[str]:
        left = _MOST_ENTRIES
        for own in self._own:
            for directory, names, files in os.walk(own):
                names.sort()
                left -= len(files) + len(names)
                if left < 0:
                    return
                yield from (f"{directory}/{file}" for file in sorted(files))
