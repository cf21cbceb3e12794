# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which rules about modules count, and which others stand in their way."""

from __future__ import annotations

from ..diagnostics import Place
from ..errors import NameSyntaxError
from ..formats.cmdline import MODULE_BLACKLIST, MODULES_LOAD
from ..formats.fnmatch import fnmatch
from ..formats.modprobeconf import KINDS
from ..names import is_pattern, normalize_name
from ..planning.lookup import lookup, softdep_targets
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from ..formats.cmdline import BootRule
    from ..formats.modprobeconf import Rule
    from ..state.modulesload import LoadLine
    from ..state.system import System
    from ..state.udevrules import UdevLoad

MODULES_LOAD_D, UDEV = "modules-load", "udev"
"""Words of `RuleStatus.kind` besides those of `Rule.kind` and `BootRule.parameter`."""

OF_THE_DEVICE = "MODALIAS"
"""Key of an udev rule that loads what the device's own modalias stands for."""

FIRST_COUNTS = ("install", "remove", "softdep", "weakdep")
"""Kinds of rules of which the first whose key matches counts, and no other."""


class RuleStatus(Record):
    """One rule, and whether it counts.

    `kind` is a word of modprobe.d (`blacklist`, `install`, `remove`, `alias`, `options`, `softdep`, `weakdep`),
    `modules-load` (loaded at boot), `udev` (loaded for a device), or a parameter of the kernel command line:
    `module_blacklist`, `initcall_blacklist`. `key` is the module, alias or pattern that it is about, `value` the rest;
    of an udev rule that is the condition. `line` is None where lines have no number. `effective` is None when it
    depends on what reads the file. `shadowed_by` is the rule that counts in place of this one.
    """

    kind: str
    key: str
    value: str
    file: str
    line: int | None
    effective: bool | None
    shadowed_by: Place | None

    @property
    def origin(self) -> str:
        """The place as `FILE:LINE`, or only the file where lines have no number."""
        return f"{self.file}:{self.line}" if self.line else self.file


def matches(rule: Rule, name: str) -> bool:
    """Tell whether the key of a rule matches a name; only some kinds take patterns."""
    if rule.kind in ("blacklist", "options") or not is_pattern(rule.key):
        return rule.key == name
    return fnmatch(rule.key, name)


def is_passed_over_as_builtin(system: System, rule: Rule) -> bool:
    """Tell whether a rule does nothing because its module is part of the kernel image.

    Rules of other kinds count: modprobe runs the command of a remove rule, and follows the soft dependencies of a
    builtin module that is a soft dependency itself. The kernel takes a builtin module's options from its command line.
    """
    if rule.kind not in ("blacklist", "install", "options") or is_pattern(rule.key):
        return False
    if rule.kind == "options" and not rule.line:  # from the kernel command line, which has no lines
        return False
    return system.tree.find(rule.key) is None and system.tree.is_builtin(rule.key)


def softdeps_in_effect(system: System, name: str) -> Rule | None:
    """Return the softdep rule of a module that has targets which exist: then its install rule does not count."""
    rule = system.config.first("softdep", name)
    if rule is None:
        return None
    return rule if any(softdep_targets(system, names)[0] for names in rule.softdeps()) else None


def knows_softdeps(system: System, name: str) -> bool:
    """Tell whether all soft dependencies of a module are known: one that exists switches its install rule off.

    False where one is not found, and an index is missing or damaged that may know it.
    """
    rule = system.config.first("softdep", name)
    if rule is None:
        return True
    missing = [target for names in rule.softdeps() for target, _ in softdep_targets(system, names)[1]]
    return not any(system.tree.why_unknown(target) for target in missing) or not system.tree.exists


class FirstRules:
    """Tells which earlier rule keeps a rule from counting, for rules of one kind in their order."""

    def __init__(self) -> None:
        self._literal: dict[str, Rule] = {}
        self._patterns: list[Rule] = []

    def before(self, rule: Rule) -> Rule | None:
        """Return the earlier rule that counts wherever this one would, and take the rule in.

        Of two different patterns nobody can say that, but for `*`.
        """
        found = self._literal.get(rule.key)
        if found is None:
            earlier = self._patterns
            if is_pattern(rule.key):
                earlier = [pattern for pattern in earlier if pattern.key == "*"]
            found = next((pattern for pattern in earlier if fnmatch(pattern.key, rule.key)), None)
        self._literal.setdefault(rule.key, rule)
        if is_pattern(rule.key):
            self._patterns.append(rule)
        return found


