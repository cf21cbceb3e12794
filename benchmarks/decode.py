# SPDX-License-Identifier: LGPL-2.1-or-later
"""How many frames `kmod decode` looks up in a second.

    python -m benchmarks.decode [ROUNDS]

Budget: 2,000 frames a second at least, the module's debugging data read within that, of two kinds of log: the same oops
over and over, and frames at all places of a module's functions, each once.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from pymodutils import Context, ModuleFile, Roots, decode
from pymodutils.formats.functions import functions
from pymodutils.state.modulefile import elf_of
from tests.support.cmodules import compile_module
from tests.support.oopses import STAMPS, X86, stamped

ROUNDS = 5
BUDGET = 2000
OOPSES = 400


def logs(module: Path) -> dict[str, str]:
    """The text of each log by its kind."""
    with ModuleFile(module) as file:
        found = functions(elf_of(file))
    lines = [
        f"{function.name}+{offset:#x}/{function.room or function.size:#x} [m]"
        for named in found.values() for function in named for offset in range(function.size)
    ]  # fmt: skip
    run, dup = (found[name][0] for name in ("t_run", "u_dup"))
    one = X86.replace("/0xda", f"/{run.room or run.size:#x}").replace("/0x8 ", f"/{dup.room or dup.size:#x} ")
    return {"one oops over and over": stamped(one, STAMPS["journalctl"]) * OOPSES, "each place once": "\n".join(lines)}


def main(rounds: int = ROUNDS) -> bool:
    """Measure, print, and tell whether the budget is exceeded."""
    over = False
    with tempfile.TemporaryDirectory() as folder:
        for kind, text in logs(compile_module(Path(folder))).items():
            best = 0.0
            for _ in range(rounds):
                start = time.perf_counter()
                report = decode(Context(Roots(module_dir="/nowhere")), text, debug=folder)
                best = max(best, len(report.frames) / (time.perf_counter() - start))
            is_over = best < BUDGET
            over |= is_over
            print(f"kmod decode, {kind:<24}{best:>8.0f} frames a second of {BUDGET}{'  OVER' if is_over else ''}")
    return over


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
