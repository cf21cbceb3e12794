# SPDX-License-Identifier: LGPL-2.1-or-later
"""Paths by where they lie, so that what is below a directory is found without a look at all of them."""

from __future__ import annotations

from bisect import bisect_left

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_AFTER_SLASH = chr(ord("/") + 1)


class PathIndex:
    """Absolute paths, each known by its place in the list that this is made of."""

    def __init__(self, paths: Iterable[str]) -> None:
        numbered = sorted((path, number) for number, path in enumerate(paths))
        self._paths = [path for path, _ in numbered]
        self._numbers = [number for _, number in numbered]

    def below(self, point: str) -> list[int]:
        """Return the numbers of the paths below a directory, in order; the directory itself is not below it."""
        start = f"{point.rstrip('/')}/"
        return sorted(self._numbers[slice(*self._between(start, start[:-1] + _AFTER_SLASH))])

    def at_or_below(self, point: str) -> list[int]:
        """Return the numbers of the paths below a directory, and of the directory itself, in order."""
        same = self._numbers[slice(*self._between(point, f"{point}\0"))]
        return sorted({*same, *self.below(point)})

    def _between(self, first: str, last: str) -> tuple[int, int]:
        return bisect_left(self._paths, first), bisect_left(self._paths, last)
