"""The library's short ways in: what most programs want, each one call."""

from __future__ import annotations

import os

from .errors import NotFoundError
from .names import module_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .formats.procmodules import LoadedModule
    from .roots import Roots
    from .state.description import ModuleInfo


def loaded_modules(roots: Roots | None = None) -> list[LoadedModule]:
    """The modules in the kernel, newest first: one snapshot of /proc/modules. Raises `FileError`, `FormatError`."""
    from .state.live import LiveKernel

    return LiveKernel(roots).modules()


def module_info(name_or_path: str | os.PathLike[str], roots: Roots | None = None) -> ModuleInfo:
    """What a module says of itself, by its file's path (a `Path`, or anything with a slash) or its name.

    Raises `NotFoundError`, `FileError`, `MissingSupportError`, and `FormatError`s for a broken file or index.
    """
    from .state.description import describe_builtin, describe_file
    from .state.modulefile import ModuleFile
    from .state.tree import ModuleTree

    path = os.fspath(name_or_path)
    if isinstance(name_or_path, str) and "/" not in path:
        tree, name = ModuleTree(roots), module_name(path)
        found = tree.find(name)
        if found is None:
            if tree.is_builtin(name):
                return describe_builtin(name, tree.builtin_modinfo(name))
            raise NotFoundError("module not found", module=name)
        path = found.path
    with ModuleFile(path) as module:
        return describe_file(module)
