# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lint rules about parameters: ones that a module does not have, and values that the kernel refuses.

Source: kernel/params.c (parse_one, param_set_*), lib/kstrtox.c.
"""

from __future__ import annotations

from ...formats.cmdline import words
from ...names import normalize_name
from ..rules import is_pattern
from .names import misspelled
from .sources import ERROR, NOTE, WARNING, Finding, Sources, at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...formats.modinfo import Parameter
    from ...formats.modprobeconf import Rule

UNKNOWN_PARAMETER, BAD_VALUE = "unknown-parameter", "bad-value"
"""Names of the rules here."""

OF_ALL_MODULES = ("dyndbg", "async_probe")
"""Parameters that the kernel takes for every module."""

BITS = {
    "byte": (8, False),
    "short": (16, True),
    "ushort": (16, False),
    "int": (32, True),
    "uint": (32, False),
    "long": (64, True),
    "ulong": (64, False),
    "ullong": (64, False),
    "hexint": (32, False),
}
"""Width and sign of the integer types; long has 64 bits, so that nothing is refused which some kernel takes."""

BOOLEANS = ("bool", "invbool", "bint")


def unknown_parameter(sources: Sources) -> Iterator[Finding]:
    """Find options lines with parameters that the module does not have: the kernel passes over them."""
    for rule, word, known in _settings(sources):
        name = normalize_name(word.partition("=")[0])
        if name in known or name in OF_ALL_MODULES:
            continue
        if any(sources.may_take(module, name) for module in _modules(sources, rule.key)):
            continue
        near = misspelled(name, known)
        text = f"{rule.key} has no parameter {name}" + (f"; is {' or '.join(near)} meant?" if near else "")
        yield at(rule, NOTE if sources.is_shipped(rule.file) else WARNING, UNKNOWN_PARAMETER, text)


def bad_value(sources: Sources) -> Iterator[Finding]:
    """Find values that the kernel refuses, and the module with them."""
    for rule, word, known in _settings(sources):
        name, equals, value = word.partition("=")
        parameter = known.get(normalize_name(name))
        said = parameter and _refusal(parameter.type or "", value if equals else None)
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


def _refusal(kind: str, value: str | None) -> str | None:
    """Return why the kernel refuses a value, None when it takes it or has its own way of reading it."""
    if value is None:
        return None if kind in BOOLEANS[:2] or not _is_standard(kind) else "a value is missing"
    value = value.removeprefix('"').removesuffix('"')
    if kind.startswith("array of "):
        kind = kind.removeprefix("array of ")
        found = (_refusal(kind, part) for part in value.split(","))
        return next((said for said in found if said), None)
    if kind in BOOLEANS:
        return None if _is_boolean(value) else "not a boolean: y, n, 1, 0, on or off"
    if kind in BITS:
        return _integer_refusal(kind, value)
    return None


def _is_standard(kind: str) -> bool:
    return kind.removeprefix("array of ") in (*BITS, *BOOLEANS, "charp", "string")


def _is_boolean(value: str) -> bool:
    """Tell whether kstrtobool takes a value: it looks at the first letter, and for `on` and `off` at the second."""
    return value[:1].lower() in set("ynt1f0") - {""} or value[:2].lower() in ("on", "of")


def _integer_refusal(kind: str, text: str) -> str | None:
    bits, signed = BITS[kind]
    number = _integer(text, signed=signed)
    if number is None:
        return f"not a number of type {kind}"
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return None if least <= number <= most else f"out of range for type {kind}, {least} to {most}"


MOST_DIGITS = 100


def _integer(text: str, *, signed: bool) -> int | None:
    """Return what kstrtoint reads: a sign, then decimal digits, hexadecimal ones after 0x, octal ones after 0."""
    minus = signed and text.startswith("-")
    digits = (text[1:] if minus or text.startswith("+") else text).lower()
    base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10
    if base == 16:
        digits = digits[2:]
    if not digits or digits.strip("0123456789abcdef"[:base]) or len(digits) > MOST_DIGITS:
        return None
    return -int(digits, base) if minus else int(digits, base)
