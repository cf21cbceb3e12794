# SPDX-License-Identifier: LGPL-2.1-or-later
"""depmod: wall time and memory on Debian's tree in each compression, on two CPUs unless said otherwise.

Debian's kmod 34.2 reads no gzip; what it would take is its time on the .zst tree with the time that unpacking takes
exchanged: zlib's for zstd's. busybox's depmod writes to standard output, since it knows no other directory.
"""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import zstandard

from benchmarks.bench import Bench
from benchmarks.measuring import NotMeasured, Run, Words, interleaved, less, memory, wall
from benchmarks.peers import BARE, BIN, BUSYBOX, KMOD34, OURS, PEERS
from benchmarks.registry import FOREIGN
from benchmarks.table import Result
from pymodutils.depmod import cache
from tests.support import assets

DEPMOD = str(BIN / "depmod")
ROUNDS = 9
KERNEL = "6.1"
CACHES = "/run/pymodutils" if os.geteuid() == 0 else f"/run/user/{os.geteuid()}/pymodutils"
CACHED = "cached"
COMPRESSIONS = ("none", "zst", "gz", "xz")


def measure(bench: Bench) -> Iterator[Result]:
    """Yield each row."""
    trees: dict[str, Tree] = {}
    try:
        for compression in COMPRESSIONS:
            trees[compression] = tree = Tree(bench.scratch, compression)
            yield from compare(bench, tree, trees.get("zst") if compression == "gz" else None)
            if compression == "none":
                yield from special_cases(bench, tree)
        yield from foreign(bench)
    finally:
        for tree in trees.values():
            tree.forget()


def run(words: Words, cpus: int = 2) -> float:
    """Milliseconds of one depmod."""
    return wall(words, cpus=cpus, flush=True)


def runs(words: Mapping[str, Words | NotMeasured], cpus: int = 2) -> dict[str, Run | NotMeasured]:
    """What `interleaved` takes, of command lines."""
    return {name: one if isinstance(one, NotMeasured) else partial(run, one, cpus) for name, one in words.items()}


class Tree:
    """A copy of a module tree that may be changed, by hard links where the file system allows, and programs on it."""

    def __init__(self, folder: Path, compression: str) -> None:
        self.compression = compression
        self.release = assets.release(KERNEL)
        self.base = folder / compression
        shutil.copytree(assets.module_tree(KERNEL, compression), self.base, copy_function=link_or_copy)
        self.out = folder / f"{compression}-out"
        modules = self.base / "lib/modules" / self.release
        self.changing = next(modules.rglob("loop.ko*"))
        self.added = modules / "updates/added.ko"
        self._image = unpacked(self.changing.read_bytes())
        self._count = 0

    def words(self, bench: Bench, name: str) -> dict[str, Words | NotMeasured]:
        """The command lines of a row, each into a directory of its own."""
        found = bench.words(name, "depmod", ["-b", str(self.base)], {BUSYBOX: ["-n", "-b", str(self.base)]})
        return {
            peer: words if isinstance(words, NotMeasured) else [*words, *self._output(peer), self.release]
            for peer, words in found.items()
        }

    def _output(self, peer: str) -> list[str]:
        return [] if peer == BUSYBOX else ["-o", str(self.out / peer.replace(" ", "-"))]

    def cached(self, option: str = "--cache") -> list[str]:
        """Ours on what the last run left, in a directory where no other run changes what the cache knows."""
        return [DEPMOD, "-b", str(self.base), *self._output(CACHED), option, self.release]

    def forget(self) -> None:
        """Remove the cache."""
        directory = f"lib/modules/{self.release}"
        name = cache.cache_name(f"{self.base}/{directory}", f"{self.out}/{CACHED}/{directory}")
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


def link_or_copy(source: str, target: str) -> None:
    """A hard link, or a copy where another file system begins."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def gzip_instead_of_zstd() -> float:
    """Milliseconds that a kmod would take longer for gzip than for zstd."""
    return unpacking("gz", lambda data: zlib.decompress(data, 31)) - unpacking("zst", zstandard.decompress)


def compare(bench: Bench, tree: Tree, zst_tree: Tree | None = None) -> Iterator[Result]:
    """The rows of one tree; for gzip `zst_tree` serves kmod 34.2's yardstick."""
    name = f"depmod, {tree.compression}"

    def changed() -> float:
        tree.change()
        return run(tree.cached())

    def added() -> float:
        tree.add()
        return run(tree.cached())

    def first() -> float:
        tree.forget()
        return run(tree.cached())

    words, note = tree.words(bench, name), ""
    if zst_tree:
        words[KMOD34] = zst_tree.words(bench, name)[KMOD34]
    own = {"first run, writing the cache": first, "one module changed": changed, "one module added or removed": added}
    found = interleaved({**runs(words), **own}, bench.rounds(ROUNDS))
    if zst_tree and isinstance(taken := found[KMOD34], list):
        longer = gzip_instead_of_zstd()
        found[KMOD34] = [one + longer for one in taken]
        note = "kmod 34.2 reads no gzip: its number is that for zst, with zlib's time in place of zstd's"
    peers = {peer: outcome for peer, outcome in found.items() if peer in PEERS}
    yield bench.result(name, {OURS: found[OURS], **peers}, note)
    for what in own:
        yield bench.result(f"{name}, {what}", {OURS: found[what], **peers})


def special_cases(bench: Bench, tree: Tree) -> Iterator[Result]:
    """One CPU, nothing to do, memory; on the uncompressed tree."""
    rounds = bench.rounds(ROUNDS)
    name = "depmod, none, on one CPU"
    yield bench.result(name, interleaved(runs(tree.words(bench, name), cpus=1), rounds))
    subprocess.run(tree.cached(), check=True)
    time.sleep(2.1)  # younger files are not trusted
    subprocess.run(tree.cached(), check=True)
    name = "depmod, none, nothing changed"
    words = {
        **tree.words(bench, name),
        OURS: tree.cached(),
        "-A": tree.cached("-A"),
        BARE: bench.peers.words(BARE, "", []),
    }
    found = interleaved(runs(words), rounds)
    quick, bare = found.pop("-A"), found.pop(BARE)
    yield bench.result(name, found)
    yield bench.result("depmod -A, over a bare interpreter", less(quick, bare))
    name = "depmod, none, memory"
    most = {
        peer: one if isinstance(one, NotMeasured) else [max(memory(one) for _ in range(5))]
        for peer, one in tree.words(bench, name).items()
    }
    yield bench.result(name, most)


def foreign(bench: Bench) -> Iterator[Result]:
    """Whole trees of another class and of another byte order."""
    for architecture, kind in FOREIGN.items():
        base, release = assets.foreign_tree(architecture)
        name = f"depmod, {kind}"
        words = bench.words(name, "depmod", ["-b", str(base)])
        outputs = {peer: bench.scratch / f"{architecture}-{peer.replace(' ', '-')}" for peer in words}
        whole = {
            peer: one if isinstance(one, NotMeasured) else [*one, "-o", str(outputs[peer]), release]
            for peer, one in words.items()
        }
        yield bench.result(name, interleaved(runs(whole), bench.rounds(ROUNDS)))
