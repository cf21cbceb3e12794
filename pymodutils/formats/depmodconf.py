"""depmod.d files: one rule a line (contract 4, "Configuration"; the lines themselves as in modprobe.d)."""

from __future__ import annotations

from ..errors import FormatError
from ..records import Record
from .conflines import fields, logical_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..errors import Error

# Kind of rule -> how many words must follow it, and how many count; None: all.
WORDS: dict[str, tuple[int, int | None]] = {
    "search": (0, None),
    "override": (3, 3),
    "external": (2, 2),
    "exclude": (0, None),
}
IGNORED = ("include", "make_map_files")
"""Directives of old, accepted without effect."""


class DepmodRule(Record):
    """One line: its kind, the words after it, and its place."""

    kind: str
    words: list[str]
    path: str
    line: int


class BadDepmodLine(FormatError):
    """A line that is no rule; `reason` is its first word."""


def parse_depmod_conf(data: bytes, path: str) -> tuple[list[DepmodRule], list[Error]]:
    """The rules of a file in order, and a `BadDepmodLine` for each line that is none."""
    rules: list[DepmodRule] = []
    problems: list[Error] = []
    for number, line in logical_lines(data):
        kind, *words = fields(line) or [""]
        least, most = WORDS.get(kind, (0, 0))
        if kind in WORDS and len(words) >= least:
            rules.append(DepmodRule(kind, words[:most], path, number))
        elif kind and kind not in IGNORED:
            problems.append(BadDepmodLine(kind, path=path, line=number))
    return rules, problems
