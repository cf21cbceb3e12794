"""Several at once: modprobes of the same module on two processors, and modprobe -a -j, which loads side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tests.vm.cases import configure, until
from tests.vm.harness import MODULES, TOOLS, Guest, boot

ROUNDS = """
import subprocess
commands = {commands!r}
rounds = []
for number in range({rounds}):
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for command in commands]
    ends = [process.communicate() for process in processes]
    rounds.append([[process.returncode, *[text.decode() for text in end]] for process, end in zip(processes, ends)])
    rounds[-1].append(sorted(modules()))
    while left := [name for name, (count, _) in modules().items() if count == 0]:
        for name in left:
            unload(name)
print(json.dumps(rounds))
"""


@pytest.fixture(scope="module")
def two_processors(kernel: str, vm_programs: None) -> Iterator[Guest]:
    with boot(kernel, modules=["loop"], cpus=2) as guest:
        yield guest


def rounds(guest: Guest, number: int, *commands: str, tool: str = "ours") -> list[list[object]]:
    """Run commands at the same time, again and again; [[status, stdout, stderr] of each..., modules then] per round."""
    guest.reset()
    _, words, directory = TOOLS[tool]("modprobe")
    path = {"kmod34": words, "ours": [f"{directory}/modprobe"]}[tool]
    argvs = [[*path, *command.split()] for command in commands]
    code = ROUNDS.format(commands=argvs, rounds=number)
    found: list[list[object]] = json.loads(guest.python(code, timeout=300).check().stdout)
    return found


SUCCESS = [0, "", ""]
ALL = ["pmt_a", "pmt_b", "pmt_c"]


@pytest.mark.one_kernel
@pytest.mark.parametrize("tool", ["ours", "kmod34"])
def test_two_of_the_same_module(two_processors: Guest, tool: str) -> None:
    for found in rounds(two_processors, 50, "pmt_c", "pmt_c", tool=tool):
        assert found == [SUCCESS, SUCCESS, ALL]


@pytest.mark.one_kernel
def test_two_that_share_a_dependency(two_processors: Guest) -> None:
    for found in rounds(two_processors, 20, "pmt_b", "-a pmt_c pmt_a"):
        assert found == [SUCCESS, SUCCESS, ALL]


@pytest.mark.one_kernel
def test_only_one_is_the_first(two_processors: Guest) -> None:
    loser = [1, "", "modprobe: ERROR: could not insert 'pmt_c': Module already in kernel\n"]
    for found in rounds(two_processors, 20, "--first-time pmt_c", "--first-time pmt_c"):
        assert sorted(found[:2], key=str) == [SUCCESS, loser]
        assert found[2] == ALL


@pytest.mark.one_kernel
def test_four_side_by_side_with_jobs(two_processors: Guest) -> None:
    words = "-a -j 3 pmt_c pmt_dash pmt_params"
    for found in rounds(two_processors, 10, words, words, "-a pmt_params pmt_b", "pmt_meta"):
        assert found == [*[SUCCESS] * 4, sorted([*ALL, "pmt_dash", "pmt_meta", "pmt_params"])]


@pytest.mark.one_kernel
def test_loading_and_removing_at_the_same_time(two_processors: Guest) -> None:
    """Whoever is first: either the chain is there, or part of it, and nobody crashes or hangs."""
    for loading, removing, left in rounds(two_processors, 20, "pmt_c", "-r pmt_c"):
        assert removing[0] in (0, 1)  # type: ignore[index]
        assert "internal error" not in loading[2] + removing[2]  # type: ignore[index]
        assert (loading[0] == 0) or "could not insert" in loading[2]  # type: ignore[index]
        assert set(left) <= set(ALL)  # type: ignore[arg-type]


# --- modprobe -a -j


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
    release: Callable[[str], object] = lambda name: guest.run(  # noqa: E731
        f"echo 0 > /sys/module/{name}/parameters/hold_init").check()  # fmt: skip
    release("pmt_slow")
    guest.run(until("^pmt_slow2 .*Loading")).check()
    release("pmt_slow2")
    assert sorted(loading.wait().check().modules) == ["pmt_slow", "pmt_slow2"]


def test_a_hundred_modules_end_as_in_turn(guest: Guest) -> None:
    """Among them some that fail without their hardware."""
    names = sorted({*MODULES, "pmt_c", "pmt_meta", "pmt_missing", "no_such", "pmt_fail"} - {"i915", "pcspkr"})
    configure("options pmt_fail error=5\nsoftdep pmt_params pre: pmt_dash")(guest)
    results = {}
    for words in (["-a"], ["-a", "-j", "4"]):
        guest.reset()
        configure("options pmt_fail error=5\nsoftdep loop pre: pmt_dash post: dummy")(guest)
        result = guest.tool("ours", ["modprobe", *words, "-v", *names], timeout=120)
        results[len(words)] = (result.status, result.stdout, result.stderr, sorted(result.modules))
    assert results[1] == results[3]
    assert len(results[1][3]) > 100
    assert results[1][0] == 1