def all_rules(
    system: System, rules: Iterable[Rule], load_lines: Iterable[LoadLine], udev: Iterable[UdevLoad],
    boot_rules: Iterable[BootRule],
) -> list[RuleStatus]:  # fmt: skip
    """Return the status of all rules: those of modprobe by kind, in reading order, then the others."""
    rules = list(rules)
    found = [status for kind in KINDS for status in _of_kind(system, [rule for rule in rules if rule.kind == kind])]
    found += [_load_line(line) for line in load_lines if line.line]
    found += [status for load in udev for status in _udev(load)]
    return found + list(_boot_rules(boot_rules))


def _of_kind(system: System, rules: list[Rule]) -> Iterator[RuleStatus]:
    first = FirstRules()
    for rule in rules:
        by = first.before(rule) if rule.kind in FIRST_COUNTS else None
        yield _status(system, rule, by)


def _status(system: System, rule: Rule, by: Rule | None) -> RuleStatus:
    if by is None and rule.kind == "install" and not is_pattern(rule.key):
        by = softdeps_in_effect(system, rule.key)
    written_for_nothing = rule.kind == "blacklist" and "-" in rule.key  # only the kernel command line has such keys
    effective = by is None and not written_for_nothing and not is_passed_over_as_builtin(system, rule)
    return RuleStatus(rule.kind, rule.key, rule.text, rule.file, rule.line, effective, by.place if by else None)


def _load_line(line: LoadLine) -> RuleStatus:
    effective = True if line.by_systemd else None
    key, value = (line.text, "") if line.by_systemd else (line.name, line.arguments)
    return RuleStatus(MODULES_LOAD_D, key, value, line.file, line.line or None, effective, None)


def _udev(load: UdevLoad) -> Iterator[RuleStatus]:
    keys = (*load.modules, *([OF_THE_DEVICE] if load.by_modalias else []))
    for key in keys:
        yield RuleStatus(UDEV, key, load.condition, load.file, load.line, True, None)


def _boot_rules(rules: Iterable[BootRule]) -> Iterator[RuleStatus]:
    rules = list(rules)
    counts = next((rule for rule in rules if rule.parameter == MODULE_BLACKLIST and rule.effective), None)
    for rule in rules:
        by = None
        if not rule.effective and counts:
            by = Place(counts.file, None, f"{MODULE_BLACKLIST}={counts.name}")
        effective = rule.effective and not (rule.parameter == MODULE_BLACKLIST and "-" in rule.name)
        kind = MODULES_LOAD_D if rule.parameter == MODULES_LOAD else rule.parameter
        yield RuleStatus(kind, rule.name, "", rule.file, None, effective, by)


def names_of(system: System, asked: str) -> list[str]:
    """Return what rules may call a module that was asked for: the text itself and the modules that it stands for."""
    name = normalize_name(asked)
    try:
        found = [match.name for match in lookup(system, asked)]
    except NameSyntaxError:
        found = []
    return list(dict.fromkeys([name, *found]))


def rules_for(
    system: System, names: Collection[str], every: Iterable[RuleStatus], rules: Iterable[Rule]
) -> list[RuleStatus]:
    """Return those of `every` rule that are about one of `names`, and whether they count for it.

    `rules` are modprobe's own among them, in reading order. Whether one of those counts is decided for the names, since
    a pattern may count for one name and not for another.
    """
    by_place = {(rule.kind, rule.key, rule.text, rule.file, rule.line): rule for rule in rules}
    found = []
    for status in every:
        rule = by_place.get((status.kind, status.key, status.value, status.file, status.line))
        if rule is None:
            if _is_about(system, status, names):
                found.append(status)
        elif any(_concerns(rule, name) for name in names):
            found.append(_for_names(system, status, rule, names))
    return found


def _concerns(rule: Rule, name: str) -> bool:
    """Tell whether a rule of modprobe is about a name, also one spelled so that it does not count."""
    if rule.kind == "alias" and rule.text == name:
        return True
    return matches(rule, name) or (rule.kind == "blacklist" and normalize_name(rule.key) == name)


def _for_names(system: System, status: RuleStatus, rule: Rule, names: Collection[str]) -> RuleStatus:
    if rule.kind not in FIRST_COUNTS or is_passed_over_as_builtin(system, rule):
        return status
    by: Rule | None = None
    for name in names:
        if not matches(rule, name):
            continue
        by = system.config.first(rule.kind, name)
        if by == rule:
            by = softdeps_in_effect(system, name) if rule.kind == "install" else None
        if by is None:
            return status.replace(effective=True, shadowed_by=None)
    return status.replace(effective=False, shadowed_by=by.place if by else None)


def _is_about(system: System, status: RuleStatus, names: Collection[str]) -> bool:
    if status.kind in (MODULES_LOAD_D, UDEV) and status.key != OF_THE_DEVICE:
        return not set(names).isdisjoint(names_of(system, status.key))
    return status.kind == MODULE_BLACKLIST and normalize_name(status.key) in names
