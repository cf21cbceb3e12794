# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod autoload: load the modules of the devices there are, then those of devices that appear (kerneld)."""

from __future__ import annotations

import errno
import os
import threading
from functools import partial

from ..diagnosis.outcome import KernelRules
from ..diagnosis.requests import DENIED, foresee_match
from ..diagnostics import Place
from ..effects.uevents import UeventSocket
from ..effects.workers import Workers
from ..errors import DeniedError, Error, LiveKernelNotAskedError, MissingTreeError, NameSyntaxError
from ..formats.uevent import REMOVE
from ..planning.lookup import is_available, lookup
from ..planning.plan import INSERT
from ..records import Record
from ..state.kernelfacts import read_kernel_facts
from ..state.look import Look
from ..state.modaliases import modaliases
from ..state.modulefile import is_signed
from .report import Report, as_diagnostic, head, shows_machine, unlisted, unread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from ..context import Context
    from ..diagnostics import Diagnostic
    from ..formats.uevent import UEvent
    from ..observer import Observer
    from ..planning.lookup import Match

LOADED, PRESENT, FAILED, WOULD_LOAD = "loaded", "present", "failed", "would-load"
"""Words of `AutoloadedModule.outcome`, besides `denied`."""

COLDPLUG = "coldplug"
"""What `Observer.step_done` hears when the devices that were there at the beginning are done with."""

JOBS = 4
"""Loads side by side, unless told otherwise."""

_MOST_KNOWN = 20_000
"""Modaliases whose modules are remembered; all machines have fewer."""

_MOST_PASSES = 10
"""How often devices are looked for again because loading has brought new ones."""

_PATIENCE = 10.0
"""Seconds that loads under way have when it is time to end."""


class AutoloadedModule(Record):
    """What came of a module that devices ask for.

    `alias` is the modalias, and `device` the directory in /sys, of the device that asked first. `outcome` is `loaded`;
    `present` if it was there already; `denied`, by the rule `by`; `failed`, for the reason `error`; or `would-load`,
    where nothing is done.
    """

    module: str
    alias: str
    device: str
    outcome: str
    by: Place | None = None
    error: str | None = None


class AutoloadReport(Report):
    """What was done for devices: the modules, in the order in which they were done with.

    `aliases` is how many modaliases were asked for, `unmatched` how many of them stand for no module. `events` counts
    the kernel's messages, `foreign` those of others, which are passed over, and `coldplugs` how often all devices were
    looked at.
    """

    modules: tuple[AutoloadedModule, ...]
    aliases: int
    unmatched: int
    events: int
    foreign: int
    coldplugs: int

    @property
    def failed(self) -> tuple[AutoloadedModule, ...]:
        """The modules that could not be loaded."""
        return tuple([module for module in self.modules if module.outcome == FAILED])


def autoload(
    context: Context,
    *,
    follow: bool = False,
    jobs: int = JOBS,
    dry_run: bool = False,
    observer: Observer | None = None,
) -> AutoloadReport:
    """Load the modules of the devices that there are; with `follow`, then those of devices that appear, without end.

    `Autoloader` does it step by step, and has the report of what goes on without end. Raises as that does.
    """
    with Autoloader(context, follow=follow, jobs=jobs, dry_run=dry_run, observer=observer) as loader:
        loader.coldplug()
        if follow:
            loader.follow()
        return loader.report()


