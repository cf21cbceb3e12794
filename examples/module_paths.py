# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files to load for some names, in order, as virtme-ng looks for them.

    python examples/module_paths.py 6.12.5-amd64 virtiofs 9p overlay

Names of builtin modules need no file. Names that nothing knows are told apart: the caller decides what they mean.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from pymodutils import Context, Roots


def module_paths(system: Context, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the files to load one after the other, and the names that stand for nothing."""
    files: dict[str, None] = {}  # ordered, each once
    unknown = []
    for name in names:
        plan = system.plan_load(name, ignore_loaded=True)
        if not plan.targets:
            unknown.append(name)
        files |= dict.fromkeys(step.path for step in plan.steps if step.action == "insert" and step.path)
    return list(files), unknown


if __name__ == "__main__":
    release, *wanted = sys.argv[1:]
    with Context(Roots(release=release)) as tree:
        paths, missing = module_paths(tree, wanted)
    print(*paths, sep="\n")
    if missing:
        sys.exit(f"unknown: {', '.join(missing)}")
