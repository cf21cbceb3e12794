# SPDX-License-Identifier: LGPL-2.1-or-later
"""unknown-parameter, bad-parameter: what was given to the module, and what it takes.

How the kernel reads values: kernel/params.c, lib/kstrtox.c.
"""

from __future__ import annotations

from errno import EINVAL, ENOENT, ENOSPC, ERANGE

from ...diagnostics import Evidence
from ...names import normalize_name
from .case import FITS, NOBODY, SAID, Case, Cause, listed, logged
from .sentences import BAD_VALUE, UNKNOWN_PARAMETER, said

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_BITS = {"byte": 8, "short": 16, "ushort": 16, "int": 32, "uint": 32, "hexint": 32, "long": 64, "ulong": 64,
         "ullong": 64}  # fmt: skip
_SIGNED = ("short", "int", "long")
_ANY_MODULE_HAS = ("dyndbg", "async_probe")
"""Parameters that the kernel itself takes for every module."""


def split_parameters(text: str) -> list[tuple[str, str | None]]:
    """Return the parameters in a string as the kernel splits it: (name, value), None for a word without `=`."""
    words: list[str] = []
    word, quoted = "", False
    for char in text:
        if char == '"':
            quoted = not quoted
        elif char.isspace() and not quoted:
            words.append(word)
            word = ""
        else:
            word += char
    words.append(word)
    pairs = [part.partition("=") for part in words if part]
    return [(name, value if equals else None) for name, equals, value in pairs]


def given(case: Case) -> list[tuple[str, str | None]]:
    """Return the parameters of the request, those after `--` left out, which are not the module's."""
    pairs = [pair for text in case.parameters for pair in split_parameters(text)]
    names = [name for name, _ in pairs]
    return pairs[: names.index("--")] if "--" in names else pairs


def configured(case: Case) -> list[tuple[str, str | None, Evidence]]:
    """Return the parameters of the configuration's `options` rules, each with its place."""
    return [
        (name, value, Evidence(place.origin, place.text))
        for place in case.options
        for name, value in split_parameters(place.text.partition(" ")[2].partition(" ")[2])
    ]


def unknown_parameter(case: Case) -> Iterator[Cause]:
    """The module has no such parameter; kernels since 3.10 ignore that, and say so in their log only."""
    logs = said(case, UNKNOWN_PARAMETER)
    if case.refused_by == NOBODY or (case.is_refusal and case.errno == ENOENT):
        for sentence in logs:
            name = sentence.part("parameter")
            text = f"it has no parameter {name}: the kernel ignored it"
            yield Cause("unknown-parameter", text, (logged(sentence.text),), (f"modinfo -p {case.module}",), SAID)
    file = case.file
    if logs or file is None or not file.is_readable or not case.is_foreseen:
        return
    rules = configured(case)
    wanted = [*[name for name, _, _ in rules], *[name for name, _ in given(case)]]
    unknown = [name for name in wanted if file.parameter(name) is None and name not in _ANY_MODULE_HAS]
    if unknown:
        # A parameter with a function of its own and no description leaves no trace in the file.
        text = f"its file names no parameter {listed(unknown)}: the kernel would ignore it"
        known = listed([parameter.name for parameter in file.parameters]) or "none"
        places = [place for name, _, place in rules if name in unknown]
        evidence = (*places, Evidence(file.path, f"parameters: {known}"))
        yield Cause("unknown-parameter", text, evidence, (f"modinfo -p {case.module}",), FITS)


def bad_parameter(case: Case) -> Iterator[Cause]:
    """The value of a parameter is not one that it takes."""
    logs = said(case, BAD_VALUE)
    for sentence in logs:
        name, how = sentence.part("parameter"), "no value"
        if sentence.part("how") == "too large":
            how = "too long"
        text = f"{sentence.part('value')!r} is {how} for the parameter {name}{_type(case, name)}"
        places = [place for known, _, place in configured(case) if normalize_name(known) == normalize_name(name)]
        yield Cause("bad-parameter", text, (logged(sentence.text), *places), (f"modinfo -p {case.module}",), SAID)
    file = case.file
    if logs or file is None or not file.is_readable or not case.answers(EINVAL, ERANGE, ENOSPC):
        return
    requested: list[tuple[str, str | None, Evidence | None]] = [(name, value, None) for name, value in given(case)]
    for name, value, place in [*configured(case), *requested]:
        parameter = file.parameter(name)
        if parameter is None or parameter.type is None or is_value(parameter.type, value) is not False:
            continue
        evidence = (*([place] if place else []), Evidence(file.path, f"parameter {parameter.name}: {parameter.type}"))
        shown = f"{name}={value}" if value is not None else f"{name} without a value"
        text = f"{shown} is no value for the parameter {parameter.name}{_type(case, name)}"
        yield Cause("bad-parameter", text, evidence, (f"modinfo -p {case.module}",))


def _type(case: Case, name: str) -> str:
    parameter = case.file.parameter(name) if case.file else None
    return f", which is of type {parameter.type}" if parameter and parameter.type else ""


def is_value(kind: str, value: str | None) -> bool | None:
    """Tell whether a parameter of a type takes a value; None for types whose values are the module's own business."""
    if kind.startswith("array of "):
        kind = kind.removeprefix("array of ")
        if value is None:
            return False
        parts = [is_value(kind, part) for part in value.split(",")]
        return False if False in parts else None if None in parts else True
    if kind == "bool":
        return value is None or value[:1] in tuple("yYnN10tTfF") or value[:2].lower() in ("on", "of")
    if kind == "invbool":
        return value is None or value[:1] in tuple("yYnN10tTfF") or value[:2].lower() in ("on", "of")
    if kind == "charp":
        return value is not None
    bits = _BITS.get(kind)
    if bits is None:
        return None
    return value is not None and _is_number(value, kind, bits)


def _is_number(value: str, kind: str, bits: int) -> bool:
    text = value.removesuffix("\n")
    negative = text.startswith("-")
    digits = text[1:] if text[:1] in ("-", "+") else text
    if negative and kind not in _SIGNED:
        return False
    base = 16 if kind == "hexint" else 10
    if digits[:2].lower() == "0x" and len(digits) > 2:
        base, digits = 16, digits[2:]
    elif base == 10 and digits.startswith("0") and len(digits) > 1:
        base, digits = 8, digits[1:]
    if not digits or digits.lower().strip("0123456789abcdef"[:base]) or len(digits) > 70:
        return False
    number = int(digits, base)
    if kind in _SIGNED:
        return number <= (1 << bits - 1) - (0 if negative else 1)
    return number < 1 << bits


def is_same_value(asked: str | None, live: str | None) -> bool | None:
    """Tell whether a live value is the one that was asked for; None when that cannot be told."""
    if live is None:
        return None
    value = "Y" if asked is None else asked
    if value == live:
        return True
    truth = {"y": True, "1": True, "on": True, "n": False, "0": False, "off": False}
    if live in ("Y", "N") and value.lower() in truth:
        return truth[value.lower()] == (live == "Y")
    try:
        return int(value, 0) == int(live, 0)
    except ValueError:
        return False


def not_applied(case: Case) -> list[str]:
    """Return the parameters of the request that a loaded module has other values of, as `NAME is VALUE`."""
    live = {normalize_name(name): value for name, value in (case.live_parameters or {}).items()}
    found = []
    for name, value in given(case):
        if is_same_value(value, live.get(normalize_name(name))) is False:
            found.append(f"{name} is {live[normalize_name(name)]}")
    return found
