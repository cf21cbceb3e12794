# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small module directory on disk, and the words that make every command work on it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.common import BIN
from tests.support.indexforge import build, write
from tests.support.koforge import Ko

RELEASE = "6.1.0"


def make_tree(base: Path) -> Path:
    """BASE/lib/modules/6.1.0 with modules `a` and `b` (which needs `a`), their indexes, and BASE/modprobe.d/x.conf."""
    modules = base / "lib/modules" / RELEASE
    Ko(modinfo=["license=GPL", "parm=x:an x", "alias=pci:v1*"], exports={"sym": 1}).write(modules / "kernel/a.ko")
    Ko(modinfo=["license=GPL"], needs={"sym": 1}).write(modules / "kernel/b.ko")
    (modules / "modules.order").write_text("kernel/a.ko\nkernel/b.ko\n")
    (modules / "modules.builtin").write_text("kernel/c.ko\n")
    (modules / "modules.builtin.modinfo").write_bytes(b"c.license=GPL\0")
    (modules / "modules.devname").write_text("a d/n c1:2\n")
    indexes = {
        "dep": [(b"a", 0, b"kernel/a.ko:"), (b"b", 1, b"kernel/b.ko: kernel/a.ko")],
        "alias": [(b"pci:v1*", 0, b"a")],
        "symbols": [(b"symbol:sym", 0, b"a")],
        "builtin": [(b"c", 0, b"")],
        "builtin.alias": [(b"c_alias", 0, b"c")],
    }
    for name, entries in indexes.items():
        (modules / f"modules.{name}.bin").write_bytes(write(build(entries)))
    (base / "modprobe.d").mkdir()
    (base / "modprobe.d/x.conf").write_text("options a x=1\n")
    (base / "log").write_text("Oops: 0000 [#1]\nRIP: 0010:a_work+0x1/0x2 [a]\nCall Trace:\n b_init+0x3/0x4 [b]\n")
    wishes = '[module.a]\nstate = "loaded"\nat_boot = true\nparameters = {x = 2}\n[module.c]\nstate = "denied"\n'
    (base / "wishes.toml").write_text(wishes)
    return base


def command_lines(base: Path) -> list[list[str]]:
    """One run of each command, that takes it through all of its layers and prints something."""
    modules = base / "lib/modules" / RELEASE
    place = ["-d", str(base), "-S", RELEASE, "-C", str(base / "modprobe.d")]
    return [
        ["lsmod", "--help"],
        ["lsmod"],
        ["rmmod", "a"],
        ["insmod", str(modules / "kernel/a.ko")],
        ["modinfo", "-b", str(base), "-k", RELEASE, "a", "c", "pci:v1d2"],
        ["modinfo", "--json", str(modules / "kernel/b.ko")],
        ["modprobe", *place, "-D", "b"],
        ["modprobe", *place, "-c"],
        ["modprobe", *place, "--json", "-n", "b"],
        ["depmod", "-n", "-b", str(base), RELEASE],
        ["depmod", "-b", str(base), RELEASE],
        ["kmod", "list"],
        ["kmod", "static-nodes"],
    ]


def verb_lines(base: Path) -> list[list[str]]:
    """One run of each verb of kmod, likewise."""
    place = ["-d", str(base), "-S", RELEASE, "-C", str(base / "modprobe.d")]
    return [
        ["kmod", "status", *place, "a", "c", "pci:v1d2", "nosuch"],
        ["kmod", "status", "--json", *place, str(base / "lib/modules" / RELEASE / "kernel/b.ko")],
        ["kmod", "config", *place],
        ["kmod", "config", "--json", *place, "a"],
        ["kmod", "lint", *place],
        ["kmod", "lint", "--json", *place],
        ["kmod", "explain", *place, "a", "c", "pci:v1d2", "nosuch", "x=1"],
        ["kmod", "explain", "--json", *place, "b", str(base / "lib/modules" / RELEASE / "kernel/b.ko")],
        ["kmod", "graph", "--soft", "--format=dot", *place, "b"],
        ["kmod", "graph", "--json", *place, "b"],
        ["kmod", "decode", *place, str(base / "log")],
        ["kmod", "decode", "--json", *place, str(base / "log")],
        ["kmod", "symbols", "--all", *place],
        ["kmod", "symbols", "--json", *place, "sym"],
        ["kmod", "devices", "--json", *place],
        ["kmod", "who", "printk"],
        ["kmod", "who", "--json", "printk"],
        ["kmod", "prune", "--json"],
        ["kmod", "params", *place, "a", "c"],
        ["kmod", "params", "--json", *place],
        ["kmod", "verify", *place],
        ["kmod", "verify", "--json", *place, str(base / "lib/modules" / RELEASE / "kernel/b.ko")],
        ["kmod", "autoload", "-n", "--json", *place],
        ["kmod", "ensure", "--check", *place, str(base / "wishes.toml")],
    ]


def start(words: Sequence[str | bytes], folder: Path = BIN, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a command as a user does."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    done: subprocess.CompletedProcess[bytes] = subprocess.run([folder / os.fsdecode(words[0]), *words[1:]], **options)
    return done
