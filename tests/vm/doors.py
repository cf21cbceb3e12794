# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in the guest: tries every way in for modules, and asks `check` before each.

    python3.11 -IS doors.py < JOB > RESULTS       both lines of JSON

A job has "modules", "configuration" (texts with NAME in them, by the name of the variant), "tools", "refused" (whether
the kernel takes none of the modules) and "staying" (those that cannot be unloaded: only their closed doors are tried).
For each variant and module a result has what `check` said and, for each door and tool, which modules came in.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

sys.path.insert(0, "/opt/pymodutils")

from pymodutils import Context, deny, undeny
from pymodutils.cli.main import main as command_main
from pymodutils.verbs.check import Checker

TOOLS = {"ours": "/opt/pymodutils/bin/modprobe", "kmod34": "/opt/kmod34/bin/modprobe"}
CONFIG, LISTED = "/etc/modprobe.d/00-test.conf", "/tmp/listed.conf"
PLAIN = "/tmp/plain-modprobe"
USER = 1000
FAMILY = "net-pf-16-proto-16-family-"
"""How the alias of a generic netlink family begins."""
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x00020000
libc = ctypes.CDLL(None, use_errno=True)


def loaded() -> list[str]:
    with open("/proc/modules") as stream:
        return [line.split()[0] for line in stream]


STAYING = set(loaded())
"""Loaded at boot, or by something that cannot be unloaded."""


def clear() -> bool:
    """Unload everything; false when something stays."""
    deadline = time.monotonic() + 8
    while left := [name for name in loaded() if name not in STAYING]:
        done = False
        for name in left:
            done |= libc.syscall(176, name.encode(), os.O_NONBLOCK) == 0
        if not done:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
    return True


def helper(path: str) -> None:
    """Set the program that the kernel calls for a module."""
    with open("/proc/sys/kernel/modprobe", "w") as stream:
        stream.write(path)


