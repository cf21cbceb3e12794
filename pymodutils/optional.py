# SPDX-License-Identifier: LGPL-2.1-or-later
"""Optional third-party libraries: imported late, and found although the commands start without site-packages.

The commands run with `-I -S`, so that nothing a user or a directory offers can be imported. An optional library is
looked up only in the directories that the interpreter's own installation defines.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any


def load(name: str) -> Any:
    """Import and return the module called `name`; return None when it is not installed, or installed and broken."""
    return _import(name) or (_import(name) if _add_site_packages() else None)


def load_part(package: str, part: str) -> Any:
    """Import and return the module `package.part` without its package's own code, which may import much.

    Returns None when that fails: then the caller has to `load` the package.
    """
    return _import_part(package, part) or (_import_part(package, part) if _add_site_packages() else None)


def _add_site_packages() -> bool:
    """Add the interpreter's site-packages to the search path; tell whether there were any to add."""
    if not sys.flags.no_site:
        return False
    import site

    added = [path for path in site.getsitepackages() if path not in sys.path]
    sys.path += added
    return bool(added)


def _import(name: str) -> ModuleType | None:
    try:
        __import__(name)
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:  # those of extensions in Rust are no Exception
        _raise_for_memory(error)
        return None
    return sys.modules[name]


def _import_part(package: str, part: str) -> ModuleType | None:
    """Import one module of a package without the package; None if that cannot be done."""
    name = f"{package}.{part}"
    if name in sys.modules:
        return sys.modules[name]
    from _frozen_importlib_external import PathFinder  # `importlib` would import `warnings`

    outer = PathFinder.find_spec(package)
    inner = PathFinder.find_spec(name, outer.submodule_search_locations) if outer else None
    if inner is None or inner.loader is None:
        return None
    try:
        module = inner.loader.create_module(inner)
        if module is not None:
            inner.loader.exec_module(module)
            sys.modules[name] = module
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:
        _raise_for_memory(error)
        return None
    return module


_SCARCE = 16 << 20
"""Bytes of memory; with less, a library that does not load is not therefore a broken one."""


def _raise_for_memory(error: BaseException) -> None:
    """Raise MemoryError where an import failed for lack of it: the loader of libraries does not say why."""
    if isinstance(error, (ImportError, SystemError, OSError)) and not isinstance(error, ModuleNotFoundError):
        bytes(_SCARCE)
