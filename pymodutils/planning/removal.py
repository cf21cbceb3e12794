"""What unloading a module takes (contract 3, "Removing").

Each removal changes what the next may do, so the steps come one by one: a generator that looks at the kernel anew
before each step, and is told (by `send`) whether the step succeeded.
"""

from __future__ import annotations

from ..errors import NameSyntaxError
from ..names import module_name
from .lookup import Found, World, lookup
from .steps import (
    DEPENDENCY,
    HOLDER,
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

    Steps = Generator[Step, bool, bool]

NOT_LOADED = "not in the kernel"
IS_BUILTIN = "part of the kernel"
IN_USE = "in use"


def plan_removal(world: World, target: Found, request: Request) -> Steps:
    """The steps that remove `target`; the value returned says whether it is gone."""
    return _Removal(world, request).module(target, REQUEST, target.origin, frozenset())


class _Removal:
    def __init__(self, world: World, request: Request) -> None:
        self.world = world
        self.request = request

    def module(self, module: Found, why: str, origin: str, above: frozenset[str]) -> Steps:
        """One module with its softdeps, holders and dependencies; `above` are those this one is removed for."""
        name = module.name
        step = Step(REMOVE, name, module.alias, module.path, why=why, origin=origin, asked_for=why == REQUEST)
        if name in above:
            return True
        above |= {name}
        pre, post, place, command = self.rules(module)
        if command is None and not self.request.ignore_loaded:
            obstacle = self.obstacle(name)
            if obstacle:
                yield step.replace(action=SKIP, reason=obstacle)
                return obstacle == NOT_LOADED
        for other in reversed(post):
            yield from self.module(other, SOFTDEP_POST, place, above)
        if self.request.remove_holders:
            for holder in self.world.live.holders(name):
                gone = yield from self.module(self.named(holder), HOLDER, "/sys/module", above)
                if not gone:
                    return False
        if command is not None:
            done = yield step.replace(command=command)
        elif self.used(name):
            yield step.replace(action=SKIP, reason=IN_USE)
            return False
        else:
            done = yield step
        if not done:
            return False
        if command is None:
            yield from self.dependencies(module)
        for other in reversed(pre):
            yield from self.module(other, SOFTDEP_PRE, place, above)
        return True

    def rules(self, module: Found) -> tuple[list[Found], list[Found], str, str | None]:
        """Soft dependencies (pre, post), where they are from, and the remove command."""
        if self.request.ignore_commands:
            return [], [], "", None
        config = self.world.config
        rule = config.first("softdep", module.name)
        pre, post = rule.softdeps() if rule else ([], [])
        command = config.first("remove", module.name)
        if module.command and module.command.kind == "remove":
            command = module.command
        return self.resolve(pre), self.resolve(post), rule.origin if rule else "", command.text if command else None

    def resolve(self, names: list[str]) -> list[Found]:
        found: list[Found] = []
        for name in names:
            try:
                found += lookup(self.world, name)
            except NameSyntaxError:
                continue
        return found

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
