# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod who: who uses a module, and what would be lost without it."""

from __future__ import annotations

import os
import time

from ..diagnosis.carries import with_holders
from ..diagnosis.status import BUILTIN
from ..diagnosis.who import Uses, Who, who_uses
from ..diagnostics import WARNING, Diagnostic
from ..errors import AmbiguousNameError, Error, LiveKernelNotAskedError
from ..names import normalize_name
from ..planning.lookup import Match, not_found
from ..records import Record
from ..state.caller import FILE_SYSTEM
from ..state.modulefile import ModuleFile
from ..state.users import Question, read_uses
from ..state.users.nodes import WATCHDOG
from ..state.users.use import CRYPTO
from .carried import ModulesBehind, carried
from .report import CANNOT_TELL, Report, as_diagnostic, head, unread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ..context import Context, Name
    from ..diagnosis.carries import Carried
    from ..diagnosis.who import User
    from ..formats.procmodules import LoadedModule
    from ..observer import Observer
    from ..state.users import Seen

_NOBODY: dict[str, Any] = {"holders": (), "users": (), "would_lose": (), "unaccounted": None, "order": ()}
_TICK = 0.5
_LINK_ALIAS = "rtnl-link-"
_WATCHDOG_DRIVERS = "/drivers/watchdog/"
_MOST_ANCESTORS = 64


class Watched(Record):
    """A place that took or gave back references of a module while these were watched.

    `event` is `get` or `put`, `call_site` the kernel's function. `comm` and `pid` are the process, its name None where
    the kernel does not remember it. `count` is how often.
    """

    event: str
    call_site: str | None
    comm: str | None
    pid: int
    count: int


class WhoReport(Report):
    """Who uses a module: the fields of `Who`.

    `state` is where the module stands, a word of `Status.state`. `watched` has who took and gave back references
    meanwhile, or None.
    """

    module: str
    state: str
    refcount: int | None
    holders: tuple[str, ...]
    users: tuple[User, ...]
    would_lose: tuple[str, ...]
    unaccounted: int | None
    order: tuple[str, ...]
    watched: tuple[Watched, ...] | None = None

    @property
    def is_used(self) -> bool:
        """Whether somebody uses it, or holds a reference of it."""
        return bool(self.users or self.refcount or self.unaccounted)

    @property
    def all_is_known(self) -> bool:
        """Whether each reference has a user that `order` ends, and nothing that tells of users could not be read."""
        is_read = not any(error.file for error in self.errors)
        return is_read and not self.unaccounted and not any(user.family == CRYPTO for user in self.users)


def who(context: Context, name: Name, *, watch: float = 0.0, observer: Observer | None = None) -> WhoReport:
    """Return who uses a module, by its name or an alias; nobody uses one that is not loaded.

    With `watch`, its references are then watched for so many seconds, which needs root and tracefs; `observer` hears of
    progress. What could not be seen, without root for instance, is in `errors`, and the rest of the answer holds.
    Raises `NotFoundError` for a name that nothing knows, `AmbiguousNameError`, and `LiveKernelNotAskedError` for
    another system.
    """
    if not context.live.is_asked:
        raise LiveKernelNotAskedError("this is another system or release than the running one: its kernel is not asked")
    loaded = context.loaded_by_name()
    module, state = _module(context, name, loaded)
    if module not in loaded and state != BUILTIN:
        return WhoReport(**head("who", context), module=module, state=state, refcount=None, **_NOBODY)
    family = with_holders(module, {one.name: one.holders for one in loaded.values()})
    question = Question(frozenset(family), any(makes_links(context, one) for one in family))
    seen = read_uses(context.roots, question)
    behind = ModulesBehind(context)
    answer = who_uses(uses_of(context, seen, loaded, behind), module)
    errors = unknown(seen)
    own: list[Carried] = []
    try:
        own = carried(context, module, behind=behind)
    except Error as error:
        errors.append(as_diagnostic(error))
    else:
        errors += [as_diagnostic(behind.problem)] if behind.problem else []
    answer = answer.replace(
        would_lose=(*answer.would_lose, *(f"{lost.what}: what the caller works by" for lost in own)),
        # nobody unmounts the root file system
        order=() if any(lost.kind == FILE_SYSTEM for lost in own) else answer.order,
    )
    if any(user.processes is None for user in answer.users):
        text = "who processes are is not known: the Python package psutil is not installed"
        errors.append(Diagnostic(CANNOT_TELL, WARNING, text))
    watched = None
    if watch > 0:
        try:
            watched = tuple(_watch(context, module, watch, observer))
        except Error as error:
            errors.append(as_diagnostic(error))
    fields = {key: getattr(answer, key) for key in Who.__match_args__}
    return WhoReport(**head("who", context, errors), **fields, state=state, watched=watched)


