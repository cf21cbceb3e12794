"""What loading a module takes: its dependencies and soft dependencies first, depth first (contract 3, "The plan")."""

from __future__ import annotations

import os

from ..errors import FileError
from ..names import module_name
from .lookup import Found, World, resolve
from .steps import (
    ALREADY,
    BLACKLISTED,
    BUILTIN,
    COMMAND,
    DEPENDENCY,
    FILE_MISSING,
    INSERT,
    IS_BUILTIN,
    NO_SUCH_MODULE,
    REQUEST,
    SKIP,
    SOFTDEP_POST,
    SOFTDEP_PRE,
    Request,
    Step,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..formats.modprobeconf import Rule


def plan_insertion(world: World, target: Found, request: Request) -> list[Step]:
    """The steps that load `target`, in order.

    A dependency appears as often as something asks for it: once loaded, its later steps do nothing. Raises `FileError`
    when the file of a hard dependency is gone.
    """
    if not request.ignore_loaded and target.is_present(world):
        return [_skip(target, ALREADY, target.origin)]
    rule = _blacklisted(world, target, request)
    if rule:
        return [_skip(target, BLACKLISTED, rule.origin)]
    return _Insertion(world, target, request).steps


def _skip(target: Found, reason: str, origin: str) -> Step:
    return Step(SKIP, target.name, target.alias, target.path, reason=reason, origin=origin, asked_for=True)


def _blacklisted(world: World, target: Found, request: Request) -> Rule | None:
    """The rule that forbids the module: one found by an alias always, one asked for by name only with -b."""
    if target.alias is None and not request.use_blacklist:
        return None
    return world.config.literal("blacklist", target.name)


class _Insertion:
    """Builds one plan."""

    def __init__(self, world: World, target: Found, request: Request) -> None:
        self.world = world
        self.target = target
        self.request = request
        self.steps: list[Step] = []
        self.visited: set[tuple[str, str | None]] = set()
        self.required = {target.key} | {(module_name(path), None) for path in target.dependencies}
        self.visit(target, REQUEST, target.origin, ())

    def visit(self, module: Found, why: str, origin: str, after: tuple[str, ...]) -> None:
        """A module's hard dependencies, then itself; a module is visited once, which also cuts cycles."""
        if module.key in self.visited:
            return
        self.visited.add(module.key)
        self.require_files(module)
        for path in reversed(module.dependencies):
            name = module_name(path)
            self.with_softdeps(Found(name, None, path, [], "modules.dep"), DEPENDENCY, "modules.dep", after)
        after += tuple(map(module_name, module.dependencies))
        if module is self.target and self.request.ignore_commands:
            self.append(module, why, origin, after, ignore_command=True)
        else:
            self.with_softdeps(module, why, origin, after)

    def require_files(self, module: Found) -> None:
        """A stale index must not load a module without what it needs."""
        for path in module.dependencies:
            if not os.path.exists(path) and not self.is_there(module_name(path)):
                raise FileError(FILE_MISSING, path=path, module=module_name(path), errno=2)

    def is_there(self, name: str) -> bool:
        """Whether the kernel has the module already, and that counts."""
        return not self.request.ignore_loaded and self.world.in_kernel(name)

    def with_softdeps(self, module: Found, why: str, origin: str, after: tuple[str, ...]) -> None:
        """What its softdep line wants before it, the module, what the line wants after it."""
        rule = self.world.config.first("softdep", module.name)
        pre, post = rule.softdeps() if rule else ([], [])
        (before, no_pre), (behind, no_post) = resolve(self.world, pre), resolve(self.world, post)
        place = rule.origin if rule else ""
        self.note_missing(no_pre, SOFTDEP_PRE, place)
        for other in before:
            self.visit_softdep(other, SOFTDEP_PRE, place, after)
        after += tuple(other.name for other in before)
        # A module with soft dependencies in effect is loaded directly: its install line would load them as well.
        self.append(module, why, origin, after, ignore_command=bool(before or behind))
        self.note_missing(no_post, SOFTDEP_POST, place)
        for other in behind:
            self.visit_softdep(other, SOFTDEP_POST, place, (module.name,))

    def visit_softdep(self, module: Found, why: str, origin: str, after: tuple[str, ...]) -> None:
        """As `visit`; but one that cannot be planned is left out, as one that cannot be loaded would be ignored."""
        try:
            self.visit(module, why, origin, after)
        except FileError as error:
            self.steps.append(
                Step(SKIP, module.name, module.alias, error.path, why=why, origin=origin, reason=FILE_MISSING,
                     required=False)
            )  # fmt: skip

    def note_missing(self, missing: list[tuple[str, str]], why: str, origin: str) -> None:
        for name, reason in missing:
            self.steps.append(Step(SKIP, name, why=why, origin=origin, reason=reason, required=False))

    def append(self, module: Found, why: str, origin: str, after: tuple[str, ...], *, ignore_command: bool) -> None:
        world = self.world
        name, alias, path = module.name, module.alias, module.path
        command = None if ignore_command else self.command_of(module)
        rules = world.config.options(name, alias)
        asked_for = module.key == self.target.key  # also where something else wants it first
        action, reason = INSERT, None
        if not self.request.ignore_loaded and module.is_present(world):
            action, reason = SKIP, ALREADY
        elif command:
            action, reason = COMMAND, f"install line at {command.origin}"
        elif path is None and world.tree.is_builtin(name):
            action, reason = BUILTIN, IS_BUILTIN
        elif path is None:
            # Who asked by an alias did not ask for this module: one that leads nowhere is no failure, unless it may
            # lead to where a damaged index does not tell.
            action, reason = SKIP if alias and "dep" not in world.tree.given_up else INSERT, NO_SUCH_MODULE
        self.steps.append(
            Step(
                action=action,
                module=name,
                alias=alias,
                path=path,
                options=" ".join([rule.text for rule in rules]),
                parameters=self.request.parameters if asked_for else "",
                command=command.text if command and action == COMMAND else None,
                why=why,
                origin=origin,
                reason=reason,
                required=module.key in self.required,
                asked_for=asked_for,
                after=after,
            )
        )

    def command_of(self, module: Found) -> Rule | None:
        if module.command and module.command.kind == "install":
            return module.command
        return self.world.config.first("install", module.name)
