# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe -a -j on a real kernel: modules load side by side, and all ends as if they had not."""

from __future__ import annotations

from tests.vm.cases import configure, until
from tests.vm.harness import MODULES, Guest


def test_slow_modules_load_at_the_same_time(guest: Guest) -> None:
    configure("options pmt_slow hold_init=1\noptions pmt_slow2 hold_init=1")(guest)
    loading = guest.start_tool("ours", ["modprobe", "-a", "-v", "-j", "2", "pmt_slow", "pmt_slow2", "pmt_a"])
    guest.run(until("^pmt_slow .*Loading") + "; " + until("^pmt_slow2 .*Loading")).check()
    guest.python("release('hold_init')").check()
    result = loading.wait().check()
    assert sorted(result.modules) == ["pmt_a", "pmt_slow", "pmt_slow2"]
    assert [line.rpartition(b"/")[2].split()[0] for line in result.stdout.splitlines()] == [
        b"pmt_slow.ko", b"pmt_slow2.ko", b"pmt_a.ko"]  # fmt: skip


def test_without_j_they_do_not(guest: Guest) -> None:
    configure("options pmt_slow hold_init=1\noptions pmt_slow2 hold_init=1")(guest)
    loading = guest.start_tool("ours", ["modprobe", "-a", "pmt_slow", "pmt_slow2"])
    guest.run(until("^pmt_slow .*Loading") + "; sleep 0.5").check()
    assert "pmt_slow2" not in guest.run(["true"]).modules
    release = "echo 0 > /sys/module/{}/parameters/hold_init"
    guest.run(release.format("pmt_slow")).check()
    guest.run(until("^pmt_slow2 .*Loading")).check()
    guest.run(release.format("pmt_slow2")).check()
    assert sorted(loading.wait().check().modules) == ["pmt_slow", "pmt_slow2"]


NOT_ALL_AT_ONCE = {"i915", "pcspkr", "sctp"}  # i915 is large, sctp holds itself for long


def test_a_hundred_modules_end_as_in_turn(guest: Guest) -> None:
    """Among them some that fail without their hardware."""
    names = sorted({*MODULES, "pmt_c", "pmt_meta", "pmt_missing", "no_such", "pmt_fail"} - NOT_ALL_AT_ONCE)
    results = {}
    for words in (["-a"], ["-a", "-j", "4"]):
        guest.reset()
        configure("options pmt_fail error=5\nsoftdep loop pre: pmt_dash post: dummy")(guest)
        result = guest.tool("ours", ["modprobe", *words, "-v", *names], timeout=120)
        results[len(words)] = (result.status, result.stdout, result.stderr, sorted(result.modules))
    assert results[1] == results[3]
    assert len(results[1][3]) > 100
    assert results[1][0] == 1
