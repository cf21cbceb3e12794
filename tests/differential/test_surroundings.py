# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands of kmod 34.2 and ours, started as the kernel, early boot and other programs start them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import assets
from tests.support.common import BIN, Outcome, need
from tests.support.koforge import Ko

RELEASE = "1.0"
MODPROBE = f"modprobe -d . -C conf -S {RELEASE}"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("base")
    modules = base / f"lib/modules/{RELEASE}"
    Ko(modinfo=["license=GPL", "alias=some-alias"]).write(modules / "kernel/real.ko")
    (modules / "modules.builtin").write_text("kernel/fixed.ko\n")
    (modules / "modules.builtin.modinfo").write_bytes(b"fixed.license=GPL\0")
    assets.run_depmod(base, RELEASE)
    (base / "conf").mkdir()
    (base / "conf/rules.conf").write_text("install by-command echo run >>said\n")
    return base


def start(command: Callable[[str], list[str]], line: str, before: str, folder: Path) -> tuple[Outcome, str]:
    """Run a line in a mount namespace of its own, behind a shell's `before`; also what its install command wrote."""
    name, *words = line.split()
    said = folder / "said"
    said.write_text("")
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-ec", f'{before}\nexec "$@"', "sh",
         *command(name), *words],
        capture_output=True, stdin=subprocess.DEVNULL, cwd=folder, timeout=60,
    )  # fmt: skip
    return Outcome(done.returncode, done.stdout, done.stderr), said.read_text()


def assert_same(line: str, before: str, folder: Path) -> Outcome:
    ours, theirs = (
        start(command, line, before, folder) for command in (lambda name: [str(BIN / name)], assets.kmod34_argv)
    )
    assert ours == theirs, line
    return ours[0]


EMPTY_DEV = "mount -t tmpfs none /dev; exec"


@pytest.mark.parametrize(
    "line",
    [f"{MODPROBE} -n -v real", f"{MODPROBE} -R some-alias", f"{MODPROBE} none", f"{MODPROBE} by-command",
     f"modinfo -b . -k {RELEASE} -F license real", "rmmod no_such", "insmod ./none.ko",
     f"depmod -n -C conf -b . {RELEASE}"],
)  # fmt: skip
def test_standard_input_is_closed_and_dev_is_empty(base: Path, line: str) -> None:
    need(os.geteuid() == 0, "root")
    assert b"/dev/null" not in assert_same(line, f"{EMPTY_DEV} <&-", base).err


@pytest.mark.parametrize("closed", ["<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("name", "status"), [("fixed", 0), ("by-command", 0), ("none", 1)])
def test_the_kernel_asks_before_anything_is_mounted(base: Path, closed: str, name: str, status: int) -> None:
    """Its drivers do so from the initial file system, when there is no /dev/null yet."""
    need(os.geteuid() == 0, "root")
    assert assert_same(f"{MODPROBE} -q -- {name}", f"{EMPTY_DEV} {closed}", base) == Outcome(status, b"", b"")
