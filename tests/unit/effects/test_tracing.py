# SPDX-License-Identifier: LGPL-2.1-or-later
"""A tracefs instance of our own: made, told what to trace, read, and gone afterwards."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pymodutils.effects import tracing
from pymodutils.effects.tracing import Trace, clear, tracefs
from pymodutils.errors import Error, FileError
from pymodutils.formats.tracepipe import EVENTS
from pymodutils.roots import Roots
from pymodutils.state.requester import Requester, requester, start_of
from tests.support.common import replace_call
from tests.support.traces import ForgedTracefs, request_line, trace_line


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    return Roots(sys=str(tmp_path / "sys"))


@pytest.fixture
def forged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ForgedTracefs:
    return ForgedTracefs(tmp_path / "sys", monkeypatch)


def test_an_instance_is_made_read_and_taken_away(forged: ForgedTracefs, roots: Roots) -> None:
    with Trace(EVENTS, module="loop", roots=roots) as trace:
        start = start_of("/proc", os.getpid())
        assert forged.names == [f"pymodutils-{os.getpid()}-{start}"]
        assert trace.read(0) == []
        forged.say(request_line("fs-x") + trace_line("module_free", "loop"))
        assert [entry.name for entry in trace.read(5)] == ["fs-x", "loop"]
    assert forged.names == []
    assert forged.seen["events/module/module_get/filter"] == 'name == "loop"'
    assert forged.seen["events/module/module_load/filter"] == ""
    assert forged.seen["trace_clock"] == "boot"
    assert forged.seen["events/module/module_request/enable"] == "1"


def test_waiting_ends_in_time(forged: ForgedTracefs, roots: Roots) -> None:
    with Trace(EVENTS, roots=roots) as trace:
        forged.say(b"")
        before = time.monotonic()
        assert list(trace.entries(0.2)) == []
        assert time.monotonic() - before >= 0.2


def test_two_instances_of_one_process(forged: ForgedTracefs, roots: Roots) -> None:
    with Trace(EVENTS, roots=roots), Trace(EVENTS, roots=roots):
        assert len(forged.names) == 2
    assert forged.names == []


def test_lost_events_are_counted_when_the_pipe_says_so(forged: ForgedTracefs, roots: Roots) -> None:
    with Trace(EVENTS, roots=roots) as trace:
        forged.lose(17)
        forged.say(b"CPU:0 [LOST 17 EVENTS]\n" + request_line("a"))
        assert [entry.name for entry in trace.read(5)] == ["a"]
        assert trace.lost == 17
        forged.say(b"what?\n")
        trace.read(5)
        assert (trace.take_unclear(), trace.take_unclear()) == (6, 0)


def test_bytes_without_end_hold_nothing_up(
    forged: ForgedTracefs, roots: Roots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody but a broken kernel makes them: each look ends, and tells how much it was."""
    with Trace(EVENTS, roots=roots) as trace:
        pipe, real, reads = trace._pipe, os.read, 0

        def read(fd: int, length: int) -> bytes:
            nonlocal reads
            if fd != pipe:
                return real(fd, length)
            reads += 1
            assert reads < 1000, "there is no end of it"
            return b"x" * length

        replace_call(monkeypatch, "read", read)
        assert trace.read(3600) == []
        assert trace.take_unclear() == reads << 16
        assert trace.read(3600) == []


def test_instances_of_dead_processes_are_cleared_and_no_others(forged: ForgedTracefs, roots: Roots) -> None:
    start = start_of("/proc", os.getpid())
    own, other = f"pymodutils-{os.getpid()}-{start}", f"pymodutils-{os.getpid()}-1"
    kept = [own, f"{own}-3", "somebodys", "pymodutils-x-1", "pymodutils-12"]
    for name in [*kept, other, f"{other}-2", "pymodutils-99999999-5"]:
        os.mkdir(forged.instances / name)
    with Trace(EVENTS, roots=roots):
        assert set(forged.names) == {*kept, f"{own}-1"}
    assert set(forged.names) == {*kept}


def test_in_a_namespace_of_its_own_nobody_is_known_to_be_dead(
    forged: ForgedTracefs, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkdir(forged.instances / "pymodutils-99999999-5")
    monkeypatch.setattr(tracing, "sees_all_processes", lambda proc: False)
    assert clear(str(forged.instances.parent)) == []
    assert forged.names == ["pymodutils-99999999-5"]


def test_a_kernel_without_these_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roots: Roots) -> None:
    forged = ForgedTracefs(tmp_path / "sys", monkeypatch, events=("module_load",))
    with pytest.raises(FileError, match="events/module/module_free: the kernel has no such event"):
        Trace(["module_load", "module_free"], roots=roots).__enter__()
    assert forged.names == []


def test_where_tracefs_is(tmp_path: Path, roots: Roots) -> None:
    with pytest.raises(Error, match="sys is not mounted: tracefs would be below it"):
        tracefs(roots)
    (tmp_path / "sys/kernel").mkdir(parents=True)
    with pytest.raises(Error, match="this kernel has no tracefs"):
        tracefs(roots)
    (tmp_path / "sys/kernel/tracing").mkdir(parents=True)
    with pytest.raises(
        Error, match=f"^tracefs is not mounted: mount -t tracefs tracefs {tmp_path}/sys/kernel/tracing$"
    ):
        tracefs(roots)
    (tmp_path / "sys/kernel/debug/tracing/instances").mkdir(parents=True)
    assert tracefs(roots) == f"{tmp_path}/sys/kernel/debug/tracing"
    (tmp_path / "sys/kernel/tracing/instances").mkdir()
    assert tracefs(roots) == f"{tmp_path}/sys/kernel/tracing"


@pytest.mark.skipif(os.getuid() == 0, reason="root may look into every directory")
def test_without_root(tmp_path: Path, roots: Roots) -> None:
    place = tmp_path / "sys/kernel/tracing"
    place.mkdir(parents=True)
    place.chmod(0)
    with pytest.raises(PermissionError, match=f"^{place}: Permission denied$"):
        tracefs(roots)


# --- processes


def test_who_a_process_is() -> None:
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    comm = Path("/proc/self/comm").read_text().strip()
    assert requester("/proc", os.getpid(), comm, now) == Requester(comm, os.getuid())
    assert requester("/proc", os.getpid(), None, now) == Requester(comm, os.getuid())
    nobody = Requester(None, None)
    assert requester("/proc", os.getpid(), "another", now) == nobody
    assert requester("/proc", os.getpid(), comm, 0.0) == nobody  # it has begun since
    assert requester("/proc", 99999999, comm, now) == nobody
