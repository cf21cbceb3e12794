# SPDX-License-Identifier: LGPL-2.1-or-later
"""List, load and remove modules with a record of what changed: what Salt's execution module `kmod` offers.

python examples/minion_kmod.py load dummy
"""

from __future__ import annotations

import json
import sys

from pymodutils import Context


def available(system: Context) -> list[str]:
    """Return the names of all modules that can be loaded or are builtin, sorted."""
    return sorted([module.name for module in system.available()] + system.builtins())


def check_available(system: Context, name: str) -> bool:
    """Tell whether there is a module of this name."""
    return system.find(name) is not None


def lsmod(system: Context) -> list[dict[str, object]]:
    """Return the loaded modules with sizes and what uses them."""
    return [
        {"size": module.size, "module": module.name, "depcount": module.refcount, "deps": list(module.holders)}
        for module in system.loaded()
    ]


def mod_list(system: Context) -> list[str]:
    """Return the names of the loaded modules, sorted."""
    return sorted(module.name for module in system.loaded())


def is_loaded(system: Context, name: str) -> bool:
    """Tell whether a module is loaded."""
    return system.live.state(name) is not None


def load(system: Context, name: str) -> list[str]:
    """Load a module with what it needs; return the names of the modules that are new."""
    before = set(mod_list(system))
    system.load(name)
    return sorted(set(mod_list(system)) - before)


def remove(system: Context, name: str) -> list[str]:
    """Remove a module with what only it needed; return the names of the modules that are gone."""
    before = set(mod_list(system))
    system.unload(name)
    return sorted(before - set(mod_list(system)))


if __name__ == "__main__":
    function, *names = sys.argv[1:]
    with Context() as here:
        print(json.dumps(globals()[function](here, *names), indent=2))
