# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe against the real kmod on Debian's trees: every module's plan, thousands of modaliases, the whole -c."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import assets
from tests.support.common import Outcome

Run = Callable[..., Outcome]

KERNELS = pytest.mark.parametrize(("kernel", "compression"), [("6.1", "none"), ("6.12", "zst")], ids=["6.1", "6.12"])


def both(
    command: Run, words: list[str], kernel: str = "6.1", compression: str = "none", more: tuple[str, ...] = ()
) -> tuple[Outcome, Outcome]:
    """The same modprobe of ours and of kmod 34.2 (which gets `more` options) on a tree, without configuration files."""
    options = [
        "-d",
        str(assets.module_tree(kernel, compression)),
        "-S",
        assets.release(kernel),
        "-C",
        "/nowhere/at/all",
    ]
    done = subprocess.run([*assets.kmod34_argv("modprobe"), *more, *options, *words], capture_output=True)
    return command("modprobe", [*options, *words]), Outcome(done.returncode, done.stdout, done.stderr)


def modules(kernel: str, compression: str) -> Path:
    return assets.module_tree(kernel, compression) / "lib/modules" / assets.release(kernel)


def names(kernel: str, compression: str) -> list[str]:
    """All modules, and the builtin ones."""
    folder = modules(kernel, compression)
    found = sorted(path.name.partition(".")[0] for path in folder.rglob("*.ko*"))
    assert len(found) > 3500
    return found + [Path(line).stem for line in (folder / "modules.builtin").read_text().split()]


@KERNELS
@pytest.mark.parametrize("form", [["-D"], ["-i", "-D"], ["-R"], ["-n"], ["-r", "-D"]], ids=" ".join)
def test_every_module(command: Run, kernel: str, compression: str, form: list[str]) -> None:
    # 34.2 prints what -n would do with -v only.
    more = ("-v",) if "-n" in form else ()
    ours, theirs = both(command, ["-a", *form, *names(kernel, compression)], kernel, compression, more)
    assert ours == theirs
    assert ours.out


def modaliases(kernel: str, compression: str) -> list[str]:
    """Real patterns with something in the place of every wildcard."""
    lines = (modules(kernel, compression) / "modules.alias").read_text().splitlines()[1:]
    words = {line.split()[1].replace("*", "0").replace("?", "1") for line in lines}
    return sorted(re.sub(r"\[(.).*?\]", r"\1", word) for word in words)


@KERNELS
@pytest.mark.parametrize("form", ["-D", "-R"])
def test_modaliases(command: Run, kernel: str, compression: str, form: str) -> None:
    words = modaliases(kernel, compression)[:: 4 if form == "-D" else 1]
    assert len(words) > 4000
    ours, theirs = both(command, ["-a", form, *words], kernel, compression)
    assert ours == theirs


@KERNELS
def test_symbols(command: Run, kernel: str, compression: str) -> None:
    lines = (modules(kernel, compression) / "modules.symbols").read_text().splitlines()[1::20]
    ours, theirs = both(command, ["-a", "-R", *(line.split()[1] for line in lines)], kernel, compression)
    assert ours == theirs
    assert ours.out.count(b"\n") > 500


@KERNELS
def test_the_whole_configuration_and_all_indexes(command: Run, kernel: str, compression: str) -> None:
    ours, theirs = both(command, ["-c"], kernel, compression)
    assert ours == theirs
    assert ours.out.count(b"\n") > 20000


@KERNELS
@pytest.mark.parametrize("form", ["--show-modversions", "--show-exports"])
def test_symbol_versions_of_files(command: Run, kernel: str, compression: str, form: str) -> None:
    lines = 0
    for path in sorted(modules(kernel, compression).rglob("*.ko*"))[::60]:
        ours, theirs = both(command, [form, str(path)], kernel, compression)
        # kmod 34.2 names the file, ours the module, as later ones do.
        shown = theirs.err.replace(str(path).encode(), path.name.partition(".")[0].replace("-", "_").encode())
        assert (ours.status, ours.out, ours.err) == (theirs.status, theirs.out, shown), path
        by_name = command("modprobe", ["-d", str(assets.module_tree(kernel, compression)), "-S",
                                       assets.release(kernel), form, path.name.partition(".")[0]])  # fmt: skip
        assert (by_name.status, by_name.out) == (ours.status, ours.out), path
        lines += ours.out.count(b"\n")
    assert lines > 100


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
