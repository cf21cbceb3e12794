# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run one of our commands and see what it does: every audited event of the interpreter, as it happens."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.common import BIN

_PROGRAM = """
import os, sys
log, sys.argv = {log!r}, {words!r}
__file__ = sys.argv[0]
code = compile(open(__file__).read(), __file__, "exec")
log = os.open(log, os.O_WRONLY | os.O_APPEND)
watched = {watched!r}
def hook(event, arguments):
    if event in watched:
        os.write(log, (event + "\\0" + "\\0".join(map(ascii, arguments)) + "\\n").encode())
sys.addaudithook(hook)
exec(code)
"""

OPENING = ("open", "os.listdir", "os.scandir")
STARTING = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "os.forkpty",
    "subprocess.Popen",
    "pty.spawn",
)


@dataclass
class Observed:
    """What came of a run: its status and output, and (event, arguments as `ascii` shows them) in order."""

    status: int
    out: bytes
    err: bytes
    events: list[tuple[str, list[str]]]

    def opened(self) -> set[str]:
        """Paths that were opened or listed, apart from what the interpreter imports."""
        paths = {arguments[0].strip("'\"") for event, arguments in self.events if event in OPENING}
        return {path for path in paths if not path.endswith((".py", ".pyc", ".so"))}

    def started(self) -> list[tuple[str, list[str]]]:
        """Everything that starts a program or a process."""
        return [(event, arguments) for event, arguments in self.events if event in STARTING]


def observe(
    words: Sequence[str], folder: Path, environment: dict[str, str] | None = None, cwd: Path | None = None
) -> Observed:
    """Run a command (its name and arguments); `folder` is for the log."""
    log = folder / "events"
    log.write_text("")
    code = _PROGRAM.format(log=str(log), words=[str(BIN / words[0]), *words[1:]], watched=(*OPENING, *STARTING))
    done = subprocess.run(
        ["/usr/bin/python3", "-IS", "-c", code], capture_output=True, env=environment, cwd=cwd, stdin=subprocess.DEVNULL
    )
    lines = [line.split("\0") for line in log.read_text().splitlines()]
    return Observed(done.returncode, done.stdout, done.stderr, [(line[0], line[1:]) for line in lines])
