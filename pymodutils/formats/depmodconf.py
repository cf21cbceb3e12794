# SPDX-License-Identifier: LGPL-2.1-or-later
"""Read depmod.d files: one rule a line. The lines themselves are as in modprobe.d.

Source: docs/behaviour/4-depmod.md, "Configuration".
"""

from __future__ import annotations

from ..diagnostics import ERROR, Diagnostic
from ..records import Record
from .conflines import fields, logical_lines

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


def parse_depmod_conf(data: bytes, path: str) -> tuple[list[DepmodRule], list[Diagnostic]]:
    """Return the rules of a file in order, and a diagnostic for each other line; its subject is the first word."""
    rules: list[DepmodRule] = []
    problems: list[Diagnostic] = []
    for number, line in logical_lines(data):
        kind, *words = fields(line) or [""]
        least, most = WORDS.get(kind, (0, 0))
        if kind in WORDS and len(words) >= least:
            rules.append(DepmodRule(kind, words[:most], path, number))
        elif kind and kind not in IGNORED:
            problems.append(
                Diagnostic("bad-configuration-line", ERROR, "no depmod.d rule", file=path, line=number, subject=kind)
            )
    return rules, problems
