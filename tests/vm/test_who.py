# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod who and prune on a real kernel: what was made is found, and the commands that are printed free the module.

One kernel is enough for every day; `make users` takes both.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.support import assets
from tests.support.common import need
from tests.support.schemas import check_document
from tests.vm import image
from tests.vm.harness import MODULES, Guest, Result, boot
from tests.vm.usecases import CASES, IMAGE, UseCase

pytestmark = pytest.mark.xdist_group("who")  # one process, so one boot

MORE = (
    "algif_hash llc2 tipc nft_limit nf_tables sch_netem cls_matchall act_gact sch_ingress n_hdlc dm_mod raid1"
).split()
KERNELS = list(assets.KERNELS) if os.environ.get("PYMODUTILS_USERS") == "all" else ["6.1"]

HOLDER = """
import ctypes, fcntl, os, signal, socket, struct, time
_libc = ctypes.CDLL(None, use_errno=True)
def unshare(flags):
    assert _libc.unshare(flags) == 0
def stay():
    open('/tmp/ready', 'w').close()
    while True: time.sleep(100)
"""
"""What the code of a process that holds something can use, next to the names of agent.py."""

CLEAN = """
swapoff -a
umount -a -t ext2,ext4,fuse,binfmt_misc,devpts
dmsetup remove_all -f
for state in /sys/block/md*/md/array_state; do test -e $state && echo clear > $state; done
losetup -D
sysctl -q -w net.ipv4.tcp_congestion_control=cubic
for name in dummy7 veth7 br7; do ip link del $name; done
tc qdisc del dev lo root; tc qdisc del dev lo clsact
nft flush ruleset
true
"""
"""Undoes what is left of a case that failed, and what `reset` does not know."""


@pytest.fixture(scope="module", params=KERNELS)
def tools(
    request: pytest.FixtureRequest, vm_programs: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guest]:
    """A guest with tools that make uses of modules and end them, with psutil and pyroute2."""
    need(os.path.exists("/usr/sbin/mke2fs"), "mke2fs (tests/install-packages)")
    disk = tmp_path_factory.mktemp("image") / "image"
    subprocess.run(["/usr/sbin/mke2fs", "-q", "-t", "ext2", disk, "256"], check=True, stdout=subprocess.DEVNULL)
    with boot(request.param, modules=[*MODULES, *MORE], extra=[image.user_programs_archive()]) as guest:
        guest.put("/opt/image", disk.read_bytes())
        yield guest


def make(guest: Guest, case: UseCase) -> None:
    """Bring about the uses of a case."""
    guest.reset()
    steps = [f"cp /opt/image {IMAGE}", *(f"modprobe {name}" for name in case.load), *case.setup]
    guest.run("set -e\n" + "\n".join(steps)).check()
    if case.hold:
        guest.start([], python=HOLDER + case.hold, timeout=180)
        guest.run("until test -e /tmp/ready; do sleep 0.05; done", timeout=20).check()


def carry_out(guest: Guest, order: list[str]) -> list[Result]:
    """Type the commands that were printed, one after the other; a process takes a moment to end."""
    return [guest.run(command + ("; sleep 0.3" if command.startswith("kill") else "")) for command in order]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_what_was_made_is_found_and_ended(tools: Guest, case: UseCase) -> None:
    try:
        make(tools, case)
        before = set(tools.run("true").modules)
        done = tools.tool("ours", ["kmod", "who", "--json", case.module], timeout=90)
        document = check_document(done.stdout)
        assert not document["errors"]
        assert set(done.modules) == before  # to look changes nothing
        found = [(user["class"], user["what"], user["holds"]) for user in document["users"]]
        for kind, what, holds in case.found:
            assert any((kind, holds) == (user[0], user[2]) and what in user[1] for user in found), document
        assert {user[0] for user in found} == {kind for kind, _, _ in case.found}, document
        assert case.loses in " ".join(document["would_lose"])
        assert done.status == (1 if found or document["refcount"] else 0)
        if case.module not in done.modules:  # this kernel has it built in
            assert (document["refcount"], document["unaccounted"], document["order"]) == (None, None, [])
            return
        assert document["unaccounted"] == case.unaccounted, document
        results = carry_out(tools, document["order"])
        last = tools.run("true")
        assert (case.module not in last.modules) is case.goes, [str(result) for result in results]
        if case.goes:
            assert not [str(result) for result in results if result.status]
    finally:
        tools.run(CLEAN)


def test_without_root_what_cannot_be_seen_is_said(tools: Guest) -> None:
    make(tools, next(case for case in CASES if case.module == "tun"))
    done = tools.tool("ours", ["kmod", "who", "tun"], uid=1000, timeout=60)
    assert b"references not accounted for" in done.stdout and b"only root may look" in done.stderr
    assert done.status == 1


def test_watched_references_name_the_functions_that_take_them(tools: Guest) -> None:
    tools.reset()
    tools.run("modprobe loop").check()
    tools.python("mount('tracefs', '/sys/kernel/tracing', 'tracefs')").check()
    tools.start("while true; do : < /dev/loop1; sleep 0.2; done", timeout=60)
    done = tools.tool("ours", ["kmod", "who", "--watch=3", "--json", "loop"], timeout=60)
    watched = check_document(done.stdout)["watched"]
    assert {one["event"] for one in watched} == {"get", "put"}
    assert all(one["call_site"] and one["pid"] for one in watched)
    assert tools.run("ls /sys/kernel/tracing/instances").check().stdout == b""


def test_prune_unloads_what_nobody_would_miss(tools: Guest) -> None:
    tools.reset()
    tools.run("for name in can_raw pmt_b dummy loop pcspkr; do modprobe $name; done").check()
    tools.start("exec sleep 100 < /dev/loop1", timeout=100)
    tools.run("until grep -q '^loop [0-9]* 1 ' /proc/modules; do sleep 0.05; done", timeout=20).check()
    before = set(tools.run("true").modules)
    document = check_document(tools.tool("ours", ["kmod", "prune", "--json"], timeout=90).stdout)
    candidates = {candidate["module"]: candidate for candidate in document["candidates"]}
    removable = [name for name, candidate in candidates.items() if candidate["removable"]]
    assert set(removable) >= {"can_raw", "pmt_b", "pmt_a"} and "loop" not in candidates
    assert removable.index("pmt_b") < removable.index("pmt_a")
    assert "can_rcv" in candidates["can"]["reason"]
    assert set(tools.run("true").modules) == before
    assert "dummy0" in candidates["dummy"]["reason"] and "pcspkr" in candidates["pcspkr"]["reason"]
    done = tools.tool("ours", ["kmod", "prune", "--remove", "--json"], timeout=90)
    assert check_document(done.stdout)["removed"] == removable
    assert before - set(done.modules) == set(removable)
    assert tools.tool("ours", ["kmod", "prune"], timeout=90).status == 0
    assert tools.run("rmmod can").status == 0
