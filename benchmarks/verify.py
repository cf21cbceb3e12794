# SPDX-License-Identifier: LGPL-2.1-or-later
"""`kmod verify` on whole trees: against our depmod without signatures, and by the clock with Debian's.

CPU time is shown as well: other work on the machine changes it less.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.bench import Bench
from benchmarks.measuring import NotMeasured, both_times, usage
from benchmarks.peers import BIN, OURS
from benchmarks.registry import OWN_DEPMOD
from benchmarks.table import Result
from tests.support import assets

ROUNDS = 9


def words(kernel: str, compression: str, *more: str) -> list[str]:
    """The command line for a tree; the kernel's symbols are those of Module.symvers, as where headers are installed."""
    tree = ["-d", str(assets.module_tree(kernel, compression)), "-S", assets.release(kernel)]
    symbols = ["--symbols", str(assets.headers(kernel) / "Module.symvers")]
    return [str(BIN / "kmod"), "verify", *tree, *symbols, *more]


def measure(bench: Bench) -> Iterator[Result]:
    """Yield each row."""
    base = ["-b", str(assets.module_tree("6.1")), "-o", str(bench.scratch), assets.release("6.1")]
    compared = {OURS: words("6.1", "none", "--keys=none"), OWN_DEPMOD: [str(BIN / "depmod"), *base]}
    runs = {name: partial(usage, one) for name, one in compared.items()}
    wall, cpu = both_times(runs, bench.rounds(ROUNDS))
    yield bench.result("kmod verify, 6.1, no signatures", wall)
    yield bench.result("the same, CPU time", cpu)
    yield by_the_clock(bench, "kmod verify, 6.1, RSA", "6.1", "none")
    yield by_the_clock(bench, "kmod verify, 6.12 xz, ECDSA", "6.12", "xz")


def by_the_clock(bench: Bench, name: str, kernel: str, compression: str) -> Result:
    """With signatures: seconds."""
    image = assets.linux(kernel) / f"boot/vmlinuz-{assets.release(kernel)}"
    try:
        taken = [usage(words(kernel, compression, f"--keys={image}")) for _ in range(2)]
    except NotMeasured as reason:
        return bench.result(name, reason)
    cpu = min(used for _, used in taken) / 1000
    return bench.result(name, [wall / 1000 for wall, _ in taken], f"{cpu:.2f} s of CPU time")
