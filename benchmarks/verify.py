# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod verify on whole trees: against our depmod without signatures, and by the clock with them.

    python -m benchmarks.verify [ROUNDS]

Budgets on two CPUs: without signatures 1.2 times depmod's full run; with Debian's RSA signatures 5 s, uncompressed;
with its ECDSA signatures 20 s, compressed by xz. CPU time is shown as well: other work on the machine changes it less.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support import assets

BIN = Path(__file__).parent.parent / "bin"
ROUNDS = 9
RATIO, RSA_SECONDS, ECDSA_SECONDS = 1.2, 5.0, 20.0


def run(words: list[str]) -> tuple[float, float]:
    """Seconds of wall time and of CPU time."""
    os.sync()
    start = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(words)}: status {status}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime


def words(kernel: str, compression: str, *more: str) -> list[str]:
    """The command line for a tree; the kernel's symbols are those of Module.symvers, as where headers are installed."""
    tree = ["-d", str(assets.module_tree(kernel, compression)), "-S", assets.release(kernel)]
    symbols = ["--symbols", str(assets.headers(kernel) / "Module.symvers")]
    return [str(BIN / "kmod"), "verify", *tree, *symbols, *more]


def against_depmod(rounds: int) -> bool:
    """Without signatures; whether the budget is exceeded."""
    with tempfile.TemporaryDirectory() as folder:
        base = ["-b", str(assets.module_tree("6.1")), "-o", folder, assets.release("6.1")]
        commands = {"depmod": [str(BIN / "depmod"), *base], "verify": words("6.1", "none", "--keys=none")}
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for number in range(rounds + 1):
            for name, command in commands.items():
                found = run(command)
                if number:  # the first warms the page cache
                    taken[name].append(found)
    wall, cpu = ({name: statistics.median(found[which] for found in values) for name, values in taken.items()}
                 for which in (0, 1))  # fmt: skip
    ratio = wall["verify"] / wall["depmod"]
    over = ratio > RATIO
    print(f"{'':<34}{'verify':>10}{'depmod':>10}{'ratio':>8}  budget")
    for what, values, budget in (
        ("6.1 uncompressed, no signatures", wall, str(RATIO)),
        ("the same, CPU time", cpu, ""),
    ):
        shown = "".join(f"{values[name] * 1000:>8.0f}ms" for name in ("verify", "depmod"))
        mark = "  OVER" if over and budget else ""
        print(f"{what:<34}{shown}{values['verify'] / values['depmod']:>8.2f}  {budget}{mark}")
    return over


def by_the_clock(what: str, kernel: str, compression: str, budget: float) -> bool:
    """With signatures; whether the budget is exceeded."""
    image = assets.linux(kernel) / f"boot/vmlinuz-{assets.release(kernel)}"
    wall, cpu = min(run(words(kernel, compression, f"--keys={image}")) for _ in range(2))
    over = wall > budget
    print(f"{what:<34}{wall:>9.2f}s of {budget:.0f} s, {cpu:.2f} s of CPU time{'  OVER' if over else ''}", flush=True)
    return over


def main() -> int:
    """Measure, print, say whether the budgets hold."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    exceeded = [
        against_depmod(rounds),
        by_the_clock("6.1 uncompressed, RSA", "6.1", "none", RSA_SECONDS),
        by_the_clock("6.12 xz, ECDSA", "6.12", "xz", ECDSA_SECONDS),
    ]
    return int(any(exceeded))


if __name__ == "__main__":
    sys.exit(main())
