# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all verbs share: options, exit status, messages, colour, progress, what they import, how they start."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pymodutils.cli import registry
from pymodutils.cli.console import Console
from pymodutils.cli.verbs import frame
from pymodutils.cli.verbs.frame import Progress, VerbLine, VerbOptions, chosen_roots
from pymodutils.cli.verbs.page import BAD, Cell, Page
from pymodutils.errors import FileError
from pymodutils.roots import Roots
from tests.support.common import BIN, run_inside
from tests.support.forgedsystem import RELEASE, forge_system, lay_kernel
from tests.support.schemas import check_failure

VERBS = [command for command in registry.VERBS if command.module.startswith("verbs.")]


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    return forge_system(tmp_path / "system", {"loop": []})


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_takes_the_common_options_and_has_one_example(verb: registry.Command) -> None:
    line = import_module(f"pymodutils.cli.{verb.module}").COMMAND_LINE
    assert isinstance(line, VerbLine)
    assert set(frame.WHERE) <= set(line.options)
    assert line.page == f"kmod-{verb.name}(8)"
    done = run_inside("kmod", [verb.name, "--help"])
    assert done.status == 0
    assert f"\tkmod {verb.name}".encode() in done.out.partition(b"Example")[2]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
@pytest.mark.parametrize("words", [["--no-such-option"], ["-S"], ["--json=x"]], ids=" ".join)
def test_a_mistake_in_the_options_is_not_a_no(verb: registry.Command, words: list[str]) -> None:
    done = run_inside("kmod", [verb.name, *words])
    assert (done.status, done.out) == (2, b"")
    assert done.err.startswith(f"{verb.name}: ".encode()) and done.err.count(b"\n") == 1


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_an_empty_operand_is_not_what_is_not_there(verb: registry.Command, roots: Roots) -> None:
    done = run_inside("kmod", [verb.name, "loop", ""], roots)
    assert (done.status, done.out, done.err) == (2, b"", b"kmod: ERROR: an operand is empty\n")


