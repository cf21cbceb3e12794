# SPDX-License-Identifier: LGPL-2.1-or-later
"""How a service tells those who started it that it is ready: systemd's way, a descriptor, or the end of a parent."""

from __future__ import annotations

import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


class Readiness:
    """Tells of one service. `descriptor` gets a line end, and is closed, when it is ready; -1 for none."""

    def __init__(self, descriptor: int = -1) -> None:
        self._descriptor = descriptor
        self._address = os.environ.get("NOTIFY_SOCKET", "")

    def ready(self) -> None:
        """Tell that it is ready; only the first time counts."""
        self.tell("READY=1")
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            try:
                os.write(descriptor, b"\n")
                os.close(descriptor)
            except OSError:
                return  # nobody waits any more

    def tell(self, text: str) -> None:
        """Send systemd a line such as `STATUS=...` (sd_notify(3)). Nothing happens where it did not ask for that."""
        if not self._address.startswith(("/", "@")):
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
                to.sendto(text.encode("utf-8", "surrogateescape"), address)
        except OSError:
            return


def go_to_background() -> int:
    """Go on as a child of nobody, and return a descriptor: when it is written to, the parent ends with status 0.

    If it is closed before that, the parent ends with the status of the child. Does not return in the parent. Raises
    OSError.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        _follow_child(pid, reading)
    os.close(reading)
    os.setsid()
    return writing


def _follow_child(pid: int, reading: int) -> NoReturn:
    """End as the child says."""
    status = 0
    if not os.read(reading, 1):
        status = max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 1)
    os._exit(status)


def leave_terminal() -> None:
    """Have /dev/null as standard input, output and error."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    if null > 2:
        os.close(null)
