# SPDX-License-Identifier: LGPL-2.1-or-later
"""What unloading a module takes (docs/behaviour/3-resolution.md, "Removing").

Each removal changes what the next may do, so the steps come one by one: a generator that looks at the kernel again
before each step, and is told (by `send`) whether the step succeeded.
"""

from __future__ import annotations

from ..names import module_name, normalize_name
from ..state.live import LiveKernel
from .lookup import MODULES_DEP, Match, match, softdep_targets
from .plan import (
    DEPENDENCY,
    HOLDER,
    IN_USE,
    IS_BUILTIN,
    NOT_LOADED,
    REMOVE,
    REMOVE_IF_UNUSED,
    REQUEST,
    SKIP,
    SOFTDEP_POST,
    SOFTDEP_PRE,
    Step,
    TargetPlan,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from ..state.system import System
    from .lookup import SoftdepTargets
    from .plan import PlanRequest

    Steps = Generator[Step, bool, bool]


MOST_VISITS = 200
"""Modules come to before each of them is come to only once more. kmod comes to a module each time it is named."""


def plan_removal(system: System, target: Match, request: PlanRequest) -> Steps:
    """Yield the steps that remove `target`; return whether it is gone."""
    return _Removal(system, request).module(target, REQUEST, target.origin, frozenset())


def foresee_removal(system: System, target: Match, request: PlanRequest, *, follow: bool = True) -> TargetPlan:
    """Plan a removal as a value: the steps as they come if each succeeds.

    With `follow` each step is decided as if those before it had been done, without it by the kernel as it is now.
    """
    after = _KernelAfter(system.live)
    steps = plan_removal(system.replace(live=after) if follow else system, target, request)
    found: list[Step] = []
    try:
        step = next(steps)
        while True:
            if not (follow and _is_done(step, request, after)):
                found.append(step)
            if step.action != SKIP:
                after.gone.add(step.module)
            step = steps.send(True)
    except StopIteration as end:
        return TargetPlan(target, tuple(found), met=bool(end.value))


def _is_done(step: Step, request: PlanRequest, after: _KernelAfter) -> bool:
    """Tell whether an earlier step has taken the module with it: with a holder goes what only that one needed."""
    needs_doing = step.action == SKIP or step.command is not None or (request.first_time and step.asked_for)
    return not needs_doing and step.module in after.gone


class _KernelAfter(LiveKernel):
    """The live kernel as it will be when the modules in `gone` have been removed."""

    def __init__(self, live: LiveKernel) -> None:
        self._live = live
        self.gone: set[str] = set()

    @property
    def is_asked(self) -> bool:
        return self._live.is_asked

    def state(self, name: str) -> str | None:
        return None if normalize_name(name) in self.gone else self._live.state(name)

    def refcount(self, name: str) -> int | None:
        """Return the references that are left: each holder that is gone had one."""
        count = None if normalize_name(name) in self.gone else self._live.refcount(name)
        return count and count - len(self.gone.intersection(self._live.holders(name)))

    def holders(self, name: str) -> list[str]:
        return [holder for holder in self._live.holders(name) if holder not in self.gone]


class _Removal:
    """Decides on the steps of one removal, each when the one before it is done: the executor sends what came of it."""

    def __init__(self, system: System, request: PlanRequest) -> None:
        self.system = system
        self.request = request
        self.visited: list[str] = []

    def module(self, module: Match, why: str, origin: str, above: frozenset[str]) -> Steps:
        """Remove a module with its softdeps, holders and dependencies; `above` are those it is removed for."""
        name = module.name
        # Softdeps may form rings; many in one would be gone through in every order.
        if name in above or (len(self.visited) > MOST_VISITS and name in self.visited):
            return True
        above |= {name}
        self.visited.append(name)
        step = Step(REMOVE, name, module.alias, module.path, why=why, origin=origin, asked_for=why == REQUEST)
        (pre, no_pre), (post, no_post), place = self.softdeps_of(module)
        for missing, side in ((no_pre, SOFTDEP_PRE), (no_post, SOFTDEP_POST)):
            for other, reason in missing:
                yield Step(SKIP, other, why=side, origin=place, reason=reason, required=False)
        command = self.command_of(module)
        if command is None and not self.request.ignore_loaded:
            obstacle = self.obstacle(module)
            if obstacle:
                yield step.replace(action=SKIP, reason=obstacle)
                return obstacle == NOT_LOADED and not (self.request.first_time and why == REQUEST)
        for softdep in reversed(post):  # whether softdeps go does not matter
            yield from self.module(softdep, SOFTDEP_POST, place, above)
        if self.request.holders:
            for holder in reversed(self.system.live.holders(name)):
                gone = yield from self.module(
                    match(self.system, holder, None, MODULES_DEP), HOLDER, "/sys/module", above
                )
                if not gone:
                    return False
        if command is not None:
            done = yield step.replace(command=command, reason="remove line")
        elif self.used(name):
            yield step.replace(action=SKIP, reason=IN_USE)
            return False
        else:
            done = yield step
        if not done:
            return False
        if command is None:
            yield from self.dependencies(module)
        for softdep in reversed(pre):
            yield from self.module(softdep, SOFTDEP_PRE, place, above)
        return True

    def command_of(self, module: Match) -> str | None:
        """Return the remove command as the shell gets it: it has no options, so nothing stands for them."""
        if self.request.ignore_commands:
            return None
        rule = module.command if module.command and module.command.kind == "remove" else None
        rule = rule or self.system.config.first("remove", module.name)
        return rule.text.replace("$CMDLINE_OPTS", "") if rule else None

    def softdeps_of(self, module: Match) -> tuple[SoftdepTargets, SoftdepTargets, str]:
        """Return what a softdep line names before and after the module, and where it stands; none with -i."""
        rule = None if self.request.ignore_commands else self.system.config.first("softdep", module.name)
        pre, post = rule.softdeps() if rule else ([], [])
        return softdep_targets(self.system, pre), softdep_targets(self.system, post), rule.origin if rule else ""

    def obstacle(self, module: Match) -> str | None:
        """Return why the kernel has no such module to unload; None if it has."""
        if module.builtin or self.system.tree.is_builtin(module.name):
            return IS_BUILTIN
        return None if self.system.live.state(module.name) else NOT_LOADED

    def used(self, name: str) -> bool:
        """Tell whether the module is in use, if that counts."""
        if self.request.ignore_loaded or self.request.waits:
            return False
        return (self.system.live.refcount(name) or 0) > 0

    def dependencies(self, module: Match) -> Steps:
        """Remove the hard dependencies that nothing uses any more."""
        for path in reversed(module.dependencies):
            name = module_name(path)
            if self.system.live.refcount(name) == 0:
                yield Step(REMOVE_IF_UNUSED, name, None, path, why=DEPENDENCY, origin=MODULES_DEP, required=False)
        return True
