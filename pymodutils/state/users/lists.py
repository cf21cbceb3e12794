# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel lists in /proc and /sys: algorithms, consoles, line disciplines, kinds of programs, bound devices."""

from __future__ import annotations

import os
import sys
import termios

from ...querycalls import borrow_descriptor
from ..drivers import CHARACTER, is_number
from .use import BINFMT, CONSOLE, CRYPTO, DRIVER, LINE_DISCIPLINE, Holding, Use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..look import Look
    from .nodes import Nodes
    from .processes import Processes

BINFMT_MISC = "binfmt_misc"
_BINFMT_FILES = ("register", "status")
_TTY_MAJORS = range(2, 6)
_PTY_MAJORS = range(128, 144)


def crypto_uses(look: Look) -> Iterable[Use]:
    """Return the uses by algorithms that somebody in the kernel uses; the kernel does not say who."""
    path = f"{look.proc}/crypto"
    for block in (look.text(path) or "").split("\n\n"):
        entry = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in block.splitlines())}
        module, count = entry.get("module", "kernel"), entry.get("refcnt", "0")
        if module != "kernel" and count.isdecimal() and int(count) > 1:
            what = f"{entry.get('name')} ({entry.get('driver')})"
            yield Use(CRYPTO, what, (module,), (), path, references=int(count) - 1)


def console_uses(look: Look, nodes: Nodes) -> Iterable[Use]:
    """Return the uses by consoles: where the kernel writes its messages."""
    path = f"{look.proc}/consoles"
    for line in (look.text(path) or "").splitlines():
        words = line.split()
        number = next((word for word in words[1:] if is_number(word)), None)
        if number:
            node = nodes.node(CHARACTER, number)
            modules, aliases = node.modules, node.aliases
        else:
            modules, aliases = (), ("netconsole",) if words[:1] and words[0].startswith("netcon") else ()
        if words:
            yield Use(CONSOLE, words[0], modules, aliases, path, loses=f"{words[0]}: console of the kernel's messages")


def line_discipline_uses(look: Look, processes: Processes, wanted: frozenset[str]) -> Iterable[Use]:
    """Return the uses by terminals with the line disciplines whose numbers are in `wanted`."""
    if not wanted:
        return
    names = {words[1]: words[0] for line in (look.text(f"{look.proc}/tty/ldiscs") or "").splitlines()
             if len(words := line.split()) == 2}  # fmt: skip
    for (kind, number), opened in processes.devices.items():
        if kind != CHARACTER or not _may_be_terminal(opened.path, int(number.partition(":")[0])):
            continue
        discipline = line_discipline(opened.holdings[0])
        if discipline in wanted:
            name = names.get(str(discipline), str(discipline))
            yield Use(
                LINE_DISCIPLINE,
                f"{opened.path} ({name})",
                (),
                (f"tty-ldisc-{discipline}",),
                f"{look.proc}/tty/ldiscs",
                references=1,
                shares=f"terminal {number}",
                holdings=opened.holdings,
            )


def _may_be_terminal(path: str, major: int) -> bool:
    return "tty" in path or "pts" in path or "ptmx" in path or major in _TTY_MAJORS or major in _PTY_MAJORS


def line_discipline(holding: Holding) -> str | None:
    """Return the number of the line discipline of a process's terminal; None when it cannot be told."""
    import fcntl

    try:
        fd = borrow_descriptor(holding.pid, holding.fd or 0)
    except OSError:
        return None
    try:
        answer = fcntl.ioctl(fd, termios.TIOCGETD, bytes(4))
    except OSError:
        return None
    finally:
        os.close(fd)
    return str(int.from_bytes(answer, sys.byteorder))


def line_disciplines(look: Look) -> list[str]:
    """Return the numbers of all line disciplines that the kernel has at the moment."""
    lines = (look.text(f"{look.proc}/tty/ldiscs") or "").splitlines()
    return [line.split()[1] for line in lines if len(line.split()) == 2]


def binfmt_uses(look: Look, processes: Processes) -> Iterable[Use]:
    """Return the uses by kinds of programs that binfmt_misc knows.

    Where it is not mounted, nothing is looked at: systemd would mount it, and the kernel load the module.
    """
    place = f"{look.proc}/sys/fs/binfmt_misc"
    own = next((space for space in processes.spaces.values() if space.own), None)
    mounted = own is not None and any(mount.type == BINFMT_MISC for mount in own.mounts)
    for name in look.names(place) if mounted else ():
        if name not in _BINFMT_FILES:
            interpreter = next((line.split(" ", 1)[1] for line in (look.text(f"{place}/{name}") or "").splitlines()
                                if line.startswith("interpreter ")), "?")  # fmt: skip
            yield Use(BINFMT, name, (BINFMT_MISC,), (), f"{place}/{name}", references=1,
                      shares="entries of binfmt_misc", loses=f"{name}: programs for {interpreter}", subject=name,
                      path=f"{place}/{name}")  # fmt: skip


def driver_uses(look: Look, names: frozenset[str] | None) -> Iterable[Use]:
    """Return the uses by devices that are bound to drivers of modules. They keep no module, and lose their driver."""
    for module in sorted(names) if names is not None else look.names(f"{look.sys}/module"):
        for driver in look.names(f"{look.sys}/module/{module}/drivers"):
            place = f"{look.sys}/module/{module}/drivers/{driver}"
            for device in look.names(place):
                target = look.target_name(f"{place}/{device}")
                if target and device not in ("module", "subsystem") and look.is_directory(f"{place}/{device}"):
                    bus = driver.partition(":")[0]
                    yield Use(DRIVER, f"{device} ({bus})", (module,), (), f"{place}/{device}",
                              loses=f"{device}: device without its driver", virtual=False)  # fmt: skip
