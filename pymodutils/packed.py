# SPDX-License-Identifier: LGPL-2.1-or-later
"""Import the everyday commands from one file of byte code, the pack, instead of looking for a file for each module.

The pack begins with the number of Python's byte code, the code of this file, which bin/kmod runs, and the index.
The code of each module follows. make_pack.py makes it. A pack is checked like Python's own byte code: a module whose
source has another size or time than when the pack was made is imported from its source, and so is a damaged one.
"""

from __future__ import annotations

import marshal
import posix
import sys

# `import importlib` costs a millisecond; these are its parts that every interpreter has in memory.
from _frozen_importlib import ModuleSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any

    Entry = tuple[str, bool, int, int, int, int]
    """A module: its file below the package, whether it is a package, the file's size and time, where its code is."""

HEAD_SIZE = 16384
"""Bytes that bin/kmod reads at once: the finder and the index, with room to grow."""


class PackedModules:
    """Finds and loads the modules of a pack, open as `fd`, for the package in the directory `package`."""

    def __init__(self, fd: int, package: str, index: dict[str, Entry], checked: bool) -> None:
        self._fd = fd
        self._package = package
        self._index = index
        self._checked = checked
        self._found: dict[str, CodeType] = {}

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> Any:
        """Return what importlib needs to load a module; None for one that is not in the pack, or has changed."""
        entry = self._index.get(name)
        if entry is None or (self._checked and not self._is_current(entry)):
            return None
        code = self._code(entry)
        if code is None:
            return None
        self._found[name] = code
        loader: Any = self
        spec: Any = ModuleSpec(name, loader, origin=f"{self._package}/{entry[0]}", is_package=entry[1])
        if entry[1]:
            spec.submodule_search_locations.append(spec.origin.rpartition("/")[0])
        return spec

    def _is_current(self, entry: Entry) -> bool:
        try:
            found = posix.stat(f"{self._package}/{entry[0]}")
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == entry[2:4]

    def _code(self, entry: Entry) -> CodeType | None:
        """Return the code of a module; None when the pack is damaged there."""
        _, _, _, _, offset, length = entry
        try:
            code = marshal.loads(posix.pread(self._fd, length, HEAD_SIZE + offset))
        except Exception:  # whatever marshal makes of it
            return None
        return code if type(code) is _CODE_TYPE else None

    def create_module(self, _spec: object) -> None:
        """Let importlib make the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the code of a module."""
        module.__file__ = f"{self._package}/{self._index[module.__name__][0]}"
        exec(self._found.pop(module.__name__), module.__dict__)


_CODE_TYPE = type(PackedModules.find_spec.__code__)


def install(fd: int, package: str, index: dict[str, Entry], checked: bool) -> None:
    """Import from the pack open as `fd` from now on."""
    finder: Any = PackedModules(fd, package, index, checked)
    sys.meta_path.insert(-1, finder)  # before the one that looks for files
