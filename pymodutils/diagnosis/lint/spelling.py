# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which known names an unknown one is a typing error of."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHORTEST = 4
"""Letters below which one that differs makes another word."""


class Spellings:
    """The known names, each listed under all that is left of it when one letter is left out, and under itself.

    Two names that one typing error tells apart have one of these texts in common. So an unknown name costs a few
    look-ups, not a comparison with every known name.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._by_rest: dict[str, list[str]] = {}
        self._longest = 0
        for name in known:
            self._longest = max(self._longest, len(name))
            for rest in _shortened(name):
                self._by_rest.setdefault(rest, []).append(name)

    def near(self, name: str) -> list[str]:
        """Return the known names that differ by one typing error: a letter too many, too few, another, or two swapped.

        Digits make other modules, not errors.
        """
        if len(name) > self._longest + 1:  # no known name is near it, and a huge one has as many texts as letters
            return []
        alike = {other for rest in _shortened(name) for other in self._by_rest.get(rest, ())}
        return sorted([other for other in alike if _is_typing_error(name, other)])


def _shortened(name: str) -> Iterator[str]:
    """Yield a name, and what is left of it without each one of its letters."""
    yield name
    for at in range(len(name)):
        yield name[:at] + name[at + 1 :]


def _is_typing_error(name: str, other: str) -> bool:
    if min(len(name), len(other)) < SHORTEST:
        return False
    start = 0
    while start < min(len(name), len(other)) and name[start] == other[start]:
        start += 1
    one, two = name[start:], other[start:]
    while one and two and one[-1] == two[-1]:
        one, two = one[:-1], two[:-1]
    if any(char.isdigit() for char in one + two):
        return False
    return max(len(one), len(two)) == 1 or (len(one) == len(two) == 2 and one == two[::-1])
