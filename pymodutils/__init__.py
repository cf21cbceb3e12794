"""pymodutils: Linux kernel modules, loaded, listed and described in Python; see docs/architecture.md for the layers.

Public names are imported when first used, so that the commands pay only for what they need.
"""

from __future__ import annotations

__version__ = "0.1.0"

_HOME = {
    "Roots": "roots",
    "Error": "errors",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'pymodutils' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"pymodutils.{_HOME[name]}"), name)
