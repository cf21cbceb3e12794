# SPDX-License-Identifier: LGPL-2.1-or-later
"""`python -m pymodutils`: kmod and the six commands without their scripts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.common import BIN, REPO, Outcome
from tests.support.koforge import Ko


def run(*words: str | Path, environment: dict[str, str] | None = None, cwd: Path = REPO) -> Outcome:
    done = subprocess.run(words, capture_output=True, cwd=cwd, env={**os.environ, **(environment or {})})
    return Outcome(done.returncode, done.stdout, done.stderr)


def as_module(*words: str | Path, environment: dict[str, str] | None = None) -> Outcome:
    return run(sys.executable, "-m", "pymodutils", *words, environment=environment)


@pytest.mark.parametrize(
    "words", [["list"], ["-V"], ["static-nodes", "-f", "x"], [], ["help"], ["nothing"], ["list", "x"], ["--bogus"]],
    ids=" ".join,
)  # fmt: skip
def test_it_is_kmod(words: list[str]) -> None:
    as_script = run("kmod", *words, environment={"PATH": str(BIN)})
    assert as_script.out or as_script.err
    assert as_module(*words) == as_script


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lsmod", []),
        ("lsmod", ["x"]),
        ("rmmod", ["pymodutils_nothing"]),
        ("insmod", []),
        ("modinfo", ["-V"]),
        ("modinfo", ["pymodutils_nothing", "--", "-V"]),
        ("modprobe", ["--bogus"]),
        ("depmod", ["x"]),
    ],
)
def test_the_first_word_may_be_a_command(name: str, words: list[str]) -> None:
    as_script = run(name, *words, environment={"PATH": str(BIN)})
    assert as_script.out or as_script.err
    assert as_module(name, *words) == as_script


def test_bytes_come_back_as_they_were_in_any_locale(tmp_path: Path) -> None:
    path = Ko(modinfo=[b"author=J\xf6rg \xc3\xb6"]).write(tmp_path / "ä.ko")
    environment = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    assert as_module("modinfo", "-a", path, environment=environment) == Outcome(0, b"J\xf6rg \xc3\xb6\n", b"")


def test_output_that_goes_nowhere_is_a_failure() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pymodutils", "modinfo", "-V"], cwd=REPO, stdout=full, stderr=subprocess.PIPE
        )
    assert (done.returncode, done.stderr) == (1, b"modinfo: ERROR: write error: No space left on device\n")
