# SPDX-License-Identifier: LGPL-2.1-or-later
"""Modules and firmware that an image needs, as mkosi resolves them.

    python examples/initrd_modules.py /mnt/image 6.12.5-amd64 ext4 'kernel/drivers/nvme/*'

A module needs its dependencies and all its soft dependencies, and the firmware files that it and builtin modules name.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

from pymodutils import Context, ModuleInfo, Roots

FIELDS = ("depends", "softdeps", "firmware")


def resolve(system: Context, patterns: Iterable[str], firmware: Path) -> tuple[set[Path], set[Path]]:
    """Return the files of modules, and the files below `firmware`, that the modules matching `patterns` need."""
    of_tree = {info.name: info for info in system.infos(fields=FIELDS)}
    of_kernel = {info.name: info for info in system.infos(filter(None, map(system.find, system.builtins())), FIELDS)}
    known = of_kernel | of_tree
    todo = [*of_kernel, *chosen(system, patterns)]
    found: set[str] = set()
    while todo:
        name = todo.pop()
        if name in known and name not in found:
            found.add(name)
            todo += needs(known[name])
    modules = {Path(path) for name in found if (path := known[name].filename)}
    return modules, {file for name in found for pattern in known[name].firmware for file in matching(firmware, pattern)}


def chosen(system: Context, patterns: Iterable[str]) -> Iterator[str]:
    """Yield the modules whose name, or whose path in the module directory, matches."""
    for module in system.available():
        path = module.path.removeprefix(f"{system.tree.directory}/")
        if any(fnmatch(module.name, pattern.replace("-", "_")) or fnmatch(path, pattern) for pattern in patterns):
            yield module.name


def needs(info: ModuleInfo) -> list[str]:
    """Return the names of all modules that one wants."""
    return [*info.depends, *info.softdeps.pre, *info.softdeps.post]


def matching(firmware: Path, pattern: str) -> Iterator[Path]:
    """Yield the firmware files of a name, which may be a pattern; they may be compressed."""
    yield from firmware.glob(pattern)
    yield from firmware.glob(f"{pattern}.*")


if __name__ == "__main__":
    root, release, *wanted = sys.argv[1:]
    with Context(Roots.of_system(root, release)) as image:
        modules, firmware = resolve(image, wanted, Path(root, "usr/lib/firmware"))
    print(*sorted(modules | firmware), sep="\n")
