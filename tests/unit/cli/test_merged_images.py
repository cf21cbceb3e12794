# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images whose modules are in /usr/lib/modules: with /lib as a link, relative or absolute, and without /lib."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pymodutils import Context, Roots
from pymodutils.verbs.policy import installed_releases
from tests.support import assets
from tests.support.common import BIN, Outcome, run_inside
from tests.support.koforge import Ko

RELEASE = "6.1.0-image"
LINKS = {"relative": "usr/lib", "absolute": "/usr/lib", "none": None}

LINES = ["status a b", "config a", "lint", "closure a", "check a", "graph a", "explain a", "explain nosuch",
         "symbols f", "params a", "verify", "devices", "autoload", "status -S 6.1.0-nosuch a"]  # fmt: skip


def image(root: Path, link: str | None) -> Path:
    """Lay a system with two modules into `root`, and its /lib."""
    modules = root / "usr/lib/modules" / RELEASE
    Ko(modinfo=["license=GPL", "alias=of-a", "softdep=pre: b"], needs={"f": 1}).write(modules / "kernel/a.ko")
    Ko(modinfo=["license=GPL"], exports={"f": 1}).write(modules / "kernel/b.ko")
    subprocess.run([BIN / "depmod", "-b", root, "-m", "/usr/lib/modules", RELEASE], check=True, capture_output=True)
    if link:
        (root / "lib").symlink_to(link)
    return root


@pytest.fixture(params=LINKS)
def root(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return image(tmp_path / "image", LINKS[request.param])


@pytest.mark.parametrize("line", LINES)
def test_verbs_find_them(tmp_path: Path, line: str) -> None:
    """Whatever leads there: the one release is found, and every answer is the same."""
    answers = []
    for name, link in LINKS.items():
        root = image(tmp_path / name, link)
        verb, *words = line.split()
        done = run_inside("kmod", [verb, f"--root={root}", "--json", *words])
        text = done.out.replace(b"/usr/lib/modules/", b"/lib/modules/").replace(bytes(root), b"ROOT")
        answers.append(Outcome(done.status, text.replace(b" -m /usr/lib/modules", b""), b""))
    assert answers[0] == answers[1] == answers[2]


def test_the_library_finds_them(root: Path) -> None:
    roots = Roots.of_system(root, RELEASE)
    context = Context(roots)
    assert [module.name for module in context.available()] == ["a", "b"]
    assert context.config.softdep("a")
    assert context.tree.directory == f"{root}/usr/lib/modules/{RELEASE}"
    assert installed_releases(roots) == [RELEASE]


def test_the_commands_do_as_kmod_does(tmp_path: Path) -> None:
    root = image(tmp_path / "image", None)
    for command, words in (
        ("modprobe", ["-d", str(root), "-S", RELEASE, "-D", "a"]),
        ("modinfo", ["-b", str(root), "-k", RELEASE, "a"]),
        ("depmod", ["-n", "-b", str(root), RELEASE]),
    ):
        ours, theirs = (
            subprocess.run([*program, *words], capture_output=True)
            for program in ([BIN / command], assets.kmod34_argv(command))
        )
        assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)


def test_next_steps_lead_there(tmp_path: Path) -> None:
    root = image(tmp_path / "image", None)
    (root / f"usr/lib/modules/{RELEASE}/modules.dep.bin").unlink()
    done = run_inside("kmod", ["verify", f"--root={root}"])
    assert f"depmod -b {root} -m /usr/lib/modules {RELEASE}" in done.out.decode()
