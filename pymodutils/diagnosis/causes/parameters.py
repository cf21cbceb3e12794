# SPDX-License-Identifier: LGPL-2.1-or-later
"""unknown-parameter, bad-parameter: what was given to the module, and what it takes.

The kernel ignores a parameter that a module does not have, and refuses a value that does not fit its type.
"""

from __future__ import annotations

from errno import EINVAL, ENOENT, ENOSPC, ERANGE

from ...diagnostics import Evidence
from ...formats.cmdline import words
from ...formats.parametervalues import refusal, same_value
from ...names import normalize_name
from ...shellwords import command
from ..parameters import OF_ALL_MODULES
from .case import FITS, NOBODY, SAID, Case, Cause, listed, logged
from .sentences import BAD_VALUE, UNKNOWN_PARAMETER, said

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def split_parameters(text: str) -> list[tuple[str, str | None]]:
    """Return the parameters in a string as the kernel splits it: (name, value), None for a word without `=`."""
    pairs = [word.replace('"', "").partition("=") for word in words(text, unclosed=True)]
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
            yield Cause("unknown-parameter", text, (logged(sentence.text),), _list_parameters(case), SAID)
    file = case.file
    if logs or file is None or not file.is_readable or not case.is_foreseen:
        return
    rules = configured(case)
    wanted = dict.fromkeys([*[name for name, _, _ in rules], *[name for name, _ in given(case)]])
    unknown = [name for name in wanted if file.parameter(name) is None and name not in OF_ALL_MODULES]
    if unknown:
        # A parameter with a function of its own and no description leaves no trace in the file.
        text = f"its file names no parameter {listed(unknown)}: the kernel would ignore it"
        known = listed([parameter.name for parameter in file.parameters]) or "none"
        places = [place for name, _, place in rules if name in unknown]
        evidence = (*places, Evidence(file.path, f"parameters: {known}"))
        yield Cause("unknown-parameter", text, evidence, _list_parameters(case), FITS)


def bad_parameter(case: Case) -> Iterator[Cause]:
    """The value of a parameter is not one that it takes."""
    logs = said(case, BAD_VALUE)[
        -1:
    ]  # the kernel reads no further than the first; what comes before is of older attempts
    for sentence in logs:
        name, how = sentence.part("parameter"), "no value"
        if sentence.part("how") == "too large":
            how = "too long"
        text = f"{sentence.part('value')!r} is {how} for the parameter {name}{_type(case, name)}"
        places = [place for known, _, place in configured(case) if normalize_name(known) == normalize_name(name)]
        yield Cause("bad-parameter", text, (logged(sentence.text), *places), _list_parameters(case), SAID)
    file = case.file
    if logs or file is None or not file.is_readable or not case.answers(EINVAL, ERANGE, ENOSPC):
        return
    requested: list[tuple[str, str | None, Evidence | None]] = [(name, value, None) for name, value in given(case)]
    for name, value, place in [*configured(case), *requested]:
        parameter = file.parameter(name)
        why = refusal(parameter.type, value) if parameter and parameter.type else None
        if parameter is None or why is None:
            continue
        evidence = (*([place] if place else []), Evidence(file.path, f"parameter {parameter.name}: {parameter.type}"))
        shown = f"{name}={value}" if value is not None else f"{name} without a value"
        text = f"{shown} is no value for the parameter {parameter.name}: {why}"
        yield Cause("bad-parameter", text, evidence, _list_parameters(case))


def _list_parameters(case: Case) -> tuple[str, ...]:
    """Return the command that lists the parameters of the module."""
    return (command("modinfo -p", case.module),)


def _type(case: Case, name: str) -> str:
    parameter = case.file.parameter(name) if case.file else None
    return f", which is of type {parameter.type}" if parameter and parameter.type else ""


def not_applied(case: Case) -> list[str]:
    """Return the parameters of the request that a loaded module has other values of, as `NAME is VALUE`."""
    live = {normalize_name(name): value for name, value in (case.live_parameters or {}).items()}
    found = []
    for name, value in given(case):
        shown = live.get(normalize_name(name))
        if shown is not None and not same_value(None, value or "1", shown):
            found.append(f"{name} is {shown}")
    return found
