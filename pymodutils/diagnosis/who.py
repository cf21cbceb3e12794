# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who uses a module, what would be lost without it, and what ends that, in which order: docs/who.md.

A reference count is no count of users (docs/behaviour/7-kernel-facts.md, fact 7). So what holds the module and what
would be lost are told apart, and the references that nothing was found for are counted.
"""

from __future__ import annotations

from heapq import heappop, heappush

from ..names import normalize_name
from ..records import Record
from ..shellwords import command, word
from ..state.users.pathindex import PathIndex
from ..state.users.use import (
    BINFMT,
    CONGESTION_CONTROL,
    DEVICE_MAPPER,
    DEVICE_NODE,
    HOLDER,
    INTERFACE,
    LINE_DISCIPLINE,
    LOOP,
    MD,
    MOUNT,
    NETFILTER,
    PERMANENT,
    SOCKET,
    SWAP,
    TRAFFIC_CONTROL,
    Process,
    Use,
)
from .carries import with_holders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from ..formats.procmodules import LoadedModule
    from ..state.users.use import Holding


class User(Record):
    """One user of a module.

    `family` is its class, `class` in JSON: one of the words of kmod-who(8). `what` names it, `processes` are those
    behind it, None where they are not known. `holds` tells whether it keeps the module from being unloaded. `evidence`
    is where it was seen.
    """

    family: str
    what: str
    processes: tuple[Process, ...] | None
    holds: bool
    evidence: str

    def as_dict(self) -> dict[str, Any]:
        """Return all fields by name; `family` is called `class` there."""
        fields = super().as_dict()
        return {"class": fields.pop("family"), **fields}


class Who(Record):
    """The users of one module.

    `refcount` is None for a module that is not loaded or cannot be unloaded. `would_lose` says what is gone without the
    module. `unaccounted` is how many references nothing was found for, None when that is not known. `order` has the
    commands that free the module, in their order; it is empty for a module that cannot be unloaded.
    """

    module: str
    refcount: int | None
    holders: tuple[str, ...]
    users: tuple[User, ...]
    would_lose: tuple[str, ...]
    unaccounted: int | None
    order: tuple[str, ...]


class PruneCandidate(Record):
    """A module that no other module and nothing else holds.

    `removable` tells whether nothing would be lost either; `reason` says why, or why not. `would_lose` says what would
    be lost.
    """

    module: str
    removable: bool
    reason: str
    would_lose: tuple[str, ...]


class Uses:
    """All uses of modules that were seen, by module.

    `loaded` has the loaded modules by name; `stand_for` tells which modules an alias stands for. `describe` tells who a
    process is, and is None where that is not known; `unit` its service; `keeps_busy` what keeps a mount busy. The
    processes `own` are the caller's.
    """

    def __init__(
        self,
        loaded: Mapping[str, LoadedModule],
        uses: Iterable[Use],
        stand_for: Callable[[str], Iterable[str]],
        *,
        describe: Callable[[Holding], Process] | None = None,
        unit: Callable[[int], str | None] = lambda _pid: None,
        keeps_busy: Callable[[Use], Sequence[Holding]] = lambda _use: (),
        own: frozenset[int] = frozenset(),
    ) -> None:
        self.loaded = loaded
        self.all: tuple[Use, ...] = tuple(uses)
        self.describe = describe
        self.unit = unit
        self.keeps_busy = keeps_busy
        self.own = own
        self.holders: dict[str, tuple[str, ...]] = {name: module.holders for name, module in loaded.items()}
        self._by_module: dict[str, dict[Use, None]] = {}
        for use in self.all:
            names = {normalize_name(name) for name in use.modules}
            for alias in use.aliases:
                names |= {normalize_name(name) for name in stand_for(alias)}
            for name in names:
                self._by_module.setdefault(name, {})[use] = None
        self._by_device: dict[str, list[int]] = {}
        with_path: dict[int | None, list[int]] = {}
        for number, use in enumerate(self.all):
            if use.device:
                self._by_device.setdefault(use.device, []).append(number)
            if use.path:
                with_path.setdefault(use.inside, []).append(number)
        self._below: dict[int | None, tuple[list[int], PathIndex]] = {
            inside: (numbers, PathIndex(self.all[number].path for number in numbers))
            for inside, numbers in with_path.items()
        }

    def of(self, name: str) -> list[Use]:
        """Return the uses of a module, those that hold it first."""
        return sorted(self._by_module.get(name, ()), key=lambda use: not use.references)

    def users(self, name: str) -> tuple[User, ...]:
        """Return who uses a module."""
        module = self.loaded.get(name)
        found = [User(HOLDER, holder, (), True, "/proc/modules") for holder in (module.holders if module else ())]
        if module and (module.permanent or module.refcount is None):
            evidence = "/proc/modules: [permanent]" if module.permanent else "/proc/modules: no reference count"
            found.append(User(PERMANENT, name, (), True, evidence))
        for use in self.of(name):
            found.append(User(use.family, use.what, self._processes(use), use.references > 0, use.evidence))
        return tuple(_without_repetition(found))

    def _processes(self, use: Use) -> tuple[Process, ...] | None:
        describe = self.describe
        if describe is None:
            return None if use.holdings else ()
        return tuple([describe(holding) for holding in use.holdings])

    def accounted(self, name: str) -> int:
        """Return how many references the holders and the uses of a module take."""
        module = self.loaded.get(name)
        shared = {use.shares: use.references for use in self.of(name) if use.shares}
        single = sum(use.references for use in self.of(name) if not use.shares)
        return single + sum(shared.values()) + len(module.holders if module else ())

    def losses(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return what would be lost without some modules."""
        uses = self.with_blockers(use for name in names for use in self.of(name))
        return tuple(dict.fromkeys(use.loses for use in uses if use.loses))

    def with_blockers(self, uses: Iterable[Use]) -> list[Use]:
        """Return uses and all that have to end before them: what lies on a device, or below a mount, of theirs."""
        found = dict.fromkeys(uses)
        waiting = list(found)
        while waiting:
            for other in self.blockers(waiting.pop()):
                if other not in found:
                    found[other] = None
                    waiting.append(other)
        return list(found)

    def blockers(self, use: Use) -> list[Use]:
        """Return the uses that have to end before this one can, in order."""
        found = set(self._by_device.get(use.provides, ()) if use.provides else ())
        if use.family == MOUNT and use.inside in self._below:
            numbers, paths = self._below[use.inside]
            below = [numbers[number] for number in paths.below(use.subject)]
            found.update(number for number in below if not _is_same_mount(self.all[number], use))
        return [self.all[number] for number in sorted(found)]


