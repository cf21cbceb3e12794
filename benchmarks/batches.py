# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many operands in one call, beside kmod, interleaved in one run.

    python -m benchmarks.batches [ROUNDS]

Each command gets the names of all modules of Debian's uncompressed tree (4,000) at once. Budgets are ratios of the
medians of wall time to kmod 34.2's: `modinfo` 2.0, `modinfo -F firmware` 1.6, `modprobe -a -D` 4.0, and the library's
`Context.infos()`, as a process, 2.0 times kmod's modinfo. Two free CPUs count, since ours shares the work.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.startup import PACKER, PYTHON
from tests.support import assets

BIN = Path(__file__).parent.parent / "bin"
ROUNDS = 7
LIBRARY = """
import sys
sys.path.insert(0, sys.argv[1])
from pymodutils import Context, Roots
for info in Context(Roots(base=sys.argv[2], release=sys.argv[3])).infos():
    pass
"""


def commands() -> dict[str, tuple[list[str], list[str], float]]:
    """Our command, kmod's and the budget, by what is measured."""
    base, release = str(assets.module_tree("6.1")), assets.release("6.1")
    listing = Path(base, "lib/modules", release, "modules.dep").read_text()
    names = [Path(line.partition(":")[0]).name.removesuffix(".ko") for line in listing.splitlines()]
    modinfo, modprobe = ["-b", base, "-k", release], ["-d", base, "-S", release, "-C", "/dev/null", "-a", "-D"]

    def pair(name: str, words: list[str], budget: float) -> tuple[list[str], list[str], float]:
        return [str(BIN / name), *words, *names], [*assets.kmod34_argv(name), *words, *names], budget

    library = [PYTHON, "-I", "-S", "-c", LIBRARY, str(BIN.parent), base, release]
    return {
        "modinfo": pair("modinfo", modinfo, 2.0),
        "modinfo -F firmware": pair("modinfo", [*modinfo, "-F", "firmware"], 1.6),
        "modprobe -a -D": pair("modprobe", modprobe, 4.0),
        "infos()": (library, [*assets.kmod34_argv("modinfo"), *modinfo, *names], 2.0),
    }


def seconds(words: list[str]) -> float:
    """Wall time of one command."""
    start = time.perf_counter()
    subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def main() -> int:
    """Measure, print the table, say whether the budgets hold."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    subprocess.run([PYTHON, "-IS", PACKER], check=True)
    status = 0
    print(f"batches, median of {rounds}, interleaved\n")
    print(f"{'all modules':<22}{'kmod ms':>9}{'ours ms':>9}{'ratio':>8}  budget")
    for name, (ours, kmods, budget) in commands().items():
        seconds(ours), seconds(kmods)
        pairs = [(seconds(ours), seconds(kmods)) for _ in range(rounds)]
        our, kmod = (statistics.median(times) * 1000 for times in zip(*pairs, strict=True))
        over = our / kmod > budget
        status |= over
        print(f"{name:<22}{kmod:>9.0f}{our:>9.0f}{our / kmod:>8.2f}  {budget}{'  OVER' if over else ''}")
    return status


if __name__ == "__main__":
    sys.exit(main())
