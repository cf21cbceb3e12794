# SPDX-License-Identifier: LGPL-2.1-or-later
"""Line tables, of compilers and forged, whole and damaged; and which unit an address belongs to."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from pymodutils.errors import FormatError
from pymodutils.formats import lineprogram
from pymodutils.formats.debugimage import debug_image
from pymodutils.formats.dwarf import _Places
from pymodutils.formats.lineprogram import LineTable
from pymodutils.state.modulefile import ModuleFile, elf_of
from tests.support.cmodules import FORMS, compile_kernel, compile_module
from tests.support.dwarfforge import ADDRESS, ADVANCE, BEGIN, COPY, END, PROGRAM, line_table, lines, uleb

# --- tables of compilers, also read by pyelftools


def by_pyelftools(program: Any) -> list[tuple[list[tuple[int, int, int]], int]]:
    found: list[tuple[list[tuple[int, int, int]], int]] = []
    rows: list[tuple[int, int, int]] = []
    for entry in program.get_entries():
        state = entry.state
        if state and state.end_sequence:
            if rows:
                found.append((rows, state.address))
            rows = []
        elif state:
            rows.append((state.address, state.file, state.line))
    return found


def tables(path: Path) -> Iterator[tuple[LineTable, Any]]:
    """Each table of a file, read by us and by pyelftools."""
    with ModuleFile(path) as module:
        image = debug_image(elf_of(module))
    assert image
    info: Any = ELFFile(BytesIO(image.data)).get_dwarf_info(relocate_dwarf_sections=False)
    sections = {".debug_line": info.debug_line_sec.stream.getvalue()}
    for unit in info.iter_CUs():
        at = unit.get_top_DIE().attributes["DW_AT_stmt_list"].value
        yield LineTable(sections, at, "little"), info.line_program_for_CU(unit)


@pytest.mark.parametrize("machine", ["x86-64", "arm64", "riscv", "a kernel"])
@pytest.mark.parametrize("form", ["dwarf 4", "dwarf 5", "a section for each function"])
def test_rows_are_those_of_pyelftools(machine: str, form: str, tmp_path: Path) -> None:
    if machine == "a kernel":
        path = compile_kernel(tmp_path, FORMS[form])
    else:
        path = compile_module(tmp_path, FORMS[form], machine=machine)
    compared = 0
    for table, program in tables(path):
        ours = table.found
        assert ours == by_pyelftools(program)
        compared += sum(len(rows) for rows, _ in ours)
    assert compared > 100


# --- forged tables


def test_every_kind_of_step() -> None:
    set_address = b"\0\x09\x02" + (0x1000).to_bytes(8, "little")
    code = set_address + b"\x01" + b"\x02\x81\x01" + b"\x03\x7f\x01" + b"\x04\x02\x05\x07\x06\x07\x0a\x0b\x0c\x03\x01"
    code += b"\x08\x01" + b"\x09\x34\x12\x01" + b"\0\x02\x04\x05" + b"\xff" + END
    step = (255 - 13) // 14
    rows = [(0x1000, 1, 1), (0x1081, 1, 0), (0x1081, 2, 0), (0x1081 + step, 2, 0), (0x1081 + step + 0x1234, 2, 0)]
    last = 0x1081 + step + 0x1234 + step, 2, -5 + (255 - 13) % 14
    assert LineTable({".debug_line": line_table(code)}, 0, "little").found == [([*rows, last], last[0])]


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


@pytest.mark.parametrize("code", [BEGIN + COPY * 300 + END, (BEGIN + COPY * 10 + END) * 30], ids=["one", "many"])
def test_a_table_of_too_many_rows_is_an_error(code: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineprogram, "_CHECKED_EVERY", 16)
    table = {".debug_line": line_table(code)}
    monkeypatch.setattr(lineprogram, "MOST_ROWS", 300)
    assert sum(len(rows) for rows, _ in LineTable(table, 0, "little").found) == 300
    monkeypatch.setattr(lineprogram, "MOST_ROWS", 200)
    with pytest.raises(ValueError, match="more than 200 rows"):
        LineTable(table, 0, "little")


# --- units


def test_the_unit_of_an_address() -> None:
    first, second, third = object(), object(), object()
    units: Any = {second: [(20, 30), (40, 50)], first: [(0, 10)], third: [(7, 7)]}
    apart = _Places(units)
    found = [apart.unit_at(address) for address in (0, 9, 10, 20, 29, 35, 49, 50)]
    assert found == [first, first, None, second, second, None, second, None]
    units[third] = [(5, 25)]
    over = _Places(units)
    assert [over.unit_at(address) for address in (3, 7, 15, 22)] == [first, first, third, second]
    assert _Places({}).unit_at(1) is None