@pytest.mark.parametrize("verb", ["params", "closure", "status", "symbols", "verify", "graph", "check"])
def test_a_message_names_a_file_once(verb: str, roots: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    empty = tmp_path / "empty.ko"
    empty.touch()
    for name in (str(empty), f"{tmp_path}/nosuch.ko", "./empty.ko", "./nosuch.ko"):
        done = run_inside("kmod", [verb, name], roots)
        assert all(line.count(Path(name).name.encode()) <= 1 for line in done.err.splitlines()), done.err
    assert b": file is empty" in run_inside("kmod", ["params", str(empty)], roots).err


@pytest.mark.parametrize("verb", ["status", "params", "closure", "check", "graph", "verify"])
def test_an_error_about_an_operand_names_it_as_it_was_typed(
    verb: str, roots: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    document = json.loads(run_inside("kmod", [verb, "--json", "./nosuch.ko", "loop"], roots).out)
    error = document["errors"][0]
    assert (error["subject"], error["errno"]) == ("./nosuch.ko", errno.ENOENT)
    assert os.path.basename(error["file"]) == "nosuch.ko"


@pytest.mark.parametrize("verb", ["status", "params", "closure --why", "check", "graph --format=dot", "explain"])
def test_all_verbs_take_the_same_words_for_paths(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    modules = {"tun": ["alias=char-major-10-200", "alias=devname:net/tun", "alias=of:a/b"], "loop": []}
    roots = forge_system(tmp_path / "system", modules)
    (tmp_path / "here").mkdir()
    os.link(f"{roots.modules}/kernel/loop.ko", tmp_path / "here/loop.ko")
    for name, found in (("devname:net/tun", b"tun"), ("of:a/b", b"tun"), ("here/loop.ko", b"loop")):
        done = run_inside("kmod", [*verb.split(), name], roots)
        assert found in done.out and not done.err, done
    for name in ("no/such", "devname:no/such"):  # no file, but a name that stands for nothing
        done = run_inside("kmod", [*verb.split(), name], roots)
        assert b"No such file" not in done.out + done.err, done


def failure(verb: registry.Command, words: list[str], roots: Roots) -> str | None:
    """Return the reason in the document of a verb that has no answer; None for the one that prints lines."""
    done = run_inside("kmod", [verb.name, *words, "--json"], roots)
    assert done.status == 2 and done.err.count(b"\n") == 1
    if verb.name == "watch":
        assert done.out == b""
        return None
    document = check_failure(done.out)
    assert (document["verb"], document["kernel"]) == (verb.name, RELEASE)
    (error,) = document["errors"]
    assert str(error["text"]).encode() in done.err
    return str(error["text"])


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_verb_without_an_answer_prints_the_reason_as_a_document(
    verb: registry.Command, roots: Roots, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert failure(verb, ["-C", "/nowhere"], roots) in ("/nowhere: No such file or directory", None)
    run: Any = frame.run_verb

    def with_error(error: Exception) -> None:
        def answer(_verb: frame.Verb) -> int:
            raise error

        def patched(*arguments: Any, **more: Any) -> Any:
            return run(*arguments[:-1], answer, **more)

        monkeypatch.setattr(import_module(f"pymodutils.cli.{verb.module}"), "run_verb", patched)

    for error, text in (
        (FileError("it is gone", path="/x", errno=2), "it is gone"),
        (ZeroDivisionError("a bug"), "internal error: ZeroDivisionError: a bug"),
        (PermissionError(13, "no", "/y"), "/y: no"),
    ):
        with_error(error)
        assert failure(verb, [], roots) in (text, None)


@pytest.mark.parametrize("words", [["who"], ["reload"], ["params"], ["graph", "--format=dot"]])
def test_a_name_that_nothing_knows_has_near_ones(roots: Roots, words: list[str]) -> None:
    lay_kernel(Path(roots.base), {})
    done = run_inside("kmod", [*words, "lop"], roots)
    assert (done.status, done.err) == (2, b"kmod: ERROR: lop: module not found; similar names: loop\n")
    for as_json in ["--json", *(["--format=json"] if words[0] == "graph" else [])]:
        document = json.loads(run_inside("kmod", [*words[:1], as_json, "lop"], roots).out)
        assert document["errors"][0]["code"] == "not-found"


def test_there_is_never_a_second_document(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame.Verb, "show_errors", lambda *_arguments: 1 / 0)
    done = run_inside("kmod", ["status", "--json"], roots)
    assert done.status == 2 and b"internal error" in done.err
    assert json.loads(done.out)["modules"] == []


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_whatever_goes_wrong_is_one_line_and_not_a_no(
    verb: registry.Command, roots: Roots, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object, **_named: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(frame, "Verb", broken)
    done = run_inside("kmod", [verb.name, "loop"], roots)
    assert (done.status, done.out) == (2, b"")
    assert done.err == b"kmod: ERROR: internal error: ZeroDivisionError: a bug\n"


def test_an_answer_that_cannot_be_written_is_not_a_no(roots: Roots) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([BIN / "kmod", "status", "--json", "no_such"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert b"write error: No space left on device\n" in done.stderr


def test_a_damaged_index_makes_the_answer_uncertain(roots: Roots) -> None:
    Path(roots.modules, "modules.alias.bin").write_bytes(b"damage")
    done = run_inside("kmod", ["status", "--json", "an-alias"], roots)
    document = json.loads(done.out)
    assert done.status == 2
    assert [error["code"] for error in document["errors"]] == ["unusable-index", "cannot-tell"]
    assert document["modules"][0]["state"] == "unknown"
    assert done.err.startswith(f"kmod: ERROR: {roots.modules}/modules.alias.bin: ".encode())


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({}, Roots()),
        ({"root": "/img/"}, Roots(base="/img", config_root="/img")),
        ({"root": "/"}, Roots()),
        ({"root": "/img", "dirname": "/other"}, Roots(base="/other", config_root="/img")),
        ({"dirname": "/x", "set_version": "1"}, Roots(base="/x", release="1")),
        ({"dirname": ""}, Roots()),
        ({"module_dir": "/m/"}, Roots(module_dir="/m")),
    ],
)
def test_which_system_is_meant(named: dict[str, str], expected: Roots) -> None:
    options = VerbOptions()
    for name, value in named.items():
        setattr(options, name, value)
    assert chosen_roots(options, Roots()) == expected


def test_the_kernel_of_another_system_is_its_only_one(tmp_path: Path) -> None:
    options = VerbOptions()
    options.root = str(tmp_path)
    (tmp_path / "lib/modules/1.2.3").mkdir(parents=True)
    assert chosen_roots(options, Roots()).release == "1.2.3"
    (tmp_path / "lib/modules/4.5.6").mkdir()
    assert chosen_roots(options, Roots()).release == ""


def test_relative_directories(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    options = VerbOptions()
    options.root = "image"
    assert chosen_roots(options, Roots()).config_root == f"{tmp_path}/image"


def test_another_system_by_its_options_is_not_asked_for_its_kernel(roots: Roots) -> None:
    done = run_inside("kmod", ["status", "--json", "--root", roots.base, "loop"], roots)
    document = json.loads(done.out)
    assert (document["root"], document["kernel"], document["kernel_taint"]) == (roots.base, RELEASE, None)


# --- pages


def test_columns_are_aligned_and_control_characters_escaped() -> None:
    page = Page()
    page.table([["a", 1, None], ["long\x1b[2J", 22222, "end"]], header=["NAME", "N", ""], right=[1], indent=1)
    page.line("x\ny")
    assert page.text() == (" NAME             N\n a                1  -\n long\\x1b[2J  22222  end\nx\\x0ay\n")


def test_colour_does_not_move_columns_and_is_not_the_only_carrier() -> None:
    rows: list[list[object]] = [[Cell("bad", BAD), "x"], ["good", "y"]]
    plain, coloured = Page(), Page(colour=True)
    for page in (plain, coloured):
        page.table(rows)
    assert plain.text() == "bad   x\ngood  y\n"
    assert coloured.text() == "\x1b[31mbad\x1b[0m   x\ngood  y\n"


class Stream(io.BytesIO):
    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize(
    ("terminal", "environment", "expected"),
    [
        (True, {"TERM": "xterm"}, True),
        (False, {"TERM": "xterm"}, False),
        (True, {"TERM": "dumb"}, False),
        (True, {}, False),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (True, {"TERM": "xterm", "NO_COLOR": ""}, True),
    ],
)
def test_when_there_is_colour(
    terminal: bool, environment: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Console("kmod", Stream(terminal=terminal), io.BytesIO()).shows_colour() is expected


@pytest.mark.parametrize(
    ("terminal", "term", "seconds", "shown"),
    [(True, "xterm", 0.6, True), (True, "xterm", 0.4, False), (False, "xterm", 9, False), (True, "dumb", 9, False)],
)
def test_progress_appears_after_half_a_second_on_a_terminal(
    terminal: bool, term: str, seconds: float, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.delenv("DPKG_MAINTSCRIPT_NAME", raising=False)
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    stream = Stream(terminal=terminal)
    progress = Progress(Console("kmod", io.BytesIO(), stream))
    now += seconds
    progress.progress(1, 3, "modules")
    progress.progress(2, 3, "modules")  # too soon after the first
    assert stream.getvalue() == (b"\rkmod: 1 of 3 modules\x1b[K" if shown else b"")


# --- what is imported

PROGRAM_WORDS = {
    "lsmod": [], "rmmod": ["nothing"], "insmod": ["missing.ko"], "modinfo": ["nothing"], "modprobe": ["-n", "nothing"],
    "depmod": ["--help"],
}  # fmt: skip


def modules_imported(words: list[str]) -> set[str]:
    done = subprocess.run(
        ["/usr/bin/python3", "-IS", "-X", "importtime", *words], capture_output=True, text=True, cwd="/"
    )
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


@pytest.mark.parametrize("name", PROGRAM_WORDS)
def test_the_six_import_nothing_of_verbs(name: str) -> None:
    found = modules_imported([os.fspath(BIN / name), *PROGRAM_WORDS[name]])
    assert f"pymodutils.cli.{name}" in found
    assert not [module for module in found if ".verbs" in module or "diagnosis" in module]


def test_a_verb_imports_nothing_of_other_verbs() -> None:
    found = modules_imported([os.fspath(BIN / "kmod"), "status", "nothing"])
    verbs = {module for module in found if ".verbs." in module}
    assert {module.rpartition(".")[2] for module in verbs} == {"frame", "page", "report", "status"}


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_verb_imports_what_is_slow_when_it_needs_it(verb: registry.Command) -> None:
    found = modules_imported([os.fspath(BIN / "kmod"), verb.name, "--help"])
    assert f"pymodutils.cli.{verb.module}" in found
    assert not found & {"tomllib", "subprocess", "psutil", "pyroute2", "cryptography", "elftools"}
    assert "re" not in found or verb.name in MATCH_TEXT


MATCH_TEXT = {"decode", "explain", "prune", "symbols", "watch", "who"}
"""Verbs that cannot do without regular expressions, a fifth of a start."""


# --- optional libraries


def test_an_optional_library_that_is_absent_is_named_with_the_verb() -> None:
    from pymodutils.errors import MissingSupportError
    from pymodutils.verbs.report import need

    assert need("json", "status") is json
    with pytest.raises(MissingSupportError, match=r"^kmod status needs the Python package no_such_package, "):
        need("no_such_package", "status")


def test_configuration_that_is_not_there_is_no_answer(roots: Roots) -> None:
    for verb, *words in (["lint"], ["config"], ["check", "a"]):
        done = run_inside("kmod", [verb, *words, "-C", "/nowhere/modprobe.d"], roots)
        assert (done.status, done.out) == (2, b"")
        assert done.err.endswith(b"ERROR: /nowhere/modprobe.d: No such file or directory\n")
