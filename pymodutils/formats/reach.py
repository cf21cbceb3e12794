"""How far into a text a shell pattern can have come that is read byte by byte, as on the way down a trie of patterns.

A set of positions is an integer with one bit for each, so that one step takes the same time wherever they are.
"""

from __future__ import annotations

ASK = -1
"""Instead of positions: what comes now is no single element, so `fnmatch` must see the whole pattern."""

_ANY_TEXT, _ANY_CHARACTER = b"*?"
_OPENS_MORE = b"[\\"


class Reach:
    """The positions in `text` at which the part of a pattern read so far may end."""

    def __init__(self, text: bytes) -> None:
        self.end = 1 << len(text)
        self._all = (self.end << 1) - 1
        self._places: dict[int, int] = {}
        for at, byte in enumerate(text):
            self._places[byte] = self._places.get(byte, 0) | 1 << at

    def step(self, positions: int, byte: int) -> int:
        """The positions after one more byte of the pattern; 0 when none is left: no text like this can match."""
        if byte == _ANY_TEXT:
            return self._all & -(positions & -positions)  # the lowest, and all behind it
        if byte == _ANY_CHARACTER:
            return positions << 1 & self._all
        if byte in _OPENS_MORE:
            return ASK
        return (positions & self._places.get(byte, 0)) << 1

    def steps(self, positions: int, pattern: bytes) -> int:
        """As `step`, for several bytes."""
        for byte in pattern:
            positions = self.step(positions, byte)
            if positions <= 0:
                break
        return positions
