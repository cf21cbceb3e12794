# SPDX-License-Identifier: LGPL-2.1-or-later
"""ELF files of both classes and byte orders: header, section table, contents of sections, symbol table.

Every offset and size is checked against the file, and the amount that a damaged file can make anyone read is bounded.
Source: the ELF specification (gABI) and include/uapi/linux/elf.h; docs/behaviour/2-formats.md, "Module files".
"""

from __future__ import annotations

import errno
from _struct import Struct

from ..errors import ElfError
from ..names import decode
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .source import Source

    Row = tuple[int, int, int, int, int, int, int, int, int, int]
    """A section header: name's offset, type, flags, address, offset, size, link, info, alignment, entry size."""
    Entry = tuple[int, int, int, int]
    """A symbol: name's offset, info (bind << 4 | type), section, value."""

SHORTEST = 6
"""Bytes by which kmod tells what a file is; one with fewer is not said to be no ELF file, but an invalid one."""
IDENTIFICATION_BYTES = 16
"""Bytes by which every ELF file begins; kmod says of one that has no more that it is no ELF file."""
ET_REL = 1
SHT_NOBITS = 8
SHN_UNDEF = 0
SHN_ABS = 0xFFF1
SHF_ALLOC = 2
STB_WEAK = 2
STT_REGISTER = 13
EM_SPARC: tuple[int, ...] = (2, 18, 43)
"""EM_SPARC, EM_SPARC32PLUS and EM_SPARCV9."""
_NT_GNU_BUILD_ID = 3
_BUILD_ID_SECTION = b".note.gnu.build-id"

MOST_SECTION_BYTES = 1 << 26
"""Bytes of a section that can be read; of all in Debian's modules the largest but debug data has a hundredth of it."""
MOST_SYMBOLS = 1 << 20
"""Entries of a table of symbols, or of exported names."""
MOST_NAME_BYTES = 1 << 24
"""Bytes of all names taken from one string table together. A damaged one may have many names that overlap."""
_MOST_NOTE_BYTES = 1 << 16

HEADER_BYTES = 64
"""Bytes of the longest ELF header; the 32-bit one has 52."""
_IDENT_BYTES = 16
# The names of the sections stand before the section table, and a signature behind it. One read takes all three.
_BEFORE_TABLE, _BEHIND_TABLE = 1 << 10, 1 << 12


class _Layout:
    """The structures of one class and byte order."""

    def __init__(self, is64: bool, order: str) -> None:
        self.is64: bool = is64
        self.order: str = order
        # After e_ident: type machine version entry phoff shoff flags ehsize phentsize phnum shentsize shnum shstrndx.
        self.header: Struct = Struct(order + ("16xHHIQQQIHHHHHH" if is64 else "16xHHIIIIIHHHHHH"))
        self.section: Struct = Struct(order + ("IIQQQQIIQQ" if is64 else "IIIIIIIIII"))
        self.section_name: Struct = Struct(order + ("I60x" if is64 else "I36x"))
        # Elf64_Sym: name info other shndx value size; Elf32_Sym: name value size info other shndx.
        self.symbol: Struct = Struct(order + ("IBxHQ8x" if is64 else "II4xBxH"))
        self.note: Struct = Struct(order + "III")
        self.word: Struct = Struct(order + "I")


_layouts: dict[bytes, _Layout] = {}


def _layout(kind: bytes) -> _Layout:
    """Return the structures for the two bytes of class and byte order. Raises `ElfError` for unknown ones."""
    found = _layouts.get(kind)
    if found is None:
        if len(kind) < 2 or kind[0] not in (1, 2) or kind[1] not in (1, 2):
            raise ElfError("unknown ELF class or byte order")
        found = _layouts[kind] = _Layout(kind[0] == 2, "<" if kind[1] == 1 else ">")
    return found


class Section(Record):
    """One section of an ELF file.

    `offset` and `size` count bytes in the file, of which a section of type SHT_NOBITS (8) has none; `flags` are ELF's
    (SHF_ALLOC is 2), `link` and `info` mean what they mean for the type, and `index` is the place in the section table.
    """

    name: str
    type: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    entry_size: int
    index: int


