# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Debian source package: what lintian says of it and of what it builds, and its own tests."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import pymodutils
from tests.packaging.machine import PACKAGES, Machine, system
from tests.support.common import REPO, need

pytestmark = pytest.mark.xdist_group("packaging")

# What runs debian/tests, with what its test `commands` and the unpacking of the source ask for.
TESTED_WITH = ("autopkgtest", "dpkg-dev", "python3-asn1crypto")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that dpkg-buildpackage makes."""
    need(shutil.which("dh"), "debhelper")
    folder = tmp_path_factory.mktemp("built")
    subprocess.run([REPO / "debian/build", "--source", folder], check=True)
    return folder


def test_lintian_finds_nothing(built: Path) -> None:
    need(shutil.which("lintian"), "lintian")
    (changes,) = built.glob("*.changes")
    done = subprocess.run(
        ["lintian", "--allow-root", "--display-level=>=warning", "--fail-on=error,warning", changes],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_the_version_is_the_packages() -> None:
    changelog = (REPO / "debian/changelog").read_text()
    assert re.match(r"pymodutils \((\S+)\) ", changelog)[1] == pymodutils.__version__  # type: ignore[index]


def test_the_source_package_is_the_same_each_time(built: Path, tmp_path: Path) -> None:
    subprocess.run([REPO / "debian/build", "--source", tmp_path], check=True)
    for pattern in ("*.dsc", "*.tar.xz", "*.deb"):
        (first,), (second,) = built.glob(pattern), tmp_path.glob(pattern)
        assert first.read_bytes() == second.read_bytes(), pattern


def test_the_packages_own_tests_pass(built: Path, tmp_path: Path) -> None:
    """All but `unit`, whose tests are also ours; give-back is skipped by autopkgtest where it cannot undo it."""
    machine = Machine(tmp_path / "machine", system(packages=[*PACKAGES, *TESTED_WITH]))
    machine.binds.append((built, "/mnt/built"))
    source = machine.path("/srv/source")
    source.mkdir(parents=True)
    subprocess.run(["tar", "-C", source, "-xf", *built.glob("*.tar.xz")], check=True)
    machine.run("autopkgtest --test-name=commands --no-built-binaries /mnt/built/*.deb /srv/source/pymodutils -- null")
    machine.run("/srv/source/pymodutils/debian/tests/give-back")
