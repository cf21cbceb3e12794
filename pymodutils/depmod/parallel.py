# SPDX-License-Identifier: LGPL-2.1-or-later
"""Start a second process, the helper, by one fork, share work with it, and exchange messages.

Work is handed out in chunks through a pipe of tokens that both read, so neither waits for the other. Messages travel
through memory files. The first process notices a helper that dies by the end of its pipe, and does its work too.
Threads would share one interpreter lock; `multiprocessing` takes longer to import than this takes to run.
"""

from __future__ import annotations

import os
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn

_TOKEN = Struct("<I")
_MESSAGE = Struct("<QQ")
_MOST_TOKENS = 1000  # all must fit into a pipe before anybody reads, and a pipe may have no more than a page

MIN_CHUNK = 8
"""Modules handed out at once, at least."""


def processors() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0))


class Tokens:
    """Numbers of chunks of work, each given out once: to this process, or after `share` also to those it forks."""

    def __init__(self, items: int) -> None:
        self.size: int = max(MIN_CHUNK, -(-items // _MOST_TOKENS))
        self._items = items
        self._count = -(-items // self.size)
        self._reader: int | None = None

    def share(self) -> None:
        """Make the pipe. Call it before any token is given out. Raises OSError."""
        reader, writer = os.pipe()
        try:
            os.write(writer, b"".join(map(_TOKEN.pack, range(self._count))))
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        self._reader = reader

    def __iter__(self) -> Iterator[range]:
        """Give out the items of chunk after chunk, in order, until none is left."""
        if self._reader is None:
            for number in range(self._count):
                yield self.items(number)
            return
        while token := os.read(self._reader, _TOKEN.size):
            (number,) = _TOKEN.unpack(token)
            yield self.items(number)

    def items(self, number: int) -> range:
        """Return the items of one chunk."""
        return range(number * self.size, min((number + 1) * self.size, self._items))

    def close(self) -> None:
        """Free the pipe."""
        if self._reader is not None:
            os.close(self._reader)


class Channel:
    """One end of a pair of byte streams between two processes; a message is whole or does not arrive."""

    def __init__(self, reader: int, writer: int, incoming: int, outgoing: int) -> None:
        self._reader = reader
        self._writer = writer
        self._incoming = incoming
        self._outgoing = outgoing
        self._sent = 0

    def send(self, *parts: bytes) -> bool:
        """Hand the parts joined to the other process; False when it is gone. Raises OSError for lack of memory."""
        data = b"".join(parts)
        start = self._sent
        while len(data) > self._sent - start:
            self._sent += os.pwrite(self._outgoing, data[self._sent - start :], self._sent)
        try:
            os.write(self._writer, _MESSAGE.pack(start, len(data)))
        except BrokenPipeError:
            return False
        return True

    def receive(self) -> bytes | None:
        """Return the next message; None when the other process is gone."""
        note = os.read(self._reader, _MESSAGE.size)
        if len(note) < _MESSAGE.size:
            return None
        start, length = _MESSAGE.unpack(note)
        data = os.pread(self._incoming, length, start)
        return data if len(data) == length else None

    def close(self) -> None:
        """Free the descriptors; the other process takes it for the end."""
        for fd in (self._reader, self._writer, self._incoming, self._outgoing):
            os.close(fd)


class Helper:
    """The second process, seen from the first."""

    def __init__(self, pid: int, channel: Channel) -> None:
        self._pid = pid
        self._channel: Channel | None = channel

    def send(self, *parts: bytes) -> None:
        """Hand over bytes, or stop the helper when that cannot be done."""
        try:
            done = self._channel is None or self._channel.send(*parts)
        except OSError:
            done = False
        if not done:
            self.stop()

    def receive(self) -> bytes | None:
        """Return what the helper sent; None when it is gone, now or before, or its answer cannot be read."""
        try:
            data = self._channel.receive() if self._channel else None
        except OSError:
            data = None
        if data is None:
            self.stop()
        return data

    def stop(self) -> None:
        """End the helper if it still runs, and forget it."""
        if self._channel is None:
            return
        self._channel.close()
        self._channel = None
        try:
            os.kill(self._pid, 9)
            os.waitpid(self._pid, 0)
        except OSError:
            pass  # somebody else collected it


def start(work: Callable[[Channel], None]) -> Helper | None:
    """Fork a helper that runs `work`; None when the system does not allow it."""
    opened: list[int] = []
    try:
        opened += os.pipe()
        opened += os.pipe()
        opened += (os.memfd_create("depmod"), os.memfd_create("depmod"))
        pid = os.fork()
    except OSError:
        for fd in opened:
            os.close(fd)
        return None
    to_helper_reader, to_helper_writer, from_helper_reader, from_helper_writer, to_helper, from_helper = opened
    if pid == 0:
        os.close(to_helper_writer)  # else the end of the first process would go unnoticed
        os.close(from_helper_reader)
        _run(work, Channel(to_helper_reader, from_helper_writer, to_helper, from_helper))
    os.close(to_helper_reader)
    os.close(from_helper_writer)
    return Helper(pid, Channel(from_helper_reader, to_helper_writer, from_helper, to_helper))


def _run(work: Callable[[Channel], None], channel: Channel) -> NoReturn:
    # Be the helper. Whatever goes wrong, the first process sees only that the helper is gone.
    try:
        work(channel)
    finally:
        os._exit(0)
