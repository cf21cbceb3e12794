# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an allowlist's rules cost modprobe's start, and what `kmod check --all` takes.

The rules are those for all modules of Debian's tree but what btrfs needs: 12,000 lines.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.measuring import commands, less, memory, usage
from benchmarks.peers import BIN, OURS
from benchmarks.registry import WITHOUT
from benchmarks.table import Result
from pymodutils.diagnosis.allowlist import not_allowed
from pymodutils.formats.policy import compile_rules
from pymodutils.roots import Roots
from pymodutils.state.config import read_config
from pymodutils.state.live import NoLiveKernel
from pymodutils.state.system import System
from pymodutils.state.tree import WholeTree
from tests.support import assets

ROUNDS = 60


def compiled(kernel: str, allowed: list[str]) -> bytes:
    """The rules of an allowlist for Debian's tree."""
    roots = Roots(base=str(assets.module_tree(kernel)), release=assets.release(kernel))
    system = System(WholeTree(roots), NoLiveKernel(roots), read_config(roots, ["/nowhere"], command_line=False))
    return compile_rules([], not_allowed([system], allowed), "2026-05-17")


def measure(bench: Bench) -> Iterator[Result]:
    """Yield each row."""
    yield from with_rules(bench)
    for kernel in assets.KERNELS:
        taken = [usage(check_all(kernel), statuses=(0, 1))[0] / 1000 for _ in range(bench.rounds(3))]
        yield bench.result(f"kmod check --all, {kernel}", taken)
    for kernel in assets.KERNELS:
        yield bench.result(f"kmod check --all, {kernel}, memory", [memory(check_all(kernel))])


def with_rules(bench: Bench) -> Iterator[Result]:
    """modprobe's start with and without the rules."""
    data = compiled("6.1", ["btrfs"])
    path = bench.scratch / "00-pymodutils-policy.conf"
    path.write_bytes(data)
    tree = ["-d", str(assets.module_tree("6.1")), "-S", assets.release("6.1"), "-D", "btrfs"]
    name = "modprobe -D btrfs under 12,000 rules"
    words = bench.words(name, "modprobe", ["-C", str(path), *tree], {})
    words[WITHOUT] = [str(BIN / "modprobe"), "-C", "/nowhere", *tree]
    found = commands(words, bench.rounds(ROUNDS))
    lines = data.count(b"\n")
    yield bench.result("modprobe -D btrfs, what 12,000 rules add", less(found[OURS], found[WITHOUT]))
    yield bench.result(name, found, f"{lines:,} lines")


def check_all(kernel: str) -> list[str]:
    """Return the command line."""
    tree = ["-d", str(assets.module_tree(kernel)), "-S", assets.release(kernel), "-C", "/dev/null"]
    return [str(BIN / "kmod"), "check", "--all", "--json", *tree]
