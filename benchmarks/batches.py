# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many operands in one call: each command gets the names of all modules of Debian's uncompressed tree (4,000) at once.

The library's `Context.infos()` of the whole tree runs as a process, next to kmod's modinfo. Ours shares the work among
the CPUs that are free.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.measuring import commands
from benchmarks.peers import BUSYBOX, OURS, PYTHON, REPO
from benchmarks.startup import KERNEL, among_modules
from benchmarks.table import Result
from tests.support import assets

ROUNDS = 7
LIBRARY = """
import sys
sys.path.insert(0, sys.argv[1])
from pymodutils import Context, Roots
for info in Context(Roots(base=sys.argv[2], release=sys.argv[3])).infos():
    pass
"""


def operands(base: Path, release: str) -> list[str]:
    """The names of a tree's modules."""
    listing = (base / "lib/modules" / release / "modules.dep").read_text()
    return [Path(line.partition(":")[0]).name.removesuffix(".ko") for line in listing.splitlines()]


def measure(bench: Bench) -> Iterator[Result]:
    """Yield each row."""
    base, release = str(assets.module_tree(KERNEL)), assets.release(KERNEL)
    names = operands(Path(base), release)
    modinfo, modprobe = ["-b", base, "-k", release], ["-d", base, "-S", release, "-C", "/dev/null", "-a", "-D"]

    def compare(name: str, *options: str) -> Result:
        words = [*options, *names]
        others = {BUSYBOX: words}
        return among_modules(bench.scratch, lambda: bench.compare(name, "modinfo", [*modinfo, *words], ROUNDS, others))

    yield compare("modinfo of all")
    yield compare("modinfo -F firmware of all", "-F", "firmware")
    yield bench.compare("modprobe -a -D of all", "modprobe", [*modprobe, *names], ROUNDS)
    words = bench.words("infos() of all, to modinfo", "modinfo", [*modinfo, *names])
    words[OURS] = [PYTHON, "-I", "-S", "-c", LIBRARY, str(REPO), base, release]
    yield bench.result("infos() of all, to modinfo", commands(words, bench.rounds(ROUNDS)))
