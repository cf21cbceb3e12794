# SPDX-License-Identifier: LGPL-2.1-or-later
"""Modules of a kind, found by the symbols that they use, and all that they need: what dracut's instmods does.

    python examples/symbol_closure.py 'kernel/drivers/block/*' 'blk_alloc_disk|ahci_platform_get_resources'

Block device drivers are those below drivers/block that use one of these functions of the kernel.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatch

from pymodutils import Context, TreeModule


def modules_using(system: Context, pattern: str, symbols: str) -> Iterator[TreeModule]:
    """Yield the modules of the tree whose path matches and which need a symbol that matches."""
    wanted = re.compile(symbols)
    for module in system.available():
        if fnmatch(module.path.removeprefix(f"{system.tree.directory}/"), pattern):
            with system.open(module.name) as file:
                if any(wanted.search(need.name) for need in file.needs()):
                    yield module


def closure(system: Context, pattern: str, symbols: str) -> list[str]:
    """Return the files to copy: what must be loaded first comes first."""
    files: dict[str, None] = {}  # ordered, each once
    for module in modules_using(system, pattern, symbols):
        for step in system.plan_load(module.name, ignore_loaded=True, ignore_commands=True).steps:
            if step.path:
                files[step.path] = None
    return list(files)


if __name__ == "__main__":
    with Context() as here:
        print(*closure(here, *sys.argv[1:]), sep="\n")
