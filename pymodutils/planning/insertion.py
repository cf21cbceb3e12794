# SPDX-License-Identifier: LGPL-2.1-or-later
"""What loading a module takes: its dependencies and soft dependencies first, depth first.

Source: docs/behaviour/3-resolution.md, "The plan".
"""

from __future__ import annotations

import errno

from ..errors import FileError
from ..names import module_name
from .lookup import MODULES_DEP, Match, is_available, softdep_targets
from .plan import (
    ALREADY,
    BLACKLISTED,
    BUILTIN,
    COMMAND,
    DEPENDENCY,
    DEPENDENCY_FILE_MISSING,
    INSERT,
    INSTALL_LINE,
    IS_BUILTIN,
    NO_SUCH_MODULE,
    REQUEST,
    SKIP,
    SOFTDEP_POST,
    SOFTDEP_PRE,
    Missing,
    Step,
    TargetPlan,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..formats.modprobeconf import Rule
    from ..state.system import System
    from .plan import PlanRequest


class Planner:
    """Makes plans, and remembers what they have in common, as long as rules and indexes stay as they are.

    `dependencies` are the modules that others need by their files. `steps` has the step of a dependency by its file, by
    whether it is required, and by whether it is in the kernel already: it is the same in every plan in which nothing
    comes before it. It is None for a module that has a softdep rule. With `files_stay`, as long as files stay as well,
    `there` has the files that have been seen.
    """

    def __init__(self, *, files_stay: bool = False) -> None:
        self.dependencies: dict[str, Match] = _Dependencies()
        self.there: set[str] | None = set() if files_stay else None
        self.steps: dict[tuple[str | None, bool, bool], Step | None] = {}

    def plan(self, system: System, target: Match, request: PlanRequest) -> TargetPlan:
        """Plan to load `target`.

        A dependency appears as often as something asks for it: once loaded, its later steps do nothing. The plan is
        impossible when the file of a hard dependency is gone.
        """
        if not request.ignore_loaded and is_available(system, target):
            return TargetPlan(target, (_skip(target, ALREADY, target.origin),))
        rule = _blacklisted(target, request)
        if rule:
            return TargetPlan(target, (_skip(target, BLACKLISTED, rule.origin),), met=False)
        try:
            return TargetPlan(target, tuple(_Insertion(system, target, request, self).steps))
        except FileError as error:
            gone = Missing(error.module or "", error.path, DEPENDENCY, MODULES_DEP, True, DEPENDENCY_FILE_MISSING)
            return TargetPlan(target, (), met=False, impossible=gone)


class _Dependencies(dict[str, Match]):
    """Hard dependencies of modules by their files, each made at the first question."""

    def __missing__(self, path: str) -> Match:
        match = self[path] = Match(module_name(path), None, path, (), MODULES_DEP)
        return match


def plan_insertion(system: System, target: Match, request: PlanRequest) -> TargetPlan:
    """Plan to load `target`: one plan alone, see `Planner.plan`."""
    return Planner().plan(system, target, request)


def _skip(target: Match, reason: str, origin: str) -> Step:
    name, alias, path = target.name, target.alias, target.path
    return Step(SKIP, name, alias, path, "", "", None, REQUEST, origin, reason, True, True)


def _blacklisted(target: Match, request: PlanRequest) -> Rule | None:
    """Return the rule that forbids the module: one found by an alias always, one asked for by name only with -b."""
    return None if target.alias is None and not request.use_blacklist else target.blacklisted


class _Insertion:
    """Builds one plan."""

    def __init__(self, system: System, target: Match, request: PlanRequest, planner: Planner) -> None:
        self.system = system
        self.target = target
        self.request = request
        self.dependencies = planner.dependencies
        self.there: set[str] = set() if planner.there is None else planner.there
        self.known = planner.steps
        self.steps: list[Step] = []
        self.visited: set[tuple[str, str | None]] = set()  # by name and alias, which make two matches the same
        needed = map(self.dependencies.__getitem__, target.dependencies)
        self.required = frozenset([module.name for module in needed])  # besides the target
        self.visit(target, REQUEST, target.origin, ())

    def visit(self, module: Match, why: str, origin: str, after: tuple[str, ...]) -> None:
        """Plan a module's hard dependencies, then itself; a module is visited once, which also cuts cycles."""
        key = module.name, module.alias
        if key in self.visited:
            return
        self.visited.add(key)
        needed = list(map(self.dependencies.__getitem__, module.dependencies))
        if not self.there.issuperset(module.dependencies):
            self.require_files(needed)
        for other in reversed(needed):
            self.need(other, after)
        after += tuple([other.name for other in needed])
        if module is self.target and self.request.ignore_commands:
            self.append(module, why, origin, after, ignore_command=True)
        else:
            self.with_softdeps(module, why, origin, after)

    def require_files(self, needed: list[Match]) -> None:
        """Raise `FileError` for a dependency without a file: a stale index must not load half of what is needed."""
        there = self.there
        for module in needed:
            path = module.path or ""
            if path in there:
                continue
            if self.system.tree.has_file(path):
                there.add(path)
            elif not self.is_there(module.name):
                raise FileError(DEPENDENCY_FILE_MISSING, path=path, module=module.name, errno=errno.ENOENT)

    def is_there(self, name: str) -> bool:
        """Tell whether the kernel has the module already, and that counts."""
        return not self.request.ignore_loaded and self.system.is_available(name)

    def need(self, module: Match, after: tuple[str, ...]) -> None:
        """Plan a hard dependency, with what a softdep rule wants for it."""
        step = None
        if not after and module.name != self.target.name:
            question = module.path, module.name in self.required, self.is_loaded(module)
            if question not in self.known:
                self.known[question] = self.step_alone(module, is_loaded=question[2])
            step = self.known[question]
        if step is None:
            self.with_softdeps(module, DEPENDENCY, MODULES_DEP, after)
        else:
            self.steps.append(step)

    def step_alone(self, module: Match, *, is_loaded: bool) -> Step | None:
        """Return the step of a hard dependency; None when there is a softdep rule for it."""
        if self.system.config.first("softdep", module.name):
            return None
        return self.step(module, DEPENDENCY, MODULES_DEP, (), ignore_command=False, is_loaded=is_loaded)

    def with_softdeps(self, module: Match, why: str, origin: str, after: tuple[str, ...]) -> None:
        """Plan what the softdep rule wants before a module, the module, and what the rule wants after it."""
        rule = self.system.config.first("softdep", module.name)
        if rule is None:
            self.append(module, why, origin, after, ignore_command=False)
            return
        pre, post = rule.softdeps()
        (before, no_pre), (behind, no_post) = softdep_targets(self.system, pre), softdep_targets(self.system, post)
        place = rule.origin
        self.note_missing(no_pre, SOFTDEP_PRE, place)
        for other in before:
            self.visit_softdep(other, SOFTDEP_PRE, place, after)
        after += tuple(other.name for other in before)
        # A module with soft dependencies in effect is loaded directly: its install rule would load them as well.
        self.append(module, why, origin, after, ignore_command=bool(before or behind))
        self.note_missing(no_post, SOFTDEP_POST, place)
        for other in behind:
            self.visit_softdep(other, SOFTDEP_POST, place, (module.name,))

    def visit_softdep(self, module: Match, why: str, origin: str, after: tuple[str, ...]) -> None:
        """Plan a module as `visit` does, or leave it out if it cannot be planned: it could not be loaded either."""
        try:
            self.visit(module, why, origin, after)
        except FileError as error:
            self.steps.append(
                Step(
                    SKIP,
                    module.name,
                    module.alias,
                    error.path,
                    why=why,
                    origin=origin,
                    reason=DEPENDENCY_FILE_MISSING,
                    required=False,
                )
            )

    def note_missing(self, missing: list[tuple[str, str]], why: str, origin: str) -> None:
        for name, reason in missing:
            self.steps.append(Step(SKIP, name, why=why, origin=origin, reason=reason, required=False))

    def append(self, module: Match, why: str, origin: str, after: tuple[str, ...], *, ignore_command: bool) -> None:
        # Of the target the planner knows already that it is not there.
        is_loaded = module is not self.target and self.is_loaded(module)
        self.steps.append(self.step(module, why, origin, after, ignore_command=ignore_command, is_loaded=is_loaded))

    def is_loaded(self, module: Match) -> bool:
        """Tell whether there is nothing to load, where what is loaded counts."""
        return not self.request.ignore_loaded and is_available(self.system, module)

    def step(
        self, module: Match, why: str, origin: str, after: tuple[str, ...], *, ignore_command: bool, is_loaded: bool
    ) -> Step:
        """Return the step of a module itself."""
        system = self.system
        name, alias, path = module.name, module.alias, module.path
        command = None if ignore_command else self.command_of(module)
        rules = system.config.options(name, alias)
        target = self.target
        asked_for = name == target.name and alias == target.alias  # also where something else wants it first
        action, reason = INSERT, None
        if is_loaded:
            action, reason = SKIP, ALREADY
        elif command:
            action, reason = COMMAND, INSTALL_LINE + command.origin
        elif path is None and (module.builtin or system.tree.is_builtin(name)):
            action, reason = BUILTIN, IS_BUILTIN
        elif path is None:
            reason = NO_SUCH_MODULE  # nothing is shown of the step, and it fails
        options = " ".join([rule.text for rule in rules if rule.text])
        parameters = self.request.parameters if asked_for else ""
        shell = command.text if command and action == COMMAND else None
        required = asked_for or (alias is None and name in self.required)
        # Values by position: a plan for thousands of modules spends a tenth of its time on names.
        return Step(
            action, name, alias, path, options, parameters, shell, why, origin, reason, required, asked_for, after
        )

    def command_of(self, module: Match) -> Rule | None:
        if module.command and module.command.kind == "install":
            return module.command
        return self.system.config.first("install", module.name)
