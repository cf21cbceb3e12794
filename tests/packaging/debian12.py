"""A minimal Debian 12 in a folder, to install packages into and to build initramfs images in."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests import assets
from tests.conftest import need

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


def system() -> Path:
    """The folder, made once; with apt's lists and the packages' files, so that apt works in it without a network."""
    need(os.geteuid() == 0, "root")
    need(shutil.which("mmdebstrap"), "mmdebstrap")

    def build(folder: Path) -> None:
        sources = folder.parent / f"{folder.name}.sources"
        sources.mkdir()
        try:
            for name, text in assets.debian_sources("bookworm").items():
                sources.joinpath(name).write_text(text)
            subprocess.run(
                ["mmdebstrap", "--quiet", "--variant=minbase", "--skip=cleanup/apt", "--dpkgopt=force-unsafe-io",
                 f"--include={','.join(PACKAGES)}", "bookworm", folder, *sorted(sources.iterdir())],
                check=True,
            )  # fmt: skip
        finally:
            shutil.rmtree(sources)

    return assets.cached("debian12-system", build)


class Machine:
    """A copy of the system that a test may change: what it writes goes to a folder of its own.

    Each run sees it as its root directory, in a mount namespace of its own; `binds` are pairs of a path outside and
    the path inside where it appears.
    """

    def __init__(self, folder: Path) -> None:
        self.lower = system()
        self.folder = folder
        self.binds: list[tuple[Path, str]] = []
        for name in ("changes", "work", "root"):
            folder.joinpath(name).mkdir(parents=True)

    def run(self, script: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a shell script as root in the machine."""
        root = self.folder / "root"
        layers = f"lowerdir={self.lower},upperdir={self.folder}/changes,workdir={self.folder}/work"
        mounts = [f"mount -t overlay overlay -o {layers} {root}", f"mount -t proc proc {root}/proc",
                  f"mount --rbind /dev {root}/dev"]  # fmt: skip
        for outside, inside in self.binds:
            mounts.append(f"mkdir -p {root}{inside}; mount --bind {outside} {root}{inside}")
        environment = "PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive"
        enter = f'exec env -i {environment} chroot {root} sh -ec "$1"'
        result = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-ec", "\n".join([*mounts, enter]), "sh", script],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="surrogateescape",
        )  # fmt: skip
        if check and result.returncode:
            raise AssertionError(f"status {result.returncode} of:\n{script}\n{result.stdout}")
        return result

    def path(self, name: str) -> Path:
        """Where a file that a run wrote is to be found outside."""
        return self.folder / "changes" / name.lstrip("/")
