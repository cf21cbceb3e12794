# SPDX-License-Identifier: LGPL-2.1-or-later
"""Loading into a real kernel: modprobe in a virtual machine, ours and kmod's in the same one, in turn.

Everything that was loaded is unloaded before the next. QEMU emulates the processor in software, which slows
interpretation more than it slows what the kernel does; the notes split the time: what the program takes for itself,
and what the kernel takes on its behalf, which is the same work for both.
"""

from __future__ import annotations

import json
import shlex
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
TWO_KMODS = "two kmods at once, half of the modules each,"
"""What a second CPU can do for loading, whichever program asks for it."""
TIMEOUT = 1500.0
IN_GUEST = Path(__file__).with_name("loading_guest.py")


def measure(bench: Bench) -> Iterator[Result]:
    """Yield each row."""
    if not shutil.which("qemu-system-x86_64"):
        raise NotMeasured("qemu-system-x86_64 is missing")
    names = plain_modules(KERNEL)[:MANY]
    rounds = bench.rounds(ROUNDS)
    with guest_with(names, 1) as guest:
        btrfs = {OURS: command("ours", ["btrfs"]), KMOD34: command("kmod34", ["btrfs"])}
        yield compared(bench, guest, "VM: modprobe btrfs", rounds, btrfs)
        every = {OURS: command("ours", ["-a", *names]), KMOD34: command("kmod34", ["-a", *names])}
        yield compared(bench, guest, "VM: modprobe -a, 300 modules", rounds, every)
    with guest_with(names, 2) as guest:
        jobs = {
            OURS: command("ours", ["-a", "-j", "2", *names]),
            KMOD34: every[KMOD34],
            OWN_SERIAL: every[OURS],
            TWO_KMODS: at_once([command("kmod34", ["-a", *names[start::2]]) for start in (0, 1)]),
        }
        yield compared(bench, guest, "VM, two CPUs: modprobe -a -j 2, 300 modules", rounds, jobs)


def guest_with(names: list[str], cpus: int) -> Guest:
    """A guest with the modules, and our commands as they are installed: with the pack."""
    guest = boot(KERNEL, modules=["btrfs", "crc32c_generic", *names], cpus=cpus)
    guest.run(["python3", "-IS", f"{GUEST_CHECKOUT}/pymodutils/make_pack.py"], timeout=TIMEOUT).check()
    return guest


def command(tool: str, words: list[str]) -> list[str]:
    """A tool's modprobe with these words, as it is started in the guest."""
    program, start, _ = TOOLS[tool](f"{GUEST_CHECKOUT}/bin/modprobe")
    return [program or start[0], *start[1:], *words]


def at_once(commands: list[list[str]]) -> list[str]:
    """Commands at the same time, as one that ends with the last of them."""
    return ["/bin/sh", "-c", "".join(f"{shlex.join(words)} & " for words in commands) + "wait"]


def compared(bench: Bench, guest: Guest, name: str, rounds: int, commands: dict[str, list[str]]) -> Result:
    """Load by each command in turn. What the row has no column for is in the note alone."""
    plan = (commands, list(orders(list(commands), rounds + 1)))
    path = guest.put("/tmp/loading.json", json.dumps(plan).encode())
    script = guest.put("/tmp/loading_guest.py", IN_GUEST.read_bytes())
    answer = guest.run(["python3", "-IS", script, path], timeout=TIMEOUT).check().stdout
    found: dict[str, list[list[float]]] = json.loads(answer)
    outcomes: Outcomes = {label: [wall for wall, _, _ in taken] for label, taken in found.items()}
    return bench.result(name, outcomes, "; ".join(split(label, taken) for label, taken in found.items()))


def split(label: str, taken: list[list[float]]) -> str:
    """The medians of a tool's own time and of the kernel's."""
    wall, user, system = (statistics.median(one[which] for one in taken) for which in (0, 1, 2))
    lasts = f"{wall:,.0f} ms, " if label == TWO_KMODS else ""
    return f"{label} {lasts}{user:,.0f} ms in the program, {system:,.0f} ms in the kernel"