def _without_repetition(users: Iterable[User]) -> Iterable[User]:
    """Return users, each once: a mount may use a module in several ways."""
    return {(user.family, user.what): user for user in reversed(list(users))}.values().__reversed__()


def _is_same_mount(first: Use, second: Use) -> bool:
    return first is second or (first.family == MOUNT and first.subject == second.subject)


def who_uses(uses: Uses, name: str) -> Who:
    """Return who uses a module, by its name."""
    module = uses.loaded.get(name)
    family = with_holders(name, uses.holders)
    refcount = module.refcount if module else None
    return Who(
        module=name,
        refcount=refcount,
        holders=module.holders if module else (),
        users=uses.users(name),
        would_lose=uses.losses(family),
        unaccounted=None if refcount is None else max(0, refcount - uses.accounted(name)),
        order=tuple(_order(uses, family)) if module and _can_go(uses, family) else (),
    )


def _can_go(uses: Uses, family: Iterable[str]) -> bool:
    modules = [uses.loaded[name] for name in family if name in uses.loaded]
    return not any(module.permanent or module.refcount is None for module in modules)


# --- commands


_RANKS = {SWAP: 0, BINFMT: 0, CONGESTION_CONTROL: 1, MOUNT: 1, DEVICE_NODE: 2, SOCKET: 2, LINE_DISCIPLINE: 2,
          DEVICE_MAPPER: 3, MD: 3, LOOP: 4, TRAFFIC_CONTROL: 5, NETFILTER: 5, INTERFACE: 6}  # fmt: skip
"""Which uses end first, where nothing else decides; one that is not here ends with the module."""
_NETFILTER_RANKS = {"rule": 0, "chain": 1, "table": 2}


def _order(uses: Uses, family: Sequence[str]) -> Iterable[str]:
    """Return the commands that end all uses of some modules, then those that unload them."""
    waiting = uses.with_blockers(use for name in family for use in uses.of(name) if use.family in _RANKS)
    waiting = sorted((use for use in waiting if use.family in _RANKS), key=_rank)
    commands: dict[str, None] = {}
    for use in _free_first(uses, waiting):
        commands |= dict.fromkeys(_commands(uses, use))
    return [*commands, *(command("rmmod", name) for name in family)]


