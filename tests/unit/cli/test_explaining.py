# SPDX-License-Identifier: LGPL-2.1-or-later
"""--explain: after kmod's lines on a terminal, nowhere else; a word after some successes; no import without need."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import pymodutils.cli.console as console_module
from pymodutils.cli.console import Console
from pymodutils.cli.explaining import ignored_parameters
from pymodutils.cli.main import guarded, load
from pymodutils.roots import Roots
from pymodutils.state.kernellog import KernelLog
from pymodutils.verbs import collect
from tests.support.common import BIN, REPO, Outcome, run_inside
from tests.support.fakekernel import FakeKernel
from tests.support.schemas import check_document

PROGRAMS = ("modprobe", "insmod", "rmmod", "modinfo")


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    for variable in ("MODPROBE_OPTIONS", "DPKG_MAINTSCRIPT_NAME", "PYMODUTILS_EXPLAIN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(collect, "read_kernel_log", lambda _position=None: KernelLog(()))
    kernel = FakeKernel(tmp_path, monkeypatch)
    kernel.tree({"base": [], "top": ["base"]}, builtin=["ext4"], aliases="some=top")
    return kernel


def run(words: Sequence[str], roots: Roots, *, terminal: bool) -> Outcome:
    out, err = io.BytesIO(), Terminal() if terminal else io.BytesIO()
    console = Console(words[0], out, err)
    status = guarded(console, lambda: load(words[0])(list(words[1:]), console, roots))
    return Outcome(status, out.getvalue(), err.getvalue())


def fail(kernel: FakeKernel, name: str, number: int) -> None:
    kernel.script[name] = [number] * 99


def failing(kernel: FakeKernel) -> list[list[str]]:
    fail(kernel, "base", errno.EIO)
    (kernel.modules / "bad.ko").write_text("text, and long enough to be read as one")
    return [["modprobe", "base"], ["insmod", str(kernel.path("base"))], ["rmmod", "ext4"], ["modprobe", "-r", "ext4"],
            ["modinfo", str(kernel.modules / "bad.ko")], ["modprobe", "zzzzzz"], ["modinfo", "zzzzzz"],
            ["insmod", "/nowhere.ko"], ["modprobe", "/nowhere.ko"], ["rmmod", "zzzzzz"],
            ["modprobe", "top"]]  # fmt: skip


def test_scripts_see_no_byte_of_it(kernel: FakeKernel) -> None:
    for words in failing(kernel):
        plain = run(words, kernel.roots, terminal=False)
        never = run([words[0], "--explain=never", *words[1:]], kernel.roots, terminal=True)
        auto = run([words[0], "--explain=auto", *words[1:]], kernel.roots, terminal=False)
        always = run([words[0], "--explain=always", *words[1:]], kernel.roots, terminal=False)
        assert plain.status == never.status == auto.status == always.status == 1, words
        assert plain.err == never.err == auto.err, words
        assert plain.out == always.out
        assert always.err.startswith(plain.err) and always.err != plain.err, words
        for line in always.err[len(plain.err) :].decode().splitlines():
            assert line.startswith(("  cause:    ", "  perhaps:  ", "  evidence: ", "  next:     ", " " * 12)), line


def test_a_person_sees_it_by_default(kernel: FakeKernel) -> None:
    fail(kernel, "base", errno.EIO)
    shown = run(["modprobe", "base"], kernel.roots, terminal=True).err.decode().splitlines()
    assert shown == [
        "modprobe: ERROR: could not insert 'base': Input/output error",
        "  cause:    its init function ended with EIO: Input/output error",
        "  evidence: finit_module: EIO",
        "  next:     dmesg | grep base",
    ]


def test_a_dependency_is_named(kernel: FakeKernel) -> None:
    fail(kernel, "base", errno.EIO)
    shown = run(["modprobe", "--explain=always", "top"], kernel.roots, terminal=False).err.decode()
    assert "  cause:    base: its init function ended with EIO" in shown


def test_the_variable(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(kernel, "base", errno.EIO)
    monkeypatch.setenv("PYMODUTILS_EXPLAIN", "always")
    assert b"cause:" in run(["modprobe", "base"], kernel.roots, terminal=False).err
    assert b"cause:" not in run(["modprobe", "--explain=never", "base"], kernel.roots, terminal=False).err
    monkeypatch.setenv("PYMODUTILS_EXPLAIN", "never")
    assert b"cause:" not in run(["modprobe", "base"], kernel.roots, terminal=True).err
    monkeypatch.setenv("PYMODUTILS_EXPLAIN", "nonsense")
    assert b"cause:" not in run(["modprobe", "base"], kernel.roots, terminal=False).err


@pytest.mark.parametrize("words", [["-q"], ["-s"], ["-q", "-a"]])
def test_silence_stays_silence(kernel: FakeKernel, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import syslog

    monkeypatch.setattr(syslog, "syslog", lambda *_: None)
    fail(kernel, "base", errno.EIO)
    assert run(["modprobe", *words, "base"], kernel.roots, terminal=True).err == b""


def test_a_hint_is_enough(kernel: FakeKernel) -> None:
    shown = run(["modprobe", "bsae"], kernel.roots, terminal=True).err.decode().splitlines()
    assert shown[1:] == ["  Did you mean base?"]
    shown = run(["modprobe", "--explain=always", "bsae"], kernel.roots, terminal=False).err.decode().splitlines()
    assert shown[-1] == "  next:     modprobe base"


def test_several_operands(kernel: FakeKernel) -> None:
    run_inside("modprobe", ["top"], kernel.roots)
    kernel.hold("top")
    shown = run(["rmmod", "base", "top"], kernel.roots, terminal=True).err.decode().splitlines()
    assert [line[:12].strip() for line in shown if line.startswith("  ")] == [
        *("cause:", "evidence:", "next:", "Used by ho"),
        *("cause:", "evidence:", "next:", "What uses"),
    ]
    assert shown[0] == "rmmod: ERROR: Module base is in use by: top"
    assert shown[1] == "  cause:    top uses it"
    assert shown[8:] == ["  next:     kmod who top", "  What uses it is not known. See: kmod who top"]


@pytest.mark.parametrize(
    ("configuration", "words", "note"),
    [
        ("blacklist top\n", "some", "top is blacklisted, and a module found by an alias is then not loaded (/"),
        ("install base /bin/true\n", "base", "an install line runs a command that loads nothing in place of it (/"),
    ],
)
def test_a_success_that_changed_nothing(kernel: FakeKernel, configuration: str, words: str, note: str) -> None:
    kernel.configure(configuration)
    done = run(["modprobe", words], kernel.roots, terminal=True)
    (line,) = done.err.decode().splitlines()
    assert line.startswith(f"  note:     {note}")
    assert run(["modprobe", words], kernel.roots, terminal=False).err == b""


def test_parameters_of_a_loaded_module(kernel: FakeKernel) -> None:
    run_inside("modprobe", ["base"], kernel.roots)
    assert run(["modprobe", "base"], kernel.roots, terminal=True).err == b""
    (line,) = run(["modprobe", "base", "x=1"], kernel.roots, terminal=True).err.decode().splitlines()
    assert line.startswith("  note:     it is loaded already; parameters take effect only when a module is loaded")


def test_parameters_that_the_kernel_ignored(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    record = b"4,1,1000000,-;base: unknown parameter 'x' ignored\n SUBSYSTEM=module\n"
    monkeypatch.setattr(Console, "mark_kernel_log", lambda _self: None)
    monkeypatch.setattr(Console, "records_since_mark", lambda _self: [record, b"6,2,1000000,-;base: hello\n"])
    note = b"  note:     base has no parameter x: the kernel ignored it\n"
    base, top = str(kernel.path("base")), str(kernel.path("top"))
    for words, expected in (
        (["modprobe", "base", "x=1"], note),
        (["insmod", top, "x=1"], b""),
        (["rmmod", "top", "base"], b""),
        (["insmod", base, "x=1"], note),
    ):
        assert run(words, kernel.roots, terminal=True).err == expected
    assert kernel.loaded == ["base"]
    assert ignored_parameters("base", [record, record]) == ["x"]
    assert ignored_parameters("bas", [record]) == []


def test_documents_have_the_causes(kernel: FakeKernel) -> None:
    fail(kernel, "base", errno.EIO)
    for words, key in ((["modprobe"], "plans"), (["insmod"], "modules")):
        operand = "base" if words == ["modprobe"] else str(kernel.path("base"))
        for when, codes in (("always", ["init-failed"]), ("never", [])):
            done = run([*words, "--json", f"--explain={when}", operand], kernel.roots, terminal=False)
            (entry,) = json.loads(done.out)[key]
            assert [cause["code"] for cause in entry["error"]["explanations"]] == codes
    done = run(["rmmod", "--json", "--explain=always", "ext4"], kernel.roots, terminal=False)
    (entry,) = json.loads(done.out)["modules"]
    assert [cause["code"] for cause in entry["error"]["explanations"]] == ["permanent"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_wrong_word(kernel: FakeKernel, program: str) -> None:
    done = run([program, "--explain=perhaps", "base"], kernel.roots, terminal=False)
    assert (done.status, done.out) == (1, b"")
    assert done.err.decode() == f"{program}: ERROR: unexpected explain value 'perhaps'.\n"


def test_no_explanation_is_worth_another_message(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """An initial file system lacks what explains; and nothing that goes wrong with it hides the failure."""
    fail(kernel, "base", errno.EIO)
    plain = run(["modprobe", "--explain=never", "base"], kernel.roots, terminal=True).err

    def refuse(*_arguments: object, **_named: object) -> Any:
        raise ImportError("no verbs here")

    monkeypatch.setattr("pymodutils.verbs.explain.explain", refuse)
    assert run(["modprobe", "base"], kernel.roots, terminal=True).err == plain


# --- what kmod accepts


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_abbreviation_of_kmods_means_something_else(program: str) -> None:
    """kmod's long options, and every beginning of one: none of them begins as --explain does."""
    from importlib import import_module

    line = import_module(f"pymodutils.cli.{program}").COMMAND_LINE
    names = [name for option in line.options for name in (*option.long, *option.deprecated)]
    assert [name for name in names if name.startswith("e")] == ["explain"]


