# SPDX-License-Identifier: LGPL-2.1-or-later
"""Line tables of DWARF 2 to 5: which address begins which line, and the files that rows name by number.

pyelftools makes an object of each row, and copies it; in a unit of the kernel there are ten thousand. And it believes
how many files a table says it has: a few damaged bytes cost all memory. So this reads a table by itself, and looks at
the names of those files only that somebody asks for.

Source: the DWARF 5 standard, 6.2.4 and 6.2.5, "The Line Number Program".
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    Row = tuple[int, int, int]
    """Address, number of the file, line."""

    Name = bytes | tuple[str, int]
    """A name, or the section that it stands in and where."""

MOST_ROWS = 1 << 21
"""Rows of a table; the largest unit of Debian's kernel has a tenth of them."""
_CHECKED_EVERY = 1 << 16
"""Bytes of a program after which the rows are counted, none of which takes less than a byte."""
MOST_FILES = 1 << 20
"""Directories and files of a table."""

_COPY, _ADVANCE_PC, _ADVANCE_LINE, _SET_FILE, _CONST_ADD_PC, _FIXED_ADVANCE_PC = 1, 2, 3, 4, 8, 9
_EXTENDED, _END_SEQUENCE, _SET_ADDRESS = 0, 1, 2
_MOST_BITS = 70
_OLDEST, _WITH_OPERATIONS, _NEWEST = 2, 4, 5
"""Versions: the first, the first with several operations in an instruction, the last."""
_LONG = 0xFFFFFFFF
"""What stands before a length of eight bytes."""

_PATH, _DIRECTORY = 1, 2
_BLOCK, _STRING, _STRP, _UDATA, _LINE_STRP = 0x09, 0x08, 0x0E, 0x0F, 0x1F
_SIZES = {0x0B: 1, 0x05: 2, 0x06: 4, 0x07: 8, 0x1E: 16}
_STRINGS = {_STRP: ".debug_str", _LINE_STRP: ".debug_line_str"}


class LineTable:
    """One table. `found` are the rows of each stretch of code, and where it ends.

    Raises a LookupError or ValueError for damage.
    """

    def __init__(self, sections: Mapping[str, bytes], at: int, order: Literal["little", "big"]) -> None:
        self._sections = sections
        self._data = sections[".debug_line"]
        self._at = at
        self._order: Literal["little", "big"] = order
        self._directories: list[Name] = []
        self._entries: list[tuple[Name, int]] = []
        self.found: list[tuple[list[Row], int]] = self._read()

    def _read(self) -> list[tuple[list[Row], int]]:
        """Read the header and the names of files, and run the program."""
        width = 4
        length = self._number(4)
        if length == _LONG:
            width, length = 8, self._number(8)
        end = self._at + length
        if end > len(self._data):
            raise ValueError("a line table is cut off")
        self._version = self._number(2)
        if not _OLDEST <= self._version <= _NEWEST:
            raise ValueError(f"line tables of version {self._version} are not known")
        if self._version == _NEWEST:
            self._at += 2  # sizes of addresses and of segments
        start = self._number(width)
        start += self._at
        least = self._number(1)
        if self._version >= _WITH_OPERATIONS and self._number(1) > 1:
            raise ValueError("several operations in an instruction")
        self._at += 1  # whether rows begin statements
        base = (self._number(1) ^ 0x80) - 0x80  # with a sign
        span, first = self._number(1), self._number(1)
        if not span or not first:
            raise ValueError("a line table has impossible sizes")
        lengths = self._data[self._at : self._at + first - 1]
        self._at += first - 1
        self._read_names(width)
        if not self._at <= start <= end:
            raise ValueError("a line table has impossible sizes")
        return _run(self._data[start:end], (least, base, span, first), lengths, self._order)

    def _number(self, size: int) -> int:
        at = self._at
        self._at = at + size
        if self._at > len(self._data):
            raise ValueError("a line table is cut off")
        return int.from_bytes(self._data[at : self._at], self._order)

    def _uleb(self) -> int:
        value, self._at = _unsigned(self._data, self._at)
        return value

    def _text(self) -> bytes:
        end = self._data.index(b"\0", self._at)
        text = self._data[self._at : end]
        self._at = end + 1
        return text

    def _read_names(self, width: int) -> None:
        if self._version == _NEWEST:
            self._directories = [name for name, _ in self._described(width)]
            self._entries = self._described(width)
            return
        while name := self._text():
            self._directories.append(name)
            self._require_few(len(self._directories))
        while name := self._text():
            self._entries.append((name, self._uleb() - 1))
            _time, _size = self._uleb(), self._uleb()
            self._require_few(len(self._entries))

    @staticmethod
    def _require_few(count: int) -> None:
        if count > MOST_FILES:
            raise ValueError(f"more than {MOST_FILES} files")

    def _described(self, width: int) -> list[tuple[Name, int]]:
        """Return names and numbers of directories, of a list that says of what each entry consists."""
        forms = [(self._uleb(), self._uleb()) for _ in range(self._number(1))]
        count = self._uleb()
        self._require_few(count)
        if count and not forms:
            raise ValueError("entries of nothing")
        found: list[tuple[Name, int]] = []
        for _ in range(count):
            name: Name = b""
            directory = 0
            for kind, form in forms:
                value = self._value(form, width)
                if kind == _PATH and not isinstance(value, int):
                    name = value
                elif kind == _DIRECTORY and isinstance(value, int):
                    directory = value
            found.append((name, directory))
        return found

    def _value(self, form: int, width: int) -> Name | int:
        """Return one value. Every form takes at least a byte, so that a count cannot promise more than there is."""
        if form == _STRING:
            return self._text()
        if form in _STRINGS:
            return _STRINGS[form], self._number(width)
        if form == _UDATA:
            return self._uleb()
        if form == _BLOCK:
            length = self._uleb()
            self._at += length
            return 0
        if form in _SIZES:
            return self._number(_SIZES[form])
        raise ValueError(f"form {form:#x} in a line table")

    def _resolved(self, name: Name) -> bytes:
        if isinstance(name, bytes):
            return name
        section, at = name
        data = self._sections[section]
        return data[at : data.index(b"\0", at)]

    def file(self, number: int) -> tuple[bytes, bytes] | None:
        """Return the directory and the name of a file by its number; None when there is none."""
        index = number if self._version == _NEWEST else number - 1
        if not 0 <= index < len(self._entries):
            return None
        name, place = self._entries[index]
        directory = self._directories[place] if 0 <= place < len(self._directories) else b""
        return self._resolved(directory), self._resolved(name)