class Autoloader:
    """Loads the modules that devices ask for. `with` ends it, and waits some seconds for loads under way.

    With `follow` it listens to the kernel from the start, so that no device is missed between `coldplug` and `follow`.
    Up to `jobs` modules are loaded side by side. With `dry_run` nothing is loaded. `observer` hears, also from other
    threads but from one at a time, of each `AutoloadedModule` by `step_done`, with the error of one that failed.

    Configuration and policy hold as for modprobe; a blacklisted or denied module is not loaded, nor what it needs.
    Raises `LiveKernelNotAskedError` for another system or release, `MissingTreeError` where there is no module
    directory, and `FileError` where the kernel cannot be heard.
    """

    def __init__(
        self,
        context: Context,
        *,
        follow: bool = False,
        jobs: int = JOBS,
        dry_run: bool = False,
        observer: Observer | None = None,
    ) -> None:
        if jobs < 1:
            raise ValueError(f"no number of loads: {jobs}")
        if not context.live.is_asked and not (dry_run and shows_machine(context)):
            raise LiveKernelNotAskedError("this is another system or release than the running one: nothing is loaded")
        if not context.exists:
            raise MissingTreeError(os.strerror(errno.ENOENT), path=context.tree.directory, errno=errno.ENOENT)
        self.context: Context = context
        self.dry_run: bool = dry_run
        self._observer = observer
        self._rules = self._kernel_rules()
        self._socket: UeventSocket | None = UeventSocket() if follow else None
        self._workers = Workers(jobs)
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Match, ...]] = {}
        self._under_way: set[str] = set()
        self._modules: dict[str, AutoloadedModule] = {}
        self._errors: dict[Diagnostic, None] = {}
        self._aliases = self._unmatched = self._events = self._coldplugs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and begin no further loads; wait for those under way, but not for ever."""
        if self._socket:
            self._socket.close()
        self._workers.end(_PATIENCE)

    # --- what it does

    def coldplug(self) -> None:
        """Load the modules of all devices that there are, and of those that this brings. Blocks until that is done."""
        self._renew()
        asked: set[str] = set()
        for _ in range(_MOST_PASSES):
            self._coldplugs += 1
            before = len(asked)
            look = Look(self.context.roots)
            for path, modalias in modaliases(look):
                if modalias not in asked:
                    asked.add(modalias)
                    self._ask(modalias, path)
            self._errors.update(dict.fromkeys(unread(look)))
            self._workers.wait()
            if len(asked) == before or self.dry_run:
                break
        if self._observer:
            self._observer.step_done(COLDPLUG, None)

    def follow(self) -> None:
        """Load modules for devices that appear, until something raises: a signal handler of the program, for instance.

        When messages were lost, all devices are looked at again.
        """
        while True:
            self.turn(None)

    def turn(self, timeout: float | None = 0.0, wake: int = -1) -> None:
        """Take in what the kernel has told; wait for that up to `timeout` seconds, None for without end.

        The waiting also ends when the descriptor `wake` can be read.
        """
        if self._socket is None:
            raise ValueError("it was not told to follow")
        self._workers.check()
        events, is_lost = self._socket.read(timeout, wake)
        if events:
            self._renew()
        for event in events:
            self._take(event)
        if is_lost:
            self.coldplug()

    def wait(self) -> None:
        """Wait until all that was asked for is done."""
        self._workers.wait()

    def report(self) -> AutoloadReport:
        """Return what was done so far."""
        with self._lock:
            return AutoloadReport(
                **head("autoload", self.context, self._errors),
                modules=tuple(self._modules.values()),
                aliases=self._aliases,
                unmatched=self._unmatched,
                events=self._events,
                foreign=self._socket.foreign if self._socket else 0,
                coldplugs=self._coldplugs,
            )

    # --- how

    def _take(self, event: UEvent) -> None:
        self._events += 1
        if event.modalias and event.action != REMOVE:
            self._ask(event.modalias, f"{self.context.roots.sys}{event.path}")

    def _renew(self) -> None:
        """Look at indexes and configuration again when they have changed."""
        if self.context.stale:
            self.context.refresh()
            self._known.clear()
            self._rules = self._kernel_rules()
        self._errors.update(dict.fromkeys(unlisted(self.context.tolerant_system.tree)))

    def _kernel_rules(self) -> KernelRules:
        roots = self.context.roots
        return KernelRules(read_kernel_facts(roots, self.context.live), is_signed, roots.proc, roots.sys)

    def _ask(self, alias: str, device: str) -> None:
        """Have the modules loaded that a modalias stands for and that are not there."""
        for module in self._matches(alias):
            with self._lock:
                if module.name in self._under_way:
                    continue
                self._under_way.add(module.name)
            self._workers.give(partial(self._load, module, alias, device))

    def _matches(self, alias: str) -> tuple[Match, ...]:
        """Return the modules that a modalias stands for; each is looked up once."""
        found = self._known.get(alias)
        if found is None:
            self._aliases += 1
            try:
                found = tuple(lookup(self.context.system, alias))
            except NameSyntaxError:
                found = ()
            except Error as error:
                self._errors[as_diagnostic(error)] = None
                found = ()
            self._unmatched += not found
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[alias] = found
        return found

    def _load(self, module: Match, alias: str, device: str) -> None:
        """Load one module, in a thread of its own, and keep what came of it."""
        done = AutoloadedModule(module.name, alias, device, PRESENT)
        error: Error | None = None
        try:
            if not is_available(self.context.system, module):
                done = self._loaded(done, module)
        except DeniedError as denial:
            place = Place(denial.path or "", denial.line, denial.denial or "")
            done = done.replace(outcome=DENIED, by=place)
        except Error as failure:
            error = failure
            done = done.replace(outcome=FAILED, error=failure.reason)
        with self._lock:
            self._under_way.discard(module.name)
            before = self._modules.get(module.name)
            if before and done.outcome == PRESENT:
                return
            self._modules.pop(module.name, None)
            self._modules[module.name] = done
            if self._observer and not (before and before.outcome == done.outcome == DENIED):
                self._observer.step_done(done, error)

    def _loaded(self, done: AutoloadedModule, module: Match) -> AutoloadedModule:
        """Load a module unless a rule keeps it out."""
        foreseen = foresee_match(self.context.system, self._rules, module)
        if foreseen.outcome == DENIED:
            return done.replace(outcome=DENIED, by=foreseen.by)
        plan = self.context.plan_load(module, use_blacklist=True)
        if self.dry_run:
            return done.replace(outcome=WOULD_LOAD if any(step.action == INSERT for step in plan.steps) else PRESENT)
        self.context.load(plan)
        if not self.context.system.is_available(module.name):
            raise Error("its install command did not load it", module=module.name)
        return done.replace(outcome=LOADED)
