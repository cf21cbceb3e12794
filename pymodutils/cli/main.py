# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a started process to a command and back to an exit status. Nothing may escape from here as a traceback.

Import budget: this file, `console`, `errors`, `names` and one command's modules; no ctypes, re, enum or typing.
"""

from __future__ import annotations

import errno
import posix

from ..errors import Error
from .console import CommandExit, Console, OutputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from ..roots import Roots

    class Run(Protocol):
        """The form of a command: its arguments in, its exit status out."""

        def __call__(self, arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
            """Run the command."""
            ...


PROGRAMS = ("lsmod", "rmmod", "insmod", "modinfo", "modprobe", "depmod")
"""The commands that start without the registry: looking into it costs a twentieth of what starting lsmod costs."""

INTERRUPTED = 130

ROOM = 2 << 20
"""Bytes of memory with which every command can start. With less, imports fail in ways that do not tell why, or hang."""

_SCARCE = 8 << 20
"""Bytes of memory; with less, the libraries of the interpreter's own modules may find no room."""


def load(module: str) -> Run:
    """Import a command's module and return its `run`."""
    imported = __import__(f"pymodutils.cli.{module}", fromlist=["run"])
    run: Run = imported.run
    return run


def main(argv: Sequence[str]) -> int:
    """Run the command named by argv[0] on this process's own streams, and return the exit status."""
    _open_closed_descriptors()
    console = Console.standard(argv[0])

    def run() -> int:
        _allow_interrupts()
        bytes(ROOM)  # raises MemoryError; the memory is never touched
        return load(console.name if console.name in PROGRAMS else "kmod")(argv[1:], console)

    return guarded(console, run)


def guarded(console: Console, run: Callable[[], int]) -> int:
    """Call `run` and hand out its output; whatever goes wrong becomes one line and an exit status."""
    status = attempt(console, run)
    return attempt(console, lambda: _flushed(console, status))


def _flushed(console: Console, status: int) -> int:
    console.flush()
    return status


def attempt(
    console: Console,
    action: Callable[[], int],
    failure: int = 1,
    tell: Callable[[Exception, str], None] | None = None,
) -> int:
    """Return what `action` returns; whatever goes wrong becomes one line and the status `failure`.

    `tell` is told of what went wrong, and of the line, unless it is the output that cannot be written.
    """
    try:
        return action()
    except CommandExit as end:
        if tell and end.reason:
            tell(end, end.reason)
        return end.status
    except KeyboardInterrupt:
        return INTERRUPTED
    except OutputError as error:
        if error.errno != errno.EPIPE:  # the program that closed the pipe knows
            console.error(f"write error: {error.strerror}")
    except Exception as error:
        text = _line(error)
        console.error(text)
        if tell:
            tell(error, text)
    return failure


def _line(error: Exception) -> str:
    """Return what went wrong as one line."""
    if isinstance(error, Error):
        return str(error)
    if isinstance(error, MemoryError) or _is_for_lack_of_memory(error):
        return "out of memory"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
    if isinstance(error, RecursionError):
        return "nested too deeply"
    # a bug of ours: still one line, still a status scripts understand
    return f"internal error: {type(error).__name__}: {error}"


def _is_for_lack_of_memory(error: Exception) -> bool:
    """Tell whether an import failed because there was no memory for it, which the error does not say."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if not isinstance(error, (ImportError, SystemError)):
        return False
    try:
        bytes(_SCARCE)
    except MemoryError:
        return True
    return False


def _allow_interrupts() -> None:
    """Let an interrupt raise KeyboardInterrupt from now on; until now it ended the process (bin/kmod)."""
    import _signal  # type: ignore[import-not-found]  # `signal` imports enum

    if _signal.getsignal(_signal.SIGINT) != _signal.SIG_IGN:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)


def _open_closed_descriptors() -> None:
    """Put /dev/null behind closed standard descriptors; else the next file opened would become standard output."""
    for fd in (0, 1, 2):
        try:
            posix.fstat(fd)
        except OSError:
            # Takes the lowest free number, which is fd. Commands that modprobe runs get it too.
            posix.set_inheritable(_open_nothing(), True)


def _open_nothing() -> int:
    """Open /dev/null, or what cannot be read or written where it is missing.

    The kernel starts modprobe from the initial file system before anything is mounted there.
    """
    try:
        return posix.open("/dev/null", posix.O_RDWR)
    except OSError:
        return posix.open("/", posix.O_PATH)
