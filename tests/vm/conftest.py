# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests for the tests in this folder: one per kernel for all tests, or one's own for a test that spoils it."""

from __future__ import annotations

import shutil
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import assets
from tests.support.common import need
from tests.vm import ownmodules
from tests.vm.cases import BROKEN, broken_files
from tests.vm.harness import Guest, GuestDied, boot

PROGRAMS = ("qemu-system-x86_64", "gcc", "make", "objcopy", "dpkg-deb", "apt-get", "xz", "gzip", "zstd")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "vm: boots a Debian kernel in QEMU")
    config.addinivalue_line(
        "markers", "one_kernel: does not depend on the kernel, so runs with the first only, or with the one named"
    )


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks for groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    redundant = []
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.vm)
            callspec = getattr(item, "callspec", None)
            kernel = callspec and callspec.params.get("kernel")
            if kernel and "_shared" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group(f"kernel-{kernel}"))  # one process, so one boot, per kernel
            marker = item.get_closest_marker("one_kernel")
            if marker and kernel != (*marker.args, next(iter(assets.KERNELS)))[0]:
                redundant.append(item)
    if redundant:
        config.hook.pytest_deselected(items=redundant)
        items[:] = [item for item in items if item not in redundant]


@pytest.fixture(scope="session")
def vm_programs() -> None:
    """What booting a guest takes; a test without it is skipped, in CI it fails."""
    for program in PROGRAMS:
        need(shutil.which(program), f"{program} (tests/install-packages)")


class _Shared:
    """A guest that serves one test after the other, and is replaced when a test has killed it."""

    def __init__(self, kernel: str) -> None:
        self.kernel = kernel
        self.guest: Guest | None = None

    def clean(self) -> Guest:
        if self.guest:
            try:
                self.guest.reset()
                return self.guest
            except GuestDied as death:
                warnings.warn(f"booting again: {death}", stacklevel=2)
                self.guest.kill()
                self.guest = None
        self.guest = boot(self.kernel)
        return self.guest


@pytest.fixture(scope="session", params=list(assets.KERNELS))
def kernel(request: pytest.FixtureRequest) -> str:
    """Each test that asks for a guest runs once with each kernel."""
    return str(request.param)


@pytest.fixture(scope="session")
def _shared(kernel: str, vm_programs: None) -> Iterator[_Shared]:
    shared = _Shared(kernel)
    yield shared
    if shared.guest:
        shared.guest.close()


@pytest.fixture
def guest(_shared: _Shared) -> Guest:
    """A guest as after boot. All tests use the same one, so nothing may be done to it that `reset` cannot undo."""
    return _shared.clean()


_with_broken: weakref.WeakSet[Guest] = weakref.WeakSet()


@pytest.fixture
def broken(guest: Guest) -> str:
    """The folder of the broken modules."""
    if guest not in _with_broken:
        folder = ownmodules.build(guest.kernel)
        for name, content in broken_files(lambda name: (folder / name).read_bytes()).items():
            guest.put(f"{BROKEN}/{name}", content)
        _with_broken.add(guest)
    return BROKEN


@pytest.fixture
def boot_own(kernel: str, vm_programs: None) -> Iterator[Callable[..., Guest]]:
    """Boots a guest of the test's own: arguments as for `boot`, without the kernel."""
    booted: list[Guest] = []

    def boot_one(**options: Any) -> Guest:
        booted.append(boot(kernel, **options))
        return booted[-1]

    yield boot_one
    for one in booted:
        one.kill()
