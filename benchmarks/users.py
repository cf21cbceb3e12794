# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `kmod who` takes on a machine with 2,000 processes.

    python -m benchmarks.users [PROCESSES]

Budget: at most 0.5 s of processor time, start and imports of psutil and pyroute2 included. Each process has ten
descriptors: files, sockets, pipes, device nodes.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).parent.parent
PROCESSES, SECONDS, ROUNDS = 2000, 0.5, 5
MODULE = "printk"  # which every kernel has, and whose file nobody knows: nothing is left out for it


def sleeping(count: int) -> list[int]:
    """Start processes that do nothing."""
    found = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            _sleep()
        found.append(pid)
    return found


def _sleep() -> None:
    kept: list[object] = [socket.socket(), socket.socket(socket.AF_UNIX), os.pipe()]
    kept += [os.open(path, os.O_RDONLY) for path in ("/dev/null", "/dev/zero", "/etc/passwd")]
    while True:
        signal.pause()


def seconds_of(words: list[str]) -> float:
    """Run a program; return the processor time that it took."""
    process = subprocess.Popen(words, cwd=REPO, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):  # it has not looked
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    """Measure, print, say whether the budget holds."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else PROCESSES
    words = [sys.executable, "-m", "pymodutils", "who", "--json", MODULE]
    few = min(seconds_of(words) for _ in range(ROUNDS))
    pids = sleeping(count)
    try:
        many = min(seconds_of(words) for _ in range(ROUNDS))
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)
    over = many > SECONDS
    print(f"kmod who, processor time, best of {ROUNDS}")
    print(f"{'as it is':<20}{few * 1000:>8.0f} ms")
    print(f"{f'{count:,} processes':<20}{many * 1000:>8.0f} ms  of {SECONDS * 1000:.0f}{'  OVER' if over else ''}")
    return over


if __name__ == "__main__":
    sys.exit(main())
