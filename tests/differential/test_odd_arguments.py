# SPDX-License-Identifier: LGPL-2.1-or-later
"""Odd arguments, answered by kmod 34.2 and by us: numbers in all forms, names and paths too long for the kernel."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support import assets
from tests.support.common import BIN, Outcome
from tests.support.koforge import Ko

RELEASE = "1.0"
PATH_MAX = 4096

# docs/differences.md has both: about files whose path is too long, and what -vv alone should show.
KNOWN_LINES = re.compile(rb"libkmod: ERROR: kmod_config_new: .*: path too long\n|modprobe: INFO: .*\n")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("base")
    Ko().write(base / f"lib/modules/{RELEASE}/kernel/real.ko")
    assets.run_depmod(base, RELEASE)
    return base


def run(program: list[str], words: list[str], folder: Path) -> Outcome:
    environment = {name: value for name, value in os.environ.items() if name != "MODPROBE_OPTIONS"}
    done = subprocess.run(
        [*program, *words], capture_output=True, stdin=subprocess.DEVNULL, cwd=folder, env=environment, timeout=60
    )
    return Outcome(done.returncode, done.stdout, KNOWN_LINES.sub(b"", done.stderr))


def assert_same(command: str, words: list[str], folder: Path) -> None:
    """Compare ours with kmod's, in the directory `folder`."""
    ours, theirs = run([str(BIN / command)], words, folder), run(assets.kmod34_argv(command), words, folder)
    assert ours == theirs, [command, *(word if len(word) < 80 else f"{word[:20]}... ({len(word)})" for word in words)]


NUMBERS = ["0", "-0", "+5", "-5", "-1", " 5", "\v5", " -5", "5 ", "5s", "", "+", "-", "--5", "-+5", "- 5", "010", "08",
           "-010", "0x10", "-0X1f", "0x", "0x1g", "00x5", "0b101", "-0B1", "0b", "0b2", "0o7", "1_000", "\u0663",
           "0" * 300 + "7", "0x" + "0" * 300 + "7", "18446744073709551615", "-18446744073709551615"]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS, ids=ascii)
def test_milliseconds(base: Path, number: str) -> None:
    assert_same("modprobe", ["-n", "-r", "-w", number, "-C", "none", "-d", ".", "-S", RELEASE, "no_such"], base)


@pytest.mark.parametrize("number", ["18446744073709551616", "-18446744073709551616", "9" * 300])
def test_more_than_64_bits(base: Path, number: str) -> None:
    """As kmod after 34.2."""
    outcome = run([str(BIN / "modprobe")], ["-r", "-w", number, "no_such"], base)
    assert outcome == Outcome(1, b"", f"modprobe: ERROR: unexpected wait value '{number}'.\n".encode())


def lengths(before: int) -> list[int]:
    """Lengths of a release around the ends of what the kernel takes, behind a path of `before` bytes."""
    return [255, 256, *(PATH_MAX - before + more for more in (-20, -1, 0))]


def test_long_releases(base: Path) -> None:
    for length in lengths(len(f"{base}/lib/modules/")):
        release = "1." + "0" * (length - 2)
        for words in (["x"], ["-r", "x"], ["-R", "x"], ["-c"], ["-a", "x", "y"], ["-q", "x"], ["-n", "-v", "x"]):
            assert_same("modprobe", ["-n", "-C", "none", "-d", str(base), "-S", release, *words], base)
        assert_same("modinfo", ["-b", str(base), "-k", release, "x"], base)
        assert_same("depmod", ["-n", "-C", "none", "-e", "-b", str(base), release], base)


def test_long_directories(base: Path) -> None:
    """kmod's modprobe and modinfo take a relative one as it is typed, depmod from the root."""
    behind = len(f"/lib/modules/{RELEASE}")
    for start in ("/", ""):
        for length in lengths(behind):
            directory = start + "x" * (length - len(start))
            assert_same("modprobe", ["-n", "-C", "none", "-d", directory, "-S", RELEASE, "x"], base)
            assert_same("modinfo", ["-b", directory, "-k", RELEASE, "x"], base)
            assert_same("depmod", ["-n", "-C", "none", "-e", "-b", directory, RELEASE], base)
            assert_same("depmod", ["-n", "-C", "none", "-b", ".", "-o", directory, RELEASE], base)
            assert_same("depmod", ["-n", "-C", "none", "-b", ".", "-m", directory, RELEASE], base)


@pytest.mark.parametrize("length", [256, PATH_MAX, 2 * PATH_MAX])
def test_long_paths_of_files(base: Path, length: int) -> None:
    path = "/" + "x" * length + ".ko"
    for command in ("insmod", "modinfo"):
        assert_same(command, [path], base)
    if length < PATH_MAX:  # docs/differences.md: a longer name is cut in kmod's message
        assert_same("rmmod", [path], base)
    assert_same("modprobe", ["-n", "-C", "none", "-d", str(base), "-S", RELEASE, path], base)
    assert_same("depmod", ["-n", "-C", "none", "-b", str(base), RELEASE, path], base)
    for option in "CEF":
        assert_same("depmod", ["-n", "-e", "-b", str(base), f"-{option}", path, RELEASE], base)


def test_what_is_no_directory(base: Path) -> None:
    """The reason is the kernel's, not always that there is no such file."""
    for path in (f"{base}/lib/modules/{RELEASE}/kernel/real.ko/x.ko", f"{base}/loop/x.ko"):
        if not (base / "loop").is_symlink():
            (base / "loop").symlink_to("loop")
        assert_same("modprobe", ["-n", "-C", "none", "-d", str(base), "-S", RELEASE, path], base)
        assert_same("insmod", [path], base)
        assert_same("modinfo", [path], base)


SLASHES = ["-b {}/ 1.0", "-b {}// 1.0", "-b {} -m lib/modules/ 1.0", "-b {} -m //lib//modules 1.0",
           "-b / -m {}/lib/modules 1.0", "-b ./ 1.0", "-b {}/ 9.9", "-b {} -m x/ 9.9", "-b {} -m / 1.0",
           "-b {}/ 1.0 {}/lib/modules/1.0/kernel/real.ko", "-b {}/ 1.0 {}//lib/modules/1.0/kernel/real.ko",
           "-b {} -o {}/out/ 1.0"]  # fmt: skip


@pytest.mark.parametrize("line", SLASHES)
def test_paths_are_shown_as_typed(base: Path, line: str) -> None:
    words = line.format(base, base).split()
    assert_same("depmod", ["-n", "-C", "none", *words], base)
    if "-o" not in words:
        words += ["-o", str(base / "out")]
    assert_same("depmod", ["-C", "none", *words], base)


VERSIONS = [" 1.0", "\t1.0", "+1.0", "-1.-2", "1. 0", "1 .0", "1.+", "1.x", "x.1", "1", "1.", "12.34x", "", "+-1.0"]


@pytest.mark.parametrize("version", VERSIONS, ids=ascii)
def test_versions(base: Path, version: str) -> None:
    assert_same("depmod", ["-n", "-C", "none", "-b", str(base), "--", version], base)
