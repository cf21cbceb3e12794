# SPDX-License-Identifier: LGPL-2.1-or-later
"""All uses of modules at once."""

from __future__ import annotations

import os

from ...optional import load
from ...records import Record
from ..look import Look
from .blocks import block_uses
from .lists import binfmt_uses, console_uses, crypto_uses, driver_uses, line_discipline_uses, line_disciplines
from .mounts import busy_with, mount_uses, swap_uses
from .network import NoNetlink, hook_uses, interface_uses, link_kinds, netfilter_uses, traffic_uses
from .nodes import Nodes, node_uses
from .processes import Processes
from .sockets import congestion_uses, socket_uses
from .use import INTERFACE, NETFILTER, TRAFFIC_CONTROL, Holding, Process, Use

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


class Unseen(Record):
    """Something of which nothing was seen, so that nothing found there proves nothing.

    `text` says what. `hides` are the families of uses that may have been missed, None for all.
    """

    text: str
    hides: tuple[str, ...] | None = None


class Seen:
    """The uses of modules that were seen, and what could not be.

    `uses` has them all. `unknown` says what could not be seen, and the look of `processes` has what could not be read.
    `describe` tells who a process is, if psutil is there.
    """

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self.look: Look = processes.look
        self.uses: list[Use] = []
        self.unknown: list[Unseen] = []
        self._psutil = load("psutil")
        self._described: dict[int, tuple[str | None, str | None]] = {}

    @property
    def knows_processes(self) -> bool:
        """Whether it can be told who processes are."""
        return self._psutil is not None

    def add(self, read: Callable[[], Iterable[Use]], family: str = "") -> None:
        """Add what a reader finds; what netlink does not tell of, uses of `family`, goes to `unknown`."""
        try:
            self.uses.extend(read())
        except NoNetlink as problem:
            self.unknown.append(Unseen(str(problem), (family,)))

    def describe(self, holding: Holding) -> Process:
        """Return who a process is."""
        if holding.pid not in self._described:
            self._described[holding.pid] = self._who(holding.pid)
        return Process(holding.pid, *self._described[holding.pid], holding.fd)

    def _who(self, pid: int) -> tuple[str | None, str | None]:
        if self._psutil is None or self.look.proc != "/proc":
            return self._who_of_files(pid)
        try:
            process = self._psutil.Process(pid)
            return process.name(), process.username()
        except (self._psutil.Error, OSError):  # it ended meanwhile
            return None, None

    def _who_of_files(self, pid: int) -> tuple[str | None, str | None]:
        """Return the name of a process of another /proc; the numbers of its users mean nothing here."""
        return self.look.text(f"{self.look.proc}/{pid}/comm") or None, None

    def unit(self, pid: int) -> str | None:
        """Return the systemd service that a process belongs to."""
        lines = (self.look.text(f"{self.look.proc}/{pid}/cgroup") or "").splitlines()
        paths = [line.split(":", 2)[2] for line in lines if line.startswith("0:") or ":name=systemd:" in line]
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
    """Return the uses of modules that the kernel shows, and what could not be seen. Raises nothing."""
    look = Look(roots)
    processes = Processes(look)
    nodes = Nodes(look)
    seen = Seen(processes)
    names = question.names
    seen.add(lambda: node_uses(processes, nodes))
    seen.add(lambda: mount_uses(look, processes, nodes))
    seen.add(lambda: swap_uses(look, nodes))
    seen.add(lambda: block_uses(look, nodes))
    seen.add(lambda: socket_uses(look, processes, names))
    if question.may_be("tcp_"):
        seen.add(lambda: congestion_uses(look, processes, names))
    kinds: dict[str, str] = {}
    if question.links:
        try:
            kinds = link_kinds(look)
        except NoNetlink as problem:
            seen.unknown.append(Unseen(str(problem), (INTERFACE,)))
    seen.add(lambda: interface_uses(look, processes, kinds))
    seen.add(lambda: hook_uses(look, processes))
    if question.may_be(*_TRAFFIC):
        seen.add(lambda: traffic_uses(look), TRAFFIC_CONTROL)
    if question.may_be(*_NETFILTER):
        seen.add(lambda: netfilter_uses(look, processes), NETFILTER)
    seen.add(lambda: crypto_uses(look))
    seen.add(lambda: console_uses(look, nodes))
    seen.add(lambda: line_discipline_uses(look, processes, frozenset(line_disciplines(look))))
    seen.add(lambda: binfmt_uses(look, processes))
    seen.add(lambda: driver_uses(look, names))
    seen.unknown += map(Unseen, _out_of_sight(processes))
    return seen


def _out_of_sight(processes: Processes) -> Iterable[str]:
    """Yield what nothing was seen of, because all of that kind is hidden."""
    look = processes.look
    if processes.unseen:
        count = len(processes.unseen)
        whose = "1 process has" if count == 1 else f"{count} processes have"
        why = "only root may look" if os.geteuid() else "even root may not look"  # in a sandbox, without CAP_SYS_PTRACE
        yield f"what {whose} open is not known: {why}"
    if not processes.pids:
        yield f"what processes have open is not known: {look.proc} shows none"
    elif look.proc == "/proc" and 1 not in processes.pids:  # mounted with hidepid
        yield "what processes of other users have open is not known: /proc hides them"
    if look.proc == "/proc" and _pid_namespace() not in (None, _FIRST_PID_NAMESPACE):
        yield "what processes outside of this container have open is not known"
    if not look.names(f"{look.sys}/class"):
        yield f"devices, drivers and interfaces are not known: {look.sys} shows none"
