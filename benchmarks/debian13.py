# SPDX-License-Identifier: LGPL-2.1-or-later
"""xz by liblzma 5.8, which is much faster than older ones: Debian 13's kmod 34.2, and ours on Debian 13's Python.

Both run in a Debian 13 root directory, on the same tree.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import statistics
from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.measuring import NotMeasured, Outcomes
from benchmarks.peers import OURS, REPO
from benchmarks.registry import DEBIAN13
from benchmarks.table import Result
from tests.packaging.machine import Machine, system
from tests.support import assets

KERNEL, ROUNDS = "6.1", 9
CHECKOUT = "/opt/pymodutils"
COPY = f"""
mkdir {CHECKOUT}
cd /mnt/checkout
cp -r bin pymodutils {CHECKOUT}
python3 -IS -m compileall -q {CHECKOUT}/pymodutils
python3 -IS {CHECKOUT}/pymodutils/make_pack.py
"""
VERSIONS = "dpkg-query -W -f '${Package} ${Version}, ' python3 kmod liblzma5"


def measure(bench: Bench) -> Iterator[Result]:
    """Yield each row."""
    if os.geteuid():
        raise NotMeasured("a Debian 13 root directory needs root")
    if not shutil.which("mmdebstrap"):
        raise NotMeasured("mmdebstrap is missing")
    release = assets.release(KERNEL)
    machine = Machine(bench.scratch / "machine", system("trixie"))
    machine.binds = [(REPO, "/mnt/checkout"), (assets.module_tree(KERNEL, "xz"), "/mnt/tree")]
    machine.run(COPY)
    words = {
        label: [command, "-b", "/mnt/tree", "-o", f"/tmp/{label[:1]}", release]
        for label, command in {OURS: f"{CHECKOUT}/bin/depmod", DEBIAN13: "/usr/sbin/depmod"}.items()
    }
    measuring = ["python3", "-m", "benchmarks.measuring", str(bench.rounds(ROUNDS)), json.dumps(words)]
    answer = machine.run(f"cd /mnt/checkout; exec {shlex.join(measuring)}")
    found: dict[str, list[list[float]]] = json.loads(answer)
    outcomes: Outcomes = {label: [wall for wall, _ in taken] for label, taken in found.items()}
    cpu = [f"{statistics.median(one for _, one in taken):,.0f} ms of CPU time" for taken in found.values()]
    versions = machine.run(VERSIONS).strip(", ")
    yield bench.result("depmod, xz, Debian 13's Python", outcomes, f"ours {cpu[0]}, kmod {cpu[1]}; {versions}")
