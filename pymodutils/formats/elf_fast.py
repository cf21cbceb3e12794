"""What depmod needs of a module file, by the shortest way: 64-bit little-endian ELF as the kernel's build writes it.

`read_fast` reads the header, the section table and five sections by `pread`, never the whole file, and makes no object
for each symbol. Whatever is unusual (another class, a damaged offset, a name stored as the tail of another) makes it
return None, and the caller takes the strict way (`formats.elf`, `formats.symbols`), which gives the same answer.

It relies on three rules that the strict way does not need. Of ELF: local symbols come first in .symtab, sh_info counts
them, and an undefined symbol is never local. Of the kernel's build: who exports a symbol has a section __ksymtab...;
and where __versions has one record more than there are undefined symbols, the records are of these symbols and of
module_layout.
"""

from __future__ import annotations

import sys
from itertools import pairwise
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

KEPT = frozenset((b"alias", b"softd", b"weakd"))
"""First five bytes of the .modinfo strings that depmod uses: alias, softdep, weakdep (and now and then another)."""

HEADER_SIZE = 64

# ELF64, little-endian, version 1. Section headers must be 64 bytes, as many as fit 16 bits.
_IDENT = b"\x7fELF\x02\x01\x01"
_HEADER = Struct("<18xH20xQ10xHHH")  # machine, offset of the section table, entry size, entries, name table's index
_TABLE_AT, _TABLE_COUNT = slice(40, 48), slice(60, 62)  # in the header
_WINDOW = 12 << 10
_ENTRY_SIZE = 64
_LOCATION = Struct("<4xI16xQQII")  # of a section header: type, offset, size, link, info
_SIZE, _LINK = 2, 3
_SYMTAB = 2
_NOBITS = 8
_SYMBOL_SIZE = 24  # four bytes of name, one of bind << 4 | type, one other, two of section, and 16 more
_RECORD_SIZE = 64  # of __versions: 8 bytes of CRC, then the name
_SPARC_V9 = 43
_UNDEFINED = 1 << 16  # the second word of a symbol is below this when its section is 0
_GLOBAL, _WEAK = 0x10, 0x20
_LIMIT = 1 << 26  # bytes of one section; more is for the strict way, which takes its time
_CRC = b"__crc_"
_LAYOUT = b"module_layout"  # the one version that no symbol uses; in every module with versions
# NULs as spaces, so that `split` cuts there; real white space as a byte that no name has.
_NULS_TO_SPACES = bytes(32 if code == 0 else 1 if code in b" \t\n\r\v\f" else code for code in range(256))


def read_file(fd: int, head: bytes) -> Facts | None:
    """The facts of an open, uncompressed module file that begins with the 64 bytes `head`. Raises OSError."""
    # Most of what is wanted stands just before the section table: one large read is cheaper than four small ones.
    table_at = int.from_bytes(head[_TABLE_AT], "little")
    start = max(table_at - _WINDOW, 0)
    if start >= 1 << 63:
        return None
    end = table_at + int.from_bytes(head[_TABLE_COUNT], "little") * _ENTRY_SIZE
    window = pread(fd, end - start, start)
    end = start + len(window)

    def read(length: int, offset: int) -> bytes:
        if start <= offset and offset + length <= end:
            return window[offset - start : offset - start + length]
        return pread(fd, length, offset)

    return read_fast(head, read)


def read_image(image: bytes) -> Facts | None:
    """The facts of a module in memory."""
    return read_fast(image[:HEADER_SIZE], lambda length, offset: image[offset : offset + length])


def read_fast(head: bytes, read: Read) -> Facts | None:
    """The facts, or None when the file is not of the plain form."""
    if not head.startswith(_IDENT) or sys.byteorder != "little":
        return None
    try:
        return _read(head, read)
    except (UnpackError, ValueError, TypeError, IndexError, OverflowError):
        return None