EXPLAINS = ("pymodutils.diagnosis", "pymodutils.verbs", "pymodutils.cli.expla", "pymodutils.state.kernellog")


@pytest.mark.parametrize(
    "words",
    [["modinfo", "good.ko"], ["modinfo", "missing.ko"], ["rmmod", "nothing"], ["insmod", "missing.ko"]],
    ids=" ".join,
)
def test_nothing_that_explains_is_imported_without_need(words: list[str], tmp_path: Path) -> None:
    from tests.support.koforge import Ko

    Ko().write(tmp_path / "good.ko")
    command = ["/usr/bin/python3", "-IS", "-X", "importtime", str(BIN / words[0]), *words[1:]]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path).stderr
    imported = [line.rpartition("|")[2].strip() for line in shown.splitlines() if line.startswith("import time:")]
    assert imported and not [name for name in imported if name.startswith(EXPLAINS)]


def test_a_success_at_a_terminal_imports_nothing_either(tmp_path: Path) -> None:
    """On a pseudo terminal, where failures would be explained."""
    from tests.support.koforge import Ko

    Ko().write(tmp_path / "good.ko")
    master, slave = os.openpty()
    try:
        code = "import sys; sys.argv = ['modinfo', 'good.ko']; from pymodutils.cli.main import main; main(sys.argv); "
        code += "print(*[name for name in sys.modules if name.startswith('pymodutils')], file=sys.stdout)"
        done = subprocess.run(["/usr/bin/python3", "-c", code], cwd=tmp_path, stderr=slave, stdout=subprocess.PIPE,
                              env={"PYTHONPATH": str(REPO), "PATH": "/usr/bin"}, text=True)  # fmt: skip
    finally:
        os.close(slave)
        os.close(master)
    loaded = done.stdout.splitlines()[-1].split()
    assert "pymodutils.cli.modinfo" in loaded
    assert not [name for name in loaded if name.startswith(EXPLAINS)]


