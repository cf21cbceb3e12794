# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the costs grow: depmod, modprobe -D and kmod check with the modules of a tree, batches with their operands.

The trees are forged: small modules with exports, aliases, and two dependencies each. Before each modprobe -D the
indexes are put out of the page cache, as after a boot.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.batches import operands
from benchmarks.bench import Bench
from benchmarks.depmod import link_or_copy
from benchmarks.measuring import NotMeasured, Run, Words, commands, interleaved, wall
from benchmarks.peers import BIN, OURS
from benchmarks.registry import OPERANDS, SIZES
from benchmarks.startup import KERNEL
from benchmarks.table import Result
from tests.support import assets
from tests.support.koforge import Ko

RELEASE = "6.6.6"
ROUNDS, ROUNDS_OF_DEPMOD = 9, 3


def measure(bench: Bench) -> Iterator[Result]:
    """Yield each row."""
    modules = forge(bench.scratch / "modules", max(SIZES))
    for size in SIZES:
        base = grown(bench.scratch / str(size), modules[:size])
        yield from tree(bench, base, size)
        shutil.rmtree(base)
    yield from batches(bench)


def forge(folder: Path, count: int) -> list[Path]:
    """Module files; each needs symbols of two with smaller numbers, so that the first of them make a tree as well."""
    paths = []
    for number in range(count):
        exports = {f"driver_{number}_function_{n}": n + 1 for n in range(4)}
        needs: dict[str, int | None] = {f"kernel_function_{(number * 7 + n) % 900}": n + 1 for n in range(16)}
        if number:
            needs |= {f"driver_{number // part}_function_{n}": n + 1 for n, part in enumerate((3, 7))}
        alias = f"alias=pci:v0000{number * 7919 % 0x10000:04X}d0000{number * 104729 % 0x10000:04X}sv*sd*bc*sc*i*"
        info = ["license=GPL", f"name=driver_{number}", f"description=Driver number {number}", alias]
        module = Ko(modinfo=info, exports=exports, needs=needs, first_versions={"module_layout": 1})
        module.extra_sections[b"__ksymtab"] = bytes(12 * len(exports))  # as a compiler leaves it
        paths.append(module.write(folder / f"driver_{number}.ko"))
    return paths


def grown(base: Path, modules: list[Path]) -> Path:
    """A tree of these modules, without indexes."""
    directory = base / "lib/modules" / RELEASE
    for number, path in enumerate(modules):
        folder = directory / f"kernel/drivers/{number // 100}"
        folder.mkdir(parents=True, exist_ok=True)
        link_or_copy(str(path), str(folder / path.name))
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        (directory / name).touch()
    return base


def tree(bench: Bench, base: Path, size: int) -> Iterator[Result]:
    """The points of one tree; depmod leaves the indexes for those that follow."""
    name = f"depmod, {size:,} modules"
    words = bench.words(name, "depmod", ["-b", str(base), RELEASE])
    yield bench.result(name, commands(words, bench.rounds(ROUNDS_OF_DEPMOD), flush=True))
    os.sync()  # what is not on disk stays in the page cache
    name = f"modprobe -D, {size:,} modules"
    modprobe = ["-d", str(base), "-S", RELEASE, "-C", "/dev/null", "-D", f"driver_{size // 2}"]
    runs = cold(bench.words(name, "modprobe", modprobe), base / "lib/modules" / RELEASE)
    yield bench.result(name, interleaved(runs, bench.rounds(ROUNDS)))
    name = f"kmod check, {size:,} modules"
    check = ["check", "-d", str(base), "-S", RELEASE, "-C", "/dev/null", f"driver_{size // 2}"]
    found = commands({OURS: [str(BIN / "kmod"), *check]}, bench.rounds(ROUNDS), statuses=(0, 1))
    yield bench.result(name, found)


def cold(words: dict[str, Words | NotMeasured], directory: Path) -> dict[str, Run | NotMeasured]:
    """Runs that find no index in the page cache."""

    def run(one: Words) -> float:
        for path in directory.glob("modules.*"):
            with open(path, "rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return wall(one)

    return {name: one if isinstance(one, NotMeasured) else partial(run, one) for name, one in words.items()}


def batches(bench: Bench) -> Iterator[Result]:
    """The points of batches: the first names of Debian's tree."""
    base, release = str(assets.module_tree(KERNEL)), assets.release(KERNEL)
    names = operands(Path(base), release)
    for count in OPERANDS:
        words = ["-b", base, "-k", release, *names[:count]]
        yield bench.compare(f"modinfo, {count:,} names", "modinfo", words, ROUNDS)
    for count in OPERANDS:
        words = ["-d", base, "-S", release, "-C", "/dev/null", "-a", "-D", *names[:count]]
        yield bench.compare(f"modprobe -a -D, {count:,} names", "modprobe", words, ROUNDS)
