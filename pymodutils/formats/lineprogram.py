# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rows of a line table of DWARF: which address begins which line.

pyelftools makes an object of each row, and copies it; in a unit of the kernel there are ten thousand. This runs the
program that pyelftools has found, over its bytes.

Source: the DWARF 5 standard, 6.2.5, "The Line Number Program".
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    Row = tuple[int, int, int]
    """Address, number of the file, line."""

_COPY, _ADVANCE_PC, _ADVANCE_LINE, _SET_FILE, _CONST_ADD_PC, _FIXED_ADVANCE_PC = 1, 2, 3, 4, 8, 9
_EXTENDED, _END_SEQUENCE, _SET_ADDRESS = 0, 1, 2
_MOST_BITS = 70


def sequences(program: Any) -> list[tuple[list[Row], int]]:
    """Return the rows of each stretch of code, and where it ends. Raises an IndexError or ValueError for damage."""
    header = program.header
    if header.get("maximum_operations_per_instruction", 1) > 1:
        raise ValueError("several operations in an instruction")
    program.stream.seek(program.program_start_offset)
    code: bytes = program.stream.read(program.program_end_offset - program.program_start_offset)
    least, base, span = header["minimum_instruction_length"], header["line_base"], header["line_range"]
    first, lengths = header["opcode_base"], header["standard_opcode_lengths"]
    order: Literal["little", "big"] = "little" if program.structs.little_endian else "big"
    found: list[tuple[list[Row], int]] = []
    rows: list[Row] = []
    address, file, line = 0, 1, 1
    at, end = 0, len(code)
    while at < end:
        opcode = code[at]
        at += 1
        if opcode >= first:
            steps, more = divmod(opcode - first, span)
            address += steps * least
            line += base + more
            rows.append((address, file, line))
        elif opcode == _EXTENDED:
            length, at = _unsigned(code, at)
            kind, following = code[at], at + length
            if kind == _END_SEQUENCE:
                if rows:
                    found.append((rows, address))
                rows, address, file, line = [], 0, 1, 1
            elif kind == _SET_ADDRESS:
                address = int.from_bytes(code[at + 1 : following], order)
            at = following
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
    return found


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
