# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many operands in one call: each command gets the names of all modules of Debian's uncompressed tree (4,000) at once.

The library's `Context.infos()` of the whole tree runs as a process, beside kmod's modinfo. Ours shares the work among
the CPUs that are free.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.measuring import commands
from benchmarks.peers import BUSYBOX, OURS, PYTHON, REPO
from benchmarks.table import Result
from tests.support import assets

KERNEL = "6.1"
ROUNDS = 7
LIBRARY = """
import sys
sys.path.insert(0, sys.argv[1])
from pymodutils import Context, Roots
for info in Context(Roots(base=sys.argv[2], release=sys.argv[3])).infos():
    pass
"""


def operands(base: Path, release: str) -> tuple[list[str], list[str]]:
    """The names of a tree's modules, and the paths."""
    directory = base / "lib/modules" / release
    paths = [line.partition(":")[0] for line in (directory / "modules.dep").read_text().splitlines()]
    names = [Path(path).name.removesuffix(".ko") for path in paths]
    return names, [os.path.join(directory, path) for path in paths]


def measure(bench: Bench) -> Iterator[Result]:
    """Yield each row."""
    base, release = str(assets.module_tree(KERNEL)), assets.release(KERNEL)
    names, paths = operands(Path(base), release)
    modinfo, modprobe = ["-b", base, "-k", release], ["-d", base, "-S", release, "-C", "/dev/null", "-a", "-D"]
    firmware = ["-F", "firmware"]
    yield bench.compare("modinfo of all", "modinfo", [*modinfo, *names], ROUNDS, {BUSYBOX: paths})
    yield bench.compare("modinfo -F firmware of all", "modinfo", [*modinfo, *firmware, *names], ROUNDS,
                        {BUSYBOX: [*firmware, *paths]})  # fmt: skip
    yield bench.compare("modprobe -a -D of all", "modprobe", [*modprobe, *names], ROUNDS)
    words = bench.words("infos() of all, to modinfo", "modinfo", [*modinfo, *names])
    words[OURS] = [PYTHON, "-I", "-S", "-c", LIBRARY, str(REPO), base, release]
    yield bench.result("infos() of all, to modinfo", commands(words, bench.rounds(ROUNDS)))
