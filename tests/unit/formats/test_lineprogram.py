# SPDX-License-Identifier: LGPL-2.1-or-later
"""Line tables: our run of their programs and that of pyelftools, and which unit an address belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from pymodutils.formats.debugimage import debug_image
from pymodutils.formats.dwarf import _Places
from pymodutils.formats.lineprogram import LineTable
from pymodutils.state.modulefile import ModuleFile, elf_of
from tests.support.cmodules import FORMS, compile_kernel, compile_module
from tests.support.dwarfforge import END, line_table


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


def test_every_kind_of_step() -> None:
    set_address = b"\0\x09\x02" + (0x1000).to_bytes(8, "little")
    code = set_address + b"\x01" + b"\x02\x81\x01" + b"\x03\x7f\x01" + b"\x04\x02\x05\x07\x06\x07\x0a\x0b\x0c\x03\x01"
    code += b"\x08\x01" + b"\x09\x34\x12\x01" + b"\0\x02\x04\x05" + b"\xff" + END
    step = (255 - 13) // 14
    rows = [(0x1000, 1, 1), (0x1081, 1, 0), (0x1081, 2, 0), (0x1081 + step, 2, 0), (0x1081 + step + 0x1234, 2, 0)]
    last = 0x1081 + step + 0x1234 + step, 2, -5 + (255 - 13) % 14
    assert LineTable({".debug_line": line_table(code)}, 0, "little").found == [([*rows, last], last[0])]


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
