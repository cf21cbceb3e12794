# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of the install forms share."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.packaging.machine import Machine
from tests.support.common import REPO


@pytest.fixture(scope="session")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Debian package, built from the checkout as it is."""
    folder = tmp_path_factory.mktemp("deb")
    subprocess.run([REPO / "debian/build", folder], check=True, capture_output=True)
    (package,) = folder.iterdir()
    return package


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, deb: Path) -> Machine:
    """A machine with our package and kmod; for reading, or to make another of."""
    machine = Machine(tmp_path_factory.mktemp("installed"))
    machine.binds.append((deb.parent, "/mnt/deb"))
    machine.run("apt-get install -qq --no-install-recommends /mnt/deb/*.deb")
    return machine