def _free_first(uses: Uses, wanted: Sequence[Use]) -> Iterable[Use]:
    """Yield uses, each after those that have to end before it, and else in the order given; in a ring, the first."""
    numbers = {use: number for number, use in enumerate(wanted)}
    frees: dict[int, list[int]] = {}
    blocked = [0] * len(wanted)
    for number, use in enumerate(wanted):
        for other in dict.fromkeys(uses.blockers(use)):
            first = numbers.get(other, number)
            if first != number:
                frees.setdefault(first, []).append(number)
                blocked[number] += 1
    free = [number for number, count in enumerate(blocked) if not count]  # sorted, and so a heap
    left = dict.fromkeys(range(len(wanted)))
    while left:
        number = heappop(free) if free else next(iter(left))
        if number not in left:
            continue
        del left[number]
        yield wanted[number]
        for freed in frees.get(number, ()):
            blocked[freed] -= 1
            if not blocked[freed]:
                heappush(free, freed)


def _rank(use: Use) -> tuple[int, int, int]:
    within = _NETFILTER_RANKS.get(use.subject.partition(" ")[0], 0)
    first = use.family == DEVICE_NODE and not use.device  # who serves a file system may not answer when it is unmounted
    return 0 if first else _RANKS[use.family], within, -use.subject.count("/")


def _commands(uses: Uses, use: Use) -> Iterable[str]:
    """Return the commands that end one use."""
    subject = word(use.subject)
    if use.holdings:
        yield from _stops(uses, use.holdings)
    elif use.family == MOUNT:
        yield from _stops(uses, uses.keeps_busy(use))
        yield f"{_within(use, '--mount')}umount {subject}"
    elif use.family == SWAP:
        yield f"swapoff {subject}"
    elif use.family == BINFMT:
        yield f"echo -1 > {word(use.path)}"
    elif use.family == DEVICE_MAPPER:
        yield f"dmsetup remove {subject}"
    elif use.family == MD:
        yield f"mdadm --stop {subject}"
    elif use.family == LOOP:
        yield f"losetup -d {subject}"
    elif use.family == CONGESTION_CONTROL:
        yield f"sysctl -w net.ipv4.tcp_congestion_control={subject}"
    elif use.family == TRAFFIC_CONTROL:
        yield f"tc {use.subject}" if use.subject else "sysctl -w net.core.default_qdisc=pfifo_fast"
    elif use.family == NETFILTER and use.subject:
        yield from [f"nft flush {use.subject}"] if use.subject.startswith("chain") else []
        yield f"nft delete {use.subject}"
    elif use.family == INTERFACE and use.virtual:
        yield f"{_within(use, '--net')}ip link del {subject}"


def _within(use: Use, namespace: str) -> str:
    return "" if use.inside is None else f"nsenter {namespace} -t {use.inside} "


def _stops(uses: Uses, holdings: Sequence[Holding]) -> Iterable[str]:
    """Return the commands that end processes; the caller's own are not ended, but leave the directory."""
    for holding in holdings:
        if holding.pid in uses.own:
            if holding.fd is None:
                yield "cd /"
        elif holding.pid != 1:
            unit = uses.unit(holding.pid)
            yield f"systemctl stop {word(unit)}" if unit else f"kill {holding.pid}"


# --- prune


def prunable(
    uses: Uses, carried: Callable[[str], str | None], unsure: Callable[[str], str | None]
) -> list[PruneCandidate]:
    """Return the modules that nothing holds, in the order in which they can go.

    A module that only others hold which can go comes after these. `carried` says why a module has to stay for the
    caller's sake, None if it need not; `unsure` why nobody can tell whether it is missed. One that keeps something is
    not removable, and neither is what it needs.
    """
    found: dict[str, PruneCandidate] = {}
    gone: set[str] = set()
    changed = True
    while changed:
        changed = False
        for name, module in uses.loaded.items():
            if name not in found and module.state == "live" and set(module.holders) <= gone:
                candidate = _candidate(uses, name, module, carried, unsure)
                if candidate:
                    found[name] = candidate
                    changed = True
                    gone |= {name} if candidate.removable else set()
    return list(found.values())


def _candidate(
    uses: Uses,
    name: str,
    module: LoadedModule,
    carried: Callable[[str], str | None],
    unsure: Callable[[str], str | None],
) -> PruneCandidate | None:
    """Return a module that nothing holds; None when something does."""
    if module.refcount is None or module.refcount > len(module.holders):
        return None
    losses = uses.losses([name])
    users = [use.what for use in uses.of(name)]
    why = carried(name)
    if module.permanent:
        return PruneCandidate(name, False, "permanent: the kernel does not unload it", losses)
    if why:
        return PruneCandidate(name, False, why, losses)
    if losses or users:
        return PruneCandidate(name, False, f"something would be lost: {(losses or tuple(users))[0]}", losses)
    doubt = unsure(name)
    if doubt:
        return PruneCandidate(name, False, doubt, ())
    needs = f"only {', '.join(module.holders)} needed it" if module.holders else "nothing uses it"
    return PruneCandidate(name, True, needs, ())
