# SPDX-License-Identifier: LGPL-2.1-or-later
"""Import the everyday commands from one file of byte code, the pack, instead of looking for a file for each module.

The pack begins with the number of Python's byte code, the code of this file, which bin/kmod runs, and the index.
The code of each module follows. make_pack.py makes it. A pack is checked like Python's own byte code: a module whose
source has another size or time than when the pack was made is imported from its source, and so is a damaged one.

Before a module, all modules are run that it imports first: what importlib does for each takes longer than most of them.
Only `-X importtime` wants to see each one imported.
"""

from __future__ import annotations

import marshal
import posix
import sys

# `import importlib` costs a millisecond; these are its parts that every interpreter has in memory.
from _frozen_importlib import ModuleSpec
from _thread import _count as other_threads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any

    Entry = tuple[str, bool, int, int, int, int, tuple[str, ...]]
    """A module: its file below the package, whether it is a package, the file's size and time, where its code is, and
    the modules that it imports as soon as it runs, packages before what is in them."""

HEAD_SIZE = 24576
"""Bytes that bin/kmod reads at once: the finder and the index, with room to grow."""


class PackedModules:
    """Finds and loads the modules of a pack, open as `fd`, for the package in the directory `package`."""

    def __init__(self, fd: int, package: str, index: dict[str, Entry], checked: bool) -> None:
        self._fd = fd
        self._package = package
        self._index = index
        self._checked = checked
        self._modules = sys.modules
        self._runs_first: bool = "importtime" not in sys._xoptions
        self._found: dict[str, CodeType] = {}

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> Any:
        """Return what importlib needs to load a module; None for one that is not in the pack, or has changed."""
        entry = self._index.get(name)
        if entry is None or not self._is_current(entry):
            return None
        if self._runs_first and not other_threads():  # which could meet a module that runs
            self._run_first(entry)
        code = self._code(entry)
        if code is None:
            return None
        self._found[name] = code
        return self._spec(name, entry)

    def _run_first(self, entry: Entry) -> None:
        """Run what a module imports first, as far as it is in the pack and has not run."""
        for name in entry[6]:
            if name not in self._modules:
                self._run(name)

    def _run(self, name: str) -> None:
        """Make a module and run it, or leave it to importlib."""
        entry = self._index.get(name)
        package = self._modules.get(name.rpartition(".")[0])
        if entry is None or package is None or not self._is_current(entry):  # a package that runs is not there yet
            return
        self._run_first(entry)
        code = self._code(entry)
        if code is None:
            return
        module: Any = type(sys)(name)
        spec = module.__spec__ = self._spec(name, entry)
        module.__loader__, module.__package__, module.__file__ = self, spec.parent, spec.origin
        if entry[1]:
            module.__path__ = spec.submodule_search_locations
        self._modules[name] = module
        try:
            exec(code, module.__dict__)
        except BaseException:
            self._modules.pop(name, None)
            raise
        setattr(package, name.rpartition(".")[2], module)

    def _spec(self, name: str, entry: Entry) -> Any:
        loader: Any = self
        spec: Any = ModuleSpec(name, loader, origin=f"{self._package}/{entry[0]}", is_package=entry[1])
        if entry[1]:
            spec.submodule_search_locations.append(spec.origin.rpartition("/")[0])
        return spec

    def _is_current(self, entry: Entry) -> bool:
        if not self._checked:
            return True
        try:
            found = posix.stat(f"{self._package}/{entry[0]}")
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == entry[2:4]

    def _code(self, entry: Entry) -> CodeType | None:
        """Return the code of a module; None when the pack is damaged there."""
        _, _, _, _, offset, length, _ = entry
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
    sys.meta_path.insert(0, finder)
