"""Import the everyday commands from one file of byte code, the pack, instead of looking for a file for each module.

bin/kmod runs this file's code, which stands at the beginning of the pack with the index; the code of each module
follows. make_pack.py makes it. A pack is checked like Python's own byte code: a module whose source has another size or
time than when the pack was made is imported from its source.
"""

from __future__ import annotations

import marshal
import posix
import sys

# `import importlib` costs a millisecond; these are its parts that every interpreter has in memory.
from _frozen_importlib import ModuleSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
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

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> Any:
        """Return what importlib needs to load a module; None for one that is not in the pack, or has changed."""
        entry = self._index.get(name)
        if entry is None or (self._checked and not self._is_current(entry)):
            return None
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

    def create_module(self, _spec: object) -> None:
        """Let importlib make the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the code of a module."""
        file, _, _, _, offset, length = self._index[module.__name__]
        module.__file__ = f"{self._package}/{file}"
        exec(marshal.loads(posix.pread(self._fd, length, HEAD_SIZE + offset)), module.__dict__)


def install(fd: int, package: str, index: dict[str, Entry], checked: bool) -> None:
    """Import from the pack open as `fd` from now on."""
    finder: Any = PackedModules(fd, package, index, checked)
    sys.meta_path.insert(-1, finder)  # before the one that looks for files
