# SPDX-License-Identifier: LGPL-2.1-or-later
"""Loading into a real kernel: modprobe in a virtual machine, ours and kmod's in the same one, in turn.

Everything that was loaded is unloaded before the next. QEMU emulates the processor in software, which slows
interpretation more than it slows what the kernel does; the notes split the time: what the program takes for itself,
and what the kernel takes on its behalf, which is the same work for both.
"""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.measuring import NotMeasured, Outcomes, orders
from benchmarks.peers import KMOD34, OURS
from benchmarks.registry import OWN_SERIAL
from benchmarks.table import Result
from tests.vm.harness import TOOLS, Guest, boot
from tests.vm.image import GUEST_CHECKOUT
from tests.vm.plain import plain_modules

KERNEL, MANY, ROUNDS = "6.1", 300, 5
TIMEOUT = 1500.0
IN_GUEST = Path(__file__).with_name("loading_guest.py")


def measure(bench: Bench) -> Iterator[Result]:
    """Yield each row."""
    if not shutil.which("qemu-system-x86_64"):
        raise NotMeasured("qemu-system-x86_64 is missing")
    names = plain_modules(KERNEL)[:MANY]
    rounds = bench.rounds(ROUNDS)
    with guest_with(names, 1) as guest:
        btrfs = ["btrfs"]
        yield compared(bench, guest, "VM: modprobe btrfs", rounds, {OURS: btrfs, KMOD34: btrfs})
        every = ["-a", *names]
        yield compared(bench, guest, "VM: modprobe -a, 300 modules", rounds, {OURS: every, KMOD34: every})
    with guest_with(names, 2) as guest:
        words = {OURS: ["-j", "2", *every], KMOD34: every, OWN_SERIAL: every}
        yield compared(bench, guest, "VM, two CPUs: modprobe -a -j 2, 300 modules", rounds, words)


def guest_with(names: list[str], cpus: int) -> Guest:
    """A guest with the modules, and our commands as they are installed: with the pack."""
    guest = boot(KERNEL, modules=["btrfs", "crc32c_generic", *names], cpus=cpus)
    guest.run(["python3", "-IS", f"{GUEST_CHECKOUT}/pymodutils/make_pack.py"], timeout=TIMEOUT).check()
    return guest


def compared(bench: Bench, guest: Guest, name: str, rounds: int, words: dict[str, list[str]]) -> Result:
    """Load in turn by kmod and by ours, each with words of its own."""
    commands = {}
    for label, more in words.items():
        program, start, _ = TOOLS["kmod34" if label == KMOD34 else "ours"](f"{GUEST_CHECKOUT}/bin/modprobe")
        commands[label] = [program or start[0], *start[1:], *more]
    plan = (commands, list(orders(list(commands), rounds + 1)))
    path = guest.put("/tmp/loading.json", json.dumps(plan).encode())
    script = guest.put("/tmp/loading_guest.py", IN_GUEST.read_bytes())
    answer = guest.run(["python3", "-IS", script, path], timeout=TIMEOUT).check().stdout
    found: dict[str, list[list[float]]] = json.loads(answer)
    outcomes: Outcomes = {label: [wall for wall, _, _ in taken] for label, taken in found.items()}
    return bench.result(name, outcomes, "; ".join(split(label, taken) for label, taken in found.items()))


def split(label: str, taken: list[list[float]]) -> str:
    """The medians of a tool's own time and of the kernel's."""
    user, system = (statistics.median(one[which] for one in taken) for which in (1, 2))
    return f"{label} {user:,.0f} ms in the program, {system:,.0f} ms in the kernel"
