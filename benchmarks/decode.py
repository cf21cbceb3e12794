# SPDX-License-Identifier: LGPL-2.1-or-later
"""How many frames `kmod decode` looks up in a second, the reading of the module's debugging data within that.

There are two kinds of log: the same oops over and over, and frames at all places of a module's functions, each once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.table import Result
from pymodutils import Context, ModuleFile, Roots, decode
from pymodutils.formats.functions import functions
from pymodutils.state.modulefile import elf_of
from tests.support.cmodules import compile_module
from tests.support.oopses import STAMPS, X86, stamped

ROUNDS = 5
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


def measure(bench: Bench) -> Iterator[Result]:
    """Yield each row."""
    for kind, text in logs(compile_module(bench.scratch)).items():
        speeds = []
        for _ in range(bench.rounds(ROUNDS)):
            start = time.perf_counter()
            report = decode(Context(Roots(module_dir="/nowhere")), text, debug=str(bench.scratch))
            speeds.append(len(report.frames) / (time.perf_counter() - start))
        yield bench.result(f"kmod decode, {kind}", speeds)
