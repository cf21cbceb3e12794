# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod watch: who asked, what came of it, and that nothing is left behind."""

from __future__ import annotations

import errno
import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pymodutils import Context, LiveKernelNotAskedError, Observer, Place, Roots, WatchEvent, policy_audit, watch
from pymodutils import deny as deny_modules
from pymodutils.diagnostics import Diagnostic
from pymodutils.formats.tracepipe import EVENTS, TraceEntry, parse_trace
from pymodutils.state.requester import Requester
from pymodutils.verbs import watch as verb
from tests.support.common import replace_call, run_inside
from tests.support.forgedsystem import forge_system, lay_files, lay_kernel, needing
from tests.support.schemas import check_document
from tests.support.traces import ForgedTracefs, request_line, trace_line

MODULES = {
    "base": needing("base"),
    "sctp": needing("sctp", "base", strings=["alias=net-pf-2-proto-132"]),
    "bad": needing("bad", strings=["alias=fs-bad", "alias=fs-both"]),
    "black": needing("black", strings=["alias=fs-black"]),
    "soft": needing("soft", strings=["softdep=pre: base", "alias=fs-soft"]),
    "good": needing("good", strings=["alias=fs-both"]),
    "own": needing("own", strings=["alias=fs-own"]),
}
CONF = """install bad /bin/false
blacklist black
install soft /bin/false
alias net-pf-3 off
install own /opt/does-what-it-likes
"""


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    return forge_system(tmp_path, MODULES, builtin=["inside"], files={"etc/modprobe.d/a.conf": CONF})


class Script:
    """Stands for `Trace`: hands out what it is told, one piece for each time somebody looks."""

    pieces: list[Callable[[], bytes]]

    def __init__(self, events: Any, *, module: str | None, roots: Roots) -> None:
        self.events, self.module = list(events), module
        self.lost, self.unclear, self.closed = 0, 0, False
        Script.last = self

    last: Script

    def __enter__(self) -> Script:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def read(self, timeout: float) -> list[TraceEntry]:
        if not Script.pieces:
            time.sleep(min(timeout, 0.01))
            return []
        text = parse_trace(Script.pieces.pop(0)())
        self.lost += 5 * text.lost
        self.unclear += text.unclear
        return list(text.entries)

    def count_lost(self) -> int:
        return self.lost

    def take_unclear(self) -> int:
        unclear, self.unclear = self.unclear, 0
        return unclear


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Callable[[], bytes]]]:
    monkeypatch.setattr(verb, "Trace", Script)
    monkeypatch.setattr(verb, "sees_all_processes", lambda proc: True)
    monkeypatch.setattr(verb, "requester", lambda proc, pid, comm, when: Requester(comm, 1000))
    monkeypatch.setattr(verb, "_SURELY_WAITING", 0.0)
    Script.pieces = []
    yield Script.pieces


def seen(roots: Roots, seconds: float = 0.3, **options: Any) -> list[WatchEvent]:
    return list(watch(Context(roots), seconds=seconds, **options))


@pytest.mark.parametrize(
    ("alias", "outcome", "modules", "line"),
    [
        ("fs-bad", "denied", ("bad",), 1),
        ("fs-black", "denied", ("black",), 2),
        ("net-pf-3", "denied", ("off",), 4),
        ("fs-nothing", "not-found", (), None),
        ("inside", "loaded", ("inside",), None),
        ("fs-[", "not-found", (), None),
    ],
)
def test_what_rules_and_indexes_decide(
    roots: Roots, script: list[Any], alias: str, outcome: str, modules: tuple[str, ...], line: int | None
) -> None:
    script.append(lambda: request_line(alias, comm="python3", pid=812, time=3.25))
    (event,) = seen(roots)
    assert (event.event, event.asked, event.outcome, event.modules) == ("request", alias, outcome, modules)
    assert (event.by and event.by.line, event.comm, event.pid, event.uid) == (line, "python3", 812, 1000)
    assert event.call_site == "__sock_create"
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    assert abs(event.time - boot - 3.25) < 1


