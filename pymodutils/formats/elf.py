"""ELF files, both classes and byte orders: header, section table and section contents. Every offset is checked.

Source: the ELF specification (gABI) and include/uapi/linux/elf.h; contract 2, "Module files".
"""

from __future__ import annotations

from struct import Struct, calcsize

from ..errors import ElfError
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .source import Source

ENOEXEC = 8
ENODATA = 61

IDENT_SIZE = 16
SHT_NOBITS = 8
SHN_UNDEF = 0
SHN_ABS = 0xFFF1
SHN_XINDEX = 0xFFFF
SHF_ALLOC = 2
STB_WEAK = 2
STT_REGISTER = 13
EM_SPARC = (2, 18, 43)  # EM_SPARC, EM_SPARC32PLUS, EM_SPARCV9
NT_GNU_BUILD_ID = 3

SECTION_LIMIT = 1 << 26
"""Bytes of a section that can be read; of all in Debian's modules the largest but debug data has a hundredth of it."""
SYMBOL_LIMIT = 1 << 20
"""Entries of a table of symbols."""
NAME_LIMIT = 1 << 10
"""Bytes of a section's or symbol's name; the kernel's longest symbol has half of it."""
_NOTES_LIMIT = 1 << 16

# By 64-bit or not. Header after e_ident: type machine version entry phoff shoff flags ehsize phentsize phnum
# shentsize shnum shstrndx; section header: name type flags addr offset size link info addralign entsize.
_HEADER = {False: "HHIIIIIHHHHHH", True: "HHIQQQIHHHHHH"}
_SECTION = {False: "IIIIIIIIII", True: "IIQQQQIIQQ"}


class Section(Record):
    """One section header; `offset` and `size` in bytes, `index` its place in the section table."""

    name: bytes
    type: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    entry_size: int
    index: int


class Symbol(Record):
    """One entry of `.symtab`."""

    name: bytes
    value: int
    section: int
    bind: int
    type: int


def _string(strings: bytes, at: int) -> bytes:
    """The string at `at` of a string table. Raises `ElfError`."""
    end = strings.find(b"\0", at, at + NAME_LIMIT + 1)
    if end < 0:
        raise ElfError("a name lies outside its string table, or is too long")
    return strings[at:end]


