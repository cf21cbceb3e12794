"""The library's short ways in: what most programs want, each one call."""

from __future__ import annotations

from .errors import NotFoundError
from .names import module_name
from .roots import Roots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .formats.procmodules import LoadedModule
    from .state.description import ModuleInfo


def loaded_modules(roots: Roots | None = None) -> list[LoadedModule]:
    """The modules in the kernel, newest first: one snapshot of /proc/modules. Raises `FileError`, `FormatError`."""
    from .state.live import LiveKernel

    return LiveKernel(roots or Roots()).modules()


def module_info(name_or_path: str, roots: Roots | None = None) -> ModuleInfo:
    """What a module says of itself, by its file's path (anything with a slash) or its name.

    Raises `NotFoundError`, `FileError`, and `FormatError`s for a broken file or index.
    """
    from .state.description import describe_builtin, describe_file
    from .state.modulefile import ModuleFile
    from .state.tree import ModuleTree

    path = name_or_path
    if "/" not in path:
        tree, name = ModuleTree(roots or Roots()), module_name(name_or_path)
        found = tree.find(name)
        if found is None:
            if tree.is_builtin(name):
                return describe_builtin(name, tree.builtin_modinfo(name))
            raise NotFoundError("module not found", module=name)
        path = found.path
    with ModuleFile(path) as module:
        return describe_file(module)
