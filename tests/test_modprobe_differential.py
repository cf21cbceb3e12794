"""modprobe against the real kmod on Debian's tree: every module's plan and thousands of modaliases."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import assets
from tests.conftest import Outcome

Run = Callable[..., Outcome]


def both(command: Run, words: list[str]) -> tuple[Outcome, Outcome]:
    """The same modprobe of ours and of kmod 34.2 on the tree, without configuration files."""
    options = ["-d", str(assets.module_tree("6.1")), "-S", assets.release("6.1"), "-C", "/var/empty/none"]
    done = subprocess.run([*assets.kmod34_argv("modprobe"), *options, *words], capture_output=True)
    return command("modprobe", [*options, *words]), Outcome(done.returncode, done.stdout, done.stderr)


def modules() -> Path:
    return assets.module_tree("6.1") / "lib/modules" / assets.release("6.1")


@pytest.mark.parametrize("form", [["-a", "-D"], ["-a", "-i", "-D"], ["-a", "-R"]], ids=" ".join)
def test_every_module(command: Run, form: list[str]) -> None:
    names = sorted(path.name.partition(".")[0] for path in modules().rglob("*.ko"))
    assert len(names) > 3500
    ours, theirs = both(command, [*form, *names])
    assert ours == theirs
    assert ours.out


def test_modaliases(command: Run) -> None:
    lines = (modules() / "modules.alias").read_text().splitlines()[1::10]
    words = [line.split()[1].replace("*", "0").replace("?", "1") for line in lines]
    words = [word for word in words if "[" not in word]
    assert len(words) > 1000
    ours, theirs = both(command, ["-a", "-D", *words])
    assert ours == theirs


@pytest.mark.parametrize(
    "words",
    [
        ["-D", "zswap"],
        ["-D", "no_such"],
        ["-q", "-D", "no_such"],
        [],
        ["--bogus"],
        ["-R", "lo*p"],
        ["-R"],
    ],
    ids=" ".join,
)
def test_small_cases(command: Run, words: list[str]) -> None:
    ours, theirs = both(command, words)
    assert ours == theirs
