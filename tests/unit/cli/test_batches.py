# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many operands on several CPUs: what comes out is what one process prints, whatever happens to its helpers."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pymodutils import Roots
from pymodutils.cli import modinfo
from pymodutils.cli.batches import answer_all
from pymodutils.cli.console import Console, OutputError
from pymodutils.cli.modprobe import load
from tests.support.common import children, replace_call, run_inside
from tests.support.koforge import Ko

OPERANDS = [str(number) for number in range(301)]
HERE = os.getpid()


@pytest.fixture(autouse=True)
def three_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_call(monkeypatch, "sched_getaffinity", lambda _pid: {0, 1, 2})


def answered(answer: Callable[[str, Console], int]) -> tuple[list[str], int]:
    """Return the lines of standard output and standard error, in the order in which they came, and the status."""
    both = io.BytesIO()
    console = Console("modinfo", both, both)
    status = answer_all(OPERANDS, lambda operand: answer(operand, console), console)
    return both.getvalue().decode("utf-8", "surrogateescape").splitlines(), status


def test_operands_are_answered_in_order_by_several_processes() -> None:
    def answer(operand: str, console: Console) -> int:
        console.write(f"{operand} {os.getpid()} \udcff\n")
        return 0

    lines, status = answered(answer)
    assert [line.split()[0] for line in lines] == OPERANDS
    assert len({line.split()[1] for line in lines}) == 3
    assert all(line.endswith("\udcff") for line in lines)
    assert status == 0


@pytest.mark.parametrize("bad", [["0"], ["150"], ["101", "102", "201", "300"], OPERANDS])
def test_messages_stand_where_one_process_prints_them(bad: list[str]) -> None:
    def answer(operand: str, console: Console) -> int:
        console.write(f"begin {operand}\n")
        if operand in bad:
            console.error(operand)
        console.write(f"end {operand}\n")
        return 2 if operand == bad[0] else 1 if operand in bad else 0

    wanted = []
    for operand in OPERANDS:
        wanted += [f"begin {operand}", *([f"modinfo: ERROR: {operand}"] if operand in bad else []), f"end {operand}"]
    lines, status = answered(answer)
    assert lines == wanted
    assert status == 2


def test_what_is_said_once_is_said_once() -> None:
    said: list[str] = []

    def answer(operand: str, console: Console) -> int:
        if int(operand) >= 50 and not said:
            said.append(operand)
            console.error("the index is damaged")
        return 0

    assert answered(answer) == (["modinfo: ERROR: the index is damaged"], 0)


@pytest.mark.parametrize("end", [lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: 1 / 0])
def test_the_first_process_does_the_work_of_a_helper_that_fails(end: Callable[[], object]) -> None:
    def answer(operand: str, console: Console) -> int:
        if operand in ("120", "290") and os.getpid() != HERE:
            end()
        console.write(f"{operand}\n")
        return 0

    assert answered(answer) == (OPERANDS, 0)


def test_no_helper_is_left_when_nobody_reads() -> None:
    class Full(io.RawIOBase):
        def write(self, _data: object) -> int:
            raise OSError(28, "No space left on device")

    console = Console("modinfo", Full(), io.BytesIO())  # type: ignore[arg-type]

    def answer(operand: str) -> int:
        console.write(operand)
        return 0

    before = children()
    with pytest.raises(OutputError):
        answer_all(OPERANDS, answer, console)
    assert children() == before


def test_no_helper_goes_on_when_the_first_process_is_gone() -> None:
    """Each process writes a byte at each operand until nobody is left to read."""
    reader, writer = os.pipe()

    def answer(_operand: str, _console: Console) -> int:
        os.write(writer, b"x")
        time.sleep(0.05)
        return 0

    pid = os.fork()
    if pid == 0:
        try:
            answered(answer)
        finally:
            os._exit(0)
    os.close(writer)
    assert os.read(reader, 1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with open(reader, "rb") as stream:  # ends when the last process does
        assert len(stream.read()) < len(OPERANDS) // 3


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Roots:
    base = tmp_path_factory.mktemp("batch")
    for number in range(100):
        modinfo_strings = [f"alias=al-{number}", f"firmware=fw{number}"]
        Ko(modinfo=modinfo_strings).write(base / f"lib/modules/1.0/m{number}.ko")
    roots = Roots(base=str(base), release="1.0")
    assert run_inside("depmod", ["-b", str(base), "1.0"]).status == 0
    Path(base / "lib/modules/1.0/m77.ko").write_bytes(b"no module")
    return roots


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("modinfo", []),
        ("modinfo", ["-F", "firmware"]),
        ("modprobe", ["-C", "/dev/null", "-a", "-D"]),
        ("modprobe", ["-C", "/dev/null", "-a", "-R"]),
    ],
)
def test_commands_print_the_same_as_for_few(
    command: str, words: list[str], tree: Roots, monkeypatch: pytest.MonkeyPatch
) -> None:
    operands = [f"m{number}" for number in range(100)]
    operands[40] = operands[90] = "nowhere"
    operands[70] = "al-70"
    many = run_inside(command, [*words, *operands], tree)
    for module in (modinfo, load):
        monkeypatch.setattr(module, "MANY", 10**6)
    one = run_inside(command, [*words, *operands], tree)
    assert many == one
    assert (many.status, many.err.count(b"nowhere")) == (1, 2)