class SymbolTable:
    """The entries of `.symtab` in table order, without the first, which is always null. It can be iterated over."""

    def __init__(self, layout: _Layout, table: bytes, strings: bytes) -> None:
        self.strings: bytes = strings
        self._layout = layout
        self._table = table

    def __iter__(self) -> Iterator[Entry]:
        entries: Iterator[Entry] = self._layout.symbol.iter_unpack(self._table)
        next(entries, None)
        if self._layout.is64:
            return entries
        return ((name, info, section, value) for name, value, info, section in entries)

    def names(self, places: Iterable[int]) -> list[bytes]:
        """Return the names that begin at these offsets. Raises `ElfError`."""
        return _names_at(self.strings, places)


def _names_at(strings: bytes, places: Iterable[int]) -> list[bytes]:
    """Return the strings of a table that begin at `places`. Raises `ElfError`."""
    names = []
    room = MOST_NAME_BYTES
    for at in places:
        end = strings.find(b"\0", at)
        if end < 0:
            raise ElfError("a name lies outside its string table")
        room -= end - at
        if room < 0:
            raise ElfError(f"names have more than {MOST_NAME_BYTES} bytes together")
        names.append(strings[at:end])
    return names


class ElfFile:
    """A parsed ELF file.

    Opening raises `ElfError`: errno is ENOEXEC when the magic is missing, EINVAL when the header or the section table
    is damaged, or the file is too short to have a magic, unless these bytes were `decompressed`. To look-ups by name,
    sections that lie outside the file are absent.
    """

    def __init__(self, source: Source, *, decompressed: bool = False) -> None:
        self._source = source
        head = source.read(0, HEADER_BYTES)
        if len(head) < SHORTEST and not decompressed:
            raise ElfError("file is too short" if head else "file is empty")
        if len(head) <= IDENTIFICATION_BYTES or head[:4] != b"\x7fELF":
            raise ElfError("not an ELF file", errno=errno.ENOEXEC)
        self._layout = layout = _layout(head[4:6])
        self.is64: bool = layout.is64
        self.order: str = layout.order
        """The byte order as `struct` writes it: `<` or `>`."""
        if len(head) < layout.header.size:
            raise ElfError("file is too short for an ELF header")
        fields = layout.header.unpack_from(head)
        self.type: int = fields[0]
        self.machine: int = fields[1]
        self.section_table_offset: int = fields[5]
        self.section_header_size: int = layout.section.size
        entry_size, self._section_count, names_index = fields[10:]
        if entry_size != self.section_header_size:
            raise ElfError(f"section header entry size is {entry_size}, not {self.section_header_size}")
        self._table: bytes = self._read_table()
        self._section_names: bytes = self._read_names(names_index)

    @property
    def little_endian(self) -> bool:
        """Whether the byte order is little-endian."""
        return self.order == "<"

    @property
    def long_size(self) -> int:
        """Bytes of an unsigned long on the file's machine."""
        return 8 if self.is64 else 4

    def _read_table(self) -> bytes:
        start, size = self.section_table_offset, self._section_count * self.section_header_size
        if start + size > self._source.size:
            raise ElfError("file is too short to hold its section table")
        begin = max(start - _BEFORE_TABLE, 0)
        end = min(start + size + _BEHIND_TABLE, self._source.size)
        table = self._source.read_ahead(begin, end - begin)[start - begin : start - begin + size]
        if len(table) < size:
            raise ElfError("file is too short to hold its section table")  # it became shorter just now
        return table

    def _read_names(self, index: int) -> bytes:
        if index >= self._section_count:
            raise ElfError("no section name table")
        _name, _type, _flags, _address, offset, size, *_ = self._row(index)
        names = self._bytes_at(offset, size) if size <= MOST_SECTION_BYTES else None
        if names is None or not names.endswith(b"\0"):
            raise ElfError("damaged section name table")
        return names

    def _row(self, index: int) -> Row:
        return self._layout.section.unpack_from(self._table, index * self.section_header_size)

    def _bytes_at(self, offset: int, size: int) -> bytes | None:
        if offset + size > self._source.size:
            return None
        data = self._source.read(offset, size)
        return data if len(data) == size else None  # the file became shorter just now

    def _find(self, name: bytes) -> tuple[int, Row] | None:
        """Return index and header of the first section of that name whose contents lie inside the file."""
        wanted, names = name + b"\0", self._section_names
        if not name or names.find(wanted) < 0:
            return None
        starts = names.startswith
        for index, (at,) in enumerate(self._layout.section_name.iter_unpack(self._table)):
            if starts(wanted, at):
                row = self._row(index)
                if row[1] == SHT_NOBITS or row[4] + row[5] <= self._source.size:
                    return index, row
        return None

    def _section(self, name: bytes, index: int, row: Row) -> Section:
        _name, kind, flags, _address, offset, size, link, info, _alignment, entry_size = row
        return Section(decode(name), kind, flags, offset, size, link, info, entry_size, index)

    def sections(self) -> list[Section]:
        """Return all sections in the order of the section table. Raises `ElfError` for names without measure."""
        rows: list[Row] = list(self._layout.section.iter_unpack(self._table))
        length = len(self._section_names)
        names = _names_at(self._section_names, [min(row[0], length - 1) for row in rows])
        return [self._section(name, index, row) for index, (name, row) in enumerate(zip(names, rows, strict=True))]

    def section(self, name: bytes) -> Section | None:
        """Return the first section of that name whose contents lie inside the file; None when there is none."""
        found = self._find(name)
        return None if found is None else self._section(name, *found)

    def address(self, section: Section) -> int:
        """Return where a section is in memory when the file is run; 0 for those of modules."""
        return self._row(section.index)[3]

    def data(self, section: Section, most: int = MOST_SECTION_BYTES) -> bytes:
        """Return a section's bytes; none for SHT_NOBITS.

        Raises `ElfError` when they lie outside the file, and for more than `most`.
        """
        return self.data_at(section.index, most)

    def data_at(self, index: int, most: int = MOST_SECTION_BYTES) -> bytes:
        """Return the bytes of the section at that place of the section table. Raises `ElfError`."""
        if index >= self._section_count:
            raise ElfError(f"there is no section {index}")
        return self._data(self._row(index), most)

    def data_of(self, name: bytes) -> bytes | None:
        """Return the bytes of the section called `name`; None when there is none. Raises `ElfError`."""
        found = self._find(name)
        return None if found is None else self._data(found[1])

    def _data(self, row: Row, most: int = MOST_SECTION_BYTES) -> bytes:
        if row[1] == SHT_NOBITS:
            return b""
        offset, size = row[4:6]
        if size > most:
            raise ElfError(f"section {self._name(row)} has more than {most} bytes")
        data = self._bytes_at(offset, size)
        if data is None:
            raise ElfError(f"section {self._name(row)} lies outside the file")
        return data

    def _name(self, row: Row) -> str:
        """Return a section's name for a message."""
        names = self._section_names
        return names[row[0] : names.find(b"\0", row[0])].decode("utf-8", "replace")

    def symbol_table(self) -> SymbolTable | None:
        """Return the entries of `.symtab`; None when there is no such table.

        Raises `ElfError` when the table is damaged. How long a name is does not matter here.
        """
        table, strings = self.data_of(b".symtab"), self.data_of(b".strtab")
        if table is None or strings is None:
            return None
        layout = self._layout.symbol
        if len(table) % layout.size:
            raise ElfError("size of .symtab is no multiple of its entry size")
        if len(table) > MOST_SYMBOLS * layout.size:
            raise ElfError(f"more than {MOST_SYMBOLS} symbols")
        symbols = SymbolTable(self._layout, table, strings)
        if max(symbols, default=(-1,))[0] >= len(strings):
            raise ElfError("a name lies outside its string table")
        return symbols

    def word_at(self, data: bytes, offset: int) -> int:
        """Return the 32-bit word at `offset` of a section's bytes. Raises `ElfError` when it is not inside."""
        if offset + 4 > len(data):
            raise ElfError("a word lies outside its section")
        word: int = self._layout.word.unpack_from(data, offset)[0]
        return word

    def build_id(self) -> bytes | None:
        """Return the bytes of the GNU build-id note; None when there is none or it is damaged."""
        notes = self.data_of(_BUILD_ID_SECTION)
        if notes is None or len(notes) > _MOST_NOTE_BYTES:
            return None
        at = 0
        header = self._layout.note
        while at + header.size <= len(notes):
            name_size, data_size, kind = header.unpack_from(notes, at)
            name_at = at + header.size
            data_at = name_at + (name_size + 3 & ~3)
            at = data_at + (data_size + 3 & ~3)
            if kind == _NT_GNU_BUILD_ID and notes[name_at : name_at + name_size] == b"GNU\0":
                return notes[data_at : data_at + data_size] if data_at + data_size <= len(notes) else None
        return None
