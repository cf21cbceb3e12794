# SPDX-License-Identifier: LGPL-2.1-or-later
"""`pip install` gives working commands, isolated like those of bin/."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pymodutils.cli import registry
from tests.support.common import REPO
from tests.support.koforge import Ko


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the project in it; its bin/."""
    folder = tmp_path_factory.mktemp("pip")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=REPO, check=True)
    install: list[str | Path] = [folder / "bin/python", "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    pip = [*install, *folder.glob("*.whl")]
    done = subprocess.run(pip, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


def test_the_commands_work_and_are_byte_compiled(installed: Path, tmp_path: Path) -> None:
    path = Ko(modinfo=["license=GPL"]).write(tmp_path / "a.ko")
    done = subprocess.run([installed / "modinfo", "-l", path], capture_output=True)
    assert (done.stdout, done.stderr, done.returncode) == (b"GPL\n", b"", 0)
    assert subprocess.run([installed / "kmod", "-V"], capture_output=True).stdout.startswith(b"kmod version 34\n")
    for name in registry.LINKS:
        assert subprocess.run([installed / name, "-h"], capture_output=True).stdout.startswith(b"Usage:")
    assert list(installed.parent.rglob("pymodutils/cli/__pycache__/main.*.pyc"))


def test_a_link_to_a_command_works(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "lsmod").symlink_to(installed / "kmod")
    done = subprocess.run([tmp_path / "lsmod", "x"], capture_output=True)
    assert done.stderr == b"lsmod: ERROR: too many arguments provided.\n"


def test_nothing_from_the_environment_or_the_directory_is_imported(installed: Path, tmp_path: Path) -> None:
    for name in ("struct.py", "os.py", "sitecustomize.py", "pymodutils.py"):
        (tmp_path / name).write_text("import sys; sys.stderr.write('hijacked'); raise SystemExit(99)\n")
    path = Ko(modinfo=["license=GPL"]).write(tmp_path / "a.ko")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "os.py")}
    for program in (installed / "modinfo", REPO / "bin/modinfo"):
        done = subprocess.run([program, "-l", path], capture_output=True, cwd=tmp_path, env=environment)
        assert (done.stdout, done.stderr, done.returncode) == (b"GPL\n", b"", 0)
