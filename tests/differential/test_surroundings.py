# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands of kmod 34.2 and ours, started as the kernel, early boot and other programs start them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import assets
from tests.support.common import BIN, Outcome, need
from tests.support.koforge import Ko

RELEASE = "1.0"
REAL = f"lib/modules/{RELEASE}/kernel/real.ko"
MODPROBE = f"modprobe -d . -C conf -S {RELEASE}"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("base")
    modules = base / f"lib/modules/{RELEASE}"
    Ko(modinfo=["license=GPL", "alias=some-alias"]).write(modules / "kernel/real.ko")
    (modules / "modules.builtin").write_text("kernel/fixed.ko\n")
    (modules / "modules.builtin.modinfo").write_bytes(b"fixed.license=GPL\0")
    assets.run_depmod(base, RELEASE)
    (base / "link").symlink_to(".")
    (base / "conf").mkdir()
    (base / "conf/rules.conf").write_text("install by-command echo run >>said\n")
    return base


def start(
    command: Callable[[str], list[str]], line: str, before: str, folder: Path
) -> tuple[Outcome, dict[str, tuple[int, bytes]]]:
    """Run a line in a mount namespace of its own, behind a shell's `before`; also the files it wrote, with modes."""
    name, *words = line.split()
    shutil.rmtree(folder / "out", ignore_errors=True)
    (folder / "said").write_text("")
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-ec", f'{before}\nexec "$@"', "sh",
         *command(name), *words],
        capture_output=True, stdin=subprocess.DEVNULL, cwd=folder, timeout=60,
    )  # fmt: skip
    written = {
        str(path): (path.stat().st_mode, path.read_bytes())
        for path in [folder / "said", *folder.glob("out/**/*")]
        if path.is_file() and path.name != "modules.symbols"  # of which kmod has the lines in no order
    }
    return Outcome(done.returncode, done.stdout, done.stderr), written


def assert_same(line: str, before: str, folder: Path) -> Outcome:
    ours, theirs = (
        start(command, line, before, folder)
        for command in (lambda name: [str(BIN / name)], lambda name: assets.kmod34_argv(str(BIN / name)))
    )
    assert ours == theirs, line
    return ours[0]


EMPTY_DEV = "mount -t tmpfs none /dev; exec"
LINES = (f"{MODPROBE} -a -n -v none real", f"{MODPROBE} fixed -q", f"{MODPROBE} by-command", f"{MODPROBE} -D ./{REAL}",
         f"modinfo -b . -k {RELEASE} real none", f"modinfo -n {REAL} ./{REAL}", "rmmod no_such -v", "insmod ./none.ko",
         f"depmod -C conf -b . -o out {RELEASE}")  # fmt: skip

SURROUNDINGS = {
    "standard input is closed": "exec <&-",
    "standard input is closed, and /dev is empty": f"{EMPTY_DEV} <&-",
    "standard error is full": "exec 2>/dev/full",
    "/proc is empty": "mount -t tmpfs none /proc",
    "/sys is empty": "mount -t tmpfs none /sys",
    "no environment": 'set -- env -i "$@"',
    "only modprobe's options in the environment": "export MODPROBE_OPTIONS=-b",
    "options in the environment that modprobe does not have": "export MODPROBE_OPTIONS=--none",
    "options end with the first operand": "export POSIXLY_CORRECT=1",
    "a locale that there is not": "export LC_ALL=none LANGUAGE=de",
    "variables for Python": "export PYTHONHOME=/none PYTHONPATH=/none PYTHONVERBOSE=1 PYTHONINSPECT=1",
    "no directories for programs": "export PATH=",
    "a strict umask": "umask 077",
    "a umask of zero": "umask 0",
    "little room for a stack": "ulimit -s 256",
    "16 open files": "ulimit -n 16",
    "one process": "ulimit -u 1",
    "signals are ignored": "trap '' PIPE CHLD INT TERM HUP",
    "the working directory is behind a link": "cd link",
    "a wrong $PWD": "PWD=/usr; export PWD",
}


@pytest.mark.parametrize("before", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_surroundings(base: Path, before: str) -> None:
    need(os.geteuid() == 0, "root")
    for line in LINES:
        assert_same(line, before, base)


@pytest.mark.parametrize("closed", ["<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("name", "status"), [("fixed", 0), ("by-command", 0), ("none", 1)])
def test_the_kernel_asks_before_anything_is_mounted(base: Path, closed: str, name: str, status: int) -> None:
    """Its drivers do so from the initial file system, when there is no /dev/null yet."""
    need(os.geteuid() == 0, "root")
    assert assert_same(f"{MODPROBE} -q -- {name}", f"{EMPTY_DEV} {closed}", base) == Outcome(status, b"", b"")


def test_the_working_directory_is_gone(base: Path) -> None:
    """docs/differences.md has what is said of a relative path."""
    need(os.geteuid() == 0, "root")
    gone = "mkdir gone; cd gone; rmdir ../gone; unset PWD"
    for line in ("modinfo ./none.ko", "rmmod no_such", f"modprobe -d {base} -S {RELEASE} -D real"):
        assert_same(line, gone, base)
    for line in (f"{MODPROBE} -D real", f"modinfo -b . -k {RELEASE} real", f"depmod -n -b . {RELEASE}"):
        outcome, _ = start(lambda name: [str(BIN / name)], line, gone, base)
        reason = "ERROR: the working directory: No such file or directory"
        assert outcome == Outcome(1, b"", f"{line.split()[0]}: {reason}\n".encode())
