# SPDX-License-Identifier: LGPL-2.1-or-later
"""The functions of a module or of the kernel by name, with the lengths that the kernel gives them in a trace.

Source: the ELF specification; kernel/module/kallsyms.c (find_kallsyms_symbol): a symbol reaches as far as the next one
that has a name, the last one as far as the memory of its kind; kernel/kallsyms.c (get_symbol_pos) for the kernel's own.
"""

from __future__ import annotations

from struct import Struct

from ..errors import ElfError
from ..names import decode
from ..records import Record
from .elf import ET_REL, MOST_SYMBOLS, SHF_ALLOC, SHT_NOBITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .elf import ElfFile, Section

_NOTYPE, _OBJECT, _FUNC = 0, 1, 2
_BANNER, _BANNER_BEGIN, _MOST_BANNER = b"linux_banner", b"Linux version ", 512
_SHF_EXECINSTR = 4
_PAGE = 65536
"""The largest page: up to the end of one the last function of a module reaches."""


class Function(Record):
    """A function in a file: where it begins in which section, how long it is, and how far the next symbol is.

    `size` is that of the code. `room` is the distance to the next symbol of the section, None for the last one.
    """

    name: str
    section: int
    section_name: str
    value: int
    size: int
    room: int | None

    def has_length(self, length: int) -> bool:
        """Tell whether the kernel can have given it this length."""
        if self.room is not None:
            return length == self.room
        return self.size <= length <= self.size + _PAGE


def functions(elf: ElfFile) -> dict[str, list[Function]]:
    """Return the functions by name; several may have one name. Raises `ElfError`."""
    sections = {section.index: section for section in elf.sections()}
    by_section: dict[int, list[tuple[int, bytes, int, int]]] = {}
    for name, info, shndx, value, size in symbol_rows(elf):
        section = sections.get(shndx)
        if section and section.flags & SHF_ALLOC and info & 15 in (_NOTYPE, _OBJECT, _FUNC) and _is_listed(name):
            by_section.setdefault(shndx, []).append((value, name, info & 15, size))
    found: dict[str, list[Function]] = {}
    for shndx, symbols in by_section.items():
        start = 0 if elf.type == ET_REL else elf.address(sections[shndx])
        for function in _of_section(sections[shndx], sorted(symbols), start):
            found.setdefault(function.name, []).append(function)
    return found


def release_in(elf: ElfFile) -> str | None:
    """Return the release of the kernel that a file is; None when the file does not tell. Raises `ElfError`."""
    for name, _info, shndx, value, _size in symbol_rows(elf) if elf.type != ET_REL else ():
        if name != _BANNER:
            continue
        section = next((section for section in elf.sections() if section.index == shndx), None)
        if section is None or section.type == SHT_NOBITS:
            return None
        start = max(value - elf.address(section), 0)
        text = elf.data(section)[start : start + _MOST_BANNER]
        return decode(text.split(b" ")[2]) if text.startswith(_BANNER_BEGIN) else None
    return None


def _of_section(section: Section, symbols: list[tuple[int, bytes, int, int]], start: int) -> list[Function]:
    values = sorted({value for value, *_ in symbols})
    following = dict(zip(values, [*values[1:], None], strict=True))
    found = []
    for value, name, kind, size in symbols:
        if kind == _FUNC or (kind == _NOTYPE and section.flags & _SHF_EXECINSTR):
            after = following[value]
            room = None if after is None else after - value
            found.append(Function(decode(name), section.index, section.name, value - start, size, room))
    return found


def symbol_rows(elf: ElfFile) -> list[tuple[bytes, int, int, int, int]]:
    """Return name, info, section, value and size of each symbol. Raises `ElfError`."""
    table, strings = elf.data_of(b".symtab"), elf.data_of(b".strtab")
    if not table or not strings:
        return []
    layout = Struct(elf.order + ("IBxHQQ" if elf.is64 else "IIIBxH"))
    if len(table) % layout.size or len(table) > MOST_SYMBOLS * layout.size:
        raise ElfError("damaged .symtab")
    rows = []
    for row in layout.iter_unpack(table):
        if elf.is64:
            place, info, shndx, value, size = row
        else:
            place, value, size, info, shndx = row
        end = strings.find(b"\0", place)
        rows.append((strings[place:end] if end > place else b"", info, shndx, value, size))
    return rows


def _is_listed(name: bytes) -> bool:
    """Tell whether kallsyms counts a symbol: it has a name, and marks no change between code and data."""
    return bool(name) and not name.startswith((b"$", b".L", b"L0"))
