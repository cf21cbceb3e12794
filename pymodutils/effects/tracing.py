# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel's events about modules, from a tracefs instance of our own.

An instance is a ring buffer with settings of its own: what others trace is not disturbed. Its name tells the process
that made it, so that the next run finds what a killed one has left, and takes it away.

Source: Documentation/trace/ftrace.rst of the kernel, "Instances"; docs/behaviour/7-kernel-facts.md, 6.
"""

from __future__ import annotations

import errno
import os
import select
import time

from ..errors import Error, FileError
from ..formats.tracepipe import GET, PUT, parse_overrun, parse_trace
from ..roots import Roots
from ..shellwords import command
from ..state.files import read_or_none
from ..state.requester import sees_all_processes, start_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from ..formats.tracepipe import TraceEntry

PLACES = ("kernel/tracing", "kernel/debug/tracing")
"""Where tracefs is mounted, below /sys; debugfs mounts it at the second one."""

PREFIX = "pymodutils-"
"""How the names of our instances begin; the number of the process and the time of its start follow."""

KILOBYTES = 256
"""Size of the ring buffer of each CPU: some thousand events."""

SETTINGS = (
    ("trace_clock", "boot"),  # the one that the starts of processes are told in
    ("buffer_percent", "0"),  # else a reader is woken when the buffer is half full
    ("current_tracer", "nop"),
)
OPTIONS = (
    *("context-info", "irq-info", "record-cmd", "overwrite"),
    *("noraw", "nohex", "nobin", "noverbose", "norecord-tgid", "nofields", "nostacktrace", "nouserstacktrace"),
    *("noannotate", "nolatency-format", "nodisable_on_free", "noevent-fork", "nopause-on-trace"),
)
"""What the form of the text rests on. An instance begins with the settings of the machine's own buffer."""

_PIECE = 1 << 16
_MOST_PIECES = 16
"""Pieces that one look takes: somebody who makes more must not keep us from telling what there is."""
_LONGEST_WAIT = 0.25  # seconds: some kernels lose a wake-up


