# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod watch on a real kernel: every request is seen, with who asked and what came of it; nothing is left behind."""

from __future__ import annotations

import json
import signal
import time
from typing import Any

import pytest

from tests.support.schemas import check_document
from tests.vm.cases import configure
from tests.vm.harness import Guest, Job

INSTANCES = "/sys/kernel/tracing/instances"
DENIALS = "blacklist sctp\ninstall sctp /bin/false\nsoftdep xfs pre:\ninstall xfs /bin/false\n"

ASK_AS_USER = """
import socket, os
def ask(*family):
    try:
        socket.socket(*family).close()
    except OSError:
        pass
for _ in range(25):
    ask(2, 1, 132), ask(39, 3, 0), ask(35, 3, 0)
ask(29, 3, 1)
print(os.getpid(), read("/proc/self/comm").strip())
"""
ASKED_AS_USER = [
    ("net-pf-2-proto-132-type-1", "not-found", []), ("net-pf-2-proto-132", "denied", ["sctp"]),
    ("net-pf-39", "not-found", []), ("net-pf-35", "not-found", []),
] * 25 + [("net-pf-29", "loaded", ["can"]), ("can-proto-1", "loaded", ["can_raw"])]  # fmt: skip

ASK_AS_ROOT = """
import os
for number in range(50):
    for kind in ("nosuch%d" % number, "xfs"):
        try:
            mount("none", "/mnt", kind)
        except OSError:
            pass
try:
    mount("none", "/mnt", "a b" + chr(10) + "c")
except OSError:
    pass
print(os.getpid(), read("/proc/self/comm").strip())
"""
ASKED_AS_ROOT = [
    pair for number in range(50) for pair in [(f"fs-nosuch{number}", "not-found", []), ("fs-xfs", "denied", ["xfs"])]
] + [("fs-a b\nc", "not-found", [])]  # fmt: skip


@pytest.fixture
def traced(guest: Guest) -> Guest:
    guest.python("mount('tracefs', '/sys/kernel/tracing', 'tracefs')").check()
    return guest


def instances(guest: Guest) -> list[str]:
    return guest.run(["ls", INSTANCES]).check().stdout.decode().split()


def watching(guest: Guest, *words: str) -> Job:
    """Start to watch, and wait until it does."""
    before = instances(guest)
    job = guest.start_tool("ours", ["kmod", "watch", "--json", *words], timeout=120)
    end = time.monotonic() + 60
    while True:
        new = [name for name in instances(guest) if name not in before]
        if new and guest.run(["cat", f"{INSTANCES}/{new[0]}/tracing_on"]).stdout == b"1\n":
            return job
        assert time.monotonic() < end


def ended(job: Job, number: int = signal.SIGINT) -> list[dict[str, Any]]:
    """End it as a user does; the events that it has told of."""
    job.signal(number)
    result = job.wait().check()
    assert result.stderr == b""
    return [check_document(line) for line in result.stdout.splitlines()]


def test_every_request_is_seen_with_process_user_and_outcome(traced: Guest) -> None:
    configure(DENIALS)(traced)
    job = watching(traced, "--requests")
    expected = []
    for code, uid, asked in ((ASK_AS_USER, 1000, ASKED_AS_USER), (ASK_AS_ROOT, 0, ASKED_AS_ROOT)):
        pid, comm = traced.python(code, uid=uid, timeout=100).check().stdout.decode().split()
        expected += [(alias, outcome, modules, comm, int(pid), uid) for alias, outcome, modules in asked]
    assert len(expected) > 200
    events = sorted(ended(job), key=lambda event: event["time"])
    fields = ("asked", "outcome", "modules", "comm", "pid", "uid")
    of_ours = [event for event in events if event["pid"] in {entry[4] for entry in expected}]
    assert [tuple(event[field] for field in fields) for event in of_ours] == expected
    assert {event["event"] for event in events} == {"request"}
    for event in of_ours:
        assert event["call_site"]
        line = {"sctp": 1, "xfs": 4}.get(next(iter(event["modules"]), ""))
        assert (event["by"] and (event["by"]["file"], event["by"]["line"])) == (
            line and ("/etc/modprobe.d/test.conf", line)
        )
    assert instances(traced) == []
    audit(traced, events)


def audit(guest: Guest, events: list[dict[str, Any]]) -> None:
    """What was recorded tells, before a policy holds, whom it would hit."""
    guest.put("/tmp/log", "".join(f"{json.dumps(event)}\n" for event in events[:90]).encode())
    guest.put("/etc/pymodutils/policy.toml", b"[deny.sctp]\nreason = 'x'\n[deny.tun]\n")
    done = guest.tool("ours", ["kmod", "policy", "audit", "--json", "/tmp/log"])
    guest.run("rm -r /etc/pymodutils")
    (warning,) = check_document(done.stdout)["warnings"]
    assert (done.status, warning["module"]) == (1, "sctp")
    assert "asked for as net-pf-2-proto-132 by " in warning["text"] and " uid 1000, the first of " in warning["text"]


@pytest.mark.one_kernel
def test_what_a_killed_reader_leaves_goes_with_the_next_one(traced: Guest) -> None:
    job = watching(traced)
    (left,) = instances(traced)
    job.signal(signal.SIGKILL)
    job.wait()
    assert instances(traced) == [left]
    traced.python(f"os.mkdir('{INSTANCES}/somebodys')").check()
    second = watching(traced)
    (own,) = set(instances(traced)) - {"somebodys"}
    assert own != left
    third = watching(traced, "--loads")
    assert len(instances(traced)) == 3  # who lives keeps what is theirs
    for job in (second, third):
        assert ended(job, signal.SIGTERM) == []
    assert instances(traced) == ["somebodys"]
    traced.python(f"os.rmdir('{INSTANCES}/somebodys')").check()


def test_references_all_of_them_seen_or_counted_as_lost(traced: Guest) -> None:
    traced.run(["modprobe", "loop"]).check()
    job = watching(traced, "--refs=loop")
    traced.run(
        f"echo 16 >{INSTANCES}/{instances(traced)[0]}/buffer_size_kb"
    ).check()  # what fits is told of in a second
    job.signal(signal.SIGSTOP)
    traced.python("for _ in range(5000):\n    os.close(os.open('/dev/loop-control', os.O_RDWR))", timeout=100).check()
    job.signal(signal.SIGCONT)
    traced.python("os.close(os.open('/dev/loop-control', os.O_RDWR)); time.sleep(3)").check()
    events = ended(job)
    counted = [event for event in events if event["event"] in ("get", "put")]
    lost = sum(event["lost"] for event in events if event["event"] == "lost")
    assert counted[-2]["call_site"] == "misc_open" and counted[-1]["event"] == "put"
    assert {event["module"] for event in counted} == {"loop"}
    assert lost > 0
    assert len(counted) + lost == 2 * 5001
