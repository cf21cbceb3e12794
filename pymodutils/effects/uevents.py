# SPDX-License-Identifier: LGPL-2.1-or-later
"""The socket on which the kernel tells of devices.

Anybody who is root in some namespace can send messages there. Only those count whose sender is the kernel: netlink's
port 0, and the credentials of root, which the kernel itself puts on each message.

A few lines of the standard library's `socket`: with it, listening takes 10 MB of memory; with pyroute2's uevent socket
it takes 33 MB, since that imports all of pyroute2.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
import time

from ..errors import FileError
from ..formats.uevent import parse_uevent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Any, Self

    from ..formats.uevent import UEvent

NETLINK_KOBJECT_UEVENT = 15
KERNEL_GROUP = 1
"""The multicast group of the kernel's own messages; udevd sends its own to group 2."""

BUFFER = 16 << 20
"""Bytes of messages that may wait: a machine with thousands of devices tells of all of them at once."""

_LARGEST = 1 << 16
_MOST_AT_ONCE = 4096
_SO_RCVBUFFORCE = 33
_CREDENTIALS = struct.Struct("3i")


class UeventSocket:
    """Hears of devices. `foreign` counts messages that were not the kernel's, which nobody hears of otherwise.

    `source` is the socket to read from, for tests. Raises `FileError` where there is no such socket.
    """

    def __init__(self, source: socket.socket | None = None) -> None:
        self.foreign: int = 0
        self._socket: socket.socket = source or _listen()

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, timeout: float | None, wake: int = -1) -> tuple[list[UEvent], bool]:
        """Return what has been told, and whether something was lost; wait for the first up to `timeout` seconds.

        A message that is not the kernel's ends no waiting; that the descriptor `wake` can be read does.
        """
        end = None if timeout is None else time.monotonic() + timeout
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if wake >= 0:
            poll.register(wake, select.POLLIN)
        is_woken = False
        while True:
            events, is_lost = self._take()
            left = None if end is None else end - time.monotonic()
            if events or is_lost or is_woken or (left is not None and left <= 0):
                return events, is_lost
            is_woken = wake in dict(poll.poll(None if left is None else left * 1000))

    def _take(self) -> tuple[list[UEvent], bool]:
        """Return what is there, and whether something was lost."""
        found: list[UEvent] = []
        is_lost = False
        for _ in range(_MOST_AT_ONCE):
            try:
                data, extras, flags, sender = self._socket.recvmsg(_LARGEST, socket.CMSG_SPACE(_CREDENTIALS.size))
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise FileError.of(error, "uevent socket") from None
                is_lost = True
                continue
            if not is_from_kernel(sender, extras):
                self.foreign += 1
                continue
            event = None if flags & socket.MSG_TRUNC else parse_uevent(data)
            if event:
                found.append(event)
        return found, is_lost


def is_from_kernel(sender: Any, extras: Iterable[tuple[int, int, bytes]]) -> bool:
    """Tell whether a message is the kernel's: from port 0 to its group, with the credentials of root.

    `sender` and `extras` are what recvmsg gives. Credentials are of process, user and group.
    """
    if sender != (0, KERNEL_GROUP):
        return False
    credentials = [
        data
        for level, kind, data in extras
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and len(data) >= _CREDENTIALS.size
    ]
    return len(credentials) == 1 and _CREDENTIALS.unpack_from(credentials[0])[1] == 0


def _listen() -> socket.socket:
    """Return a socket that hears the kernel. Raises `FileError`."""
    try:
        made = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT)
    except OSError as error:
        raise FileError.of(error, "uevent socket") from None
    try:
        for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
            try:
                made.setsockopt(socket.SOL_SOCKET, option, BUFFER)
                break
            except PermissionError:
                continue
        made.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        made.bind((0, KERNEL_GROUP))
    except OSError as error:
        made.close()
        raise FileError.of(error, "uevent socket") from None
    return made
