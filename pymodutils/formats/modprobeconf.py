# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe.d files: one rule a line (docs/behaviour/2-formats.md, "modprobe.d grammar")."""

from __future__ import annotations

from ..diagnostics import ERROR, WARNING, Diagnostic, Place
from ..errors import NameSyntaxError
from ..names import normalize_alias
from ..records import Record
from .conflines import logical_lines, words

KINDS = ("blacklist", "install", "remove", "alias", "options", "softdep", "weakdep")
"""The kinds of rules, in the order in which `modprobe -c` shows them."""

RETIRED = ("include", "config")
"""Directives of old that are reported and not obeyed."""

_BLANKS = " \t"


class Rule(Record):
    """One rule of the configuration.

    `kind` is a word of KINDS. `key` is the module, for `alias` the pattern. `text` is what follows it. `file` and
    `line` say where the rule stands; `line` is None where lines have no number (the kernel command line).
    """

    kind: str
    key: str
    text: str
    file: str
    line: int | None

    @property
    def origin(self) -> str:
        """The place as `FILE:LINE`, or only the file where lines have no number."""
        return f"{self.file}:{self.line}" if self.line else self.file

    @property
    def place(self) -> Place:
        """The place of the rule, with the rule as one would write it."""
        return Place(self.file, self.line, f"{self.kind} {self.key} {self.text}".rstrip())

    def softdeps(self) -> tuple[list[str], list[str]]:
        """Return the modules that a `softdep` rule wants before and after its own."""
        from .softdep import parse_softdep  # here, because most look-ups meet no such rule

        found = parse_softdep(self.text)
        return list(found.pre), list(found.post)

    def render(self) -> str:
        """Return the rule as `modprobe -c` shows it, without a newline."""
        if self.kind == "blacklist":
            return f"blacklist {self.key}"
        text = self.text
        if self.kind == "softdep":
            # kmod puts no space between the two parts, and scripts compare this output.
            before, after = self.softdeps()
            text = ("pre: " + " ".join(before) if before else "") + ("post: " + " ".join(after) if after else "")
        elif self.kind == "weakdep":
            text = " ".join(words(text))
        return f"{self.kind} {self.key} {text}"


BAD_LINE, RETIRED_DIRECTIVE = "bad-line", "retired-directive"
"""Codes of diagnostics: a line that is no rule, and a line with a word of RETIRED. The `subject` is its first word."""


def parse_modprobe_conf(data: bytes, file: str) -> tuple[list[Rule], list[Diagnostic]]:
    """Return the rules of a file in order, and what is wrong in it in order."""
    rules: list[Rule] = []
    problems: list[Diagnostic] = []
    for number, line in logical_lines(data):
        rule, problem = parse_line(line, file, number)
        if rule:
            rules.append(rule)
        if problem:
            problems.append(problem)
    return rules, problems


def parse_line(line: str, file: str, number: int) -> tuple[Rule | None, Diagnostic | None]:
    """Return the rule that a logical line is, or what is wrong with it; neither for a comment or an empty line."""
    if line.startswith("#"):
        return None, None
    kind, rest = _word(line)
    if kind in RETIRED:
        text = f"{kind} is no longer obeyed"
        return None, Diagnostic(RETIRED_DIRECTIVE, WARNING, text, file=file, line=number, subject=kind)
    rule = _rule(kind, rest, file, number)
    if rule or not kind:
        return rule, None
    text = f"a line that is no rule begins with '{kind}'"
    return None, Diagnostic(BAD_LINE, ERROR, text, file=file, line=number, subject=kind)


def _word(text: str) -> tuple[str, str]:
    """Return the first word, and what follows it after exactly one blank: further blanks belong to what follows."""
    text = text.lstrip(_BLANKS)
    space, tab = text.find(" "), text.find("\t")
    end = min(space, tab) if space >= 0 and tab >= 0 else max(space, tab)
    return (text, "") if end < 0 else (text[:end], text[end + 1 :])


def _rule(kind: str, rest: str, file: str, line: int) -> Rule | None:
    if kind not in KINDS:
        return None
    key, text = _word(rest)
    try:
        key = normalize_alias(key)
        if kind == "alias":
            text = normalize_alias(_word(text)[0])
    except NameSyntaxError:
        return None
    if not key or not (text or kind == "blacklist"):
        return None
    if kind == "options":
        text = text.replace("\t", " ")
    return Rule(kind, key, "" if kind == "blacklist" else text, file, line)
