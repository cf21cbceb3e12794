# SPDX-License-Identifier: LGPL-2.1-or-later
"""Write the reference part of pymodutils(3) from the docstrings of the public names.

    .venv/bin/python man/reference.py      rewrite what stands between the two marks; tests/shipped/test_man.py compares

The rest of the page is written by hand.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import pymodutils
from pymodutils import errors
from pymodutils.records import Record

PAGE = Path(__file__).with_name("pymodutils.3")
BEGIN = '.\\" Made from docstrings by man/reference.py, up to the end mark.\n'
END = '.\\" End of what is made.\n'

OPENING, CLOSING = "([", ".,:;!?)]"

# Sections and their names in order; what is in none of them stands in VALUES, by the alphabet.
SYSTEM = ["Context", "Roots", "System", "loaded_modules", "module_info"]
PARTS = ["LiveKernel", "ModuleTree", "TreeModule", "Config", "Rule", "ShadowedFile", "ModuleFile", "KernelModules"]
DEPMOD = ["update_indexes", "IndexJob", "IndexUpdate"]
PLANS = ["Plan", "PlanRequest", "TargetPlan", "Step", "Missing", "Observer"]


# --- text


def argument(text: str) -> str:
    """One argument of a macro."""
    return '"' + text.replace("\\", "\\e").replace('"', "\\(dq") + '"'


def running(text: str) -> Iterator[str]:
    """Lines of running text, each sentence on its own, as roff wants it."""
    for sentence in re.split(r"(?<=[.?!]) (?=[A-Z(])", text.strip()):
        if sentence:
            sentence = sentence.replace("\\", "\\e")
            yield f"\\&{sentence}" if sentence.startswith((".", "'")) else sentence


def code_line(before: str, code: str, after: str) -> tuple[str, str, str]:
    """A line with a piece of code; what of the text before and after it is not on that line."""
    line = f"Ql {argument(code)}"
    if before[-1:] and before[-1] in OPENING:
        line = f"Ql {before[-1]} {argument(code)}"
        before = before[:-1]
    elif before and not before[-1].isspace():
        start = before.rfind(" ") + 1
        line = f"No {argument(before[start:])} Ns {line}"
        before = before[:start]
    closing = re.match(rf"[{re.escape(CLOSING)}]*", after)
    ends = closing.group() if closing else ""
    after = after[len(ends) :]
    line += "".join(f" {end}" for end in ends)
    if after and not after[0].isspace():
        joined = after.split(None, 1)[0]
        line += f" Ns {argument(joined)}"
        after = after[len(joined) :]
    return before, f".{line}", after


def prose(docstring: str) -> Iterator[str]:
    """A docstring as mdoc: `code` becomes .Ql, an empty line .Pp."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", inspect.cleandoc(docstring))):
        if number:
            yield ".Pp"
        text, *rest = re.split(r"`([^`]+)`", " ".join(paragraph.split()))
        for code, after in zip(rest[::2], rest[1::2], strict=True):
            before, line, after = code_line(text, code, after)
            yield from running(before)
            yield line
            text = after
        yield from running(text)


# --- what there is


def spelled_out(annotation: str) -> str:
    """An annotation without the names that only the package itself knows."""
    return re.sub(r"\bName\b", "str | os.PathLike[str] | Match", annotation)


def signature(function: object) -> tuple[list[str], str]:
    """The parameters as they stand in the source, without self, and what is returned."""
    found = inspect.signature(function)  # type: ignore[arg-type]
    texts: list[str] = []
    for parameter in found.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in texts and not any(t.startswith("*") for t in texts):
            texts.append("*")
        stars = ("*", "**")[parameter.kind is parameter.VAR_KEYWORD] if "VAR" in parameter.kind.name else ""
        text = stars + parameter.name
        if parameter.annotation is not parameter.empty:
            text += f": {spelled_out(parameter.annotation)}"
        if parameter.default is not parameter.empty:
            text += f" = {parameter.default!r}" if ":" in text else f"={parameter.default!r}"
        texts.append(text.replace("'", '"'))
    returned = found.return_annotation
    return texts, "" if returned in (found.empty, "None") else str(returned)


