# SPDX-License-Identifier: LGPL-2.1-or-later
"""depmod: wall time and memory against kmod 34.2's, interleaved in one run.

    python -m benchmarks.depmod [ROUNDS]

Budgets are ratios to kmod's full run on the same tree, on two CPUs unless said otherwise. Debian's kmod 34.2 reads no
gzip; what it would take is its time on the .zst tree with the time that unpacking takes exchanged: zlib's for zstd's.
"""

from __future__ import annotations

import lzma
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import zstandard

from pymodutils.depmod import cache
from tests.support import assets
from tests.support.koforge import Ko

DEPMOD = str(Path(__file__).parent.parent / "bin" / "depmod")
PYTHON = "/usr/bin/python3"
ROUNDS = 9
KERNEL = "6.1"
CACHES = "/run/pymodutils" if os.geteuid() == 0 else f"/run/user/{os.geteuid()}/pymodutils"

# Tree: budget of a full run, and of one after one module changed.
BUDGETS = {"none": (0.55, 0.40), "zst": (0.58, 0.22), "gz": (0.58, 0.14), "xz": (0.57, 0.06)}
ONE_CPU = 0.9
NOTHING_CHANGED = 0.10
QUICK_MS = 40
MEMORY = 1.3
OTHER_KIND = 1.5


class Table:
    """Results printed as they come; remembers whether a budget was exceeded."""

    def __init__(self) -> None:
        self.status = 0
        print(f"{'':<34}{'ours':>10}{'kmod':>10}{'ratio':>8}  budget")

    def row(self, what: str, ours: float, kmod: float, budget: float | None, unit: str = "ms") -> None:
        """One comparison."""
        ratio = ours / kmod
        over = budget is not None and ratio > budget
        self.status |= over
        shown = "" if budget is None else f"{budget}"
        print(
            f"{what:<34}{ours:>8.0f}{unit}{kmod:>8.0f}{unit}{ratio:>8.2f}  {shown}{'  OVER' if over else ''}",
            flush=True,
        )


def wall(words: list[str], cpus: int = 2) -> float:
    """Milliseconds that a command takes on so many CPUs.

    Nothing waits to be written to disk when it starts: ours flushes its files and would flush what kmod left as well.
    """
    os.sync()
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:cpus])
    start = time.perf_counter()
    subprocess.run(words, check=True)
    taken = time.perf_counter() - start
    os.sched_setaffinity(0, allowed)
    return taken * 1000


