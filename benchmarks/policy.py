# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an allowlist's rules cost modprobe's start, and what `kmod check --all` takes.

    python -m benchmarks.policy [ROUNDS]

Budget: with rules for all modules of Debian's tree but those that btrfs needs (12,000 lines), the median of
`modprobe -D btrfs` is at most 15 ms longer than without. `kmod check --all` takes at most 3 s and 150 MB.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.startup import measure
from pymodutils.diagnosis.allowlist import not_allowed
from pymodutils.formats.policy import compile_rules
from pymodutils.roots import Roots
from pymodutils.state.config import read_config
from pymodutils.state.live import NoLiveKernel
from pymodutils.state.system import System
from pymodutils.state.tree import WholeTree
from tests.support import assets

BIN = Path(__file__).parent.parent / "bin"
ROUNDS = 60
RULES_BUDGET, CHECK_SECONDS, CHECK_MEGABYTES = 0.015, 3.0, 150


def compiled(kernel: str, allowed: list[str]) -> bytes:
    """The rules of an allowlist for Debian's tree."""
    roots = Roots(base=str(assets.module_tree(kernel)), release=assets.release(kernel))
    system = System(WholeTree(roots), NoLiveKernel(roots), read_config(roots, ["/nowhere"], command_line=False))
    return compile_rules([], not_allowed([system], allowed), "2026-05-17")


def rules(folder: Path, rounds: int) -> bool:
    """Measure modprobe's start with and without the rules; whether the budget is exceeded."""
    data = compiled("6.1", ["btrfs"])
    path = folder / "00-pymodutils-policy.conf"
    path.write_bytes(data)
    tree = ["-d", str(assets.module_tree("6.1")), "-S", assets.release("6.1"), "-D", "btrfs"]
    words = {
        "without rules": [str(BIN / "modprobe"), "-C", "/nowhere", *tree],
        "with rules": [str(BIN / "modprobe"), "-C", str(path), *tree],
        "kmod without rules": [*assets.kmod34_argv("modprobe"), "-C", "/nowhere", *tree],
        "kmod with rules": [*assets.kmod34_argv("modprobe"), "-C", str(path), *tree],
    }
    medians = measure(words, rounds)
    lines = data.count(b"\n")
    print(f"modprobe -D btrfs, median of {rounds}, interleaved; the rules have {lines:,} lines\n")
    for name, value in medians.items():
        print(f"{name:<20}{value * 1000:>8.1f} ms")
    more = medians["with rules"] - medians["without rules"]
    over = more > RULES_BUDGET
    print(f"{'the rules cost':<20}{more * 1000:>8.1f} ms  of {RULES_BUDGET * 1000:.0f}{'  OVER' if over else ''}")
    return over


def check_all(kernel: str) -> bool:
    """Measure `kmod check --all`; whether the budget is exceeded."""
    tree = ["-d", str(assets.module_tree(kernel)), "-S", assets.release(kernel), "-C", "/dev/null"]
    start = time.perf_counter()
    process = subprocess.Popen([str(BIN / "kmod"), "check", "--all", "--json", *tree], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 1):  # it has not looked
        raise SystemExit(f"kmod check --all ended with {os.waitstatus_to_exitcode(status)}")
    seconds, megabytes = time.perf_counter() - start, usage.ru_maxrss / 1024
    over = seconds > CHECK_SECONDS or megabytes > CHECK_MEGABYTES
    budget = f"{CHECK_SECONDS:.0f} s, {CHECK_MEGABYTES} MB"
    print(f"kmod check --all, {kernel}: {seconds:.2f} s, {megabytes:.0f} MB  of {budget}{'  OVER' if over else ''}")
    return over


def main() -> int:
    """Measure, print, say whether the budgets hold."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        exceeded = [rules(Path(folder), rounds)]
    print()
    exceeded += [check_all(kernel) for kernel in assets.KERNELS]
    return int(any(exceeded))


if __name__ == "__main__":
    sys.exit(main())