def test_a_log_that_can_no_longer_be_opened_has_no_position(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the number of a descriptor that is closed, and may be that of another file by now."""
    log = tmp_path / "kmsg"
    log.write_bytes(b"record\n")
    monkeypatch.setattr(console_module, "KMSG", str(log))
    console = console_module.Console("insmod")
    console.mark_kernel_log()
    log.unlink()
    console.mark_kernel_log()
    other = os.open(__file__, os.O_RDONLY)
    try:
        assert console.log_position is None
        assert console.records_since_mark() == []
        console.mark_kernel_log()
        os.fstat(other)
    finally:
        os.close(other)


@pytest.mark.parametrize(
    ("words", "step"),
    [
        (["modprobe", "topp"], "modprobe top"),
        (["modprobe", "-r", "bases"], "modprobe -r base"),
        (["rmmod", "bases"], "modprobe -r base"),
        (["modprobe", "-r", "foreign"], "rmmod foreign"),
        (["modinfo", "topp"], "modinfo top"),
    ],
)
def test_the_next_step_is_of_the_kind_that_was_asked_for(kernel: FakeKernel, words: list[str], step: str) -> None:
    """Who wanted to unload a module is not told to load another; what no index lists only rmmod takes out."""
    kernel.needs.update(base=[], foreign=[])
    kernel._show()
    done = run([words[0], "--explain=always", *words[1:]], kernel.roots, terminal=False)
    assert done.status == 1 and done.err.decode().splitlines()[-1].split() == ["next:", *step.split()]


REFUSED = {
    "-r base": ["in-use"], "-ra base": ["in-use"], "-r -n base": ["in-use"], "-r ext4": ["permanent"],
    "-r --first-time other": ["not-found"], "-r nosuch": ["not-found"], "nosuch": ["not-found"],
    "-n nosuch": ["not-found"], "-R nosuch": ["not-found"], "/no/such.ko": ["not-found"],
    "-a nosuch /no/such.ko": ["not-found", "not-found"], "--first-time base": ["already-loaded"],
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_the_document_has_the_cause_of_each_failure(kernel: FakeKernel, words: str) -> None:
    run(["modprobe", "top"], kernel.roots, terminal=False)
    for explain, expected in (("always", REFUSED[words]), ("never", [])):
        done = run(["modprobe", "--json", f"--explain={explain}", *words.split()], kernel.roots, terminal=False)
        errors = [plan["error"] for plan in check_document(done.out, "modprobe")["plans"]]
        assert done.status == 1 and all(error["errno"] for error in errors)
        assert [cause["code"] for error in errors for cause in error["explanations"]] == expected


def test_an_operand_that_can_be_no_name_is_in_the_document(kernel: FakeKernel) -> None:
    for words in (["a["], ["-r", "a["]):
        done = run(["modprobe", "--json", *words], kernel.roots, terminal=False)
        (plan,) = check_document(done.out, "modprobe")["plans"]
        assert (done.status, plan["operand"], plan["module"], plan["error"]["errno"]) == (1, "a[", None, errno.ENOENT)


def test_a_path_where_nothing_is_is_no_name(kernel: FakeKernel) -> None:
    for words in (["modinfo", "/no/such.ko"], ["modinfo", "./such.ko"], ["modprobe", "/no/such.ko"]):
        done = run([words[0], "--explain=always", *words[1:]], kernel.roots, terminal=False)
        assert b"cause:    there is no such file\n" in done.err
    done = run(["modinfo", "--explain=always", "no-such.ko"], kernel.roots, terminal=False)
    assert b"cause:    no module and no alias of kernel" in done.err


def test_holders_are_known_without_sys_as_well(kernel: FakeKernel) -> None:
    run(["modprobe", "top"], kernel.roots, terminal=False)
    folder = Path(kernel.roots.sys, "module/base/holders")
    for link in folder.iterdir():
        link.unlink()
    folder.rmdir()
    done = run(["modprobe", "-r", "--explain=always", "base"], kernel.roots, terminal=False)
    assert b"top uses it\n" in done.err
