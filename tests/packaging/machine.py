# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian systems in folders, to install packages into and to build initramfs images in."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.support import assets
from tests.support.common import need

PACKAGES = (
    "kmod",
    "initramfs-tools",
    "busybox",  # whose modprobe and lsmod must not take the place of ours
    "dracut-core",
    "python3",
    "python3-zstandard",
    "bash-completion",  # has completions of its own for some of the commands
    "zstd",
)


def system(codename: str = "bookworm", packages: Sequence[str] = PACKAGES, setup: str = "") -> Path:
    """A minimal system with these packages, made once; `setup` is a shell script run in it at the end.

    It has apt's lists and the packages' files, so that apt works in it without a network.
    """
    need(os.geteuid() == 0, "root")
    need(shutil.which("mmdebstrap"), "mmdebstrap")

    def build(folder: Path) -> None:
        sources = folder.parent / f"{folder.name}.sources"
        sources.mkdir()
        try:
            for name, text in assets.debian_sources(codename).items():
                sources.joinpath(name).write_text(text)
            finish = [f"--customize-hook=chroot \"$1\" sh -ec '{setup}'"] if setup else []
            # a mirror that stands still is good enough for tests
            subprocess.run(
                ["mmdebstrap", "--quiet", "--variant=minbase", "--skip=cleanup/apt", "--dpkgopt=force-unsafe-io",
                 "--aptopt=Acquire::Check-Valid-Until false",
                 f"--include={','.join(packages)}", *finish, codename, folder, *sorted(sources.iterdir())],
                check=True,
            )  # fmt: skip
        finally:
            shutil.rmtree(sources)

    key = hashlib.sha256(" ".join([*packages, setup]).encode()).hexdigest()[:8]
    return assets.cached(f"system-{codename}-{key}", build)


class Machine:
    """A copy of a system that a test may change: what it writes goes to a folder of its own.

    Each run sees it as its root directory, in a mount namespace of its own; `binds` are pairs of a path outside and
    the path inside where it appears, read-only.
    """

    def __init__(self, folder: Path, below: Path | Machine | None = None) -> None:
        """A copy of the folder or of the machine `below`, as that is now; the latter must not be changed afterwards."""
        below = below or system()
        lower, binds = (below.layers, below.binds) if isinstance(below, Machine) else ([below], [])
        self.folder = folder
        self.layers: list[Path] = [folder / "changes", *lower]
        self.binds: list[tuple[Path, str]] = [*binds]
        for name in ("changes", "work", "root"):
            folder.joinpath(name).mkdir(parents=True)

    def run(self, script: str, check: bool = True) -> str:
        """Run a shell script as root in the machine; what it printed, to stderr too. AssertionError if it failed."""
        environment = "PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive"
        return self.outside(f'exec env -i {environment} chroot "$root" sh -ec "$1"', script, check)

    def outside(self, command: str, argument: str = "", check: bool = True) -> str:
        """Run a shell command of this machine's, for which the other's root directory is $root."""
        changes, *lower = self.layers
        options = f"lowerdir={':'.join(map(str, lower))},upperdir={changes},workdir={self.folder}/work"
        mounts = [f"root={self.folder}/root", f"mount -t overlay overlay -o {options} $root",
                  "mount -t proc proc $root/proc", "mount --rbind /dev $root/dev"]  # fmt: skip
        for outside, inside in self.binds:
            mounts.append(f"mkdir -p $root{inside}; mount --bind {outside} $root{inside}")
            mounts.append(f"mount -o remount,bind,ro $root{inside}")
        script = "\n".join([*mounts, command])
        result = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh", argument],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="surrogateescape",
        )  # fmt: skip
        if check and result.returncode:
            raise AssertionError(f"status {result.returncode} of:\n{argument or command}\n{result.stdout}")
        return result.stdout

    def path(self, name: str) -> Path:
        """Where a file that a run wrote is to be found outside."""
        return self.folder / "changes" / name.lstrip("/")
