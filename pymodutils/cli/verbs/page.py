# SPDX-License-Identifier: LGPL-2.1-or-later
"""Text for people: lines and aligned columns, with colour on a terminal."""

from __future__ import annotations

from ..console import escape_control

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

GOOD, BAD, UNSURE, FAINT, STRONG = "32", "31", "33", "2", "1"
"""Styles, as numbers of the terminal's SGR sequence. None is the only carrier of a meaning: the words say it, too."""

GAP = 2
"""Blanks between columns."""

NOT_KNOWN = "-"


class Cell:
    """A text with a style."""

    def __init__(self, text: str, style: str = "") -> None:
        self.text: str = escape_control(text)
        self.style = style


class Page:
    """Collects the text of an answer. Control characters in what it is given are escaped."""

    def __init__(self, *, colour: bool = False) -> None:
        self._colour = colour
        self._lines: list[str] = []

    def line(self, text: str = "", style: str = "") -> None:
        """Add a line."""
        self._lines.append(self._styled(Cell(text, style)))

    def cells(self, *cells: Cell) -> None:
        """Add a line of pieces with styles of their own."""
        self._lines.append("".join(map(self._styled, cells)))

    def table(self, rows: Sequence[Sequence[object]], *, header: Sequence[str] = (), right: Sequence[int] = (),
              indent: int = 0) -> None:  # fmt: skip
        """Add rows of aligned columns under an optional header.

        An entry is a text, a number, a `Cell`, or None for what is not known, which shows as `-`. The columns numbered
        in `right` are aligned there.
        """
        cells = [[_cell(entry) for entry in row] for row in rows]
        if header:
            cells.insert(0, [Cell(text, STRONG) for text in header])
        widths = [max(len(cell.text) for cell in column) for column in zip(*cells, strict=True)]
        for row in cells:
            pieces = []
            for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
                blanks = " " * (width - len(cell.text))
                styled = self._styled(cell)
                pieces.append(blanks + styled if number in right else styled + blanks)
            self._lines.append(" " * indent + (" " * GAP).join(pieces).rstrip())

    def text(self) -> str:
        """Return all of it."""
        return "".join(f"{line}\n" for line in self._lines)

    def _styled(self, cell: Cell) -> str:
        return f"\x1b[{cell.style}m{cell.text}\x1b[0m" if self._colour and cell.style and cell.text else cell.text


def _cell(entry: object) -> Cell:
    if isinstance(entry, Cell):
        return entry
    return Cell(NOT_KNOWN if entry is None or entry == "" else str(entry))
