# SPDX-License-Identifier: LGPL-2.1-or-later
"""Source lines of addresses, with the calls that the compiler inlined, from DWARF 2 to 5.

It reads by pyelftools, which keeps to the DWARF standard, all but line tables. What is read of a unit or a function is
kept.

Source: the DWARF 4 and 5 standards, "Line Number Information", "Inlined Subroutines", "Contiguous and Noncontiguous
Address Ranges". Which row counts is as in addr2line(1).
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from ..errors import FormatError
from ..names import decode
from ..optional import load
from ..records import Record
from .lineprogram import LineTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .lineprogram import Row

    Ranges = list[tuple[int, int]]
    """Where code is: from each first address up to the second."""

PACKAGE = "pyelftools"
"""What the library is called where one installs it."""

_MOST_DEPTH = 200
_MOST_LINE = 0xFFFFFFFF
"""Lines count in 32 bits, as in addr2line; a damaged table may go below 0."""
_INLINED, _FUNCTION = "DW_TAG_inlined_subroutine", "DW_TAG_subprogram"
_AROUND = ("DW_TAG_lexical_block", "DW_TAG_try_block", "DW_TAG_catch_block")
_NAMES_IN = ("DW_TAG_namespace", "DW_TAG_module")


class SourceLine(Record):
    """A place in a source file: the function, None if it is not known, file and line.

    `inlined` tells that the compiler put the function into the one that stands in the next record.
    """

    function: str | None
    file: str | None
    line: int | None
    inlined: bool


def is_readable() -> bool:
    """Tell whether the library that reads DWARF is installed."""
    return load("elftools.elf.elffile") is not None


class DebugInfo:
    """Debugging data in an ELF file that needs no relocation. Raises `FormatError` for what cannot be read."""

    def __init__(self, data: bytes) -> None:
        from io import BytesIO

        library = load("elftools.elf.elffile")
        self._ranges_library = load("elftools.dwarf.ranges")
        try:
            self._dwarf: Any = library.ELFFile(BytesIO(data)).get_dwarf_info(relocate_dwarf_sections=False)
            self._lists: Any = self._dwarf.range_lists()
            self._sections = _Sections(self._dwarf)
            self._units = {unit.cu_offset: _Unit(self, unit) for unit in self._dwarf.iter_CUs()}
            listed = self._listed()
            unlisted = [unit for unit in self._units.values() if unit not in listed]
            self._places = _Places({**listed, **{unit: unit.ranges() for unit in unlisted}})
        except _failures() as problem:
            raise FormatError(f"debugging data cannot be read: {_said(problem)}") from None

    def _listed(self) -> dict[_Unit, Ranges]:
        """Return where the code of units is, of those that a list names: to read what a unit says itself takes long."""
        found: dict[_Unit, Ranges] = {}
        table = self._dwarf.get_aranges()
        for entry in table.entries if table is not None else ():
            unit = self._units.get(entry.info_offset)
            if unit is not None:
                found.setdefault(unit, []).append((entry.begin_addr, entry.begin_addr + entry.length))
        return found

    def lines(self, address: int) -> list[SourceLine]:
        """Return the place of an address, then those of the calls around that were inlined; none if it is not known.

        Raises `FormatError`.
        """
        try:
            unit = self._places.unit_at(address)
            if unit is not None:
                return unit.lines(address)
        except _failures() as problem:
            raise FormatError(f"debugging data cannot be read: {_said(problem)}") from None
        return []

    def line_table(self, top: Any) -> LineTable | None:
        """Return the line table of the unit with this first entry."""
        place = top.attributes.get("DW_AT_stmt_list")
        if place is None or not self._sections[".debug_line"]:
            return None
        return LineTable(self._sections, place.value, "little" if self._dwarf.config.little_endian else "big")

    def ranges(self, unit: Any, die: Any, base: int) -> Ranges:
        """Return where the code of an entry is; `base` is the address of its unit."""
        attributes = die.attributes
        low = attributes.get("DW_AT_low_pc")
        high = attributes.get("DW_AT_high_pc")
        if low is not None and high is not None:
            end = high.value if high.form == "DW_FORM_addr" else low.value + high.value
            return [(low.value, end)]
        listed = attributes.get("DW_AT_ranges")
        if listed is None or self._lists is None:
            return []
        if unit["version"] >= 5:
            entries = self._lists.get_range_list_at_offset(listed.value, cu=unit)
        else:
            entries = self._lists.get_range_list_at_offset(listed.value)
        found: Ranges = []
        for entry in entries:
            if isinstance(entry, self._ranges_library.BaseAddressEntry):
                base = entry.base_address
            else:
                start = 0 if getattr(entry, "is_absolute", False) else base
                found.append((start + entry.begin_offset, start + entry.end_offset))
        return found


class _Unit:
    """One compilation unit; its functions and its line table are read when an address lies in it."""

    def __init__(self, info: DebugInfo, unit: Any) -> None:
        self._info = info
        self._unit = unit
        self._base = 0
        self._functions: list[_Scope] | None = None
        self._table: _Lines | None = None

    def ranges(self) -> Ranges:
        """Return where its code is, as it says itself."""
        return self._info.ranges(self._unit, self._read_top(), self._base)

    def _read_top(self) -> Any:
        top = self._unit.get_top_DIE()
        low = top.attributes.get("DW_AT_low_pc")
        self._base = low.value if low is not None else 0
        return top

    def lines(self, address: int) -> list[SourceLine]:
        """Return the place of an address and those of the inlined calls around it."""
        if self._table is None or self._functions is None:
            top = self._read_top()
            self._table = _Lines(self._info.line_table(top), _text(top, "DW_AT_comp_dir") or "")
            self._functions = list(self._find_functions(top, 0))
        scope = next((function for function in self._functions if _within(function.ranges, address)), None)
        file, line = self._table.at(address)
        found: list[SourceLine] = []
        for inner in reversed(scope.chain(address) if scope else []):
            found.append(SourceLine(inner.name, file, line or None, inner.inlined))
            file, line = self._table.file(inner.call_file), inner.call_line
        if not found and file:
            found.append(SourceLine(None, file, line or None, False))
        return found

    def _find_functions(self, die: Any, depth: int) -> Iterator[_Scope]:
        for child in self._children(die):
            if child.tag == _FUNCTION:
                ranges = self._info.ranges(self._unit, child, self._base)
                if ranges:
                    yield _Scope(self, child, ranges)
            elif child.tag in _NAMES_IN and depth < _MOST_DEPTH:
                yield from self._find_functions(child, depth + 1)

    def _children(self, die: Any) -> Iterator[Any]:
        """Yield the entries right in another one; damaged data may lead back to an earlier one, for ever."""
        last = die.offset
        for child in self._unit.iter_DIE_children(die):
            if child.offset <= last:
                raise ValueError("entries are not in order")
            last = child.offset
            yield child

    def scopes_in(self, die: Any, depth: int = 0) -> Iterator[_Scope]:
        """Yield the inlined calls right in a function, those in its blocks among them."""
        if not die.has_children or depth > _MOST_DEPTH:
            return
        for child in self._children(die):
            if child.tag == _INLINED:
                ranges = self._info.ranges(self._unit, child, self._base)
                if ranges:
                    yield _Scope(self, child, ranges)
            elif child.tag in _AROUND:
                yield from self.scopes_in(child, depth + 1)


class _Places:
    """Which unit an address belongs to."""

    def __init__(self, ranges: dict[_Unit, Ranges]) -> None:
        placed = [
            (start, end, number) for number, own in enumerate(ranges.values()) for start, end in own if start < end
        ]
        placed.sort()
        self._units = list(ranges)
        self._starts = [start for start, _, _ in placed]
        self._are_apart = all(one[1] <= other[0] for one, other in pairwise(placed))
        self._placed = placed if self._are_apart else sorted(placed, key=lambda place: place[2])

    def unit_at(self, address: int) -> _Unit | None:
        """Return the unit with the code at an address."""
        if self._are_apart:
            at = bisect_right(self._starts, address) - 1
            near = self._placed[at : at + 1] if at >= 0 else []
        else:
            near = self._placed
        return next((self._units[number] for start, end, number in near if start <= address < end), None)


class _Scope:
    """A function, or a call of one that was inlined."""

    def __init__(self, unit: _Unit, die: Any, ranges: Ranges) -> None:
        self._unit = unit
        self._die = die
        self._inner: list[_Scope] | None = None
        self.ranges = ranges
        self.inlined: bool = die.tag == _INLINED
        self.name: str | None = _name(die)
        self.call_file: int = _number(die, "DW_AT_call_file")
        self.call_line: int = _number(die, "DW_AT_call_line")

    def chain(self, address: int) -> list[_Scope]:
        """Return this and the scopes in it that an address lies in, from the outermost to the innermost."""
        found: list[_Scope] = []
        here: _Scope | None = self
        while here is not None and len(found) < _MOST_DEPTH:
            found.append(here)
            if here._inner is None:
                here._inner = list(here._unit.scopes_in(here._die))
            here = next((inner for inner in here._inner if _within(inner.ranges, address)), None)
        return found


class _Sections(dict[str, bytes]):
    """The sections that line tables are in, each read at the first question; one that is not there is empty."""

    def __init__(self, dwarf: Any) -> None:
        super().__init__()
        self._found = {
            ".debug_line": dwarf.debug_line_sec,
            ".debug_str": dwarf.debug_str_sec,
            ".debug_line_str": dwarf.debug_line_str_sec,
        }

    def __missing__(self, name: str) -> bytes:
        section = self._found[name]
        data = self[name] = section.stream.getvalue() if section is not None else b""
        return data


class _Lines:
    """Which line an address belongs to."""

    def __init__(self, table: LineTable | None, directory: str) -> None:
        self._table = table
        self._directory = directory
        self._sequences: list[tuple[int, int, list[int], list[Row]]] = []
        for rows, end in table.found if table else ():
            rows.sort(key=lambda row: row[0])
            self._sequences.append((rows[0][0], end, [row[0] for row in rows], rows))

    def at(self, address: int) -> tuple[str | None, int]:
        """Return file and line of an address."""
        for start, end, addresses, rows in self._sequences:
            if start <= address < end:
                _, file, line = rows[bisect_right(addresses, address) - 1]
                return self.file(file), line & _MOST_LINE
        return None, 0

    def file(self, number: int) -> str | None:
        """Return the path of a file by its number, put together as addr2line does it."""
        found = self._table.file(number) if self._table else None
        if found is None:
            return None
        place, name = map(decode, found)
        for part in (place, self._directory):
            if not name.startswith("/") and part:
                name = f"{part}/{name}"
        return name


def _within(ranges: Ranges, address: int) -> bool:
    return any(start <= address < end for start, end in ranges)


def _name(die: Any) -> str | None:
    """Return the name of a function, which may stand where it is declared."""
    for _ in range(_MOST_DEPTH):
        name = _text(die, "DW_AT_name")
        if name is not None:
            return name
        link = next((key for key in ("DW_AT_abstract_origin", "DW_AT_specification") if key in die.attributes), None)
        if link is None:
            return None
        die = die.get_DIE_from_attribute(link)
    return None


def _text(die: Any, key: str) -> str | None:
    attribute = die.attributes.get(key)
    return None if attribute is None or not isinstance(attribute.value, bytes) else decode(attribute.value)


def _number(die: Any, key: str) -> int:
    attribute = die.attributes.get(key)
    return attribute.value if attribute is not None and isinstance(attribute.value, int) else 0


def _failures() -> tuple[type[Exception], ...]:
    """Return what the library raises for damaged data: its own errors, and whatever its parser meets."""
    own = load("elftools.common.exceptions")
    common = (LookupError, ValueError, TypeError, AttributeError, AssertionError, ArithmeticError, RuntimeError)
    return (*common, MemoryError, OSError, EOFError, StopIteration, *((own.ELFError, own.DWARFError) if own else ()))


def _said(problem: Exception) -> str:
    return str(problem).partition("\n")[0] or type(problem).__name__
