# SPDX-License-Identifier: LGPL-2.1-or-later
"""Messages about devices: what the kernel says, and that nobody else is heard."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
import time
from typing import Any

import pytest

from pymodutils.effects.uevents import UeventSocket, is_from_kernel
from pymodutils.effects.workers import Workers
from pymodutils.errors import FileError
from pymodutils.formats.uevent import UEvent, parse_uevent

ADD = b"add@/devices/pci0/00:03\0ACTION=add\0DEVPATH=/devices/pci0/00:03\0SUBSYSTEM=pci\0MODALIAS=pci:v1d1\0SEQNUM=9\0"
KERNEL = (0, 1)


def credentials(uid: int = 0) -> list[tuple[int, int, bytes]]:
    return [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("3i", 0, uid, 0))]


@pytest.mark.parametrize(
    ("data", "event"),
    [
        (ADD, UEvent("add", "/devices/pci0/00:03", "pci", "pci:v1d1")),
        (b"remove@/devices/x\0ACTION=remove\0", UEvent("remove", "/devices/x", None, None)),
        (b"add@/x\0MODALIAS=\0SUBSYSTEM\0", UEvent("add", "/x", None, None)),
        (b"add@/x\0MODALIAS=of:N=a\0", UEvent("add", "/x", None, "of:N=a")),
        (b"libudev\0\xfe\xed\xca\xfe@/", None),
        (b"", None),
        (b"@/x\0", None),
        (b"add@x\0", None),
    ],
)
def test_messages(data: bytes, event: UEvent | None) -> None:
    assert parse_uevent(data) == event


@pytest.mark.parametrize(
    ("sender", "extras", "counts"),
    [
        (KERNEL, credentials(), True),
        ((0, 2), credentials(), False),  # udevd's group
        ((0, 0), credentials(), False),  # to us alone
        ((4711, 1), credentials(), False),  # a process
        (KERNEL, credentials(1000), False),
        (KERNEL, [], False),
        (KERNEL, credentials() * 2, False),
        (KERNEL, [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, b"short")], False),
        ("", credentials(), False),
        (None, credentials(), False),
    ],
)
def test_only_the_kernel_counts(sender: Any, extras: list[tuple[int, int, bytes]], counts: bool) -> None:
    assert is_from_kernel(sender, extras) is counts


class Said:
    """A socket that says what it is told."""

    def __init__(self, *said: Any) -> None:
        self.said = list(said)
        self.pipe = os.pipe()
        os.write(self.pipe[1], b"x")

    def fileno(self) -> int:
        return self.pipe[0]

    def recvmsg(self, _size: int, _room: int) -> Any:
        if not self.said:
            raise BlockingIOError
        one = self.said.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    def close(self) -> None:
        for fd in self.pipe:
            os.close(fd)


def said(*messages: Any) -> UeventSocket:
    return UeventSocket(Said(*messages))  # type: ignore[arg-type]


def test_events_losses_and_foreigners() -> None:
    foreign = (ADD, credentials(), 0, (77, 1))
    lost = OSError(errno.ENOBUFS, "no room")
    with said((ADD, credentials(), 0, KERNEL), foreign, lost, (b"libudev\0", credentials(), 0, KERNEL)) as source:
        events, is_lost = source.read(1)
        assert [event.modalias for event in events] == ["pci:v1d1"] and is_lost
        assert source.foreign == 1
        assert source.read(0) == ([], False)
    with said(OSError(errno.EBADF, "gone")) as source, pytest.raises(FileError, match="uevent socket"):
        source.read(0)


def test_a_cut_message_is_none() -> None:
    with said((ADD, credentials(), socket.MSG_TRUNC, KERNEL)) as source:
        assert source.read(0) == ([], False)


def test_ten_thousand_messages_of_another_process_are_not_heard() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

    def forge() -> None:
        for _ in range(10_000):
            theirs.send(ADD)

    with UeventSocket(ours) as source:
        thread = threading.Thread(target=forge)
        thread.start()
        end = time.monotonic() + 30
        while source.foreign < 10_000 and time.monotonic() < end:
            assert source.read(0.01) == ([], False)
        thread.join()
        assert source.foreign == 10_000
    theirs.close()


def test_waiting_ends_when_somebody_wakes_it() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    read, write = os.pipe()
    threading.Timer(0.1, lambda: os.write(write, b"x")).start()
    with UeventSocket(ours) as source:
        assert source.read(None, read) == ([], False)
    for fd in (read, write):
        os.close(fd)
    theirs.close()


def test_a_real_socket_can_be_made() -> None:
    try:
        source = UeventSocket()
    except FileError as error:  # a sandbox without netlink
        pytest.skip(str(error))
    with source:
        assert source.read(0)[1] is False


# --- threads


def test_calls_run_side_by_side_in_order_and_no_more_than_that() -> None:
    workers = Workers(3)
    lock, begun, most = threading.Lock(), [], [0]
    now: set[int] = set()
    gate = threading.Barrier(3, timeout=10)

    def work(number: int) -> None:
        with lock:
            begun.append(number)
            now.add(number)
            most[0] = max(most[0], len(now))
        if number < 3:
            gate.wait()  # all three at once, or never
        with lock:
            now.discard(number)

    for number in range(9):
        workers.give(lambda number=number: work(number))  # type: ignore[misc]
    workers.wait()
    assert sorted(begun) == list(range(9)) and most[0] == 3 and workers.left == 0
    assert workers.end(1)


def test_one_worker_keeps_the_order() -> None:
    workers, seen = Workers(1), []
    for number in range(50):
        workers.give(lambda number=number: seen.append(number))  # type: ignore[misc]
    workers.wait()
    assert seen == list(range(50))
    workers.end(1)


def test_what_a_call_raises_is_told_once() -> None:
    workers = Workers(2)

    def fail() -> None:
        raise ZeroDivisionError

    workers.give(fail)
    with pytest.raises(ZeroDivisionError):
        workers.wait()
    workers.check()
    workers.give(fail)
    while workers.left:
        time.sleep(0.001)
    with pytest.raises(ZeroDivisionError):
        workers.check()
    workers.end(1)


def test_the_end_does_not_wait_for_ever() -> None:
    workers = Workers(1)
    gate, begun = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        gate.wait(20)

    workers.give(work)
    done: list[int] = []
    workers.give(lambda: done.append(1))
    begun.wait(20)
    assert workers.end(0.05) is False
    gate.set()
    assert workers.end(5) is True
    assert done == []
