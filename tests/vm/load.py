# SPDX-License-Identifier: LGPL-2.1-or-later
"""What test_load.py runs in the guest: work without end on the kernel's modules, by our library and commands.

    python3 -IS load.py CHECKOUT NAME [ARGUMENT...]     prints one JSON object

Commands run in copies of this process, through the same `main` as when started by a user: emulation makes the start of
an interpreter slow, and it is not what is tested here.
"""

import contextlib
import functools
import io
import json
import os
import re
import sys
import time
from collections.abc import Callable

sys.path.append(sys.argv[1])

from pymodutils import KernelModules, LiveKernel, ModuleTree, Roots, loaded_modules, module_info
from pymodutils.cli import insmod, lsmod, modinfo, modprobe, rmmod  # noqa: F401  # so that copies need not
from pymodutils.cli.console import Console
from pymodutils.cli.main import guarded, load

LSMOD_LINE = re.compile(r"[^ ]+ +[0-9]+  [0-9]+( [^ ,]+(,[^ ,]+)*)?")
LSMOD_HEADER = "Module                  Size  Used by"


def command(name: str, *words: str) -> tuple[int, bytes, bytes]:
    """Run a command in this process: its status, output and messages."""
    out, err = io.BytesIO(), io.BytesIO()
    console = Console(name, out, err)
    return guarded(console, lambda: load(name)(list(words), console)), out.getvalue(), err.getvalue()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def anonymous() -> int:
    """KiB of memory of our own in use; pages of programs and libraries come and go as the kernel likes."""
    with open("/proc/self/smaps_rollup") as stream:
        return next(int(line.split()[1]) for line in stream if line.startswith("Anonymous:"))


def cycles(count: int, *paths: str) -> dict[str, object]:
    """Load and unload again and again, all that the library opens on the way included."""
    kernel, name = KernelModules(Roots()), "pmt_a"
    seen = []
    for number in range(count):
        kernel.insert(paths[number % len(paths)])
        state, tree = LiveKernel(Roots()).state(name), ModuleTree(Roots())
        known = (
            tree.find(name) is not None and not tree.is_builtin(name) and tree.modules_by_alias("pmt_bottom") == [name]
        )
        described = number % 20 or module_info(name).license == "GPL"
        listed = number % 20 or name in [module.name for module in loaded_modules()]
        if state != "live" or not (known and described and listed):
            raise AssertionError((number, state, known, described, listed))
        kernel.remove(name)
        if number % 20 == 0:
            seen.append((descriptors(), anonymous()))
    eighth = len(seen) // 8
    least = [list(map(min, zip(*seen[at : at + eighth], strict=True))) for at in range(0, 8 * eighth, eighth)]
    return {"cycles": count, "descriptors": [one[0] for one in least], "anonymous": [one[1] for one in least]}


def in_copy(action: Callable[[], int]) -> int:
    """Run `action` in a copy of this process, whose exit status is what it returns; the process."""
    child = os.fork()
    if child:
        return child
    try:
        os._exit(action())
    finally:
        os._exit(99)


def rounds(count: int, *sets: str) -> dict[str, object]:
    """Load overlapping sets at the same time, look, and remove everything, so many times."""
    failures: list[tuple[int, object, list[str]]] = []
    expected: list[str] | None = None
    for number in range(count):
        gate_reader, gate = os.pipe()

        def one(words: list[str], gate_reader: int = gate_reader, gate: int = gate) -> int:
            os.close(gate)
            os.read(gate_reader, 1)  # until all are ready
            status, out, err = command("modprobe", "-a", *words)
            if status or out or err:
                os.write(2, err + out)
            return status

        children = [in_copy(functools.partial(one, words.split(","))) for words in sets]
        os.close(gate_reader)
        os.close(gate)
        statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        names = [module.name for module in loaded_modules()]
        states = {module.state for module in loaded_modules()}
        expected = expected or sorted(names)
        if any(statuses) or sorted(names) != expected or len(set(names)) != len(names) or states != {"live"}:
            failures.append((number, statuses, sorted(set(expected) ^ set(names))))
        left = remove_everything()
        if left:
            failures.append((number, "left", left))
    return {"rounds": count, "modules": expected, "failures": failures}


def remove_everything() -> list[str]:
    """modprobe -r of whatever nothing uses, until there is nothing; what could not be removed."""
    refused = set()
    while True:
        free = [module.name for module in loaded_modules() if module.refcount == 0 and module.name not in refused]
        if not free:
            return sorted(module.name for module in loaded_modules())
        status, _out, _err = command("modprobe", "-r", *free)
        if status:
            refused |= {name for name in free if LiveKernel(Roots()).state(name)}


def many(count: int, *names: str) -> dict[str, object]:
    """modprobe -a of all names, then everything away; so many times, and once more with nothing to do."""
    results = []
    for _ in range(count):
        status, out, err = command("modprobe", "-a", *names)
        loaded = {module.name for module in loaded_modules()}
        results.append(
            [status, out.decode() + err.decode(), len(loaded), sorted(set(names) - loaded), remove_everything()]
        )
    again = command("modprobe", "-r", *names)
    return {"names": len(names), "results": results, "again": [again[0], (again[1] + again[2]).decode()]}


def watch(stop: str) -> dict[str, object]:
    """lsmod without end until the file `stop` is there; every line that is not as it must be."""
    bad, runs, most = [], 0, 0
    while not os.path.exists(stop):
        status, out, err = command("lsmod")
        header, *lines = out.decode().split("\n")[:-1]
        runs += 1
        most = max(most, len(lines))
        names = [line.partition(" ")[0] for line in lines]
        bad += [line for line in lines if not LSMOD_LINE.fullmatch(line)]
        bad += [f"twice: {name}" for name in set(names) if names.count(name) > 1]
        if status or err or header != LSMOD_HEADER or not out.endswith(b"\n"):
            bad.append(repr((status, err, header)))
        with contextlib.suppress(OSError):
            time.sleep(0.001)  # let the others work: there may be one processor only
    return {"runs": runs, "most": most, "bad": bad[:20]}


if __name__ == "__main__":
    counted: dict[str, Callable[..., object]] = {"cycles": cycles, "rounds": rounds, "many": many}
    name, first, *rest = sys.argv[2:]
    print(json.dumps(watch(first, *rest) if name == "watch" else counted[name](int(first), *rest)))
