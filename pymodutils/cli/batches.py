# SPDX-License-Identifier: LGPL-2.1-or-later
"""Answer many operands on all CPUs, with the output that one process would give, in the order of the operands.

The operands are cut into as many parts as there are CPUs. This process answers the first part, and a forked helper each
other one; what helpers print is kept in memory files until its turn comes. A helper stops at the first operand about
which there is something to say on standard error, since messages depend on those before them, and this process goes on
from there. So it does where a helper died.
"""

from __future__ import annotations

import posix
from _struct import Struct
from _struct import error as UnpackError  # type: ignore[attr-defined]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from .console import Console

_OUTCOME = Struct("<IIQ")  # operands answered, their worst status, bytes printed
_BLOCK = 1 << 20


class _Message(BaseException):
    """There is something to say on standard error. No `Exception`: nothing on the way may take it for its own."""


class _NoMessages:
    """Stands for standard error in a helper."""

    def write(self, _data: bytes) -> NoReturn:
        raise _Message

    def flush(self) -> None:
        """Do nothing: nothing was written."""

    def isatty(self) -> bool:
        """Say no: a helper has nothing to say."""
        return False


class _Helper:
    """A forked process that answers a part of the operands, seen from the first."""

    def __init__(self, pid: int, outcome: int, printed: int) -> None:
        self._pid = pid
        self._outcome = outcome
        self._printed = printed

    def take(self, console: Console) -> tuple[int, int]:
        """Wait, print what the helper printed, and return how many operands it answered, and their worst status."""
        try:
            done, status, length = _OUTCOME.unpack(posix.read(self._outcome, _OUTCOME.size))
        except (OSError, UnpackError):
            return 0, 0  # it died
        for at in range(0, length, _BLOCK):
            data = posix.pread(self._printed, min(_BLOCK, length - at), at)
            console.write(data.decode("utf-8", "surrogateescape"))  # which turns back any cut
        return done, status

    def end(self) -> None:
        """End the process if it still runs, and free what belongs to it."""
        posix.close(self._outcome)
        posix.close(self._printed)
        try:
            posix.kill(self._pid, 9)
            posix.waitpid(self._pid, 0)
        except OSError:
            pass  # somebody else collected it


def answer_all(operands: Sequence[str], answer: Callable[[str], int], console: Console) -> int:
    """Call `answer`, which prints to `console` and returns a status, for each operand; return the worst status."""
    parts = _parts(operands, 1 if console.syslog else len(posix.sched_getaffinity(0)))
    console.flush()  # else helpers would inherit what is printed and not yet handed out
    helpers: list[_Helper | None] = []
    try:
        for part in parts[1:]:
            helpers.append(_start(part, answer, console))
        status = max(map(answer, parts[0]))
        for part, helper in zip(parts[1:], helpers, strict=True):
            done, worst = helper.take(console) if helper else (0, 0)
            status = max([status, worst, *map(answer, part[done:])])
        return status
    finally:
        for helper in helpers:
            if helper:
                helper.end()


def _parts(operands: Sequence[str], count: int) -> list[Sequence[str]]:
    size = -(-len(operands) // count)
    return [operands[at : at + size] for at in range(0, len(operands), size)]


def _start(operands: Sequence[str], answer: Callable[[str], int], console: Console) -> _Helper | None:
    """Fork a helper; None when the system does not allow it."""
    opened: list[int] = []
    parent = posix.getpid()
    try:
        opened += posix.pipe()
        opened.append(posix.memfd_create("answers"))
        pid = posix.fork()
    except OSError:
        for fd in opened:
            posix.close(fd)
        return None
    reader, writer, printed = opened
    if pid == 0:
        _run(operands, answer, console, writer, printed, parent)
    posix.close(writer)
    return _Helper(pid, reader, printed)


def _run(
    operands: Sequence[str], answer: Callable[[str], int], console: Console, outcome: int, printed: int, parent: int
) -> NoReturn:
    # Be the helper. Whatever goes wrong, the first process sees only how far it came. Without that, nobody needs it.
    try:
        done = status = length = 0
        with open(printed, "wb", closefd=False) as stream:
            console.redirect(stream, _NoMessages())
            try:
                for operand in operands:
                    if posix.getppid() != parent:
                        break
                    status = max(status, answer(operand))
                    done += 1
                    length = stream.tell()
            except (_Message, Exception):
                pass  # the first process meets it again, and says it
        posix.write(outcome, _OUTCOME.pack(done, status, length))
    finally:
        posix._exit(0)
