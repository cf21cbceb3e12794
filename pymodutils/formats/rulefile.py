# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rules of one modprobe.d file, found by module: fast also where a file has thousands of them.

A policy that denies all that is not allowed has three lines for each of 4,000 modules, and modprobe asks for a handful.
So a plain line is only noted by its key, and becomes a `Rule` when somebody asks for it.
"""

from __future__ import annotations

from ..names import decode, is_pattern
from .modprobeconf import KINDS, parse_line, parse_modprobe_conf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..diagnostics import Diagnostic
    from .modprobeconf import Rule

FOUND_BY_KEY = ("blacklist", "install", "remove", "softdep", "weakdep")
"""Kinds of which the first rule for a module counts; of the others all do."""


class RuleFile:
    """The rules of one file, or of another list; `problems` is what is wrong in it, `file` where it is."""

    def __init__(self, rules: Sequence[Rule] = (), problems: Sequence[Diagnostic] = ()) -> None:
        self.problems: list[Diagnostic] = list(problems)
        self._lines: list[str] = []
        self.file = ""
        self._places: dict[str, dict[str, int]] = {kind: {} for kind in FOUND_BY_KEY}  # of the first rule for a key
        self._patterns: dict[str, list[tuple[int, str]]] = {}
        self._others: dict[str, list[Rule]] = {kind: [] for kind in KINDS if kind not in FOUND_BY_KEY}
        self._made: dict[int, Rule] = dict(enumerate(rules))  # by place: the line's number, or the place in `rules`
        self._all: list[Rule] | None = list(rules)
        for place, rule in self._made.items():
            self._note(place, rule)

    @classmethod
    def parse(cls, data: bytes, file: str) -> RuleFile:
        """Read the bytes of a file."""
        if b"\\" in data or b"\0" in data:  # a line may be longer or shorter than it looks
            return cls(*parse_modprobe_conf(data, file))
        made = cls()
        made._all, made.file = None, file
        made._scan(decode(data))
        return made

    def _scan(self, text: str) -> None:
        """Note the place of each line that is plain: KIND KEY TEXT, with one blank between them."""
        special = any(char in text for char in "\t*?[]")
        tables = self._places.get
        self._lines = text.split("\n")
        number = 0
        for line in self._lines:
            number += 1
            kind, _, rest = line.partition(" ")
            table = tables(kind)
            if table is not None:
                key, _, words = rest.partition(" ")
                if key and (words or kind == "blacklist") and not (special and _is_special(key)):
                    if "-" in key:
                        key = key.replace("-", "_")
                    if key not in table:
                        table[key] = number
                    continue
            if line and line[0] != "#":
                self._take(number, line)

    def _take(self, number: int, line: str) -> None:
        """Note any other line."""
        rule, problem = parse_line(line, self.file, number)
        if rule:
            self._made[number] = rule
            self._note(number, rule)
        if problem:
            self.problems.append(problem)

    def _note(self, place: int, rule: Rule) -> None:
        if rule.kind not in FOUND_BY_KEY:
            self._others[rule.kind].append(rule)
            return
        self._places[rule.kind].setdefault(rule.key, place)
        if rule.kind != "blacklist" and is_pattern(rule.key):
            self._patterns.setdefault(rule.kind, []).append((place, rule.key))

    def _rule(self, place: int) -> Rule:
        if place not in self._made:
            rule, _ = parse_line(self._lines[place - 1], self.file, place)
            if rule is None:
                raise AssertionError(f"line {place} was a rule")
            self._made[place] = rule
        return self._made[place]

    @property
    def rules(self) -> list[Rule]:
        """All rules in order."""
        if self._all is None:
            self._all = [
                rule
                for number, line in enumerate(self._lines, 1)
                if line and (rule := self._made.get(number) or parse_line(line, self.file, number)[0])
            ]
        return self._all

    def of(self, kind: str) -> list[Rule]:
        """Return the rules of one kind in order."""
        return self._others[kind] if kind in self._others else [rule for rule in self.rules if rule.kind == kind]

    def has(self, kind: str) -> bool:
        """Tell whether there are rules of a kind of FOUND_BY_KEY."""
        return bool(self._places[kind])

    def literal(self, kind: str, name: str) -> Rule | None:
        """Return the first rule of a kind of FOUND_BY_KEY whose key is `name` itself."""
        place = self._places[kind].get(name)
        return None if place is None else self._rule(place)

    def first(self, kind: str, name: str) -> Rule | None:
        """Return the first rule of a kind of FOUND_BY_KEY whose key, a pattern, matches `name`."""
        found = self._places[kind].get(name)
        if found is not None and is_pattern(name):
            found = None  # a pattern need not match itself
        patterns = self._patterns.get(kind)
        if patterns:
            from .fnmatch import fnmatch
        for place, pattern in patterns or ():
            if found is not None and place > found:
                break
            if fnmatch(pattern, name):
                found = place
                break
        return None if found is None else self._rule(found)


def _is_special(key: str) -> bool:
    return any(char in key for char in "\t*?[]")
