"""pymodutils: Linux kernel modules, loaded, listed and described in Python; see docs/architecture.md for the layers.

Public names are imported when first used, so that the commands pay only for what they need.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .api import loaded_modules, module_info
    from .effects.execute import Kernel
    from .errors import Error
    from .formats.modinfo import Field, Parameter, Softdep
    from .formats.procmodules import LoadedModule
    from .formats.signature import Signature
    from .roots import Roots
    from .state.description import ModuleInfo
    from .state.live import LiveKernel
    from .state.modulefile import ModuleFile
    from .state.tree import ModuleTree, TreeModule

__version__ = "0.1.0"

# Where each public name lives.
_HOMES = {
    "Error": "errors",
    "Field": "formats.modinfo",
    "Kernel": "effects.execute",
    "LiveKernel": "state.live",
    "LoadedModule": "formats.procmodules",
    "ModuleFile": "state.modulefile",
    "ModuleInfo": "state.description",
    "ModuleTree": "state.tree",
    "Parameter": "formats.modinfo",
    "Roots": "roots",
    "Signature": "formats.signature",
    "Softdep": "formats.modinfo",
    "TreeModule": "state.tree",
    "loaded_modules": "api",
    "module_info": "api",
}

__all__ = [
    "Error",
    "Field",
    "Kernel",
    "LiveKernel",
    "LoadedModule",
    "ModuleFile",
    "ModuleInfo",
    "ModuleTree",
    "Parameter",
    "Roots",
    "Signature",
    "Softdep",
    "TreeModule",
    "__version__",
    "loaded_modules",
    "module_info",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if not TYPE_CHECKING:  # else a type checker would take any name for a public one

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'pymodutils' has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"pymodutils.{home}"), name)