class Trace:
    """Events about modules as they happen. `with` makes the instance and takes it away again.

    `events` are names of `formats.tracepipe.EVENTS`; with `module`, references are told of that module alone. Times are
    in seconds since boot. `lost` counts the events that nobody read in time, as of the last look, and `unclear` bytes
    that could not be understood. Raises `Error` when there is no tracefs, and `FileError` when this user may not.
    """

    def __init__(self, events: Iterable[str], *, module: str | None = None, roots: Roots | None = None) -> None:
        self.roots: Roots = roots or Roots()
        self.events: tuple[str, ...] = tuple(events)
        self.module = module
        self.path: str = ""
        """The directory of the instance, empty while there is none."""
        self.lost: int = 0
        self.unclear: int = 0
        self._pipe = -1

    def __enter__(self) -> Self:
        top = tracefs(self.roots)
        clear(top, self.roots.proc)
        self.path = _make(top, self.roots.proc)
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the instance away. Does nothing when there is none."""
        path, self.path = self.path, ""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
        if path:
            _remove(path)

    def read(self, timeout: float) -> list[TraceEntry]:
        """Return what has happened; wait for it up to `timeout` seconds. Raises `FileError`.

        The waiting ends as well when events were lost, or bytes came that could not be understood.
        """
        end = time.monotonic() + timeout
        missed = self.lost, self.unclear
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        while True:
            found = self._take()
            left = end - time.monotonic()
            if found or left <= 0 or missed != (self.lost, self.unclear):
                return found
            poll.poll(min(left, _LONGEST_WAIT) * 1000)

    def entries(self, seconds: float | None = None) -> Iterator[TraceEntry]:
        """Yield events as they happen, for `seconds` or without end."""
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            left = 3600.0 if end is None else end - time.monotonic()
            yield from self.read(max(left, 0.0))
            if left <= 0:
                return

    def count_lost(self) -> int:
        """Look how many events were lost so far, and return it."""
        total = 0
        try:
            for name in os.listdir(f"{self.path}/per_cpu"):
                total += parse_overrun(read_or_none(f"{self.path}/per_cpu/{name}/stats") or b"")
        except (OSError, Error):
            return self.lost
        self.lost = max(total, self.lost)
        return self.lost

    def take_unclear(self) -> int:
        """Return how many bytes could not be understood since this was asked last."""
        unclear, self.unclear = self.unclear, 0
        return unclear

    def _take(self) -> list[TraceEntry]:
        """Return what is there, in the order in which it happened."""
        found: list[TraceEntry] = []
        for _ in range(_MOST_PIECES):
            try:
                data = os.read(self._pipe, _PIECE)
            except BlockingIOError:
                break
            except OSError as error:
                raise FileError.of(error, f"{self.path}/trace_pipe") from None
            if not data:
                break
            text = parse_trace(data)
            found += text.entries
            self.unclear += text.unclear
            if text.lost or text.unclear:
                self.count_lost()
        return found

    def _set_up(self) -> None:
        """Choose settings and events, and begin."""
        _write(f"{self.path}/tracing_on", "0")
        for name, value in SETTINGS:
            _try_write(f"{self.path}/{name}", value)  # older kernels lack some
        for option in OPTIONS:
            _try_write(f"{self.path}/trace_options", option)
        _try_write(f"{self.path}/buffer_size_kb", str(KILOBYTES))
        for event in self.events:
            place = f"{self.path}/events/module/{event}"
            if not os.path.isdir(place):
                raise FileError("the kernel has no such event", path=place, errno=errno.ENOENT)
            if self.module is not None and event in (GET, PUT):
                _write(f"{place}/filter", f'name == "{self.module}"')
            _write(f"{place}/enable", "1")
        try:
            self._pipe = os.open(f"{self.path}/trace_pipe", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise FileError.of(error, f"{self.path}/trace_pipe") from None
        _write(f"{self.path}/tracing_on", "1")


def tracefs(roots: Roots) -> str:
    """Return where tracefs is mounted. Raises `Error`, which names the command that mounts it, and `FileError`."""
    places = [f"{roots.sys}/{place}" for place in PLACES]
    for place in places:
        try:
            os.listdir(f"{place}/instances")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise FileError.of(error, place) from None
        return place
    if os.path.isdir(places[0]):
        raise Error(f"tracefs is not mounted: {command('mount -t tracefs tracefs', places[0])}")
    if not os.path.isdir(f"{roots.sys}/kernel"):
        raise Error(f"{roots.sys} is not mounted: tracefs would be below it", path=places[0])
    raise Error("this kernel has no tracefs (CONFIG_FTRACE)", path=places[0])


def clear(top: str, proc: str = "/proc") -> list[str]:
    """Take away the instances whose process does not live any more; return their names. `top` is where tracefs is.

    What another process reads cannot be taken away: the kernel says that it is busy.
    """
    gone = []
    try:
        names = os.listdir(f"{top}/instances") if sees_all_processes(proc) else []
    except OSError:
        return []
    for name in names:
        numbers = name.removeprefix(PREFIX).split("-")
        if not name.startswith(PREFIX) or len(numbers) < 2 or not all(number.isdecimal() for number in numbers):
            continue
        if str(start_of(proc, int(numbers[0]))) != numbers[1] and _remove(f"{top}/instances/{name}"):
            gone.append(name)
    return gone


def _make(top: str, proc: str) -> str:
    """Make an instance and return its directory. Raises `FileError`."""
    path = f"{top}/instances/{PREFIX}{os.getpid()}-{start_of(proc, os.getpid()) or 0}"
    for number in range(100):
        place = path if number == 0 else f"{path}-{number}"  # a second one of the same process
        try:
            os.mkdir(place, 0o700)
        except FileExistsError:
            continue
        except OSError as error:
            raise FileError.of(error, place) from None
        return place
    raise FileError(os.strerror(errno.EEXIST), path=path, errno=errno.EEXIST)


def _remove(path: str) -> bool:
    """Take an instance away; tell whether it is gone."""
    for name in ("tracing_on", "events/enable"):
        _try_write(f"{path}/{name}", "0")
    for pause in (0.0, 0.01, 0.1):  # what has just been closed may be busy for a moment
        time.sleep(pause)
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return True
        except OSError:
            continue
        return True
    return False


def _write(path: str, text: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise FileError.of(error, path) from None


def _try_write(path: str, text: str) -> None:
    try:
        _write(path, text)
    except FileError:
        return
