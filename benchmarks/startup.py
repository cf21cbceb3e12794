# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a user waits for: our commands, a bare interpreter, and the other implementations.

All see a /proc/modules of 200 lines, so that the machine's own modules do not matter, and the tree of Debian's kernel
as /lib/modules, which is the only one that busybox takes. The commands are the checkout's, with the pack that
make_pack.py leaves. A verb of kmod is asked about a system without modules: what is measured is the time before its
own work begins.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.measuring import NotMeasured, among_mounts, commands, interleaved, mounted, usage
from benchmarks.peers import BARE, BIN, BUSYBOX, OURS
from benchmarks.table import Result
from pymodutils.cli import registry
from tests.support import assets

KERNEL = "6.1"
ROUNDS = 60
MODALIAS = "usb:v0BDAp8153d3000dc00dsc00dp00ic02isc06ip00in00"
OPERANDS = {"status": ["loop"]}
"""What verbs are asked about that do not answer without it."""


def measure(bench: Bench) -> Iterator[Result]:
    """Yield each row."""
    base, release = assets.module_tree(KERNEL), assets.release(KERNEL)
    modinfo = ["-b", str(base), "-k", release, "e1000e"]
    modprobe = ["-d", str(base), "-S", release]

    def compare(name: str, words: list[str], busybox: list[str] | None = None) -> Result:
        others = {} if busybox is None else {BUSYBOX: busybox}
        command = name.split()[0].strip(",")
        return among_modules(bench.scratch, lambda: bench.compare(name, command, words, ROUNDS, others))

    yield compare("lsmod, 200 modules", [])
    yield compare("modinfo e1000e", modinfo, ["e1000e"])
    yield compare("modprobe -D btrfs", [*modprobe, "-D", "btrfs"], ["-D", "btrfs"])
    yield compare("modprobe -R MODALIAS", [*modprobe, "-R", MODALIAS])
    yield compare("modprobe -n -v btrfs", [*modprobe, "-n", "-v", "btrfs"])
    yield slowest_verb(bench)


def among_modules(scratch: Path, action: Callable[[], Result]) -> Result:
    """Measure where the loaded modules are others than the machine's, and the tree is Debian's."""
    tree = assets.module_tree(KERNEL) / "lib/modules" / assets.release(KERNEL)
    return among_mounts(lambda: _mount(scratch, tree), action)


def _mount(scratch: Path, tree: Path) -> None:
    proc, trees = scratch / "proc", scratch / "trees"
    for folder in (proc, trees):
        folder.mkdir(exist_ok=True)
    mounted("--rbind", "/proc", proc)
    mounted("-t", "tmpfs", "none", "/proc")
    lines = (f"module_{n} {n * 4096} {n % 3} - Live 0x0000000000000000\n" for n in range(200))
    Path("/proc/modules").write_text("".join(lines))
    for path in proc.iterdir():
        if path.name != "modules" and not path.name.isdigit():
            Path("/proc", path.name).symlink_to(path)
    if os.path.isdir("/lib/modules"):
        mounted("-t", "tmpfs", "none", "/lib/modules")
        Path("/lib/modules", os.uname().release).symlink_to(tree)


def slowest_verb(bench: Bench) -> Result:
    """The verb that starts slowest, by CPU time, measured at length."""
    verbs = [command.name for command in registry.VERBS if command.module.startswith("verbs.")]
    words = {name: [str(BIN / "kmod"), name, "--root=/nowhere", *OPERANDS.get(name, ())] for name in verbs}
    statuses = range(4)
    runs = {name: lambda one=one: usage(one, statuses=statuses)[1] for name, one in words.items()}
    found = interleaved(runs, 5)
    if failures := {name: str(one) for name, one in found.items() if isinstance(one, NotMeasured)}:
        raise RuntimeError(f"{failures}")
    slowest = max(verbs, key=lambda name: statistics.median(found[name]))  # type: ignore[arg-type]
    name = "kmod VERB, the slowest"
    outcomes = commands({OURS: words[slowest], BARE: bench.peers.words(BARE, "", [])}, bench.rounds(ROUNDS // 2),
                        statuses=statuses)  # fmt: skip
    return bench.result(name, outcomes, f"{slowest}, of {len(verbs)}")
