# SPDX-License-Identifier: LGPL-2.1-or-later
"""What 300 modules of Debian's kernel need: kmod closure, dracut-install and mkosi's function, on the same tree.

dracut-install copies the files as well, into memory; mkosi reads all modules, once. Modules by xz have to be
decompressed whole, since what tells where their parts are stands at the end: the time of liblzma alone, for the same
files, is shown.
"""

from __future__ import annotations

import json
import lzma
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.measuring import both_times, usage
from benchmarks.peers import BIN, OURS
from benchmarks.registry import DRACUT, LIBLZMA, MKOSI
from benchmarks.table import Result
from tests.support import assets

KERNEL = "6.12"
COUNT, ROUNDS = 300, 5
MEMORY = Path("/dev/shm")
FUNCTION = """
import os, subprocess, sys
from pathlib import Path
from types import SimpleNamespace
folder, root, release, modinfo = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4].split("\\n")
sys.path.insert(0, folder)
import mkosi.kmod as kmod
def answer(_context, release, modules):
    command = [*modinfo, "-b", root, "-k", release, "--null", *modules]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
kmod.modinfo = answer
names = [kmod.normalize_module_name(name) for name in sys.argv[5:]]
kmod.resolve_module_dependencies(SimpleNamespace(root=Path(root)), release, names)
"""
Times = tuple[float, float]
"""Milliseconds of wall time, and of CPU time."""


def measure(bench: Bench) -> Iterator[Result]:
    """Yield each row."""
    for compression, other, run_other in (("none", MKOSI, run_mkosi), ("xz", LIBLZMA, run_liblzma)):
        root = own_tree(bench.scratch / compression, compression)
        names = chosen(root)
        runs = {
            OURS: partial(run_ours, root, names),
            DRACUT: partial(run_dracut, root, names),
            other: partial(run_other, root, names),
        }
        wall, cpu = both_times(runs, bench.rounds(ROUNDS))
        if compression == "none":
            yield bench.result(f"kmod closure, {COUNT} modules", wall)
        yield bench.result(f"closure, {compression}, CPU time", cpu)
        yield bench.result(f"closure, {compression}, to {other}, CPU time", cpu)


def own_tree(root: Path, compression: str) -> Path:
    """Make a system of the tree, in the form that mkosi wants; its files are links, to which nobody writes."""
    (root / "usr").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    tree = assets.module_tree(KERNEL, compression) / "lib"
    shutil.copytree(tree, root / "usr/lib", copy_function=link_or_copy, symlinks=True)
    return root


def link_or_copy(source: str, target: str) -> None:
    """Link a file, or copy it from another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def chosen(root: Path) -> list[str]:
    """Return names of modules, the same ones each time."""
    listed = (root / "lib/modules" / assets.release(KERNEL) / "modules.dep").read_text().splitlines()
    names = [Path(line.partition(":")[0]).name.partition(".")[0] for line in listed]
    return random.Random(1).sample(names, COUNT)


def ours(root: Path, names: list[str]) -> list[str]:
    """Return our command line."""
    return [str(BIN / "kmod"), "closure", "-d", str(root), "-S", assets.release(KERNEL), *names]


def run_ours(root: Path, names: list[str]) -> Times:
    """Let ours list the files."""
    return usage([*ours(root, names), "--files0"])


def run_dracut(root: Path, names: list[str]) -> Times:
    """Let dracut-install take the modules into a directory in memory."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as target:
        modules = root / "lib/modules" / assets.release(KERNEL)
        options = ["--destrootdir", target, "--kerneldir", str(modules), "--firmwaredirs", "/nonexistent"]
        return usage([*assets.dracut_install_argv(), *options, "--module", *names])


def run_mkosi(root: Path, names: list[str]) -> Times:
    """Let mkosi's function find the modules."""
    words = [str(assets.mkosi()), str(root), assets.release(KERNEL), "\n".join(assets.kmod34_argv("modinfo"))]
    return usage([sys.executable, "-c", FUNCTION, *words, *names])


def run_liblzma(root: Path, names: list[str]) -> Times:
    """Decompress the files that ours lists, and do nothing else."""
    listed = json.loads(subprocess.run([*ours(root, names), "--json"], stdout=subprocess.PIPE, check=True).stdout)
    files = [Path(node["path"]).read_bytes() for node in listed["nodes"] if node["path"]]
    start, cpu = time.perf_counter(), time.process_time()
    for data in files:
        lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(data)
    return (time.perf_counter() - start) * 1000, (time.process_time() - cpu) * 1000
