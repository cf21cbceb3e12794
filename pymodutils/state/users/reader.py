# SPDX-License-Identifier: LGPL-2.1-or-later
"""All uses of modules at once."""

from __future__ import annotations

import os

from ...names import decode
from ...optional import load
from ...records import Record
from ..drivers import names_in
from ..files import read_or_none
from .blocks import block_uses
from .lists import binfmt_uses, console_uses, crypto_uses, driver_uses, line_discipline_uses, line_disciplines
from .mounts import busy_with, mount_uses, swap_uses
from .network import NoNetlink, hook_uses, interface_uses, link_kinds, netfilter_uses, traffic_uses
from .nodes import Nodes, node_uses
from .processes import Processes
from .sockets import congestion_uses, socket_uses
from .use import Holding, Process, Use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ...roots import Roots

_FIRST_PID_NAMESPACE = "pid:[4026531836]"
"""What sees all processes: the number is the kernel's own, PROC_PID_INIT_INO."""
_TRAFFIC = ("sch_", "cls_", "act_", "em_")
_NETFILTER = ("nf", "xt_", "ip", "arp", "eb", "x_tables")


class Question(Record):
    """Which modules are meant, so that nothing is asked that has nothing to do with them; `names` None means all.

    `links` tells whether one of them may make network interfaces.
    """

    names: frozenset[str] | None
    links: bool = True

    def may_be(self, *starts: str) -> bool:
        """Tell whether one of the modules has a name that begins in one of these ways."""
        return self.names is None or any(name.startswith(starts) for name in self.names)


class Seen:
    """The uses of modules that were seen, and what could not be.

    `uses` has them all. `unknown` says what could not be seen, and `describe` tells who a process is, if psutil is
    there.
    """

    def __init__(self, roots: Roots, processes: Processes) -> None:
        self.roots = roots
        self.processes = processes
        self.uses: list[Use] = []
        self.unknown: list[str] = []
        self._psutil = load("psutil")
        self._described: dict[int, tuple[str | None, str | None]] = {}

    @property
    def knows_processes(self) -> bool:
        """Whether it can be told who processes are."""
        return self._psutil is not None

    def add(self, read: Callable[[], Iterable[Use]]) -> None:
        """Add what a reader finds; what it cannot find out goes to `unknown`."""
        try:
            self.uses.extend(read())
        except NoNetlink as problem:
            self.unknown.append(str(problem))

    def describe(self, holding: Holding) -> Process:
        """Return who a process is."""
        if holding.pid not in self._described:
            self._described[holding.pid] = self._who(holding.pid)
        return Process(holding.pid, *self._described[holding.pid], holding.fd)

    def _who(self, pid: int) -> tuple[str | None, str | None]:
        if self._psutil is None or self.roots.proc != "/proc":
            return self._who_of_files(pid)
        try:
            process = self._psutil.Process(pid)
            return process.name(), process.username()
        except (self._psutil.Error, OSError):  # it ended meanwhile
            return None, None

    def _who_of_files(self, pid: int) -> tuple[str | None, str | None]:
        """Return the name of a process of another /proc; the numbers of its users mean nothing here."""
        try:
            name = read_or_none(f"{self.roots.proc}/{pid}/comm")
        except OSError:
            return None, None
        return (decode(name).strip(), None) if name else (None, None)

    def unit(self, pid: int) -> str | None:
        """Return the systemd service that a process belongs to."""
        try:
            text = decode(read_or_none(f"{self.roots.proc}/{pid}/cgroup") or b"")
        except OSError:
            return None
        paths = [
            line.split(":", 2)[2] for line in text.splitlines() if line.startswith("0:") or ":name=systemd:" in line
        ]
        return _service(paths[0]) if paths else None

    def keeps_busy(self, use: Use) -> tuple[Holding, ...]:
        """Return the processes that keep a mount from being unmounted."""
        return busy_with(self.processes, use)


def _pid_namespace() -> str | None:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:  # no namespaces in this kernel
        return None


def _service(path: str) -> str | None:
    """Return the system's service in a path of control groups; one of a user's manager or of a container is none."""
    for part in path.split("/")[1:]:
        if not part.endswith(".slice"):
            return part if part.endswith(".service") and not part.startswith("user@") else None
    return None


def read_uses(roots: Roots, question: Question) -> Seen:
    """Return the uses of modules that the kernel shows. Raises nothing: what cannot be read is `unknown`."""
    processes = Processes(roots.proc)
    nodes = Nodes(roots)
    seen = Seen(roots, processes)
    names = question.names
    seen.add(lambda: node_uses(processes, nodes))
    seen.add(lambda: mount_uses(roots, processes, nodes))
    seen.add(lambda: swap_uses(roots, nodes))
    seen.add(lambda: block_uses(roots, nodes))
    seen.add(lambda: socket_uses(roots, processes, names))
    if question.may_be("tcp_"):
        seen.add(lambda: congestion_uses(roots, processes, names))
    kinds: dict[str, str] = {}
    if question.links:
        try:
            kinds = link_kinds(roots)
        except NoNetlink as problem:
            seen.unknown.append(str(problem))
    seen.add(lambda: interface_uses(roots, processes, kinds))
    seen.add(lambda: hook_uses(roots, processes))
    if question.may_be(*_TRAFFIC):
        seen.add(lambda: traffic_uses(roots))
    if question.may_be(*_NETFILTER):
        seen.add(lambda: netfilter_uses(roots, processes))
    seen.add(lambda: crypto_uses(roots))
    seen.add(lambda: console_uses(roots, nodes))
    seen.add(lambda: line_discipline_uses(roots, processes, frozenset(line_disciplines(roots))))
    seen.add(lambda: binfmt_uses(roots, processes))
    seen.add(lambda: driver_uses(roots, names))
    seen.unknown += _out_of_sight(roots, processes)
    return seen


def _out_of_sight(roots: Roots, processes: Processes) -> Iterable[str]:
    """Yield what nothing was seen of, so that nothing found there proves nothing."""
    if processes.unseen:
        whose = "1 process has" if processes.unseen == 1 else f"{processes.unseen} processes have"
        yield f"what {whose} open is not known: only root may look"
    if not processes.pids:
        yield f"what processes have open is not known: {roots.proc} shows none"
    elif roots.proc == "/proc" and 1 not in processes.pids:  # mounted with hidepid
        yield "what processes of other users have open is not known: /proc hides them"
    if roots.proc == "/proc" and _pid_namespace() not in (None, _FIRST_PID_NAMESPACE):
        yield "what processes outside of this container have open is not known"
    if not names_in(f"{roots.sys}/class"):
        yield f"devices, drivers and interfaces are not known: {roots.sys} shows none"
