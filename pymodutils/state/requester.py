# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who a process is, as long as it lives: asked by number soon after the kernel has named it."""

from __future__ import annotations

import os

from ..errors import Error
from ..names import decode
from ..records import Record
from .files import read_or_none

FIRST_NAMESPACE = 0xEFFFFFFC
"""The inode of the first process namespace: only there are numbers of processes those that the kernel prints."""


class Requester(Record):
    """A process: its name and the user who started it (real uid), each None when it is not known."""

    comm: str | None
    uid: int | None


NOBODY_KNOWS = Requester(None, None)


def start_of(proc: str, pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None when there is no such process."""
    try:
        text = decode(read_or_none(f"{proc}/{pid}/stat") or b"")
    except Error:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return int(fields[19]) if len(fields) > 19 and fields[19].isdecimal() else None


def sees_all_processes(proc: str) -> bool:
    """Tell whether this process is in the first process namespace."""
    try:
        return os.stat(f"{proc}/self/ns/pid").st_ino == FIRST_NAMESPACE
    except OSError:
        return False


def requester(proc: str, pid: int, comm: str | None, time: float) -> Requester:
    """Return who a process is that did something at `time`, in seconds since boot.

    It must have started before that, and have the name `comm` where that is known: else another has its number now.
    """
    ticks = start_of(proc, pid)
    if ticks is None or ticks / os.sysconf("SC_CLK_TCK") > time + 0.02:
        return NOBODY_KNOWS
    try:
        name = decode(read_or_none(f"{proc}/{pid}/comm") or b"").removesuffix("\n")
        status = decode(read_or_none(f"{proc}/{pid}/status") or b"")
    except Error:
        return NOBODY_KNOWS
    if comm is not None and comm != name.lstrip(" "):
        return NOBODY_KNOWS
    for line in status.split("\n"):
        words = line.split()
        if words[:1] == ["Uid:"] and len(words) > 1 and words[1].isdecimal():
            return Requester(name or None, int(words[1]))
    return NOBODY_KNOWS
