# SPDX-License-Identifier: LGPL-2.1-or-later
"""Forged debugging data: a unit, and line tables with any number in them that is wrong."""

from __future__ import annotations

import struct

from pymodutils.formats.debugimage import debug_image
from pymodutils.formats.dwarf import DebugInfo, SourceLine
from pymodutils.formats.elf import ElfFile
from pymodutils.formats.source import BytesSource
from tests.support.koforge import Ko

ADDRESS = 0x1000
LENGTHS = bytes([0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1])
"""Operands of the standard opcodes."""
BEGIN = b"\0\x09\x02" + struct.pack("<Q", ADDRESS)
COPY, ADVANCE, END = b"\x01", b"\x02\x10", b"\0\x01\x01"
PROGRAM = BEGIN + COPY + ADVANCE + END
"""Line 1 at ADDRESS, and 15 bytes more."""
FILES = b"d\0\0f.c\0\x01\0\0\0"
DESCRIBED_FILES = b"\x01\x01\x08\x01/d\0" + b"\x02\x01\x08\x02\x0b\x02f.c\0\0g.c\0\0"
"""The same as FILES in DWARF 5, which counts from 0."""


def uleb(number: int) -> bytes:
    """A number in ULEB128."""
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def line_table(
    program: bytes = PROGRAM,
    version: int = 4,
    *,
    least: int = 1,
    operations: int = 1,
    span: int = 14,
    opcode_base: int = 13,
    lengths: bytes = LENGTHS,
    files: bytes | None = None,
    unit_length: int | None = None,
    header_length: int | None = None,
    order: str = "<",
) -> bytes:
    """A table; what is not given is right."""
    rest = bytes([least, *([operations] if version >= 4 else []), 1, 0xFB, span, opcode_base]) + lengths
    rest += (DESCRIBED_FILES if version >= 5 else FILES) if files is None else files
    body = struct.pack(f"{order}H", version) + (b"\x08\0" if version >= 5 else b"")
    body += struct.pack(f"{order}I", len(rest) if header_length is None else header_length) + rest + program
    return struct.pack(f"{order}I", len(body) if unit_length is None else unit_length) + body


def lines(table: bytes, address: int = ADDRESS) -> list[SourceLine]:
    """What is found at an address of a module that has this line table and one unit."""
    forms = ((0x10, 0x17), (0x11, 0x01), (0x12, 0x07))  # where the lines are, the first address, how many bytes
    abbreviations = bytes([1, 0x11, 0, *(number for form in forms for number in form), 0, 0, 0])
    unit = struct.pack("<HIB", 4, 0, 8) + b"\x01" + struct.pack("<IQQ", 0, ADDRESS, 0x100000)
    sections = {
        b".debug_info": struct.pack("<I", len(unit)) + unit,
        b".debug_abbrev": abbreviations,
        b".debug_line": table,
    }
    image = debug_image(ElfFile(BytesSource(Ko(extra_sections=sections).bytes())))
    assert image
    return DebugInfo(image.data).lines(address)