class ElfFile:
    """A parsed ELF file.

    Tables may overlap in a hostile file, so names and counts are bounded: see the limits above.
    Raises `ElfError`: ENOEXEC when the magic is missing, EINVAL when the header or section table is damaged. Sections
    that lie outside the file are treated as absent when looked up by name.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        ident = source.read(0, IDENT_SIZE)
        if source.size == 0:
            raise ElfError("file is empty")
        if ident[:4] != b"\x7fELF":
            raise ElfError("not an ELF file", errno=ENOEXEC)
        if len(ident) < IDENT_SIZE or ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise ElfError("unknown ELF class or byte order")
        self.is64 = ident[4] == 2
        self.order = "<" if ident[5] == 1 else ">"
        self._read_header()
        self._read_sections()

    @property
    def little_endian(self) -> bool:
        """Whether the byte order is little-endian."""
        return self.order == "<"

    @property
    def long_size(self) -> int:
        """Bytes of an unsigned long on the file's machine."""
        return 8 if self.is64 else 4

    def _read_header(self) -> None:
        layout = Struct(self.order + _HEADER[self.is64])
        raw = self._source.read(IDENT_SIZE, layout.size)
        if len(raw) < layout.size:
            raise ElfError("file is too short for an ELF header")
        fields = layout.unpack(raw)
        self.type: int = fields[0]
        self.machine: int = fields[1]
        self.section_table_offset: int = fields[5]
        entry_size, self._section_count, self._names_index = fields[10:]
        self.section_header_size = calcsize(self.order + _SECTION[self.is64])
        if entry_size != self.section_header_size:
            raise ElfError(f"section header entry size is {entry_size}, not {self.section_header_size}")

    def _read_sections(self) -> None:
        layout = Struct(self.order + _SECTION[self.is64])
        length = self._section_count * layout.size
        raw = self._bytes_at(self.section_table_offset, length)
        if raw is None:
            raise ElfError("file is too short to hold its section table")
        table = list(layout.iter_unpack(raw))
        if self._names_index >= len(table):
            raise ElfError("no section name table")
        at, size = table[self._names_index][4:6]
        names = self._bytes_at(at, size) if size <= SECTION_LIMIT else None
        if names is None or not names.endswith(b"\0"):
            raise ElfError("damaged section name table")
        self.sections: list[Section] = []
        self._by_name: dict[bytes, Section] = {}
        for index, (name_at, kind, flags, _addr, offset, size, link, info, _align, entry_size) in enumerate(table):
            name = _string(names, name_at) if name_at < len(names) else b""
            section = Section(name, kind, flags, offset, size, link, info, entry_size, index)
            self.sections.append(section)
            if name and (kind == SHT_NOBITS or offset + size <= self._source.size):
                self._by_name.setdefault(name, section)

    def _bytes_at(self, offset: int, size: int) -> bytes | None:
        if offset + size > self._source.size:
            return None
        data = self._source.read(offset, size)
        return data if len(data) == size else None  # the file became shorter just now

    def section(self, name: bytes) -> Section | None:
        """The first section of that name whose contents lie inside the file."""
        return self._by_name.get(name)

    def data(self, section: Section) -> bytes:
        """A section's bytes; empty for SHT_NOBITS. Raises `ElfError` when they lie outside the file."""
        if section.type == SHT_NOBITS:
            return b""
        if section.size > SECTION_LIMIT:
            raise ElfError(f"section {section.name.decode('utf-8', 'replace')} has more than {SECTION_LIMIT} bytes")
        data = self._bytes_at(section.offset, section.size)
        if data is None:
            raise ElfError(f"section {section.name.decode('utf-8', 'replace')} lies outside the file")
        return data

    def data_of(self, name: bytes) -> bytes | None:
        """The bytes of the section called `name`, None when there is none."""
        section = self.section(name)
        return None if section is None else self.data(section)

    def symbols(self) -> Iterator[Symbol]:
        """The entries of `.symtab` in table order, the first (always null) skipped.

        Raises `ElfError` when the table, its string table or an entry's name is damaged.
        """
        table, strings = self.data_of(b".symtab"), self.data_of(b".strtab")
        if table is None or strings is None:
            return
        # Elf32_Sym: name value size info other shndx; Elf64_Sym: name info other shndx value size.
        layout = Struct(self.order + ("IBBHQQ" if self.is64 else "IIIBBH"))
        if len(table) % layout.size:
            raise ElfError("size of .symtab is no multiple of its entry size")
        if len(table) > SYMBOL_LIMIT * layout.size:
            raise ElfError(f"more than {SYMBOL_LIMIT} symbols")
        entries = layout.iter_unpack(table)
        next(entries, None)
        for entry in entries:
            if self.is64:
                name_at, info, _other, index, value, _size = entry
            else:
                name_at, value, _size, info, _other, index = entry
            yield Symbol(_string(strings, name_at), value, index, info >> 4, info & 15)

    def build_id(self) -> bytes | None:
        """The bytes of the GNU build-id note, None when there is none or it is damaged."""
        notes = self.data_of(b".note.gnu.build-id")
        if notes is None or len(notes) > _NOTES_LIMIT:
            return None
        at = 0
        header = Struct(self.order + "III")
        while at + header.size <= len(notes):
            name_size, data_size, kind = header.unpack_from(notes, at)
            name_at = at + header.size
            data_at = name_at + (name_size + 3 & ~3)
            at = data_at + (data_size + 3 & ~3)
            if kind == NT_GNU_BUILD_ID and notes[name_at : name_at + name_size] == b"GNU\0":
                return notes[data_at : data_at + data_size] if data_at + data_size <= len(notes) else None
        return None