def _watch(context: Context, module: str, seconds: float, observer: Observer | None) -> Iterable[Watched]:
    """Return who takes and gives back references of a module in the next seconds, in the order of the first time."""
    from ..effects.tracing import Trace  # here, because few ask for it
    from ..formats.tracepipe import GET, PUT

    words = {GET: "get", PUT: "put"}
    counts: dict[tuple[str, str | None, str | None, int], int] = {}
    start = time.monotonic()
    with Trace([GET, PUT], module=module, roots=context.roots) as trace:
        while (left := start + seconds - time.monotonic()) > 0:
            for entry in trace.read(min(left, _TICK)):
                key = (words[entry.event], entry.call_site, entry.comm, entry.pid)
                counts[key] = counts.get(key, 0) + 1
            if observer:
                observer.progress(int(time.monotonic() - start), int(seconds), "seconds")
    return [Watched(*key, count) for key, count in counts.items()]


def _module(context: Context, name: Name, loaded: dict[str, LoadedModule]) -> tuple[str, str]:
    """Return the module that a name means, a loaded one if there is one, and its state."""
    text = name.name if isinstance(name, Match) else ""
    if isinstance(name, (str, os.PathLike)):
        text = normalize_name(os.fspath(name))
    if text in loaded:
        return text, loaded[text].state
    found = context.statuses([name])
    known = [status for status in found if status.state not in ("absent", "unknown")]
    if not known:
        raise not_found(context.tolerant_system.tree, found[0].asked)
    live = [status for status in known if status.name in loaded] or known
    if len(live) > 1:
        names = [status.name for status in live]
        raise AmbiguousNameError(f"stands for several modules: {', '.join(names)}", asked=text, modules=names)
    return live[0].name, live[0].state


def makes_links(context: Context, name: str) -> bool:
    """Tell whether a module may make network interfaces that are on no bus."""
    try:
        return any(alias.startswith(_LINK_ALIAS) for alias in context.info(name).aliases) or name == "tun"
    except Error:
        return True  # its file is not known


def uses_of(context: Context, seen: Seen, loaded: dict[str, LoadedModule], behind: Callable[[str], list[str]]) -> Uses:
    """Return what was seen, ready for questions about modules; `behind` tells which ones an alias stands for."""
    return Uses(
        loaded,
        seen.uses,
        _stand_for(context, loaded, behind),
        describe=seen.describe if seen.knows_processes else None,
        unit=seen.unit,
        keeps_busy=seen.keeps_busy,
        own=_own_processes(context.roots.proc),
    )


def unknown(seen: Seen) -> list[Diagnostic]:
    """Return what could not be seen."""
    hidden = [Diagnostic(CANNOT_TELL, WARNING, one.text) for one in seen.unknown]
    return [*hidden, *(problem.replace(severity=WARNING) for problem in unread(seen.look))]


def _stand_for(
    context: Context, loaded: dict[str, LoadedModule], behind: Callable[[str], list[str]]
) -> Callable[[str], list[str]]:
    """Return what tells which modules an alias stands for; watchdogs are found by what their drivers call them."""
    drivers: dict[str, list[str]] = {}

    def stand_for(alias: str) -> list[str]:
        if not alias.startswith(f"{WATCHDOG}:"):
            return behind(alias)
        if alias not in drivers:
            drivers[alias] = _watchdogs(context, loaded, alias.removeprefix(f"{WATCHDOG}:"))
        return drivers[alias]

    return stand_for


def _watchdogs(context: Context, loaded: dict[str, LoadedModule], identity: str) -> list[str]:
    """Return the loaded watchdog drivers that call themselves so, as the text in their files shows."""
    found = []
    for name in loaded:
        entry = context.tree.find(name)
        if entry is not None and _WATCHDOG_DRIVERS in entry.path:
            try:
                with ModuleFile(entry.path) as module:
                    found += [name] if identity.encode() in module.image() else []
            except Error:
                continue
    return found


def _own_processes(proc: str) -> frozenset[int]:
    """Return this process and those above it."""
    if proc != "/proc":
        return frozenset()
    found: set[int] = set()
    pid = os.getpid()
    while pid > 1 and len(found) < _MOST_ANCESTORS:
        found.add(pid)
        try:
            with open(f"{proc}/{pid}/stat", "rb") as stream:
                pid = int(stream.read().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
    return frozenset(found)
