# SPDX-License-Identifier: LGPL-2.1-or-later
"""Line tables of DWARF that are forged; those of compilers are in the tests of `kmod decode`."""

from __future__ import annotations

import struct

import pytest

from pymodutils.errors import FormatError
from pymodutils.formats.lineprogram import LineTable
from tests.support.dwarfforge import ADDRESS, ADVANCE, BEGIN, COPY, END, PROGRAM, line_table, lines, uleb


def place(table: bytes) -> tuple[str | None, int | None]:
    (found,) = lines(table)
    return found.file, found.line


@pytest.mark.parametrize("version", [2, 3, 4])
def test_a_table(version: int) -> None:
    assert place(line_table(version=version)) == ("d/f.c", 1)


def test_a_table_of_dwarf_5_counts_files_from_0() -> None:
    assert place(line_table(version=5)) == ("/d/g.c", 1)
    first = line_table(BEGIN + b"\x04\0" + COPY + ADVANCE + END, 5)
    assert place(first) == ("/d/f.c", 1)


def test_files_without_a_directory_lie_in_the_first() -> None:
    assert place(line_table(version=5, files=b"\x01\x01\x08\x01/d\0" + b"\x01\x01\x08\x02f\0g\0")) == ("/d/g", 1)


def test_names_in_other_sections_and_what_else_an_entry_may_have() -> None:
    files = b"\x01\x01\x1f\x01" + struct.pack("<I", 2)
    files += b"\x05\x01\x0e\x02\x05\x05\x1e\x03\x09\x04\x0f" + uleb(1)
    files += struct.pack("<IH", 1, 0) + bytes(16) + b"\x02ab" + uleb(1 << 40)
    sections = {
        ".debug_line": line_table(version=5, files=files),
        ".debug_str": b"xf.c\0",
        ".debug_line_str": b"a\0/d\0",
    }
    table = LineTable(sections, 0, "little")
    assert table.file(0) == (b"/d", b"f.c")
    assert table.file(1) is None


def test_big_end_first() -> None:
    table = line_table(PROGRAM.replace(struct.pack("<Q", ADDRESS), struct.pack(">Q", ADDRESS)), order=">")
    assert LineTable({".debug_line": table}, 0, "big").found == [([(ADDRESS, 1, 1)], ADDRESS + 16)]


def test_a_table_of_64_bits() -> None:
    short = line_table()
    body = short[4:6] + struct.pack("<Q", struct.unpack_from("<I", short, 6)[0]) + short[10:]
    table = LineTable({".debug_line": struct.pack("<IQ", 0xFFFFFFFF, len(body)) + body}, 0, "little")
    assert table.found == [([(ADDRESS, 1, 1)], ADDRESS + 16)]
    assert table.file(1) == (b"d", b"f.c")


def test_a_line_below_0_counts_in_32_bits() -> None:
    assert place(line_table(BEGIN + b"\x03\x80\x7f" + COPY + ADVANCE + END)) == ("d/f.c", (1 << 32) - 127)


LONG = b"\x80" * 10_000 + b"\x01"


@pytest.mark.parametrize(
    "table",
    [
        line_table(span=0),
        line_table(opcode_base=0, lengths=b""),
        line_table(operations=4),
        line_table(BEGIN + b"\x02" + LONG + END),
        line_table(BEGIN + b"\x03" + LONG + END),
        line_table(BEGIN + b"\x0d" + END, opcode_base=30, lengths=b"\xff" * 29),
        line_table(b"\0" + uleb(1 << 60)),
        line_table(files=b"\0f.c\0" + LONG),
        line_table(b"", files=b"\0f.c"),
        line_table(header_length=0xFFFFFFFF),
        line_table(header_length=0),
        line_table(unit_length=0xFFFFFFEF),
        line_table(unit_length=0xFFFFFFFF),
        line_table(unit_length=0),
        line_table(unit_length=9),
        line_table(unit_length=9) + line_table(),
        *[line_table(version=version) for version in (0, 1, 6, 0xFFFF)],
        line_table(version=5, files=b"\0" + uleb(1 << 62) + b"\0\0"),
        line_table(version=5, files=b"\0\x05\0\0"),
        line_table(version=5, files=b"\x01\x01\x19" + uleb(1000) + b"\0\0"),  # of a form that takes no byte
        line_table(version=5, files=b"\x01\x01\x08\x01d\0" + b"\x01\x01\x09\x02" + uleb(1 << 62)),
        line_table()[:-20],
        line_table()[:7],
    ],
)
def test_damage_is_one_error(table: bytes) -> None:
    with pytest.raises(FormatError, match=r"^debugging data cannot be read: [^\n]+$"):
        lines(table)
