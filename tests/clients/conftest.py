# SPDX-License-Identifier: LGPL-2.1-or-later
"""A machine with our commands and kmod's, Debian's modules, and a pretended kernel, to call them in as clients do."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packaging.conftest import deb, installed  # noqa: F401 fixtures
from tests.packaging.machine import Machine
from tests.support import assets

RELEASE = assets.release("6.1")

# name, size, count, holders: what the pretended kernel has loaded
LOADED = [
    ("libcrc32c", 16384, 2, "xfs,btrfs,"),
    ("xfs", 1957888, 1, "-"),
    ("btrfs", 1757184, 0, "-"),
    ("a_module_with_a_name_of_more_than_19", 16384, 0, "-"),
]

# The kernel that runs the tests may know no modules, and so have no /proc/modules to put another in the place of.
PREPARE = f"""
mkdir -p /run/proc
mount --bind /proc /run/proc
mount -t tmpfs tmpfs /proc
ln -s /run/proc/self /run/proc/sys /proc
cp /tmp/pretended/modules /tmp/pretended/cmdline /proc
export LD_PRELOAD=/tmp/pretended/kernel.so K={RELEASE} BASE=/mnt/base
set +e
"""


class Client:
    """Runs what clients run, with either's commands."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def run(self, commands: str, script: str) -> str:
        """Run a client's script with the commands of "kmod" or "ours"; what it printed and what the kernel was told."""
        path = "export PATH=/opt/kmod:$PATH" if commands == "kmod" else ""
        output = self._machine.run(f"rm -f /tmp/kernel.log\n{PREPARE}{path}\n{script}\ntrue\n")
        # a difference of Debian's builds: libkmod's places in its source
        return re.sub(r"\.\./libkmod/[\w.-]+:\d+ (\w+\(\) )?", "", output)

    def both(self, script: str) -> str:
        """What it printed with ours, after checking that it is what it printed with kmod's."""
        ours, kmods = self.run("ours", script), self.run("kmod", script)
        assert ours == kmods
        return ours


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory, installed: Machine) -> Client:  # noqa: F811
    machine = Machine(tmp_path_factory.mktemp("clients"), installed)
    modules = assets.module_tree("6.1") / "lib/modules" / RELEASE
    machine.binds += [(modules, f"/usr/lib/modules/{RELEASE}"), (modules, f"/mnt/base/lib/modules/{RELEASE}")]
    pretended = machine.path("/tmp/pretended")
    pretended.mkdir(parents=True)
    source = Path(__file__).parent / "pretend.c"
    options = ["-shared", "-fPIC", "-O2", f'-DRELEASE="{RELEASE}"', "-ldl"]
    subprocess.run(["gcc", "-o", pretended / "kernel.so", source, *options], check=True)
    lines = [f"{name} {size} {count} {holders} Live 0x0000000000000000\n" for name, size, count, holders in LOADED]
    pretended.joinpath("modules").write_text("".join(lines))
    pretended.joinpath("cmdline").write_text("root=/dev/vda\n")
    for name, size, count, holders in LOADED:
        folder = machine.path(f"/sys/module/{name}")
        folder.joinpath("holders").mkdir(parents=True)
        for file, text in {"initstate": "live", "refcnt": str(count), "coresize": str(size)}.items():
            folder.joinpath(file).write_text(f"{text}\n")
        for holder in holders.strip("-,").split(","):
            folder.joinpath("holders", holder).mkdir(exist_ok=True)
    # kmod's commands under their own names, which kmod looks at
    machine.run("mkdir /opt/kmod; for name in kmod depmod insmod lsmod modinfo modprobe rmmod; do "
                "ln -s /usr/bin/kmod.distrib* /opt/kmod/$name; done")  # fmt: skip
    client = Client(machine)
    assert client.run("kmod", "modprobe -V").startswith("kmod version 30\n")
    assert client.run("ours", "modprobe -V").startswith("kmod version 34\n")
    return client


Both = Callable[[str], str]


@pytest.fixture
def both(client: Client) -> Both:
    return client.both
