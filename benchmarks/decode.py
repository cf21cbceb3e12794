# SPDX-License-Identifier: LGPL-2.1-or-later
"""How many frames `kmod decode` looks up in a second, the reading of debugging data within that.

There are three kinds of log: the same oops over and over, frames at all places of a module's functions, each once, and
those of the same functions linked as a kernel.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.table import Result
from pymodutils import Context, ModuleFile, Roots, decode
from pymodutils.formats.functions import Function, functions
from pymodutils.state.modulefile import elf_of
from tests.support.cmodules import compile_kernel, compile_module
from tests.support.oopses import STAMPS, X86, stamped

ROUNDS = 5
OOPSES = 400


def logs(module: Path, vmlinux: Path) -> dict[str, tuple[str, Path]]:
    """The text of each log by its kind, and where its files are."""
    found = functions_in(module)
    run, dup = (found[name][0] for name in ("t_run", "u_dup"))
    one = X86.replace("/0xda", f"/{run.room or run.size:#x}").replace("/0x8 ", f"/{dup.room or dup.size:#x} ")
    return {
        "one oops over and over": (stamped(one, STAMPS["journalctl"]) * OOPSES, module.parent),
        "each place once": (places(found, " [m]"), module.parent),
        "each place of a kernel": (places(functions_in(vmlinux), ""), vmlinux.parent),
    }


def functions_in(path: Path) -> dict[str, list[Function]]:
    """The functions of a file by name."""
    with ModuleFile(path) as file:
        return functions(elf_of(file))


def places(found: dict[str, list[Function]], where: str) -> str:
    """A frame for each byte of code."""
    return "\n".join(
        f"{function.name}+{offset:#x}/{function.room or function.size:#x}{where}"
        for named in found.values() for function in named for offset in range(function.size)
    )  # fmt: skip


def measure(bench: Bench) -> Iterator[Result]:
    """Yield each row."""
    files = compile_module(bench.scratch / "module"), compile_kernel(bench.scratch / "kernel")
    for kind, (text, place) in logs(*files).items():
        speeds = []
        for _ in range(bench.rounds(ROUNDS)):
            start = time.perf_counter()
            report = decode(Context(Roots(module_dir="/nowhere")), text, debug=str(place))
            if not any(frame.lines for frame in report.frames):
                raise RuntimeError(f"{kind}: no lines")
            speeds.append(len(report.frames) / (time.perf_counter() - start))
        yield bench.result(f"kmod decode, {kind}", speeds)
