# SPDX-License-Identifier: LGPL-2.1-or-later
"""Events about modules as trace_pipe of tracefs prints them.

Texts in it are what any user may choose: a name of a process, an alias. Either may have line ends, and so a line may
look like an event that never was. What tells a real one is the width of what stands before its text: no user's text,
at most 55 bytes long, has room for that and for an event as well.

Source: trace_print_context in kernel/trace/trace_output.c; include/trace/events/module.h.
"""

from __future__ import annotations

import re

from ..names import decode
from ..records import Record

REQUEST, LOAD, FREE, GET, PUT = "module_request", "module_load", "module_free", "module_get", "module_put"
EVENTS = (REQUEST, LOAD, FREE, GET, PUT)
"""Words of `TraceEntry.event`: the kernel's names."""

NO_NAME = "<...>"
"""Stands for the name of a process when the kernel does not remember it."""


class TraceEntry(Record):
    """One event about a module.

    `time` is in seconds of the clock that was chosen. `comm` is the name of the process that caused it, None if the
    kernel does not remember it, and `pid` its number. `name` is the module, for a request what was asked for. `waits`
    tells of a request whether its process waits for the answer. `call_site` is the kernel's function that asked, or
    that took or gave back a reference; `refcount` is the count after that. `taint` are the letters of a module that
    was loaded. Each is None where there is none.
    """

    event: str
    time: float
    cpu: int
    comm: str | None
    pid: int
    name: str
    waits: bool | None = None
    call_site: str | None = None
    refcount: int | None = None
    taint: str | None = None


class TraceText(Record):
    """What one piece of trace_pipe says. `lost` tells that events are missing, `unclear` counts unknown bytes."""

    entries: tuple[TraceEntry, ...]
    lost: bool
    unclear: int


# 16 bytes of name, even if they have line ends; number, CPU, flags, time.
_HEAD = re.compile(
    rb"(?s)(?:(?<=\n)|\A)(?P<comm>.{16})-(?P<pid>\d{1,7}) {1,7}\[(?P<cpu>\d{3,5})\] [^\s\[\]]{4,6} +"
    rb"(?P<time>\d+\.\d{6}): (?P<event>module_(?:request|load|free|get|put)): "
)
_LOST = re.compile(rb"CPU:\d+ \[LOST (?:\d+ )?EVENTS\]\n")
_SITE = rb"(?P<site>[^\s]+(?: \[[^\s\]]+\])?)"
_BODIES = {
    REQUEST: re.compile(rb"(?s)(?P<name>.*) wait=(?P<wait>[01]) call_site=" + _SITE),
    LOAD: re.compile(rb"(?P<name>[^\s]+)(?: (?P<taint>[A-Za-z]*))?"),
    FREE: re.compile(rb"(?P<name>[^\s]+)"),
    GET: re.compile(rb"(?P<name>[^\s]+) call_site=" + _SITE + rb" refcnt=(?P<count>-?\d{1,10})"),
}
_BODIES[PUT] = _BODIES[GET]


def parse_trace(data: bytes) -> TraceText:
    """Return what a piece of trace_pipe says: one read, which the kernel ends where an event ends."""
    heads = list(_HEAD.finditer(data))
    entries = []
    unclear, lost = _rest(data[: heads[0].start() if heads else len(data)])
    for head, following in zip(heads, [*heads[1:], None][: len(heads)], strict=True):
        body = data[head.end() : following.start() if following else len(data)]
        entry, taken = _entry(head, body)
        if entry:
            entries.append(entry)
        else:
            unclear += head.end() - head.start()
        more, is_lost = _rest(body[taken:])
        unclear, lost = unclear + more, lost or is_lost
    return TraceText(tuple(entries), lost, unclear)


def _rest(data: bytes) -> tuple[int, bool]:
    """Return how much of what stands between events is not understood, and whether it says that some are lost."""
    left = _LOST.sub(b"", data)
    return len(left), left != data


def _entry(head: re.Match[bytes], body: bytes) -> tuple[TraceEntry | None, int]:
    """Return the event that a head and what follows it make, and how many bytes of the latter belong to it."""
    event = head["event"].decode()
    text = body
    while text.endswith(b"EVENTS]\n"):  # said after an event, of those that should have followed
        shorter = re.sub(_LOST.pattern + rb"\Z", b"", text)
        if shorter == text:
            break
        text = shorter
    found = _BODIES[event].fullmatch(text.removesuffix(b"\n"))
    if found is None:
        return None, 0
    fields = found.groupdict()
    comm = decode(head["comm"]).lstrip(" ")
    site, taint, count, wait = (fields.get(field) for field in ("site", "taint", "count", "wait"))
    entry = TraceEntry(
        event=event,
        time=float(head["time"]),
        cpu=int(head["cpu"]),
        comm=None if comm == NO_NAME else comm,
        pid=int(head["pid"]),
        name=decode(fields["name"]),
        waits=None if wait is None else wait == b"1",
        call_site=None if site is None else decode(site),
        refcount=None if count is None else int(count),
        taint=None if event != LOAD else decode(taint or b""),
    )
    return entry, len(text)


def parse_overrun(data: bytes) -> int:
    """Return how many events a buffer has lost, by its `stats` file: those overwritten and those dropped."""
    counts = re.findall(rb"(?m)^(?:overrun|dropped events): (\d{1,18})$", data)
    return sum(map(int, counts))
