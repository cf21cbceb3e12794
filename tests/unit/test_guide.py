# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/guide.md: every command for an ordinary user runs, and prints what stands below it."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from pymodutils.cli import registry
from pymodutils.roots import Roots
from tests.support.common import REPO, run_inside
from tests.support.forgedsystem import RELEASE, forge_system
from tests.support.koforge import Ko

GUIDE = (REPO / "docs/guide.md").read_text()
VERMAGIC = f"vermagic={RELEASE} SMP mod_unload modversions "


def steps() -> list[tuple[str, list[str]]]:
    """Every command for an ordinary user, with the lines that it prints; `; echo $?` prints the status as well."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"(?ms)^```console\n(.*?)^```$", GUIDE):
        for part in re.split(r"(?m)^(?=[$#] )", block):
            if part.startswith("$ "):
                command, *lines = part.removeprefix("$ ").rstrip("\n").split("\n")
                found.append((command, lines))
    return found


STEPS = steps()
OWN = {"kmod", *registry.LINKS}
OOPS = f"""\
BUG: kernel NULL pointer dereference, address: 0000000000000010
CPU: 0 PID: 123 Comm: sh Tainted: G           O       {RELEASE} #1
RIP: 0010:loop_init+0x1a/0x80 [loop]
Call Trace:
 vfs_write+0x1/0x2
Modules linked in: loop(O)
"""


def module(name: str, *strings: str, exports: dict[str, int] | None = None, needs: dict[str, int | None] | None = None,
           gpl: set[str] | None = None, namespaces: dict[str, str] | None = None) -> Ko:  # fmt: skip
    return Ko(
        modinfo=["license=GPL", f"name={name}", VERMAGIC, *strings], exports=exports or {}, needs=needs or {},
        gpl=gpl or set(), namespaces=namespaces or dict.fromkeys(exports or {}, ""),
    )  # fmt: skip


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Roots:
    """What the guide takes for the system that its commands run on."""
    return forge_system(
        tmp_path_factory.mktemp("guide") / "system",
        {
            "loop": module("loop", "parm=max_loop:Maximum number of loop devices", "parmtype=max_loop:int"),
            "snd-timer": module("snd_timer", exports={"snd_timer_new": 0x101}),
            "snd-pcm": module("snd_pcm", exports={"snd_pcm_new": 0x102}, needs={"snd_timer_new": 0x101}),
            "usbcore": module(
                "usbcore", exports={"usb_register_driver": 0x201}, gpl={"usb_register_driver"},
                namespaces={"usb_register_driver": "USB"},
            ),
            "snd-usb-audio": module(
                "snd_usb_audio", "import_ns=USB", needs={"snd_pcm_new": 0x102, "usb_register_driver": 0x201}
            ),
            "vfat": module("vfat", "alias=fs-vfat", "parm=utf8:Use UTF-8", "parmtype=utf8:bool"),
            "virtio": module("virtio", exports={"virtio_add": 0x301}),
            "virtio_net": module("virtio_net", "alias=pci:v00001AF4d00001000sv*", needs={"virtio_add": 0x301}),
        },
        builtin=["ext4"],
        loaded={"loop": "0 - Live 0x0", "snd_pcm": "0 - Live 0x0", "snd_timer": "1 snd_pcm, Live 0x0"},
        files={
            "etc/modprobe.d/local.conf": "options loop max_loop=8\noptions vfat shortnames=lower\n",
            "etc/modules-load.d/local.conf": "loop\n",
            "sys/module/loop/parameters/max_loop": "8\n",
            "sys/module/loop/sections/.text": "0xffffffffc0a00000\n",
            "sys/module/loop/coresize": "16384\n",
            "proc/sys/kernel/tainted": "4096\n",
            "proc/kallsyms": "0000000000000000 T _printk\n0000000000000000 t loop_init\t[loop]\n",
            "var/log/oops": OOPS,
        },
    )  # fmt: skip


def test_the_chapters_are_those_of_the_howto() -> None:
    assert re.findall(r"(?m)^## (\d+)\.", GUIDE) == [str(number) for number in range(1, 12)]
    assert len(STEPS) > 30


def test_commands_that_are_not_run_have_options_and_verbs_that_exist() -> None:
    names = {command.name for command in registry.COMMANDS}
    for verb in re.findall(r"`kmod (\w[\w-]*)", GUIDE):
        assert verb in names, verb


@pytest.mark.parametrize(("command", "lines"), STEPS, ids=[command for command, _ in STEPS])
def test_command(system: Roots, command: str, lines: list[str]) -> None:
    (Path(system.proc) / "modules").write_text(
        "loop 16384 0 - Live 0x0\nsnd_pcm 16384 0 - Live 0x0\nsnd_timer 16384 1 snd_pcm, Live 0x0\n"
    )
    bare, shows_status = command.removesuffix("; echo $?"), command.endswith("; echo $?")
    words = [re.sub(r"^/(?=lib|var|sys|proc|etc)", f"{system.base}/", word) for word in shlex.split(bare)]
    if words[0] in OWN:
        done = run_inside(words[0], words[1:], _without_release(system, words))
        assert shows_status or done.status == 0, done.err
        printed = (done.out + done.err).decode() + (f"{done.status}\n" if shows_status else "")
    else:
        printed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    text = "".join(f"{line.rstrip()}\n" for line in printed.replace(system.base, "").splitlines())
    pattern = "".join(r"(?:.*\n)*?" if line == "..." else re.escape(line.rstrip()) + "\n" for line in lines)
    assert re.fullmatch(pattern, text), text


def _without_release(system: Roots, words: list[str]) -> Roots:
    return system.replace(release="") if {"-S", "-k"} & set(words) else system
