# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `kmod who` takes on a machine with 2,000 processes, in processor time, imports of psutil and pyroute2 included.

Each process has ten descriptors: files, sockets, pipes, device nodes.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.bench import Bench
from benchmarks.measuring import Outcome, interleaved, usage
from benchmarks.peers import OURS
from benchmarks.table import Result

PROCESSES, ROUNDS = 2000, 5
MODULE = "printk"  # which every kernel has, and whose file nobody knows: nothing is left out for it


@contextmanager
def sleeping(count: int) -> Iterator[None]:
    """Processes that do nothing."""
    pids: list[int] = []
    try:
        for _ in range(count):
            pid = os.fork()
            if pid == 0:
                _sleep()
            pids.append(pid)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)


def _sleep() -> None:
    kept: list[object] = [socket.socket(), socket.socket(socket.AF_UNIX), os.pipe()]
    kept += [os.open(path, os.O_RDONLY) for path in ("/dev/null", "/dev/zero", "/etc/passwd")]
    while True:
        signal.pause()


def measure(bench: Bench) -> Iterator[Result]:
    """Yield each row."""
    words = [sys.executable, "-m", "pymodutils", "who", "--json", MODULE]

    def taken() -> Outcome:
        return interleaved({OURS: lambda: usage(words, statuses=(0, 1))[1]}, bench.rounds(ROUNDS))[OURS]

    yield bench.result("kmod who, CPU time", taken())
    with sleeping(PROCESSES):
        many = taken()
    yield bench.result(f"kmod who, {PROCESSES:,} processes, CPU time", many)