def insmod(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        libc.syscall(313, fd, b"", 0 if path.endswith(".ko") else 4)  # MODULE_INIT_COMPRESSED_FILE
    finally:
        os.close(fd)


def as_user(action: Callable[[], None]) -> None:
    """Do something in a process of an ordinary user."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(USER)
            os.setuid(USER)
            action()
        except OSError:
            pass
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def run(*words: str) -> None:
    if words[0] == TOOLS["ours"]:
        run_ours(words[1:])
        return
    subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   timeout=60, env={"PATH": "/usr/sbin:/usr/bin"})  # fmt: skip


def run_ours(arguments: tuple[str, ...]) -> None:
    """Run our modprobe in a copy of this process, which spares starting Python under emulation."""
    pid = os.fork()
    if pid == 0:
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os._exit(command_main(["modprobe", *arguments]))
    os.waitpid(pid, 0)


def ask_as_user(alias: str, tool: str) -> None:
    """Make the kernel ask for an alias: as a user where one can, else as the kernel itself would."""
    words = alias.split("-")
    if alias.startswith(FAMILY):
        as_user(lambda: _family(alias.removeprefix(FAMILY)))
    elif alias.startswith("net-pf-"):
        family = int(words[2])
        protocol = int(words[4]) if len(words) > 4 else 0
        kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW)
        as_user(lambda: _sockets(family, kinds, protocol))
    elif alias.startswith("can-proto-"):
        as_user(lambda: _sockets(29, (socket.SOCK_RAW,), int(words[2])))
    elif alias.startswith("crypto-"):
        as_user(lambda: _algorithm(alias.removeprefix("crypto-")))
    elif alias.startswith("fs-"):
        as_user(lambda: _mount(alias.removeprefix("fs-")))
    else:
        run(tool, "-q", "--", alias.replace("*", "0"))


def _family(name: str) -> None:
    """Ask generic netlink for a family (CTRL_CMD_GETFAMILY)."""
    text = name.encode() + b"\0"
    attribute = struct.pack("=HH", 4 + len(text), 2) + text.ljust(-(-len(text) // 4) * 4, b"\0")
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16) as here:
        here.settimeout(10)
        here.send(struct.pack("=IHHII", 20 + len(attribute), 16, 5, 1, 0) + struct.pack("=BBH", 3, 1, 0) + attribute)
        here.recv(65536)


def _sockets(family: int, kinds: tuple[int, ...], protocol: int) -> None:
    for kind in kinds:
        with contextlib.suppress(OSError):
            socket.socket(family, kind, protocol).close()


def _algorithm(name: str) -> None:
    for kind in ("hash", "skcipher", "aead", "rng"):
        with socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET) as here:
            try:
                here.bind((kind, name))
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EINVAL):
                    return


def _mount(kind: str) -> None:
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0:
        libc.mount(b"none", b"/tmp", kind.encode(), 0, b"")


ASKED = ("net-pf-", "can-proto-", "fs-", "crypto-")
"""Aliases that an ordinary user makes the kernel ask for."""


def chosen_alias(aliases: list[str]) -> str | None:
    plain = [alias for alias in aliases if not set("*?[") & set(alias)]
    for start in ASKED:
        for alias in plain:
            if alias.startswith(start):
                return alias
    return next(iter([*plain, *(alias for alias in aliases if "[" not in alias)]), None)


class Module:
    """One module, and how to ask for it by each door."""

    def __init__(self, context: Context, name: str, aliases: list[str], dependents: list[str], owners: list[str]):
        self.name = name
        entry = context.tree.find(name)
        assert entry
        self.path = entry.path
        self.needs = entry.dependencies[::-1]
        self.alias = chosen_alias(aliases)
        self.dependents, self.owners = dependents[:1], owners[:1]

    def requests(self, tool: str | None) -> Iterator[tuple[str, Callable[[], None]]]:
        """(door, what to do) of each door of a tool; without one of those that use none."""
        if tool is None:
            yield "udev", lambda: run("/usr/bin/udevadm", "test-builtin", f"kmod load {self.alias_for_udev()}",
                                      "/sys/devices/virtual/mem/null")  # fmt: skip
            yield "modules_load", lambda: run("/usr/lib/systemd/systemd-modules-load", LISTED)
            yield "insmod", self.insert
            return
        yield "by_name", lambda: run(tool, self.name)
        if self.alias:
            yield "by_alias", functools.partial(ask_as_user, self.alias, tool)
        for other in self.dependents:
            yield "as_dependency", functools.partial(run, tool, other)
        for other in self.owners:
            yield "as_softdep", functools.partial(run, tool, other)

    def alias_for_udev(self) -> str:
        return (self.alias or self.name).replace("*", "0")

    def insert(self) -> None:
        """Insert the file after those it needs, which whatever modules it wants at its start come by freely."""
        helper(PLAIN)
        for path in [*self.needs, self.path]:
            insmod(path)

    def try_doors(self, tools: list[str], doors: set[str]) -> dict[str, Any]:
        """Which modules come in by each of these doors, for each tool."""
        found: dict[str, Any] = {}
        for tool in [*tools, None]:
            program = TOOLS[tool] if tool else TOOLS["kmod34"]
            for door, request in self.requests(program if tool else None):
                if door not in doors:
                    continue
                helper(program)
                if not clear():
                    return {"stuck": loaded()}
                request()
                found.setdefault(door, {})[tool or "-"] = loaded()
        return found


def unable(said: dict[str, Any], came: dict[str, Any]) -> list[str]:
    """Which side loads did not come in, and do not by themselves: the machine lacks what they drive."""
    told = {name for door in said["doors"].values() if door for name in door["side_loads"]}
    missing = told.difference(
        *(names for tools in came.values() if isinstance(tools, dict) for names in tools.values())
    )
    for name in missing:
        run(TOOLS["kmod34"], name)
    return sorted(missing.difference(loaded()))


def lay(text: str) -> None:
    with open(CONFIG, "w") as stream:
        stream.write(text)


def main() -> None:
    job = json.loads(sys.stdin.read())
    with open(PLAIN, "w") as stream:
        stream.write(f'#!/bin/sh\nexec {TOOLS["kmod34"]} -C /nowhere "$@"\n')
    os.chmod(PLAIN, 0o755)
    lay("")
    os.makedirs("/etc/modules-load.d", exist_ok=True)
    context = Context()
    world = Checker(context, initrd="none").world
    modules = [
        Module(context, name, world.tree.aliases(name), world.dependents(name), world.softdep_owners(name))
        for name in job["modules"]
        if context.tree.find(name)
    ]
    usable = []
    for module in modules:
        if job["refused"] or module.name in job["staying"]:
            usable.append(module)
            continue
        clear()
        helper(TOOLS["kmod34"])
        run(TOOLS["kmod34"], module.name)
        came = module.name in loaded()
        if came and clear():
            usable.append(module)
        else:
            reason = f"does not unload: {sorted(set(loaded()) - STAYING)}" if came else "does not load"
            STAYING.update(loaded())
            print(json.dumps({"module": module.name, "unusable": reason}), flush=True)
    for module in [module for module in usable if module.name not in STAYING]:
        with open(LISTED, "w") as stream:
            stream.write(module.name + "\n")
        shutil.copy(LISTED, "/etc/modules-load.d/test.conf")
        for variant, text in job["configuration"].items():
            if text == "DENY":
                lay("")
                deny(Context(), module.name, initrd="none")
            else:
                lay(text.replace("NAME", module.name))
            clear()
            (said,) = Checker(Context(), initrd="none").report([module.name]).checks
            result = {"module": module.name, "variant": variant, "said": said.as_dict(), "alias": module.alias}
            doors = {door for door, told in result["said"]["doors"].items()
                     if module.name not in job["staying"] or told["open"] is False}  # fmt: skip
            tried = module.try_doors(job["tools"], doors)
            print(json.dumps({**result, "came": tried, "unable": unable(result["said"], tried)}), flush=True)
            if text == "DENY":
                undeny(Context(), module.name, initrd="none")
    clear()


main()