def _run(
    code: bytes, sizes: tuple[int, int, int, int], lengths: bytes, order: Literal["little", "big"]
) -> list[tuple[list[Row], int]]:
    """Run the program: return the rows of each stretch of code, and where it ends."""
    found: list[tuple[list[Row], int]] = []
    at = 0
    left = MOST_ROWS
    while at < len(code):
        rows, address, at = _run_stretch(code, at, sizes, lengths, order, left)
        left -= len(rows)
        if rows:
            found.append((rows, address))
    return found


def _run_stretch(
    code: bytes, at: int, sizes: tuple[int, int, int, int], lengths: bytes, order: Literal["little", "big"], most: int
) -> tuple[list[Row], int, int]:
    """Run the program for one stretch: return its rows, where it ends, and where the program goes on.

    The loop is in one function since it runs for each of a million rows. A stretch without an end has no rows.
    """
    least, base, span, first = sizes
    rows: list[Row] = []
    address, file, line = 0, 1, 1
    end = len(code)
    while at < end:
        if len(rows) > most:
            raise ValueError(f"more than {MOST_ROWS} rows")
        pause = min(at + _CHECKED_EVERY, end)
        while at < pause:
            opcode = code[at]
            at += 1
            if opcode >= first:
                steps, more = divmod(opcode - first, span)
                address += steps * least
                line += base + more
                rows.append((address, file, line))
            elif opcode == _EXTENDED:
                length, at = _unsigned(code, at)
                kind = code[at]
                if kind == _END_SEQUENCE:
                    return rows, address, at + length
                if kind == _SET_ADDRESS:
                    address = int.from_bytes(code[at + 1 : at + length], order)
                at += length
            elif opcode == _COPY:
                rows.append((address, file, line))
            elif opcode == _ADVANCE_PC:
                number, at = _unsigned(code, at)
                address += number * least
            elif opcode == _ADVANCE_LINE:
                number, at = _signed(code, at)
                line += number
            elif opcode == _SET_FILE:
                file, at = _unsigned(code, at)
            elif opcode == _CONST_ADD_PC:
                address += (255 - first) // span * least
            elif opcode == _FIXED_ADVANCE_PC:
                address += int.from_bytes(code[at : at + 2], order)
                at += 2
            else:
                for _ in range(lengths[opcode - 1]):
                    _, at = _unsigned(code, at)
    return [], address, at


def _unsigned(code: bytes, at: int) -> tuple[int, int]:
    """Return a number in ULEB128 and where it ends."""
    value = shift = 0
    while True:
        byte = code[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > _MOST_BITS:
            raise ValueError("a number without end")


def _signed(code: bytes, at: int) -> tuple[int, int]:
    """Return a number in SLEB128 and where it ends."""
    start = at
    value, at = _unsigned(code, at)
    bits = 7 * (at - start)
    return (value - (1 << bits) if value >> bits - 1 else value), at
