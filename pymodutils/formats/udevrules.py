# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files of udev rules: lines of `KEY{attribute}OPERATOR"value"` (udev(7))."""

from __future__ import annotations

from ..diagnostics import ERROR, Diagnostic
from ..names import decode
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

OPERATORS = ("==", "!=", "+=", "-=", ":=", "=")
MATCHES = ("==", "!=")
"""Operators that ask; the others set something."""

BAD_UDEV_RULE = "bad-udev-rule"
"""Code of a diagnostic: a line of udev rules that cannot be read, which udev leaves out as a whole."""

_BLANKS = " \t\r\f\v"


class UdevToken(Record):
    """One `KEY{attribute}OPERATOR"value"` of a rule; `attribute` is empty when there is none."""

    key: str
    attribute: str
    operator: str
    value: str

    def render(self) -> str:
        """Return the token as it stands in a file."""
        attribute = f"{{{self.attribute}}}" if self.attribute else ""
        return f'{self.key}{attribute}{self.operator}"{self.value}"'


class UdevRule(Record):
    """One line of rules: its tokens, and where it begins."""

    tokens: tuple[UdevToken, ...]
    file: str
    line: int


def parse_udev_rules(data: bytes, file: str) -> tuple[list[UdevRule], list[Diagnostic]]:
    """Return the rules of a file in order, and what is wrong in it in order."""
    rules: list[UdevRule] = []
    problems: list[Diagnostic] = []
    for number, line in _lines(data):
        tokens = _tokens(line)
        if tokens is None:
            problems.append(Diagnostic(BAD_UDEV_RULE, ERROR, "a line that is no udev rule", file=file, line=number))
        elif tokens:
            rules.append(UdevRule(tuple(tokens), file, number))
    return rules, problems


def _lines(data: bytes) -> Iterator[tuple[int, str]]:
    """Yield (number of its first physical line, text) of each rule; a backslash at the end joins lines."""
    start, pieces = 0, []
    for number, raw in enumerate(decode(data.partition(b"\0")[0]).split("\n"), 1):
        text = raw.strip(_BLANKS)
        if not text or text.startswith("#"):  # also between lines that are joined
            continue
        start = start or number
        if text.endswith("\\"):
            pieces.append(text[:-1])
            continue
        yield start, "".join(pieces) + text
        start, pieces = 0, []


def _tokens(text: str) -> list[UdevToken] | None:
    """Return the tokens of a rule, None when it is none."""
    tokens: list[UdevToken] = []
    at = 0
    while True:
        at = _skip(text, at, _BLANKS + ",")
        if at == len(text):
            return tokens
        found = _token(text, at)
        if found is None:
            return None
        token, at = found
        tokens.append(token)


def _token(text: str, at: int) -> tuple[UdevToken, int] | None:
    """Return the token at a position and where it ends."""
    end = at
    while end < len(text) and text[end] not in _BLANKS + "={" and not text.startswith(OPERATORS, end):
        end += 1
    key, attribute = text[at:end], ""
    if text.startswith("{", end):
        closing = text.find("}", end)
        if closing < 0:
            return None
        attribute, end = text[end + 1 : closing], closing + 1
    end = _skip(text, end, _BLANKS)
    operator = next((operator for operator in OPERATORS if text.startswith(operator, end)), None)
    if operator is None or not key:
        return None
    value = _value(text, _skip(text, end + len(operator), _BLANKS))
    return None if value is None else (UdevToken(key, attribute, operator, value[0]), value[1])


def _value(text: str, at: int) -> tuple[str, int] | None:
    """Return the value in double quotes at a position and where it ends; `e` before it allows escapes, `i` is case."""
    while text.startswith(("e", "i"), at):
        at += 1
    if not text.startswith('"', at):
        return None
    out = []
    at += 1
    while at < len(text) and text[at] != '"':
        if text.startswith('\\"', at):  # other backslashes are the value's own
            at += 1
        out.append(text[at])
        at += 1
    return ("".join(out), at + 1) if at < len(text) else None


def _skip(text: str, at: int, chars: str) -> int:
    while at < len(text) and text[at] in chars:
        at += 1
    return at
