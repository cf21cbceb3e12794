# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lint rules about rules that stand in each other's way."""

from __future__ import annotations

from ...formats.modprobeconf import Rule
from ...names import is_pattern
from ..rules import FIRST_COUNTS, FirstRules, matches
from ..status import is_denial
from .sources import ERROR, NOTE, WARNING, Finding, Sources, at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SHADOWED, SECOND_SOFTDEP, REPLACES_SHIPPED = "shadowed", "second-softdep", "softdep-replaces-shipped"
INSTALL_IGNORED, SIDE_LOADS = "install-ignored", "side-loads"
"""Names of the rules here."""

MOST_NAMES = 3
"""Names that a text lists before it only counts."""


def shadowed(sources: Sources) -> Iterator[Finding]:
    """Find rules that never count, because an earlier one does for all that they match."""
    for rule, by in _with_earlier(sources):
        if not _is_second_softdep(sources, rule, by):
            yield _shadowed_by(rule, by, SHADOWED, f"only the first {rule.kind} line for a module counts, and that is")


def second_softdep(sources: Sources) -> Iterator[Finding]:
    """Find softdep lines for a module that has one already: they do not add up."""
    for rule, by in _with_earlier(sources):
        if _is_second_softdep(sources, rule, by):
            text = "a second softdep line for a module does not count; name all modules in"
            yield _shadowed_by(rule, by, SECOND_SOFTDEP, text)


def _with_earlier(sources: Sources) -> Iterator[tuple[Rule, Rule]]:
    """Yield each rule that people wrote and that does not count, with the one that does."""
    for kind in FIRST_COUNTS:
        first = FirstRules()
        for rule in sources.rules:
            if rule.kind == kind:
                by = first.before(rule)
                if by and not sources.is_of_tree(rule):
                    yield rule, by


def _is_second_softdep(sources: Sources, rule: Rule, by: Rule) -> bool:
    return rule.kind == "softdep" and rule.key == by.key and not sources.is_of_tree(by)


def _shadowed_by(rule: Rule, by: Rule, name: str, text: str) -> Finding:
    level = NOTE if (rule.key, rule.text) == (by.key, by.text) else WARNING
    return at(rule, level, name, f"{text} {by.origin}: {by.place.text}", by.place)


def replaces_shipped(sources: Sources) -> Iterator[Finding]:
    """Find softdep lines that take the place of what a module ships, and leave some of it out."""
    config = sources.system.config
    every_shipped = _shipped_softdeps(sources)
    for rule in sources.own_rules:
        shipped = every_shipped.get(rule.key) if rule.kind == "softdep" else None
        if shipped is None or config.first("softdep", rule.key) != rule or _is_denied(sources, rule):
            continue
        kept = {name for names in rule.softdeps() for name in names}
        lost = [name for names in shipped.softdeps() for name in names if name not in kept]
        if lost:
            level = NOTE if sources.is_shipped(rule.file) else WARNING
            gone = f"{_list(lost)} no longer {'comes' if len(lost) == 1 else 'come'}"
            text = f"this takes the place of what the module ships, {shipped.place.text}: {gone}"
            yield at(rule, level, REPLACES_SHIPPED, text, shipped.place)


def _shipped_softdeps(sources: Sources) -> dict[str, Rule]:
    """Return the softdep line that would count of each module that ships some, by the module's name."""
    found: dict[str, Rule] = {}
    for rule in sources.rules:
        if rule.kind == "softdep" and sources.is_of_tree(rule):
            found.setdefault(rule.key, rule)
    return found


def _is_denied(sources: Sources, softdep: Rule) -> bool:
    """Tell whether the softdep line is there so that an install line counts which keeps the module out."""
    nothing = not any(softdep.softdeps())
    return nothing and is_denial(sources.system.config.first("install", softdep.key))


def install_ignored(sources: Sources) -> Iterator[Finding]:
    """Find install lines that do not count, because softdeps of the module are in effect."""
    for rule in sources.own_rules:
        if rule.kind != "install":
            continue
        modules = _install_ignored_for(sources, rule)
        if modules:
            name, softdep = modules[0]
            others = f" (and for {_list([name for name, _ in modules[1:]])})" if len(modules) > 1 else ""
            text = (
                f"the line does not count for {name}{others}: a module with soft dependencies is loaded directly; "
                f"{softdep.origin}: {softdep.place.text}"
            )
            if is_denial(rule):
                text += f"; before it, 'softdep {name} pre:' would let the line count"
            yield at(rule, ERROR, INSTALL_IGNORED, text, softdep.place)


def _install_ignored_for(sources: Sources, rule: Rule) -> list[tuple[str, Rule]]:
    """Return the modules for which an install line would count if they had no softdeps in effect, and those lines."""
    system = sources.system
    names = [rule.key]
    if is_pattern(rule.key):
        names = [name for name in sources.softdep_names if matches(rule, name)]
    found = []
    for name in names:
        softdep = sources.softdeps_in_effect(name)
        if softdep and system.config.first("install", name) == rule:
            found.append((name, softdep))
    return found


def side_loads(sources: Sources) -> Iterator[Finding]:
    """Find install lines that keep a module out, and let its dependencies in whenever an alias asks for it."""
    system = sources.system
    for rule in sources.own_rules:
        if rule.kind != "install" or is_pattern(rule.key) or not is_denial(rule):
            continue
        entry = system.tree.find(rule.key)
        if entry is None or system.config.first("install", rule.key) != rule or sources.softdeps_in_effect(rule.key):
            continue
        if system.config.blacklisted(rule.key) or not _has_alias(sources, rule.key):
            continue
        others = [name for name in entry.dependency_names if not system.tree.is_builtin(name)]
        if others:
            text = (
                f"whatever asks for {rule.key} by an alias still loads {_list(others)}; "
                f"'blacklist {rule.key}' as well would stop that"
            )
            yield at(rule, WARNING, SIDE_LOADS, text)


def _has_alias(sources: Sources, name: str) -> bool:
    return name in sources.alias_targets or any(field.key == "alias" for field in sources.fields(name) or ())


def _list(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
