"""What unloading a module takes (contract 3, "Removing").

Each removal changes what the next may do, so the steps come one by one: a generator that looks at the kernel anew
before each step, and is told (by `send`) whether the step succeeded.
"""

from __future__ import annotations

from ..names import module_name
from .lookup import Found, World, resolve
from .steps import (
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
    Request,
    Step,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from .lookup import Resolved

    Steps = Generator[Step, bool, bool]


MOST_VISITS = 200
"""Modules come to before each of them is come to only once more. kmod comes to a module each time it is named."""


def plan_removal(world: World, target: Found, request: Request) -> Steps:
    """The steps that remove `target`; the value returned says whether it is gone."""
    return _Removal(world, request).module(target, REQUEST, target.origin, frozenset())


def foreseen(steps: Steps) -> tuple[list[Step], bool]:
    """The steps as they come if each succeeds and the kernel stays as it is; and whether the module would be gone."""
    found: list[Step] = []
    try:
        step = next(steps)
        while True:
            found.append(step)
            step = steps.send(True)
    except StopIteration as end:
        return found, bool(end.value)


class _Removal:
    def __init__(self, world: World, request: Request) -> None:
        self.world = world
        self.request = request
        self.visited: list[str] = []

    def module(self, module: Found, why: str, origin: str, above: frozenset[str]) -> Steps:
        """One module with its softdeps, holders and dependencies; `above` are those this one is removed for."""
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
            obstacle = self.obstacle(name)
            if obstacle:
                yield step.replace(action=SKIP, reason=obstacle)
                return obstacle == NOT_LOADED and not (self.request.first_time and why == REQUEST)
        for softdep in reversed(post):  # whether softdeps go does not matter
            yield from self.module(softdep, SOFTDEP_POST, place, above)
        if self.request.remove_holders:
            for holder in self.world.live.holders(name):
                gone = yield from self.module(self.named(holder), HOLDER, "/sys/module", above)
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

    def command_of(self, module: Found) -> str | None:
        """The remove command, as the shell gets it: it has no options, so nothing stands for them."""
        if self.request.ignore_commands:
            return None
        rule = module.command if module.command and module.command.kind == "remove" else None
        rule = rule or self.world.config.first("remove", module.name)
        return rule.text.replace("$CMDLINE_OPTS", "") if rule else None

    def softdeps_of(self, module: Found) -> tuple[Resolved, Resolved, str]:
        """What a softdep line names before and after the module, and where it stands; -i ignores it."""
        rule = None if self.request.ignore_commands else self.world.config.first("softdep", module.name)
        pre, post = rule.softdeps() if rule else ([], [])
        return resolve(self.world, pre), resolve(self.world, post), rule.origin if rule else ""

    def obstacle(self, name: str) -> str | None:
        if self.world.tree.is_builtin(name):
            return IS_BUILTIN
        return None if self.world.live.state(name) else NOT_LOADED

    def used(self, name: str) -> bool:
        if self.request.ignore_loaded or self.request.wait:
            return False
        return (self.world.live.refcount(name) or 0) > 0

    def named(self, name: str) -> Found:
        entry = self.world.tree.find(name)
        return Found(name, None, entry.path if entry else None, entry.dependencies if entry else [], "modules.dep")

    def dependencies(self, module: Found) -> Steps:
        """Hard dependencies that nothing uses any more."""
        for path in reversed(module.dependencies):
            name = module_name(path)
            if self.world.live.refcount(name) == 0:
                yield Step(REMOVE_IF_UNUSED, name, None, path, why=DEPENDENCY, origin="modules.dep", required=False)
        return True
