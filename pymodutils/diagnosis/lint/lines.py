# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lint rules about files and lines: what modprobe does not read as it looks."""

from __future__ import annotations

from ...formats.conflines import carriage_returns, fields, logical_lines
from ...formats.modprobeconf import BAD_LINE, KINDS, RETIRED_DIRECTIVE
from ...names import decode, normalize_name
from .sources import ERROR, NOTE, WARNING, Finding, Sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CRLF, BACKSLASH, BOM = "crlf", "backslash", "bom"
WRONG_PLACE, NOT_CONF = "wrong-place", "not-conf"
"""Names of the rules here."""

_MARKS = {b"\xef\xbb\xbf": "UTF-8", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_KEPT_ASIDE = (".bak", ".old", ".orig", ".save", ".disabled", ".off", "~", ".rpmsave", ".rpmnew", ".pacnew", ".swp")
"""Ends of names of files that somebody keeps and does not want read."""


def crlf(sources: Sources) -> Iterator[Finding]:
    """Find files with lines that end in a carriage return, which is then part of the rule."""
    for file, data in sources.texts.items():
        numbers = carriage_returns(data)
        if numbers:
            more = f", and {len(numbers) - 1} more lines do" if len(numbers) > 1 else ""
            text = f"the line ends in a carriage return{more}; modprobe takes it for a part of the rule"
            yield Finding(file, numbers[0], ERROR, CRLF, text, None)


def bom(sources: Sources) -> Iterator[Finding]:
    """Find files that begin with a byte order mark, which is then part of the first word."""
    for file, data in sources.texts.items():
        kind = byte_order_mark(data)
        if kind:
            yield Finding(file, 1, ERROR, BOM, f"the file begins with the byte order mark of {kind}", None)


def byte_order_mark(data: bytes) -> str | None:
    """Return the encoding whose byte order mark data begins with."""
    return next((kind for mark, kind in _MARKS.items() if data.startswith(mark)), None)


def backslash(sources: Sources) -> Iterator[Finding]:
    """Find backslashes that do something else than one sees: they join lines, or disappear."""
    for file, data in sources.texts.items():
        joined = False
        for number, line in enumerate(data.split(b"\n"), 1):
            text = decode(line)
            comment = not joined and text.startswith("#")
            joined = (len(text) - len(text.rstrip("\\"))) % 2 == 1
            said = _said_of(text, comment=comment, joined=joined)
            if said:
                yield Finding(file, number, WARNING, BACKSLASH, said, None)


def _said_of(text: str, *, comment: bool, joined: bool) -> str:
    """Return what is wrong with the backslashes of a line, nothing if nothing is."""
    if comment:
        return "the backslash at the end makes the next line a part of this comment" if joined else ""
    inner = text[:-1] if joined else text
    if "\\" not in inner:
        return ""
    if inner.rstrip(" \t\r").endswith("\\") and not inner.endswith("\\"):
        return "blanks follow the backslash, so it does not join this line with the next one"
    rest = inner.replace("\\\\", "")
    return "modprobe drops the backslash; two of them stand for one" if "\\" in rest else ""


def bad_line(sources: Sources) -> Iterator[Finding]:
    """Find lines that are no rules, or of which modprobe passes over a part."""
    for file, data in sources.texts.items():
        for number, line in logical_lines(data) if b"blacklist" in data else ():
            kind, *names = fields(line) or [""]
            if kind == "blacklist" and len(names) > 1 and not names[1].startswith("#"):
                text = f"a blacklist line takes one name, {names[0]}; the rest does nothing: {' '.join(names[1:])}"
                yield Finding(file, number, WARNING, BAD_LINE, text, None)
    for problem in sources.problems:
        if problem.code not in (BAD_LINE, RETIRED_DIRECTIVE) or problem.file is None:
            continue
        word = problem.subject or ""
        level, text = ERROR, f"a line that begins with '{word}' is no rule, and is not obeyed"
        if problem.code == RETIRED_DIRECTIVE:
            level, text = WARNING, f"'{word}' is no longer obeyed"
        elif word in KINDS:
            text = f"something is missing or misspelled after '{word}': the line is not obeyed"
        elif word.startswith("#"):
            text = "blanks before the # make this line a rule that does not exist"
        elif sources.has_module(normalize_name(word)):
            text += "; modules to be loaded at boot are listed in modules-load.d"
        yield Finding(problem.file, problem.line, level, BAD_LINE, text, None)


def wrong_place(sources: Sources) -> Iterator[Finding]:
    """Find lines of modules-load.d that belong in modprobe.d."""
    for line in sources.load_lines:
        if not line.arguments or not line.line:
            continue
        if line.name in KINDS:
            text = f"'{line.name}' belongs in modprobe.d; here the line is taken for the name of a module"
        elif line.by_systemd:
            text = (
                f"systemd takes the whole line for the name of a module; parameters belong in modprobe.d: "
                f"options {line.name} {line.arguments}"
            )
        else:
            continue
        yield Finding(line.file, line.line, ERROR, WRONG_PLACE, text, None)


def not_conf(sources: Sources) -> Iterator[Finding]:
    """Find files that are not read because of their names."""
    for file in sources.unread:
        name = file.rpartition("/")[2]
        if name.startswith((".", "README")) or ".dpkg-" in name or ".ucf-" in name:
            continue
        level = NOTE if name.endswith(_KEPT_ASIDE) else WARNING
        yield Finding(file, None, level, NOT_CONF, "the file is not read: its name does not end in .conf", None)