def callable_line(macro: str, name: str, function: object) -> str:
    """The head of a function, a method or a class: `name(parameters) -> result`."""
    texts, returned = signature(function)
    if macro == "Fn":
        line = " ".join([".It Fn", name, *(argument(text).replace(",", "\\N'44'") for text in texts)])
    else:
        line = f".It {macro} {name} Ns Li {argument('(' + ', '.join(texts) + ')')}"
    return line + (f" No \\-> Vt {argument(returned)}" if returned else "")


def function_item(macro: str, name: str, function: object) -> Iterator[str]:
    """A function or a method, with its docstring."""
    yield callable_line(macro, name, function)
    yield from prose(inspect.getdoc(function) or "")


def members(kind: type) -> Iterator[tuple[str, object]]:
    """The members that a class itself has, in the order of the source."""
    for name, value in vars(kind).items():
        is_member = isinstance(value, (property, staticmethod, classmethod)) or inspect.isfunction(value)
        if is_member and not name.startswith("_") and (kind, name) != (errors.FileError, "of"):
            yield name, value


def member_item(name: str, value: object) -> Iterator[str]:
    """A member of a class, with its docstring."""
    if isinstance(value, property) and value.fget:
        returned = signature(value.fget)[1]
        yield f".It Va {name} : Vt {argument(returned)}"
        yield from prose(inspect.getdoc(value.fget) or "")
    else:
        yield from function_item("Ic", name, getattr(value, "__func__", value))


def fields(kind: type[Record]) -> Iterator[str]:
    """The fields of a record with types and defaults."""
    yield ".Bd -literal -offset indent"
    for parameter in inspect.signature(kind).parameters.values():
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}".replace("'", '"')
        yield f"{parameter.name}: {parameter.annotation}{default}".replace("\\", "\\e")
    yield ".Ed"


def class_item(name: str, kind: type) -> Iterator[str]:
    """A class with its docstring, fields and members."""
    if issubclass(kind, Record) or kind is pymodutils.Observer:
        yield f".It Vt {name}"
    else:
        bases = [base.__name__ for base in kind.__bases__ if base is not object]
        if issubclass(kind, Exception):
            yield f".It Vt {name} Pq {argument(', '.join(bases))}"
        else:
            yield callable_line("Vt", name, kind)
    yield from prose(inspect.getdoc(kind) or "")
    if issubclass(kind, Record) and kind.__match_args__:
        yield from fields(kind)
    inside = [line for member in members(kind) for line in member_item(*member)]
    if inside:
        yield from (".Bl -tag -width Ds", *inside, ".El")


def section(heading: str, names: list[str]) -> Iterator[str]:
    """A section that describes `names`."""
    yield f".Sh {heading}"
    yield ".Bl -tag -width Ds"
    for name in names:
        value = getattr(pymodutils, name, None) or getattr(errors, name)
        yield from class_item(name, value) if isinstance(value, type) else function_item("Fn", name, value)
    yield ".El"


def reference() -> str:
    """All sections."""
    kinds = [name for name, value in vars(errors).items() if isinstance(value, type) and not name.startswith("_")]
    public = [name for name in pymodutils.__all__ if not name.startswith("__") and name not in kinds]
    verbs = [name for name in public if pymodutils._HOMES[name].startswith("verbs.")]
    verbs.sort(key=lambda name: (name != "Report", pymodutils._HOMES[name], name.lower()))
    values = [name for name in public if name not in ["Record", *SYSTEM, *PARTS, *PLANS, *DEPMOD, *verbs]]
    lines = [
        *section("ONE SYSTEM", SYSTEM),
        *section("ITS PARTS", PARTS),
        *section("PLANS AND EVENTS", PLANS),
        *section("VERBS", verbs),
        *section("INDEXES", DEPMOD),
        *section("VALUES", ["Record", *values]),
        *section("EXCEPTIONS", kinds),
    ]
    return "".join(f"{line}\n" for line in lines)


def current_page() -> str:
    """The page as it should be."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"{PAGE} has no marks")
    return before + BEGIN + reference() + END + after


if __name__ == "__main__":
    PAGE.write_text(current_page())