def test_a_request_is_told_when_the_module_is_there(roots: Roots, script: list[Any]) -> None:
    def comes_in() -> bytes:
        lay_kernel(Path(roots.base), {"sctp": "0 - Live 0x0"})
        return trace_line("module_load", "sctp E")

    script += [lambda: request_line("net-pf-2-proto-132"), comes_in]
    (Path(roots.proc) / "12").mkdir()
    (Path(roots.proc) / "12/wchan").write_text("call_usermodehelper_exec")
    load, request = seen(roots)
    assert (load.event, load.module, load.taint) == ("load", "sctp", "E")
    assert (request.event, request.outcome, request.modules) == ("request", "loaded", ("sctp",))


def test_a_request_fails_when_who_asked_goes_on_without_it(roots: Roots, script: list[Any]) -> None:
    script.append(lambda: request_line("net-pf-2-proto-132"))
    assert [event.outcome for event in seen(roots, 1.0)] == ["failed"]


def test_who_has_just_asked_may_not_wait_yet(roots: Roots, script: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "_SURELY_WAITING", 60.0)
    script.append(lambda: request_line("net-pf-2-proto-132"))
    assert [event.outcome for event in seen(roots, 1.0)] == [None]


def test_what_is_not_decided_at_the_end_is_not_known(roots: Roots, script: list[Any]) -> None:
    (Path(roots.proc) / "12").mkdir()
    (Path(roots.proc) / "12/wchan").write_text("call_usermodehelper_exec")
    script.append(lambda: request_line("net-pf-2-proto-132") + request_line("fs-own") + request_line("x", wait=0))
    assert [(event.asked, event.outcome) for event in seen(roots)] == [
        ("x", "not-found"), ("net-pf-2-proto-132", None), ("fs-own", None),
    ]  # fmt: skip


def test_one_of_several_modules_is_enough(roots: Roots, script: list[Any]) -> None:
    script.append(lambda: request_line("fs-both"))
    lay_kernel(Path(roots.base), {"good": "0 - Live 0x0"})
    assert [(event.outcome, event.modules) for event in seen(roots)] == [("loaded", ("bad", "good"))]


def test_rules_that_change_meanwhile_count(roots: Roots, script: list[Any]) -> None:
    def denied() -> bytes:
        (Path(roots.base) / "etc/modprobe.d/z.conf").write_text("blacklist good\n")
        return request_line("fs-both")

    script += [lambda: request_line("fs-bad"), denied]
    first, second = seen(roots)
    assert (first.outcome, second.outcome) == ("denied", "denied")


def test_the_kernels_own_refusal_is_a_rule(roots: Roots, script: list[Any]) -> None:
    (Path(roots.proc) / "cmdline").write_text("module_blacklist=good,x\n")
    script.append(lambda: request_line("good"))
    (event,) = seen(roots)
    assert event.outcome == "denied"
    assert event.by == Place(f"{roots.proc}/cmdline", None, "module_blacklist=good")


def test_references_and_lost_events(roots: Roots, script: list[Any]) -> None:
    script += [
        lambda: trace_line("module_get", "good call_site=do_open refcnt=2", comm="losetup"),
        lambda: b"CPU:0 [LOST 5 EVENTS]\n",
        lambda: b"what\n",
    ]
    get, lost, unclear = seen(roots, what=(), refs="good-one")
    assert Script.last.events == ["module_get", "module_put"] and Script.last.module == "good_one"
    assert (get.event, get.module, get.call_site, get.refcount, get.comm) == ("get", "good", "do_open", 2, "losetup")
    assert (lost.event, lost.lost, unclear.event, unclear.lost) == ("lost", 5, "lost", None)


