# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several modprobes at once on a machine with two processors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.vm.harness import TOOLS, Guest, boot

# One process, so that there is one such machine, and one kernel: what happens is between processes.
pytestmark = [pytest.mark.one_kernel, pytest.mark.xdist_group("two processors")]

ROUNDS = """
sys.path.append("/opt/pymodutils")
import pymodutils.cli.modprobe, pymodutils.cli.modprobe.execution, pymodutils.effects.kernel
from pymodutils.cli.main import main

def start(command):
    outputs = [os.memfd_create(name) for name in ("stdout", "stderr")]
    pid = os.fork()
    if pid == 0:
        for target, fd in enumerate(outputs, 1):
            os.dup2(fd, target)
        if command[0] == "modprobe":
            os._exit(main(command))
        os.execv(command[0], command)
    return pid, outputs

def end(pid, outputs):
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return [status, *[os.pread(fd, 10000, 0).decode() for fd in outputs]]

commands = {commands!r}
rounds = []
for number in range({rounds}):
    rounds.append([end(*process) for process in [start(command) for command in commands]])
    rounds[-1].append(sorted(modules()))
    while left := [name for name, (count, _) in modules().items() if count == 0]:
        for name in left:
            unload(name)
print(json.dumps(rounds))
"""
"""Commands run at the same time, again and again. Ours is in memory already: it starts as quickly as the real one."""


@pytest.fixture(scope="module")
def two_processors(kernel: str, vm_programs: None) -> Iterator[Guest]:
    with boot(kernel, modules=["loop"], cpus=2) as guest:
        yield guest


def rounds(guest: Guest, number: int, *commands: str, tool: str = "ours") -> list[list[Any]]:
    """Run commands at the same time, again and again; [[status, stdout, stderr] of each..., modules then] per round."""
    guest.reset()
    first = ["modprobe"] if tool == "ours" else TOOLS[tool]("modprobe")[1]
    argvs = [[*first, *command.split()] for command in commands]
    code = ROUNDS.format(commands=argvs, rounds=number)
    found: list[list[Any]] = json.loads(guest.python(code, timeout=300).check().stdout)
    return found


SUCCESS = [0, "", ""]
ALL = ["pmt_a", "pmt_b", "pmt_c"]


@pytest.mark.parametrize(("tool", "number"), [("ours", 50), ("kmod34", 50)])
def test_two_of_the_same_module(two_processors: Guest, tool: str, number: int) -> None:
    for found in rounds(two_processors, number, "pmt_c", "pmt_c", tool=tool):
        assert found == [SUCCESS, SUCCESS, ALL]


def test_two_that_share_a_dependency(two_processors: Guest) -> None:
    for found in rounds(two_processors, 20, "pmt_b", "-a pmt_c pmt_a"):
        assert found == [SUCCESS, SUCCESS, ALL]


def test_only_one_is_the_first(two_processors: Guest) -> None:
    loser = [1, "", "modprobe: ERROR: could not insert 'pmt_c': Module already in kernel\n"]
    for found in rounds(two_processors, 20, "--first-time pmt_c", "--first-time pmt_c"):
        assert sorted(found[:2], key=str) == [SUCCESS, loser]
        assert found[2] == ALL


def test_four_side_by_side_with_jobs(two_processors: Guest) -> None:
    words = "-a -j 3 pmt_c pmt_dash pmt_params"
    for found in rounds(two_processors, 10, words, words, "-a pmt_params pmt_b", "pmt_meta"):
        assert found == [*[SUCCESS] * 4, sorted([*ALL, "pmt_dash", "pmt_meta", "pmt_params"])]


def test_loading_and_removing_at_the_same_time(two_processors: Guest) -> None:
    """Whichever is first, either the chain is there, or part of it, and nobody crashes or hangs."""
    for loading, removing, left in rounds(two_processors, 20, "pmt_c", "-r pmt_c"):
        assert removing[0] in (0, 1)
        assert "internal error" not in loading[2] + removing[2]
        assert (loading[0] == 0) or "could not insert" in loading[2]
        assert set(left) <= set(ALL)
