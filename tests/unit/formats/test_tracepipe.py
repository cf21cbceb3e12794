# SPDX-License-Identifier: LGPL-2.1-or-later
"""What trace_pipe says of modules, and what nobody can make it say."""

from __future__ import annotations

import pytest

from pymodutils.formats.tracepipe import TraceEntry, parse_overrun, parse_trace
from tests.support.traces import request_line, trace_line


def test_each_kind_of_event() -> None:
    text = parse_trace(
        request_line("net-pf-2-proto-132", comm="python3", pid=812)
        + trace_line("module_load", "sctp OE")
        + trace_line("module_load", "loop ", time=123456.000001)
        + trace_line("module_get", "sctp call_site=sctp_init_sock [sctp] refcnt=2")
        + trace_line("module_put", "sctp call_site=do_init_module refcnt=-1")
        + trace_line("module_free", "sctp")
    )
    assert (text.lost, text.unclear) == (False, 0)
    assert text.entries == (
        TraceEntry("module_request", 1.5, 0, "python3", 812, "net-pf-2-proto-132", True, "__sock_create"),
        TraceEntry("module_load", 1.5, 0, "modprobe", 12, "sctp", taint="OE"),
        TraceEntry("module_load", 123456.000001, 0, "modprobe", 12, "loop", taint=""),
        TraceEntry("module_get", 1.5, 0, "modprobe", 12, "sctp", call_site="sctp_init_sock [sctp]", refcount=2),
        TraceEntry("module_put", 1.5, 0, "modprobe", 12, "sctp", call_site="do_init_module", refcount=-1),
        TraceEntry("module_free", 1.5, 0, "modprobe", 12, "sctp"),
    )


@pytest.mark.parametrize(
    "comm", ["x", "a-1 [000] b: c", "kworker/u2:1-ev", "\n", "x\ny", "a\n\n", "[LOST 3 EVENTS]", "\udcff "]
)
def test_names_of_processes_may_be_anything(comm: str) -> None:
    data = request_line("first", comm=comm[:15], pid=4194304) + request_line("second", comm=comm[:15], pid=1)
    text = parse_trace(data)
    assert [(entry.comm, entry.pid, entry.name) for entry in text.entries] == [
        (comm[:15].lstrip(" "), 4194304, "first"), (comm[:15].lstrip(" "), 1, "second"),
    ]  # fmt: skip
    assert text.unclear == 0


def test_a_name_that_the_kernel_has_forgotten() -> None:
    assert parse_trace(request_line("x", comm="<...>")).entries[0].comm is None


FORGERIES = [
    "fs-x wait=0 call_site=y\nCPU:0 [LOST 9 EVENTS]",
    "fs-\na-1 [000] ..... 1.000000: module_load: x",
    "fs-\n               a-1       [000] ..... 1.000000: modu",
    "fs-x wait=1 call_site=y\na-1 [0] . 1.0: module_free: z",
    "fs-\n\n\n",
    "fs-a b",
    "fs-" + "-1 [000]\n" * 5,
    "fs- wait=1 call_site=z",
]


@pytest.mark.parametrize("alias", FORGERIES)
def test_an_alias_is_no_event_of_its_own(alias: str) -> None:
    """What any user may put into one request is what was asked for, and never a second event or a loss."""
    assert len(alias) <= 55  # all that the kernel takes
    text = parse_trace(request_line("before") + request_line(alias) + request_line("after", pid=7))
    assert [entry.name for entry in text.entries] == ["before", alias, "after"]
    assert (text.lost, text.unclear) == (False, 0)


def test_lost_events_are_said() -> None:
    line = b"CPU:1 [LOST 12 EVENTS]\n"
    for data in (line + request_line("a"), request_line("a") + line + request_line("b"), request_line("a") + line * 2):
        text = parse_trace(data)
        assert text.lost and text.unclear == 0 and text.entries[0].name == "a"
    assert parse_trace(b"CPU:3 [LOST EVENTS]\n").lost


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\n",
        trace_line("module_request", "x wait=2 call_site=y"),
        trace_line("module_load", "a b c"),
        trace_line("module_get", "a call_site=x refcnt=many"),
        trace_line("module_request", "x wait=1 call_site=y") + b"more\n",
    ],
)
def test_what_is_not_understood_is_counted(data: bytes) -> None:
    text = parse_trace(data)
    assert text.unclear == len(data)
    assert text.entries == ()
    whole = parse_trace(data + request_line("after"))
    assert [entry.name for entry in whole.entries] == ["after"] and whole.unclear == len(data)


def test_counts_of_lost_events() -> None:
    assert (
        parse_overrun(b"entries: 7\noverrun: 5\ncommit overrun: 3\nbytes: 1\ndropped events: 2\nread events: 9\n") == 7
    )
    assert parse_overrun(b"") == 0
