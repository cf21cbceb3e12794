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
    """The module called `name`, or None when it is not installed."""
    found = _import(name)
    if found is None and sys.flags.no_site:
        import site

        added = [path for path in site.getsitepackages() if path not in sys.path]
        sys.path += added
        found = _import(name)
    return found


def _import(name: str) -> ModuleType | None:
    try:
        __import__(name)
    except ImportError:
        return None
    return sys.modules[name]
