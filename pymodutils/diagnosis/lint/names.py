# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lint rules about names: modules that are not there, or that no rule reaches."""

from __future__ import annotations

from ...diagnostics import Place
from ...formats.cmdline import MODULE_BLACKLIST
from ...formats.modprobeconf import KINDS, Rule
from ...names import is_pattern, normalize_name
from ..rules import is_passed_over_as_builtin
from ..status import is_denial
from .sources import ERROR, NOTE, WARNING, Finding, Sources, at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...state.modulesload import LoadLine

UNKNOWN_MODULE, BUILTIN_MODULE, ALIAS_NOWHERE = "unknown-module", "builtin-module", "alias-nowhere"
CMDLINE_DASH = "cmdline-dash"
LOAD_ABSENT, LOAD_DENIED = "modules-load-absent", "modules-load-denied"
"""Names of the rules here."""

NOWHERE = ("off", "null")
"""Targets of alias lines that mean: load nothing."""

BY_MODULE_NAME = ("blacklist", "softdep", "weakdep")
"""Kinds of rules whose key is compared with names of modules alone, never with aliases."""


def unknown_module(sources: Sources) -> Iterator[Finding]:
    """Find rules about modules that this kernel does not have."""
    for rule in sources.own_rules:
        if rule.kind == "alias" or is_pattern(rule.key) or _is_new_name(rule) or sources.is_of_policy(rule.file):
            continue
        if not sources.has_module(rule.key):
            yield from _unknown_key(sources, rule)
        if rule.kind == "softdep":
            for name in [name for names in rule.softdeps() for name in names]:
                if not sources.lookup(name):
                    yield _unknown(sources, rule, normalize_name(name), "nothing is loaded for it")


def _is_new_name(rule: Rule) -> bool:
    """Tell whether a rule makes a name of its own: an install or remove line that runs a command."""
    return rule.kind in ("install", "remove") and not is_denial(rule)


def _unknown_key(sources: Sources, rule: Rule) -> Iterator[Finding]:
    found = sources.lookup(rule.key)
    others = [match.name for match in found if match.name != rule.key and match.name not in NOWHERE]
    if not others:
        yield _unknown(sources, rule, rule.key, "the line does nothing")
    elif rule.kind in BY_MODULE_NAME:
        level = NOTE if sources.is_shipped(rule.file) else WARNING
        text = (
            f"{rule.key} is an alias, and {rule.kind} lines take names of modules: {', '.join(dict.fromkeys(others))}"
        )
        yield at(rule, level, UNKNOWN_MODULE, text)


def _unknown(sources: Sources, rule: Rule, name: str, effect: str) -> Finding:
    """Return the finding about a name that nothing has; one that is nearly that of a module is probably a mistake."""
    near = [] if sources.is_shipped(rule.file) else sources.near(name)
    if near:
        return at(rule, WARNING, UNKNOWN_MODULE, f"there is no module {name}; is {' or '.join(near)} meant?")
    return at(rule, NOTE, UNKNOWN_MODULE, f"this kernel has no module {name}: {effect}")


def builtin_module(sources: Sources) -> Iterator[Finding]:
    """Find rules that modprobe passes over because their module is part of the kernel image."""
    for rule in sources.own_rules:
        if not is_passed_over_as_builtin(sources.system, rule) or sources.is_of_policy(rule.file):
            continue
        if rule.kind == "options":
            words = " ".join(f"{rule.key}.{word}" for word in rule.text.split())
            text = f"{rule.key} is part of the kernel, which takes parameters from its command line: {words}"
        else:
            text = f"{rule.key} is part of the kernel: the line does nothing"
        level = WARNING if rule.kind == "install" and not sources.is_shipped(rule.file) else NOTE
        yield at(rule, level, BUILTIN_MODULE, text)


def alias_nowhere(sources: Sources) -> Iterator[Finding]:
    """Find aliases of modules that are not there; an alias of an alias leads nowhere."""
    config = sources.system.config
    for rule in sources.own_rules:
        if rule.kind != "alias" or rule.text in NOWHERE:
            continue
        if sources.has_module(rule.text) or config.first("install", rule.text):
            continue
        others = [match.name for match in sources.lookup(rule.text)]
        if others:
            text = f"{rule.text} is an alias itself, and no alias leads to another one; the module is {others[0]}"
        else:
            text = f"this kernel has no module {rule.text}: the alias leads nowhere"
        level = NOTE if sources.is_shipped(rule.file) and not others else WARNING
        yield at(rule, level, ALIAS_NOWHERE, text)


def cmdline_dash(sources: Sources) -> Iterator[Finding]:
    """Find names with dashes in lists on the kernel command line, where a dash is no underscore."""
    for rule in sources.rules:
        if rule.kind == "blacklist" and not rule.line and "-" in rule.key:
            yield _dash(rule.file, "modprobe.blacklist", rule.key)
    for boot_rule in sources.boot_rules:
        if boot_rule.parameter == MODULE_BLACKLIST and "-" in boot_rule.name:
            yield _dash(boot_rule.file, MODULE_BLACKLIST, boot_rule.name)


def _dash(file: str, parameter: str, name: str) -> Finding:
    text = f"{parameter}={name} keeps nothing out: a dash is no underscore here; write {name.replace('-', '_')}"
    return Finding(file, None, ERROR, CMDLINE_DASH, text, None)


def load_absent(sources: Sources) -> Iterator[Finding]:
    """Find lines of modules-load.d that name what is not there."""
    for line in sources.load_lines:
        if _is_misplaced(line) or sources.lookup(line.name):
            continue
        name = normalize_name(line.name)
        near = sources.near(name)
        text = f"this kernel has nothing called {line.name}" + (f"; is {' or '.join(near)} meant?" if near else "")
        level = NOTE if sources.is_shipped(line.file) and not near else WARNING
        yield Finding(line.file, line.line or None, level, LOAD_ABSENT, text, None)


def _is_misplaced(line: LoadLine) -> bool:
    """Tell whether the rule wrong-place has a word for the line."""
    return bool(line.arguments) and (line.by_systemd or line.name in KINDS)


def load_denied(sources: Sources) -> Iterator[Finding]:
    """Find lines of modules-load.d about modules that another rule keeps out."""
    for line in sources.load_lines:
        for match in [] if _is_misplaced(line) else sources.lookup(line.name):
            by = None if match.builtin else _denial(sources, match.name)
            if by:
                text = f"{match.name} is not loaded at boot: {by.origin} keeps it out: {by.text}"
                yield Finding(line.file, line.line or None, WARNING, LOAD_DENIED, text, by)


def _denial(sources: Sources, name: str) -> Place | None:
    """Return what keeps a module from being loaded at boot; systemd obeys blacklist lines for names, too."""
    config = sources.system.config
    for boot_rule in sources.boot_rules:
        if boot_rule.parameter == MODULE_BLACKLIST and boot_rule.effective and boot_rule.name == name:
            return Place(boot_rule.file, None, f"{MODULE_BLACKLIST}={name}")
    blacklisted = config.blacklisted(name)
    if blacklisted:
        return blacklisted.place
    rule = config.first("install", name)
    return rule.place if rule and is_denial(rule) and not sources.softdeps_in_effect(name) else None
