"""Import the everyday commands from one file of byte code, the pack, instead of looking for a file for each module.

`python3 -IS pymodutils/packed.py [--unchecked]` makes the pack for the Python that runs it. bin/kmod uses it when it is
there; it saves a seventh of the time that a command takes. A pack is checked like Python's own byte code: a module
whose source has another size or time than when the pack was made is imported from its source. Packages that replace
all files together may leave that out (`--unchecked`).

The pack begins with the code of this file and the index; the code of each module follows, without docstrings.
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
RARE = ("depmod", "diagnosis", "verbs", "cli/depmod", "cli/verbs", "packed.py", "__main__.py")
"""What the everyday commands never import."""


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


def pack_path(package: str) -> str:
    """Return where the pack of the running Python is."""
    return f"{package}/__pycache__/commands.{sys.implementation.cache_tag}.pack"


def make_pack(package: str, *, checked: bool) -> bytes:
    """Return the bytes of a pack for the package in a directory."""
    import os

    index: dict[str, Entry] = {}
    codes: list[bytes] = []
    offset = 0
    for file in _everyday_files(package):
        path = f"{package}/{file}"
        code = marshal.dumps(_code(path, f"pymodutils/{file}"))
        name = ".".join(["pymodutils", *file.removesuffix(".py").removesuffix("__init__").strip("/").split("/")])
        found = os.stat(path)
        size, time = (found.st_size, found.st_mtime_ns) if checked else (0, 0)
        index[name.rstrip(".")] = (file, file.endswith("__init__.py"), size, time, offset, len(code))
        codes.append(code)
        offset += len(code)
    head = marshal.dumps((_code(f"{package}/packed.py", "pymodutils/packed.py"), index, checked))
    if len(head) > HEAD_SIZE:
        raise ValueError(f"the head has {len(head)} bytes, more than {HEAD_SIZE}")
    return head.ljust(HEAD_SIZE, b"\0") + b"".join(codes)


def _everyday_files(package: str) -> list[str]:
    import os

    found = []
    for directory, _, names in os.walk(package):
        below = os.path.relpath(directory, package)
        found += [os.path.normpath(f"{below}/{name}") for name in names if name.endswith(".py")]
    return sorted(file for file in found if not f"{file}/".startswith(tuple(f"{rare}/" for rare in RARE)))


def _code(path: str, shown: str) -> CodeType:
    with open(path, encoding="utf-8") as file:
        code: CodeType = compile(file.read(), shown, "exec", dont_inherit=True, optimize=2)
    return code


def main(arguments: list[str]) -> int:
    """Write the pack of the package that this file is in; return the status."""
    import os

    package = os.path.dirname(os.path.abspath(__file__))
    path = pack_path(package)
    data = make_pack(package, checked="--unchecked" not in arguments)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.new", "wb") as file:
        file.write(data)
    os.replace(f"{path}.new", path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