def interleaved(rounds: int, runs: dict[str, Callable[[], float]]) -> dict[str, float]:
    """The median of each."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            taken = run()
            if number:  # the first warms the page cache
                found[name].append(taken)
    return {name: statistics.median(values) for name, values in found.items()}


def memory(words: list[str]) -> float:
    """The most that a command and its children had at any time: sum of PSS in MB."""
    process = subprocess.Popen(words)
    most = 0
    while process.poll() is None:
        most = max(most, sum(map(_pss, [process.pid, *_children(process.pid)])))
        time.sleep(0.002)
    return most / 1024


def _children(pid: int) -> list[int]:
    try:
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:
        return []


def _pss(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


class Tree:
    """A copy of a module tree that may be changed, by hard links, and the two programs on it."""

    def __init__(self, folder: Path, compression: str) -> None:
        self.release = assets.release(KERNEL)
        self.base = folder / compression
        shutil.copytree(assets.module_tree(KERNEL, compression), self.base, copy_function=os.link)
        self.out = folder / f"{compression}-out"
        self.libraries = folder / f"{compression}-libraries"
        self.libraries.mkdir()
        for name in ("liblzma.so.5", "libzstd.so.1"):
            (self.libraries / name).symlink_to(f"/usr/lib/{os.uname().machine}-linux-gnu/{name}")
        modules = self.base / "lib/modules" / self.release
        self.changing = next(modules.rglob("loop.ko*"))
        self.added = modules / "updates/added.ko"
        self._image = unpacked(self.changing.read_bytes())
        self._count = 0

    def words(self, program: list[str], *more: str) -> list[str]:
        """The command line of a run into a directory of its own."""
        out = self.out / ("ours" if program[0] == DEPMOD else "kmod")
        return [*program, "-b", str(self.base), "-o", str(out), *more, self.release]

    def ours(self, *more: str) -> list[str]:
        """Ours."""
        return self.words([DEPMOD], *more)

    def kmod(self) -> list[str]:
        """kmod's, with the machine's libraries for decompression, which Python uses: newer ones are much faster."""
        start, option, path, *rest = assets.kmod34_argv("depmod")
        return self.words([start, option, f"{self.libraries}:{path}", *rest])

    def forget(self) -> None:
        """Remove the cache."""
        directory = f"lib/modules/{self.release}"
        name = cache.cache_name(f"{self.base}/{directory}", f"{self.out}/ours/{directory}")
        Path(CACHES, name).unlink(missing_ok=True)

    def change(self) -> None:
        """Replace a module by one with another alias (uncompressed: depmod goes by the bytes, not the name)."""
        self._count += 1
        image = self._image.replace(b"alias=devname:loop-control", b"alias=devname:loop-con%04d" % self._count)
        self.changing.unlink()
        self.changing.write_bytes(image)

    def add(self) -> None:
        """Add a module, or take it away again."""
        if self.added.exists():
            self.added.unlink()
        else:
            self.added.parent.mkdir(exist_ok=True)
            self.added.write_bytes(self._image)


def unpacked(data: bytes) -> bytes:
    """The module in a file of whatever form."""
    if data.startswith(b"\x1f\x8b"):
        return zlib.decompress(data, 31)
    if data.startswith(b"\xfd7zXZ"):
        return lzma.decompress(data)
    return zstandard.ZstdDecompressor().decompress(data) if data.startswith(b"\x28\xb5\x2f\xfd") else data


def unpacking(compression: str, decompress: Callable[[bytes], bytes]) -> float:
    """Milliseconds that the C library takes for all modules of a tree."""
    packed = [path.read_bytes() for path in assets.module_tree(KERNEL, compression).rglob(f"*.ko.{compression}")]
    start = time.perf_counter()
    for data in packed:
        decompress(data)
    return (time.perf_counter() - start) * 1000


def gzip_instead_of_zstd() -> float:
    """Milliseconds that a kmod would take longer for gzip than for zstd."""
    return unpacking("gz", lambda data: zlib.decompress(data, 31)) - unpacking("zst", zstandard.decompress)


def compare(table: Table, tree: Tree, compression: str, rounds: int, zst_tree: Tree | None = None) -> None:
    """The rows of one tree; for gzip `zst_tree` serves the yardstick."""
    kmod = (zst_tree or tree).kmod()
    longer = gzip_instead_of_zstd() if zst_tree else 0.0

    def changed() -> float:
        tree.change()
        return wall(tree.ours("--cache"))

    def added() -> float:
        tree.add()
        return wall(tree.ours("--cache"))

    def first() -> float:
        tree.forget()
        return wall(tree.ours("--cache"))

    full, one = BUDGETS[compression]
    found = interleaved(
        rounds,
        {
            "kmod": lambda: wall(kmod),
            "full": lambda: wall(tree.ours()),
            "first": first,
            "changed": changed,
            "added": added,
        },
    )
    found["kmod"] += longer
    table.row(f"{compression}: full run", found["full"], found["kmod"], full)
    table.row(f"{compression}: first run, writing the cache", found["first"], found["kmod"], None)
    table.row(f"{compression}: one module changed", found["changed"], found["kmod"], one)
    table.row(f"{compression}: one module added or removed", found["added"], found["kmod"], None)


def special_cases(table: Table, tree: Tree, rounds: int) -> None:
    """One CPU, nothing to do, memory; on the uncompressed tree."""
    found = interleaved(
        rounds,
        {
            "kmod": lambda: wall(tree.kmod(), cpus=1),
            "one": lambda: wall(tree.ours(), cpus=1),
        },
    )
    table.row("none: full run on one CPU", found["one"], found["kmod"], ONE_CPU)
    subprocess.run(tree.ours("--cache"), check=True)
    time.sleep(2.1)  # younger files are not trusted
    subprocess.run(tree.ours("--cache"), check=True)
    found = interleaved(
        rounds,
        {
            "kmod": lambda: wall(tree.kmod()),
            "same": lambda: wall(tree.ours("--cache")),
            "quick": lambda: wall(tree.ours("-A")),
            "bare": lambda: wall([PYTHON, "-I", "-S", "-c", "pass"]),
        },
    )
    table.row("none: nothing changed", found["same"], found["kmod"], NOTHING_CHANGED)
    over = found["quick"] - found["bare"]
    mark = "  OVER" if over > QUICK_MS else ""
    print(f"{'none: -A with nothing to do':<34}{over:>8.0f}ms over a bare interpreter      {QUICK_MS}{mark}")
    table.status |= over > QUICK_MS
    ours = max(memory(tree.ours()) for _ in range(5))
    theirs = max(memory(tree.kmod()) for _ in range(5))
    table.row("none: memory", ours, theirs, MEMORY, "MB")


def other_kinds(table: Table, folder: Path, rounds: int) -> None:
    """Modules of every class and byte order, beside the same ones as 64-bit little-endian."""
    words = {}
    for bits, order in ((64, "<"), (64, ">"), (32, "<"), (32, ">")):
        base = folder / f"{bits}{order}"
        for number in range(500):
            exports = {f"m{number}_function_{n}": n + 1 for n in range(12)}
            needs: dict[str, int | None] = {f"kernel_function_{(number * 7 + n) % 900}": n + 1 for n in range(58)}
            if number:
                needs[f"m{number - 1}_function_3"] = 4
            module = Ko(exports=exports, needs=needs, first_versions={"module_layout": 1}, bits=bits, order=order)
            module.extra_sections[b"__ksymtab"] = bytes(12 * 3 * bits // 8)
            module.write(base / f"lib/modules/6.6.6/kernel/m{number}.ko")
        for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
            (base / "lib/modules/6.6.6" / name).touch()
        words[f"{bits}-bit {'little' if order == '<' else 'big'}-endian"] = [DEPMOD, "-b", str(base), "6.6.6"]
    found = interleaved(rounds, {kind: partial(wall, command) for kind, command in words.items()})
    yardstick = found.pop("64-bit little-endian")
    print(f"\n{'of 500 small modules':<34}{'these':>10}{'64 LE':>10}")
    for kind, taken in found.items():
        table.row(kind, taken, yardstick, OTHER_KIND)


def growth(folder: Path) -> None:
    """How time grows with the number of modules."""
    source = assets.module_tree(KERNEL) / "lib/modules" / assets.release(KERNEL)
    modules = sorted(source.rglob("*.ko"))
    print(f"\n{'modules':>8}{'ms':>8}{'us/module':>11}")
    for count in (1000, 2000, 4000, 8000, 16000):
        base = folder / f"grown-{count}"
        target = base / "lib/modules/6.6.6/kernel"
        target.mkdir(parents=True)
        for number in range(count):
            os.link(modules[number % len(modules)], target / f"{modules[number % len(modules)].stem}_{number}.ko")
        for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
            (target.parent / name).touch()
        words = [DEPMOD, "-b", str(base), "6.6.6"]
        taken = interleaved(3, {"run": partial(wall, words)})["run"]
        print(f"{count:>8}{taken:>8.0f}{taken * 1000 / count:>11.1f}", flush=True)
        shutil.rmtree(base)


def main() -> int:
    """Measure everything, print the table, say whether the budgets hold."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    print(f"depmod, median of {rounds}, interleaved\n")
    table = Table()
    with tempfile.TemporaryDirectory(dir=assets.cache_folder()) as name:
        folder = Path(name)
        trees = {compression: Tree(folder, compression) for compression in ("none", "zst", "gz", "xz")}
        for compression, tree in trees.items():
            compare(table, tree, compression, rounds, trees["zst"] if compression == "gz" else None)
            if compression == "none":
                special_cases(table, tree, rounds)
        other_kinds(table, folder, rounds)
        growth(folder)
        for tree in trees.values():
            tree.forget()
    return table.status


if __name__ == "__main__":
    sys.exit(main())