def test_losses_that_go_on_are_told_once_a_second(
    roots: Roots, script: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0

    def clock() -> float:
        nonlocal now
        now += 0.01
        return now

    monkeypatch.setattr(time, "monotonic", clock)
    script += [lambda: b"CPU:0 [LOST 5 EVENTS]\n"] * 50
    losses = [event.lost for event in watch(Context(roots), (), refs="good", seconds=10) if event.event == "lost"]
    assert losses[0] == 5 and sum(loss or 0 for loss in losses) == 250
    assert len(losses) < 10
    script += [lambda: b"CPU:0 [LOST 5 EVENTS]\n", lambda: b"what\n", lambda: b"what\n"]
    losses = [event.lost for event in watch(Context(roots), (), refs="good", seconds=0.2) if event.event == "lost"]
    assert losses == [5, None]


def test_elsewhere_numbers_of_processes_mean_nothing(
    roots: Roots, script: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "sees_all_processes", lambda proc: False)
    script.append(lambda: request_line("fs-bad", comm="<...>"))
    (event,) = seen(roots)
    assert (event.comm, event.pid, event.uid) == (None, 12, None)


def test_closing_takes_the_instance_away(roots: Roots, script: list[Any]) -> None:
    script.append(lambda: request_line("fs-bad"))
    events = watch(Context(roots))
    next(events)
    assert not Script.last.closed
    events.close()
    assert Script.last.closed


def test_what_cannot_be_watched(roots: Roots) -> None:
    with pytest.raises(LiveKernelNotAskedError):
        watch(Context(roots, live=False))
    for what in ("boots", ()):
        with pytest.raises(ValueError, match="watch what"):
            watch(Context(roots), what)


def test_a_kernel_that_asks_nobody_is_told_of(roots: Roots, script: list[Any]) -> None:
    class Hears(Observer):
        heard: list[Diagnostic] = []  # noqa: RUF012

        def diagnostic(self, diagnostic: Diagnostic) -> None:
            self.heard.append(diagnostic)

    path = Path(roots.proc) / "sys/kernel/modprobe"
    path.parent.mkdir(parents=True)
    for content, codes in (("/sbin/modprobe\n", []), ("\n", ["no-helper"])):
        path.write_text(content)
        hears = Hears()
        seen(roots, 0, observer=hears)
        assert [diagnostic.code for diagnostic in hears.heard] == codes


# --- the command


@pytest.fixture
def forged(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> ForgedTracefs:
    return ForgedTracefs(Path(roots.sys), monkeypatch)


def saying(forged: ForgedTracefs, *pieces: bytes, then: Callable[[], None] = lambda: None) -> threading.Thread:
    """Let the instance print something as soon as it is there."""

    def work() -> None:
        end = time.monotonic() + 10
        while not forged.is_tracing and time.monotonic() < end:
            time.sleep(0.01)
        for piece in pieces:
            forged.say(piece)
        then()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


LINES = (
    request_line("fs-bad\x1b[2J", comm="mo\nunt", pid=9) + request_line("fs-bad", comm="mount", pid=9)
    + trace_line("module_load", "good OE") + trace_line("module_free", "good")
)  # fmt: skip


def test_lines_for_people(roots: Roots, forged: ForgedTracefs) -> None:
    thread = saying(forged, LINES)
    done = run_inside("kmod", ["watch", "--seconds", "0.5"], roots)
    thread.join()
    assert (done.status, done.err, forged.names) == (0, b"", [])
    lines = [line.partition(b"  ")[2].decode() for line in done.out.splitlines()]
    assert lines == [
        "request fs-bad\\x1b[2J by mo\\x0aunt[9] uid - (__sock_create) -> not found",
        f"request fs-bad by mount[9] uid - (__sock_create) -> denied {roots.base}/etc/modprobe.d/a.conf:1",
        "load good (OE) by modprobe[12] uid -",
        "free good by modprobe[12] uid -",
    ]


def test_a_kernel_that_asks_nobody_is_a_warning(roots: Roots, forged: ForgedTracefs) -> None:
    lay_files(Path(roots.base), {"proc/sys/kernel/modprobe": "\n"})
    done = run_inside("kmod", ["watch", "--seconds", "0.1"], roots)
    assert done.status == 0 and done.err.startswith(f"kmod: WARNING: {roots.proc}/sys/kernel/modprobe: ".encode())


def test_lines_of_json_are_documents_and_feed_an_audit(roots: Roots, forged: ForgedTracefs, tmp_path: Path) -> None:
    thread = saying(forged, LINES, request_line("fs-bad"), b"CPU:0 [LOST 2 EVENTS]\n")
    done = run_inside("kmod", ["watch", "--json", "--seconds=0.5"], roots)
    thread.join()
    documents = [check_document(line) for line in done.out.splitlines()]
    assert [document["event"] for document in documents[:5]] == ["request", "request", "load", "free", "request"]
    deny_modules(Context(roots), ["good", "bad", "soft"], reason="why")
    log = tmp_path / "log"
    log.write_bytes(done.out + b'{"cut off\n{}\n[]\nsoft # by name\n')
    report = policy_audit(Context(roots), log=log.read_text().splitlines())
    assert [(warning.module, warning.text) for warning in report.warnings] == [
        ("bad", "would be denied: why; asked for as fs-bad by mount[9] uid -, the first of 2 requests"),
        ("good", "would be denied: why"), ("soft", "would be denied: why"),
    ]  # fmt: skip
    for words in ([str(log)], ["--log", str(log)]):
        audit = run_inside("kmod", ["policy", "audit", *words], roots)
        assert audit.status == 1
        assert b"asked for as fs-bad by mount[9]" in audit.out
    assert run_inside("kmod", ["policy", "audit", "/no/such"], roots).status == 2


@pytest.mark.parametrize(
    ("function", "part", "says"),
    [
        ("open", "trace_pipe", b"trace_pipe: Input/output error"),
        ("open", "module_load/enable", b"module_load/enable: Input/output error"),
        ("open", "tracing_on", b"tracing_on: Input/output error"),
        ("mkdir", "instances", b"Input/output error"),
        ("read", "", b"trace_pipe: Input/output error"),
    ],
)
def test_whatever_fails_is_one_line_and_leaves_nothing(
    roots: Roots, forged: ForgedTracefs, monkeypatch: pytest.MonkeyPatch, function: str, part: str, says: bytes
) -> None:
    real = getattr(os, function)

    def failing(what: Any, *arguments: Any, **named: Any) -> Any:
        is_meant = (part in what) if isinstance(what, str) else (part == "" and stat.S_ISFIFO(os.fstat(what).st_mode))
        if is_meant:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(what, *arguments, **named)

    replace_call(monkeypatch, function, failing)
    done = run_inside("kmod", ["watch", "--seconds=0.2"], roots)
    monkeypatch.undo()
    assert (done.status, done.out, done.err.count(b"\n")) == (2, b"", 1)
    assert says in done.err
    assert os.listdir(forged.instances) == []


@pytest.fixture
def heeded() -> Iterator[None]:
    """Let signals end what runs, even where the tests were started with them ignored: by nohup, in the background."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number in before:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it_well(roots: Roots, forged: ForgedTracefs, number: int, heeded: None) -> None:
    before = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    thread = saying(forged, LINES, then=lambda: os.kill(os.getpid(), number))
    done = run_inside("kmod", ["watch"], roots)
    thread.join()
    assert (done.status, done.err, forged.names) == (0, b"", [])
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["sctp"], b"watches everything, not sctp"),
        (["--seconds", "long"], b"no number of seconds: long"),
        (["--seconds=-1"], b"no number of seconds: -1"),
        (["--seconds=nan"], b"no number of seconds: nan"),
        (["--root=/tmp"], b"another system or release"),
        ([], b"sys is not mounted"),
    ],
)
def test_what_ends_it_at_once(roots: Roots, words: list[str], says: bytes) -> None:
    done = run_inside("kmod", ["watch", *words], roots)
    assert (done.status, done.out) == (2, b"")
    assert says in done.err and done.err.count(b"\n") == 1


def test_all_events_have_a_word() -> None:
    assert set(verb._EVENTS) == set(EVENTS)


def test_a_name_that_is_empty() -> None:
    done = run_inside("kmod", ["watch", "--refs="])
    assert done.status == 2 and b"--refs takes the name of a module" in done.err
