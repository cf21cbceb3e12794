# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lint rules about parameters: ones that a module does not have, and values that the kernel refuses."""

from __future__ import annotations

from ...formats.cmdline import words
from ...formats.parametervalues import refusal
from ...names import is_pattern, normalize_name
from ..parameters import OF_ALL_MODULES
from .sources import ERROR, NOTE, WARNING, Finding, Sources, at
from .spelling import Spellings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...formats.modinfo import Parameter
    from ...formats.modprobeconf import Rule

UNKNOWN_PARAMETER, BAD_VALUE = "unknown-parameter", "bad-value"
"""Names of the rules here."""


def unknown_parameter(sources: Sources) -> Iterator[Finding]:
    """Find options lines with parameters that the module does not have: the kernel passes over them."""
    for rule, word, known in _settings(sources):
        name = normalize_name(word.partition("=")[0])
        if name in known or name in OF_ALL_MODULES:
            continue
        if any(sources.may_take(module, name) for module in _modules(sources, rule.key)):
            continue
        near = Spellings(known).near(name)
        text = f"{rule.key} has no parameter {name}" + (f"; is {' or '.join(near)} meant?" if near else "")
        yield at(rule, NOTE if sources.is_shipped(rule.file) else WARNING, UNKNOWN_PARAMETER, text)


def bad_value(sources: Sources) -> Iterator[Finding]:
    """Find values that the kernel refuses, and the module with them."""
    for rule, word, known in _settings(sources):
        name, equals, value = word.partition("=")
        parameter = known.get(normalize_name(name))
        said = parameter and refusal(parameter.type or "", value if equals else None)
        if said:
            yield at(rule, ERROR, BAD_VALUE, f"{word}: {said}; the kernel refuses the module")


def _settings(sources: Sources) -> Iterator[tuple[Rule, str, dict[str, Parameter]]]:
    """Yield each word of the options lines for modules whose parameters are known, and these by name."""
    for rule in sources.own_rules:
        if rule.kind != "options" or is_pattern(rule.key):
            continue
        known = _known(sources, rule.key) if _modules(sources, rule.key) else None
        if known is not None:
            for word in words(rule.text, unclosed=True):
                yield rule, word, known


def _known(sources: Sources, key: str) -> dict[str, Parameter] | None:
    """Return the parameters of what an options line is for; None when they are not known."""
    found: dict[str, Parameter] = {}
    for name in _modules(sources, key):
        parameters = sources.parameters(name)
        if parameters is None:
            return None
        found.update({normalize_name(parameter.name): parameter for parameter in parameters})
    return found


def _modules(sources: Sources, key: str) -> list[str]:
    """Return the modules that an options line is for: the one of that name, else those that it is an alias of."""
    return [key] if sources.has_module(key) else [match.name for match in sources.lookup(key)]
