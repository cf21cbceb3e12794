# SPDX-License-Identifier: LGPL-2.1-or-later
"""Matching a text with a shell pattern that is read byte by byte, as on the way down a trie of patterns.

A set of positions is an integer with one bit for each, so that a step takes the same time for any number of them.
"""

from __future__ import annotations

ASK = -1
"""In place of positions: the pattern goes on with a bracket or a backslash, so `fnmatch` must see all of it."""

_ANY_TEXT, _ANY_CHARACTER = b"*?"
_OPENS_MORE = b"[\\"


class PatternPositions:
    """The positions in `text` at which the part of a pattern that was read so far may end."""

    def __init__(self, text: bytes) -> None:
        self.end: int = 1 << len(text)
        """The set that has the end of the text alone."""
        self._all = (self.end << 1) - 1
        self._places: dict[int, int] = {}
        for at, byte in enumerate(text):
            self._places[byte] = self._places.get(byte, 0) | 1 << at

    def step(self, positions: int, byte: int) -> int:
        """Return the positions after one more byte of the pattern; 0 when no text like this can match it."""
        if byte == _ANY_TEXT:
            return self._all & -(positions & -positions)  # the lowest, and all behind it
        if byte == _ANY_CHARACTER:
            return positions << 1 & self._all
        if byte in _OPENS_MORE:
            return ASK
        return (positions & self._places.get(byte, 0)) << 1

    def steps(self, positions: int, pattern: bytes) -> int:
        """Return the positions after several bytes of the pattern, as `step` does for each."""
        for byte in pattern:
            positions = self.step(positions, byte)
            if positions <= 0:
                break
        return positions