def _read(head: bytes, read: Read) -> Facts | None:
    machine, table_at, entry_size, count, names_index = _HEADER.unpack(head)
    if entry_size != _ENTRY_SIZE or machine == _SPARC_V9 or names_index >= count:
        return None
    table = read(count * _ENTRY_SIZE, table_at)
    words = memoryview(table).cast("I")
    named, kinds = words[::16].tolist(), words[1::16].tolist()  # where each section's name is, and its type
    names = _content(read, _LOCATION.unpack_from(table, names_index * _ENTRY_SIZE))
    if len(named) != count or not names.endswith(b"\0") or b"__version_ext_" in names:
        return None

    def find(name: bytes) -> tuple[int, int, int, int, int] | None:
        """Where the section called `name` (with a NUL at both ends) is; None when there is none."""
        at = names.find(name)
        if at < 0:
            if name[1:] in names:
                raise ValueError  # perhaps as the tail of another name
            return None
        return _LOCATION.unpack_from(table, named.index(at + 1) * _ENTRY_SIZE)

    symbols_index = kinds.index(_SYMTAB)
    symbols_at: tuple[int, int, int, int, int] = _LOCATION.unpack_from(table, symbols_index * _ENTRY_SIZE)
    strings_index = symbols_at[_LINK]
    for index, name in ((symbols_index, b".symtab\0"), (strings_index, b".strtab\0")):
        if not names.startswith(name, named[index]) or named.index(named[index]) != index:
            return None
    infos_at = find(b"\0.modinfo\0")
    if infos_at is None:
        return None
    strings = _content(read, _LOCATION.unpack_from(table, strings_index * _ENTRY_SIZE))
    infos = _content(read, infos_at)
    if not strings.endswith(b"\0"):
        return None
    needs, weak = _undefined(read, strings, symbols_at)
    versions_at = find(b"\0__versions\0")
    if versions_at:
        needs += _unused_versions(read, versions_at, needs)
    exports: list[bytes] = []
    if b"__ksymtab" in names:
        exports = _exports(strings)
        if not exports:
            listed_at = find(b"\0__ksymtab_strings\0")
            exports = [name for name in _content(read, listed_at).split(b"\0") if name] if listed_at else []
    kept = [text for text in infos.split(b"\0") if text[:5] in KEPT]
    return b"\0".join(exports), b"\0".join(needs), b"\0".join(weak), b"\0".join(kept)


def _content(read: Read, place: tuple[int, int, int, int, int]) -> bytes:
    kind, offset, size, _, _ = place
    if kind == _NOBITS or size > _LIMIT:
        raise ValueError
    data = read(size, offset)
    if len(data) != size:
        raise ValueError  # it lies outside the file
    return data


def _undefined(read: Read, strings: bytes, place: tuple[int, int, int, int, int]) -> tuple[list[bytes], list[bytes]]:
    """The undefined symbols in table order, and the weak ones of them."""
    kind, offset, size, _link, local_count = place
    start = local_count * _SYMBOL_SIZE
    if size % _SYMBOL_SIZE or not _SYMBOL_SIZE <= start <= size:
        raise ValueError
    words = memoryview(_content(read, (kind, offset + start, size - start, 0, 0))).cast("I")
    places, kinds = words[::6].tolist(), words[1::6].tolist()
    end = strings.index
    names = [strings[at : end(b"\0", at)] for at, kind in zip(places, kinds, strict=True) if kind < _UNDEFINED]
    weak: list[bytes] = []
    if kinds.count(_GLOBAL) != len(names):
        weak = [
            strings[at : end(b"\0", at)]
            for at, kind in zip(places, kinds, strict=True)
            if kind < _UNDEFINED and kind & 0xF0 == _WEAK
        ]
    if b"" in names:
        return [name for name in names if name], [name for name in weak if name]
    return names, weak


def _unused_versions(read: Read, place: tuple[int, int, int, int, int], names: list[bytes]) -> list[bytes]:
    """Names of `__versions` that are not among `names`, in the order of the section."""
    if place[_SIZE] == (len(names) + 1) * _RECORD_SIZE:
        return [_LAYOUT]  # what the kernel's build writes: a record for each symbol, and this one
    if place[_SIZE] % _RECORD_SIZE:
        raise ValueError
    versions = _content(read, place)
    words = bytearray(versions)
    for lane in range(8):  # no CRC may look like part of a name
        words[lane::_RECORD_SIZE] = bytes(len(versions) // _RECORD_SIZE)
    left = set(bytes(words).translate(_NULS_TO_SPACES).split())
    left.difference_update(names)
    if not left:
        return []
    if left == {_LAYOUT} and versions.find(_LAYOUT + b"\0") % _RECORD_SIZE == 8:
        return [_LAYOUT]
    raise ValueError


def _exports(strings: bytes) -> list[bytes]:
    """Names behind `__crc_`."""
    if _CRC not in strings:
        return []
    names = []
    for before, after in pairwise(strings.split(_CRC)):
        if not before.endswith(b"\0"):
            raise ValueError  # `__crc_` inside a name, which may serve two symbols
        names.append(after[: after.index(b"\0")])
    return [name for name in names if name]
