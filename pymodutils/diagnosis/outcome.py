# SPDX-License-Identifier: LGPL-2.1-or-later
"""What comes of a plan: which modules the kernel would have in the end, and what stops the others."""

from __future__ import annotations

import errno
import os

from ..diagnostics import Place
from ..formats.cmdline import MODULE_BLACKLIST
from ..names import module_name
from ..planning.plan import BUILTIN, COMMAND, INSERT, NO_SUCH_MODULE
from ..planning.shellcommands import LOADS, LOADS_NOTHING, effect_of, is_success
from ..records import Record
from ..state.kernelfacts import hidden_fact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..planning.plan import Step, TargetPlan
    from ..state.kernelfacts import KernelFacts
    from ..state.system import System

    IsSigned = Callable[[str], bool | None]


class Outcome(Record):
    """What comes of a plan.

    `loaded` are the modules that come in, in order. `refused` are those that do not, and what keeps each out: a rule,
    or a file that is not there. Of those in `unknown` nobody can say: the install rule named runs a command of its own,
    or the file named cannot be looked at.
    """

    loaded: tuple[str, ...]
    refused: Mapping[str, Place]
    unknown: Mapping[str, Place]

    def open_for(self, name: str) -> bool | None:
        """Tell whether a module comes in; None when that cannot be told."""
        return True if name in self.loaded else None if name in self.unknown else False

    def decider(self, name: str) -> Place | None:
        """Return what keeps a module out, or may do so."""
        return self.refused.get(name) or self.unknown.get(name)


class KernelRules:
    """What the kernel itself refuses to anybody. `is_signed` tells whether a module's file has a signature."""

    def __init__(self, facts: KernelFacts, is_signed: IsSigned, proc: str = "/proc", sys: str = "/sys") -> None:
        self.facts = facts
        self._is_signed = is_signed
        self._proc = proc
        self._sys = sys

    def refusal(self, name: str, path: str | None) -> Place | None:
        """Return what makes the kernel refuse a module; None when it takes it, as far as that is known."""
        facts = self.facts
        if facts.modules_disabled:
            return Place(f"{self._proc}/sys/kernel/modules_disabled", None, "1")
        if name in (facts.module_blacklist or ()):
            return Place(f"{self._proc}/cmdline", None, f"{MODULE_BLACKLIST}={name}")
        if facts.wants_signatures and path is not None and self._is_signed(path) is False:
            if facts.sig_enforce:
                return Place(f"{self._sys}/module/module/parameters/sig_enforce", None, "Y; the module is not signed")
            text = f"{facts.lockdown}; the module is not signed"
            return Place(f"{self._sys}/kernel/security/lockdown", None, text)
        return None

    def unknown_file(self) -> str | None:
        """Return a file that would say whether the kernel takes modules, and which cannot be read; None for none."""
        return hidden_fact(self.facts, self._proc, self._sys)


def foresee(system: System, rules: KernelRules, plan: TargetPlan) -> Outcome:
    """Return what comes of a plan that was made as if nothing were loaded.

    What is loaded already, apart from the module asked for, serves what needs it whatever the rules say.
    """
    foreseen = _Foreseen(system, rules)
    if plan.target and plan.impossible and plan.impossible.path:
        for name in (plan.target.name, *map(module_name, plan.target.dependencies)):
            foreseen.miss(name, plan.impossible.path)
    for step in plan.steps:
        if not foreseen.take(step) and step.required:
            break
    return Outcome(tuple(foreseen.loaded), foreseen.refused, foreseen.unknown)


class _Foreseen:
    """Goes through the steps of a plan as if they were done, and keeps what comes of them."""

    def __init__(self, system: System, rules: KernelRules) -> None:
        self.system = system
        self.rules = rules
        self.loaded: dict[str, None] = {}
        self.refused: dict[str, Place] = {}
        self.unknown: dict[str, Place] = {}

    def take(self, step: Step) -> bool:
        """Take in a step; tell whether it succeeds."""
        name = step.module
        if step.action == BUILTIN or name in self.loaded:
            return True
        if step.action == COMMAND:
            return self.run(step)
        if step.action == INSERT:
            return self.insert(step)
        return step.reason != NO_SUCH_MODULE

    def run(self, step: Step) -> bool:
        """Take in a step that runs an install command; tell whether it succeeds."""
        name = step.module
        effect = effect_of(step.command or "", name)
        rule = self.system.config.first("install", name)
        place = rule.place if rule else Place(step.origin or "", None, step.command or "")
        if effect == LOADS:
            return self.insert(step)
        if not step.asked_for and self.system.is_live(name):
            return True
        if effect == LOADS_NOTHING:
            self.refused[name] = place
            return is_success(step.command or "")
        self.unknown[name] = place
        return True

    def insert(self, step: Step) -> bool:
        """Take in a step that loads a module; tell whether it succeeds."""
        name = step.module
        if step.path is None or self.miss(name, step.path):
            return False
        refusal = self.rules.refusal(name, step.path)
        if refusal:
            self.refused[name] = refusal
            return False
        entry = self.system.tree.find(name)
        for path in entry.dependencies if entry else ():
            needed = module_name(path)
            if needed in self.loaded or self.system.is_available(needed):
                continue
            if needed in self.unknown:
                self.unknown[name] = self.unknown[needed]
            elif needed in self.refused:
                self.refused[name] = self.refused[needed]
            return needed in self.unknown
        self.loaded[name] = None
        return True

    def miss(self, name: str, path: str) -> bool:
        """Take note of a module whose file, or that of what it needs, is not there; tell whether that is so."""
        problem = self.system.tree.file_problem(path)
        if problem is not None:
            known = self.refused if problem == errno.ENOENT else self.unknown
            known[name] = Place(path, None, os.strerror(problem))
        return problem is not None
