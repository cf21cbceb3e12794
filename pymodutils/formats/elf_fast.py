"""What depmod needs of a module file, by the shortest way: 64-bit little-endian ELF as the kernel's build writes it.

`read_fast` reads the header, the section table and five sections by `pread`, never the whole file, and makes no object
for each symbol. Whatever is unusual (another class, a damaged offset, a name stored as the tail of another) makes it
return None, and the caller takes the strict way (`formats.elf`, `formats.symbols`), which gives the same answer.

It relies on one rule of ELF that the strict way does not need: local symbols come first in .symtab, sh_info counts
them, and an undefined symbol is never local.
"""

from __future__ import annotations

from os import pread
from struct import Struct
from struct import error as UnpackError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[[int, int], bytes]
    """`read(length, offset)`: the bytes there, fewer at the end of the file."""

Facts = tuple[bytes, bytes, bytes, bytes]
"""Exported symbols, needed symbols, the weak ones of these, and .modinfo strings: each joined by NULs."""

KEPT = (b"alias", b"softdep", b"weakdep")
"""Beginnings of the .modinfo strings that depmod uses."""

# ELF64, little-endian, version 1; type ET_REL. Section headers must be 64 bytes, as many as fit 16 bits.
_IDENT = b"\x7fELF\x02\x01\x01"
_HEADER = Struct("<16xHHIQQQIHHHHHH")
_ENTRY_SIZE = 64
_LOCATION = Struct("<24xQQII")  # of a section header: offset, size, link, info
_KIND_AT = 4
_NOBITS = b"\x08\0\0\0"
_SYMBOL_SIZE = 24
_SYMBOLS = Struct("<IBxH16x")  # name, bind << 4 | type, section
_RECORD_SIZE = 64
_RECORDS = Struct("<8x56s")  # of __versions: CRC, name
_SPARC_V9 = 43
_WEAK = 2
_LIMIT = 1 << 26  # bytes of one section; more is for the strict way, which takes its time
_CRC = b"__crc_"


def read_file(fd: int, head: bytes) -> Facts | None:
    """The facts of an open, uncompressed module file that begins with the 64 bytes `head`. Raises OSError."""
    return read_fast(head, lambda length, offset: pread(fd, length, offset))


def read_image(image: bytes) -> Facts | None:
    """The facts of a module in memory."""
    return read_fast(image[:_ENTRY_SIZE], lambda length, offset: image[offset : offset + length])


def read_fast(head: bytes, read: Read) -> Facts | None:
    """The facts, or None when the file is not of the plain form."""
    try:
        return _read(head, read)
    except (UnpackError, ValueError, IndexError, OverflowError):
        return None


def _read(head: bytes, read: Read) -> Facts | None:
    if not head.startswith(_IDENT):
        return None
    _type, machine, _, _, _, table_at, _, _, _, _, entry_size, count, names_index = _HEADER.unpack(head)
    if entry_size != _ENTRY_SIZE or machine == _SPARC_V9 or names_index >= count:
        return None
    table = read(count * _ENTRY_SIZE, table_at)
    if len(table) != count * _ENTRY_SIZE:
        return None
    names = _content(read, *_LOCATION.unpack_from(table, names_index * _ENTRY_SIZE))
    if not names.endswith(b"\0") or b"__version_ext_" in names:
        return None

    def read_section(name: bytes) -> bytes | None:
        place = _find(table, names, name)
        return _content(read, *place) if place else None

    symbols_at = _find(table, names, b".symtab\0")
    strings = read_section(b".strtab\0")
    infos = read_section(b".modinfo\0")
    if symbols_at is None or not strings or infos is None or not strings.endswith(b"\0"):
        return None
    needs, weak = _needs(read, strings, symbols_at, read_section(b"__versions\0"))
    kept = [text for text in infos.split(b"\0") if text.startswith(KEPT)]
    return _exports(strings, read_section), needs, weak, b"\0".join(kept)


def _find(table: bytes, names: bytes, name: bytes) -> tuple[int, int, int, int] | None:
    """Where the section called `name` is: offset, size, link, info; None when there is none."""
    found = names.find(name)
    if found < 0:
        return None
    if names[found - 1] or names.find(name, found + 1) >= 0:
        raise ValueError  # the tail of another name, or stored twice
    wanted = found.to_bytes(4, "little")
    at = table.index(wanted)
    while at % _ENTRY_SIZE:
        at = table.index(wanted, at + 1)
    if table.startswith(_NOBITS, at + _KIND_AT):
        raise ValueError
    place: tuple[int, int, int, int] = _LOCATION.unpack_from(table, at)
    return place


def _content(read: Read, offset: int, size: int, _link: int, _info: int) -> bytes:
    if size > _LIMIT:
        raise ValueError
    data = read(size, offset)
    if len(data) != size:
        raise ValueError  # it lies outside the file
    return data


def _needs(read: Read, strings: bytes, place: tuple[int, int, int, int], versions: bytes | None) -> tuple[bytes, bytes]:
    """Undefined symbols in table order, then recorded versions that none of them used; and the weak ones."""
    offset, size, _link, local_count = place
    start = local_count * _SYMBOL_SIZE
    if size % _SYMBOL_SIZE or not _SYMBOL_SIZE <= start <= size:
        raise ValueError
    tail = read(size - start, offset + start)
    if len(tail) != size - start:
        raise ValueError
    entries = [entry for entry in _SYMBOLS.iter_unpack(tail) if not entry[2]]
    find = strings.index
    names = [strings[at : find(b"\0", at)] for at, _, _ in entries]
    weak = [name for name, entry in zip(names, entries, strict=True) if entry[1] >> 4 == _WEAK]
    if b"" in names:
        names = [name for name in names if name]
    if versions:
        names += _unused_versions(versions, names)
    return b"\0".join(names), b"\0".join(weak)


def _unused_versions(versions: bytes, names: list[bytes]) -> list[bytes]:
    """Names of `__versions` that are not among `names`, in the order of the section."""
    if len(versions) % _RECORD_SIZE:
        raise ValueError
    known = set(names)
    left = [name for (name,) in _RECORDS.iter_unpack(versions) if name.rstrip(b"\0") not in known]
    if not left:
        return []
    known |= {name.removeprefix(b".") for name in names}
    # A dictionary, because a name may be recorded twice.
    unused = {name.partition(b"\0")[0].removeprefix(b"."): None for name in left}
    return [name for name in unused if name and name not in known]


def _exports(strings: bytes, read_section: Callable[[bytes], bytes | None]) -> bytes:
    """Names behind `__crc_`; without any, the strings of __ksymtab_strings."""
    pieces = strings.split(_CRC)
    if len(pieces) > 1:
        names = []
        for before, after in zip(pieces, pieces[1:], strict=False):
            if not before.endswith(b"\0"):
                raise ValueError  # `__crc_` inside a name, which may serve two symbols
            names.append(after[: after.index(b"\0")])
        return b"\0".join([name for name in names if name])
    listed = read_section(b"__ksymtab_strings\0")
    return b"\0".join([name for name in listed.split(b"\0") if name]) if listed else b""
