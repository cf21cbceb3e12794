# SPDX-License-Identifier: LGPL-2.1-or-later
"""Forge a module file with a table of parameters, and the relocations that lead from it to names and values."""

from __future__ import annotations

import struct


def a_table(order: str = "<", machine: int = 62) -> bytes:
    """A module with `number` (int, 7), `list` (array of short, 2 of 3 elements), `word` (charp) and `own`."""
    names = b"number\0list\0word\0own\0a text\0"
    entry = struct.Struct(order + "8x8x8xHbB4x8x")
    table = b"".join(entry.pack(mode, -1, 0) for mode in (0o644, 0o444, 0, 0o200))
    data = struct.pack(order + "i4xhhh2xI4xQ", 7, 1, -2, 3, 2, 0)  # number, list, its count, word
    array = struct.pack(order + "IIQQQ", 3, 2, 0, 0, 0)
    return _linked(order, machine, names, table, data, array)


def _linked(order: str, machine: int, names: bytes, table: bytes, data: bytes, array: bytes) -> bytes:
    """Lay the sections out, with symbols and relocations."""
    strings = b"\0param_ops_int\0param_array_ops\0param_ops_short\0param_ops_charp\0own_ops\0"
    at = {text: strings.find(text) for text in strings.split(b"\0") if text}
    sections = ["", ".rodata", "__param", ".data", ".array", ".symtab", ".strtab", ".rela__param", ".rela.array",
                ".rela.data", ".shstrtab"]  # fmt: skip
    symbol = struct.Struct(order + "IBxHQ8x")
    symbols = b"".join(
        symbol.pack(*row)
        for row in [
            (0, 0, 0, 0), (0, 3, 1, 0), (0, 3, 3, 0), (0, 3, 4, 0), (at[b"param_ops_int"], 16, 0, 0),
            (at[b"param_array_ops"], 16, 0, 0), (at[b"param_ops_short"], 16, 0, 0), (at[b"param_ops_charp"], 16, 0, 0),
            (at[b"own_ops"], 1, 1, 0),
        ]
    )  # fmt: skip
    kind = {62: 1, 22: 22}[machine]
    rela = struct.Struct(order + "QQq")

    def relocations(rows: list[tuple[int, int, int]]) -> bytes:
        return b"".join(rela.pack(offset, number << 32 | kind, addend) for offset, number, addend in rows)

    rodata, data_section, array_section = 1, 2, 3
    params = relocations(
        [(0, rodata, 0), (16, 4, 0), (32, data_section, 0), (40, rodata, 7), (56, 5, 0), (72, array_section, 0),
         (80, rodata, 12), (96, 7, 0), (112, data_section, 24), (120, rodata, 17), (136, 8, 0)]
    )  # fmt: skip
    contents = [
        b"", names, table, data, array, symbols, strings, params,
        relocations([(8, data_section, 16), (16, 6, 0), (24, data_section, 8)]),
        relocations([(24, rodata, 21)]), b"\0".join(name.encode() for name in sections) + b"\0",
    ]  # fmt: skip
    header = struct.Struct(order + "IIQQQQIIQQ")
    links = {5: (2, 6, 1), 6: (3, 0, 0), 7: (4, 5, 2), 8: (4, 5, 4), 9: (4, 5, 3), 10: (3, 0, 0)}
    offset, rows, body, place = 64, [], b"", 0
    for number, (name, content) in enumerate(zip(sections, contents, strict=True)):
        kind_of, link, info = links.get(number, (1 if number else 0, 0, 0))
        rows.append(header.pack(place, kind_of, 2, 0, offset, len(content), link, info, 1, 0))
        place += len(name) + 1
        body += content
        offset += len(content)
    ident = b"\x7fELF" + bytes([2, 1 if order == "<" else 2, 1]) + bytes(9)
    head = struct.pack(order + "HHIQQQIHHHHHH", 1, machine, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, len(rows), 10)
    return ident + head + body + b"".join(rows)
