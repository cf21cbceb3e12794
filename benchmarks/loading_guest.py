# SPDX-License-Identifier: LGPL-2.1-or-later
"""What loading.py runs in the guest: loads by each command in turn, and unloads everything in between.

    python3 -IS loading_guest.py PLAN

PLAN is a file of JSON: {label: words}, and the labels in the order of each round. What is printed is
{label: [[wall, user, system]]}, without the first round, which warms caches.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time

DELETE_MODULE, O_NONBLOCK = 176, os.O_NONBLOCK  # x86-64
_libc = ctypes.CDLL(None, use_errno=True)


def loaded() -> list[str]:
    """The names of what is loaded."""
    with open("/proc/modules") as listing:
        return [line.partition(" ")[0] for line in listing]


def unload(keep: set[str]) -> None:
    """Unload all but what was there at the start."""
    while left := [name for name in loaded() if name not in keep]:
        if all(_libc.syscall(DELETE_MODULE, name.encode(), O_NONBLOCK) for name in left):
            time.sleep(0.05)


def run(words: list[str]) -> tuple[float, float, float]:
    """Milliseconds of a command: wall time, its own, the kernel's on its behalf."""
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        try:
            os.execv(words[0], words)
        finally:
            os._exit(127)
    _, status, used = os.wait4(child, 0)
    taken = time.perf_counter() - start
    if status:
        raise SystemExit(f"{words[0]}: status {os.waitstatus_to_exitcode(status)}")
    return taken * 1000, used.ru_utime * 1000, used.ru_stime * 1000


def main(path: str) -> None:
    """Load and unload."""
    commands: dict[str, list[str]]
    orders: list[list[str]]
    with open(path) as file:
        commands, orders = json.load(file)
    keep, counts = set(loaded()), set()
    found: dict[str, list[tuple[float, float, float]]] = {label: [] for label in commands}
    for number, order in enumerate(orders):
        for label in order:
            taken = run(commands[label])
            counts.add(len(loaded()))
            unload(keep)
            if number:
                found[label].append(taken)
    if len(counts) != 1:
        raise SystemExit(f"they loaded different numbers of modules: {counts}")
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
