# SPDX-License-Identifier: LGPL-2.1-or-later
"""Start-up: our commands against kmod and against a bare interpreter, interleaved in one run.

    python -m benchmarks.startup [ROUNDS]

Budget: the median of lsmod is at most 1.40 times that of the bare interpreter, modinfo (one module by name among 4,000)
1.65 times. The commands are those of the checkout, with the pack that `make` leaves (make_pack.py). The median of a
verb of kmod, before its own work begins, at most 4 times: each is asked about a system without modules.
lsmod runs with a /proc/modules of 200 lines in a mount namespace of its own, so that the host's modules do not matter.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pymodutils.cli import registry
from tests.support import assets

BIN = Path(__file__).parent.parent / "bin"
BUDGETS = {"lsmod": 1.40, "modinfo": 1.65}
BUDGET_OF_VERBS = 4.0
OPERANDS = {"status": ["loop"]}
"""What verbs are asked about that do not answer without it."""

ROUNDS = 60
PYTHON = "/usr/bin/python3"
PACKER = BIN.parent / "pymodutils/make_pack.py"


def commands() -> dict[str, list[str]]:
    """What is measured, by name; `bare` is the yardstick."""
    verbs = [command.name for command in registry.VERBS if command.module.startswith("verbs.")]
    tree = ["-b", str(assets.module_tree("6.1")), "-k", assets.release("6.1"), "e1000e"]
    return {
        "bare": [PYTHON, "-I", "-S", "-c", "pass"],
        "lsmod": [str(BIN / "lsmod")],
        "modinfo": [str(BIN / "modinfo"), *tree],
        **{f"verb {name}": [str(BIN / "kmod"), name, "--root=/nowhere", *OPERANDS.get(name, ())] for name in verbs},
        "kmod lsmod": [*assets.kmod34_argv("lsmod")],
        "kmod modinfo": [*assets.kmod34_argv("modinfo"), *tree],
    }


def measure(chosen: dict[str, list[str]], rounds: int) -> dict[str, float]:
    """Median wall time of each command in seconds."""
    times: dict[str, list[float]] = {name: [] for name in chosen}
    for number in range(rounds + 2):
        for name, words in chosen.items():
            start = time.perf_counter()
            subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if number >= 2:  # the first rounds warm the caches and compile
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def in_own_proc(rounds: int) -> int:
    """Start this again with a /proc of its own."""
    with tempfile.TemporaryDirectory() as folder:
        listing = Path(folder) / "modules"
        listing.write_text("".join(f"module_{n} {n * 4096} {n % 3} - Live 0x0000000000000000\n" for n in range(200)))
        script = (
            f"mount -t tmpfs none /proc && cp {listing} /proc/modules && exec {sys.executable} -m benchmarks.startup"
        )
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", f"{script} {rounds}"], env={**os.environ, "STARTUP_INSIDE": "1"}
        ).returncode


def main() -> int:
    """Measure, print the table, say whether the budget holds."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    subprocess.run([PYTHON, "-IS", PACKER], check=True)
    chosen = commands()
    if "STARTUP_INSIDE" not in os.environ:
        return in_own_proc(rounds)
    medians = measure(chosen, rounds)
    status = 0
    print(f"start-up, median of {rounds}, interleaved\n\n{'command':<14}{'ms':>8}{'times bare':>12}  budget")
    for name, seconds in medians.items():
        ratio = seconds / medians["bare"]
        budget = BUDGET_OF_VERBS if name.startswith("verb ") else BUDGETS.get(name, 0.0)
        over = 0 < budget < ratio
        status |= over
        print(f"{name:<14}{seconds * 1000:>8.1f}{ratio:>12.2f}  {budget or ''}{'  OVER' if over else ''}")
    return status


if __name__ == "__main__":
    sys.exit(main())
